//! The guest's open descriptors: small numbers, the lowest free one first, each standing for a stream, a file or a directory
//! together with what the guest may do with it.
//!
//! Two things limit a descriptor. [`Access`] is the embedder's word on a preopened directory: it passes to everything opened
//! through it and cannot be widened. Rights are the guest's own: it may give them up, and `wasi-libc` reads them to tell a
//! terminal from a file or how a file was opened. A change that `Access` forbids is `EROFS`, as on any read-only file
//! system; a right that is missing is `ENOTCAPABLE`.

use crate::abi::{FdFlags, GuestFileType, Rights, file_type};
use crate::directory::Listing;
use crate::errno::Errno;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a guest may do in a preopened directory and everything beneath it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read files, list directories. Every attempt to change something fails with "read-only file system".
    ReadOnly,
    /// Everything the host process may.
    ReadWrite,
}

/// An open descriptor.
pub(crate) struct Descriptor {
    pub(crate) object: Object,
    pub(crate) access: Access,
    pub(crate) rights: Rights,
    /// Rights that descriptors opened through this one may have.
    pub(crate) inheriting: Rights,
    pub(crate) flags: FdFlags,
}

/// What a descriptor stands for.
pub(crate) enum Object {
    /// A reader of the embedder's.
    Reader(Box<dyn Read + Send>),
    /// A writer of the embedder's.
    Writer(Box<dyn Write + Send>),
    /// A stream of the host's, which other processes share: its status flags are never changed.
    Stream(OwnedFd),
    /// A file that the guest opened.
    File(OwnedFd),
    /// A directory.
    Directory(Directory),
}

/// An open directory.
pub(crate) struct Directory {
    pub(crate) fd: OwnedFd,
    /// The guest's name for it, if it was there from the start.
    pub(crate) preopened_as: Option<Vec<u8>>,
    pub(crate) listing: Listing,
}

impl Descriptor {
    /// A directory that the embedder opens to the guest.
    pub(crate) fn preopened(fd: OwnedFd, guest_path: Vec<u8>, access: Access) -> Descriptor {
        let directory = Directory {
            fd,
            preopened_as: Some(guest_path),
            listing: Listing::default(),
        };
        // What is inherited is not narrowed for a read-only directory: `wasi-libc` would silently leave out
        // the rights to write when it opens a file, and the guest would find out at its first write.
        let rights = match access {
            Access::ReadOnly => Rights::DIRECTORY & !Rights::DIRECTORY_MUTATING,
            Access::ReadWrite => Rights::DIRECTORY,
        };
        Descriptor {
            object: Object::Directory(directory),
            access,
            rights,
            inheriting: Rights::DIRECTORY | Rights::FILE,
            flags: FdFlags(0),
        }
    }

    /// A standard stream. `rights` are those its direction gives it.
    pub(crate) fn stream(object: Object, rights: Rights) -> Descriptor {
        let positioned = match &object {
            // A character device without these two rights is what `wasi-libc` calls a terminal.
            Object::Stream(fd) if !rustix::termios::isatty(fd) => Rights::FD_SEEK | Rights::FD_TELL,
            _ => Rights(0),
        };
        Descriptor {
            object,
            access: Access::ReadWrite,
            rights: rights | positioned,
            inheriting: Rights(0),
            flags: FdFlags(0),
        }
    }

    /// The host's descriptor, if there is one behind this.
    pub(crate) fn host_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.object {
            Object::Stream(fd) | Object::File(fd) => Some(fd.as_fd()),
            Object::Directory(directory) => Some(directory.fd.as_fd()),
            Object::Reader(_) | Object::Writer(_) => None,
        }
    }

    /// The type that the guest sees.
    pub(crate) fn file_type(&self) -> Result<GuestFileType, Errno> {
        match self.host_fd() {
            Some(fd) => Ok(file_type(&rustix::fs::fstat(fd)?).into()),
            None => Ok(GuestFileType::Unknown),
        }
    }

    /// Fails unless the guest has all of `wanted`.
    pub(crate) fn require(&self, wanted: Rights) -> Result<(), Errno> {
        if self.rights.contains(wanted) {
            Ok(())
        } else {
            Err(Errno::NotCapable)
        }
    }

    /// Fails unless the guest has all of `wanted` and may change something with them.
    pub(crate) fn require_mutable(&self, wanted: Rights) -> Result<(), Errno> {
        match self.access {
            Access::ReadOnly => Err(Errno::Rofs),
            Access::ReadWrite => self.require(wanted),
        }
    }

    /// The file's host descriptor, for what only makes sense on a file: `EBADF` for a directory, `ESPIPE` for a stream of
    /// the embedder's.
    pub(crate) fn file(&self) -> Result<BorrowedFd<'_>, Errno> {
        match &self.object {
            Object::Stream(fd) | Object::File(fd) => Ok(fd.as_fd()),
            Object::Directory(_) => Err(Errno::BadF),
            Object::Reader(_) | Object::Writer(_) => Err(Errno::SPipe),
        }
    }

    /// The directory, if this is one.
    pub(crate) fn directory(&self) -> Result<&Directory, Errno> {
        match &self.object {
            Object::Directory(directory) => Ok(directory),
            _ => Err(Errno::NotDir),
        }
    }
}

/// Descriptors by number.
pub(crate) struct Table {
    entries: Vec<Option<Descriptor>>,
    entries_max: usize,
}

impl Table {
    /// An empty table with room for `entries_max` descriptors.
    pub(crate) fn new(entries_max: usize) -> Table {
        Table {
            entries: Vec::new(),
            entries_max,
        }
    }

    /// The descriptor with this number.
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.entries
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::BadF)
    }

    /// The descriptor with this number, to change it.
    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.entries
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::BadF)
    }

    /// Gives a descriptor the lowest free number.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let free = self.free()?;
        match self.entries.get_mut(free) {
            Some(entry) => *entry = Some(descriptor),
            None => self.entries.push(Some(descriptor)),
        }
        u32::try_from(free).map_err(|_| Errno::MFile)
    }

    /// Fails if there is no number left.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        self.free().map(drop)
    }

    /// Takes a descriptor out.
    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.entries
            .get_mut(fd as usize)
            .and_then(Option::take)
            .ok_or(Errno::BadF)
    }

    /// Moves a descriptor to a number in use, closing what had that number.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(to)?;
        self.get(from)?;
        if from != to {
            let moved = self.remove(from)?;
            *self.get_mut(to)? = moved;
        }
        Ok(())
    }

    fn free(&self) -> Result<usize, Errno> {
        let free = self
            .entries
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.entries.len());
        if free < self.entries_max {
            Ok(free)
        } else {
            Err(Errno::MFile)
        }
    }
}
