//! Where a guest's standard streams lead: to the host process's own, to memory, or to a reader or writer of the embedder's.
//!
//! Nothing is buffered here. Each `fd_write` of the guest is one write to the host, all its buffers together, so
//! nothing is lost at an exit or a trap and what the guest writes to standard output and to standard error stays in order.

use std::fmt;
use std::io::{self, Cursor, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// What a guest reads from its standard input.
pub struct Input(pub(crate) InputKind);

pub(crate) enum InputKind {
    Inherit,
    Host(OwnedFd),
    Reader(Box<dyn Read + Send>),
}

impl Input {
    /// The host process's standard input.
    pub fn inherit() -> Input {
        Input(InputKind::Inherit)
    }

    /// Nothing: the first read is the end of the file.
    pub fn empty() -> Input {
        Input::reader(io::empty())
    }

    /// These bytes, then the end of the file.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Input {
        Input::reader(Cursor::new(bytes.into()))
    }

    /// A reader. It may block, and is taken to be ready whenever the guest asks.
    pub fn reader(reader: impl Read + Send + 'static) -> Input {
        Input(InputKind::Reader(Box::new(reader)))
    }

    /// An open file, pipe or terminal of the host.
    pub fn host(fd: impl Into<OwnedFd>) -> Input {
        Input(InputKind::Host(fd.into()))
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            InputKind::Inherit => "Input::inherit",
            InputKind::Host(_) => "Input::host",
            InputKind::Reader(_) => "Input::reader",
        })
    }
}

/// Where a guest's standard output or standard error goes.
pub struct Output(pub(crate) OutputKind);

pub(crate) enum OutputKind {
    Inherit,
    Host(OwnedFd),
    Writer(Box<dyn Write + Send>),
}

impl Output {
    /// The host process's stream of the same name. Bytes go straight to it, past any buffer that the host's own
    /// `std::io::stdout` holds; flush that before the guest runs.
    pub fn inherit() -> Output {
        Output(OutputKind::Inherit)
    }

    /// Nowhere.
    pub fn discard() -> Output {
        Output::writer(io::sink())
    }

    /// A writer, flushed after each of the guest's writes.
    pub fn writer(writer: impl Write + Send + 'static) -> Output {
        Output(OutputKind::Writer(Box::new(writer)))
    }

    /// An open file, pipe or terminal of the host.
    pub fn host(fd: impl Into<OwnedFd>) -> Output {
        Output(OutputKind::Host(fd.into()))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            OutputKind::Inherit => "Output::inherit",
            OutputKind::Host(_) => "Output::host",
            OutputKind::Writer(_) => "Output::writer",
        })
    }
}

/// Collects what a guest writes. Clones share the same bytes, so one capture given to both streams keeps their order.
///
/// ```
/// # fn main() -> Result<(), upshift_wasi::Error> {
/// use upshift_wasi::{Capture, WasiCtxBuilder};
///
/// let capture = Capture::new(1 << 20);
/// let ctx = WasiCtxBuilder::new().stdout(capture.output()).stderr(capture.output()).build()?;
/// // ... run a guest with `ctx` ...
/// # drop(ctx);
/// assert_eq!(capture.take(), b"");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    bytes_max: usize,
}

impl Capture {
    /// A capture that holds up to `bytes_max` bytes; further writes fail, to the guest, with "no space left".
    pub fn new(bytes_max: usize) -> Capture {
        Capture {
            bytes: Arc::default(),
            bytes_max,
        }
    }

    /// A stream that ends here.
    pub fn output(&self) -> Output {
        Output::writer(self.clone())
    }

    /// What was written so far.
    pub fn contents(&self) -> Vec<u8> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was written since the last call of this function, making room for as much again.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Capture {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.bytes_max.saturating_sub(bytes.len());
        if room == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = buf.len().min(room);
        bytes.try_reserve(len)?;
        bytes.extend_from_slice(&buf[..len]);
        Ok(len)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = 0;
        for buf in bufs {
            match self.write(buf) {
                Ok(len) => written += len,
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A descriptor of our own for one of the host's standard streams, or `None` if the host process has it closed.
pub(crate) fn duplicate(fd: impl AsFd) -> Option<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).ok()
}
