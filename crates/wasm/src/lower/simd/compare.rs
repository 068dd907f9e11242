//! Lanewise comparisons. A lane of the result is all ones where the comparison holds, else zero.

use crate::lower::operation::{Operation, operations};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(super) fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    int(operator).or_else(|| float(operator))
}

operations! {
    fn int;

    /// `x == y`, in each 8-bit lane.
    I8x16Eq => i8x16_eq(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().icmp(IntCC::Equal, x, y) }
    /// `x != y`, in each 8-bit lane.
    I8x16Ne => i8x16_ne(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().icmp(IntCC::NotEqual, x, y) }
    /// `x < y`, signed, in each 8-bit lane.
    I8x16LtS => i8x16_lt_s(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::SignedLessThan, x, y)
    }
    /// `x < y`, unsigned, in each 8-bit lane.
    I8x16LtU => i8x16_lt_u(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::UnsignedLessThan, x, y)
    }
    /// `x > y`, signed, in each 8-bit lane.
    I8x16GtS => i8x16_gt_s(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::SignedGreaterThan, x, y)
    }
    /// `x > y`, unsigned, in each 8-bit lane.
    I8x16GtU => i8x16_gt_u(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::UnsignedGreaterThan, x, y)
    }
    /// `x <= y`, signed, in each 8-bit lane.
    I8x16LeS => i8x16_le_s(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::SignedLessThanOrEqual, x, y)
    }
    /// `x <= y`, unsigned, in each 8-bit lane.
    I8x16LeU => i8x16_le_u(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::UnsignedLessThanOrEqual, x, y)
    }
    /// `x >= y`, signed, in each 8-bit lane.
    I8x16GeS => i8x16_ge_s(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, y)
    }
    /// `x >= y`, unsigned, in each 8-bit lane.
    I8x16GeU => i8x16_ge_u(b, x: I8X16, y: I8X16) -> I8X16 {
        b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, x, y)
    }

    /// `x == y`, in each 16-bit lane.
    I16x8Eq => i16x8_eq(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().icmp(IntCC::Equal, x, y) }
    /// `x != y`, in each 16-bit lane.
    I16x8Ne => i16x8_ne(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().icmp(IntCC::NotEqual, x, y) }
    /// `x < y`, signed, in each 16-bit lane.
    I16x8LtS => i16x8_lt_s(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::SignedLessThan, x, y)
    }
    /// `x < y`, unsigned, in each 16-bit lane.
    I16x8LtU => i16x8_lt_u(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::UnsignedLessThan, x, y)
    }
    /// `x > y`, signed, in each 16-bit lane.
    I16x8GtS => i16x8_gt_s(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::SignedGreaterThan, x, y)
    }
    /// `x > y`, unsigned, in each 16-bit lane.
    I16x8GtU => i16x8_gt_u(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::UnsignedGreaterThan, x, y)
    }
    /// `x <= y`, signed, in each 16-bit lane.
    I16x8LeS => i16x8_le_s(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::SignedLessThanOrEqual, x, y)
    }
    /// `x <= y`, unsigned, in each 16-bit lane.
    I16x8LeU => i16x8_le_u(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::UnsignedLessThanOrEqual, x, y)
    }
    /// `x >= y`, signed, in each 16-bit lane.
    I16x8GeS => i16x8_ge_s(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, y)
    }
    /// `x >= y`, unsigned, in each 16-bit lane.
    I16x8GeU => i16x8_ge_u(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, x, y)
    }

    /// `x == y`, in each 32-bit lane.
    I32x4Eq => i32x4_eq(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().icmp(IntCC::Equal, x, y) }
    /// `x != y`, in each 32-bit lane.
    I32x4Ne => i32x4_ne(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().icmp(IntCC::NotEqual, x, y) }
    /// `x < y`, signed, in each 32-bit lane.
    I32x4LtS => i32x4_lt_s(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::SignedLessThan, x, y)
    }
    /// `x < y`, unsigned, in each 32-bit lane.
    I32x4LtU => i32x4_lt_u(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::UnsignedLessThan, x, y)
    }
    /// `x > y`, signed, in each 32-bit lane.
    I32x4GtS => i32x4_gt_s(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::SignedGreaterThan, x, y)
    }
    /// `x > y`, unsigned, in each 32-bit lane.
    I32x4GtU => i32x4_gt_u(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::UnsignedGreaterThan, x, y)
    }
    /// `x <= y`, signed, in each 32-bit lane.
    I32x4LeS => i32x4_le_s(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::SignedLessThanOrEqual, x, y)
    }
    /// `x <= y`, unsigned, in each 32-bit lane.
    I32x4LeU => i32x4_le_u(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::UnsignedLessThanOrEqual, x, y)
    }
    /// `x >= y`, signed, in each 32-bit lane.
    I32x4GeS => i32x4_ge_s(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, y)
    }
    /// `x >= y`, unsigned, in each 32-bit lane.
    I32x4GeU => i32x4_ge_u(b, x: I32X4, y: I32X4) -> I32X4 {
        b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, x, y)
    }

    /// `x == y`, in each 64-bit lane.
    I64x2Eq => i64x2_eq(b, x: I64X2, y: I64X2) -> I64X2 { b.ins().icmp(IntCC::Equal, x, y) }
    /// `x != y`, in each 64-bit lane.
    I64x2Ne => i64x2_ne(b, x: I64X2, y: I64X2) -> I64X2 { b.ins().icmp(IntCC::NotEqual, x, y) }
    /// `x < y`, signed, in each 64-bit lane.
    I64x2LtS => i64x2_lt_s(b, x: I64X2, y: I64X2) -> I64X2 {
        b.ins().icmp(IntCC::SignedLessThan, x, y)
    }
    /// `x > y`, signed, in each 64-bit lane.
    I64x2GtS => i64x2_gt_s(b, x: I64X2, y: I64X2) -> I64X2 {
        b.ins().icmp(IntCC::SignedGreaterThan, x, y)
    }
    /// `x <= y`, signed, in each 64-bit lane.
    I64x2LeS => i64x2_le_s(b, x: I64X2, y: I64X2) -> I64X2 {
        b.ins().icmp(IntCC::SignedLessThanOrEqual, x, y)
    }
    /// `x >= y`, signed, in each 64-bit lane.
    I64x2GeS => i64x2_ge_s(b, x: I64X2, y: I64X2) -> I64X2 {
        b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, y)
    }
}

