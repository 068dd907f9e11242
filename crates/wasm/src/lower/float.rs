//! Floating-point operations on `f32` and `f64`: constants, arithmetic, rounding, comparisons.
//!
//! Arithmetic is IEEE 754's, rounding to nearest with ties to even, each operation by itself:
//! nothing here may become a fused multiply-add. `min` and `max` give NaN if an operand is NaN and
//! order -0 below +0, which CLIF's `fmin` and `fmax` were made for. Negation, absolute value and
//! `copysign` act on the sign bit alone, of NaNs too. The bits of any other NaN that an operation
//! makes are not defined here: a Cranelift setting makes them canonical.

use super::operation::{Operation, conditions, operations};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{F32, F64};
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(super) fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    arithmetic(operator).or_else(|| comparison(operator))
}

operations! {
    fn arithmetic;

    /// The constant `value`, bit for bit.
    F32Const { value: wasmparser::Ieee32 } => f32_const(b) -> F32 {
        b.ins().f32const(Ieee32::with_bits(value.bits()))
    }
    /// The absolute value: `x` with its sign bit cleared.
    F32Abs => f32_abs(b, x: F32) -> F32 { b.ins().fabs(x) }
    /// The negation: `x` with its sign bit inverted.
    F32Neg => f32_neg(b, x: F32) -> F32 { b.ins().fneg(x) }
    /// `x` rounded up to an integer.
    F32Ceil => f32_ceil(b, x: F32) -> F32 { b.ins().ceil(x) }
    /// `x` rounded down to an integer.
    F32Floor => f32_floor(b, x: F32) -> F32 { b.ins().floor(x) }
    /// `x` rounded towards zero to an integer.
    F32Trunc => f32_trunc(b, x: F32) -> F32 { b.ins().trunc(x) }
    /// `x` rounded to the nearest integer, ties to the even one.
    F32Nearest => f32_nearest(b, x: F32) -> F32 { b.ins().nearest(x) }
    /// The square root; NaN for a negative number.
    F32Sqrt => f32_sqrt(b, x: F32) -> F32 { b.ins().sqrt(x) }
    /// `x + y`.
    F32Add => f32_add(b, x: F32, y: F32) -> F32 { b.ins().fadd(x, y) }
    /// `x - y`.
    F32Sub => f32_sub(b, x: F32, y: F32) -> F32 { b.ins().fsub(x, y) }
    /// `x * y`.
    F32Mul => f32_mul(b, x: F32, y: F32) -> F32 { b.ins().fmul(x, y) }
    /// `x / y`.
    F32Div => f32_div(b, x: F32, y: F32) -> F32 { b.ins().fdiv(x, y) }
    /// The smaller operand; NaN if either is NaN; -0 is smaller than +0.
    F32Min => f32_min(b, x: F32, y: F32) -> F32 { b.ins().fmin(x, y) }
    /// The larger operand; NaN if either is NaN; +0 is larger than -0.
    F32Max => f32_max(b, x: F32, y: F32) -> F32 { b.ins().fmax(x, y) }
    /// `x` with the sign bit of `y`.
    F32Copysign => f32_copysign(b, x: F32, y: F32) -> F32 { b.ins().fcopysign(x, y) }

    /// The constant `value`, bit for bit.
    F64Const { value: wasmparser::Ieee64 } => f64_const(b) -> F64 {
        b.ins().f64const(Ieee64::with_bits(value.bits()))
    }
    /// The absolute value: `x` with its sign bit cleared.
    F64Abs => f64_abs(b, x: F64) -> F64 { b.ins().fabs(x) }
    /// The negation: `x` with its sign bit inverted.
    F64Neg => f64_neg(b, x: F64) -> F64 { b.ins().fneg(x) }
    /// `x` rounded up to an integer.
    F64Ceil => f64_ceil(b, x: F64) -> F64 { b.ins().ceil(x) }
    /// `x` rounded down to an integer.
    F64Floor => f64_floor(b, x: F64) -> F64 { b.ins().floor(x) }
    /// `x` rounded towards zero to an integer.
    F64Trunc => f64_trunc(b, x: F64) -> F64 { b.ins().trunc(x) }
    /// `x` rounded to the nearest integer, ties to the even one.
    F64Nearest => f64_nearest(b, x: F64) -> F64 { b.ins().nearest(x) }
    /// The square root; NaN for a negative number.
    F64Sqrt => f64_sqrt(b, x: F64) -> F64 { b.ins().sqrt(x) }
    /// `x + y`.
    F64Add => f64_add(b, x: F64, y: F64) -> F64 { b.ins().fadd(x, y) }
    /// `x - y`.
    F64Sub => f64_sub(b, x: F64, y: F64) -> F64 { b.ins().fsub(x, y) }
    /// `x * y`.
    F64Mul => f64_mul(b, x: F64, y: F64) -> F64 { b.ins().fmul(x, y) }
    /// `x / y`.
    F64Div => f64_div(b, x: F64, y: F64) -> F64 { b.ins().fdiv(x, y) }
    /// The smaller operand; NaN if either is NaN; -0 is smaller than +0.
    F64Min => f64_min(b, x: F64, y: F64) -> F64 { b.ins().fmin(x, y) }
    /// The larger operand; NaN if either is NaN; +0 is larger than -0.
    F64Max => f64_max(b, x: F64, y: F64) -> F64 { b.ins().fmax(x, y) }
    /// `x` with the sign bit of `y`.
    F64Copysign => f64_copysign(b, x: F64, y: F64) -> F64 { b.ins().fcopysign(x, y) }
}

