//! Tail duplication: a short block that only decides where to go on, by what the blocks before it hand over, is copied
//! into each of them.
//!
//! Where a call was, paths meet: the ends of the inlined body, and the call that remains of an indirect one. What
//! follows is very often a test of the result, and behind a join that is a value put into a register, a jump and a
//! comparison with zero. In its copies the test sees the comparison that the callee made, or a constant.

use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{
    Block, BlockArg, Function, Inst, InstructionData, Opcode, Value, ValueDef,
};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use std::collections::{HashMap, HashSet};

/// Instructions of a block that is copied, the branch at its end included.
const INSTRUCTIONS_MAX: usize = 4;
/// Copies of one block.
const COPIES_MAX: usize = 8;

/// Copies such blocks. Values that they define are used nowhere else, so that nothing needs repair.
pub(crate) fn duplicate_tails(body: &mut Function) {
    let candidates: Vec<Block> = body
        .layout
        .blocks()
        .filter(|&block| is_decision(body, block))
        .collect();
    if candidates.is_empty() {
        return;
    }
    let cfg = ControlFlowGraph::with_function(body);
    let domtree = DominatorTree::with_function(body, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(body, &cfg, &domtree);
    let shared = blocks_with_shared_values(body);
    for block in candidates {
        if shared.contains(&block) || loops.is_loop_header(block).is_some() {
            continue;
        }
        let jumps: Vec<Inst> = cfg.pred_iter(block).map(|before| before.inst).collect();
        let all_jump = jumps.iter().all(|&jump| is_jump(body, jump));
        if all_jump && (2..=COPIES_MAX).contains(&jumps.len()) {
            for jump in jumps {
                copy_into(body, block, jump);
            }
            remove(body, block);
        }
    }
}

/// Whether a block takes parameters, and computes little, without effects, before it branches in two.
fn is_decision(body: &Function, block: Block) -> bool {
    let pure = |inst: Inst| {
        let opcode = body.dfg.insts[inst].opcode();
        !opcode.other_side_effects()
            && !opcode.can_trap()
            && !opcode.can_load()
            && !opcode.can_store()
            && !opcode.is_terminator()
    };
    let Some(last) = body.layout.last_inst(block) else {
        return false;
    };
    let mut insts = body.layout.block_insts(block);
    body.dfg.insts[last].opcode() == Opcode::Brif
        && !body.dfg.block_params(block).is_empty()
        && body.layout.block_insts(block).count() <= INSTRUCTIONS_MAX
        && insts.all(|inst| inst == last || pure(inst))
}

/// The blocks that define values which other blocks use.
fn blocks_with_shared_values(body: &Function) -> HashSet<Block> {
    let mut shared = HashSet::new();
    for block in body.layout.blocks() {
        for inst in body.layout.block_insts(block) {
            for value in body.dfg.inst_values(inst) {
                let value = body.dfg.resolve_aliases(value);
                let defined = match body.dfg.value_def(value) {
                    ValueDef::Param(defined, _) => Some(defined),
                    ValueDef::Result(by, _) => body.layout.inst_block(by),
                    ValueDef::Union(..) => None,
                };
                shared.extend(defined.filter(|&defined| defined != block));
            }
        }
    }
    shared
}

fn is_jump(body: &Function, inst: Inst) -> bool {
    matches!(body.dfg.insts[inst], InstructionData::Jump { .. })
}

/// Puts a copy of `block` in the place of a jump there.
fn copy_into(body: &mut Function, block: Block, jump: Inst) {
    let InstructionData::Jump { destination, .. } = body.dfg.insts[jump] else {
        return;
    };
    let Some(before) = body.layout.inst_block(jump) else {
        return;
    };
    let args = destination.args(&body.dfg.value_lists);
    let args: Vec<Value> = args.filter_map(|arg| BlockArg::as_value(&arg)).collect();
    let params = body.dfg.block_params(block).iter().copied();
    let mut values: HashMap<Value, Value> = params.zip(args).collect();
    let insts: Vec<Inst> = body.layout.block_insts(block).collect();
    body.layout.remove_inst(jump);
    for inst in insts {
        let copy = body.dfg.clone_inst(inst);
        let used: Vec<Value> = body.dfg.inst_values(copy).collect();
        let renamed: HashMap<Value, Value> = used
            .into_iter()
            .map(|value| {
                let resolved = body.dfg.resolve_aliases(value);
                (value, *values.get(&resolved).unwrap_or(&resolved))
            })
            .collect();
        body.dfg
            .map_inst_values(copy, |value| *renamed.get(&value).unwrap_or(&value));
        let location = body.srcloc(inst);
        body.layout.append_inst(copy, before);
        body.set_srcloc(copy, location);
        let results = body.dfg.inst_results(inst).iter().copied();
        values.extend(results.zip(body.dfg.inst_results(copy).iter().copied()));
    }
}

/// Removes a block that nothing leads to any more.
fn remove(body: &mut Function, block: Block) {
    while let Some(inst) = body.layout.first_inst(block) {
        body.layout.remove_inst(inst);
    }
    body.layout.remove_block(block);
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::cursor::{Cursor, FuncCursor};
    use cranelift_codegen::ir::condcodes::IntCC;
    use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, types};
    use cranelift_codegen::isa::CallConv;
    use cranelift_codegen::settings::{Flags, builder};

    /// `x < 5` on one path and 1 on the other meet where the value is tested; `outside`: and is used once more.
    fn diamond(outside: bool) -> Function {
        let mut signature = Signature::new(CallConv::Tail);
        signature.params.push(AbiParam::new(types::I32));
        signature.returns.push(AbiParam::new(types::I8));
        let mut body = Function::with_name_signature(Default::default(), signature);
        let [entry, left, right, join, yes, no] = [(); 6].map(|()| body.dfg.make_block());
        let x = body.dfg.append_block_param(entry, types::I32);
        let met = body.dfg.append_block_param(join, types::I8);
        let mut cursor = FuncCursor::new(&mut body);
        cursor.insert_block(entry);
        cursor.ins().brif(x, left, [], right, []);
        cursor.insert_block(left);
        let less = cursor.ins().icmp_imm_s(IntCC::SignedLessThan, x, 5);
        cursor.ins().jump(join, [&less.into()]);
        cursor.insert_block(right);
        let one = cursor.ins().iconst(types::I8, 1);
        cursor.ins().jump(join, [&one.into()]);
        cursor.insert_block(join);
        let zero = cursor.ins().icmp_imm_s(IntCC::Equal, met, 0);
        cursor.ins().brif(zero, yes, [], no, []);
        cursor.insert_block(yes);
        let result = if outside {
            met
        } else {
            less_again(&mut cursor, x)
        };
        cursor.ins().return_(&[result]);
        cursor.insert_block(no);
        let two = cursor.ins().iconst(types::I8, 2);
        cursor.ins().return_(&[two]);
        body
    }

    fn less_again(cursor: &mut FuncCursor<'_>, x: Value) -> Value {
        cursor.ins().icmp_imm_s(IntCC::SignedLessThan, x, 7)
    }

    fn branches(body: &Function) -> usize {
        let last = |block| body.layout.last_inst(block);
        let lasts = body.layout.blocks().filter_map(last);
        lasts
            .filter(|&inst| body.dfg.insts[inst].opcode() == Opcode::Brif)
            .count()
    }

    #[test]
    fn a_test_of_what_meets_is_copied_to_where_it_comes_from() {
        let mut body = diamond(false);
        duplicate_tails(&mut body);
        cranelift_codegen::verify_function(&body, &Flags::new(builder())).unwrap();
        assert_eq!(branches(&body), 3, "{body}");
        assert!(!body.to_string().contains("jump"), "{body}");
    }

    #[test]
    fn a_value_that_is_used_elsewhere_stays_where_it_is() {
        let mut body = diamond(true);
        let before = body.to_string();
        duplicate_tails(&mut body);
        assert_eq!(body.to_string(), before);
    }
}
