//! Reading, writing, positions, sizes, times and flags of files.

use super::{
    APPEND, CREATE, DIR, DIRECTORY, EXCLUSIVE, FD_READ, FD_SEEK, FD_TELL, FD_WRITE, FOLLOW, RESULT,
    TRUNCATE, guest,
};
use crate::{Errno, snapshot};
use std::fs;

#[test]
fn a_file_is_written_and_read_back() {
    let (dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    assert_eq!(fd, 4);
    assert_eq!(guest.write(fd, b"hello, "), Ok(7));
    assert_eq!(guest.write(fd, b"world"), Ok(5));
    assert_eq!(guest.tell(fd), Ok(12));
    assert_eq!(guest.read(fd, 10).unwrap(), b"");
    assert_eq!(guest.seek(fd, 7, 0), Ok(7));
    assert_eq!(guest.read(fd, 3).unwrap(), b"wor");
    assert_eq!(guest.seek(fd, -4, 1), Ok(6));
    assert_eq!(guest.seek(fd, -1, 2), Ok(11));
    assert_eq!(guest.read(fd, 100).unwrap(), b"d");
    assert_eq!(guest.seek(fd, -1, 0), Err(Errno::Inval));
    assert_eq!(guest.seek(fd, i64::MIN, 1), Err(Errno::Inval));
    assert_eq!(guest.seek(fd, 0, 3), Err(Errno::Inval));
    assert_eq!(guest.tell(fd), Ok(12));
    guest.close(fd);
    assert_eq!(guest.read(fd, 1), Err(Errno::BadF));
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"hello, world");
}

#[test]
fn several_buffers_are_filled_in_order() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    guest.write(fd, b"abcdefghij").unwrap();
    guest.seek(fd, 0, 0).unwrap();
    // The second buffer lies before the first, and one is empty.
    let iovs: Vec<u8> = [2000u32, 3, 5000, 0, 1000, 4, 3000, 9]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    guest.mem[512..544].copy_from_slice(&iovs);
    snapshot::fd_read(&mut guest.ctx, &mut guest.mem, fd, 512, 4, RESULT).unwrap();
    assert_eq!(guest.u32_at(RESULT), 10);
    assert_eq!(&guest.mem[2000..2003], b"abc");
    assert_eq!(&guest.mem[1000..1004], b"defg");
    assert_eq!(&guest.mem[3000..3003], b"hij");
    snapshot::fd_pwrite(&mut guest.ctx, &mut guest.mem, fd, 512, 3, 20, RESULT).unwrap();
    assert_eq!(guest.u32_at(RESULT), 7);
    snapshot::fd_pread(&mut guest.ctx, &mut guest.mem, fd, 512, 1, 21, RESULT).unwrap();
    assert_eq!(guest.u32_at(RESULT), 3);
    assert_eq!(&guest.mem[2000..2003], b"bcd");
    assert_eq!(guest.tell(fd), Ok(10));
    assert_eq!(guest.fd_stat(fd).unwrap().size, 27);
}

#[test]
fn overlapping_buffers_give_a_short_read() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    guest.write(fd, b"abcdefghij").unwrap();
    guest.seek(fd, 0, 0).unwrap();
    let iovs: Vec<u8> = [1000u32, 4, 1002, 4]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    guest.mem[512..528].copy_from_slice(&iovs);
    snapshot::fd_read(&mut guest.ctx, &mut guest.mem, fd, 512, 2, RESULT).unwrap();
    assert_eq!(guest.u32_at(RESULT), 4);
    assert_eq!(&guest.mem[1000..1006], b"abcd\0\0");
    // Written, they may overlap, even with the array that names them.
    snapshot::fd_write(&mut guest.ctx, &mut guest.mem, fd, 512, 2, RESULT).unwrap();
    assert_eq!(guest.u32_at(RESULT), 8);
}

