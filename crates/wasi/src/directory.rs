//! Listing a directory in pieces, the way `fd_readdir` wants it: each piece starts at a cookie that an earlier one gave
//! out, and its last entry is cut off where the guest's buffer ends.
//!
//! A cookie is the number of entries before it. The host's own cookies would not do: they are 64-bit hashes on
//! common file systems, and a guest's `telldir` returns 32 bits. The host positions behind the cookies of the latest piece
//! are remembered, since that is where the next one starts; any other cookie is found by counting from the
//! beginning. So no listing is ever held, however large the directory, and removing entries while listing skips none.

use crate::abi::{self, DIRENT_SIZE, GuestFileType};
use crate::errno::Errno;
use rustix::fs::{AtFlags, FileType, RawDir, RawDirEntry, SeekFrom};
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// Positions remembered; a piece with more entries than this forgets its first ones.
const MARKS_MAX: usize = 4096;

/// Bytes of entries asked of the host at once.
const HOST_BUFFER_SIZE: usize = 8192;

/// A cookie that was given out, and the host's position for it.
struct Mark {
    cookie: u64,
    position: u64,
}

/// Where in a directory the guest's cookies lie.
#[derive(Default)]
pub(crate) struct Listing {
    marks: VecDeque<Mark>,
}

impl Listing {
    /// Fills `out` with the entries from `cookie` on and returns the bytes used: less than `out.len()` only at the end. Files
    /// have the numbers that `number` makes of the host's.
    pub(crate) fn read(
        &mut self,
        fd: BorrowedFd<'_>,
        cookie: u64,
        out: &mut [u8],
        mut number: impl FnMut(u64, u64) -> u64,
    ) -> Result<usize, Errno> {
        let own = rustix::fs::fstat(fd)?;
        let (mut index, position) = self.start(cookie);
        rustix::fs::seek(fd, SeekFrom::Start(position))?;
        self.marks.clear();
        self.mark(index, position);

        let mut buffer = [MaybeUninit::uninit(); HOST_BUFFER_SIZE];
        let mut entries = RawDir::new(fd, &mut buffer);
        let mut used = 0;
        while used < out.len() {
            let Some(entry) = entries.next() else { break };
            let entry = entry?;
            index += 1;
            if index > cookie {
                // What lies above is none of the guest's business, not even its number.
                let inode = match entry.file_name().to_bytes() {
                    b".." => own.st_ino,
                    _ => entry.ino(),
                };
                let inode = number(own.st_dev, inode);
                used += put(&mut out[used..], index, &entry, inode, fd);
            }
            self.mark(index, entry.next_entry_cookie());
        }
        Ok(used)
    }

    /// The last position known at or before `cookie`: its own, or the beginning.
    fn start(&self, cookie: u64) -> (u64, u64) {
        let known = self
            .marks
            .iter()
            .find(|mark| mark.cookie == cookie && cookie != 0);
        known.map_or((0, 0), |mark| (mark.cookie, mark.position))
    }

    fn mark(&mut self, cookie: u64, position: u64) {
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { cookie, position });
    }
}

/// Writes as much of an entry as `out` has room for.
fn put(
    out: &mut [u8],
    next: u64,
    entry: &RawDirEntry<'_>,
    inode: u64,
    fd: BorrowedFd<'_>,
) -> usize {
    let name = entry.file_name().to_bytes();
    let header = abi::dirent(next, inode, name.len() as u32, kind(entry, fd));
    let header_len = DIRENT_SIZE.min(out.len());
    out[..header_len].copy_from_slice(&header[..header_len]);
    let rest = &mut out[header_len..];
    let name_len = name.len().min(rest.len());
    rest[..name_len].copy_from_slice(&name[..name_len]);
    header_len + name_len
}

/// An entry's type, asked for where the file system does not tell it along with the name.
fn kind(entry: &RawDirEntry<'_>, fd: BorrowedFd<'_>) -> GuestFileType {
    match entry.file_type() {
        FileType::Unknown => {
            let stat = rustix::fs::statat(fd.as_fd(), entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
            stat.map_or(GuestFileType::Unknown, |stat| abi::file_type(&stat).into())
        }
        known => known.into(),
    }
}
