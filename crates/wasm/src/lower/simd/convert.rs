//! Conversions between kinds of lanes. Those between integers and floats saturate and never trap.
//!
//! CLIF has no vector of two 32-bit lanes, so what changes the number of lanes goes through two
//! 64-bit integers. The code generators support just these pairs of instructions for it, which
//! therefore have to stay together.

use crate::lower::operation::{Operation, operations};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{ConstantData, InstBuilder, Value};
use cranelift_frontend::FunctionBuilder;
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(super) fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    int(operator).or_else(|| float(operator))
}

/// Two 64-bit lanes of zero.
fn zero(b: &mut FunctionBuilder<'_>) -> Value {
    let constant = b
        .func
        .dfg
        .constants
        .insert(ConstantData::from([0; 16].as_slice()));
    b.ins().vconst(I64X2, constant)
}

operations! {
    fn int;

    /// The lanes of `x`, then those of `y`, as signed integers saturated to 8 bits, signed.
    I8x16NarrowI16x8S => i8x16_narrow_i16x8_s(b, x: I16X8, y: I16X8) -> I8X16 {
        b.ins().snarrow(x, y)
    }
    /// The lanes of `x`, then those of `y`, as signed integers saturated to 8 bits, unsigned.
    I8x16NarrowI16x8U => i8x16_narrow_i16x8_u(b, x: I16X8, y: I16X8) -> I8X16 {
        b.ins().unarrow(x, y)
    }
    /// The lanes of `x`, then those of `y`, as signed integers saturated to 16 bits, signed.
    I16x8NarrowI32x4S => i16x8_narrow_i32x4_s(b, x: I32X4, y: I32X4) -> I16X8 {
        b.ins().snarrow(x, y)
    }
    /// The lanes of `x`, then those of `y`, as signed integers saturated to 16 bits, unsigned.
    I16x8NarrowI32x4U => i16x8_narrow_i32x4_u(b, x: I32X4, y: I32X4) -> I16X8 {
        b.ins().unarrow(x, y)
    }

    /// The low 8 lanes, sign-extended to 16 bits.
    I16x8ExtendLowI8x16S => i16x8_extend_low_i8x16_s(b, x: I8X16) -> I16X8 { b.ins().swiden_low(x) }
    /// The low 8 lanes, zero-extended to 16 bits.
    I16x8ExtendLowI8x16U => i16x8_extend_low_i8x16_u(b, x: I8X16) -> I16X8 { b.ins().uwiden_low(x) }
    /// The high 8 lanes, sign-extended to 16 bits.
    I16x8ExtendHighI8x16S => i16x8_extend_high_i8x16_s(b, x: I8X16) -> I16X8 {
        b.ins().swiden_high(x)
    }
    /// The high 8 lanes, zero-extended to 16 bits.
    I16x8ExtendHighI8x16U => i16x8_extend_high_i8x16_u(b, x: I8X16) -> I16X8 {
        b.ins().uwiden_high(x)
    }
    /// The low 4 lanes, sign-extended to 32 bits.
    I32x4ExtendLowI16x8S => i32x4_extend_low_i16x8_s(b, x: I16X8) -> I32X4 { b.ins().swiden_low(x) }
    /// The low 4 lanes, zero-extended to 32 bits.
    I32x4ExtendLowI16x8U => i32x4_extend_low_i16x8_u(b, x: I16X8) -> I32X4 { b.ins().uwiden_low(x) }
    /// The high 4 lanes, sign-extended to 32 bits.
    I32x4ExtendHighI16x8S => i32x4_extend_high_i16x8_s(b, x: I16X8) -> I32X4 {
        b.ins().swiden_high(x)
    }
    /// The high 4 lanes, zero-extended to 32 bits.
    I32x4ExtendHighI16x8U => i32x4_extend_high_i16x8_u(b, x: I16X8) -> I32X4 {
        b.ins().uwiden_high(x)
    }
    /// The low 2 lanes, sign-extended to 64 bits.
    I64x2ExtendLowI32x4S => i64x2_extend_low_i32x4_s(b, x: I32X4) -> I64X2 { b.ins().swiden_low(x) }
    /// The low 2 lanes, zero-extended to 64 bits.
    I64x2ExtendLowI32x4U => i64x2_extend_low_i32x4_u(b, x: I32X4) -> I64X2 { b.ins().uwiden_low(x) }
    /// The high 2 lanes, sign-extended to 64 bits.
    I64x2ExtendHighI32x4S => i64x2_extend_high_i32x4_s(b, x: I32X4) -> I64X2 {
        b.ins().swiden_high(x)
    }
    /// The high 2 lanes, zero-extended to 64 bits.
    I64x2ExtendHighI32x4U => i64x2_extend_high_i32x4_u(b, x: I32X4) -> I64X2 {
        b.ins().uwiden_high(x)
    }
}

