//! Creating, removing, renaming and linking, above all in the corners where a path ends in a slash or a dot.

use super::{CREATE, DIR, DIRECTORY, FD_READ, FOLLOW, guest};
use crate::Errno;
use std::fs;

#[test]
fn directories_come_and_go() {
    let (dir, mut guest) = guest();
    guest.mkdir("a").unwrap();
    guest.mkdir("a/b/").unwrap();
    assert_eq!(guest.mkdir("a"), Err(Errno::Exist));
    assert_eq!(guest.mkdir("."), Err(Errno::Exist));
    assert_eq!(guest.mkdir("x/y"), Err(Errno::NoEnt));
    assert_eq!(guest.mkdir(""), Err(Errno::NoEnt));
    assert_eq!(guest.rmdir("a"), Err(Errno::NotEmpty));
    assert_eq!(guest.rmdir("a/."), Err(Errno::Inval));
    guest.rmdir("a/b/").unwrap();
    guest.rmdir("./a//").unwrap();
    assert_eq!(guest.rmdir("a"), Err(Errno::NoEnt));
    fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(guest.rmdir("file"), Err(Errno::NotDir));
    assert_eq!(guest.rmdir("file/"), Err(Errno::NotDir));
    assert_eq!(guest.mkdir("file/x"), Err(Errno::NotDir));
}

#[test]
fn files_are_unlinked() {
    let (_dir, mut guest) = guest();
    guest.open("file", CREATE).unwrap();
    guest.mkdir("sub").unwrap();
    assert_eq!(guest.unlink("sub"), Err(Errno::IsDir));
    assert_eq!(guest.unlink("sub/"), Err(Errno::IsDir));
    assert_eq!(guest.unlink("file/"), Err(Errno::NotDir));
    assert_eq!(guest.unlink("nothing"), Err(Errno::NoEnt));
    assert_eq!(guest.unlink("nothing/"), Err(Errno::NoEnt));
    guest.unlink("./sub/../file").unwrap();
    assert_eq!(guest.stat("file", 0), Err(Errno::NoEnt));
    // What was open stays open.
    assert_eq!(guest.fd_stat(4).unwrap().links, 0);
}

#[test]
fn a_link_is_removed_not_its_target() {
    let (dir, mut guest) = guest();
    guest.mkdir("sub").unwrap();
    guest.symlink("sub", "link").unwrap();
    assert_eq!(guest.unlink("link/"), Err(Errno::NotDir));
    assert_eq!(guest.rmdir("link"), Err(Errno::NotDir));
    assert_eq!(guest.rmdir("link/"), Err(Errno::NotDir));
    guest.unlink("link").unwrap();
    assert!(dir.path().join("sub").is_dir());
}

#[test]
fn things_are_renamed() {
    let (dir, mut guest) = guest();
    fs::write(dir.path().join("one"), "1").unwrap();
    fs::write(dir.path().join("two"), "2").unwrap();
    guest.mkdir("sub").unwrap();
    guest.mkdir("full").unwrap();
    fs::write(dir.path().join("full/x"), "").unwrap();
    guest.rename("one", "two").unwrap();
    assert_eq!(fs::read(dir.path().join("two")).unwrap(), b"1");
    assert_eq!(guest.rename("one", "x"), Err(Errno::NoEnt));
    assert_eq!(guest.rename("two", "sub"), Err(Errno::IsDir));
    assert_eq!(guest.rename("sub", "two"), Err(Errno::NotDir));
    assert_eq!(guest.rename("sub", "full"), Err(Errno::NotEmpty));
    assert_eq!(guest.rename("two/", "x"), Err(Errno::NotDir));
    assert_eq!(guest.rename("two", "x/"), Err(Errno::NotDir));
    assert_eq!(guest.rename("sub", "sub/x"), Err(Errno::Inval));
    guest.rename("sub/", "moved/").unwrap();
    guest.rename("two", "moved/file").unwrap();
    assert!(dir.path().join("moved/file").is_file());
    let moved = guest.open_directory("moved").unwrap();
    guest.rename_between(moved, "file", DIR, "back").unwrap();
    assert!(dir.path().join("back").is_file());
    guest.symlink("moved", "link").unwrap();
    assert_eq!(guest.rename("link/", "elsewhere"), Err(Errno::NotDir));
    guest.rename("link", "elsewhere").unwrap();
    assert!(dir.path().join("elsewhere").is_symlink());
}

#[test]
fn symbolic_links_are_made_read_and_followed() {
    let (dir, mut guest) = guest();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/file"), "contents").unwrap();
    guest.symlink("sub/file", "link").unwrap();
    guest.symlink("link", "chain").unwrap();
    guest.symlink("../link", "sub/up").unwrap();
    guest.symlink("sub", "dir").unwrap();
    guest.symlink("dir/", "slashed").unwrap();
    for path in [
        "link",
        "chain",
        "sub/up",
        "dir/up",
        "slashed/up",
        "dir/../link",
        "dir/./file",
        "dir//file",
    ] {
        let fd = guest.open_to_read(path).unwrap();
        assert_eq!(guest.read(fd, 20).unwrap(), b"contents", "{path}");
        assert_eq!(guest.stat(path, FOLLOW).unwrap().kind, 4, "{path}");
        guest.close(fd);
    }
    assert_eq!(guest.stat("link", 0).unwrap().kind, 7);
    assert_eq!(guest.readlink("link", 100).unwrap(), b"sub/file");
    assert_eq!(guest.readlink("link", 3).unwrap(), b"sub");
    assert_eq!(guest.readlink("link", 0).unwrap(), b"");
    assert_eq!(guest.readlink("sub/file", 10), Err(Errno::Inval));
    assert_eq!(guest.readlink("nothing", 10), Err(Errno::NoEnt));
    assert_eq!(guest.readlink("dir/", 10), Err(Errno::Inval));
    assert_eq!(guest.symlink("x", "link"), Err(Errno::Exist));
    assert_eq!(guest.symlink("x", "link/"), Err(Errno::Exist));
    assert_eq!(guest.symlink("x", "new/"), Err(Errno::NoEnt));
    assert_eq!(guest.symlink("", "new"), Err(Errno::NoEnt));
    assert_eq!(guest.symlink("a\0b", "new"), Err(Errno::Inval));
}

