//! Operations on the 128 bits as bits, and reductions of a vector to a truth value or to a mask.

use crate::lower::operation::{Operation, conditions, operations};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::{I8X16, I16X8, I32, I32X4, I64X2};
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(super) fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    bits(operator).or_else(|| test(operator))
}

operations! {
    fn bits;

    /// Bitwise not.
    V128Not => v128_not(b, x: I8X16) -> I8X16 { b.ins().bnot(x) }
    /// Bitwise and.
    V128And => v128_and(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().band(x, y) }
    /// The bits of `x` that are not in `y`.
    V128AndNot => v128_andnot(b, x: I8X16, y: I8X16) -> I8X16 {
        let not_y = b.ins().bnot(y);
        b.ins().band(x, not_y)
    }
    /// Bitwise or.
    V128Or => v128_or(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().bor(x, y) }
    /// Bitwise exclusive or.
    V128Xor => v128_xor(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().bxor(x, y) }
    /// Where `mask` has a one, the bit of `x`, elsewhere that of `y`.
    V128Bitselect => v128_bitselect(b, x: I8X16, y: I8X16, mask: I8X16) -> I8X16 {
        b.ins().bitselect(mask, x, y)
    }

    /// The sign bits of the 16 lanes, lane 0 in bit 0.
    I8x16Bitmask => i8x16_bitmask(b, x: I8X16) -> I32 { b.ins().vhigh_bits(I32, x) }
    /// The sign bits of the 8 lanes, lane 0 in bit 0.
    I16x8Bitmask => i16x8_bitmask(b, x: I16X8) -> I32 { b.ins().vhigh_bits(I32, x) }
    /// The sign bits of the 4 lanes, lane 0 in bit 0.
    I32x4Bitmask => i32x4_bitmask(b, x: I32X4) -> I32 { b.ins().vhigh_bits(I32, x) }
    /// The sign bits of the 2 lanes, lane 0 in bit 0.
    I64x2Bitmask => i64x2_bitmask(b, x: I64X2) -> I32 { b.ins().vhigh_bits(I32, x) }
}

conditions! {
    fn test;

    /// Whether any bit is one.
    V128AnyTrue => v128_any_true, v128_any_true_cond(b, x: I8X16) { b.ins().vany_true(x) }
    /// Whether no lane is zero.
    I8x16AllTrue => i8x16_all_true, i8x16_all_true_cond(b, x: I8X16) { b.ins().vall_true(x) }
    /// Whether no lane is zero.
    I16x8AllTrue => i16x8_all_true, i16x8_all_true_cond(b, x: I16X8) { b.ins().vall_true(x) }
    /// Whether no lane is zero.
    I32x4AllTrue => i32x4_all_true, i32x4_all_true_cond(b, x: I32X4) { b.ins().vall_true(x) }
    /// Whether no lane is zero.
    I64x2AllTrue => i64x2_all_true, i64x2_all_true_cond(b, x: I64X2) { b.ins().vall_true(x) }
}
