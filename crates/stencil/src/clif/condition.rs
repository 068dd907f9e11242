//! Comparisons, and the branches, selects and traps that look at their flags.
//!
//! A comparison whose one use is the next instruction, and that only asks whether it holds, is put off until then.

use super::state::{Driver, bailout, is_narrow};
use super::values::Place;
use crate::arch::x64::{Condition, Reg};
use crate::assembler::{Assembler, Loc};
use crate::operate::{code, short};
use crate::value::{IntTest, Ty};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Inst, InstructionData, Opcode, Value, types};
use upshift_codegen::CompileError;

/// A comparison whose operands are where an instruction can have them. No register is changed until it is made.
#[derive(Clone, Copy)]
pub(super) enum Test {
    Int(IntTest, bool, Reg, Operand),
    Float(FloatCC, bool, Reg, Reg),
}

#[derive(Clone, Copy)]
pub(super) enum Operand {
    Reg(Reg),
    Constant(i32),
}

pub(super) fn int_test(cc: IntCC) -> IntTest {
    match cc {
        IntCC::Equal => IntTest::Eq,
        IntCC::NotEqual => IntTest::Ne,
        IntCC::SignedLessThan => IntTest::LtS,
        IntCC::SignedGreaterThanOrEqual => IntTest::GeS,
        IntCC::SignedGreaterThan => IntTest::GtS,
        IntCC::SignedLessThanOrEqual => IntTest::LeS,
        IntCC::UnsignedLessThan => IntTest::LtU,
        IntCC::UnsignedGreaterThanOrEqual => IntTest::GeU,
        IntCC::UnsignedGreaterThan => IntTest::GtU,
        IntCC::UnsignedLessThanOrEqual => IntTest::LeU,
    }
}

fn is_signed(cc: IntCC) -> bool {
    cc.unsigned() != cc
}

/// `icmp` and `fcmp` of single values.
pub(super) fn compare(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let result = d.result(inst);
    if d.values.uses[d.index(result)] == 1 && is_asked_next(d, inst, result) {
        let index = d.index(result);
        d.values.places[index] = Place::Pending(inst);
        return Ok(());
    }
    let test = operands(d, inst)?;
    let condition = d.asm.make_test(test);
    d.asm.push_condition(condition);
    d.define(result, true);
    Ok(())
}

/// Whether the next instruction asks whether `result` holds.
fn is_asked_next(d: &Driver<'_>, inst: Inst, result: Value) -> bool {
    let next = d.body.layout.next_inst(inst);
    next.is_some_and(|next| {
        let opcode = d.body.dfg.insts[next].opcode();
        let asks = matches!(
            opcode,
            Opcode::Brif
                | Opcode::Select
                | Opcode::SelectSpectreGuard
                | Opcode::Trapz
                | Opcode::Trapnz
        );
        asks && d.args(next).first().map(|&arg| d.index(arg)) == Some(d.index(result))
    })
}

/// Takes the operands of a comparison.
fn operands(d: &mut Driver<'_>, inst: Inst) -> Result<Test, CompileError> {
    let &[left, right] = d.args(inst) else {
        return Err(bailout("a comparison of something else than two values"));
    };
    match d.body.dfg.insts[inst] {
        InstructionData::IntCompare { cond, .. } => {
            for value in [left, right] {
                match is_signed(cond) {
                    true => d.push_signed(value)?,
                    false => d.push_unsigned(value)?,
                }
            }
            let wide = d.ty(left) == types::I64;
            d.consume_all(&[left, right]);
            Ok(d.asm.int_operands(int_test(cond), wide))
        }
        InstructionData::FloatCompare { cond, .. } => {
            d.push(left)?;
            d.push(right)?;
            let double = d.ty(left) == types::F64;
            d.consume_all(&[left, right]);
            let (right, left) = (d.asm.pop(), d.asm.pop());
            let (left, right) = (d.asm.in_register(left), d.asm.in_register(right));
            Ok(Test::Float(cond, double, left, right))
        }
        _ => Err(bailout("a comparison of another kind")),
    }
}

