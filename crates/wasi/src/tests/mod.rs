//! A guest without an engine: a context, some memory, and calls of the functions the way a C library makes them.

mod deterministic;
mod environment;
mod files;
mod hostile;
mod listing;
mod paths;
mod poll;
mod read_only;
mod sandbox;
mod streams;

use crate::resolve::Resolver;
use crate::{Access, Errno, FUNCTIONS, WasiCtx, WasiCtxBuilder, snapshot};
use std::path::Path;
use tempfile::TempDir;

/// The first preopened directory.
const DIR: u32 = 3;

const FOLLOW: u32 = 1;
const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

const APPEND: u32 = 1;

const FD_READ: u64 = 1 << 1;
const FD_SEEK: u64 = 1 << 2;
const FD_TELL: u64 = 1 << 5;
const FD_WRITE: u64 = 1 << 6;
const ALL_RIGHTS: u64 = (1 << 30) - 1;

/// Results are stored here; strings and buffers come after.
const RESULT: u32 = 0;
const SCRATCH: u32 = 128;

struct Guest {
    ctx: WasiCtx,
    mem: Vec<u8>,
    next: u32,
}

/// A function that takes a directory and a path, and no more.
type PathFunction = fn(&mut WasiCtx, &mut [u8], u32, u32, u32) -> Result<(), Errno>;

/// What `path_filestat_get` and `fd_filestat_get` tell.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    inode: u64,
    kind: u8,
    links: u64,
    size: u64,
    accessed: u64,
    modified: u64,
}

impl Guest {
    fn new(ctx: WasiCtx) -> Guest {
        Guest {
            ctx,
            mem: vec![0; 256 * 1024],
            next: SCRATCH,
        }
    }

    /// A guest with one directory that it may change, as descriptor 3.
    fn in_directory(path: &Path) -> Guest {
        let builder = WasiCtxBuilder::new().preopened_dir(path, "/box", Access::ReadWrite);
        Guest::new(builder.build().unwrap())
    }

    fn with_resolver(mut self, resolver: Resolver) -> Guest {
        self.ctx.resolver = resolver;
        self
    }

    /// Puts bytes into memory.
    fn put(&mut self, bytes: &[u8]) -> (u32, u32) {
        let at = self.next;
        self.mem[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        self.next += (bytes.len() as u32).next_multiple_of(8);
        (at, bytes.len() as u32)
    }

    /// Calls a function with fresh memory, paths and all.
    fn call<T>(&mut self, function: impl FnOnce(&mut Guest) -> T) -> T {
        self.next = SCRATCH;
        function(self)
    }

    fn u32_at(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.mem[at as usize..at as usize + 4].try_into().unwrap())
    }

