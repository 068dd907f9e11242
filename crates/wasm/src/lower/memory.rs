//! Loads and stores of scalars, whole or packed.

use super::access::{Access, loads, stores};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::{F32, F64, I32, I64};
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(super) fn access<'a>(operator: &'a Operator<'a>) -> Option<Access<'a>> {
    load(operator).or_else(|| store(operator))
}

loads! {
    fn load;

    /// Loads 4 bytes.
    [4] I32Load => i32_load(b, at) -> I32 { b.ins().load(I32, at.flags, at.base, at.offset) }
    /// Loads 8 bytes.
    [8] I64Load => i64_load(b, at) -> I64 { b.ins().load(I64, at.flags, at.base, at.offset) }
    /// Loads 4 bytes.
    [4] F32Load => f32_load(b, at) -> F32 { b.ins().load(F32, at.flags, at.base, at.offset) }
    /// Loads 8 bytes.
    [8] F64Load => f64_load(b, at) -> F64 { b.ins().load(F64, at.flags, at.base, at.offset) }

    /// Loads 1 byte and sign-extends it.
    [1] I32Load8S => i32_load8_s(b, at) -> I32 {
        b.ins().sload8(I32, at.flags, at.base, at.offset)
    }
    /// Loads 1 byte and zero-extends it.
    [1] I32Load8U => i32_load8_u(b, at) -> I32 {
        b.ins().uload8(I32, at.flags, at.base, at.offset)
    }
    /// Loads 2 bytes and sign-extends them.
    [2] I32Load16S => i32_load16_s(b, at) -> I32 {
        b.ins().sload16(I32, at.flags, at.base, at.offset)
    }
    /// Loads 2 bytes and zero-extends them.
    [2] I32Load16U => i32_load16_u(b, at) -> I32 {
        b.ins().uload16(I32, at.flags, at.base, at.offset)
    }

    /// Loads 1 byte and sign-extends it.
    [1] I64Load8S => i64_load8_s(b, at) -> I64 {
        b.ins().sload8(I64, at.flags, at.base, at.offset)
    }
    /// Loads 1 byte and zero-extends it.
    [1] I64Load8U => i64_load8_u(b, at) -> I64 {
        b.ins().uload8(I64, at.flags, at.base, at.offset)
    }
    /// Loads 2 bytes and sign-extends them.
    [2] I64Load16S => i64_load16_s(b, at) -> I64 {
        b.ins().sload16(I64, at.flags, at.base, at.offset)
    }
    /// Loads 2 bytes and zero-extends them.
    [2] I64Load16U => i64_load16_u(b, at) -> I64 {
        b.ins().uload16(I64, at.flags, at.base, at.offset)
    }
    /// Loads 4 bytes and sign-extends them.
    [4] I64Load32S => i64_load32_s(b, at) -> I64 {
        b.ins().sload32(at.flags, at.base, at.offset)
    }
    /// Loads 4 bytes and zero-extends them.
    [4] I64Load32U => i64_load32_u(b, at) -> I64 {
        b.ins().uload32(at.flags, at.base, at.offset)
    }
}

stores! {
    fn store;

    /// Stores 4 bytes.
    [4] I32Store => i32_store(b, at, value: I32) {
        b.ins().store(at.flags, value, at.base, at.offset);
    }
    /// Stores 8 bytes.
    [8] I64Store => i64_store(b, at, value: I64) {
        b.ins().store(at.flags, value, at.base, at.offset);
    }
    /// Stores 4 bytes.
    [4] F32Store => f32_store(b, at, value: F32) {
        b.ins().store(at.flags, value, at.base, at.offset);
    }
    /// Stores 8 bytes.
    [8] F64Store => f64_store(b, at, value: F64) {
        b.ins().store(at.flags, value, at.base, at.offset);
    }

    /// Stores the low byte of `value`.
    [1] I32Store8 => i32_store8(b, at, value: I32) {
        b.ins().istore8(at.flags, value, at.base, at.offset);
    }
    /// Stores the low 2 bytes of `value`.
    [2] I32Store16 => i32_store16(b, at, value: I32) {
        b.ins().istore16(at.flags, value, at.base, at.offset);
    }

    /// Stores the low byte of `value`.
    [1] I64Store8 => i64_store8(b, at, value: I64) {
        b.ins().istore8(at.flags, value, at.base, at.offset);
    }
    /// Stores the low 2 bytes of `value`.
    [2] I64Store16 => i64_store16(b, at, value: I64) {
        b.ins().istore16(at.flags, value, at.base, at.offset);
    }
    /// Stores the low 4 bytes of `value`.
    [4] I64Store32 => i64_store32(b, at, value: I64) {
        b.ins().istore32(at.flags, value, at.base, at.offset);
    }
}
