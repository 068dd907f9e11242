//! What a call into guest code may end with instead of results.

use crate::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use upshift_base::TrapKind;

/// Guest code stopped at an operation that has no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trap {
    /// Why.
    pub kind: TrapKind,
    /// More about it, where the kind alone does not say enough.
    pub message: Option<String>,
    /// The guest functions that were active.
    pub backtrace: Backtrace,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trap: {}", self.kind)?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        write!(f, "{}", self.backtrace)
    }
}

impl Error for Trap {}

/// A host function called by guest code returned an error.
#[derive(Debug)]
pub struct HostError {
    /// The error, as the host function returned it.
    pub error: Box<dyn Error + Send + Sync>,
    /// The guest functions that were active.
    pub backtrace: Backtrace,
}

/// Why a call into guest code did not return.
#[derive(Debug)]
pub enum Unwind {
    /// Guest code trapped.
    Trap(Trap),
    /// A host function failed.
    Host(HostError),
}

impl fmt::Display for Unwind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwind::Trap(trap) => trap.fmt(f),
            Unwind::Host(host) => write!(f, "{}{}", host.error, host.backtrace),
        }
    }
}

impl Error for Unwind {}

/// How a host function fails.
#[derive(Debug)]
pub enum HostFailure {
    /// With an error of its own.
    Error(Box<dyn Error + Send + Sync>),
    /// As if the guest had trapped where it called.
    Trap(TrapKind),
    /// With what a call back into guest code ended with; its backtrace is kept.
    Unwind(Unwind),
}
