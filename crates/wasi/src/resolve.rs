//! Path resolution that cannot leave a directory.
//!
//! Every path operation is split in two. First the path's *parent* is opened, beneath the directory that the guest's
//! descriptor stands for, either by the kernel (`openat2` with `RESOLVE_BENEATH`) or, where that system call is missing or
//! forbidden, by a walk of our own that opens one component at a time and never lets the kernel follow a link. Then the
//! operation itself is done on that parent with a *single name*: no slash, not followed if it is a symbolic link.
//! So there is one place where an escape could happen, [`open_directory`], and the usual accidents cannot: a trailing slash,
//! which makes the kernel follow a link in spite of `O_NOFOLLOW`, never reaches it, and a link swapped in between check
//! and use is an error, not a door.
//!
//! A link in the last component is followed here, by reading it and starting over with its target put in its place, so
//! that it is bound by the same rules. A link to an absolute path never resolves: it names a place in the host's tree.

use crate::errno::Errno;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Links followed in one path, as on Linux.
const LINKS_MAX: usize = 40;

/// Length of a path, with its final zero byte, as on Linux.
const PATH_MAX: usize = 4096;

/// Tries at an operation that other processes keep disturbing.
const RACES_MAX: usize = 16;

/// Directories that [`walk`] keeps open at once. Each is a descriptor of the host process, of which a guest should not be
/// able to use up all by making a deep tree.
const DEPTH_MAX: usize = 256;

const OPEN_PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// How parents are opened. Both obey the same rules; the second needs no `openat2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// By the kernel, falling back to [`Resolver::Walk`] where it cannot.
    Kernel,
    /// Component by component.
    Walk,
}

/// Where an operation takes place: one name in one directory.
pub(crate) struct Place<'root> {
    parent: Parent<'root>,
    name: CString,
    /// The path ended in a slash, so it can only mean a directory.
    pub(crate) must_be_directory: bool,
}

enum Parent<'root> {
    Root(BorrowedFd<'root>),
    Opened(OwnedFd),
}

impl Place<'_> {
    /// The directory.
    pub(crate) fn parent(&self) -> BorrowedFd<'_> {
        match &self.parent {
            Parent::Root(fd) => *fd,
            Parent::Opened(fd) => fd.as_fd(),
        }
    }

    /// The name in it: without a slash, and `.` if the path ended in `.` or `..`.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// The metadata of what has this name, be it a link.
    pub(crate) fn stat(&self) -> Result<Stat, Errno> {
        Ok(rustix::fs::statat(
            self.parent(),
            self.name(),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Fails unless this is a directory, if the path said so by a trailing slash.
    pub(crate) fn check_directory(&self) -> Result<(), Errno> {
        let is_directory = || {
            self.stat()
                .map(|stat| crate::abi::file_type(&stat) == FileType::Directory)
        };
        if self.must_be_directory && !is_directory()? {
            Err(Errno::NotDir)
        } else {
            Ok(())
        }
    }
}

/// Finds the place that `path`, relative to `root`, names, without following a link in its last component.
pub(crate) fn locate<'root>(
    resolver: Resolver,
    root: BorrowedFd<'root>,
    path: &[u8],
) -> Result<Place<'root>, Errno> {
    let (parent, name, must_be_directory) = split(path)?;
    let parent = match parent {
        None => Parent::Root(root),
        Some(parent) => Parent::Opened(open_directory(resolver, root, parent)?),
    };
    Ok(Place {
        parent,
        name,
        must_be_directory,
    })
}

/// Finds the place that `path`, relative to `root`, names. Links in the last component are followed if `follow`, or if a
/// trailing slash asks for what the link leads to. What is found may be nothing yet, when a link dangles.
pub(crate) fn locate_followed<'root>(
    resolver: Resolver,
    root: BorrowedFd<'root>,
    path: &[u8],
    follow: bool,
) -> Result<Place<'root>, Errno> {
    let mut path = path.to_vec();
    for _ in 0..=LINKS_MAX {
        let place = locate(resolver, root, &path)?;
        if !follow && !place.must_be_directory {
            return Ok(place);
        }
        let target = match rustix::fs::readlinkat(place.parent(), place.name(), Vec::new()) {
            Ok(target) => target,
            // Not a link, or nothing there.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => return Ok(place),
            Err(error) => return Err(error.into()),
        };
        path = splice(&path, target.as_bytes(), place.must_be_directory)?;
    }
    Err(Errno::Loop)
}

