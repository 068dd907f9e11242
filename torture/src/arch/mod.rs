//! Faults that Rust has no word for.

#[cfg(target_arch = "x86_64")]
mod x64;

#[cfg(target_arch = "x86_64")]
pub use x64::{divide_by_zero, undefined_instruction};

/// A division by zero, as far as this machine has such a fault.
#[cfg(not(target_arch = "x86_64"))]
pub fn divide_by_zero() {
    // SAFETY: raising a signal touches no memory.
    unsafe { libc::raise(libc::SIGFPE) };
}

/// An undefined instruction, or its signal.
#[cfg(not(target_arch = "x86_64"))]
pub fn undefined_instruction() {
    // SAFETY: raising a signal touches no memory.
    unsafe { libc::raise(libc::SIGILL) };
}
