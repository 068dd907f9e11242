//! The vocabulary of `wasi_snapshot_preview1`: rights, flags, file types, and the memory layout of the structures that
//! cross the boundary. Numbers here are the interface's, not the host's.

use crate::errno::Errno;
use rustix::fs::{FileType, OFlags, Stat};
use std::ops::{BitAnd, BitOr, Not};

/// What a descriptor may be used for: the `rights` flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights(pub(crate) u64);

impl Rights {
    pub(crate) const FD_DATASYNC: Rights = Rights(1 << 0);
    pub(crate) const FD_READ: Rights = Rights(1 << 1);
    pub(crate) const FD_SEEK: Rights = Rights(1 << 2);
    pub(crate) const FD_FDSTAT_SET_FLAGS: Rights = Rights(1 << 3);
    pub(crate) const FD_SYNC: Rights = Rights(1 << 4);
    pub(crate) const FD_TELL: Rights = Rights(1 << 5);
    pub(crate) const FD_WRITE: Rights = Rights(1 << 6);
    pub(crate) const FD_ADVISE: Rights = Rights(1 << 7);
    pub(crate) const FD_ALLOCATE: Rights = Rights(1 << 8);
    pub(crate) const PATH_CREATE_DIRECTORY: Rights = Rights(1 << 9);
    pub(crate) const PATH_CREATE_FILE: Rights = Rights(1 << 10);
    pub(crate) const PATH_LINK_SOURCE: Rights = Rights(1 << 11);
    pub(crate) const PATH_LINK_TARGET: Rights = Rights(1 << 12);
    pub(crate) const PATH_OPEN: Rights = Rights(1 << 13);
    pub(crate) const FD_READDIR: Rights = Rights(1 << 14);
    pub(crate) const PATH_READLINK: Rights = Rights(1 << 15);
    pub(crate) const PATH_RENAME_SOURCE: Rights = Rights(1 << 16);
    pub(crate) const PATH_RENAME_TARGET: Rights = Rights(1 << 17);
    pub(crate) const PATH_FILESTAT_GET: Rights = Rights(1 << 18);
    pub(crate) const PATH_FILESTAT_SET_SIZE: Rights = Rights(1 << 19);
    pub(crate) const PATH_FILESTAT_SET_TIMES: Rights = Rights(1 << 20);
    pub(crate) const FD_FILESTAT_GET: Rights = Rights(1 << 21);
    pub(crate) const FD_FILESTAT_SET_SIZE: Rights = Rights(1 << 22);
    pub(crate) const FD_FILESTAT_SET_TIMES: Rights = Rights(1 << 23);
    pub(crate) const PATH_SYMLINK: Rights = Rights(1 << 24);
    pub(crate) const PATH_REMOVE_DIRECTORY: Rights = Rights(1 << 25);
    pub(crate) const PATH_UNLINK_FILE: Rights = Rights(1 << 26);
    pub(crate) const POLL_FD_READWRITE: Rights = Rights(1 << 27);

    /// Rights that change nothing and reveal nothing beyond an open descriptor. A new descriptor always has them: guests
    /// that ask for no rights at all and then call `fd_filestat_get` exist.
    pub(crate) const HARMLESS: Rights = Rights(
        Self::FD_SEEK.0
            | Self::FD_FDSTAT_SET_FLAGS.0
            | Self::FD_SYNC.0
            | Self::FD_TELL.0
            | Self::FD_ADVISE.0
            | Self::FD_FILESTAT_GET.0
            | Self::POLL_FD_READWRITE.0,
    );

    /// Asking for one of these opens a file for reading.
    pub(crate) const READING: Rights = Rights(Self::FD_READ.0 | Self::FD_READDIR.0);

    /// Asking for one of these opens a file for writing.
    pub(crate) const WRITING: Rights = Rights(
        Self::FD_DATASYNC.0 | Self::FD_WRITE.0 | Self::FD_ALLOCATE.0 | Self::FD_FILESTAT_SET_SIZE.0,
    );