operations! {
    fn float;

    /// `x == y`, false if either is NaN, in each 32-bit lane.
    F32x4Eq => f32x4_eq(b, x: F32X4, y: F32X4) -> I32X4 { b.ins().fcmp(FloatCC::Equal, x, y) }
    /// `x != y`, true if either is NaN, in each 32-bit lane.
    F32x4Ne => f32x4_ne(b, x: F32X4, y: F32X4) -> I32X4 { b.ins().fcmp(FloatCC::NotEqual, x, y) }
    /// `x < y`, false if either is NaN, in each 32-bit lane.
    F32x4Lt => f32x4_lt(b, x: F32X4, y: F32X4) -> I32X4 { b.ins().fcmp(FloatCC::LessThan, x, y) }
    /// `x > y`, false if either is NaN, in each 32-bit lane.
    F32x4Gt => f32x4_gt(b, x: F32X4, y: F32X4) -> I32X4 { b.ins().fcmp(FloatCC::GreaterThan, x, y) }
    /// `x <= y`, false if either is NaN, in each 32-bit lane.
    F32x4Le => f32x4_le(b, x: F32X4, y: F32X4) -> I32X4 {
        b.ins().fcmp(FloatCC::LessThanOrEqual, x, y)
    }
    /// `x >= y`, false if either is NaN, in each 32-bit lane.
    F32x4Ge => f32x4_ge(b, x: F32X4, y: F32X4) -> I32X4 {
        b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, y)
    }

    /// `x == y`, false if either is NaN, in each 64-bit lane.
    F64x2Eq => f64x2_eq(b, x: F64X2, y: F64X2) -> I64X2 { b.ins().fcmp(FloatCC::Equal, x, y) }
    /// `x != y`, true if either is NaN, in each 64-bit lane.
    F64x2Ne => f64x2_ne(b, x: F64X2, y: F64X2) -> I64X2 { b.ins().fcmp(FloatCC::NotEqual, x, y) }
    /// `x < y`, false if either is NaN, in each 64-bit lane.
    F64x2Lt => f64x2_lt(b, x: F64X2, y: F64X2) -> I64X2 { b.ins().fcmp(FloatCC::LessThan, x, y) }
    /// `x > y`, false if either is NaN, in each 64-bit lane.
    F64x2Gt => f64x2_gt(b, x: F64X2, y: F64X2) -> I64X2 { b.ins().fcmp(FloatCC::GreaterThan, x, y) }
    /// `x <= y`, false if either is NaN, in each 64-bit lane.
    F64x2Le => f64x2_le(b, x: F64X2, y: F64X2) -> I64X2 {
        b.ins().fcmp(FloatCC::LessThanOrEqual, x, y)
    }
    /// `x >= y`, false if either is NaN, in each 64-bit lane.
    F64x2Ge => f64x2_ge(b, x: F64X2, y: F64X2) -> I64X2 {
        b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, y)
    }
}