operations! {
    fn float;

    /// Each lane rounded towards zero to a 32-bit signed integer, saturating; 0 for NaN.
    I32x4TruncSatF32x4S => i32x4_trunc_sat_f32x4_s(b, x: F32X4) -> I32X4 {
        b.ins().fcvt_to_sint_sat(I32X4, x)
    }
    /// Each lane rounded towards zero to a 32-bit unsigned integer, saturating; 0 for NaN.
    I32x4TruncSatF32x4U => i32x4_trunc_sat_f32x4_u(b, x: F32X4) -> I32X4 {
        b.ins().fcvt_to_uint_sat(I32X4, x)
    }
    /// Both lanes rounded towards zero to 32-bit signed integers, saturating, 0 for NaN; lanes 2
    /// and 3 are 0.
    I32x4TruncSatF64x2SZero => i32x4_trunc_sat_f64x2_s_zero(b, x: F64X2) -> I32X4 {
        let wide = b.ins().fcvt_to_sint_sat(I64X2, x);
        let zero = zero(b);
        b.ins().snarrow(wide, zero)
    }
    /// Both lanes rounded towards zero to 32-bit unsigned integers, saturating, 0 for NaN; lanes 2
    /// and 3 are 0.
    I32x4TruncSatF64x2UZero => i32x4_trunc_sat_f64x2_u_zero(b, x: F64X2) -> I32X4 {
        let wide = b.ins().fcvt_to_uint_sat(I64X2, x);
        let zero = zero(b);
        b.ins().uunarrow(wide, zero)
    }

    /// Each lane, a signed integer, as a float, rounded.
    F32x4ConvertI32x4S => f32x4_convert_i32x4_s(b, x: I32X4) -> F32X4 {
        b.ins().fcvt_from_sint(F32X4, x)
    }
    /// Each lane, an unsigned integer, as a float, rounded.
    F32x4ConvertI32x4U => f32x4_convert_i32x4_u(b, x: I32X4) -> F32X4 {
        b.ins().fcvt_from_uint(F32X4, x)
    }
    /// The low two lanes, signed integers, as floats, exactly.
    F64x2ConvertLowI32x4S => f64x2_convert_low_i32x4_s(b, x: I32X4) -> F64X2 {
        let wide = b.ins().swiden_low(x);
        b.ins().fcvt_from_sint(F64X2, wide)
    }
    /// The low two lanes, unsigned integers, as floats, exactly.
    F64x2ConvertLowI32x4U => f64x2_convert_low_i32x4_u(b, x: I32X4) -> F64X2 {
        let wide = b.ins().uwiden_low(x);
        b.ins().fcvt_from_uint(F64X2, wide)
    }

    /// Both lanes rounded to single precision; lanes 2 and 3 are 0.
    F32x4DemoteF64x2Zero => f32x4_demote_f64x2_zero(b, x: F64X2) -> F32X4 { b.ins().fvdemote(x) }
    /// The low two lanes, exactly, in double precision.
    F64x2PromoteLowF32x4 => f64x2_promote_low_f32x4(b, x: F32X4) -> F64X2 {
        b.ins().fvpromote_low(x)
    }
}
