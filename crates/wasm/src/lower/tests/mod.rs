//! Tests of the lowering functions, over lists of operations that nobody keeps by hand: they come
//! from `wasmparser`, and each test runs over all of them.
//!
//! The layers: `instructions` lists what there is, `harness` makes functions of it and runs them,
//! and the rest are tests.

mod compile;
mod coverage;
mod differential;
mod edges;
mod harness;
mod instructions;
