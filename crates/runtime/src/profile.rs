//! Counters in generated code: a decrement of a function's entry budget at its start, and of its loop budget at each
//! loop header.
//!
//! The cells are plain memory. Threads that race may lose a count and never corrupt one, which costs half a nanosecond
//! where a locked decrement costs five. When a budget runs out, a cold block calls the runtime, which decides and
//! grants a new one.

use crate::builtins;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, FuncRef, Function, GlobalValue, InstBuilder, MemFlagsData, Signature, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::loop_analysis::LoopAnalysis;
use upshift_base::FuncId;
use upshift_codegen::{CounterPlan, symbol};

/// Loop iterations that count as much as one call.
pub const LOOP_ITERATIONS_PER_CALL: u32 = 10;

/// Offsets in bytes of the budgets in a profile cell.
const ENTRY_BUDGET: i32 = std::mem::offset_of!(upshift_codemem::ProfileCell, entry_budget) as i32;
const LOOP_BUDGET: i32 = std::mem::offset_of!(upshift_codemem::ProfileCell, loop_budget) as i32;

/// What a compiler needs to know that plants the counters itself.
pub(crate) const PLAN: CounterPlan = CounterPlan {
    entry_budget: ENTRY_BUDGET,
    loop_budget: LOOP_BUDGET,
    tripped: builtins::COUNTER_TRIPPED,
};

/// Plants the counters of `function` in its `body`.
pub(crate) fn plant_counters(body: &mut Function, function: FuncId) {
    let Some(entry) = body.layout.entry_block() else {
        return;
    };
    let headers = loop_headers(body);
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(symbol::pointer_param());
    let signature = body.import_signature(signature);
    let planter = Planter {
        cell: symbol::import_profile_cell(body, function),
        tripped: symbol::import_builtin(body, builtins::COUNTER_TRIPPED, signature),
    };
    for header in headers {
        planter.plant(body, header, LOOP_BUDGET);
    }
    planter.plant(body, entry, ENTRY_BUDGET);
}

fn loop_headers(body: &Function) -> Vec<Block> {
    let cfg = ControlFlowGraph::with_function(body);
    let domtree = DominatorTree::with_function(body, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(body, &cfg, &domtree);
    loops.loops().map(|l| loops.loop_header(l)).collect()
}

struct Planter {
    cell: GlobalValue,
    tripped: FuncRef,
}

impl Planter {
    /// Splits `block` before its first instruction, and puts the count in between.
    fn plant(&self, body: &mut Function, block: Block, budget: i32) {
        let Some(first) = body.layout.first_inst(block) else {
            return;
        };
        let position = body.srcloc(first);
        let rest = body.dfg.make_block();
        let cold = body.dfg.make_block();
        body.layout.split_block(rest, first);
        body.layout.append_block(cold);
        body.layout.set_cold(cold);
        // The cell is always there, and nothing else the guest can reach aliases it.
        let flags = MemFlagsData::trusted();
        let mut cursor = FuncCursor::new(body).at_bottom(block);
        cursor.set_srcloc(position);
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        let left = cursor.ins().load(types::I32, flags, cell, budget);
        let left = cursor.ins().iadd_imm_s(left, -1);
        cursor.ins().store(flags, left, cell, budget);
        let spent = cursor.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        cursor.ins().brif(spent, cold, [], rest, []);
        cursor.goto_bottom(cold);
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        cursor.ins().call(self.tripped, &[cell]);
        cursor.ins().jump(rest, []);
    }
}
