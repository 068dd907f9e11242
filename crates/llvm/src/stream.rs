//! Connections to a server: a process that is started for it, or the socket of one that serves many.
//!
//! Either is a Unix socket, because what is written to a pipe whose reader has stopped cannot be given up.

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whether that file is the socket of a server that runs already.
pub(crate) fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Connects to the server that listens there, if it is ready to be connected to.
pub(crate) fn connect_to(socket: &Path) -> io::Result<UnixStream> {
    // A socket that may block would do so when the listener has stopped and many wait for it already.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let own = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&own, &SocketAddrUnix::new(socket)?)?;
    let stream = UnixStream::from(own);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Starts the server in this file, with a limit on its memory.
pub(crate) fn spawn(program: &Path, memory_bytes: u64) -> io::Result<(UnixStream, Child)> {
    let (own, theirs) = UnixStream::pair()?;
    let output = OwnedFd::from(theirs.try_clone()?);
    let mut command = Command::new(program);
    command
        .arg("--pipe")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    if let Err(error) = limit_memory(&child, memory_bytes) {
        end(&mut child);
        return Err(error);
    }
    Ok((own, child))
}

/// Limits the address space of a process.
///
/// # Errors
/// What the operating system says.
pub fn limit_memory(child: &Child, bytes: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    prlimit(process, Resource::As, limit)?;
    Ok(())
}

/// Ends a process.
pub(crate) fn end(child: &mut Child) {
    // Both fail only if it has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Writes that have to be done by a moment, however slowly the other side reads.
pub(crate) struct Until<'a> {
    pub(crate) stream: &'a UnixStream,
    pub(crate) end: Instant,
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // A pause of less than a microsecond would count as none.
        let timeout = left.max(Duration::from_micros(1));
        self.stream.set_write_timeout(Some(timeout))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
