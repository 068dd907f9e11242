//! OSR points and OSR versions of finished CLIF, for front ends that hand over functions and no more.
//!
//! [`mark`] finds a body's natural loops and marks each header with the values that are live there; [`enter`] makes
//! the version of the body that begins in a header. Both are transformations of CLIF alone. What the second has to
//! mend is that values which were defined before the loop, once, are then defined twice: there, if an outer loop leads
//! there again, and by the load from the transfer record. So blocks in which the two meet get a parameter for them,
//! which is the construction of SSA form by dominance frontiers (Cytron et al., "Efficiently computing static single
//! assignment form and the control dependence graph", 1991). A block gets one only if the value is live there.

use crate::{CompileError, osr, symbol};
use cranelift_codegen::Context;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{
    AbiParam, ArgumentPurpose, Block, BlockArg, Function, Inst, InstBuilder, MemFlagsData, Opcode,
    Signature, Type, Value, ValueDef,
};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::loop_analysis::LoopAnalysis;
use cranelift_codegen::settings::{self, Configurable, Flags};
use std::collections::{BTreeMap, HashMap};

/// Marks the loops of `body` as OSR points; see [`crate::osr`]. A loop's index is its number among the body's loops, which
/// the marks do not change. A body of which there are no OSR versions is left as it is.
pub fn mark(body: &mut Function) {
    if obstacle(body).is_some() {
        return;
    }
    let loops = Loops::find(body);
    for (index, &header) in loops.headers.iter().enumerate() {
        let travelling = loops.travelling(body, header);
        // Without values the mark is one that no OSR version is made for.
        let values = match check(body, &travelling) {
            Ok(()) => travelling,
            Err(_) => Vec::new(),
        };
        let Some(first) = body.layout.first_inst(header) else {
            continue;
        };
        let mut signature = Signature::new(CallConv::SystemV);
        let param = |value: &Value| AbiParam::new(body.dfg.value_type(*value));
        signature.params.extend(values.iter().map(param));
        let signature = body.import_signature(signature);
        let point = symbol::import_osr_point(body, index as u32, signature);
        let mut cursor = FuncCursor::new(body).at_inst(first);
        cursor.use_srcloc(first);
        cursor.ins().call(point, &values);
    }
}

/// The version of `body` that begins in the header of a loop, with the values of a transfer record.
///
/// # Errors
/// [`CompileError::Bailout`] if there is no such loop, or what is live there cannot travel: stack slots, more values than a
/// record has room for, values of more than 16 bytes.
pub fn enter(mut body: Function, loop_index: u32) -> Result<Function, CompileError> {
    if let Some(what) = obstacle(&body) {
        return Err(CompileError::Bailout(format!("{what} cannot travel")));
    }
    let loops = Loops::find(&mut body);
    let Some(&header) = loops.headers.get(loop_index as usize) else {
        return Err(CompileError::Bailout(format!(
            "it has no loop {loop_index}"
        )));
    };
    let travelling = loops.travelling(&body, header);
    check(&body, &travelling)?;
    let copied = loops.copied(&body, header);
    let (entry, loaded) = way_in(&mut body, header, &travelling, &copied)?;
    let body = remove_unreachable(body)?;
    Ok(Renaming { entry, loaded }.mend(body, &loops.live))
}

/// Removes the blocks that cannot be reached from the entry.
///
/// # Errors
/// If Cranelift cannot.
pub fn remove_unreachable(body: Function) -> Result<Function, CompileError> {
    let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
    let mut flags = settings::builder();
    flags
        .set("enable_verifier", "false")
        .map_err(|error| failed(&error))?;
    let mut context = Context::for_function(body);
    context.compute_cfg();
    context.compute_domtree();
    context
        .eliminate_unreachable_code(&Flags::new(flags))
        .map_err(|error| failed(&error))?;
    Ok(context.func)
}

/// What of a body does not fit into a transfer record, if anything.
fn obstacle(body: &Function) -> Option<&'static str> {
    let is_odd = |param: &AbiParam| {
        !matches!(
            param.purpose,
            ArgumentPurpose::Normal | ArgumentPurpose::VMContext
        )
    };
    if !body.sized_stack_slots.is_empty() || !body.dynamic_stack_slots.is_empty() {
        return Some("the contents of stack slots");
    }
    if body.signature.params.iter().any(is_odd) {
        return Some("arguments in the caller's frame");
    }
    (!body.dfg.exception_tables.is_empty()).then_some("exception handlers")
}

