//! Jumps out of blocks, and the conditions that they depend on.

use super::state::{FrameKind, Translator};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I8;
use cranelift_codegen::ir::{
    Block, BlockCall, DataFlowGraph, InstBuilder, InstructionData, JumpTableData, Opcode, Value,
    ValueDef,
};
use std::collections::HashMap;
use upshift::embed::CompileError;
use wasmparser::BrTable;

/// What to test instead of `value`, which is tested for not being zero, and whether for being zero. Looks through what
/// turns a comparison's result into a number and through tests for zero.
pub(super) fn condition(dfg: &DataFlowGraph, mut value: Value) -> (Value, bool) {
    let mut inverted = false;
    while let ValueDef::Result(inst, 0) = dfg.value_def(value) {
        match dfg.insts[inst] {
            InstructionData::Unary {
                opcode: Opcode::Uextend,
                arg,
            } if dfg.value_type(arg) == I8 => {
                value = arg;
            }
            InstructionData::IntCompare {
                cond: IntCC::Equal,
                args: [x, y],
                ..
            } if is_zero(dfg, y) => {
                value = x;
                inverted = !inverted;
            }
            _ => break,
        }
    }
    (value, inverted)
}

fn is_zero(dfg: &DataFlowGraph, value: Value) -> bool {
    let ValueDef::Result(inst, 0) = dfg.value_def(value) else {
        return false;
    };
    match dfg.insts[inst] {
        InstructionData::UnaryImm {
            opcode: Opcode::Iconst,
            imm,
        } => imm.bits() == 0,
        _ => false,
    }
}

/// The block that a branch to `depth` jumps to, and how many values it takes along.
fn label(t: &mut Translator<'_, '_>, depth: u32) -> (Block, usize) {
    let index = t.control.len() - 1 - depth as usize;
    let frame = &t.control[index];
    if let FrameKind::Loop(header) = frame.kind {
        return (header, frame.params.len());
    }
    let results = frame.results;
    if let Some(end) = frame.end {
        return (end, results.len());
    }
    let end = t.b.create_block();
    t.add_params(end, results);
    t.control[index].end = Some(end);
    (end, results.len())
}

/// `br`.
pub(super) fn br(t: &mut Translator<'_, '_>, depth: u32) {
    if depth as usize == t.control.len() - 1 {
        return_(t);
        return;
    }
    jump(t, depth);
}

/// Jumps to a label, also to that of the function.
pub(super) fn jump(t: &mut Translator<'_, '_>, depth: u32) {
    let (target, arity) = label(t, depth);
    let args = t.top_args(arity);
    t.b.ins().jump(target, &args);
    t.reachable = false;
}

/// `return`.
pub(super) fn return_(t: &mut Translator<'_, '_>) {
    let results = t.top(t.control[0].results.len()).to_vec();
    t.b.ins().return_(&results);
    t.reachable = false;
}

/// `br_if`.
pub(super) fn br_if(t: &mut Translator<'_, '_>, depth: u32) {
    let condition_operand = t.pop();
    let (condition, inverted) = condition(&t.b.func.dfg, condition_operand);
    let (target, arity) = label(t, depth);
    let args = t.top_args(arity);
    let next = t.b.create_block();
    match inverted {
        false => t.b.ins().brif(condition, target, &args, next, &[]),
        true => t.b.ins().brif(condition, next, &[], target, &args),
    };
    t.b.switch_to_block(next);
    t.b.seal_block(next);
}

/// `br_table`.
///
/// A target that occurs once and takes nothing along is jumped to from the table itself. For any other there is one
/// block that does the jump, so that the work for it is not done again for each of its entries.
pub(super) fn br_table(
    t: &mut Translator<'_, '_>,
    table: &BrTable<'_>,
) -> Result<(), CompileError> {
    let failed = |error: wasmparser::BinaryReaderError| CompileError::Failed(error.to_string());
    let mut depths = table
        .targets()
        .collect::<Result<Vec<u32>, _>>()
        .map_err(failed)?;
    depths.push(table.default());
    let index = t.pop();

    let mut occurrences: HashMap<u32, usize> = HashMap::new();
    for &depth in &depths {
        *occurrences.entry(depth).or_insert(0) += 1;
    }
    let mut blocks: HashMap<u32, Block> = HashMap::with_capacity(occurrences.len());
    let mut relays: Vec<(Block, u32)> = Vec::new();
    let mut calls: Vec<BlockCall> = Vec::with_capacity(depths.len());
    for &depth in &depths {
        let block = *blocks.entry(depth).or_insert_with(|| {
            let (target, arity) = label(t, depth);
            if arity == 0 && occurrences[&depth] == 1 {
                return target;
            }
            let relay = t.b.create_block();
            relays.push((relay, depth));
            relay
        });
        calls.push(t.b.func.dfg.block_call(block, &[]));
    }
    if let Some(default) = calls.pop() {
        let table = t.b.create_jump_table(JumpTableData::new(default, &calls));
        t.b.ins().br_table(index, table);
    }
    for (relay, depth) in relays {
        t.b.switch_to_block(relay);
        t.b.seal_block(relay);
        jump(t, depth);
    }
    t.reachable = false;
    Ok(())
}
