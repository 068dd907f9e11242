//! Constant expressions: what a global, a segment's offset or an element is initialized with.
//!
//! Nearly all of them are one instruction long, so that is what is easy to tell; the others are evaluated on a stack.

use super::fault::unsupported;
use crate::error::Error;
use wasmparser::Operator;

/// One instruction of a constant expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstOp {
    /// A number, a vector or the null reference, as its bits.
    Value(u128),
    /// The value of a global.
    GlobalGet(u32),
    /// A reference to a function.
    RefFunc(u32),
    /// `i32.add`, and so on.
    I32Add,
    /// `i32.sub`.
    I32Sub,
    /// `i32.mul`.
    I32Mul,
    /// `i64.add`.
    I64Add,
    /// `i64.sub`.
    I64Sub,
    /// `i64.mul`.
    I64Mul,
}

/// A constant expression of a valid module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConstExpr {
    /// A single instruction.
    Op(ConstOp),
    /// Several, for a stack machine.
    Ops(Box<[ConstOp]>),
}

impl ConstExpr {
    /// Reads a constant expression.
    pub(super) fn read(expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr, Error> {
        let mut reader = expr.get_operators_reader();
        let mut ops = Vec::new();
        loop {
            let offset = reader.original_position();
            let op = match reader.read()? {
                Operator::End => break,
                Operator::I32Const { value } => ConstOp::Value(value.cast_unsigned().into()),
                Operator::I64Const { value } => ConstOp::Value(value.cast_unsigned().into()),
                Operator::F32Const { value } => ConstOp::Value(value.bits().into()),
                Operator::F64Const { value } => ConstOp::Value(value.bits().into()),
                Operator::V128Const { value } => {
                    ConstOp::Value(u128::from_le_bytes(*value.bytes()))
                }
                Operator::RefNull { .. } => ConstOp::Value(0),
                Operator::RefFunc { function_index } => ConstOp::RefFunc(function_index),
                Operator::GlobalGet { global_index } => ConstOp::GlobalGet(global_index),
                Operator::I32Add => ConstOp::I32Add,
                Operator::I32Sub => ConstOp::I32Sub,
                Operator::I32Mul => ConstOp::I32Mul,
                Operator::I64Add => ConstOp::I64Add,
                Operator::I64Sub => ConstOp::I64Sub,
                Operator::I64Mul => ConstOp::I64Mul,
                _ => return Err(unsupported("constant expression", offset)),
            };
            ops.push(op);
        }
        Ok(match ops[..] {
            [op] => ConstExpr::Op(op),
            _ => ConstExpr::Ops(ops.into()),
        })
    }

    /// The instructions.
    pub fn ops(&self) -> &[ConstOp] {
        match self {
            ConstExpr::Op(op) => std::slice::from_ref(op),
            ConstExpr::Ops(ops) => ops,
        }
    }

    /// The value's bits, if it is the same in every instance.
    pub fn constant(&self) -> Option<u128> {
        match self {
            ConstExpr::Op(ConstOp::Value(bits)) => Some(*bits),
            _ => None,
        }
    }

    /// The value's bits: integers, floats and references in the low ones.
    ///
    /// `global` gives the bits of a global, `function` the address of a function's
    /// [`VMFuncRef`](crate::vmctx::VMFuncRef).
    pub fn evaluate(&self, global: impl Fn(u32) -> u128, function: impl Fn(u32) -> u64) -> u128 {
        let mut stack = Vec::new();
        let leaf = |op: ConstOp| match op {
            ConstOp::Value(bits) => Some(bits),
            ConstOp::GlobalGet(index) => Some(global(index)),
            ConstOp::RefFunc(index) => Some(function(index).into()),
            _ => None,
        };
        for &op in self.ops() {
            match leaf(op) {
                Some(bits) => stack.push(bits),
                None => {
                    // A valid expression has two operands here, and is not reached otherwise.
                    let (right, left) = (stack.pop().unwrap_or(0), stack.pop().unwrap_or(0));
                    stack.push(arithmetic(op, left, right));
                }
            }
        }
        stack.pop().unwrap_or(0)
    }
}

/// The result of an instruction with two operands.
fn arithmetic(op: ConstOp, left: u128, right: u128) -> u128 {
    let narrow = (left as u32, right as u32);
    let wide = (left as u64, right as u64);
    match op {
        ConstOp::I32Add => narrow.0.wrapping_add(narrow.1).into(),
        ConstOp::I32Sub => narrow.0.wrapping_sub(narrow.1).into(),
        ConstOp::I32Mul => narrow.0.wrapping_mul(narrow.1).into(),
        ConstOp::I64Add => wide.0.wrapping_add(wide.1).into(),
        ConstOp::I64Sub => wide.0.wrapping_sub(wide.1).into(),
        ConstOp::I64Mul => wide.0.wrapping_mul(wide.1).into(),
        ConstOp::Value(_) | ConstOp::GlobalGet(_) | ConstOp::RefFunc(_) => left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated_with_the_widths_of_their_types() {
        let expr = ConstExpr::Ops(Box::new([
            ConstOp::GlobalGet(3),
            ConstOp::Value(u32::MAX.into()),
            ConstOp::I32Add,
            ConstOp::Value(5),
            ConstOp::I32Mul,
        ]));
        let value = expr.evaluate(|index| u128::from(index) | 7 << 32, |_| 0);
        assert_eq!(value, 10);
        let null_minus_one = ConstExpr::Ops(Box::new([
            ConstOp::Value(0),
            ConstOp::Value(1),
            ConstOp::I64Sub,
        ]));
        assert_eq!(null_minus_one.evaluate(|_| 0, |_| 0), u64::MAX.into());
        assert_eq!(
            ConstExpr::Op(ConstOp::RefFunc(4)).evaluate(|_| 0, |index| index.into()),
            4
        );
    }
}
