//! Integer arithmetic on lanes.
//!
//! The operations that pair up or widen lanes are put together from CLIF's widenings; the x86-64
//! and AArch64 code generators know these very shapes and make one instruction of them where
//! there is one.

use crate::lower::operation::{Operation, operations};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::{I8X16, I16X8, I32, I32X4, I64X2};
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(super) fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    arithmetic(operator).or_else(|| widening(operator))
}

operations! {
    fn arithmetic;

    /// The absolute value of each 8-bit lane, wrapping around for the least integer.
    I8x16Abs => i8x16_abs(b, x: I8X16) -> I8X16 { b.ins().iabs(x) }
    /// The negation of each 8-bit lane, wrapping around.
    I8x16Neg => i8x16_neg(b, x: I8X16) -> I8X16 { b.ins().ineg(x) }
    /// The number of one bits in each 8-bit lane.
    I8x16Popcnt => i8x16_popcnt(b, x: I8X16) -> I8X16 { b.ins().popcnt(x) }
    /// `x << n`, in each 8-bit lane, with `n` modulo 8.
    I8x16Shl => i8x16_shl(b, x: I8X16, n: I32) -> I8X16 { b.ins().ishl(x, n) }
    /// `x >> n`, arithmetic, in each 8-bit lane, with `n` modulo 8.
    I8x16ShrS => i8x16_shr_s(b, x: I8X16, n: I32) -> I8X16 { b.ins().sshr(x, n) }
    /// `x >> n`, logical, in each 8-bit lane, with `n` modulo 8.
    I8x16ShrU => i8x16_shr_u(b, x: I8X16, n: I32) -> I8X16 { b.ins().ushr(x, n) }
    /// `x + y`, wrapping around, in each 8-bit lane.
    I8x16Add => i8x16_add(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().iadd(x, y) }
    /// `x - y`, wrapping around, in each 8-bit lane.
    I8x16Sub => i8x16_sub(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().isub(x, y) }
    /// `x + y`, signed, saturating, in each 8-bit lane.
    I8x16AddSatS => i8x16_add_sat_s(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().sadd_sat(x, y) }
    /// `x + y`, unsigned, saturating, in each 8-bit lane.
    I8x16AddSatU => i8x16_add_sat_u(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().uadd_sat(x, y) }
    /// `x - y`, signed, saturating, in each 8-bit lane.
    I8x16SubSatS => i8x16_sub_sat_s(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().ssub_sat(x, y) }
    /// `x - y`, unsigned, saturating, in each 8-bit lane.
    I8x16SubSatU => i8x16_sub_sat_u(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().usub_sat(x, y) }
    /// The smaller of `x` and `y`, signed, in each 8-bit lane.
    I8x16MinS => i8x16_min_s(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().smin(x, y) }
    /// The smaller of `x` and `y`, unsigned, in each 8-bit lane.
    I8x16MinU => i8x16_min_u(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().umin(x, y) }
    /// The larger of `x` and `y`, signed, in each 8-bit lane.
    I8x16MaxS => i8x16_max_s(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().smax(x, y) }
    /// The larger of `x` and `y`, unsigned, in each 8-bit lane.
    I8x16MaxU => i8x16_max_u(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().umax(x, y) }
    /// The mean of `x` and `y`, unsigned, halves rounded up, in each 8-bit lane.
    I8x16AvgrU => i8x16_avgr_u(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().avg_round(x, y) }

    /// The absolute value of each 16-bit lane, wrapping around for the least integer.
    I16x8Abs => i16x8_abs(b, x: I16X8) -> I16X8 { b.ins().iabs(x) }
    /// The negation of each 16-bit lane, wrapping around.
    I16x8Neg => i16x8_neg(b, x: I16X8) -> I16X8 { b.ins().ineg(x) }
    /// `x << n`, in each 16-bit lane, with `n` modulo 16.
    I16x8Shl => i16x8_shl(b, x: I16X8, n: I32) -> I16X8 { b.ins().ishl(x, n) }
    /// `x >> n`, arithmetic, in each 16-bit lane, with `n` modulo 16.
    I16x8ShrS => i16x8_shr_s(b, x: I16X8, n: I32) -> I16X8 { b.ins().sshr(x, n) }
    /// `x >> n`, logical, in each 16-bit lane, with `n` modulo 16.
    I16x8ShrU => i16x8_shr_u(b, x: I16X8, n: I32) -> I16X8 { b.ins().ushr(x, n) }
    /// `x + y`, wrapping around, in each 16-bit lane.
    I16x8Add => i16x8_add(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().iadd(x, y) }
    /// `x - y`, wrapping around, in each 16-bit lane.
    I16x8Sub => i16x8_sub(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().isub(x, y) }
    /// `x + y`, signed, saturating, in each 16-bit lane.
    I16x8AddSatS => i16x8_add_sat_s(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().sadd_sat(x, y) }
    /// `x + y`, unsigned, saturating, in each 16-bit lane.
    I16x8AddSatU => i16x8_add_sat_u(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().uadd_sat(x, y) }
    /// `x - y`, signed, saturating, in each 16-bit lane.
    I16x8SubSatS => i16x8_sub_sat_s(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().ssub_sat(x, y) }
    /// `x - y`, unsigned, saturating, in each 16-bit lane.
    I16x8SubSatU => i16x8_sub_sat_u(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().usub_sat(x, y) }
    /// `x * y`, wrapping around, in each 16-bit lane.
    I16x8Mul => i16x8_mul(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().imul(x, y) }
    /// The smaller of `x` and `y`, signed, in each 16-bit lane.
    I16x8MinS => i16x8_min_s(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().smin(x, y) }
    /// The smaller of `x` and `y`, unsigned, in each 16-bit lane.
    I16x8MinU => i16x8_min_u(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().umin(x, y) }
    /// The larger of `x` and `y`, signed, in each 16-bit lane.
    I16x8MaxS => i16x8_max_s(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().smax(x, y) }
    /// The larger of `x` and `y`, unsigned, in each 16-bit lane.
    I16x8MaxU => i16x8_max_u(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().umax(x, y) }
    /// The mean of `x` and `y`, unsigned, halves rounded up, in each 16-bit lane.
    I16x8AvgrU => i16x8_avgr_u(b, x: I16X8, y: I16X8) -> I16X8 { b.ins().avg_round(x, y) }
    /// The product of `x` and `y` as fractions with 15 bits, rounded, saturating, in each 16-bit
    /// lane.
    I16x8Q15MulrSatS => i16x8_q15mulr_sat_s(b, x: I16X8, y: I16X8) -> I16X8 {
        b.ins().sqmul_round_sat(x, y)
    }

    /// The absolute value of each 32-bit lane, wrapping around for the least integer.
    I32x4Abs => i32x4_abs(b, x: I32X4) -> I32X4 { b.ins().iabs(x) }
    /// The negation of each 32-bit lane, wrapping around.
    I32x4Neg => i32x4_neg(b, x: I32X4) -> I32X4 { b.ins().ineg(x) }
    /// `x << n`, in each 32-bit lane, with `n` modulo 32.
    I32x4Shl => i32x4_shl(b, x: I32X4, n: I32) -> I32X4 { b.ins().ishl(x, n) }
    /// `x >> n`, arithmetic, in each 32-bit lane, with `n` modulo 32.
    I32x4ShrS => i32x4_shr_s(b, x: I32X4, n: I32) -> I32X4 { b.ins().sshr(x, n) }
    /// `x >> n`, logical, in each 32-bit lane, with `n` modulo 32.
    I32x4ShrU => i32x4_shr_u(b, x: I32X4, n: I32) -> I32X4 { b.ins().ushr(x, n) }
    /// `x + y`, wrapping around, in each 32-bit lane.
    I32x4Add => i32x4_add(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().iadd(x, y) }
    /// `x - y`, wrapping around, in each 32-bit lane.
    I32x4Sub => i32x4_sub(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().isub(x, y) }
    /// `x * y`, wrapping around, in each 32-bit lane.
    I32x4Mul => i32x4_mul(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().imul(x, y) }
    /// The smaller of `x` and `y`, signed, in each 32-bit lane.
    I32x4MinS => i32x4_min_s(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().smin(x, y) }
    /// The smaller of `x` and `y`, unsigned, in each 32-bit lane.
    I32x4MinU => i32x4_min_u(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().umin(x, y) }
    /// The larger of `x` and `y`, signed, in each 32-bit lane.
    I32x4MaxS => i32x4_max_s(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().smax(x, y) }
    /// The larger of `x` and `y`, unsigned, in each 32-bit lane.
    I32x4MaxU => i32x4_max_u(b, x: I32X4, y: I32X4) -> I32X4 { b.ins().umax(x, y) }

    /// The absolute value of each 64-bit lane, wrapping around for the least integer.
    I64x2Abs => i64x2_abs(b, x: I64X2) -> I64X2 { b.ins().iabs(x) }
    /// The negation of each 64-bit lane, wrapping around.
    I64x2Neg => i64x2_neg(b, x: I64X2) -> I64X2 { b.ins().ineg(x) }
    /// `x << n`, in each 64-bit lane, with `n` modulo 64.
    I64x2Shl => i64x2_shl(b, x: I64X2, n: I32) -> I64X2 { b.ins().ishl(x, n) }
    /// `x >> n`, arithmetic, in each 64-bit lane, with `n` modulo 64.
    I64x2ShrS => i64x2_shr_s(b, x: I64X2, n: I32) -> I64X2 { b.ins().sshr(x, n) }
    /// `x >> n`, logical, in each 64-bit lane, with `n` modulo 64.
    I64x2ShrU => i64x2_shr_u(b, x: I64X2, n: I32) -> I64X2 { b.ins().ushr(x, n) }
    /// `x + y`, wrapping around, in each 64-bit lane.
    I64x2Add => i64x2_add(b, x: I64X2, y: I64X2) -> I64X2 { b.ins().iadd(x, y) }
    /// `x - y`, wrapping around, in each 64-bit lane.
    I64x2Sub => i64x2_sub(b, x: I64X2, y: I64X2) -> I64X2 { b.ins().isub(x, y) }
    /// `x * y`, wrapping around, in each 64-bit lane.
    I64x2Mul => i64x2_mul(b, x: I64X2, y: I64X2) -> I64X2 { b.ins().imul(x, y) }
}