#[test]
fn appending_goes_to_the_end() {
    let (_dir, mut guest) = guest();
    let fd = guest
        .open_with(DIR, FOLLOW, "log", CREATE, FD_READ | FD_WRITE, APPEND)
        .unwrap();
    guest.write(fd, b"one").unwrap();
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"two").unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().1, APPEND as u16);
    snapshot::fd_fdstat_set_flags(&mut guest.ctx, &mut guest.mem, fd, 0).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().1, 0);
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"O").unwrap();
    guest.seek(fd, 0, 0).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"Onetwo");
    snapshot::fd_fdstat_set_flags(&mut guest.ctx, &mut guest.mem, fd, APPEND | 4).unwrap();
    guest.write(fd, b"!").unwrap();
    assert_eq!(guest.tell(fd), Ok(7));
    let sync = snapshot::fd_fdstat_set_flags(&mut guest.ctx, &mut guest.mem, fd, 16);
    assert_eq!(sync, Err(Errno::NotSup));
    let unknown = snapshot::fd_fdstat_set_flags(&mut guest.ctx, &mut guest.mem, fd, 32);
    assert_eq!(unknown, Err(Errno::Inval));
}

#[test]
fn open_flags_mean_what_they_mean_in_posix() {
    let (dir, mut guest) = guest();
    assert_eq!(guest.open("file", 0), Err(Errno::NoEnt));
    let fd = guest.open("file", CREATE | EXCLUSIVE).unwrap();
    guest.write(fd, b"contents").unwrap();
    assert_eq!(guest.open("file", CREATE | EXCLUSIVE), Err(Errno::Exist));
    assert_eq!(guest.open("file", DIRECTORY), Err(Errno::NotDir));
    assert_eq!(guest.open("file", CREATE | DIRECTORY), Err(Errno::Inval));
    assert_eq!(guest.open("file", 16), Err(Errno::Inval));
    assert_eq!(
        guest.open_with(DIR, 2, "file", 0, FD_READ, 0),
        Err(Errno::Inval)
    );
    assert_eq!(
        guest.open_with(DIR, 0, "file", 0, FD_READ, 32),
        Err(Errno::Inval)
    );
    guest.open("file", CREATE).unwrap();
    assert_eq!(guest.fd_stat(fd).unwrap().size, 8);
    guest.open("file", TRUNCATE).unwrap();
    assert_eq!(guest.fd_stat(fd).unwrap().size, 0);
    // Opening both for appending and empty is allowed.
    guest
        .open_with(DIR, FOLLOW, "file", CREATE | TRUNCATE, FD_WRITE, APPEND)
        .unwrap();
    assert_eq!(guest.open(".", 0), Err(Errno::IsDir));
    assert_eq!(
        guest.open_with(4, 0, "x", 0, FD_READ, 0),
        Err(Errno::NotDir)
    );
    assert_eq!(guest.open_with(99, 0, "x", 0, FD_READ, 0), Err(Errno::BadF));
    for (fdflags, name) in [(2, "dsync"), (8, "rsync"), (16, "sync"), (4, "nonblock")] {
        let fd = guest
            .open_with(DIR, FOLLOW, name, CREATE, FD_WRITE, fdflags)
            .unwrap();
        assert_eq!(guest.fdstat(fd).unwrap().1, fdflags as u16);
        assert_eq!(guest.write(fd, b"x"), Ok(1));
    }
    assert!(dir.path().join("sync").exists());
}

#[test]
fn a_file_opened_one_way_does_not_go_the_other() {
    let (_dir, mut guest) = guest();
    let write_only = guest
        .open_with(DIR, FOLLOW, "file", CREATE, FD_WRITE, 0)
        .unwrap();
    assert_eq!(guest.write(write_only, b"x"), Ok(1));
    assert_eq!(guest.read(write_only, 1), Err(Errno::NotCapable));
    let read_only = guest.open_to_read("file").unwrap();
    assert_eq!(guest.read(read_only, 1).unwrap(), b"x");
    assert_eq!(guest.write(read_only, b"x"), Err(Errno::NotCapable));
    let truncated = snapshot::fd_filestat_set_size(&mut guest.ctx, &mut guest.mem, read_only, 0);
    assert_eq!(truncated, Err(Errno::Inval));
    // What `fcntl(F_GETFL)` and `isatty` look at.
    let (kind, _, rights, _) = guest.fdstat(read_only).unwrap();
    assert_eq!((kind, rights & (FD_READ | FD_WRITE)), (4, FD_READ));
    assert_eq!(rights & (FD_SEEK | FD_TELL), FD_SEEK | FD_TELL);
    assert_eq!(
        guest.fdstat(write_only).unwrap().2 & (FD_READ | FD_WRITE),
        FD_WRITE
    );
}

