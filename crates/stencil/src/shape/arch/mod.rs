//! What is read off machine code: one file for each machine.

pub mod aarch64;
pub mod x64;
