//! Making vectors and moving lanes: constants, splats, lane extraction and replacement, shuffles.

use crate::lower::operation::operations;
use cranelift_codegen::ir::types::{
    F32, F32X4, F64, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64, I64X2,
};
use cranelift_codegen::ir::{ConstantData, InstBuilder};
use wasmparser::V128;

operations! {
    fn operation;

    /// The constant `value`.
    V128Const { value: V128 } => v128_const(b) -> I8X16 {
        let constant = b.func.dfg.constants.insert(ConstantData::from(value.bytes().as_slice()));
        b.ins().vconst(I8X16, constant)
    }

    /// The low 8 bits of `x` in every lane.
    I8x16Splat => i8x16_splat(b, x: I32) -> I8X16 {
        let lane = b.ins().ireduce(I8, x);
        b.ins().splat(I8X16, lane)
    }
    /// The low 16 bits of `x` in every lane.
    I16x8Splat => i16x8_splat(b, x: I32) -> I16X8 {
        let lane = b.ins().ireduce(I16, x);
        b.ins().splat(I16X8, lane)
    }
    /// `x` in every lane.
    I32x4Splat => i32x4_splat(b, x: I32) -> I32X4 { b.ins().splat(I32X4, x) }
    /// `x` in every lane.
    I64x2Splat => i64x2_splat(b, x: I64) -> I64X2 { b.ins().splat(I64X2, x) }
    /// `x` in every lane.
    F32x4Splat => f32x4_splat(b, x: F32) -> F32X4 { b.ins().splat(F32X4, x) }
    /// `x` in every lane.
    F64x2Splat => f64x2_splat(b, x: F64) -> F64X2 { b.ins().splat(F64X2, x) }

    /// The lane numbered `lane`, sign-extended.
    I8x16ExtractLaneS { lane: u8 } => i8x16_extract_lane_s(b, x: I8X16) -> I32 {
        let lane = b.ins().extractlane(x, lane);
        b.ins().sextend(I32, lane)
    }
    /// The lane numbered `lane`, zero-extended.
    I8x16ExtractLaneU { lane: u8 } => i8x16_extract_lane_u(b, x: I8X16) -> I32 {
        let lane = b.ins().extractlane(x, lane);
        b.ins().uextend(I32, lane)
    }
    /// The lane numbered `lane`, sign-extended.
    I16x8ExtractLaneS { lane: u8 } => i16x8_extract_lane_s(b, x: I16X8) -> I32 {
        let lane = b.ins().extractlane(x, lane);
        b.ins().sextend(I32, lane)
    }
    /// The lane numbered `lane`, zero-extended.
    I16x8ExtractLaneU { lane: u8 } => i16x8_extract_lane_u(b, x: I16X8) -> I32 {
        let lane = b.ins().extractlane(x, lane);
        b.ins().uextend(I32, lane)
    }
    /// The lane numbered `lane`.
    I32x4ExtractLane { lane: u8 } => i32x4_extract_lane(b, x: I32X4) -> I32 {
        b.ins().extractlane(x, lane)
    }
    /// The lane numbered `lane`.
    I64x2ExtractLane { lane: u8 } => i64x2_extract_lane(b, x: I64X2) -> I64 {
        b.ins().extractlane(x, lane)
    }
    /// The lane numbered `lane`.
    F32x4ExtractLane { lane: u8 } => f32x4_extract_lane(b, x: F32X4) -> F32 {
        b.ins().extractlane(x, lane)
    }
    /// The lane numbered `lane`.
    F64x2ExtractLane { lane: u8 } => f64x2_extract_lane(b, x: F64X2) -> F64 {
        b.ins().extractlane(x, lane)
    }

    /// `x` with the low 8 bits of `y` as the lane numbered `lane`.
    I8x16ReplaceLane { lane: u8 } => i8x16_replace_lane(b, x: I8X16, y: I32) -> I8X16 {
        let y = b.ins().ireduce(I8, y);
        b.ins().insertlane(x, y, lane)
    }
    /// `x` with the low 16 bits of `y` as the lane numbered `lane`.
    I16x8ReplaceLane { lane: u8 } => i16x8_replace_lane(b, x: I16X8, y: I32) -> I16X8 {
        let y = b.ins().ireduce(I16, y);
        b.ins().insertlane(x, y, lane)
    }
    /// `x` with `y` as the lane numbered `lane`.
    I32x4ReplaceLane { lane: u8 } => i32x4_replace_lane(b, x: I32X4, y: I32) -> I32X4 {
        b.ins().insertlane(x, y, lane)
    }
    /// `x` with `y` as the lane numbered `lane`.
    I64x2ReplaceLane { lane: u8 } => i64x2_replace_lane(b, x: I64X2, y: I64) -> I64X2 {
        b.ins().insertlane(x, y, lane)
    }
    /// `x` with `y` as the lane numbered `lane`.
    F32x4ReplaceLane { lane: u8 } => f32x4_replace_lane(b, x: F32X4, y: F32) -> F32X4 {
        b.ins().insertlane(x, y, lane)
    }
    /// `x` with `y` as the lane numbered `lane`.
    F64x2ReplaceLane { lane: u8 } => f64x2_replace_lane(b, x: F64X2, y: F64) -> F64X2 {
        b.ins().insertlane(x, y, lane)
    }

    /// The bytes of `x` (numbered 0 to 15) and `y` (16 to 31) that `lanes` names.
    I8x16Shuffle { lanes: [u8; 16] } => i8x16_shuffle(b, x: I8X16, y: I8X16) -> I8X16 {
        let mask = b.func.dfg.immediates.push(ConstantData::from(lanes.as_slice()));
        b.ins().shuffle(x, y, mask)
    }
    /// The bytes of `x` that the bytes of `y` name; 0 for a byte over 15.
    I8x16Swizzle => i8x16_swizzle(b, x: I8X16, y: I8X16) -> I8X16 { b.ins().swizzle(x, y) }
}