#[test]
fn a_trailing_slash_means_what_a_link_leads_to() {
    let (dir, mut guest) = guest();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    guest.symlink("sub", "to_sub").unwrap();
    guest.symlink("file", "to_file").unwrap();
    assert_eq!(guest.stat("to_sub", 0).unwrap().kind, 7);
    assert_eq!(guest.stat("to_sub/", 0).unwrap().kind, 3);
    assert_eq!(guest.stat("to_file/", 0), Err(Errno::NotDir));
    assert_eq!(guest.stat("file/", 0), Err(Errno::NotDir));
    assert_eq!(guest.stat("file/.", 0), Err(Errno::NotDir));
    guest.open_with(DIR, 0, "to_sub/", 0, FD_READ, 0).unwrap();
    guest
        .open_with(DIR, 0, "to_sub/.", DIRECTORY, FD_READ, 0)
        .unwrap();
    assert_eq!(guest.open_to_read("to_file/"), Err(Errno::NotDir));
    assert_eq!(guest.open_to_read("file/"), Err(Errno::NotDir));
    assert_eq!(guest.open("new/", CREATE), Err(Errno::IsDir));
    assert_eq!(guest.open("sub/", CREATE), Err(Errno::IsDir));
}

#[test]
fn links_are_not_followed_unless_asked() {
    let (dir, mut guest) = guest();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    guest.symlink("sub", "to_sub").unwrap();
    guest.symlink("file", "to_file").unwrap();
    guest.symlink("nothing", "dangling").unwrap();
    guest.symlink("loop", "loop").unwrap();
    for path in ["to_sub", "to_file", "dangling", "loop"] {
        assert_eq!(
            guest.open_with(DIR, 0, path, 0, FD_READ, 0),
            Err(Errno::Loop),
            "{path}"
        );
        let as_directory = guest.open_with(DIR, 0, path, DIRECTORY, FD_READ, 0);
        assert!(
            matches!(as_directory, Err(Errno::Loop | Errno::NotDir)),
            "{path}"
        );
    }
    assert_eq!(guest.open_to_read("dangling"), Err(Errno::NoEnt));
    assert_eq!(guest.stat("dangling", FOLLOW), Err(Errno::NoEnt));
    assert_eq!(guest.open_to_read("loop"), Err(Errno::Loop));
    assert_eq!(guest.open_to_read("loop/x"), Err(Errno::Loop));
    assert_eq!(guest.stat("loop", FOLLOW), Err(Errno::Loop));
    assert_eq!(guest.stat("loop/", 0), Err(Errno::Loop));
    // Creating through a link creates what it leads to; exclusively, it refuses.
    assert_eq!(
        guest.open("dangling", CREATE | super::EXCLUSIVE),
        Err(Errno::Exist)
    );
    guest.open("dangling", CREATE).unwrap();
    assert!(dir.path().join("nothing").is_file());
}

#[test]
fn hard_links_share_a_file() {
    let (dir, mut guest) = guest();
    fs::write(dir.path().join("file"), "contents").unwrap();
    guest.mkdir("sub").unwrap();
    guest.symlink("file", "link").unwrap();
    guest.link(0, "file", "sub/second").unwrap();
    let stat = guest.stat("sub/second", 0).unwrap();
    assert_eq!(
        (stat.links, stat.inode),
        (2, guest.stat("file", 0).unwrap().inode)
    );
    assert_eq!(guest.link(0, "file", "sub/second"), Err(Errno::Exist));
    assert_eq!(guest.link(0, "file", "third/"), Err(Errno::NoEnt));
    assert_eq!(guest.link(0, "file/", "third"), Err(Errno::NotDir));
    assert_eq!(guest.link(0, "sub", "third"), Err(Errno::Perm));
    assert_eq!(guest.link(0, "nothing", "third"), Err(Errno::NoEnt));
    guest.link(0, "link", "link2").unwrap();
    assert_eq!(guest.stat("link2", 0).unwrap().kind, 7);
    guest.link(FOLLOW, "link", "third").unwrap();
    assert_eq!(guest.stat("third", 0).unwrap().links, 3);
}

#[test]
fn paths_may_be_any_bytes_but_zero_and_not_too_long() {
    let (_dir, mut guest) = guest();
    guest.open("héllo wörld", CREATE).unwrap();
    assert_eq!(guest.open("a\0b", CREATE), Err(Errno::Inval));
    assert_eq!(
        guest.open(&"x".repeat(256), CREATE),
        Err(Errno::NameTooLong)
    );
    assert_eq!(
        guest.open(&"x/".repeat(3000), CREATE),
        Err(Errno::NameTooLong)
    );
    guest
        .open(&format!("{}file", "./".repeat(2000)), CREATE)
        .unwrap();
}