/// Runs `operation` on what `path` names, following links. The operation must refuse to follow a link itself, with `ELOOP`
/// or `ENOTDIR`; that is taken for a link that is to be followed, and costs a path without one no look at all.
pub(crate) fn with_followed<T>(
    resolver: Resolver,
    root: BorrowedFd<'_>,
    path: &[u8],
    mut operation: impl FnMut(&Place<'_>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let mut result = operation(&locate(resolver, root, path)?);
    for _ in 0..RACES_MAX {
        match result {
            Err(Errno::Loop | Errno::NotDir) => {}
            result => return result,
        }
        let place = locate_followed(resolver, root, path, true)?;
        result = operation(&place);
        if matches!(result, Err(Errno::NotDir)) {
            return result;
        }
    }
    result
}

/// Splits a path into its parent (`None`: the directory itself), its last name, and whether it must be a directory.
fn split(path: &[u8]) -> Result<(Option<&[u8]>, CString, bool), Errno> {
    if path.is_empty() {
        return Err(Errno::NoEnt);
    }
    if path.len() >= PATH_MAX {
        return Err(Errno::NameTooLong);
    }
    if path.contains(&0) {
        return Err(Errno::Inval);
    }
    if path[0] == b'/' {
        return Err(Errno::NotCapable);
    }
    let trimmed = trim_slashes(path);
    let must_be_directory = trimmed.len() < path.len();
    let (parent, name) = match trimmed.iter().rposition(|&byte| byte == b'/') {
        None => (None, trimmed),
        Some(slash) => (Some(trim_slashes(&trimmed[..slash])), &trimmed[slash + 1..]),
    };
    // A last component that is no name of its own is a directory reached by the path as a whole.
    let (parent, name) = match name {
        b"." => (parent, name),
        b".." => (Some(trimmed), b".".as_slice()),
        name => (parent, name),
    };
    Ok((
        parent,
        CString::new(name).map_err(|_| Errno::Inval)?,
        must_be_directory,
    ))
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let end = path
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |last| last + 1);
    &path[..end]
}

/// Puts a link's target in the place of the link's name, the last component of `path`.
fn splice(path: &[u8], target: &[u8], must_be_directory: bool) -> Result<Vec<u8>, Errno> {
    if target.first() == Some(&b'/') {
        return Err(Errno::NotCapable);
    }
    let trimmed = trim_slashes(path);
    let prefix = trimmed
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    let mut spliced = trimmed[..prefix].to_vec();
    spliced.extend_from_slice(target);
    if must_be_directory {
        spliced.push(b'/');
    }
    Ok(spliced)
}

/// Opens the directory `path` beneath `root`, for use as a parent only. Following a link or `..` out of `root` is
/// [`Errno::NotCapable`].
fn open_directory(resolver: Resolver, root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    if resolver == Resolver::Walk {
        return walk(root, path);
    }
    let name = CString::new(path).map_err(|_| Errno::Inval)?;
    let flags = OPEN_PATH | OFlags::DIRECTORY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RACES_MAX {
        match rustix::fs::openat2(root, name.as_c_str(), flags, Mode::empty(), resolve) {
            Ok(fd) => return Ok(fd),
            Err(rustix::io::Errno::XDEV) => return Err(Errno::NotCapable),
            // Somebody renamed a directory while `..` was being resolved.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            // No such system call, or forbidden by a filter from before it existed.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    walk(root, path)
}

/// One step of [`walk`] that is still to be taken.
type Step = Vec<u8>;

/// Opens `path` beneath `root` one component at a time. The directories on the way are kept open, so that `..` goes back to
/// where we came from, whatever has been moved meanwhile, and never above `root`.
fn walk(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut todo: Vec<Step> = steps(path).collect();
    let mut opened: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(step) = todo.pop() {
        if step == b".." {
            opened.pop().ok_or(Errno::NotCapable)?;
            continue;
        }
        let here = opened.last().map_or(root, |fd| fd.as_fd());
        let name = CString::new(step).map_err(|_| Errno::Inval)?;
        let fd = rustix::fs::openat(
            here,
            name.as_c_str(),
            OPEN_PATH | OFlags::NOFOLLOW,
            Mode::empty(),
        )?;
        match crate::abi::file_type(&rustix::fs::fstat(&fd)?) {
            FileType::Directory if opened.len() == DEPTH_MAX => return Err(Errno::NameTooLong),
            FileType::Directory => opened.push(fd),
            FileType::Symlink => {
                links += 1;
                let target = rustix::fs::readlinkat(&fd, c"", Vec::new())?;
                let target = target.as_bytes();
                if target.first() == Some(&b'/') {
                    return Err(Errno::NotCapable);
                }
                if links > LINKS_MAX {
                    return Err(Errno::Loop);
                }
                todo.extend(steps(target));
                if todo.len() > PATH_MAX {
                    return Err(Errno::NameTooLong);
                }
            }
            _ => return Err(Errno::NotDir),
        }
    }
    match opened.pop() {
        Some(fd) => Ok(fd),
        None => Ok(rustix::fs::openat(
            root,
            c".",
            OPEN_PATH | OFlags::DIRECTORY,
            Mode::empty(),
        )?),
    }
}

/// The components of a path, last first.
fn steps(path: &[u8]) -> impl Iterator<Item = Step> {
    let components = path.split(|&byte| byte == b'/').rev();
    components
        .filter(|component| !component.is_empty() && component != b".")
        .map(<[u8]>::to_vec)
}
