//! What each WebAssembly operation means, as Cranelift IR: one lowering function an operation.
//!
//! An operation's meaning is written once, here, and apart from any translator. A lowering
//! function is given the place to append code to, the operation's immediates and the values of its
//! operands, and returns the value of its result. The function translator calls it in the midst of
//! a function; a generator of stencils can call the same one in an empty template. Whatever knows
//! of stacks, locals, blocks, calls, globals, tables or of how a memory is laid out is the
//! translator's business and does not occur here.
//!
//! There are two kinds of operation, and a look-up for each:
//!
//! * [`operation()`] finds the *value operations*, which only compute: constants, arithmetic,
//!   comparisons, conversions, `select`, everything on vectors. Each has one result. A translator
//!   treats all of them alike, with no list of its own:
//!
//!   ```
//!   # use cranelift_codegen::ir::Value;
//!   # use cranelift_frontend::FunctionBuilder;
//!   # use wasmparser::Operator;
//!   # use upshift_wasm::lower;
//!   fn translate(op: &Operator<'_>, b: &mut FunctionBuilder<'_>, stack: &mut Vec<Value>) -> bool {
//!       let Some(operation) = lower::operation(op) else { return false };
//!       let bottom = stack.len() - operation.operands.len();
//!       let result = operation.lower(b, &stack[bottom..]);
//!       stack.truncate(bottom);
//!       stack.push(result);
//!       true
//!   }
//!   ```
//!
//! * [`access()`] finds the *memory accesses*, loads and stores. These are given a native address;
//!   see [`access::Access`].
//!
//! What neither finds is control flow, calls, variables, references, tables, and the operations on
//! a memory as a whole.
//!
//! Every function is also public by itself, named as in the text format with `_` for the `.`
//! (`i32.add` is [`int::i32_add`]). The modules are tables of them, a family each: [`int`],
//! [`float`], [`convert`], [`parametric`], [`memory`], and those of [`simd`]. The notation of the
//! tables and the types they share are in [`operation`](mod@operation) and [`access`](mod@access).
//!
//! # What is promised
//!
//! The meaning is WebAssembly's to the bit, with one exception that is a setting of the code
//! generator and not this module's: which NaN an arithmetic operation makes.
//!
//! * Values have the CLIF types `i32`, `i64`, `f32`, `f64` and, for any `v128`,
//!   [`V128`](operation::V128). A truth value is an `i32`; [`Operation::lower_condition`] gives
//!   the `i8` before its extension to whoever branches on it.
//! * A trap has CLIF's own trap code: `INTEGER_DIVISION_BY_ZERO`, `INTEGER_OVERFLOW`,
//!   `BAD_CONVERSION_TO_INTEGER`; for an access it is the one in its flags, where the address
//!   faults. On x86-64 some of the divisions trap by the processor's divide error (`SIGFPE` on
//!   Unix), conversions and the other divisions by an undefined instruction (`SIGILL`), so a
//!   runtime has to handle both.
//! * Everything compiles for the plainest processor of an architecture. On x86-64 below SSE4.1 the
//!   roundings (`ceil`, `floor`, `trunc`, `nearest`) and byte shuffles are then calls of library
//!   functions, which the linker must provide; from SSE4.1 on nothing is.

pub mod access;
pub mod convert;
pub mod float;
pub mod int;
pub mod memory;
pub mod operation;
pub mod parametric;
pub mod simd;

#[cfg(test)]
mod tests;

pub use access::{Access, Location};
pub use operation::Operation;
use wasmparser::Operator;

/// The value operation that `operator` is, if it is one.
pub fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    int::operation(operator)
        .or_else(|| float::operation(operator))
        .or_else(|| convert::operation(operator))
        .or_else(|| parametric::operation(operator))
        .or_else(|| simd::operation(operator))
}

/// The memory access that `operator` is, if it is one.
pub fn access<'a>(operator: &'a Operator<'a>) -> Option<Access<'a>> {
    memory::access(operator).or_else(|| simd::memory::access(operator))
}
