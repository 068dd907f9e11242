//! One server for many programs: a socket to connect to, and a process for each client.
//!
//! A client that sends what kills LLVM, or what keeps it busy for ever, harms its own process only. That process has a limit
//! on its memory, and ends when its client hangs up.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use upshift_llvm::limit_memory;

/// Clients at a time; others are turned away.
const CLIENTS_MAX: usize = 64;
/// Bytes of address space for the process of a client.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// How long to wait when the system has no more connections to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves whoever connects to this socket, for ever.
pub fn listen(socket: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", socket.display());
    let listener = bind(socket).map_err(failed)?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let started = stream.and_then(|stream| match clients.load(Ordering::Acquire) {
            CLIENTS_MAX.. => Ok(None),
            _ => start(&program, stream).map(Some),
        });
        match started {
            Ok(Some(child)) => {
                clients.fetch_add(1, Ordering::AcqRel);
                let clients = Arc::clone(&clients);
                thread::spawn(move || wait(child, &clients));
            }
            Ok(None) => eprintln!("a client is turned away: there are {CLIENTS_MAX} already"),
            Err(error) => {
                eprintln!("a client is turned away: {error}");
                thread::sleep(PAUSE);
            }
        }
    }
    Ok(())
}

/// Makes the socket, for this user only. One that nobody listens to any more is replaced.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(socket).or_else(|error| {
        let abandoned = error.kind() == ErrorKind::AddrInUse
            && UnixStream::connect(socket)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if !abandoned {
            return Err(error);
        }
        fs::remove_file(socket)?;
        UnixListener::bind(socket)
    })?;
    fs::set_permissions(socket, Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn start(program: &Path, stream: UnixStream) -> io::Result<Child> {
    let input = OwnedFd::from(stream.try_clone()?);
    let mut child = Command::new(program)
        .arg("--pipe")
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(OwnedFd::from(stream)))
        .spawn()?;
    if let Err(error) = limit_memory(&child, MEMORY_BYTES_MAX) {
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    Ok(child)
}

fn wait(mut child: Child, clients: &AtomicUsize) {
    match child.wait() {
        Ok(status) if !status.success() => eprintln!("the process of a client ended: {status}"),
        _ => {}
    }
    clients.fetch_sub(1, Ordering::AcqRel);
}
