//! The tables, one for each architecture.

pub mod x64;