    fn u64_at(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.mem[at as usize..at as usize + 8].try_into().unwrap())
    }

    /// Opens for reading and writing, following links.
    fn open(&mut self, path: &str, oflags: u32) -> Result<u32, Errno> {
        self.open_with(
            DIR,
            FOLLOW,
            path,
            oflags,
            FD_READ | FD_WRITE | (1 << 8) | (1 << 22) | (1 << 23),
            0,
        )
    }

    /// Opens for reading, following links.
    fn open_to_read(&mut self, path: &str) -> Result<u32, Errno> {
        self.open_with(DIR, FOLLOW, path, 0, FD_READ | (1 << 14), 0)
    }

    /// Opens a directory with all rights.
    fn open_directory(&mut self, path: &str) -> Result<u32, Errno> {
        self.open_with(DIR, FOLLOW, path, DIRECTORY, ALL_RIGHTS, 0)
    }

    fn open_with(
        &mut self,
        dir: u32,
        follow: u32,
        path: &str,
        oflags: u32,
        rights: u64,
        fdflags: u32,
    ) -> Result<u32, Errno> {
        self.call(|g| {
            let (path, len) = g.put(path.as_bytes());
            let (ctx, mem) = (&mut g.ctx, &mut g.mem[..]);
            snapshot::path_open(
                ctx, mem, dir, follow, path, len, oflags, rights, ALL_RIGHTS, fdflags, RESULT,
            )?;
            Ok(g.u32_at(RESULT))
        })
    }

    fn close(&mut self, fd: u32) {
        snapshot::fd_close(&mut self.ctx, &mut self.mem, fd).unwrap();
    }

    fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, Errno> {
        self.call(|g| {
            let (buf, len) = g.put(bytes);
            let (iovs, _) = g.put(&[buf.to_le_bytes(), len.to_le_bytes()].concat());
            snapshot::fd_write(&mut g.ctx, &mut g.mem, fd, iovs, 1, RESULT)?;
            Ok(g.u32_at(RESULT))
        })
    }

    fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
        self.call(|g| {
            let (iovs, _) = g.put(&[1024u32.to_le_bytes(), len.to_le_bytes()].concat());
            snapshot::fd_read(&mut g.ctx, &mut g.mem, fd, iovs, 1, RESULT)?;
            let read = g.u32_at(RESULT);
            Ok(g.mem[1024..1024 + read as usize].to_vec())
        })
    }

    fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, Errno> {
        snapshot::fd_seek(&mut self.ctx, &mut self.mem, fd, offset, whence, RESULT)?;
        Ok(self.u64_at(RESULT))
    }

    fn tell(&mut self, fd: u32) -> Result<u64, Errno> {
        snapshot::fd_tell(&mut self.ctx, &mut self.mem, fd, RESULT)?;
        Ok(self.u64_at(RESULT))
    }

    fn stat(&mut self, path: &str, follow: u32) -> Result<Stat, Errno> {
        self.call(|g| {
            let (path, len) = g.put(path.as_bytes());
            snapshot::path_filestat_get(&mut g.ctx, &mut g.mem, DIR, follow, path, len, RESULT)?;
            Ok(g.stat_result())
        })
    }

    fn fd_stat(&mut self, fd: u32) -> Result<Stat, Errno> {
        snapshot::fd_filestat_get(&mut self.ctx, &mut self.mem, fd, RESULT)?;
        Ok(self.stat_result())
    }

    fn stat_result(&self) -> Stat {
        Stat {
            inode: self.u64_at(8),
            kind: self.mem[16],
            links: self.u64_at(24),
            size: self.u64_at(32),
            accessed: self.u64_at(40),
            modified: self.u64_at(48),
        }
    }

    /// A descriptor's type, flags and rights.
    fn fdstat(&mut self, fd: u32) -> Result<(u8, u16, u64, u64), Errno> {
        snapshot::fd_fdstat_get(&mut self.ctx, &mut self.mem, fd, RESULT)?;
        let flags = u16::from_le_bytes([self.mem[2], self.mem[3]]);
        Ok((self.mem[0], flags, self.u64_at(8), self.u64_at(16)))
    }

    fn mkdir(&mut self, path: &str) -> Result<(), Errno> {
        self.with_path(path, snapshot::path_create_directory)
    }

    fn rmdir(&mut self, path: &str) -> Result<(), Errno> {
        self.with_path(path, snapshot::path_remove_directory)
    }

    fn unlink(&mut self, path: &str) -> Result<(), Errno> {
        self.with_path(path, snapshot::path_unlink_file)
    }

    fn with_path(&mut self, path: &str, function: PathFunction) -> Result<(), Errno> {
        self.call(|g| {
            let (path, len) = g.put(path.as_bytes());
            function(&mut g.ctx, &mut g.mem, DIR, path, len)
        })
    }

    fn symlink(&mut self, target: &str, path: &str) -> Result<(), Errno> {
        self.call(|g| {
            let (target, target_len) = g.put(target.as_bytes());
            let (path, len) = g.put(path.as_bytes());
            snapshot::path_symlink(&mut g.ctx, &mut g.mem, target, target_len, DIR, path, len)
        })
    }

    fn readlink(&mut self, path: &str, buf_len: u32) -> Result<Vec<u8>, Errno> {
        self.call(|g| {
            let (path, len) = g.put(path.as_bytes());
            let buf = 8192;
            snapshot::path_readlink(&mut g.ctx, &mut g.mem, DIR, path, len, buf, buf_len, RESULT)?;
            let used = g.u32_at(RESULT);
            Ok(g.mem[buf as usize..(buf + used) as usize].to_vec())
        })
    }

    fn rename(&mut self, old: &str, new: &str) -> Result<(), Errno> {
        self.rename_between(DIR, old, DIR, new)
    }

    fn rename_between(
        &mut self,
        old_dir: u32,
        old: &str,
        new_dir: u32,
        new: &str,
    ) -> Result<(), Errno> {
        self.call(|g| {
            let (old, old_len) = g.put(old.as_bytes());
            let (new, new_len) = g.put(new.as_bytes());
            let (ctx, mem) = (&mut g.ctx, &mut g.mem[..]);
            snapshot::path_rename(ctx, mem, old_dir, old, old_len, new_dir, new, new_len)
        })
    }

    fn link(&mut self, follow: u32, old: &str, new: &str) -> Result<(), Errno> {
        self.link_between(DIR, follow, old, DIR, new)
    }

    fn link_between(
        &mut self,
        old_dir: u32,
        follow: u32,
        old: &str,
        new_dir: u32,
        new: &str,
    ) -> Result<(), Errno> {
        self.call(|g| {
            let (old, old_len) = g.put(old.as_bytes());
            let (new, new_len) = g.put(new.as_bytes());
            let (ctx, mem) = (&mut g.ctx, &mut g.mem[..]);
            snapshot::path_link(
                ctx, mem, old_dir, follow, old, old_len, new_dir, new, new_len,
            )
        })
    }

    fn set_times(
        &mut self,
        follow: u32,
        path: &str,
        atime: u64,
        mtime: u64,
        flags: u32,
    ) -> Result<(), Errno> {
        self.call(|g| {
            let (path, len) = g.put(path.as_bytes());
            let (ctx, mem) = (&mut g.ctx, &mut g.mem[..]);
            snapshot::path_filestat_set_times(ctx, mem, DIR, follow, path, len, atime, mtime, flags)
        })
    }
}

