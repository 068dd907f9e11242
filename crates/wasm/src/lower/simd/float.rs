//! Floating-point arithmetic on lanes, with the scalar operations' rules for NaN and zeros.
//!
//! `pmin` and `pmax` are the exception: they are what `y < x ? y : x` and `x < y ? y : x` give,
//! so that a NaN or two zeros leave `x`.

use crate::lower::operation::{LANE_ORDER, operations};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32X4, F64X2};
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::FunctionBuilder;

/// In each lane `y` where `smaller < larger`, else `x`. The comparison is one of `x` and `y`.
fn select_less(
    b: &mut FunctionBuilder<'_>,
    [smaller, larger]: [Value; 2],
    x: Value,
    y: Value,
) -> Value {
    let ty = b.func.dfg.value_type(x);
    let mask = b.ins().fcmp(FloatCC::LessThan, smaller, larger);
    let mask = b.ins().bitcast(ty, LANE_ORDER, mask);
    b.ins().bitselect(mask, y, x)
}

operations! {
    fn operation;

    /// The absolute value of each 32-bit lane.
    F32x4Abs => f32x4_abs(b, x: F32X4) -> F32X4 { b.ins().fabs(x) }
    /// The negation of each 32-bit lane.
    F32x4Neg => f32x4_neg(b, x: F32X4) -> F32X4 { b.ins().fneg(x) }
    /// The square root of each 32-bit lane.
    F32x4Sqrt => f32x4_sqrt(b, x: F32X4) -> F32X4 { b.ins().sqrt(x) }
    /// Each 32-bit lane rounded up to an integer.
    F32x4Ceil => f32x4_ceil(b, x: F32X4) -> F32X4 { b.ins().ceil(x) }
    /// Each 32-bit lane rounded down to an integer.
    F32x4Floor => f32x4_floor(b, x: F32X4) -> F32X4 { b.ins().floor(x) }
    /// Each 32-bit lane rounded towards zero to an integer.
    F32x4Trunc => f32x4_trunc(b, x: F32X4) -> F32X4 { b.ins().trunc(x) }
    /// Each 32-bit lane rounded to the nearest integer, ties to the even one.
    F32x4Nearest => f32x4_nearest(b, x: F32X4) -> F32X4 { b.ins().nearest(x) }
    /// `x + y`, in each 32-bit lane.
    F32x4Add => f32x4_add(b, x: F32X4, y: F32X4) -> F32X4 { b.ins().fadd(x, y) }
    /// `x - y`, in each 32-bit lane.
    F32x4Sub => f32x4_sub(b, x: F32X4, y: F32X4) -> F32X4 { b.ins().fsub(x, y) }
    /// `x * y`, in each 32-bit lane.
    F32x4Mul => f32x4_mul(b, x: F32X4, y: F32X4) -> F32X4 { b.ins().fmul(x, y) }
    /// `x / y`, in each 32-bit lane.
    F32x4Div => f32x4_div(b, x: F32X4, y: F32X4) -> F32X4 { b.ins().fdiv(x, y) }
    /// The smaller of `x` and `y`, NaN if either is, in each 32-bit lane.
    F32x4Min => f32x4_min(b, x: F32X4, y: F32X4) -> F32X4 { b.ins().fmin(x, y) }
    /// The larger of `x` and `y`, NaN if either is, in each 32-bit lane.
    F32x4Max => f32x4_max(b, x: F32X4, y: F32X4) -> F32X4 { b.ins().fmax(x, y) }
    /// `y` if `y < x`, else `x`, in each 32-bit lane.
    F32x4PMin => f32x4_pmin(b, x: F32X4, y: F32X4) -> F32X4 { select_less(b, [y, x], x, y) }
    /// `y` if `x < y`, else `x`, in each 32-bit lane.
    F32x4PMax => f32x4_pmax(b, x: F32X4, y: F32X4) -> F32X4 { select_less(b, [x, y], x, y) }

    /// The absolute value of each 64-bit lane.
    F64x2Abs => f64x2_abs(b, x: F64X2) -> F64X2 { b.ins().fabs(x) }
    /// The negation of each 64-bit lane.
    F64x2Neg => f64x2_neg(b, x: F64X2) -> F64X2 { b.ins().fneg(x) }
    /// The square root of each 64-bit lane.
    F64x2Sqrt => f64x2_sqrt(b, x: F64X2) -> F64X2 { b.ins().sqrt(x) }
    /// Each 64-bit lane rounded up to an integer.
    F64x2Ceil => f64x2_ceil(b, x: F64X2) -> F64X2 { b.ins().ceil(x) }
    /// Each 64-bit lane rounded down to an integer.
    F64x2Floor => f64x2_floor(b, x: F64X2) -> F64X2 { b.ins().floor(x) }
    /// Each 64-bit lane rounded towards zero to an integer.
    F64x2Trunc => f64x2_trunc(b, x: F64X2) -> F64X2 { b.ins().trunc(x) }
    /// Each 64-bit lane rounded to the nearest integer, ties to the even one.
    F64x2Nearest => f64x2_nearest(b, x: F64X2) -> F64X2 { b.ins().nearest(x) }
    /// `x + y`, in each 64-bit lane.
    F64x2Add => f64x2_add(b, x: F64X2, y: F64X2) -> F64X2 { b.ins().fadd(x, y) }
    /// `x - y`, in each 64-bit lane.
    F64x2Sub => f64x2_sub(b, x: F64X2, y: F64X2) -> F64X2 { b.ins().fsub(x, y) }
    /// `x * y`, in each 64-bit lane.
    F64x2Mul => f64x2_mul(b, x: F64X2, y: F64X2) -> F64X2 { b.ins().fmul(x, y) }
    /// `x / y`, in each 64-bit lane.
    F64x2Div => f64x2_div(b, x: F64X2, y: F64X2) -> F64X2 { b.ins().fdiv(x, y) }
    /// The smaller of `x` and `y`, NaN if either is, in each 64-bit lane.
    F64x2Min => f64x2_min(b, x: F64X2, y: F64X2) -> F64X2 { b.ins().fmin(x, y) }
    /// The larger of `x` and `y`, NaN if either is, in each 64-bit lane.
    F64x2Max => f64x2_max(b, x: F64X2, y: F64X2) -> F64X2 { b.ins().fmax(x, y) }
    /// `y` if `y < x`, else `x`, in each 64-bit lane.
    F64x2PMin => f64x2_pmin(b, x: F64X2, y: F64X2) -> F64X2 { select_less(b, [y, x], x, y) }
    /// `y` if `x < y`, else `x`, in each 64-bit lane.
    F64x2PMax => f64x2_pmax(b, x: F64X2, y: F64X2) -> F64X2 { select_less(b, [x, y], x, y) }
}
