//! WASI guests that try to get out of their directory, while the host moves what their paths lead through.
//!
//! Guests call every function that takes a path, with paths made at random of names, `..`, slashes and links, some of which
//! lead out. Meanwhile the host exchanges directories and files for links that lead out, and moves a directory up and
//! down. Whatever a guest can open, list or ask about must be none of what lies outside, and that must stay as it was.

use crate::report::Report;
use crate::scale::Scale;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, HashSet};
use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use upshift_wasi::{Access, FUNCTIONS, WasiCtx, WasiCtxBuilder};

/// Guests at work at once, every other one with paths resolved one component at a time.
const GUESTS: u64 = 4;
const SECRET: &[u8] = b"what lies outside";
/// What paths are made of.
const PARTS: &[&str] = &[
    "file",
    "sub",
    "deep",
    "target",
    "evil",
    "evil_file",
    "new",
    "up",
    ".",
    "..",
    "",
    "secret",
    "other",
];
/// What links lead to.
const LINKS: &[&str] = &[
    "../outside",
    "../outside/secret",
    "..",
    "../..",
    "sub/../..",
    "/",
    "sub",
    "file/",
    "new",
    "deep/..",
];
/// The first preopened directory.
const DIRECTORY: u64 = 3;
/// Descriptors that a guest tries, open or not.
const DESCRIPTORS: u64 = 12;
/// Where in the guest's memory results, the buffer and the two paths are.
const RESULT: usize = 0;
const BUFFER: usize = 256;
const BUFFER_BYTES: usize = 1024;
const PATHS: [usize; 2] = [2048, 3072];
/// The error number of what a guest is not allowed to do.
const NOT_CAPABLE: i32 = 76;
/// Wrong results that are told word by word.
const TOLD_MAX: usize = 5;

/// All guests, until each has made its calls.
pub fn run(scale: Scale) -> Result<Report> {
    let calls: u64 = match scale {
        Scale::Full => 500_000,
        Scale::Smoke => 20_000,
    };
    let mut report = Report::new(
        "escapes",
        "WASI guests that try to get out of their directory while the host moves what their paths lead through",
    );
    let world = World::new()?;
    let before = world.outside()?;
    let outside: HashSet<u64> = before.values().map(|found| found.inode).collect();
    let (stop, moves) = (AtomicBool::new(false), AtomicU64::new(0));
    let totals = std::thread::scope(|scope| -> Result<Vec<Tally>> {
        let moving = scope.spawn(|| world.keep_moving(&stop, &moves));
        let guests: Vec<_> = (0..GUESTS)
            .map(|number| {
                let guest = Guest::new(&world, number, &outside);
                scope.spawn(move || Ok::<_, anyhow::Error>(guest?.work(calls / GUESTS)))
            })
            .collect();
        let totals = guests
            .into_iter()
            .map(|guest| guest.join().ok().context("a guest panicked")?);
        let totals = totals.collect();
        stop.store(true, Ordering::Relaxed);
        moving.join().ok().context("the host panicked")??;
        totals
    })?;
    let sum = |of: fn(&Tally) -> u64| totals.iter().map(of).sum::<u64>();
    report.figure("calls", sum(|tally| tally.calls));
    report.figure("of which succeeded", sum(|tally| tally.succeeded));
    report.figure(
        "of which were refused as leading out",
        sum(|tally| tally.refused),
    );
    report.figure(
        "things moved by the host meanwhile",
        moves.load(Ordering::Relaxed),
    );
    report.add(
        sum(|tally| tally.checks),
        totals.iter().flat_map(|tally| tally.wrong.clone()),
    );
    // Otherwise this has shown nothing.
    report.check(
        sum(|tally| tally.refused) > 0 && sum(|tally| tally.succeeded) > 0,
        || "no call was refused, or none succeeded".to_owned(),
    );
    let after = world.outside()?;
    report.check(after == before, || {
        format!("outside there is {after:?}, at first there was {before:?}")
    });
    Ok(report.finish())
}

/// A directory with a guest's `box` in it and, beside that, an `outside`.
struct World {
    folder: tempfile::TempDir,
}

/// What can be seen of a file from outside.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    inode: u64,
    links: u64,
    modified: (i64, i64),
    contents: Vec<u8>,
}

impl World {
    fn new() -> Result<World> {
        let world = World {
            folder: tempfile::tempdir()?,
        };
        let folder = world.folder.path();
        fs::create_dir(folder.join("box"))?;
        fs::create_dir_all(folder.join("outside/sub"))?;
        fs::write(folder.join("outside/secret"), SECRET)?;
        world.repair();
        Ok(world)
    }

