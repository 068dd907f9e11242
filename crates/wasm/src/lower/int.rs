//! Integer operations on `i32` and `i64`: constants, arithmetic, bits, shifts, comparisons, sign
//! extension.
//!
//! CLIF's integer instructions agree with WebAssembly's: shifts and rotations take their amount
//! modulo the width, and counting the leading or trailing zeros of zero gives the width. Division
//! traps with CLIF's own codes, *division by zero* before *integer overflow*; only the quotient can
//! overflow (the least integer divided by -1), the remainder is 0.

use super::operation::{Operation, conditions, operations};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use wasmparser::Operator;

/// Looks an operator up in this module's tables.
pub(super) fn operation<'a>(operator: &'a Operator<'a>) -> Option<Operation<'a>> {
    arithmetic(operator).or_else(|| comparison(operator))
}

operations! {
    fn arithmetic;

    /// The constant `value`.
    I32Const { value: i32 } => i32_const(b) -> I32 {
        b.ins().iconst(I32, i64::from(value.cast_unsigned()))
    }
    /// The number of leading zero bits; the width for 0.
    I32Clz => i32_clz(b, x: I32) -> I32 { b.ins().clz(x) }
    /// The number of trailing zero bits; the width for 0.
    I32Ctz => i32_ctz(b, x: I32) -> I32 { b.ins().ctz(x) }
    /// The number of one bits.
    I32Popcnt => i32_popcnt(b, x: I32) -> I32 { b.ins().popcnt(x) }
    /// `x + y`, wrapping around.
    I32Add => i32_add(b, x: I32, y: I32) -> I32 { b.ins().iadd(x, y) }
    /// `x - y`, wrapping around.
    I32Sub => i32_sub(b, x: I32, y: I32) -> I32 { b.ins().isub(x, y) }
    /// `x * y`, wrapping around.
    I32Mul => i32_mul(b, x: I32, y: I32) -> I32 { b.ins().imul(x, y) }
    /// `x / y`, signed, rounded towards zero.
    ///
    /// Traps if `y` is zero, and if the quotient cannot be represented.
    I32DivS => i32_div_s(b, x: I32, y: I32) -> I32 { b.ins().sdiv(x, y) }
    /// `x / y`, unsigned. Traps if `y` is zero.
    I32DivU => i32_div_u(b, x: I32, y: I32) -> I32 { b.ins().udiv(x, y) }
    /// The remainder of `x / y`, signed, with the sign of `x`. Traps if `y` is zero.
    I32RemS => i32_rem_s(b, x: I32, y: I32) -> I32 { b.ins().srem(x, y) }
    /// The remainder of `x / y`, unsigned. Traps if `y` is zero.
    I32RemU => i32_rem_u(b, x: I32, y: I32) -> I32 { b.ins().urem(x, y) }
    /// Bitwise and.
    I32And => i32_and(b, x: I32, y: I32) -> I32 { b.ins().band(x, y) }
    /// Bitwise or.
    I32Or => i32_or(b, x: I32, y: I32) -> I32 { b.ins().bor(x, y) }
    /// Bitwise exclusive or.
    I32Xor => i32_xor(b, x: I32, y: I32) -> I32 { b.ins().bxor(x, y) }
    /// `x << y`, with `y` modulo the width.
    I32Shl => i32_shl(b, x: I32, y: I32) -> I32 { b.ins().ishl(x, y) }
    /// `x >> y`, arithmetic, with `y` modulo the width.
    I32ShrS => i32_shr_s(b, x: I32, y: I32) -> I32 { b.ins().sshr(x, y) }
    /// `x >> y`, logical, with `y` modulo the width.
    I32ShrU => i32_shr_u(b, x: I32, y: I32) -> I32 { b.ins().ushr(x, y) }
    /// `x` rotated left by `y` modulo the width.
    I32Rotl => i32_rotl(b, x: I32, y: I32) -> I32 { b.ins().rotl(x, y) }
    /// `x` rotated right by `y` modulo the width.
    I32Rotr => i32_rotr(b, x: I32, y: I32) -> I32 { b.ins().rotr(x, y) }
    /// The low 8 bits of `x`, sign-extended.
    I32Extend8S => i32_extend8_s(b, x: I32) -> I32 {
        let low = b.ins().ireduce(I8, x);
        b.ins().sextend(I32, low)
    }
    /// The low 16 bits of `x`, sign-extended.
    I32Extend16S => i32_extend16_s(b, x: I32) -> I32 {
        let low = b.ins().ireduce(I16, x);
        b.ins().sextend(I32, low)
    }

    /// The constant `value`.
    I64Const { value: i64 } => i64_const(b) -> I64 { b.ins().iconst(I64, value) }
    /// The number of leading zero bits; the width for 0.
    I64Clz => i64_clz(b, x: I64) -> I64 { b.ins().clz(x) }
    /// The number of trailing zero bits; the width for 0.
    I64Ctz => i64_ctz(b, x: I64) -> I64 { b.ins().ctz(x) }
    /// The number of one bits.
    I64Popcnt => i64_popcnt(b, x: I64) -> I64 { b.ins().popcnt(x) }
    /// `x + y`, wrapping around.
    I64Add => i64_add(b, x: I64, y: I64) -> I64 { b.ins().iadd(x, y) }
    /// `x - y`, wrapping around.
    I64Sub => i64_sub(b, x: I64, y: I64) -> I64 { b.ins().isub(x, y) }
    /// `x * y`, wrapping around.
    I64Mul => i64_mul(b, x: I64, y: I64) -> I64 { b.ins().imul(x, y) }
    /// `x / y`, signed, rounded towards zero.
    ///
    /// Traps if `y` is zero, and if the quotient cannot be represented.
    I64DivS => i64_div_s(b, x: I64, y: I64) -> I64 { b.ins().sdiv(x, y) }
    /// `x / y`, unsigned. Traps if `y` is zero.
    I64DivU => i64_div_u(b, x: I64, y: I64) -> I64 { b.ins().udiv(x, y) }
    /// The remainder of `x / y`, signed, with the sign of `x`. Traps if `y` is zero.
    I64RemS => i64_rem_s(b, x: I64, y: I64) -> I64 { b.ins().srem(x, y) }
    /// The remainder of `x / y`, unsigned. Traps if `y` is zero.
    I64RemU => i64_rem_u(b, x: I64, y: I64) -> I64 { b.ins().urem(x, y) }
    /// Bitwise and.
    I64And => i64_and(b, x: I64, y: I64) -> I64 { b.ins().band(x, y) }
    /// Bitwise or.
    I64Or => i64_or(b, x: I64, y: I64) -> I64 { b.ins().bor(x, y) }
    /// Bitwise exclusive or.
    I64Xor => i64_xor(b, x: I64, y: I64) -> I64 { b.ins().bxor(x, y) }
    /// `x << y`, with `y` modulo the width.
    I64Shl => i64_shl(b, x: I64, y: I64) -> I64 { b.ins().ishl(x, y) }
    /// `x >> y`, arithmetic, with `y` modulo the width.
    I64ShrS => i64_shr_s(b, x: I64, y: I64) -> I64 { b.ins().sshr(x, y) }
    /// `x >> y`, logical, with `y` modulo the width.
    I64ShrU => i64_shr_u(b, x: I64, y: I64) -> I64 { b.ins().ushr(x, y) }
    /// `x` rotated left by `y` modulo the width.
    I64Rotl => i64_rotl(b, x: I64, y: I64) -> I64 { b.ins().rotl(x, y) }
    /// `x` rotated right by `y` modulo the width.
    I64Rotr => i64_rotr(b, x: I64, y: I64) -> I64 { b.ins().rotr(x, y) }
    /// The low 8 bits of `x`, sign-extended.
    I64Extend8S => i64_extend8_s(b, x: I64) -> I64 {
        let low = b.ins().ireduce(I8, x);
        b.ins().sextend(I64, low)
    }
    /// The low 16 bits of `x`, sign-extended.
    I64Extend16S => i64_extend16_s(b, x: I64) -> I64 {
        let low = b.ins().ireduce(I16, x);
        b.ins().sextend(I64, low)
    }
    /// The low 32 bits of `x`, sign-extended.
    I64Extend32S => i64_extend32_s(b, x: I64) -> I64 {
        let low = b.ins().ireduce(I32, x);
        b.ins().sextend(I64, low)
    }
}

