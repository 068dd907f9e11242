//! Ways out of a preopened directory, each of which must be shut, with either way of resolving paths.

use super::{CREATE, DIR, DIRECTORY, EXCLUSIVE, FD_READ, FOLLOW, Guest, RESULT, TRUNCATE};
use crate::resolve::Resolver;
use crate::{Access, Errno, WasiCtxBuilder, snapshot};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const RESOLVERS: [Resolver; 2] = [Resolver::Kernel, Resolver::Walk];

/// A directory with a guest's `box` and, beside it, an `outside` with a secret.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("box/sub/deep")).unwrap();
        fs::create_dir_all(dir.path().join("outside/sub")).unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        fs::write(dir.path().join("box/file"), "mine").unwrap();
        World { dir }
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.dir.path().join("box").join(path)
    }

    fn outside(&self, path: &str) -> PathBuf {
        self.dir.path().join("outside").join(path)
    }

    fn guest(&self, resolver: Resolver) -> Guest {
        Guest::in_directory(&self.inside("")).with_resolver(resolver)
    }

    /// Nothing outside was touched.
    fn assert_untouched(&self) {
        let mut names: Vec<_> = fs::read_dir(self.outside(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["secret", "sub"]);
        assert_eq!(fs::read(self.outside("secret")).unwrap(), b"secret");
        assert_eq!(fs::read_dir(self.outside("sub")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2);
    }
}

/// Tries everything a guest can do to `path`, which lies outside. The last component is what leads out if `by_last` is set:
/// then operations that act on the link itself are left out, since those are allowed.
fn try_everything(guest: &mut Guest, path: &str, by_last: bool) {
    let refused = Err(Errno::NotCapable);
    let refused_fd = Err(Errno::NotCapable);
    assert_eq!(guest.open_to_read(path), refused_fd, "open {path}");
    assert_eq!(guest.open(path, CREATE), refused_fd, "create {path}");
    assert_eq!(guest.open(path, TRUNCATE), refused_fd, "truncate {path}");
    assert_eq!(
        guest.open_directory(path),
        refused_fd,
        "open directory {path}"
    );
    assert_eq!(guest.stat(path, FOLLOW).map(drop), refused, "stat {path}");
    assert_eq!(
        guest.set_times(FOLLOW, path, 0, 0, 5),
        refused,
        "set times {path}"
    );
    assert_eq!(
        guest.link(FOLLOW, path, "stolen"),
        refused,
        "link from {path}"
    );
    let slashed = format!("{path}/");
    for path in [slashed.as_str(), &format!("{path}//"), &format!("{path}/.")] {
        assert_eq!(
            guest.open_directory(path),
            refused_fd,
            "open directory {path}"
        );
        assert_eq!(
            guest.open_with(DIR, 0, path, DIRECTORY, FD_READ, 0),
            refused_fd,
            "no-follow {path}"
        );
        assert_eq!(
            guest.open_with(DIR, 0, path, 0, FD_READ, 0),
            refused_fd,
            "no-follow {path}"
        );
        assert_eq!(guest.stat(path, 0).map(drop), refused, "stat {path}");
        assert_eq!(
            guest.set_times(0, path, 0, 0, 5),
            refused,
            "set times {path}"
        );
        assert_eq!(guest.link(0, path, "stolen"), refused, "link from {path}");
        assert_eq!(
            guest.readlink(path, 10).map(drop),
            refused,
            "readlink {path}"
        );
    }
    for path in [slashed.as_str(), path] {
        // These act on a link, never through it; what they may not do is succeed outside.
        if by_last && path != slashed {
            continue;
        }
        for (what, result) in [
            ("mkdir", guest.mkdir(path)),
            ("rmdir", guest.rmdir(path)),
            ("unlink", guest.unlink(path)),
            ("rename from", guest.rename(path, "stolen")),
            ("rename to", guest.rename("file", path)),
            ("symlink", guest.symlink("x", path)),
            ("link to", guest.link(0, "file", path)),
        ] {
            assert!(result.is_err(), "{what} {path}");
            assert!(by_last || result == refused, "{what} {path}: {result:?}");
        }
    }
    for below in ["secret", "sub", "new", "sub/.."] {
        if Path::new(path)
            .file_name()
            .is_some_and(|name| name == "secret" || name == "new")
        {
            break;
        }
        let path = &format!("{path}/{below}");
        assert_eq!(guest.open_to_read(path), refused_fd, "open {path}");
        assert_eq!(
            guest.open(path, CREATE | EXCLUSIVE),
            refused_fd,
            "create {path}"
        );
        assert_eq!(guest.mkdir(path), refused, "mkdir {path}");
        assert_eq!(guest.rmdir(path), refused, "rmdir {path}");
        assert_eq!(guest.unlink(path), refused, "unlink {path}");
        assert_eq!(guest.rename(path, "stolen"), refused, "rename from {path}");
        assert_eq!(guest.rename("file", path), refused, "rename to {path}");
        assert_eq!(guest.link(0, path, "stolen"), refused, "link from {path}");
        assert_eq!(guest.link(0, "file", path), refused, "link to {path}");
        assert_eq!(guest.symlink("x", path), refused, "symlink {path}");
        assert_eq!(
            guest.readlink(path, 10).map(drop),
            refused,
            "readlink {path}"
        );
        assert_eq!(guest.stat(path, 0).map(drop), refused, "stat {path}");
        assert_eq!(
            guest.set_times(0, path, 0, 0, 5),
            refused,
            "set times {path}"
        );
    }
}

#[test]
fn dots_and_absolute_paths_do_not_lead_out() {
    for resolver in RESOLVERS {
        let world = World::new();
        let mut guest = world.guest(resolver);
        let absolute = world
            .outside("")
            .to_str()
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        for path in [
            "..",
            "../outside",
            "../outside/secret",
            "sub/../../outside",
            "sub/deep/../../../outside",
            "./.././outside/secret",
            "sub/..//../outside",
            "../box/../outside",
            "/",
            "/etc",
            "//etc/passwd",
            &absolute,
        ] {
            try_everything(&mut guest, path, false);
        }
        // Out and in again is out.
        assert_eq!(guest.open_to_read("../box/file"), Err(Errno::NotCapable));
        assert_eq!(
            guest.open_to_read(world.inside("file").to_str().unwrap()),
            Err(Errno::NotCapable)
        );
        // And this stays inside.
        guest.open_to_read("sub/deep/../../file").unwrap();
        guest.open_directory("sub/..").unwrap();
        guest.open_directory("sub/deep/../..").unwrap();
        world.assert_untouched();
    }
}

#[test]
fn links_in_the_middle_do_not_lead_out() {
    for resolver in RESOLVERS {
        let world = World::new();
        symlink("../outside", world.inside("out")).unwrap();
        symlink(world.outside(""), world.inside("absolute")).unwrap();
        symlink("..", world.inside("up")).unwrap();
        symlink("../../..", world.inside("sub/deep/up")).unwrap();
        symlink("out", world.inside("chain")).unwrap();
        symlink("out/", world.inside("slashed")).unwrap();
        symlink("sub/../slashed", world.inside("far")).unwrap();
        symlink("/", world.inside("root")).unwrap();
        symlink("/proc/self/root", world.inside("magic")).unwrap();
        let mut guest = world.guest(resolver);
        for path in ["out", "absolute", "chain", "slashed", "far"] {
            try_everything(&mut guest, &format!("{path}/sub"), false);
            try_everything(&mut guest, &format!("{path}/secret"), false);
            try_everything(&mut guest, &format!("{path}/new"), false);
        }
        for path in [
            "up/outside",
            "sub/deep/up/outside",
            "root/etc",
            "magic/etc",
            "up/box/../outside",
        ] {
            try_everything(&mut guest, path, false);
        }
        assert_eq!(guest.open_to_read("up/box/file"), Err(Errno::NotCapable));
        world.assert_untouched();
    }
}

#[test]
fn links_at_the_end_do_not_lead_out() {
    for resolver in RESOLVERS {
        let world = World::new();
        let links = [
            ("../outside", "out"),
            ("../outside/", "out_slashed"),
            ("../outside//.", "out_dotted"),
            ("out", "chain"),
            ("out/", "chain_slashed"),
            ("chain_slashed/", "long_chain"),
            ("sub/../../outside/secret", "secret"),
            ("../outside/new", "dangling"),
            ("../outside/new/", "dangling_slashed"),
            ("..", "up"),
            ("../", "up_slashed"),
            ("../box", "around"),
        ];
        for (target, name) in links {
            symlink(target, world.inside(name)).unwrap();
        }
        symlink(world.outside("secret"), world.inside("absolute")).unwrap();
        symlink(world.outside("new"), world.inside("absolute_dangling")).unwrap();
        symlink("/", world.inside("root")).unwrap();
        symlink("/proc/self/cwd", world.inside("magic")).unwrap();
        // It must not be taken for a path from where the link is, either.
        std::fs::write(world.inside("sub/there"), "").unwrap();
        symlink("/there", world.inside("sub/absolute")).unwrap();
        let mut guest = world.guest(resolver);
        assert_eq!(
            guest.stat("sub/absolute", 1).map(drop),
            Err(Errno::NotCapable)
        );
        let absolute = ["absolute", "absolute_dangling", "root", "magic"];
        for name in links.iter().map(|&(_, name)| name).chain(absolute) {
            if name.contains("secret")
                || name.starts_with("absolute")
                || name.starts_with("dangling")
            {
                try_last(&mut guest, name);
            } else {
                try_everything(&mut guest, name, true);
            }
        }
        for name in absolute {
            // Where a host's link leads is the host's business.
            assert_eq!(guest.readlink(name, 100), Err(Errno::NotCapable), "{name}");
            assert_eq!(guest.stat(name, 0).unwrap().kind, 7);
        }
        assert_eq!(guest.readlink("out", 100).unwrap(), b"../outside");
        // The links themselves are the guest's to remove.
        for name in links.iter().map(|&(_, name)| name).chain(absolute) {
            guest.unlink(name).unwrap();
        }
        world.assert_untouched();
    }
}

/// The part of [`try_everything`] for a link that leads to a file, or to nothing.
fn try_last(guest: &mut Guest, path: &str) {
    let refused = Err(Errno::NotCapable);
    for path in [path.to_owned(), format!("{path}/")] {
        assert_eq!(guest.open_to_read(&path).map(drop), refused, "open {path}");
        assert_eq!(guest.stat(&path, FOLLOW).map(drop), refused, "stat {path}");
        assert_eq!(
            guest.set_times(FOLLOW, &path, 0, 0, 5),
            refused,
            "set times {path}"
        );
        assert_eq!(guest.link(FOLLOW, &path, "stolen"), refused, "link {path}");
        assert_eq!(
            guest.rename("file", &format!("{path}/x")),
            refused,
            "rename below {path}"
        );
        for oflags in [CREATE, CREATE | EXCLUSIVE, CREATE | TRUNCATE, TRUNCATE] {
            for follow in [0, FOLLOW] {
                assert!(
                    guest
                        .open_with(DIR, follow, &path, oflags, 1 << 6, 0)
                        .is_err(),
                    "create {path}"
                );
            }
        }
    }
    let slashed = &format!("{path}/");
    assert!(guest.mkdir(slashed).is_err() && guest.mkdir(path).is_err());
    assert!(guest.rename("sub", slashed).is_err());
    assert!(guest.rename(slashed, "stolen").is_err());
}

#[test]
fn a_subdirectory_is_a_sandbox_too() {
    for resolver in RESOLVERS {
        let world = World::new();
        symlink("../file", world.inside("sub/up")).unwrap();
        let mut guest = world.guest(resolver);
        let sub = guest.open_directory("sub").unwrap();
        assert_eq!(
            guest.open_with(sub, FOLLOW, "..", 0, FD_READ, 0),
            Err(Errno::NotCapable)
        );
        assert_eq!(
            guest.open_with(sub, FOLLOW, "../file", 0, FD_READ, 0),
            Err(Errno::NotCapable)
        );
        // The same link is fine seen from above.
        assert_eq!(
            guest.open_with(sub, FOLLOW, "up", 0, FD_READ, 0),
            Err(Errno::NotCapable)
        );
        guest
            .open_with(DIR, FOLLOW, "sub/up", 0, FD_READ, 0)
            .unwrap();
    }
}

#[test]
fn a_directory_moved_out_while_open_leads_no_further() {
    for resolver in RESOLVERS {
        let world = World::new();
        let mut guest = world.guest(resolver);
        let deep = guest.open_directory("sub/deep").unwrap();
        fs::rename(world.inside("sub/deep"), world.dir.path().join("deep")).unwrap();
        let out = guest.open_with(deep, FOLLOW, "../outside/secret", 0, FD_READ, 0);
        assert_eq!(out, Err(Errno::NotCapable));
        assert_eq!(
            guest.rename_between(deep, "../outside/secret", DIR, "stolen"),
            Err(Errno::NotCapable)
        );
        fs::remove_dir(world.dir.path().join("deep")).unwrap();
        world.assert_untouched();
    }
}

#[test]
fn absolute_links_are_not_made() {
    for resolver in RESOLVERS {
        let world = World::new();
        let mut guest = world.guest(resolver);
        for target in [
            "/",
            "/etc/passwd",
            "//x",
            world.inside("file").to_str().unwrap(),
        ] {
            assert_eq!(
                guest.symlink(target, "link"),
                Err(Errno::NotCapable),
                "{target}"
            );
        }
        assert_eq!(guest.stat("link", 0), Err(Errno::NoEnt));
        // A relative one out of the sandbox may be made, as any dangling link, and does not resolve.
        guest.symlink("../outside/secret", "link").unwrap();
        assert_eq!(guest.open_to_read("link"), Err(Errno::NotCapable));
        // Nor does one that points out once it has been moved.
        guest.symlink("../file", "sub/link").unwrap();
        guest.open_to_read("sub/link").unwrap();
        guest.rename("sub/link", "moved").unwrap();
        assert_eq!(guest.open_to_read("moved"), Err(Errno::NotCapable));
        // Nor by another name of it.
        guest.link(0, "link", "sub/second").unwrap();
        assert_eq!(guest.open_to_read("sub/second"), Err(Errno::NoEnt));
        world.assert_untouched();
    }
}

#[test]
fn two_preopened_directories_do_not_mix() {
    for resolver in RESOLVERS {
        let world = World::new();
        let builder = WasiCtxBuilder::new()
            .preopened_dir(world.inside("sub"), "/a", Access::ReadWrite)
            .preopened_dir(world.outside("sub"), "/b", Access::ReadWrite);
        let mut guest = Guest::new(builder.build().unwrap()).with_resolver(resolver);
        guest.open("file", CREATE).unwrap();
        assert_eq!(
            guest.rename_between(3, "file", 4, "../file"),
            Err(Errno::NotCapable)
        );
        assert_eq!(
            guest.link_between(3, 0, "file", 4, "../file"),
            Err(Errno::NotCapable)
        );
        assert_eq!(
            guest.link_between(4, 0, "../secret", 3, "stolen"),
            Err(Errno::NotCapable)
        );
        guest.rename_between(3, "file", 4, "file").unwrap();
        assert!(world.outside("sub/file").exists());
    }
}

/// Somebody keeps exchanging a directory for a link that leads out, and a file for a link to the secret.
#[test]
fn races_are_not_won() {
    for resolver in RESOLVERS {
        let world = World::new();
        fs::create_dir(world.inside("target")).unwrap();
        fs::write(world.inside("target/secret"), "decoy!").unwrap();
        symlink("../outside", world.inside("evil")).unwrap();
        symlink("../outside/secret", world.inside("evil_file")).unwrap();
        let stop = AtomicBool::new(false);
        let (mut opened, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let inside = fs::File::open(world.inside("")).unwrap();
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                while !stop.load(Ordering::Relaxed) {
                    rustix::fs::renameat_with(&inside, "target", &inside, "evil", exchange)
                        .unwrap();
                    rustix::fs::renameat_with(&inside, "file", &inside, "evil_file", exchange)
                        .unwrap();
                }
            });
            let mut guest = world.guest(resolver);
            let deadline = Instant::now() + Duration::from_secs(20);
            for turn in 0.. {
                let enough = turn >= 4000 && opened > 0 && refused > 0;
                if enough || Instant::now() > deadline {
                    break;
                }
                let path = [
                    "target/secret",
                    "file",
                    "target/../file",
                    "./file",
                    "target/./secret",
                ][turn % 5];
                match guest.open(path, 0) {
                    Ok(fd) => {
                        opened += 1;
                        assert_ne!(guest.read(fd, 10).unwrap(), b"secret");
                        guest.close(fd);
                    }
                    Err(Errno::NotCapable) => refused += 1,
                    Err(error) => assert!(matches!(error, Errno::Loop | Errno::NoEnt), "{error:?}"),
                }
                // Whatever comes of these, they must not happen outside.
                if let Ok(fd) = guest.open("target/new", CREATE) {
                    guest.close(fd);
                }
                let _ = guest.unlink("target/new");
            }
            stop.store(true, Ordering::Relaxed);
        });
        // Otherwise this has shown nothing.
        assert!(
            opened > 0 && refused > 0,
            "{opened} opened, {refused} refused"
        );
        world.assert_untouched();
    }
}

