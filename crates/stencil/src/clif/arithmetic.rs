//! Arithmetic and conversions that the assembler encodes directly.

use super::state::{Driver, bailout, is_narrow, kept_as, kind};
use super::stencils;
use crate::arch::x64::Condition;
use crate::assembler::Assembler;
use crate::value::{FloatOp, IntOp, IntTest, ShiftOp, Ty};
use cranelift_codegen::ir::{Inst, Opcode, TrapCode, Value, types};
use upshift_codegen::CompileError;

/// The condition that the last operation overflowed, as signed numbers.
const OVERFLOW: Condition = Condition::Code(0x0);

/// The two operands, or the one operand twice.
pub(super) fn pair(d: &Driver<'_>, inst: Inst) -> Result<[Value; 2], CompileError> {
    match *d.args(inst) {
        [left, right] => Ok([left, right]),
        _ => Err(bailout("an operation of something else than two values")),
    }
}

pub(super) fn single(d: &Driver<'_>, inst: Inst) -> Result<Value, CompileError> {
    match *d.args(inst) {
        [value] => Ok(value),
        _ => Err(bailout("an operation of something else than one value")),
    }
}

/// An operation whose low bits depend on nothing but the operands' low bits.
pub(super) fn int_binary(d: &mut Driver<'_>, inst: Inst, op: IntOp) -> Result<(), CompileError> {
    let args = pair(d, inst)?;
    d.push(args[0])?;
    d.push(args[1])?;
    let wide = d.ty(args[0]) == types::I64;
    d.consume_all(&args);
    d.asm.int_binary(op, wide);
    d.define(d.result(inst), false);
    Ok(())
}

/// `ineg` and `bnot`: `constant op value`.
pub(super) fn int_unary(
    d: &mut Driver<'_>,
    inst: Inst,
    (op, constant): (IntOp, u64),
) -> Result<(), CompileError> {
    let arg = single(d, inst)?;
    let wide = d.ty(arg) == types::I64;
    let (ty, mask) = if wide {
        (Ty::I64, u64::MAX)
    } else {
        (Ty::I32, u64::from(u32::MAX))
    };
    d.asm.push_constant(ty, constant & mask);
    d.push(arg)?;
    d.consume(arg);
    d.asm.int_binary(op, wide);
    d.define(d.result(inst), false);
    Ok(())
}

/// A shift; of fewer than 32 bits, not a rotation. The amount counts modulo the width, whatever its own type.
pub(super) fn shift(d: &mut Driver<'_>, inst: Inst, op: ShiftOp) -> Result<(), CompileError> {
    let [value, amount] = pair(d, inst)?;
    let ty = d.ty(value);
    match op {
        ShiftOp::ShrU => d.push_unsigned(value)?,
        ShiftOp::ShrS => d.push_signed(value)?,
        _ => d.push(value)?,
    }
    let mask = u64::from(ty.bits() - 1);
    match d.known(amount) {
        Some(known) => d.asm.push_constant(Ty::I32, known & mask),
        None => {
            d.push(amount)?;
            if is_narrow(ty) {
                d.asm.push_constant(Ty::I32, mask);
                d.asm.int_binary(IntOp::And, false);
            }
        }
    }
    d.consume_all(&[value, amount]);
    d.asm.shift(op, ty == types::I64);
    d.define(d.result(inst), false);
    Ok(())
}

/// `uadd_overflow_trap`.
pub(super) fn add_or_trap(
    d: &mut Driver<'_>,
    inst: Inst,
    code: TrapCode,
) -> Result<(), CompileError> {
    let args = pair(d, inst)?;
    let ty = d.ty(args[0]);
    if is_narrow(ty) {
        return Err(bailout(format!("uadd_overflow_trap.{ty}")));
    }
    d.push(args[0])?;
    d.push(args[1])?;
    d.consume_all(&args);
    d.asm.int_binary_with_flags(IntOp::Add, ty == types::I64);
    let trap = d.asm.trap_label(kind(code));
    d.asm.code.jump_if(Condition::BELOW, trap);
    d.define(d.result(inst), false);
    Ok(())
}

/// An operation that also says whether it overflowed.
pub(super) fn overflow(d: &mut Driver<'_>, inst: Inst, opcode: Opcode) -> Result<(), CompileError> {
    let (op, condition) = match opcode {
        Opcode::UaddOverflow => (IntOp::Add, Condition::BELOW),
        Opcode::SaddOverflow => (IntOp::Add, OVERFLOW),
        Opcode::UsubOverflow => (IntOp::Sub, Condition::BELOW),
        Opcode::SsubOverflow => (IntOp::Sub, OVERFLOW),
        _ => (IntOp::Mul, OVERFLOW),
    };
    let args = pair(d, inst)?;
    let ty = d.ty(args[0]);
    let condition = match (opcode, ty) {
        (Opcode::UmulOverflow, types::I64) => multiply_with_high_half(d, args)?,
        _ if is_narrow(ty) || opcode == Opcode::UmulOverflow => {
            let is_signed = condition == OVERFLOW && opcode != Opcode::UmulOverflow;
            compute_wider(d, args, op, is_signed)?
        }
        _ => {
            d.push(args[0])?;
            d.push(args[1])?;
            d.consume_all(&args);
            d.asm.int_binary_with_flags(op, ty == types::I64);
            condition
        }
    };
    let reg = d.asm.allocate(false);
    d.asm.code.set_if(condition, reg);
    d.asm.push_register(Ty::I32, reg);
    let (overflowed, result) = (d.asm.pop(), d.asm.pop());
    let results = d.body.dfg.inst_results(inst);
    d.define_as(results[0], result, false);
    d.define_as(results[1], overflowed, true);
    Ok(())
}

