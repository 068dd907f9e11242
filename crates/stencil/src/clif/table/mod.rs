//! The stencils of CLIF operations, made in advance by `cargo xtask stencils` and committed: each is the instruction
//! itself, compiled by Cranelift in a function of its own. Nothing but numbers, so that nothing is to be relocated when
//! a program starts.

mod generated;
mod row;

use crate::arch::x64::level;
use crate::stencil::Stencil;
use cranelift_codegen::ir::{InstructionData, Opcode, Type, types};
use generated::x64::{CODE, HOLES, ROWS, TRAPS};
use std::sync::OnceLock;

pub use row::OPERANDS_MAX;

/// The types that operations have stencils for.
const TYPES: [Type; 12] = [
    types::I8,
    types::I16,
    types::I32,
    types::I64,
    types::F32,
    types::F64,
    types::I8X16,
    types::I16X8,
    types::I32X4,
    types::I64X2,
    types::F32X4,
    types::F64X2,
];

/// The number of an operation, by its opcode, what is chosen by numbers in the instruction, and the types of its first
/// operand and its result; `None` if it has no stencil for sure.
pub fn operation_key(data: &InstructionData, operand: Type, result: Type) -> Option<u32> {
    let choice = match *data {
        InstructionData::Unary { .. }
        | InstructionData::Binary { .. }
        | InstructionData::Ternary { .. }
        | InstructionData::AtomicCas { .. }
        // What is chosen fills holes.
        | InstructionData::Shuffle { .. } => 0,
        InstructionData::BinaryImm8 { imm, .. } | InstructionData::TernaryImm8 { imm, .. } => imm,
        InstructionData::AtomicRmw { op, .. } => op as u8,
        InstructionData::IntCompare { cond, .. } => cond as u8,
        InstructionData::FloatCompare { cond, .. } => cond as u8,
        _ => return None,
    };
    numbered(data.opcode(), choice, operand, result)
}

/// The same for an opcode and a choice.
pub(super) fn numbered(opcode: Opcode, choice: u8, operand: Type, result: Type) -> Option<u32> {
    let number = |ty: Type| TYPES.iter().position(|known| *known == ty);
    let (operand, result) = (number(operand)? as u32, number(result)? as u32);
    Some((opcode as u32) << 16 | u32::from(choice) << 8 | operand << 4 | result)
}

/// The level of stencils that this processor can run.
fn used_level() -> Option<usize> {
    static LEVEL: OnceLock<Option<usize>> = OnceLock::new();
    *LEVEL.get_or_init(level)
}

/// Whether the processor has what the stencils and the encoders of operations on vectors take for granted.
pub(super) fn is_supported() -> bool {
    used_level().is_some()
}

/// The stencil of an operation on this processor, if there is one.
pub(super) fn find(key: u32, canonical_nans: bool) -> Option<Stencil<'static>> {
    let level = used_level()?;
    let variant = 1 << (2 * level + usize::from(canonical_nans));
    let first = ROWS.partition_point(|row| row.key < key);
    let same = ROWS.get(first..)?.iter().take_while(|row| row.key == key);
    let row = same.into_iter().find(|row| row.variants & variant != 0)?;
    Some(Stencil {
        code: part(CODE, row.code),
        operands: &row.operands.0[..row.operands.1],
        result: Some(row.result),
        clobbers: row.clobbers,
        aligned: row.aligned,
        traps: part(TRAPS, row.traps),
        holes: part(HOLES, row.holes),
    })
}

fn part<T>(all: &[T], (first, len): (usize, usize)) -> &[T] {
    &all[first..first + len]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Ty;

    #[test]
    fn rows_are_sorted() {
        assert!(ROWS.is_sorted_by_key(|row| row.key) && ROWS.len() > 200);
    }

    #[test]
    fn an_operation_is_found_by_its_types() {
        let key = numbered(Opcode::Udiv, 0, types::I32, types::I32).unwrap();
        assert_eq!(find(key, false).unwrap().operands, [Ty::I32, Ty::I32]);
        let key = numbered(Opcode::Iadd, 0, types::I32, types::I32).unwrap();
        assert!(find(key, false).is_none(), "it is encoded directly");
        assert!(numbered(Opcode::Udiv, 0, types::I128, types::I128).is_none());
    }
}
