//! Files and directories by path. Each function resolves its path to a directory and a single name with
//! [`crate::resolve`], and then acts on that name without following it.

use crate::abi::{self, FILESTAT_SIZE, FdFlags, OpenFlags, Rights, lookup_follow};
use crate::context::WasiCtx;
use crate::directory::Listing;
use crate::errno::Errno;
use crate::memory;
use crate::resolve::{Place, Resolver, locate, locate_followed, with_followed};
use crate::table::{Access, Descriptor, Directory, Object};
use crate::times::timestamps;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longer paths are refused before they are looked at.
const PATH_LEN_MAX: u32 = 4095;

const NEW_FILE: Mode = Mode::from_raw_mode(0o666);
const NEW_DIRECTORY: Mode = Mode::from_raw_mode(0o777);

/// Creates a directory.
pub fn path_create_directory(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let base = Base::mutable(ctx, fd, Rights::PATH_CREATE_DIRECTORY)?;
    let place = base.locate(path_bytes(mem, path, path_len)?)?;
    Ok(rustix::fs::mkdirat(
        place.parent(),
        place.name(),
        NEW_DIRECTORY,
    )?)
}

/// Removes an empty directory.
pub fn path_remove_directory(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let base = Base::mutable(ctx, fd, Rights::PATH_REMOVE_DIRECTORY)?;
    let place = base.locate(path_bytes(mem, path, path_len)?)?;
    Ok(rustix::fs::unlinkat(
        place.parent(),
        place.name(),
        AtFlags::REMOVEDIR,
    )?)
}

/// Removes a file or a link, not a directory.
pub fn path_unlink_file(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let base = Base::mutable(ctx, fd, Rights::PATH_UNLINK_FILE)?;
    let place = base.locate(path_bytes(mem, path, path_len)?)?;
    if place.must_be_directory {
        let is_directory = abi::file_type(&place.stat()?) == FileType::Directory;
        return Err(if is_directory {
            Errno::IsDir
        } else {
            Errno::NotDir
        });
    }
    Ok(rustix::fs::unlinkat(
        place.parent(),
        place.name(),
        AtFlags::empty(),
    )?)
}