/// Pushes the result of an operation on more bits than its type has, so that it is exact. The condition says whether
/// it is another number of that type.
fn compute_wider(
    d: &mut Driver<'_>,
    args: [Value; 2],
    op: IntOp,
    is_signed: bool,
) -> Result<Condition, CompileError> {
    let bits = d.ty(args[0]).bits() as u8;
    let wide = bits == 32;
    for arg in args {
        match is_signed {
            true => d.push_signed(arg)?,
            false => d.push_unsigned(arg)?,
        }
        if wide {
            d.asm.zero_extend();
        }
    }
    d.consume_all(&args);
    d.asm.int_binary(op, wide);
    let exact = d.asm.pop();
    // Twice, so that its register is not changed.
    d.asm.push_again(exact);
    d.asm.push_again(exact);
    match (is_signed, wide) {
        (true, _) => d.asm.sign_extend(bits, wide),
        (false, true) => d.asm.wrap(),
        (false, false) => d.asm.narrow(bits),
    }
    let (result, exact) = (d.asm.pop(), d.asm.pop());
    for val in [result, exact, result] {
        d.asm.push_again(val);
    }
    if wide {
        d.asm.zero_extend();
    }
    Ok(d.asm.int_compare(IntTest::Ne, wide, false))
}

/// Pushes the low half of a product of 64 bits. The condition says whether the high half is not 0.
fn multiply_with_high_half(
    d: &mut Driver<'_>,
    args: [Value; 2],
) -> Result<Condition, CompileError> {
    let [left, right] = args;
    for arg in [left, right, left, right] {
        d.push(arg)?;
    }
    d.consume_all(&args);
    stencils::copy(d, Opcode::Umulhi, types::I64, types::I64)?;
    let high = d.asm.pop();
    d.asm.int_binary(IntOp::Mul, true);
    d.asm.push_again(high);
    Ok(d.asm.int_test(true, false))
}

/// A float operation of two operands.
pub(super) fn float_binary(
    d: &mut Driver<'_>,
    inst: Inst,
    op: FloatOp,
) -> Result<(), CompileError> {
    let args = pair(d, inst)?;
    d.push(args[0])?;
    d.push(args[1])?;
    let double = d.ty(args[0]) == types::F64;
    d.consume_all(&args);
    d.asm.float_binary(op, double);
    d.define(d.result(inst), false);
    Ok(())
}

/// The square root.
pub(super) fn float_sqrt(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let arg = single(d, inst)?;
    d.push(arg)?;
    let double = d.ty(arg) == types::F64;
    d.consume(arg);
    d.asm.float_sqrt(double);
    d.define(d.result(inst), false);
    Ok(())
}

/// `uextend`.
pub(super) fn zero_extend(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let (arg, result) = (single(d, inst)?, d.result(inst));
    if let Some(bits) = d.known(arg) {
        d.consume(arg);
        return d.define_known(result, bits);
    }
    d.push_unsigned(arg)?;
    d.consume(arg);
    if kept_as(d.ty(result))? == Ty::I64 {
        d.asm.zero_extend();
    }
    d.define(result, is_narrow(d.ty(result)));
    Ok(())
}

/// `sextend`.
pub(super) fn sign_extend(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let (arg, result) = (single(d, inst)?, d.result(inst));
    let (from, to) = (d.ty(arg), d.ty(result));
    if let Some(bits) = d.known(arg) {
        let shift = 64 - from.bits();
        d.consume(arg);
        return d.define_known(result, (((bits << shift) as i64) >> shift).cast_unsigned());
    }
    let wide = kept_as(to)? == Ty::I64;
    d.push(arg)?;
    d.consume(arg);
    d.asm.sign_extend(from.bits() as u8, wide);
    d.define(result, false);
    Ok(())
}

/// `ireduce`.
pub(super) fn reduce(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let (arg, result) = (single(d, inst)?, d.result(inst));
    if let Some(bits) = d.known(arg) {
        d.consume(arg);
        return d.define_known(result, bits);
    }
    d.push(arg)?;
    d.consume(arg);
    if d.ty(arg) == types::I64 {
        d.asm.wrap();
    }
    d.define(result, false);
    Ok(())
}

/// `bitcast`.
pub(super) fn bitcast(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let (arg, result) = (single(d, inst)?, d.result(inst));
    let (from, to) = (kept_as(d.ty(arg))?, kept_as(d.ty(result))?);
    if d.ty(arg).bits() != d.ty(result).bits() {
        return Err(bailout("a bitcast between sizes"));
    }
    d.push(arg)?;
    d.consume(arg);
    if from.is_vector() == to.is_vector() {
        let val = d.asm.pop();
        d.asm.push_as(to, val);
    } else if from == Ty::V128 || to == Ty::V128 {
        return Err(bailout("a bitcast between vectors and integers"));
    } else {
        d.asm.reinterpret(to);
    }
    d.define(result, false);
    Ok(())
}

impl Assembler {
    /// `left op right`, made by an instruction that sets the flags.
    fn int_binary_with_flags(&mut self, op: IntOp, wide: bool) {
        let (right, left) = (self.pop(), self.pop());
        let from = self.in_register(right);
        let to = self.own(left);
        self.code.int_op(op, wide, to, from);
        let ty = if wide { Ty::I64 } else { Ty::I32 };
        self.push_register(ty, to);
    }
}
