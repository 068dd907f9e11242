//! Conversions between the scalar types.
//!
//! Float to integer rounds towards zero. The plain conversions trap, on NaN as *bad conversion to
//! integer* and on a value out of range as *integer overflow*; the saturating ones give 0 for NaN
//! and otherwise the nearest integer that can be represented. Integer to float and `f64` to `f32`
//! round to nearest, ties to even.

use super::operation::operations;
use cranelift_codegen::ir::types::{F32, F64, I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData};

operations! {
    fn operation;

    /// The low 32 bits of `x`.
    I32WrapI64 => i32_wrap_i64(b, x: I64) -> I32 { b.ins().ireduce(I32, x) }
    /// `x`, sign-extended.
    I64ExtendI32S => i64_extend_i32_s(b, x: I32) -> I64 { b.ins().sextend(I64, x) }
    /// `x`, zero-extended.
    I64ExtendI32U => i64_extend_i32_u(b, x: I32) -> I64 { b.ins().uextend(I64, x) }

    /// `x` as a signed integer. Traps on NaN and if the integer cannot be represented.
    I32TruncF32S => i32_trunc_f32_s(b, x: F32) -> I32 { b.ins().fcvt_to_sint(I32, x) }
    /// `x` as an unsigned integer. Traps on NaN and if the integer cannot be represented.
    I32TruncF32U => i32_trunc_f32_u(b, x: F32) -> I32 { b.ins().fcvt_to_uint(I32, x) }
    /// `x` as a signed integer. Traps on NaN and if the integer cannot be represented.
    I32TruncF64S => i32_trunc_f64_s(b, x: F64) -> I32 { b.ins().fcvt_to_sint(I32, x) }
    /// `x` as an unsigned integer. Traps on NaN and if the integer cannot be represented.
    I32TruncF64U => i32_trunc_f64_u(b, x: F64) -> I32 { b.ins().fcvt_to_uint(I32, x) }
    /// `x` as a signed integer. Traps on NaN and if the integer cannot be represented.
    I64TruncF32S => i64_trunc_f32_s(b, x: F32) -> I64 { b.ins().fcvt_to_sint(I64, x) }
    /// `x` as an unsigned integer. Traps on NaN and if the integer cannot be represented.
    I64TruncF32U => i64_trunc_f32_u(b, x: F32) -> I64 { b.ins().fcvt_to_uint(I64, x) }
    /// `x` as a signed integer. Traps on NaN and if the integer cannot be represented.
    I64TruncF64S => i64_trunc_f64_s(b, x: F64) -> I64 { b.ins().fcvt_to_sint(I64, x) }
    /// `x` as an unsigned integer. Traps on NaN and if the integer cannot be represented.
    I64TruncF64U => i64_trunc_f64_u(b, x: F64) -> I64 { b.ins().fcvt_to_uint(I64, x) }

    /// `x` as a signed integer, saturating; 0 for NaN.
    I32TruncSatF32S => i32_trunc_sat_f32_s(b, x: F32) -> I32 { b.ins().fcvt_to_sint_sat(I32, x) }
    /// `x` as an unsigned integer, saturating; 0 for NaN.
    I32TruncSatF32U => i32_trunc_sat_f32_u(b, x: F32) -> I32 { b.ins().fcvt_to_uint_sat(I32, x) }
    /// `x` as a signed integer, saturating; 0 for NaN.
    I32TruncSatF64S => i32_trunc_sat_f64_s(b, x: F64) -> I32 { b.ins().fcvt_to_sint_sat(I32, x) }
    /// `x` as an unsigned integer, saturating; 0 for NaN.
    I32TruncSatF64U => i32_trunc_sat_f64_u(b, x: F64) -> I32 { b.ins().fcvt_to_uint_sat(I32, x) }
    /// `x` as a signed integer, saturating; 0 for NaN.
    I64TruncSatF32S => i64_trunc_sat_f32_s(b, x: F32) -> I64 { b.ins().fcvt_to_sint_sat(I64, x) }
    /// `x` as an unsigned integer, saturating; 0 for NaN.
    I64TruncSatF32U => i64_trunc_sat_f32_u(b, x: F32) -> I64 { b.ins().fcvt_to_uint_sat(I64, x) }
    /// `x` as a signed integer, saturating; 0 for NaN.
    I64TruncSatF64S => i64_trunc_sat_f64_s(b, x: F64) -> I64 { b.ins().fcvt_to_sint_sat(I64, x) }
    /// `x` as an unsigned integer, saturating; 0 for NaN.
    I64TruncSatF64U => i64_trunc_sat_f64_u(b, x: F64) -> I64 { b.ins().fcvt_to_uint_sat(I64, x) }

    /// `x`, taken as signed, as a float, rounded.
    F32ConvertI32S => f32_convert_i32_s(b, x: I32) -> F32 { b.ins().fcvt_from_sint(F32, x) }
    /// `x`, taken as unsigned, as a float, rounded.
    F32ConvertI32U => f32_convert_i32_u(b, x: I32) -> F32 { b.ins().fcvt_from_uint(F32, x) }
    /// `x`, taken as signed, as a float, rounded.
    F32ConvertI64S => f32_convert_i64_s(b, x: I64) -> F32 { b.ins().fcvt_from_sint(F32, x) }
    /// `x`, taken as unsigned, as a float, rounded.
    F32ConvertI64U => f32_convert_i64_u(b, x: I64) -> F32 { b.ins().fcvt_from_uint(F32, x) }
    /// `x`, taken as signed, as a float.
    F64ConvertI32S => f64_convert_i32_s(b, x: I32) -> F64 { b.ins().fcvt_from_sint(F64, x) }
    /// `x`, taken as unsigned, as a float.
    F64ConvertI32U => f64_convert_i32_u(b, x: I32) -> F64 { b.ins().fcvt_from_uint(F64, x) }
    /// `x`, taken as signed, as a float, rounded.
    F64ConvertI64S => f64_convert_i64_s(b, x: I64) -> F64 { b.ins().fcvt_from_sint(F64, x) }
    /// `x`, taken as unsigned, as a float, rounded.
    F64ConvertI64U => f64_convert_i64_u(b, x: I64) -> F64 { b.ins().fcvt_from_uint(F64, x) }

    /// `x`, rounded to single precision.
    F32DemoteF64 => f32_demote_f64(b, x: F64) -> F32 { b.ins().fdemote(F32, x) }
    /// `x`, exactly, in double precision.
    F64PromoteF32 => f64_promote_f32(b, x: F32) -> F64 { b.ins().fpromote(F64, x) }
    /// The bits of `x` as an integer.
    I32ReinterpretF32 => i32_reinterpret_f32(b, x: F32) -> I32 {
        b.ins().bitcast(I32, MemFlagsData::new(), x)
    }
    /// The bits of `x` as an integer.
    I64ReinterpretF64 => i64_reinterpret_f64(b, x: F64) -> I64 {
        b.ins().bitcast(I64, MemFlagsData::new(), x)
    }
    /// The bits of `x` as a float.
    F32ReinterpretI32 => f32_reinterpret_i32(b, x: I32) -> F32 {
        b.ins().bitcast(F32, MemFlagsData::new(), x)
    }
    /// The bits of `x` as a float.
    F64ReinterpretI64 => f64_reinterpret_i64(b, x: I64) -> F64 {
        b.ins().bitcast(F64, MemFlagsData::new(), x)
    }
}