/// Stores a file's metadata.
pub fn path_filestat_get(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Result<(), Errno> {
    memory::check(mem, stat, FILESTAT_SIZE)?;
    let follow = lookup_follow(flags)?;
    let base = Base::readable(ctx, fd, Rights::PATH_FILESTAT_GET)?;
    let found = base.stat(path_bytes(mem, path, path_len)?, follow)?;
    memory::write(mem, stat, &ctx.chance.filestat(&found))
}

/// Sets a file's times.
#[expect(clippy::too_many_arguments, reason = "the interface's own")]
pub fn path_filestat_set_times(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    access: u64,
    modification: u64,
    time_flags: u32,
) -> Result<(), Errno> {
    let follow = lookup_follow(flags)?;
    let times = timestamps(access, modification, time_flags)?;
    let base = Base::mutable(ctx, fd, Rights::PATH_FILESTAT_SET_TIMES)?;
    let place = base.locate_followed(path_bytes(mem, path, path_len)?, follow)?;
    place.check_directory()?;
    Ok(rustix::fs::utimensat(
        place.parent(),
        place.name(),
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// Makes a hard link.
#[expect(clippy::too_many_arguments, reason = "the interface's own")]
pub fn path_link(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Errno> {
    let follow = lookup_follow(old_flags)?;
    let old_path = path_bytes(mem, old_path, old_path_len)?;
    let new_path = path_bytes(mem, new_path, new_path_len)?;
    // A link to a file that may only be read would be a second way to it, perhaps through a directory that may be
    // written: so making one is a change of the old place too.
    let old =
        Base::mutable(ctx, old_fd, Rights::PATH_LINK_SOURCE)?.locate_followed(old_path, follow)?;
    let new = Base::mutable(ctx, new_fd, Rights::PATH_LINK_TARGET)?.locate(new_path)?;
    old.check_directory()?;
    refuse_new_directory(&new)?;
    Ok(rustix::fs::linkat(
        old.parent(),
        old.name(),
        new.parent(),
        new.name(),
        AtFlags::empty(),
    )?)
}

/// Renames a file or directory. Links are renamed, not followed.
#[expect(clippy::too_many_arguments, reason = "the interface's own")]
pub fn path_rename(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    old_fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Errno> {
    let old_path = path_bytes(mem, old_path, old_path_len)?;
    let new_path = path_bytes(mem, new_path, new_path_len)?;
    let old = Base::mutable(ctx, old_fd, Rights::PATH_RENAME_SOURCE)?.locate(old_path)?;
    let new = Base::mutable(ctx, new_fd, Rights::PATH_RENAME_TARGET)?.locate(new_path)?;
    let must_be_directory = old.must_be_directory || new.must_be_directory;
    if must_be_directory && abi::file_type(&old.stat()?) != FileType::Directory {
        return Err(Errno::NotDir);
    }
    Ok(rustix::fs::renameat(
        old.parent(),
        old.name(),
        new.parent(),
        new.name(),
    )?)
}

/// Makes a symbolic link. A target outside the sandbox by an absolute path is refused: the guest could not follow such
/// a link, but others on the host would.
pub fn path_symlink(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    target: u32,
    target_len: u32,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let target = path_bytes(mem, target, target_len)?;
    let base = Base::mutable(ctx, fd, Rights::PATH_SYMLINK)?;
    match target {
        [] => return Err(Errno::NoEnt),
        [b'/', ..] => return Err(Errno::NotCapable),
        _ if target.contains(&0) => return Err(Errno::Inval),
        _ => {}
    }
    let place = base.locate(path_bytes(mem, path, path_len)?)?;
    refuse_new_directory(&place)?;
    Ok(rustix::fs::symlinkat(target, place.parent(), place.name())?)
}

/// Stores a symbolic link's target, as much of it as fits, and the bytes used. An absolute target is a path of the host's,
/// which is not for the guest to know.
#[expect(clippy::too_many_arguments, reason = "the interface's own")]
pub fn path_readlink(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Result<(), Errno> {
    memory::check(mem, buf, buf_len)?;
    memory::check(mem, used, 4)?;
    let base = Base::readable(ctx, fd, Rights::PATH_READLINK)?;
    let place = base.locate_followed(path_bytes(mem, path, path_len)?, false)?;
    let target = rustix::fs::readlinkat(place.parent(), place.name(), Vec::new())?;
    let target = target.as_bytes();
    if target.first() == Some(&b'/') {
        return Err(Errno::NotCapable);
    }
    let len = target.len().min(buf_len as usize);
    memory::write(mem, buf, &target[..len])?;
    memory::write_u32(mem, used, len as u32)
}

/// Opens a file or directory, and stores its descriptor.
#[expect(clippy::too_many_arguments, reason = "the interface's own")]
pub fn path_open(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    rights_base: u64,
    rights_inheriting: u64,
    fdflags: u32,
    opened_fd: u32,
) -> Result<(), Errno> {
    memory::check(mem, opened_fd, 4)?;
    let opening = Opening {
        follow: lookup_follow(dirflags)?,
        oflags: OpenFlags::from_guest(oflags)?,
        fdflags: FdFlags::from_guest(fdflags)?,
        rights: Rights(rights_base),
        inheriting: Rights(rights_inheriting),
    };
    ctx.table.check_room()?;
    let base = Base::readable(ctx, fd, Rights::PATH_OPEN)?;
    let opened = opening.run(&base, path_bytes(mem, path, path_len)?)?;
    let opened = ctx.table.insert(opened)?;
    memory::write_u32(mem, opened_fd, opened)
}

/// What `path_open` was asked for.
struct Opening {
    follow: bool,
    oflags: OpenFlags,
    fdflags: FdFlags,
    rights: Rights,
    inheriting: Rights,
}

impl Opening {
    fn reads(&self) -> bool {
        self.rights.intersects(Rights::READING)
    }

    fn writes(&self) -> bool {
        self.rights.intersects(Rights::FD_WRITE) && !self.oflags.contains(OpenFlags::DIRECTORY)
    }

    fn run(&self, base: &Base<'_>, path: &[u8]) -> Result<Descriptor, Errno> {
        self.check_rights(base.descriptor)?;
        let mut flags = self.host_flags();
        if base.descriptor.access == Access::ReadOnly && self.changes() {
            self.refuse_change(base, path)?;
            flags -= OFlags::CREATE | OFlags::EXCL;
        }
        let open = |place: &Place<'_>| open_place(place, flags);
        let fd = if self.follow {
            with_followed(base.resolver, base.fd, path, open)?
        } else {
            open(&base.locate_followed(path, false)?)?
        };
        self.describe(base.descriptor, fd)
    }

    /// Whether this might change something: a file's contents, or that it exists.
    fn changes(&self) -> bool {
        self.writes()
            || self.oflags.contains(OpenFlags::CREATE)
            || self.oflags.contains(OpenFlags::TRUNCATE)
    }

    fn check_rights(&self, directory: &Descriptor) -> Result<(), Errno> {
        let needed = |wanted: bool, right: Rights| if wanted { right } else { Rights(0) };
        let inherited = self.rights & (Rights::FD_READ | Rights::FD_WRITE);
        if !directory.inheriting.contains(inherited) {
            return Err(Errno::NotCapable);
        }
        // A read-only directory is without these rights from the start, and has an error of its own.
        if directory.access == Access::ReadOnly {
            return Ok(());
        }
        let create = needed(
            self.oflags.contains(OpenFlags::CREATE),
            Rights::PATH_CREATE_FILE,
        );
        let truncate = needed(
            self.oflags.contains(OpenFlags::TRUNCATE),
            Rights::PATH_FILESTAT_SET_SIZE,
        );
        directory.require(create | truncate)
    }

    /// The answer to a change in a read-only directory: whatever else is wrong, or that. Opening a file that is there with
    /// a wish to create it if it were not is no change.
    fn refuse_change(&self, base: &Base<'_>, path: &[u8]) -> Result<(), Errno> {
        let creates = self.oflags.contains(OpenFlags::CREATE);
        let follow = self.follow
            && !self
                .oflags
                .contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        match base.stat(path, follow) {
            Ok(_)
                if self
                    .oflags
                    .contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) =>
            {
                Err(Errno::Exist)
            }
            Ok(stat) if abi::file_type(&stat) == FileType::Directory => Err(Errno::IsDir),
            Ok(_) if self.writes() || self.oflags.contains(OpenFlags::TRUNCATE) => Err(Errno::Rofs),
            Ok(_) => Ok(()),
            Err(Errno::NoEnt) if creates => Err(Errno::Rofs),
            Err(error) => Err(error),
        }
    }

    fn host_flags(&self) -> OFlags {
        let mut flags = match (self.reads(), self.writes()) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        let pairs = [
            (OpenFlags::CREATE, OFlags::CREATE),
            (OpenFlags::DIRECTORY, OFlags::DIRECTORY),
            // On its own, what this means is not defined.
            (OpenFlags::CREATE | OpenFlags::EXCLUSIVE, OFlags::EXCL),
            (OpenFlags::TRUNCATE, OFlags::TRUNC),
        ];
        for (guest, host) in pairs {
            flags.set(host, self.oflags.contains(guest));
        }
        flags | self.fdflags.to_host() | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NOFOLLOW
    }

    /// The descriptor for what was opened, with those of the rights asked for that it inherits and that make sense on it.
    fn describe(&self, parent: &Descriptor, fd: OwnedFd) -> Result<Descriptor, Errno> {
        let wanted = (self.rights | Rights::HARMLESS) & parent.inheriting;
        let is_directory = abi::file_type(&rustix::fs::fstat(&fd)?) == FileType::Directory;
        let (object, possible) = if is_directory {
            let directory = Directory {
                fd,
                preopened_as: None,
                listing: Listing::default(),
            };
            let possible = match parent.access {
                Access::ReadOnly => Rights::DIRECTORY & !Rights::DIRECTORY_MUTATING,
                Access::ReadWrite => Rights::DIRECTORY,
            };
            (Object::Directory(directory), possible)
        } else {
            let unwritable = if self.writes() {
                Rights(0)
            } else {
                Rights::WRITING & !Rights::FD_DATASYNC
            };
            // Without these, `wasi-libc` calls a character device a terminal.
            let unpositioned = if rustix::termios::isatty(&fd) {
                Rights::FD_SEEK | Rights::FD_TELL
            } else {
                Rights(0)
            };
            (Object::File(fd), Rights::FILE & !unwritable & !unpositioned)
        };
        Ok(Descriptor {
            object,
            access: parent.access,
            rights: wanted & possible,
            inheriting: self.inheriting & parent.inheriting,
            flags: self.fdflags,
        })
    }
}

/// Opens what a place holds. `flags` forbid following a link.
fn open_place(place: &Place<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    if place.must_be_directory && flags.contains(OFlags::CREATE) {
        return Err(Errno::IsDir);
    }
    let directory = if place.must_be_directory {
        OFlags::DIRECTORY
    } else {
        OFlags::empty()
    };
    Ok(rustix::fs::openat(
        place.parent(),
        place.name(),
        flags | directory,
        NEW_FILE,
    )?)
}

/// Fails if a path that is to name something new, and no directory, ends in a slash.
fn refuse_new_directory(place: &Place<'_>) -> Result<(), Errno> {
    match place.must_be_directory {
        true if place.stat().is_ok() => Err(Errno::Exist),
        true => Err(Errno::NoEnt),
        false => Ok(()),
    }
}

fn path_bytes(mem: &[u8], path: u32, path_len: u32) -> Result<&[u8], Errno> {
    let bytes = memory::bytes(mem, path, path_len)?;
    if path_len > PATH_LEN_MAX {
        Err(Errno::NameTooLong)
    } else {
        Ok(bytes)
    }
}

/// The directory that a path is relative to.
struct Base<'ctx> {
    resolver: Resolver,
    descriptor: &'ctx Descriptor,
    fd: BorrowedFd<'ctx>,
}

impl<'ctx> Base<'ctx> {
    /// The directory `fd`, for an operation that changes nothing and needs `rights`.
    fn readable(ctx: &'ctx WasiCtx, fd: u32, rights: Rights) -> Result<Base<'ctx>, Errno> {
        let descriptor = ctx.table.get(fd)?;
        let directory = descriptor.directory()?;
        descriptor.require(rights)?;
        Ok(Base {
            resolver: ctx.resolver,
            descriptor,
            fd: directory.fd.as_fd(),
        })
    }

    /// The directory `fd`, for an operation that changes something and needs `rights`.
    fn mutable(ctx: &'ctx WasiCtx, fd: u32, rights: Rights) -> Result<Base<'ctx>, Errno> {
        let descriptor = ctx.table.get(fd)?;
        let directory = descriptor.directory()?;
        descriptor.require_mutable(rights)?;
        Ok(Base {
            resolver: ctx.resolver,
            descriptor,
            fd: directory.fd.as_fd(),
        })
    }

    fn locate(&self, path: &[u8]) -> Result<Place<'ctx>, Errno> {
        locate(self.resolver, self.fd, path)
    }

    fn locate_followed(&self, path: &[u8], follow: bool) -> Result<Place<'ctx>, Errno> {
        locate_followed(self.resolver, self.fd, path, follow)
    }

    fn stat(&self, path: &[u8], follow: bool) -> Result<Stat, Errno> {
        let mut place = self.locate(path)?;
        let mut stat = place.stat()?;
        if abi::file_type(&stat) == FileType::Symlink && (follow || place.must_be_directory) {
            place = self.locate_followed(path, follow)?;
            stat = place.stat()?;
            if abi::file_type(&stat) == FileType::Symlink {
                // Put there just now.
                return Err(Errno::Loop);
            }
        }
        if place.must_be_directory && abi::file_type(&stat) != FileType::Directory {
            return Err(Errno::NotDir);
        }
        Ok(stat)
    }
}
