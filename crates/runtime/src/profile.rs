//! Counters in generated code: a decrement of a function's entry budget at its start, and of its loop budget at each
//! loop header.
//!
//! The cells are plain memory. Threads that race may lose a count and never corrupt one, which costs half a nanosecond
//! where a locked decrement costs five. When a budget runs out, a cold block calls the runtime, which decides and
//! grants a new one. At a loop that the front end has marked as an OSR point ([`upshift_codegen::osr`]), the runtime
//! may also answer that there is better code, and the cold block moves there. At indirect calls that the front end has
//! marked ([`upshift_codegen::call_site`]), the targets are counted.

use crate::builtins;
use crate::config::{OsrMode, RuntimeConfig};
use crate::marks::find_marks;
use crate::transfer::Exit;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, FuncRef, Function, GlobalValue, Inst, InstBuilder, MemFlagsData, Signature,
    SourceLoc, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::loop_analysis::LoopAnalysis;
use std::collections::HashMap;
use std::mem::offset_of;
use upshift_base::{FuncId, Tier};
use upshift_codegen::call_site::CallSite;
use upshift_codegen::{CallSitePlan, CounterPlan, osr, symbol};

/// Loop iterations that count as much as one call.
pub const LOOP_ITERATIONS_PER_CALL: u32 = 10;

/// Offsets in bytes of the budgets in a profile cell.
const ENTRY_BUDGET: i32 = offset_of!(upshift_codemem::ProfileCell, entry_budget) as i32;
const LOOP_BUDGET: i32 = offset_of!(upshift_codemem::ProfileCell, loop_budget) as i32;

/// Where in a profile cell the address of the call sites is.
const CALL_SITES: i32 = offset_of!(upshift_codemem::ProfileCell, call_sites) as i32;

/// What a compiler needs to know that plants the counters itself.
pub(crate) fn plan(config: &RuntimeConfig) -> CounterPlan {
    let osr = config.osr != OsrMode::Off;
    let call_sites = config.inlining.devirtualizes();
    CounterPlan {
        entry_budget: ENTRY_BUDGET,
        loop_budget: LOOP_BUDGET,
        tripped: builtins::COUNTER_TRIPPED,
        osr_tripped: osr.then_some(builtins::OSR_TRIPPED),
        call_sites: call_sites.then_some(CallSitePlan {
            array: CALL_SITES,
            record: builtins::RECORD_TARGET,
        }),
    }
}

/// Whose counters, and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    pub(crate) function: FuncId,
    /// The tier that the code is for.
    pub(crate) tier: Tier,
    /// Whether entering the code counts as a call.
    pub(crate) calls: bool,
}

/// Plants the counters in `body`, and makes OSR points and counted call sites of the front end's marks. Returns how many
/// call sites there are.
pub(crate) fn plant_counters(body: &mut Function, counting: Counting) -> u32 {
    let Some(entry) = body.layout.entry_block() else {
        return 0;
    };
    let marks = Marks::find(body);
    let headers = loop_headers(body, &marks);
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(symbol::pointer_param());
    let signature = body.import_signature(signature);
    let planter = Planter {
        counting,
        cell: symbol::import_profile_cell(body, counting.function),
        tripped: symbol::import_builtin(body, builtins::COUNTER_TRIPPED, signature),
    };
    let points = (!marks.0.is_empty()).then(|| Points::new(body, entry));
    for header in &headers {
        match (marks.0.get(&header.block), &points) {
            (Some(mark), Some(points)) => planter.plant_point(body, points, header, mark),
            _ => planter.plant(body, header.block, LOOP_BUDGET),
        }
    }
    // Marks of what turned out to be no loop.
    for mark in marks.0.values() {
        if body.layout.inst_block(mark.inst).is_some() {
            body.layout.remove_inst(mark.inst);
        }
    }
    if counting.calls {
        planter.plant(body, entry, ENTRY_BUDGET);
    }
    planter.plant_call_sites(body)
}

/// The front end's marks, by their block.
struct Marks(HashMap<Block, Mark>);

#[derive(Clone, Copy)]
struct Mark {
    inst: Inst,
    loop_index: u32,
}

impl Marks {
    fn find(body: &Function) -> Marks {
        let marks = find_marks(body, symbol::OSR_POINT).into_iter();
        let in_block = |(inst, loop_index)| {
            let block = body.layout.inst_block(inst)?;
            Some((block, Mark { inst, loop_index }))
        };
        Marks(marks.filter_map(in_block).collect())
    }
}

/// The header of a loop.
struct Header {
    block: Block,
    /// The marked loop that is the innermost around it.
    parent: Option<u32>,
}