operations! {
    fn widening;

    /// The sums of neighbouring 8-bit lanes, signed, in 16 bits each.
    I16x8ExtAddPairwiseI8x16S => i16x8_extadd_pairwise_i8x16_s(b, x: I8X16) -> I16X8 {
        let low = b.ins().swiden_low(x);
        let high = b.ins().swiden_high(x);
        b.ins().iadd_pairwise(low, high)
    }
    /// The sums of neighbouring 8-bit lanes, unsigned, in 16 bits each.
    I16x8ExtAddPairwiseI8x16U => i16x8_extadd_pairwise_i8x16_u(b, x: I8X16) -> I16X8 {
        let low = b.ins().uwiden_low(x);
        let high = b.ins().uwiden_high(x);
        b.ins().iadd_pairwise(low, high)
    }
    /// The products of the low 8 lanes, signed, in 16 bits each.
    I16x8ExtMulLowI8x16S => i16x8_extmul_low_i8x16_s(b, x: I8X16, y: I8X16) -> I16X8 {
        let x = b.ins().swiden_low(x);
        let y = b.ins().swiden_low(y);
        b.ins().imul(x, y)
    }
    /// The products of the low 8 lanes, unsigned, in 16 bits each.
    I16x8ExtMulLowI8x16U => i16x8_extmul_low_i8x16_u(b, x: I8X16, y: I8X16) -> I16X8 {
        let x = b.ins().uwiden_low(x);
        let y = b.ins().uwiden_low(y);
        b.ins().imul(x, y)
    }
    /// The products of the high 8 lanes, signed, in 16 bits each.
    I16x8ExtMulHighI8x16S => i16x8_extmul_high_i8x16_s(b, x: I8X16, y: I8X16) -> I16X8 {
        let x = b.ins().swiden_high(x);
        let y = b.ins().swiden_high(y);
        b.ins().imul(x, y)
    }
    /// The products of the high 8 lanes, unsigned, in 16 bits each.
    I16x8ExtMulHighI8x16U => i16x8_extmul_high_i8x16_u(b, x: I8X16, y: I8X16) -> I16X8 {
        let x = b.ins().uwiden_high(x);
        let y = b.ins().uwiden_high(y);
        b.ins().imul(x, y)
    }

    /// The sums of neighbouring 16-bit lanes, signed, in 32 bits each.
    I32x4ExtAddPairwiseI16x8S => i32x4_extadd_pairwise_i16x8_s(b, x: I16X8) -> I32X4 {
        let low = b.ins().swiden_low(x);
        let high = b.ins().swiden_high(x);
        b.ins().iadd_pairwise(low, high)
    }
    /// The sums of neighbouring 16-bit lanes, unsigned, in 32 bits each.
    I32x4ExtAddPairwiseI16x8U => i32x4_extadd_pairwise_i16x8_u(b, x: I16X8) -> I32X4 {
        let low = b.ins().uwiden_low(x);
        let high = b.ins().uwiden_high(x);
        b.ins().iadd_pairwise(low, high)
    }
    /// The products of the low 4 lanes, signed, in 32 bits each.
    I32x4ExtMulLowI16x8S => i32x4_extmul_low_i16x8_s(b, x: I16X8, y: I16X8) -> I32X4 {
        let x = b.ins().swiden_low(x);
        let y = b.ins().swiden_low(y);
        b.ins().imul(x, y)
    }
    /// The products of the low 4 lanes, unsigned, in 32 bits each.
    I32x4ExtMulLowI16x8U => i32x4_extmul_low_i16x8_u(b, x: I16X8, y: I16X8) -> I32X4 {
        let x = b.ins().uwiden_low(x);
        let y = b.ins().uwiden_low(y);
        b.ins().imul(x, y)
    }
    /// The products of the high 4 lanes, signed, in 32 bits each.
    I32x4ExtMulHighI16x8S => i32x4_extmul_high_i16x8_s(b, x: I16X8, y: I16X8) -> I32X4 {
        let x = b.ins().swiden_high(x);
        let y = b.ins().swiden_high(y);
        b.ins().imul(x, y)
    }
    /// The products of the high 4 lanes, unsigned, in 32 bits each.
    I32x4ExtMulHighI16x8U => i32x4_extmul_high_i16x8_u(b, x: I16X8, y: I16X8) -> I32X4 {
        let x = b.ins().uwiden_high(x);
        let y = b.ins().uwiden_high(y);
        b.ins().imul(x, y)
    }
    /// The sums of two neighbouring products each, signed, wrapping around in 32 bits.
    I32x4DotI16x8S => i32x4_dot_i16x8_s(b, x: I16X8, y: I16X8) -> I32X4 {
        let x_low = b.ins().swiden_low(x);
        let y_low = b.ins().swiden_low(y);
        let low = b.ins().imul(x_low, y_low);
        let x_high = b.ins().swiden_high(x);
        let y_high = b.ins().swiden_high(y);
        let high = b.ins().imul(x_high, y_high);
        b.ins().iadd_pairwise(low, high)
    }

    /// The products of the low 2 lanes, signed, in 64 bits each.
    I64x2ExtMulLowI32x4S => i64x2_extmul_low_i32x4_s(b, x: I32X4, y: I32X4) -> I64X2 {
        let x = b.ins().swiden_low(x);
        let y = b.ins().swiden_low(y);
        b.ins().imul(x, y)
    }
    /// The products of the low 2 lanes, unsigned, in 64 bits each.
    I64x2ExtMulLowI32x4U => i64x2_extmul_low_i32x4_u(b, x: I32X4, y: I32X4) -> I64X2 {
        let x = b.ins().uwiden_low(x);
        let y = b.ins().uwiden_low(y);
        b.ins().imul(x, y)
    }
    /// The products of the high 2 lanes, signed, in 64 bits each.
    I64x2ExtMulHighI32x4S => i64x2_extmul_high_i32x4_s(b, x: I32X4, y: I32X4) -> I64X2 {
        let x = b.ins().swiden_high(x);
        let y = b.ins().swiden_high(y);
        b.ins().imul(x, y)
    }
    /// The products of the high 2 lanes, unsigned, in 64 bits each.
    I64x2ExtMulHighI32x4U => i64x2_extmul_high_i32x4_u(b, x: I32X4, y: I32X4) -> I64X2 {
        let x = b.ins().uwiden_high(x);
        let y = b.ins().uwiden_high(y);
        b.ins().imul(x, y)
    }
}
