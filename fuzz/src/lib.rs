//! Differential fuzzing of Upshift on stable Rust.
//!
//! A [`Body`] makes [`Case`]s out of nothing but a seed and a number: WebAssembly modules from `wasm-smith` or from our
//! own [`generator`], [`clif`] functions, [`malformed`] input. A case is run in Upshift by random tier schedules, and in
//! another engine: wasmi ([`oracle`]) or Cranelift's interpreter. Results, traps, memories, globals, tables and the
//! order of host calls must be the same. What is not becomes one file, made smaller by [`minimise`]. [`supervise`] runs
//! many cases in a process of their own, which may crash.
#![warn(missing_docs)]

pub mod body;
pub mod case;
pub mod clif;
pub mod compare;
pub mod generator;
pub mod host;
pub mod limits;
pub mod llvm;
pub mod malformed;
pub mod minimise;

pub mod oracle;
pub mod page;

pub mod random;
pub mod record;
pub mod schedule;
pub mod smith;
pub mod subject;
pub mod supervise;

pub mod value;
pub mod verdict;

pub use body::Body;
pub use case::Case;
pub use verdict::{Counts, Verdict};
