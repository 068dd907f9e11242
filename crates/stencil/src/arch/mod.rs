//! What depends on the machine: one file for each.

pub mod x64;
