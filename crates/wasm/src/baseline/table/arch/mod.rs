//! The table for the machine that this runs on, and which of its variants the processor can run.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{LEVELS, TABLE, level};
#[cfg(target_arch = "x86_64")]
pub use x64::{LEVELS, TABLE, level};
