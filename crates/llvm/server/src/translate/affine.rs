//! Integers as sums: a constant and multiples of other values, modulo 2^32, as addresses in loops are.

use cranelift_codegen::ir::{Function, InstructionData, Opcode, Value, ValueDef, types as clif};
use std::collections::BTreeMap;

/// An expression is followed through so many operations.
const DEPTH_MAX: u32 = 32;

/// `constant` and for each value `factor * value`, modulo 2^32.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Affine {
    pub constant: u32,
    /// The factors, none of them 0.
    pub terms: BTreeMap<Value, u32>,
}

impl Affine {
    pub fn constant(constant: u32) -> Affine {
        Affine {
            constant,
            terms: BTreeMap::new(),
        }
    }

    pub fn value(value: Value) -> Affine {
        Affine {
            constant: 0,
            terms: BTreeMap::from([(value, 1)]),
        }
    }

    /// This and `factor` times the other.
    pub fn plus(mut self, other: &Affine, factor: u32) -> Affine {
        self.constant = self
            .constant
            .wrapping_add(other.constant.wrapping_mul(factor));
        for (&value, more) in &other.terms {
            let sum = self.terms.entry(value).or_insert(0);
            *sum = sum.wrapping_add(more.wrapping_mul(factor));
        }
        self.terms.retain(|_, factor| *factor != 0);
        self
    }

    pub fn as_constant(&self) -> Option<u32> {
        self.terms.is_empty().then_some(self.constant)
    }
}

/// `value`, an `i32`, as a sum of such values that `is_term` accepts.
pub fn affine(func: &Function, value: Value, is_term: &impl Fn(Value) -> bool) -> Option<Affine> {
    follow(func, value, is_term, DEPTH_MAX)
}

fn follow(
    func: &Function,
    value: Value,
    is_term: &impl Fn(Value) -> bool,
    depth: u32,
) -> Option<Affine> {
    let value = func.dfg.resolve_aliases(value);
    if func.dfg.value_type(value) != clif::I32 {
        return None;
    }
    let data = match func.dfg.value_def(value) {
        ValueDef::Result(inst, 0) => Some(&func.dfg.insts[inst]),
        _ => None,
    };
    if let Some(InstructionData::UnaryImm {
        opcode: Opcode::Iconst,
        imm,
    }) = data
    {
        return Some(Affine::constant(imm.bits() as u32));
    }
    if is_term(value) {
        return Some(Affine::value(value));
    }
    let Some(&InstructionData::Binary {
        opcode,
        args: [x, y],
    }) = data
    else {
        return None;
    };
    let depth = depth.checked_sub(1)?;
    let operand = |value| follow(func, value, is_term, depth);
    let none = Affine::default();
    Some(match opcode {
        Opcode::Iadd => operand(x)?.plus(&operand(y)?, 1),
        Opcode::Isub => operand(x)?.plus(&operand(y)?, 1u32.wrapping_neg()),
        Opcode::Imul => {
            let (x, y) = (operand(x)?, operand(y)?);
            match (x.as_constant(), y.as_constant()) {
                (_, Some(factor)) => none.plus(&x, factor),
                (Some(factor), _) => none.plus(&y, factor),
                _ => return None,
            }
        }
        Opcode::Ishl => {
            let bits = constant(func, y)? as u32 % 32;
            none.plus(&operand(x)?, 1 << bits)
        }
        _ => return None,
    })
}

/// The integer that `value` always is.
pub fn constant(func: &Function, value: Value) -> Option<i64> {
    match func.dfg.value_def(func.dfg.resolve_aliases(value)) {
        ValueDef::Result(inst, 0) => match func.dfg.insts[inst] {
            InstructionData::UnaryImm {
                opcode: Opcode::Iconst,
                imm,
            } => Some(imm.bits()),
            _ => None,
        },
        _ => None,
    }
}