/// Whether these values fit into a transfer record.
fn check(body: &Function, values: &[Value]) -> Result<(), CompileError> {
    let (len, most) = (values.len(), osr::TRANSFER_VALUES_MAX);
    if len > most {
        return Err(CompileError::Bailout(format!(
            "{len} values are live there, more than {most}"
        )));
    }
    let fits = |ty: Type| !ty.is_dynamic_vector() && ty.bytes() <= osr::TRANSFER_VALUE_BYTES;
    let types = values.iter().map(|value| body.dfg.value_type(*value));
    match types.into_iter().find(|ty| !fits(*ty)) {
        Some(ty) => Err(CompileError::Bailout(format!(
            "a value of type {ty} is live there"
        ))),
        None => Ok(()),
    }
}

/// A body's loops, and what is live in its blocks.
struct Loops {
    headers: Vec<Block>,
    /// What is live at each block's start, without its parameters.
    live: SecondaryMap<Block, EntitySet<Value>>,
}

impl Loops {
    fn find(body: &mut Function) -> Loops {
        body.dfg.resolve_all_aliases();
        let cfg = ControlFlowGraph::with_function(body);
        let domtree = DominatorTree::with_function(body, &cfg);
        let mut analysis = LoopAnalysis::new();
        analysis.compute(body, &cfg, &domtree);
        let headers = analysis.loops().map(|l| analysis.loop_header(l)).collect();
        let mut live = SecondaryMap::<Block, EntitySet<Value>>::new();
        for &block in domtree.cfg_postorder() {
            for inst in body.layout.block_insts(block) {
                for value in body.dfg.inst_values(inst) {
                    live_from(body, &cfg, &mut live, value, block);
                }
            }
        }
        Loops { headers, live }
    }

    /// What travels to a header: its parameters, then what was defined before and is not made anew.
    fn travelling(&self, body: &Function, header: Block) -> Vec<Value> {
        let params = body.dfg.block_params(header).iter().copied();
        let live = self.live[header].iter();
        let live = live.filter(|value| copyable(body, *value).is_none());
        params.chain(live).collect()
    }

    /// The instructions whose results are live at a header and are made anew there.
    fn copied(&self, body: &Function, header: Block) -> Vec<Inst> {
        let live = self.live[header].iter();
        live.filter_map(|value| copyable(body, value)).collect()
    }
}

/// Notes that `value` is live from its definition to `block`, where it is used.
fn live_from(
    body: &Function,
    cfg: &ControlFlowGraph,
    live: &mut SecondaryMap<Block, EntitySet<Value>>,
    value: Value,
    block: Block,
) {
    let home = match body.dfg.value_def(value) {
        ValueDef::Result(inst, _) => body.layout.inst_block(inst),
        ValueDef::Param(block, _) => Some(block),
        ValueDef::Union(..) => None,
    };
    let mut blocks = vec![block];
    while let Some(block) = blocks.pop() {
        if Some(block) != home && live[block].insert(value) {
            blocks.extend(cfg.pred_iter(block).map(|pred| pred.block));
        }
    }
}

/// The instruction that defines a value, if it gives the same anywhere: a constant need not travel, and the optimizer
/// is to know it.
fn copyable(body: &Function, value: Value) -> Option<Inst> {
    let ValueDef::Result(inst, _) = body.dfg.value_def(value) else {
        return None;
    };
    matches!(
        body.dfg.insts[inst].opcode(),
        Opcode::Iconst
            | Opcode::F32const
            | Opcode::F64const
            | Opcode::Vconst
            | Opcode::SymbolValue
            | Opcode::FuncAddr
    )
    .then_some(inst)
}

/// Puts a new entry before everything else, which loads and copies and jumps to `header`. Returns it, and what is now
/// what at its end, without the header's parameters.
fn way_in(
    body: &mut Function,
    header: Block,
    travelling: &[Value],
    copied: &[Inst],
) -> Result<(Block, BTreeMap<Value, Value>), CompileError> {
    let old = body.layout.entry_block();
    let old = old.ok_or_else(|| CompileError::Failed("it has no blocks".to_owned()))?;
    body.signature = osr::signature(&body.signature);
    let entry = body.dfg.make_block();
    body.layout.insert_block(entry, old);
    let types: Vec<Type> = body.signature.params.iter().map(|p| p.value_type).collect();
    let params: Vec<Value> = types
        .into_iter()
        .map(|ty| body.dfg.append_block_param(entry, ty))
        .collect();
    let record = params[params.len() - 1];
    let header_params = body.dfg.block_params(header).len();
    let mut loaded = BTreeMap::new();
    let mut arguments: Vec<BlockArg> = Vec::with_capacity(header_params);
    let mut cursor = FuncCursor::new(body).at_bottom(entry);
    for (index, &value) in travelling.iter().enumerate() {
        let ty = cursor.func.dfg.value_type(value);
        let offset = osr::transfer_value(index);
        let flags = MemFlagsData::trusted();
        let copy = cursor.ins().load(ty, flags, record, offset);
        match index < header_params {
            true => arguments.push(copy.into()),
            false => {
                loaded.insert(value, copy);
            }
        }
    }
    for &inst in copied {
        let copy = cursor.func.dfg.clone_inst(inst);
        cursor.insert_inst(copy);
        let dfg = &cursor.func.dfg;
        loaded.insert(dfg.first_result(inst), dfg.first_result(copy));
    }
    cursor.ins().jump(header, &arguments);
    Ok((entry, loaded))
}