#[test]
fn both_resolvers_agree() {
    let world = World::new();
    for (target, name) in [
        ("sub", "dir"),
        ("dir/", "dir_slashed"),
        ("../file", "sub/file"),
        ("deep/..", "sub/self"),
        ("loop/x", "loop"),
        ("../outside", "out"),
        ("sub/missing", "dangling"),
        (".", "here"),
    ] {
        symlink(target, world.inside(name)).unwrap();
    }
    let parts = [
        ".",
        "..",
        "sub",
        "deep",
        "file",
        "dir",
        "dir_slashed",
        "self",
        "loop",
        "out",
        "dangling",
        "here",
        "",
    ];
    let mut kernel = world.guest(Resolver::Kernel);
    let mut walk = world.guest(Resolver::Walk);
    let mut found = 0;
    for first in parts {
        for second in parts {
            for third in parts {
                for fourth in ["file", "..", "", "deep"] {
                    let path = [first, second, third, fourth].join("/");
                    for follow in [0, FOLLOW] {
                        let expected = kernel.stat(&path, follow);
                        assert_eq!(walk.stat(&path, follow), expected, "{path}");
                        found += usize::from(expected.is_ok());
                    }
                }
            }
        }
    }
    assert!(found > 300, "{found}");
}

#[test]
fn what_lies_above_is_not_numbered() {
    let world = World::new();
    let mut guest = world.guest(Resolver::Kernel);
    let own = guest.fd_stat(DIR).unwrap().inode;
    snapshot::fd_readdir(&mut guest.ctx, &mut guest.mem, DIR, 1024, 4096, 0, RESULT).unwrap();
    let used = guest.u32_at(RESULT);
    let mut at = 1024;
    while at < 1024 + used {
        let name_len = guest.u32_at(at + 16);
        let name = &guest.mem[at as usize + 24..(at + 24 + name_len) as usize];
        if name == b".." {
            assert_eq!(guest.u64_at(at + 8), own);
            return;
        }
        at += 24 + name_len;
    }
    panic!("no entry for the parent directory");
}

#[test]
fn a_deep_tree_does_not_use_up_the_hosts_descriptors() {
    let world = World::new();
    let mut walk = world.guest(Resolver::Walk);
    let mut depth = 0;
    let refused = loop {
        depth += 1;
        let path = format!("{}d", "d/".repeat(depth));
        match walk.mkdir(&path[2..]) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!((depth, refused), (258, Errno::NameTooLong));
    // Going down and up again is not deep.
    walk.stat(&"sub/../".repeat(500), 0).unwrap();
}
