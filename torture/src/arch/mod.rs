//! Faults that Rust has no word for.

mod x64;

pub use x64::{divide_by_zero, undefined_instruction};