    /// All that makes sense for a file.
    pub(crate) const FILE: Rights = Rights(
        Self::HARMLESS.0 | Self::WRITING.0 | Self::FD_READ.0 | Self::FD_FILESTAT_SET_TIMES.0,
    );

    /// Of a directory's rights, those that change what is in it.
    pub(crate) const DIRECTORY_MUTATING: Rights = Rights(
        Self::PATH_CREATE_DIRECTORY.0
            | Self::PATH_CREATE_FILE.0
            | Self::PATH_LINK_SOURCE.0
            | Self::PATH_LINK_TARGET.0
            | Self::PATH_RENAME_SOURCE.0
            | Self::PATH_RENAME_TARGET.0
            | Self::PATH_FILESTAT_SET_SIZE.0
            | Self::PATH_FILESTAT_SET_TIMES.0
            | Self::FD_FILESTAT_SET_TIMES.0
            | Self::PATH_SYMLINK.0
            | Self::PATH_REMOVE_DIRECTORY.0
            | Self::PATH_UNLINK_FILE.0,
    );

    /// All that makes sense for a directory.
    pub(crate) const DIRECTORY: Rights = Rights(
        Self::DIRECTORY_MUTATING.0
            | Self::FD_FDSTAT_SET_FLAGS.0
            | Self::FD_SYNC.0
            | Self::FD_DATASYNC.0
            | Self::PATH_OPEN.0
            | Self::FD_READDIR.0
            | Self::PATH_READLINK.0
            | Self::PATH_FILESTAT_GET.0
            | Self::FD_FILESTAT_GET.0
            | Self::POLL_FD_READWRITE.0,
    );

    /// Whether all of `wanted` are in here.
    pub(crate) fn contains(self, wanted: Rights) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Whether any of `wanted` is in here.
    pub(crate) fn intersects(self, wanted: Rights) -> bool {
        self.0 & wanted.0 != 0
    }
}

impl BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Rights;
    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl Not for Rights {
    type Output = Rights;
    fn not(self) -> Rights {
        Rights(!self.0)
    }
}

/// `fdflags`: how reads and writes of a descriptor behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FdFlags(pub(crate) u16);

impl FdFlags {
    pub(crate) const APPEND: u16 = 1 << 0;
    pub(crate) const DSYNC: u16 = 1 << 1;
    pub(crate) const NONBLOCK: u16 = 1 << 2;
    pub(crate) const RSYNC: u16 = 1 << 3;
    pub(crate) const SYNC: u16 = 1 << 4;

    /// Refuses bits that the interface does not define.
    pub(crate) fn from_guest(raw: u32) -> Result<FdFlags, Errno> {
        known_bits(raw, 0x1f).map(|bits| FdFlags(bits as u16))
    }

    pub(crate) fn contains(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    /// The same in the host's terms.
    pub(crate) fn to_host(self) -> OFlags {
        let pairs = [
            (Self::APPEND, OFlags::APPEND),
            (Self::DSYNC, OFlags::DSYNC),
            (Self::NONBLOCK, OFlags::NONBLOCK),
            (Self::RSYNC, OFlags::RSYNC),
            (Self::SYNC, OFlags::SYNC),
        ];
        let set = pairs.into_iter().filter(|&(bit, _)| self.contains(bit));
        set.fold(OFlags::empty(), |flags, (_, flag)| flags | flag)
    }
}

/// `oflags`: what `path_open` should do besides opening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFlags(u32);

impl OpenFlags {
    pub(crate) const CREATE: u32 = 1 << 0;
    pub(crate) const DIRECTORY: u32 = 1 << 1;
    pub(crate) const EXCLUSIVE: u32 = 1 << 2;
    pub(crate) const TRUNCATE: u32 = 1 << 3;

    /// Refuses bits that the interface does not define, and the creation of directories, which `path_open` does not do.
    pub(crate) fn from_guest(raw: u32) -> Result<OpenFlags, Errno> {
        let flags = OpenFlags(known_bits(raw, 0xf)?);
        if flags.contains(Self::CREATE | Self::DIRECTORY) {
            return Err(Errno::Inval);
        }
        Ok(flags)
    }