    /// Makes again what guests have removed; an error means that it is there. No path leads through a name in the box,
    /// which could be a guest's link: what the host does itself may go wrong there.
    fn repair(&self) {
        let folder = self.folder.path().join("box");
        let _ = fs::create_dir(folder.join("sub"));
        let _ = fs::create_dir(folder.join("up"));
        let _ = fs::create_dir(folder.join("target"));
        let _ = symlink("../outside", folder.join("evil"));
        let _ = symlink("../outside/secret", folder.join("evil_file"));
        let _ = fs::File::create_new(folder.join("file"));
    }

    /// Everything outside the box, by its path.
    fn outside(&self) -> Result<BTreeMap<String, Seen>> {
        let mut found = BTreeMap::new();
        for path in ["", "outside", "outside/sub"] {
            let folder = self.folder.path().join(path);
            found.insert(path.to_owned(), seen(&folder)?);
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_name() != "box" {
                    let name = format!("{path}/{}", entry.file_name().to_string_lossy());
                    found.insert(name, seen(&entry.path())?);
                }
            }
        }
        Ok(found)
    }

    /// Exchanges and moves things in the box until told to stop. What a guest has just removed cannot be moved.
    fn keep_moving(&self, stop: &AtomicBool, moves: &AtomicU64) -> Result<()> {
        let folder = fs::File::open(self.folder.path().join("box"))?;
        while !stop.load(Ordering::Relaxed) {
            let exchange = libc::RENAME_EXCHANGE;
            let mut moved = u64::from(rename(&folder, c"target", &folder, c"evil", exchange));
            moved += u64::from(rename(&folder, c"file", &folder, c"evil_file", exchange));
            if let Some(sub) = directory(&folder, c"sub") {
                let keep = libc::RENAME_NOREPLACE;
                moved += u64::from(rename(&sub, c"deep", &folder, c"up", keep));
                moved += u64::from(rename(&folder, c"up", &sub, c"deep", keep));
            }
            let before = moves.fetch_add(moved, Ordering::Relaxed);
            if moved == 0 || before / 64 != (before + moved) / 64 {
                self.repair();
            }
        }
        Ok(())
    }
}

fn rename(from: &fs::File, name: &CStr, to: &fs::File, new: &CStr, flags: u32) -> bool {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: the names are C strings.
    unsafe { libc::renameat2(from, name.as_ptr(), to, new.as_ptr(), flags) == 0 }
}

/// The directory of that name, if it is one and no link.
fn directory(folder: &fs::File, name: &CStr) -> Option<fs::File> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: the name is a C string; a descriptor that was returned is new, and nobody else's.
    unsafe {
        let opened = libc::openat(folder.as_raw_fd(), name.as_ptr(), flags);
        (opened >= 0).then(|| fs::File::from_raw_fd(opened))
    }
}

fn seen(path: &Path) -> Result<Seen> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(Seen {
        inode: metadata.ino(),
        links: metadata.nlink(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        contents: match metadata.is_file() {
            true => fs::read(path)?,
            false => Vec::new(),
        },
    })
}

/// What came of a guest's calls.
#[derive(Default)]
struct Tally {
    calls: u64,
    succeeded: u64,
    refused: u64,
    checks: u64,
    wrong: Vec<String>,
}

struct Guest<'a> {
    context: WasiCtx,
    memory: Vec<u8>,
    random: u64,
    outside: &'a HashSet<u64>,
    tally: Tally,
}

impl<'a> Guest<'a> {
    fn new(world: &World, number: u64, outside: &'a HashSet<u64>) -> Result<Guest<'a>> {
        let folder = world.folder.path().join("box");
        let mut builder = WasiCtxBuilder::new()
            .preopened_dir(folder, "/", Access::ReadWrite)
            .descriptors_max(DESCRIPTORS as usize);
        if number % 2 == 1 {
            builder = builder.resolve_by_walking();
        }
        Ok(Guest {
            context: builder.build()?,
            memory: vec![0; 4096],
            random: 0x9e37_79b9_7f4a_7c15 ^ number << 40,
            outside,
            tally: Tally::default(),
        })
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) % limit
    }

    /// Puts a path into memory; its address and its length.
    fn path(&mut self, number: usize) -> [u64; 2] {
        let mut path = String::new();
        for part in 0..1 + self.below(5) {
            let separator = if part > 0 { "/" } else { "" };
            let name = PARTS[self.below(PARTS.len() as u64) as usize];
            path = format!("{path}{separator}{name}");
        }
        if self.below(4) == 0 {
            path.push('/');
        }
        self.put(number, &path)
    }

    fn put(&mut self, number: usize, text: &str) -> [u64; 2] {
        let at = PATHS[number];
        self.memory[at..at + text.len()].copy_from_slice(text.as_bytes());
        [at as u64, text.len() as u64]
    }

    fn shown(&self, [at, len]: [u64; 2]) -> String {
        String::from_utf8_lossy(&self.memory[at as usize..(at + len) as usize]).into_owned()
    }

