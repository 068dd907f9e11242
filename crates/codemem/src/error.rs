//! What can go wrong with code memory.

use std::io;
use upshift_codegen::{RelocKind, Target};

/// Why code memory could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodeMemoryError {
    /// The size asked for is not supported.
    #[error("cannot reserve {bytes} bytes for code: the size must be from 1 MiB to 2 GiB")]
    ReserveSize {
        /// What was asked for.
        bytes: usize,
    },
    /// The operating system declined.
    #[error("cannot {action} for code: {reason}")]
    System {
        /// What was being done.
        action: &'static str,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// No run of free function ids is long enough.
    #[error("code memory has no room for {count} more functions; reserve more")]
    OutOfFunctions {
        /// How many were asked for.
        count: u32,
    },
    /// No free part of the code memory is long enough.
    #[error("code memory has no room for {bytes} more bytes of code; reserve more")]
    OutOfCode {
        /// How many were asked for.
        bytes: usize,
    },
    /// The code is not what a compiler may produce.
    #[error("malformed code: {0}")]
    Malformed(&'static str),
    /// A relocation cannot be applied.
    #[error("cannot link offset {offset} ({kind:?} of {target:?}): {reason}")]
    Relocation {
        /// Where the field is in the code.
        offset: u32,
        /// How it was to be written.
        kind: RelocKind,
        /// What it refers to.
        target: Target,
        /// What is wrong with it.
        reason: RelocationError,
    },
    /// This process is a fork of the one that made the code memory.
    #[error("code memory cannot be used in a forked process")]
    Forked,
}

impl CodeMemoryError {
    /// Whether freeing code or functions may help.
    pub fn is_full(&self) -> bool {
        matches!(
            self,
            CodeMemoryError::OutOfFunctions { .. } | CodeMemoryError::OutOfCode { .. }
        )
    }
}

/// What is wrong with a relocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelocationError {
    /// The field is not within the code.
    #[error("the field is outside the code")]
    FieldOutside,
    /// The target's address or distance does not fit the field.
    #[error("the value does not fit the field")]
    Overflow,
    /// The field cannot express the value because of its low bits.
    #[error("the value is not aligned as the field needs")]
    Misaligned,
    /// The function is not allocated.
    #[error("the function does not exist")]
    UnknownFunction,
    /// The builtin has no address.
    #[error("the builtin does not exist")]
    UnknownBuiltin,
    /// No such library routine is provided.
    #[error("the library routine is not provided")]
    UnknownLibCall,
    /// An offset in the code that is beyond its end.
    #[error("the offset is outside the code")]
    LocalOutside,
    /// The target has no cell that holds its address.
    #[error("the target has no address cell")]
    NoAddressCell,
}