    pub(crate) fn contains(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
}

/// `lookupflags`: whether to follow a symbolic link in a path's last component.
pub(crate) fn lookup_follow(raw: u32) -> Result<bool, Errno> {
    known_bits(raw, 1).map(|bits| bits == 1)
}

/// Refuses a flags word with a bit outside `known`.
pub(crate) fn known_bits(raw: u32, known: u32) -> Result<u32, Errno> {
    if raw & !known == 0 {
        Ok(raw)
    } else {
        Err(Errno::Inval)
    }
}

/// `filetype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum GuestFileType {
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketStream = 6,
    SymbolicLink = 7,
}

impl From<FileType> for GuestFileType {
    fn from(host: FileType) -> GuestFileType {
        match host {
            FileType::RegularFile => GuestFileType::RegularFile,
            FileType::Directory => GuestFileType::Directory,
            FileType::Symlink => GuestFileType::SymbolicLink,
            FileType::CharacterDevice => GuestFileType::CharacterDevice,
            FileType::BlockDevice => GuestFileType::BlockDevice,
            FileType::Socket => GuestFileType::SocketStream,
            _ => GuestFileType::Unknown,
        }
    }
}

/// The type of the file that `stat` describes.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Size of a `fdstat`.
pub(crate) const FDSTAT_SIZE: u32 = 24;

/// Lays out a `fdstat`.
pub(crate) fn fdstat(
    kind: GuestFileType,
    flags: FdFlags,
    base: Rights,
    inheriting: Rights,
) -> [u8; 24] {
    let mut out = [0; FDSTAT_SIZE as usize];
    out[0] = kind as u8;
    out[2..4].copy_from_slice(&flags.0.to_le_bytes());
    out[8..16].copy_from_slice(&base.0.to_le_bytes());
    out[16..24].copy_from_slice(&inheriting.0.to_le_bytes());
    out
}

/// Size of a `filestat`.
pub(crate) const FILESTAT_SIZE: u32 = 64;

/// Lays out a `filestat` of a host file.
#[allow(
    clippy::unnecessary_cast,
    reason = "the width of a link count differs between architectures"
)]
pub(crate) fn filestat(stat: &Stat) -> [u8; 64] {
    let mut out = [0; FILESTAT_SIZE as usize];
    out[0..8].copy_from_slice(&stat.st_dev.to_le_bytes());
    out[8..16].copy_from_slice(&stat.st_ino.to_le_bytes());
    out[16] = GuestFileType::from(file_type(stat)) as u8;
    out[24..32].copy_from_slice(&(stat.st_nlink as u64).to_le_bytes());
    out[32..40].copy_from_slice(&(stat.st_size.max(0) as u64).to_le_bytes());
    out[40..48].copy_from_slice(&timestamp(stat.st_atime, stat.st_atime_nsec).to_le_bytes());
    out[48..56].copy_from_slice(&timestamp(stat.st_mtime, stat.st_mtime_nsec).to_le_bytes());
    out[56..64].copy_from_slice(&timestamp(stat.st_ctime, stat.st_ctime_nsec).to_le_bytes());
    out
}

/// A `timestamp`: nanoseconds since the epoch, which cannot express what lies before it or after the year 2554.
pub(crate) fn timestamp(seconds: i64, nanoseconds: u64) -> u64 {
    u64::try_from(seconds)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// Size of the fixed part of a `dirent`; the name follows it.
pub(crate) const DIRENT_SIZE: usize = 24;

/// Lays out the fixed part of a `dirent`.
pub(crate) fn dirent(
    next: u64,
    inode: u64,
    name_len: u32,
    kind: GuestFileType,
) -> [u8; DIRENT_SIZE] {
    let mut out = [0; DIRENT_SIZE];
    out[0..8].copy_from_slice(&next.to_le_bytes());
    out[8..16].copy_from_slice(&inode.to_le_bytes());
    out[16..20].copy_from_slice(&name_len.to_le_bytes());
    out[20] = kind as u8;
    out
}