    /// A directory, mostly the first.
    fn directory(&mut self) -> u64 {
        match self.below(3) {
            0 => DIRECTORY + self.below(DESCRIPTORS - DIRECTORY),
            _ => DIRECTORY,
        }
    }

    fn call(&mut self, name: &str, arguments: &[u64]) -> bool {
        let function = FUNCTIONS.iter().find(|function| function.name == name);
        let status = function.map(|f| (f.call)(&mut self.context, &mut self.memory, arguments));
        let status = status.and_then(|status| status.ok()).unwrap_or(-1);
        self.tally.calls += 1;
        self.tally.succeeded += u64::from(status == 0);
        self.tally.refused += u64::from(status == NOT_CAPABLE);
        status == 0
    }

    fn work(mut self, calls: u64) -> Tally {
        while self.tally.calls < calls && self.tally.wrong.len() < TOLD_MAX {
            let (at, path) = (self.directory(), self.path(0));
            let follow = self.below(2);
            let [text, len] = path;
            match self.below(12) {
                0..=3 => self.open(at, path),
                4 => {
                    if self.call("path_filestat_get", &[at, follow, text, len, RESULT as u64]) {
                        self.check_inode("stat", path);
                    }
                }
                5 => {
                    let to = (self.directory(), self.path(1));
                    let [new, new_len] = to.1;
                    let name = if follow == 1 {
                        "path_rename"
                    } else {
                        "path_link"
                    };
                    match name {
                        "path_rename" => self.call(name, &[at, text, len, to.0, new, new_len]),
                        _ => {
                            let old_flags = self.below(2);
                            self.call(name, &[at, old_flags, text, len, to.0, new, new_len])
                        }
                    };
                }
                6 => {
                    let target = LINKS[self.below(LINKS.len() as u64) as usize];
                    let [target, target_len] = self.put(1, target);
                    self.call("path_symlink", &[target, target_len, at, text, len]);
                }
                7 => drop(self.call("path_create_directory", &[at, text, len])),
                8 => drop(self.call("path_unlink_file", &[at, text, len])),
                9 => drop(self.call("path_remove_directory", &[at, text, len])),
                10 => drop(self.call("path_filestat_set_times", &[at, follow, text, len, 0, 5, 4])),
                _ => self.renumber(),
            }
        }
        self.tally
    }

    /// Opens, and looks at what was opened.
    fn open(&mut self, at: u64, path: [u64; 2]) {
        let [text, len] = path;
        let (flags, follow) = (self.below(16), self.below(2));
        let all: u64 = (1 << 30) - 1;
        let rights = match flags & 2 {
            0 => 1 << 1 | 1 << 6 | 1 << 8 | 1 << 21 | 1 << 22,
            _ => all,
        };
        let arguments = [at, follow, text, len, flags, rights, all, 0, RESULT as u64];
        if !self.call("path_open", &arguments) {
            return;
        }
        let opened = u64::from(self.number(RESULT) as u32);
        if self.call("fd_filestat_get", &[opened, RESULT as u64]) {
            self.check_inode("open", path);
        }
        self.memory[BUFFER..BUFFER + SECRET.len()].fill(0);
        let vector = (BUFFER as u64 | (SECRET.len() as u64) << 32).to_le_bytes();
        self.memory[RESULT + 64..RESULT + 72].copy_from_slice(&vector);
        if self.call("fd_read", &[opened, RESULT as u64 + 64, 1, RESULT as u64]) {
            let read = &self.memory[BUFFER..BUFFER + SECRET.len()];
            let secret = read == SECRET;
            self.check(!secret, || "the secret was read".to_owned());
        }
        if self.below(2) == 0 {
            self.call("fd_close", &[opened]);
        }
    }

    /// Moves or closes a descriptor; the first directory stays, or nothing would be left to do.
    fn renumber(&mut self) {
        let from = DIRECTORY + 1 + self.below(DESCRIPTORS - DIRECTORY - 1);
        let to = DIRECTORY + 1 + self.below(DESCRIPTORS - DIRECTORY - 1);
        match self.below(3) {
            0 => drop(self.call("fd_close", &[from])),
            1 => {
                let list = [from, BUFFER as u64, BUFFER_BYTES as u64, 0, RESULT as u64];
                self.call("fd_readdir", &list);
            }
            _ => drop(self.call("fd_renumber", &[from, to])),
        }
    }

    fn number(&self, at: usize) -> u64 {
        let bytes = self.memory[at..at + 8].try_into();
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// What was asked about, or opened, is nothing outside.
    fn check_inode(&mut self, what: &str, path: [u64; 2]) {
        let inode = self.number(RESULT + 8);
        let (path, outside) = (self.shown(path), self.outside);
        self.check(!outside.contains(&inode), || {
            format!("{what} {path} leads out")
        });
    }

    fn check(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        self.tally.checks += 1;
        if !holds {
            self.tally.wrong.push(wrong());
        }
    }
}
