//! A guest that passes nonsense: nothing may panic, hang, allocate much, or leave an effect behind a reported failure.

use super::{CREATE, DIR, Guest, RESULT, guest};
use crate::{Capture, Errno, FUNCTIONS, Input, WasiCtxBuilder, snapshot};
use std::time::{Duration, Instant};

#[test]
fn bad_pointers_fault() {
    let (dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    let end = guest.mem.len() as u32;
    let put_iovec = |guest: &mut Guest, ptr: u32, len: u32| {
        guest.mem[512..516].copy_from_slice(&ptr.to_le_bytes());
        guest.mem[516..520].copy_from_slice(&len.to_le_bytes());
    };
    for (ptr, len) in [
        (end, 1),
        (end - 1, 2),
        (0, u32::MAX),
        (u32::MAX, u32::MAX),
        (u32::MAX, 0),
        (end + 1, 0),
    ] {
        put_iovec(&mut guest, ptr, len);
        let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
        assert_eq!(
            snapshot::fd_write(ctx, mem, fd, 512, 1, RESULT),
            Err(Errno::Fault)
        );
        assert_eq!(
            snapshot::fd_read(ctx, mem, fd, 512, 1, RESULT),
            Err(Errno::Fault)
        );
        assert_eq!(
            snapshot::fd_pwrite(ctx, mem, fd, 512, 1, 0, RESULT),
            Err(Errno::Fault)
        );
        assert_eq!(
            snapshot::fd_pread(ctx, mem, fd, 512, 1, 0, RESULT),
            Err(Errno::Fault)
        );
    }
    put_iovec(&mut guest, 0, 4);
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    for (iovs, len) in [
        (end, 1),
        (end - 7, 1),
        (0, u32::MAX),
        (u32::MAX, 1),
        (512, 1 << 29),
    ] {
        assert_eq!(
            snapshot::fd_write(ctx, mem, fd, iovs, len, RESULT),
            Err(Errno::Fault)
        );
        assert_eq!(
            snapshot::fd_read(ctx, mem, fd, iovs, len, RESULT),
            Err(Errno::Fault)
        );
    }
    // Nothing was done although only the place for the result was bad.
    assert_eq!(
        snapshot::fd_write(ctx, mem, fd, 512, 1, end - 3),
        Err(Errno::Fault)
    );
    mem[600..603].copy_from_slice(b"new");
    assert_eq!(
        snapshot::path_open(ctx, mem, DIR, 0, 600, 3, CREATE, 2, 0, 0, end - 3),
        Err(Errno::Fault)
    );
    assert_eq!(
        snapshot::path_create_directory(ctx, mem, DIR, end - 2, 3),
        Err(Errno::Fault)
    );
    assert_eq!(
        snapshot::path_filestat_get(ctx, mem, DIR, 0, 600, 3, end - 63),
        Err(Errno::Fault)
    );
    assert_eq!(guest.fd_stat(fd).unwrap().size, 0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn empty_reads_and_writes_do_nothing() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    mem[0] = 9;
    snapshot::fd_write(ctx, mem, fd, 512, 0, RESULT).unwrap();
    snapshot::fd_read(ctx, mem, fd, 512, 0, RESULT).unwrap();
    snapshot::fd_read(ctx, mem, 0, 512, 0, RESULT).unwrap();
    snapshot::fd_write(ctx, mem, 1, 512, 0, RESULT).unwrap();
    assert_eq!(mem[0], 0);
    // Ten empty buffers.
    snapshot::fd_read(ctx, mem, fd, 512, 10, RESULT).unwrap();
    snapshot::fd_read(ctx, mem, 0, 512, 10, RESULT).unwrap();
}

#[test]
fn huge_arrays_of_buffers_cost_little() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::in_directory(dir.path());
    let fd = guest.open("file", CREATE).unwrap();
    // 32 MiB of buffers, all the same two bytes, or all empty.
    guest.mem = vec![0; 32 << 20];
    let count = (guest.mem.len() / 8) as u32;
    let start = Instant::now();
    snapshot::fd_write(&mut guest.ctx, &mut guest.mem, fd, 0, count, RESULT).unwrap();
    snapshot::fd_read(&mut guest.ctx, &mut guest.mem, fd, 0, count, RESULT).unwrap();
    for entry in guest.mem.chunks_exact_mut(8) {
        entry.copy_from_slice(&[0, 1, 0, 0, 2, 0, 0, 0]);
    }
    snapshot::fd_write(&mut guest.ctx, &mut guest.mem, fd, 0, count, RESULT).unwrap();
    assert_eq!(guest.u32_at(RESULT), 2048);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(guest.fd_stat(fd).unwrap().size, 2048);
}

#[test]
fn long_paths_are_refused_before_they_are_read() {
    let (_dir, mut guest) = guest();
    guest.mem = vec![b'a'; 8 << 20];
    let len = guest.mem.len() as u32;
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(
        snapshot::path_create_directory(ctx, mem, DIR, 0, len),
        Err(Errno::NameTooLong)
    );
    assert_eq!(
        snapshot::path_symlink(ctx, mem, 0, len, DIR, 0, 1),
        Err(Errno::NameTooLong)
    );
    assert_eq!(
        snapshot::path_create_directory(ctx, mem, DIR, 0, len + 1),
        Err(Errno::Fault)
    );
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An argument: a small number, a flag, a place in memory, one just outside, or anything.
    fn argument(&mut self, mem_len: u64) -> u64 {
        let value = self.next();
        match value % 8 {
            0..=2 => (value >> 8) % 8,
            3 => 1 << ((value >> 8) % 32),
            4 => (value >> 8) % mem_len,
            5 => mem_len - (value >> 8) % 64,
            6 => u64::MAX - (value >> 8) % 8,
            _ => value,
        }
    }
}

#[test]
fn nonsense_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("outside/box")).unwrap();
    let mut successes = 0;
    for seed in 1..=20 {
        let capture = Capture::new(1 << 16);
        let builder = WasiCtxBuilder::new()
            .args(["prog", "x"])
            .stdin(Input::bytes("input"))
            .stdout(capture.output())
            .preopened_dir(
                dir.path().join("outside/box"),
                "/",
                crate::Access::ReadWrite,
            );
        let mut ctx = builder.build().unwrap();
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut mem: Vec<u8> = (0..4096)
            .map(|_| b"ab/.\0\x01\x10"[(random.next() % 7) as usize])
            .collect();
        for _ in 0..2000 {
            let function = &FUNCTIONS[(random.next() % FUNCTIONS.len() as u64) as usize];
            // One may wait as long as it is told to, the other take as much of the disk.
            if ["poll_oneoff", "fd_allocate"].contains(&function.name) {
                continue;
            }
            let args: Vec<u64> = function
                .params
                .iter()
                .map(|_| random.argument(4096))
                .collect();
            successes += usize::from((function.call)(&mut ctx, &mut mem, &args) == Ok(0));
            let at = (random.next() % 4096) as usize;
            mem[at] = b"ab/.\0\x01\x10"[(random.next() % 7) as usize];
        }
    }
    assert!(successes > 1000, "{successes}");
    assert_eq!(
        std::fs::read_dir(dir.path().join("outside"))
            .unwrap()
            .count(),
        1
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn arguments_may_be_missing() {
    for function in FUNCTIONS {
        let mut ctx = WasiCtxBuilder::new().build().unwrap();
        let _ = (function.call)(&mut ctx, &mut [], &[]);
        let _ = (function.call)(&mut ctx, &mut [0; 4], &[0]);
    }
}