#[test]
fn rights_can_only_be_given_up() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    let (_, _, rights, inheriting) = guest.fdstat(fd).unwrap();
    let mut set = |base, inheriting| {
        snapshot::fd_fdstat_set_rights(&mut guest.ctx, &mut guest.mem, fd, base, inheriting)
    };
    assert_eq!(set(rights | 1 << 25, inheriting), Err(Errno::NotCapable));
    assert_eq!(set(1 << 63, 0), Err(Errno::NotCapable));
    set(rights & !FD_WRITE & !FD_SEEK, 0).unwrap();
    assert_eq!(set(rights, 0), Err(Errno::NotCapable));
    assert_eq!(guest.write(fd, b"x"), Err(Errno::NotCapable));
    assert_eq!(guest.seek(fd, 1, 0), Err(Errno::NotCapable));
    assert_eq!(guest.seek(fd, 0, 1), Ok(0));
    assert_eq!(guest.tell(fd), Ok(0));
    // A directory passes on no more than it was told to.
    let (_, _, base, _) = guest.fdstat(DIR).unwrap();
    snapshot::fd_fdstat_set_rights(
        &mut guest.ctx,
        &mut guest.mem,
        DIR,
        base & !(1 << 10),
        FD_READ,
    )
    .unwrap();
    assert_eq!(guest.open("new", CREATE), Err(Errno::NotCapable));
    assert_eq!(guest.open("file", 0), Err(Errno::NotCapable));
    guest.open_with(DIR, FOLLOW, "file", 0, FD_READ, 0).unwrap();
}

#[test]
fn sizes_change() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    guest.write(fd, b"0123456789").unwrap();
    let mut set_size =
        |size| snapshot::fd_filestat_set_size(&mut guest.ctx, &mut guest.mem, fd, size);
    set_size(4).unwrap();
    set_size(6).unwrap();
    assert_eq!(set_size(u64::MAX), Err(Errno::Inval));
    guest.seek(fd, 0, 0).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"0123\0\0");
    let mut allocate =
        |offset, len| snapshot::fd_allocate(&mut guest.ctx, &mut guest.mem, fd, offset, len);
    allocate(0, 3).unwrap();
    assert_eq!(allocate(0, 0), Err(Errno::Inval));
    assert_eq!(allocate(u64::MAX, 1), Err(Errno::Inval));
    match allocate(4, 100) {
        Ok(()) => assert_eq!(guest.fd_stat(fd).unwrap().size, 104),
        Err(error) => assert_eq!(error, Errno::NotSup),
    }
}

#[test]
fn synchronizing_and_advising_are_accepted() {
    let (_dir, mut guest) = guest();
    let fd = guest
        .open_with(DIR, FOLLOW, "file", CREATE, FD_WRITE | 1 | 1 << 4, 0)
        .unwrap();
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    snapshot::fd_sync(ctx, mem, fd).unwrap();
    snapshot::fd_datasync(ctx, mem, fd).unwrap();
    snapshot::fd_sync(ctx, mem, DIR).unwrap();
    for advice in 0..6 {
        snapshot::fd_advise(ctx, mem, fd, 0, 0, advice).unwrap();
    }
    assert_eq!(
        snapshot::fd_advise(ctx, mem, fd, 0, 0, 6),
        Err(Errno::Inval)
    );
    assert_eq!(
        snapshot::fd_advise(ctx, mem, fd, u64::MAX, 1, 0),
        Err(Errno::Inval)
    );
    assert_eq!(
        snapshot::fd_advise(ctx, mem, DIR, 0, 0, 0),
        Err(Errno::BadF)
    );
}