/// Makes SSA form again of a body with an entry that defines some values a second time.
struct Renaming {
    entry: Block,
    /// Values, and what the entry has for them.
    loaded: BTreeMap<Value, Value>,
}

/// What each block gets parameters for.
type Joins = SecondaryMap<Block, Vec<Value>>;

impl Renaming {
    fn mend(&self, mut body: Function, live: &SecondaryMap<Block, EntitySet<Value>>) -> Function {
        let cfg = ControlFlowGraph::with_function(&body);
        let domtree = DominatorTree::with_function(&body, &cfg);
        let joins = self.joins(&body, &cfg, &domtree, live);
        let mut params: HashMap<(Block, Value), Value> = HashMap::new();
        for &block in domtree.cfg_postorder() {
            for &value in &joins[block] {
                let ty = body.dfg.value_type(value);
                params.insert((block, value), body.dfg.append_block_param(block, ty));
            }
        }
        let mut at_end = SecondaryMap::<Block, BTreeMap<Value, Value>>::new();
        for &block in domtree.cfg_rpo() {
            let mut now = match domtree.idom(block) {
                Some(dominator) => at_end[dominator].clone(),
                None => self.loaded.clone(),
            };
            // The entry's own instructions are as they should be.
            if block == self.entry {
                append_arguments(&mut body, block, &joins, &now);
                at_end[block] = now;
                continue;
            }
            for &value in &joins[block] {
                now.insert(value, params[&(block, value)]);
            }
            for &param in body.dfg.block_params(block) {
                now.entry(param).and_modify(|value| *value = param);
            }
            let mut next = body.layout.first_inst(block);
            while let Some(inst) = next {
                let renamed = |value| now.get(&value).copied().unwrap_or(value);
                body.dfg.map_inst_values(inst, renamed);
                for &result in body.dfg.inst_results(inst) {
                    now.entry(result).and_modify(|value| *value = result);
                }
                next = body.layout.next_inst(inst);
            }
            append_arguments(&mut body, block, &joins, &now);
            at_end[block] = now;
        }
        body
    }

    /// Where the definition in the entry and the one that there was meet.
    fn joins(
        &self,
        body: &Function,
        cfg: &ControlFlowGraph,
        domtree: &DominatorTree,
        live: &SecondaryMap<Block, EntitySet<Value>>,
    ) -> Joins {
        let frontiers = frontiers(cfg, domtree);
        let mut joins = Joins::new();
        for &value in self.loaded.keys() {
            let home = match body.dfg.value_def(value) {
                ValueDef::Result(inst, _) => body.layout.inst_block(inst),
                ValueDef::Param(block, _) => body.layout.is_block_inserted(block).then_some(block),
                ValueDef::Union(..) => None,
            };
            let mut definitions: Vec<Block> = home.into_iter().collect();
            while let Some(definition) = definitions.pop() {
                for &block in &frontiers[definition] {
                    if live[block].contains(value) && !joins[block].contains(&value) {
                        joins[block].push(value);
                        definitions.push(block);
                    }
                }
            }
        }
        joins
    }
}

/// The dominance frontier of each block that can be reached. The entry's is empty.
fn frontiers(cfg: &ControlFlowGraph, domtree: &DominatorTree) -> SecondaryMap<Block, Vec<Block>> {
    let mut frontiers = SecondaryMap::<Block, Vec<Block>>::new();
    for &block in domtree.cfg_postorder() {
        let dominator = domtree.idom(block);
        for pred in cfg.pred_iter(block) {
            let mut runner = Some(pred.block);
            while let Some(at) = runner.filter(|_| runner != dominator) {
                if !frontiers[at].contains(&block) {
                    frontiers[at].push(block);
                }
                runner = domtree.idom(at);
            }
        }
    }
    frontiers
}

/// Passes to each block that `block` leads to what it has new parameters for.
fn append_arguments(
    body: &mut Function,
    block: Block,
    joins: &Joins,
    now: &BTreeMap<Value, Value>,
) {
    let Some(last) = body.layout.last_inst(block) else {
        return;
    };
    let dfg = &mut body.dfg;
    let pool = &mut dfg.value_lists;
    let calls =
        dfg.insts[last].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    for call in calls {
        let target = call.block(pool);
        for value in &joins[target] {
            call.append_argument(now.get(value).copied().unwrap_or(*value), pool);
        }
    }
}
