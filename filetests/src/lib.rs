//! The WebAssembly specification's test suite, run in each of the ways that Upshift can run a program.
//!
//! [`suite`] lists the scripts, [`Setup`] the ways, [`SkipList`] what is left out and why. The test `spec` puts them
//! together.
#![forbid(unsafe_code)]

mod relay;
mod setup;
mod skips;
mod suite;

pub use relay::{Harm, Relay, scramble, unnamed_losses};
pub use setup::{Setup, llvm_server};
pub use skips::SkipList;
pub use suite::{Script, suite};
