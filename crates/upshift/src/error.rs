//! The one error of the façade: what was being done, on what, and what is wrong.

use std::fmt;
use upshift_runtime::{HostError, RuntimeError, Trap, Unwind};

/// Something that Upshift could not do. Small: the particulars are boxed.
#[derive(Debug)]
pub struct Error(Box<ErrorKind>);

#[derive(Debug)]
enum ErrorKind {
    Runtime(RuntimeError),
    Invalid { what: String, reason: String },
    Trap(Trap),
    Host(HostError),
}

impl Error {
    /// An error about `what`, for example a function by its name.
    pub fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error(Box::new(ErrorKind::Invalid {
            what: what.into(),
            reason: reason.into(),
        }))
    }

    /// The trap, if guest code trapped.
    pub fn trap(&self) -> Option<&Trap> {
        match &*self.0 {
            ErrorKind::Trap(trap) => Some(trap),
            _ => None,
        }
    }

    /// The host function's own error, if one failed.
    pub fn host_error(&self) -> Option<&HostError> {
        match &*self.0 {
            ErrorKind::Host(host) => Some(host),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ErrorKind::Runtime(error) => error.fmt(f),
            ErrorKind::Invalid { what, reason } => write!(f, "{what}: {reason}"),
            ErrorKind::Trap(trap) => trap.fmt(f),
            ErrorKind::Host(host) => write!(f, "{}{}", host.error, host.backtrace),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            ErrorKind::Runtime(error) => Some(error),
            ErrorKind::Host(host) => Some(&*host.error),
            ErrorKind::Trap(_) | ErrorKind::Invalid { .. } => None,
        }
    }
}

impl From<RuntimeError> for Error {
    fn from(error: RuntimeError) -> Error {
        Error(Box::new(ErrorKind::Runtime(error)))
    }
}

impl From<Unwind> for Error {
    fn from(unwind: Unwind) -> Error {
        Error(Box::new(match unwind {
            Unwind::Trap(trap) => ErrorKind::Trap(trap),
            Unwind::Host(host) => ErrorKind::Host(host),
        }))
    }
}