#[test]
fn times_are_set() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    guest.symlink("file", "link").unwrap();
    let set = |guest: &mut super::Guest, atime, mtime, flags| {
        snapshot::fd_filestat_set_times(&mut guest.ctx, &mut guest.mem, fd, atime, mtime, flags)
    };
    set(&mut guest, 1_500_000_000_123_456_789, 42, 1 | 4).unwrap();
    let stat = guest.fd_stat(fd).unwrap();
    assert_eq!(
        (stat.accessed, stat.modified),
        (1_500_000_000_123_456_789, 42)
    );
    // One may be left alone while the other becomes the present.
    set(&mut guest, 0, 0, 8).unwrap();
    let stat = guest.fd_stat(fd).unwrap();
    assert_eq!(stat.accessed, 1_500_000_000_123_456_789);
    assert!(stat.modified > 1_600_000_000_000_000_000);
    assert_eq!(set(&mut guest, 0, 0, 3), Err(Errno::Inval));
    assert_eq!(set(&mut guest, 0, 0, 12), Err(Errno::Inval));
    assert_eq!(set(&mut guest, 0, 0, 16), Err(Errno::Inval));

    guest.set_times(FOLLOW, "link", 7, 8, 1 | 4).unwrap();
    assert_eq!(guest.fd_stat(fd).unwrap().modified, 8);
    guest.set_times(0, "link", 9, 10, 1 | 4).unwrap();
    assert_eq!(guest.fd_stat(fd).unwrap().modified, 8);
    assert_eq!(guest.stat("link", 0).unwrap().modified, 10);
    assert_eq!(
        guest.set_times(0, "link/", 9, 10, 1 | 4),
        Err(Errno::NotDir)
    );
    assert_eq!(
        guest.set_times(0, "nothing", 9, 10, 1 | 4),
        Err(Errno::NoEnt)
    );
}

#[test]
fn a_directory_is_no_file() {
    let (_dir, mut guest) = guest();
    assert_eq!(guest.read(DIR, 1), Err(Errno::BadF));
    assert_eq!(guest.write(DIR, b"x"), Err(Errno::BadF));
    assert_eq!(guest.seek(DIR, 0, 0), Err(Errno::BadF));
    assert_eq!(guest.tell(DIR), Err(Errno::BadF));
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(snapshot::fd_allocate(ctx, mem, DIR, 0, 1), Err(Errno::BadF));
    assert_eq!(
        snapshot::fd_filestat_set_size(ctx, mem, DIR, 0),
        Err(Errno::BadF)
    );
    assert_eq!(
        snapshot::fd_pread(ctx, mem, DIR, 512, 0, 0, RESULT),
        Err(Errno::BadF)
    );
    let (kind, _, rights, inheriting) = guest.fdstat(DIR).unwrap();
    assert_eq!((kind, rights & FD_WRITE), (3, 0));
    assert_eq!(inheriting & (FD_READ | FD_WRITE), FD_READ | FD_WRITE);
    assert_eq!(guest.fd_stat(DIR).unwrap().kind, 3);
}

#[test]
fn descriptors_get_the_lowest_number_and_run_out() {
    let (dir, mut guest) = guest();
    let fds: Vec<u32> = (0..4)
        .map(|_| guest.open("file", CREATE).unwrap())
        .collect();
    assert_eq!(fds, [4, 5, 6, 7]);
    guest.close(5);
    assert_eq!(guest.open("file", 0), Ok(5));

    guest.write(6, b"six").unwrap();
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(snapshot::fd_renumber(ctx, mem, 6, 8), Err(Errno::BadF));
    assert_eq!(snapshot::fd_renumber(ctx, mem, 8, 6), Err(Errno::BadF));
    assert_eq!(
        snapshot::fd_renumber(ctx, mem, 6, u32::MAX),
        Err(Errno::BadF)
    );
    snapshot::fd_renumber(ctx, mem, 6, 6).unwrap();
    snapshot::fd_renumber(ctx, mem, 6, 4).unwrap();
    assert_eq!(guest.tell(4), Ok(3));
    assert_eq!(guest.tell(6), Err(Errno::BadF));

    let few = crate::WasiCtxBuilder::new().preopened_dir(dir.path(), "/", crate::Access::ReadWrite);
    let mut guest = super::Guest::new(few.descriptors_max(5).build().unwrap());
    guest.open("file", 0).unwrap();
    assert_eq!(guest.open("another", CREATE), Err(Errno::MFile));
    assert!(!dir.path().join("another").exists());
}

#[test]
fn a_renumbered_directory_keeps_its_walls() {
    let (_dir, mut guest) = guest();
    guest.mkdir("sub").unwrap();
    let sub = guest.open_directory("sub").unwrap();
    snapshot::fd_renumber(&mut guest.ctx, &mut guest.mem, sub, DIR).unwrap();
    assert_eq!(guest.open_to_read(".."), Err(Errno::NotCapable));
    assert_eq!(
        snapshot::fd_prestat_get(&mut guest.ctx, &mut guest.mem, DIR, 0),
        Err(Errno::BadF)
    );
}
