//! A directory that the guest may only read.

use super::{
    APPEND, CREATE, DIR, DIRECTORY, EXCLUSIVE, FD_READ, FD_WRITE, FOLLOW, Guest, RESULT, TRUNCATE,
};
use crate::{Access, Errno, WasiCtxBuilder, snapshot};
use std::fs;
use tempfile::TempDir;

/// Descriptor 3 may be read, 4 may be written; each has a file and a directory.
fn guest() -> (TempDir, Guest) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["ro", "rw"] {
        fs::create_dir_all(dir.path().join(name).join("sub")).unwrap();
        fs::write(dir.path().join(name).join("file"), "contents").unwrap();
    }
    let builder = WasiCtxBuilder::new()
        .preopened_dir(dir.path().join("ro"), "/ro", Access::ReadOnly)
        .preopened_dir(dir.path().join("rw"), "/rw", Access::ReadWrite);
    (dir, Guest::new(builder.build().unwrap()))
}

#[test]
fn reading_works() {
    let (_dir, mut guest) = guest();
    let fd = guest.open_to_read("file").unwrap();
    assert_eq!(guest.read(fd, 20).unwrap(), b"contents");
    guest.open_directory("sub").unwrap();
    // Asking for every right, as some languages' libraries do, is no attempt to write.
    let fd = guest
        .open_with(DIR, FOLLOW, "file", 0, super::ALL_RIGHTS & !FD_WRITE, 0)
        .unwrap();
    assert_eq!(guest.read(fd, 20).unwrap(), b"contents");
    // Nor is a wish to create what is already there.
    guest
        .open_with(DIR, FOLLOW, "file", CREATE, FD_READ, 0)
        .unwrap();
    assert_eq!(guest.stat("file", 0).unwrap().size, 8);
}

#[test]
fn every_change_is_refused() {
    let (dir, mut guest) = guest();
    let refused = Err(Errno::Rofs);
    let rights = [FD_READ, FD_WRITE, FD_READ | FD_WRITE, 0];
    for rights in rights {
        for oflags in [TRUNCATE, CREATE | TRUNCATE] {
            let opened = guest.open_with(DIR, FOLLOW, "file", oflags, rights, 0);
            assert_eq!(opened, Err(Errno::Rofs), "{oflags} {rights}");
        }
        for oflags in [CREATE, CREATE | EXCLUSIVE, CREATE | TRUNCATE] {
            let opened = guest.open_with(DIR, FOLLOW, "new", oflags, rights, 0);
            assert_eq!(opened, Err(Errno::Rofs), "{oflags} {rights}");
        }
    }
    for fdflags in [0, APPEND] {
        assert_eq!(
            guest.open_with(DIR, 0, "file", 0, FD_WRITE, fdflags),
            Err(Errno::Rofs)
        );
    }
    assert_eq!(guest.open("nothing", 0), Err(Errno::NoEnt));
    assert_eq!(guest.open("sub", 0), Err(Errno::IsDir));
    assert_eq!(guest.open("file", CREATE | EXCLUSIVE), Err(Errno::Exist));
    assert_eq!(guest.open("../rw/file", CREATE), Err(Errno::NotCapable));
    assert_eq!(guest.mkdir("new"), refused);
    assert_eq!(guest.rmdir("sub"), refused);
    assert_eq!(guest.unlink("file"), refused);
    assert_eq!(guest.symlink("x", "new"), refused);
    assert_eq!(guest.rename("file", "new"), refused);
    assert_eq!(guest.link(0, "file", "new"), refused);
    assert_eq!(guest.set_times(0, "file", 0, 0, 5), refused);
    let fd = guest.open_to_read("file").unwrap();
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(snapshot::fd_filestat_set_size(ctx, mem, fd, 0), refused);
    assert_eq!(snapshot::fd_allocate(ctx, mem, fd, 0, 100), refused);
    assert_eq!(
        snapshot::fd_filestat_set_times(ctx, mem, fd, 0, 0, 5),
        refused
    );
    assert_eq!(
        snapshot::fd_filestat_set_times(ctx, mem, DIR, 0, 0, 5),
        refused
    );
    assert_eq!(
        snapshot::fd_write(ctx, mem, fd, 512, 0, RESULT),
        Err(Errno::NotCapable)
    );
    assert_eq!(
        snapshot::fd_pwrite(ctx, mem, fd, 512, 0, 0, RESULT),
        Err(Errno::NotCapable)
    );
    assert_eq!(fs::read(dir.path().join("ro/file")).unwrap(), b"contents");
    assert_eq!(fs::read_dir(dir.path().join("ro")).unwrap().count(), 2);
}

#[test]
fn subdirectories_inherit_it() {
    let (dir, mut guest) = guest();
    let sub = guest
        .open_with(DIR, 0, "sub", DIRECTORY, super::ALL_RIGHTS, 0)
        .unwrap();
    assert_eq!(
        guest.open_with(sub, 0, "new", CREATE, FD_WRITE, 0),
        Err(Errno::Rofs)
    );
    assert_eq!(guest.link_between(sub, 0, "x", 4, "y"), Err(Errno::Rofs));
    snapshot::fd_renumber(&mut guest.ctx, &mut guest.mem, sub, 4).unwrap();
    assert_eq!(
        guest.open_with(4, 0, "new", CREATE, FD_WRITE, 0),
        Err(Errno::Rofs)
    );
    assert!(!dir.path().join("ro/sub/new").exists());
}

/// A second name in a directory that may be written would be a way to write the file.
#[test]
fn a_read_only_file_gets_no_name_elsewhere() {
    let (dir, mut guest) = guest();
    assert_eq!(
        guest.link_between(3, 0, "file", 4, "stolen"),
        Err(Errno::Rofs)
    );
    assert_eq!(
        guest.link_between(4, 0, "file", 3, "planted"),
        Err(Errno::Rofs)
    );
    assert_eq!(
        guest.rename_between(3, "file", 4, "stolen"),
        Err(Errno::Rofs)
    );
    assert_eq!(
        guest.rename_between(3, "sub", 4, "stolen"),
        Err(Errno::Rofs)
    );
    assert_eq!(
        guest.rename_between(4, "file", 3, "planted"),
        Err(Errno::Rofs)
    );
    assert!(!dir.path().join("rw/stolen").exists() && !dir.path().join("ro/planted").exists());
}
