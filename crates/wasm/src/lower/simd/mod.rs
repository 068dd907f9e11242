//! Fixed-width SIMD: the operations on `v128`.
//!
//! A `v128` has no lanes of its own; each operation sees it as the lanes it works on. Between
//! operations it is always a [`V128`](super::operation::V128), sixteen bytes; the tables here
//! declare each operand with the vector type that the operation sees, and the cast to it, which
//! costs nothing at run time, is made for them. Lanes are numbered from the low end.

pub mod bitwise;
pub mod compare;
pub mod convert;
pub mod float;
pub mod int;
pub mod lane;
pub mod memory;

use super::operation::Operation;
use wasmparser::Operator;

/// Looks an operator up in the tables of this module's children.
pub(super) fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    lane::operation(operator)
        .or_else(|| bitwise::operation(operator))
        .or_else(|| compare::operation(operator))
        .or_else(|| int::operation(operator))
        .or_else(|| float::operation(operator))
        .or_else(|| convert::operation(operator))
}
