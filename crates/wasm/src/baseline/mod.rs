//! Tier 0: one pass from a function's bytes to machine code.
//!
//! The operators are read one by one, with one look ahead, and each is told to the assembler of
//! [`upshift::embed::stencil`], which knows where the operands are. `state` is what a function in the making consists
//! of, `function` reads it, `simple` is the list of operations that are encoded directly, `control`, `call` and
//! `resource` are the others, and everything else is a stencil made from its lowering, in `stencils`.

mod call;
mod control;
mod function;
mod resource;
mod simple;
mod state;
mod stencils;

pub use function::{frame, function};
