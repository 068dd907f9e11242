//! The baseline compiler's mechanism: an assembler that tracks registers, and stencils that it copies and patches.
//!
//! A front end drives an [`Assembler`] in one pass over its own bytecode: it names the operations, and the assembler
//! knows where the operands are. The simple operations are encoded directly, with registers as operands. For the others
//! there are [`Stencil`]s, made in advance from the very functions that lower the operation for the optimizing tiers.
//!
//! Every value has a home slot in the frame. At each jump, loop header and call the frame is *canonical*: the homes hold
//! all live values, whatever registers hold them too.
//!
//! `value` and `lanes` name the operations, `arch` encodes them, `code` holds what was encoded. `assembler` tracks values,
//! `local`, `operate`, `vector`, `flow` and `call` are the operations in terms of it, `frame` begins and
//! ends a function, `continuation` begins one in the middle. `stencil` copies stencils; `shape`, behind the feature
//! `generator`, makes them. `clif` drives all of this for functions that come as CLIF.
#![forbid(unsafe_code)]

mod abi;
mod arch;
mod assembler;
mod call;
mod clif;
mod code;
mod continuation;
mod flow;
mod frame;
mod lanes;
mod local;
mod moves;
mod operate;
mod plan;
#[cfg(feature = "generator")]
mod shape;
mod shuffle;
mod stencil;
mod value;
mod vector;

#[cfg(test)]
mod tests;

/// Whether the assembler makes code for the machine that it runs on.
pub const IS_SUPPORTED: bool = arch::x64::IS_HOST;

pub use abi::results_fit;
pub use arch::x64::Condition;
pub use arch::x64::{LEVELS, level};
pub use assembler::{Assembler, Val};
pub use call::{Argument, Callee};
pub use clif::{ClifCompiler, OPERANDS_MAX, is_encoded_operation, operation_key};
pub use code::Label;
pub use flow::{Destination, JumpTable};
pub use frame::Workspace;
pub use lanes::{Lane, VectorOp, VectorOperation, VectorShift, VectorUnary, is_encoded_shuffle};
pub use operate::{Memory, TableLayout};
pub use plan::{Loop, Plan};
#[cfg(feature = "generator")]
pub use shape::{Architecture, ShapeError, StencilBuf, TextError, shuffle_masks};
pub use stencil::{Hole, HoleKind, Stencil, StencilTrap};
pub use value::{
    FloatOp, FloatTest, IntOp, IntTest, LoadIndex, LoadKind, ShiftOp, StoreIndex, StoreKind, Ty,
};