conditions! {
    fn comparison;

    /// Whether `x` is zero.
    I32Eqz => i32_eqz, i32_eqz_cond(b, x: I32) { b.ins().icmp_imm_u(IntCC::Equal, x, 0) }
    /// Whether `x == y`.
    I32Eq => i32_eq, i32_eq_cond(b, x: I32, y: I32) { b.ins().icmp(IntCC::Equal, x, y) }
    /// Whether `x != y`.
    I32Ne => i32_ne, i32_ne_cond(b, x: I32, y: I32) { b.ins().icmp(IntCC::NotEqual, x, y) }
    /// Whether `x < y`, signed.
    I32LtS => i32_lt_s, i32_lt_s_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::SignedLessThan, x, y)
    }
    /// Whether `x < y`, unsigned.
    I32LtU => i32_lt_u, i32_lt_u_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::UnsignedLessThan, x, y)
    }
    /// Whether `x > y`, signed.
    I32GtS => i32_gt_s, i32_gt_s_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::SignedGreaterThan, x, y)
    }
    /// Whether `x > y`, unsigned.
    I32GtU => i32_gt_u, i32_gt_u_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::UnsignedGreaterThan, x, y)
    }
    /// Whether `x <= y`, signed.
    I32LeS => i32_le_s, i32_le_s_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::SignedLessThanOrEqual, x, y)
    }
    /// Whether `x <= y`, unsigned.
    I32LeU => i32_le_u, i32_le_u_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::UnsignedLessThanOrEqual, x, y)
    }
    /// Whether `x >= y`, signed.
    I32GeS => i32_ge_s, i32_ge_s_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, y)
    }
    /// Whether `x >= y`, unsigned.
    I32GeU => i32_ge_u, i32_ge_u_cond(b, x: I32, y: I32) {
        b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, x, y)
    }

    /// Whether `x` is zero.
    I64Eqz => i64_eqz, i64_eqz_cond(b, x: I64) { b.ins().icmp_imm_u(IntCC::Equal, x, 0) }
    /// Whether `x == y`.
    I64Eq => i64_eq, i64_eq_cond(b, x: I64, y: I64) { b.ins().icmp(IntCC::Equal, x, y) }
    /// Whether `x != y`.
    I64Ne => i64_ne, i64_ne_cond(b, x: I64, y: I64) { b.ins().icmp(IntCC::NotEqual, x, y) }
    /// Whether `x < y`, signed.
    I64LtS => i64_lt_s, i64_lt_s_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::SignedLessThan, x, y)
    }
    /// Whether `x < y`, unsigned.
    I64LtU => i64_lt_u, i64_lt_u_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::UnsignedLessThan, x, y)
    }
    /// Whether `x > y`, signed.
    I64GtS => i64_gt_s, i64_gt_s_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::SignedGreaterThan, x, y)
    }
    /// Whether `x > y`, unsigned.
    I64GtU => i64_gt_u, i64_gt_u_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::UnsignedGreaterThan, x, y)
    }
    /// Whether `x <= y`, signed.
    I64LeS => i64_le_s, i64_le_s_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::SignedLessThanOrEqual, x, y)
    }
    /// Whether `x <= y`, unsigned.
    I64LeU => i64_le_u, i64_le_u_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::UnsignedLessThanOrEqual, x, y)
    }
    /// Whether `x >= y`, signed.
    I64GeS => i64_ge_s, i64_ge_s_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, y)
    }
    /// Whether `x >= y`, unsigned.
    I64GeU => i64_ge_u, i64_ge_u_cond(b, x: I64, y: I64) {
        b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, x, y)
    }
}
