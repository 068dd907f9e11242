//! Loads and stores of vectors, whole, widened, splatted, or one lane of them.

use crate::lower::access::{Access, loads, stores};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::{I8, I8X16, I16, I16X8, I32, I32X4, I64, I64X2};
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(in crate::lower) fn access<'a>(operator: &'a Operator<'a>) -> Option<Access<'a>> {
    load(operator).or_else(|| store(operator))
}

loads! {
    fn load;

    /// Loads 16 bytes.
    [16] V128Load => v128_load(b, at) -> I8X16 {
        b.ins().load(I8X16, at.flags, at.base, at.offset)
    }

    /// Loads 8 lanes of 8 bits and sign-extends each to 16 bits.
    [8] V128Load8x8S => v128_load8x8_s(b, at) -> I16X8 {
        b.ins().sload8x8(at.flags, at.base, at.offset)
    }
    /// Loads 8 lanes of 8 bits and zero-extends each to 16 bits.
    [8] V128Load8x8U => v128_load8x8_u(b, at) -> I16X8 {
        b.ins().uload8x8(at.flags, at.base, at.offset)
    }
    /// Loads 4 lanes of 16 bits and sign-extends each to 32 bits.
    [8] V128Load16x4S => v128_load16x4_s(b, at) -> I32X4 {
        b.ins().sload16x4(at.flags, at.base, at.offset)
    }
    /// Loads 4 lanes of 16 bits and zero-extends each to 32 bits.
    [8] V128Load16x4U => v128_load16x4_u(b, at) -> I32X4 {
        b.ins().uload16x4(at.flags, at.base, at.offset)
    }
    /// Loads 2 lanes of 32 bits and sign-extends each to 64 bits.
    [8] V128Load32x2S => v128_load32x2_s(b, at) -> I64X2 {
        b.ins().sload32x2(at.flags, at.base, at.offset)
    }
    /// Loads 2 lanes of 32 bits and zero-extends each to 64 bits.
    [8] V128Load32x2U => v128_load32x2_u(b, at) -> I64X2 {
        b.ins().uload32x2(at.flags, at.base, at.offset)
    }

    /// Loads 8 bits into every lane.
    [1] V128Load8Splat => v128_load8_splat(b, at) -> I8X16 {
        let lane = b.ins().load(I8, at.flags, at.base, at.offset);
        b.ins().splat(I8X16, lane)
    }
    /// Loads 16 bits into every lane.
    [2] V128Load16Splat => v128_load16_splat(b, at) -> I16X8 {
        let lane = b.ins().load(I16, at.flags, at.base, at.offset);
        b.ins().splat(I16X8, lane)
    }
    /// Loads 32 bits into every lane.
    [4] V128Load32Splat => v128_load32_splat(b, at) -> I32X4 {
        let lane = b.ins().load(I32, at.flags, at.base, at.offset);
        b.ins().splat(I32X4, lane)
    }
    /// Loads 64 bits into every lane.
    [8] V128Load64Splat => v128_load64_splat(b, at) -> I64X2 {
        let lane = b.ins().load(I64, at.flags, at.base, at.offset);
        b.ins().splat(I64X2, lane)
    }

    /// Loads 32 bits into lane 0; the others are 0.
    [4] V128Load32Zero => v128_load32_zero(b, at) -> I32X4 {
        let lane = b.ins().load(I32, at.flags, at.base, at.offset);
        b.ins().scalar_to_vector(I32X4, lane)
    }
    /// Loads 64 bits into lane 0; the others are 0.
    [8] V128Load64Zero => v128_load64_zero(b, at) -> I64X2 {
        let lane = b.ins().load(I64, at.flags, at.base, at.offset);
        b.ins().scalar_to_vector(I64X2, lane)
    }

    /// `x` with 8 bits loaded as the lane numbered `lane`.
    [1] V128Load8Lane { lane: u8 } => v128_load8_lane(b, at, x: I8X16) -> I8X16 {
        let value = b.ins().load(I8, at.flags, at.base, at.offset);
        b.ins().insertlane(x, value, lane)
    }
    /// `x` with 16 bits loaded as the lane numbered `lane`.
    [2] V128Load16Lane { lane: u8 } => v128_load16_lane(b, at, x: I16X8) -> I16X8 {
        let value = b.ins().load(I16, at.flags, at.base, at.offset);
        b.ins().insertlane(x, value, lane)
    }
    /// `x` with 32 bits loaded as the lane numbered `lane`.
    [4] V128Load32Lane { lane: u8 } => v128_load32_lane(b, at, x: I32X4) -> I32X4 {
        let value = b.ins().load(I32, at.flags, at.base, at.offset);
        b.ins().insertlane(x, value, lane)
    }
    /// `x` with 64 bits loaded as the lane numbered `lane`.
    [8] V128Load64Lane { lane: u8 } => v128_load64_lane(b, at, x: I64X2) -> I64X2 {
        let value = b.ins().load(I64, at.flags, at.base, at.offset);
        b.ins().insertlane(x, value, lane)
    }
}

stores! {
    fn store;

    /// Stores 16 bytes.
    [16] V128Store => v128_store(b, at, x: I8X16) {
        b.ins().store(at.flags, x, at.base, at.offset);
    }

    /// Stores the 8 bits of the lane numbered `lane`.
    [1] V128Store8Lane { lane: u8 } => v128_store8_lane(b, at, x: I8X16) {
        let value = b.ins().extractlane(x, lane);
        b.ins().store(at.flags, value, at.base, at.offset);
    }
    /// Stores the 16 bits of the lane numbered `lane`.
    [2] V128Store16Lane { lane: u8 } => v128_store16_lane(b, at, x: I16X8) {
        let value = b.ins().extractlane(x, lane);
        b.ins().store(at.flags, value, at.base, at.offset);
    }
    /// Stores the 32 bits of the lane numbered `lane`.
    [4] V128Store32Lane { lane: u8 } => v128_store32_lane(b, at, x: I32X4) {
        let value = b.ins().extractlane(x, lane);
        b.ins().store(at.flags, value, at.base, at.offset);
    }
    /// Stores the 64 bits of the lane numbered `lane`.
    [8] V128Store64Lane { lane: u8 } => v128_store64_lane(b, at, x: I64X2) {
        let value = b.ins().extractlane(x, lane);
        b.ins().store(at.flags, value, at.base, at.offset);
    }
}
