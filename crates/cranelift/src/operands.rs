//! Subtractions of constants become additions where what they subtract from is needed for something else.
//!
//! x86-64 has an addition whose result goes to another register than its operands, `lea`, and no such subtraction: that takes
//! a copy, as of a loop's counter that the rest of the iteration, or a guard's way out, still needs. Cranelift knows `lea`
//! for additions only. Where nothing else needs the operand, the subtraction stays, as it has the shorter encoding.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{
    Function, Inst, InstBuilder, InstructionData, Opcode, Type, Value, ValueDef, types,
};

/// Rewrites a function's body.
pub(crate) fn add_negated_constants(body: &mut Function) {
    let found = subtractions(body);
    if found.is_empty() {
        return;
    }
    let uses = count_uses(body);
    for (inst, value, constant) in found {
        if uses[value] < 2 {
            continue;
        }
        let ty = body.dfg.value_type(value);
        let mut cursor = FuncCursor::new(body).at_inst(inst);
        let negated = cursor.ins().iconst(ty, negated(constant, ty));
        body.dfg.insts[inst] = InstructionData::Binary {
            opcode: Opcode::Iadd,
            args: [value, negated],
        };
    }
}

/// The subtractions of constants of the size of a register: where they are, and what is subtracted from what.
fn subtractions(body: &Function) -> Vec<(Inst, Value, i64)> {
    let insts = body
        .layout
        .blocks()
        .flat_map(|b| body.layout.block_insts(b));
    let found = insts.filter_map(|inst| {
        let InstructionData::Binary {
            opcode: Opcode::Isub,
            args: [value, constant],
        } = body.dfg.insts[inst]
        else {
            return None;
        };
        let value = body.dfg.resolve_aliases(value);
        if !matches!(body.dfg.value_type(value), types::I32 | types::I64) {
            return None;
        }
        let ValueDef::Result(constant, _) = body.dfg.value_def(constant) else {
            return None;
        };
        match body.dfg.insts[constant] {
            InstructionData::UnaryImm {
                opcode: Opcode::Iconst,
                imm,
            } => Some((inst, value, imm.bits())),
            _ => None,
        }
    });
    found.collect()
}

/// How often each value is an operand.
fn count_uses(body: &Function) -> SecondaryMap<Value, u32> {
    let mut uses = SecondaryMap::new();
    for block in body.layout.blocks() {
        for inst in body.layout.block_insts(block) {
            for value in body.dfg.inst_values(inst) {
                uses[body.dfg.resolve_aliases(value)] += 1;
            }
        }
    }
    uses
}

/// The constant as an immediate, whose bits above the type's width are zero.
fn negated(constant: i64, ty: Type) -> i64 {
    let negated = constant.wrapping_neg();
    match ty {
        types::I32 => i64::from(negated as u32),
        _ => negated,
    }
}