/// A guest in an empty directory, which lives as long as the first of the two.
fn guest() -> (TempDir, Guest) {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::in_directory(dir.path());
    (dir, guest)
}

#[test]
fn the_list_of_functions_is_complete() {
    assert_eq!(FUNCTIONS.len(), 46);
    let signature = |name: &str| {
        let function = FUNCTIONS
            .iter()
            .find(|function| function.name == name)
            .unwrap();
        let types = function.params.iter().map(|ty| match ty {
            crate::ValueType::I32 => 'i',
            crate::ValueType::I64 => 'I',
        });
        (types.collect::<String>(), function.has_result)
    };
    // As `wasi-libc` declares them.
    assert_eq!(signature("path_open"), ("iiiiiIIii".to_owned(), true));
    assert_eq!(signature("fd_seek"), ("iIii".to_owned(), true));
    assert_eq!(signature("fd_readdir"), ("iiiIi".to_owned(), true));
    assert_eq!(signature("clock_time_get"), ("iIi".to_owned(), true));
    assert_eq!(
        signature("path_filestat_set_times"),
        ("iiiiIIi".to_owned(), true)
    );
    assert_eq!(signature("sched_yield"), (String::new(), true));
    assert_eq!(signature("proc_exit"), ("i".to_owned(), false));
    let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 46);
}

#[test]
fn functions_can_be_called_through_the_list() {
    let ctx = &mut WasiCtxBuilder::new().arg("prog").build().unwrap();
    let mem = &mut [0; 64];
    let call = |ctx: &mut WasiCtx, mem: &mut [u8], name: &str, args: &[u64]| {
        let function = FUNCTIONS
            .iter()
            .find(|function| function.name == name)
            .unwrap();
        (function.call)(ctx, mem, args)
    };
    assert_eq!(call(ctx, mem, "args_sizes_get", &[0, 4]), Ok(0));
    assert_eq!(mem[..8], [1, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(call(ctx, mem, "fd_close", &[77]), Ok(Errno::BadF as i32));
    assert_eq!(
        call(ctx, mem, "proc_exit", &[42]),
        Err(snapshot::Exit { code: 42 })
    );
    assert_eq!(call(ctx, mem, "proc_raise", &[9]), Ok(Errno::NotSup as i32));
    assert_eq!(call(ctx, mem, "sched_yield", &[]), Ok(0));
}