conditions! {
    fn comparison;

    /// Whether `x == y`; false if either is NaN.
    F32Eq => f32_eq, f32_eq_cond(b, x: F32, y: F32) { b.ins().fcmp(FloatCC::Equal, x, y) }
    /// Whether `x != y`; true if either is NaN.
    F32Ne => f32_ne, f32_ne_cond(b, x: F32, y: F32) { b.ins().fcmp(FloatCC::NotEqual, x, y) }
    /// Whether `x < y`; false if either is NaN.
    F32Lt => f32_lt, f32_lt_cond(b, x: F32, y: F32) { b.ins().fcmp(FloatCC::LessThan, x, y) }
    /// Whether `x > y`; false if either is NaN.
    F32Gt => f32_gt, f32_gt_cond(b, x: F32, y: F32) { b.ins().fcmp(FloatCC::GreaterThan, x, y) }
    /// Whether `x <= y`; false if either is NaN.
    F32Le => f32_le, f32_le_cond(b, x: F32, y: F32) { b.ins().fcmp(FloatCC::LessThanOrEqual, x, y) }
    /// Whether `x >= y`; false if either is NaN.
    F32Ge => f32_ge, f32_ge_cond(b, x: F32, y: F32) {
        b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, y)
    }

    /// Whether `x == y`; false if either is NaN.
    F64Eq => f64_eq, f64_eq_cond(b, x: F64, y: F64) { b.ins().fcmp(FloatCC::Equal, x, y) }
    /// Whether `x != y`; true if either is NaN.
    F64Ne => f64_ne, f64_ne_cond(b, x: F64, y: F64) { b.ins().fcmp(FloatCC::NotEqual, x, y) }
    /// Whether `x < y`; false if either is NaN.
    F64Lt => f64_lt, f64_lt_cond(b, x: F64, y: F64) { b.ins().fcmp(FloatCC::LessThan, x, y) }
    /// Whether `x > y`; false if either is NaN.
    F64Gt => f64_gt, f64_gt_cond(b, x: F64, y: F64) { b.ins().fcmp(FloatCC::GreaterThan, x, y) }
    /// Whether `x <= y`; false if either is NaN.
    F64Le => f64_le, f64_le_cond(b, x: F64, y: F64) { b.ins().fcmp(FloatCC::LessThanOrEqual, x, y) }
    /// Whether `x >= y`; false if either is NaN.
    F64Ge => f64_ge, f64_ge_cond(b, x: F64, y: F64) {
        b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, y)
    }
}