fn loop_headers(body: &Function, marks: &Marks) -> Vec<Header> {
    let cfg = ControlFlowGraph::with_function(body);
    let domtree = DominatorTree::with_function(body, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(body, &cfg, &domtree);
    let around = |l| std::iter::successors(loops.loop_parent(l), |outer| loops.loop_parent(*outer));
    let marked = |l| marks.0.get(&loops.loop_header(l));
    let header = |l| Header {
        block: loops.loop_header(l),
        parent: around(l).find_map(marked).map(|mark| mark.loop_index),
    };
    loops.loops().map(header).collect()
}

/// Where loops ask for better code, and how activations leave for it.
struct Points {
    tripped: FuncRef,
    exit: Exit,
}

impl Points {
    fn new(body: &mut Function, entry: Block) -> Points {
        let mut tripped = Signature::new(CallConv::SystemV);
        tripped.params.push(symbol::pointer_param());
        tripped.params.extend([AbiParam::new(types::I32); 4]);
        tripped.returns.push(symbol::pointer_param());
        let tripped = body.import_signature(tripped);
        Points {
            tripped: symbol::import_builtin(body, builtins::OSR_TRIPPED, tripped),
            exit: Exit::new(body, entry),
        }
    }
}

struct Planter {
    counting: Counting,
    cell: GlobalValue,
    tripped: FuncRef,
}

impl Planter {
    /// Splits `block` before its first instruction, and puts the count in between.
    fn plant(&self, body: &mut Function, block: Block, budget: i32) {
        let Some(first) = body.layout.first_inst(block) else {
            return;
        };
        let (rest, cold) = self.count(body, block, first, budget);
        let mut cursor = FuncCursor::new(body).at_bottom(cold);
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        cursor.ins().call(self.tripped, &[cell]);
        cursor.ins().jump(rest, []);
    }

    /// Puts the count and the way out in the place of a mark.
    fn plant_point(&self, body: &mut Function, points: &Points, header: &Header, mark: &Mark) {
        let Some(next) = body.layout.next_inst(mark.inst) else {
            return;
        };
        let position = body.srcloc(mark.inst);
        let values = body.dfg.inst_args(mark.inst).to_vec();
        body.layout.remove_inst(mark.inst);
        let (rest, cold) = self.count(body, header.block, next, LOOP_BUDGET);
        let leave = body.dfg.make_block();
        body.layout.append_block(leave);
        body.layout.set_cold(leave);
        let mut cursor = FuncCursor::new(body).at_bottom(cold);
        cursor.set_srcloc(position);
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        let parent = header.parent.unwrap_or(osr::NO_PARENT);
        let tier = self.counting.tier as u32;
        let numbers = [mark.loop_index, parent, tier, values.len() as u32];
        let [index, parent, tier, len] =
            numbers.map(|number| cursor.ins().iconst(types::I32, i64::from(number)));
        let args = [cell, index, parent, tier, len];
        let call = cursor.ins().call(points.tripped, &args);
        let record = cursor.func.dfg.inst_results(call)[0];
        cursor.ins().brif(record, leave, [], rest, []);
        cursor.goto_bottom(leave);
        points.exit.leave(&mut cursor, record, [&values[..]]);
    }

    /// Puts counts in the place of the marks of call sites. Returns how many sites there are.
    fn plant_call_sites(&self, body: &mut Function) -> u32 {
        let marks = find_marks(body, symbol::CALL_SITE);
        if marks.is_empty() {
            return 0;
        }
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend([symbol::pointer_param(); 2]);
        let signature = body.import_signature(signature);
        let count_target = symbol::import_builtin(body, builtins::COUNT_TARGET, signature);
        for &(inst, site) in &marks {
            self.plant_call_site(body, count_target, inst, site);
        }
        marks.iter().map(|&(_, site)| site + 1).max().unwrap_or(0)
    }

    /// A call of the first target seen at the site is counted in line, of any other out of line.
    fn plant_call_site(&self, body: &mut Function, count_target: FuncRef, mark: Inst, site: u32) {
        let (Some(next), Some(block)) = (body.layout.next_inst(mark), body.layout.inst_block(mark))
        else {
            return;
        };
        let position = body.srcloc(mark);
        let slot = body.dfg.inst_args(mark)[0];
        body.layout.remove_inst(mark);
        let [first, other, rest] = [(); 3].map(|()| body.dfg.make_block());
        body.layout.split_block(rest, next);
        body.layout.insert_block(first, rest);
        body.layout.append_block(other);
        body.layout.set_cold(other);
        let flags = MemFlagsData::trusted();
        let mut cursor = FuncCursor::new(body).at_bottom(block);
        cursor.set_srcloc(position);
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        let sites = cursor.ins().load(types::I64, flags, cell, CALL_SITES);
        let offset = size_of::<CallSite>() as i64 * i64::from(site);
        let site = cursor.ins().iadd_imm_s(sites, offset);
        let slots = offset_of!(CallSite, slots) as i32;
        let known = cursor.ins().load(types::I64, flags, site, slots);
        let same = cursor.ins().icmp(IntCC::Equal, known, slot);
        cursor.ins().brif(same, first, [], other, []);
        cursor.goto_bottom(first);
        let counts = offset_of!(CallSite, counts) as i32;
        let count = cursor.ins().load(types::I32, flags, site, counts);
        let count = cursor.ins().iadd_imm_s(count, 1);
        cursor.ins().store(flags, count, site, counts);
        cursor.ins().jump(rest, []);
        cursor.goto_bottom(other);
        cursor.ins().call(count_target, &[site, slot]);
        cursor.ins().jump(rest, []);
    }

    /// Splits `block` before `first` and counts there. Returns the block that goes on and the empty one that is gone
    /// to when the budget is used up.
    fn count(&self, body: &mut Function, block: Block, first: Inst, budget: i32) -> (Block, Block) {
        let position: SourceLoc = body.srcloc(first);
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
        (rest, cold)
    }
}