/// Takes the operands of whatever says whether `value` holds.
pub(super) fn test(d: &mut Driver<'_>, value: Value) -> Result<Test, CompileError> {
    let index = d.index(value);
    if let Place::Pending(inst) = d.values.places[index] {
        d.values.uses[index] -= 1;
        return operands(d, inst);
    }
    d.push_unsigned(value)?;
    d.asm.push_constant(Ty::I32, 0);
    let wide = d.ty(value) == types::I64;
    d.consume(value);
    Ok(d.asm.int_operands(IntTest::Ne, wide))
}

/// `select`.
pub(super) fn select(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let &[condition, value, other] = d.args(inst) else {
        return Err(bailout("a select of something else than three values"));
    };
    d.push(value)?;
    d.push(other)?;
    let test = test(d, condition)?;
    d.consume_all(&[value, other]);
    let condition = d.asm.make_test(test);
    d.asm.select(condition);
    let clean = is_narrow(d.ty(value)) && d.is_clean(value) && d.is_clean(other);
    d.define(d.result(inst), clean);
    Ok(())
}

impl Driver<'_> {
    /// Whether the bits of a value above its type's width are zero.
    fn is_clean(&self, value: Value) -> bool {
        match self.place(value) {
            Place::Local(local) => local.clean,
            place => matches!(place, Place::Known(..)),
        }
    }
}

impl Assembler {
    /// Pops the operands of a comparison of integers.
    fn int_operands(&mut self, test: IntTest, wide: bool) -> Test {
        let (mut test, mut right, mut left) = (test, self.pop(), self.pop());
        if matches!(left.loc(), Loc::Const(_)) {
            std::mem::swap(&mut left, &mut right);
            test = test.swapped();
        }
        let first = self.in_register(left);
        let second = match short(right) {
            Some(value) => Operand::Constant(value),
            None => Operand::Reg(self.in_register(right)),
        };
        Test::Int(test, wide, first, second)
    }

    /// Makes a comparison.
    pub(super) fn make_test(&mut self, test: Test) -> Condition {
        match test {
            Test::Int(test, wide, first, second) => {
                match second {
                    Operand::Constant(value) => self.code.compare_constant(wide, first, value),
                    Operand::Reg(second) => self.code.compare(wide, first, second),
                }
                Condition::Code(code(test))
            }
            Test::Float(cond, double, left, right) => {
                self.compare_floats(cond, double, left, right)
            }
        }
    }

    fn compare_floats(&mut self, cond: FloatCC, double: bool, left: Reg, right: Reg) -> Condition {
        const PARITY: Condition = Condition::Code(0xa);
        let (swapped, condition) = match cond {
            FloatCC::Equal => (false, Condition::FloatEqual),
            FloatCC::NotEqual => (false, Condition::FloatNotEqual),
            FloatCC::GreaterThan => (false, Condition::ABOVE),
            FloatCC::GreaterThanOrEqual => (false, Condition::NOT_BELOW),
            FloatCC::LessThan => (true, Condition::ABOVE),
            FloatCC::LessThanOrEqual => (true, Condition::NOT_BELOW),
            FloatCC::Unordered => (false, PARITY),
            FloatCC::Ordered => (false, PARITY.inverted()),
            FloatCC::UnorderedOrEqual => (false, Condition::EQUAL),
            FloatCC::OrderedNotEqual => (false, Condition::NOT_EQUAL),
            FloatCC::UnorderedOrLessThan => (false, Condition::BELOW),
            FloatCC::UnorderedOrLessThanOrEqual => (false, Condition::ABOVE.inverted()),
            FloatCC::UnorderedOrGreaterThan => (true, Condition::BELOW),
            FloatCC::UnorderedOrGreaterThanOrEqual => (true, Condition::ABOVE.inverted()),
        };
        let (first, second) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        self.code.compare_floats(double, first, second);
        condition
    }
}
