//! Tier 0: one pass from a function's bytes to machine code.
//!
//! The operators are read one by one, with one look ahead, and each is told to the assembler of
//! [`upshift::embed::stencil`], which knows where the operands are. `reader` reads the bytes, `opcode` is the list of the
//! operators that are known by their first byte, `state` is what a function in the making consists of, and `function`
//! goes through it. `vector_opcode` and `vector` are the same for operators on vectors. `condition`, `control`, `call` and `resource` are what is not encoded directly, and everything else is a stencil
//! made from its lowering, found by `stencils` in `table`.

mod call;
mod condition;
mod control;
mod function;
mod opcode;
mod reader;
mod resource;
mod state;
mod stencils;
mod table;
mod vector;
mod vector_opcode;

#[cfg(feature = "stencil-generator")]
pub mod generator;

pub use function::{continuation, frame, function};
pub use stencils::stencil;
