//! On-stack replacement and deoptimization: the marks at loop headers, the guards, and bodies that are entered in the
//! middle.
//!
//! What travels is, in this order: the locals that are live there, then the whole operand stack, the loop's parameters on
//! top. See [`upshift::embed::osr`] and [`upshift::embed::deopt`] for how.
//!
//! A version that is entered in the middle is the whole function with more ways in. What comes before is translated too,
//! because a loop around it may come there again; whatever cannot be reached any more is then removed. Values on the
//! operand stack below the loop now have two sources, so there they are variables; see [`super::version`].

use super::state::Translator;
use super::version::{Osr, WayIn};
use crate::types::FuncType;
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, InstBuilder, JumpTableData, MemFlagsData, Signature, Type, Value,
    types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, Variable};
use upshift::embed::{BodyEntry, CompileError, Guard, GuardReason, osr, symbol};

/// A loop with more live values is not moved in: what moving costs, also while it does not happen, grows with them.
pub const OSR_VALUES_MAX: usize = osr::TRANSFER_VALUES_MAX;

/// Makes the ways in of a version that is entered in the middle, whose entry block the builder is in, and goes on in the
/// block in which the function used to begin.
pub(super) fn ways_in(b: &mut FunctionBuilder<'_>, osr: &mut Osr<'_>, entry: Block) {
    let Some(&record) = b.block_params(entry).last() else {
        return;
    };
    let count = match osr.version.entry {
        BodyEntry::Start => return,
        BodyEntry::Loop(_) => 1,
        BodyEntry::Points(points) => points.len(),
    };
    let blocks: Vec<Block> = (0..count).map(|_| b.create_block()).collect();
    match blocks[..] {
        [only] => drop(b.ins().jump(only, &[])),
        _ => dispatch(b, record, &blocks),
    }
    for block in blocks {
        b.seal_block(block);
        osr.ways_in.push(Some(WayIn { block, record }));
    }
    osr.frames.resize(count, Vec::new());
    let start = b.create_block();
    b.switch_to_block(start);
    b.seal_block(start);
}

/// Jumps to the block of the number in the record. There is always one of that number.
fn dispatch(b: &mut FunctionBuilder<'_>, record: Value, blocks: &[Block]) {
    let offset = osr::TRANSFER_ENTRY;
    let number = b
        .ins()
        .load(types::I32, MemFlagsData::trusted(), record, offset);
    let calls: Vec<_> = blocks
        .iter()
        .map(|block| b.func.dfg.block_call(*block, &[]))
        .collect();
    if let Some((default, others)) = calls.split_last() {
        let table = b.create_jump_table(JumpTableData::new(*default, others));
        b.ins().br_table(number, table);
    }
}

/// A loop begins: the index of the loop.
pub(super) fn begin_loop(t: &mut Translator<'_, '_>) -> u32 {
    let index = t.osr.loops;
    t.osr.loops += 1;
    index
}

/// If the body is entered in loop `loop_index`, fills in the way there: to `header`, whose parameters are on top of the
/// operand stack.
pub(super) fn enter_loop(
    t: &mut Translator<'_, '_>,
    loop_index: u32,
    header: Block,
    params: usize,
) -> Result<(), CompileError> {
    if t.osr.version.entry != BodyEntry::Loop(loop_index) {
        return Ok(());
    }
    let locals = t.osr.liveness.at_loop(loop_index).to_vec();
    come_in(t, 0, &locals, header, params)
}

/// If the body is entered before the present operation, makes a block begin here, and fills in the way there.
pub(super) fn enter_position(t: &mut Translator<'_, '_>) -> Result<(), CompileError> {
    let Some(number) = t.osr.way_in_here() else {
        return Ok(());
    };
    if !t.reachable {
        return Ok(());
    }
    let locals = t.osr.liveness.at_position(t.osr.position);
    let here = t.b.create_block();
    let height = t.stack.len();
    t.osr.keep_slots(&mut t.b, &t.stack, 0..height);
    t.b.ins().jump(here, &[]);
    come_in(t, number, &locals, here, 0)?;
    t.b.switch_to_block(here);
    t.b.seal_block(here);
    t.osr.reload_slots(&mut t.b, &mut t.stack);
    Ok(())
}

/// If the body is entered inside the present operation, a call of a function of type `ty` whose results have just been
/// pushed, makes a block begin here, and fills in the way there: what is left to do of the callee is the code that the
/// next record is for.
pub(super) fn enter_inside(t: &mut Translator<'_, '_>, ty: &FuncType) -> Result<(), CompileError> {
    let Some(number) = t.osr.way_in_inside() else {
        return Ok(());
    };
    let locals = t.osr.liveness.at_position(t.osr.position);
    let here = t.b.create_block();
    t.add_params(here, ty.results());
    let below = t.stack.len() - ty.results().len();
    t.osr.keep_slots(&mut t.b, &t.stack, 0..below);
    let results = t.top_args(ty.results().len());
    t.b.ins().jump(here, &results);
    t.stack.truncate(below);
    if let Some(way_in) = take_way_in(t, number) {
        let record = way_in.record;
        load_frame(t, number, &locals, (way_in, 0))?;
        let flags = MemFlagsData::trusted();
        let next = osr::transfer_value(t.osr.frames[number].len());
        let next = t.b.ins().iadd_imm_s(record, i64::from(next));
        let code = t.b.ins().load(types::I64, flags, next, osr::TRANSFER_CODE);
        let signature = t.b.import_signature(osr::signature(&ty.signature()));
        let args = [t.env.vmctx(), next];
        let call = t.b.ins().call_indirect(signature, code, &args);
        let results: Vec<BlockArg> = t.b.inst_results(call).iter().map(|&r| r.into()).collect();
        t.b.ins().jump(here, &results);
    }
    t.continue_in(here, below);
    Ok(())
}

/// Fills in way in `number`: loads these locals and the operand stack and jumps to `target`, with the `params` operands on
/// top as its parameters.
fn come_in(
    t: &mut Translator<'_, '_>,
    number: usize,
    locals: &[u32],
    target: Block,
    params: usize,
) -> Result<(), CompileError> {
    if let Some(way_in) = take_way_in(t, number) {
        let args = load_frame(t, number, locals, (way_in, params))?;
        t.b.ins().jump(target, &args);
    }
    Ok(())
}

fn take_way_in(t: &mut Translator<'_, '_>, number: usize) -> Option<WayIn> {
    t.osr.ways_in.get_mut(number)?.take()
}

/// Goes on in the block of a way in and loads these locals and the operand stack there, except for the `params` operands
/// on top, which are returned.
fn load_frame(
    t: &mut Translator<'_, '_>,
    number: usize,
    locals: &[u32],
    (way_in, params): (WayIn, usize),
) -> Result<Vec<BlockArg>, CompileError> {
    let values = locals.len() + t.stack.len();
    if values > OSR_VALUES_MAX {
        return Err(CompileError::Bailout(format!(
            "{values} values are live there, more than {OSR_VALUES_MAX}"
        )));
    }
    t.b.switch_to_block(way_in.block);
    let mut frame: Vec<Type> = Vec::with_capacity(values);
    let mut load = |b: &mut FunctionBuilder<'_>, ty: Type| {
        let offset = osr::transfer_value(frame.len());
        frame.push(ty);
        b.ins()
            .load(ty, MemFlagsData::trusted(), way_in.record, offset)
    };
    for &local in locals {
        let value = load(&mut t.b, t.local_types[local as usize]);
        t.b.def_var(Variable::from_u32(local), value);
    }
    let below = t.stack.len() - params;
    let mut args = Vec::with_capacity(params);
    for position in 0..t.stack.len() {
        let ty = t.b.func.dfg.value_type(t.stack[position]);
        let value = load(&mut t.b, ty);
        if position < below {
            t.osr.define_slot(&mut t.b, position, value);
        } else {
            args.push(value.into());
        }
    }
    t.osr.frames[number] = frame;
    Ok(args)
}

/// Marks the header of a loop, which the builder is in.
pub(super) fn mark_loop(t: &mut Translator<'_, '_>, loop_index: u32) {
    if !t.osr.version.osr_points {
        return;
    }
    let locals = t.osr.liveness.at_loop(loop_index).to_vec();
    let mut values = Vec::new();
    // Without values the mark is one that no OSR version is made for.
    if locals.len() + t.stack.len() <= OSR_VALUES_MAX {
        push_frame(t, &locals, &mut values);
    }
    let signature = mark_signature(t, &values);
    let point = symbol::import_osr_point(t.b.func, loop_index, signature);
    t.b.ins().call(point, &values);
}

/// Whether the operation that is being translated may take something for granted, with a guard. To be asked, and the guard
/// to be planted, before the operation has taken anything from the stack or done anything else.
pub(super) fn may_assume(t: &Translator<'_, '_>, reason: GuardReason) -> bool {
    let Some(speculation) = t.osr.version.speculation else {
        return false;
    };
    let position = t.osr.position;
    let values = t.osr.liveness.count_at_position(position) + t.stack.len();
    t.reachable && speculation.allows(position, reason, values)
}

/// Plants a guard before the operation that is being translated: as long as `condition` is not zero, the code goes on.
/// Otherwise the function goes on in tier 0, with this operation. Only where [`may_assume`] says so.
pub(super) fn guard(t: &mut Translator<'_, '_>, condition: Value, reason: GuardReason) {
    let position = t.osr.position;
    let locals = t.osr.liveness.at_position(position);
    let mut arguments = vec![condition];
    push_frame(t, &locals, &mut arguments);
    let signature = mark_signature(t, &arguments);
    let guard = symbol::import_guard(t.b.func, Guard { position, reason }, signature);
    t.b.ins().call(guard, &arguments);
}

/// Plants a guard that holds, if the stress test wants one here.
pub(super) fn stress_guard(t: &mut Translator<'_, '_>) {
    let stress = t.osr.version.speculation.and_then(|s| s.stress);
    let chosen = stress.is_some_and(|s| s.chooses(t.osr.position, t.osr.body_bytes));
    if chosen && may_assume(t, GuardReason::Stress) {
        let holds = t.b.ins().iconst(types::I8, 1);
        guard(t, holds, GuardReason::Stress);
    }
}

/// Marks the call that is made next: with the frame while the callee runs, or as one in the place of this function.
/// Nothing is left of what it takes from the stack.
pub(super) fn mark_call(t: &mut Translator<'_, '_>, is_tail: bool) {
    if t.osr.version.speculation.is_none() {
        return;
    }
    let mut values = Vec::new();
    if !is_tail {
        let locals = t.osr.liveness.at_position(t.osr.position);
        if locals.len() + t.stack.len() > OSR_VALUES_MAX {
            return;
        }
        push_frame(t, &locals, &mut values);
    }
    let signature = mark_signature(t, &values);
    let mark = symbol::import_call_frame(t.b.func, is_tail, signature);
    t.b.ins().call(mark, &values);
}

/// Logs the frame before the operation that is being translated, or at the header of the loop that it is.
pub(super) fn log_frame(t: &mut Translator<'_, '_>) {
    let position = t.osr.position;
    let locals = t.osr.liveness.at_position(position);
    if !t.reachable || locals.len() + t.stack.len() > OSR_VALUES_MAX {
        return;
    }
    let mut values = Vec::new();
    push_frame(t, &locals, &mut values);
    let signature = mark_signature(t, &values);
    let point = symbol::import_frame_point(t.b.func, position, signature);
    t.b.ins().call(point, &values);
}

fn push_frame(t: &mut Translator<'_, '_>, locals: &[u32], values: &mut Vec<Value>) {
    let local = |local: &u32| t.b.use_var(Variable::from_u32(*local));
    values.extend(locals.iter().map(local));
    values.extend_from_slice(&t.stack);
}

fn mark_signature(t: &mut Translator<'_, '_>, values: &[Value]) -> cranelift_codegen::ir::SigRef {
    let mut signature = Signature::new(CallConv::SystemV);
    let param = |value: &Value| AbiParam::new(t.b.func.dfg.value_type(*value));
    signature.params.extend(values.iter().map(param));
    t.b.import_signature(signature)
}

/// A block opens, whose operand stack begins at `height`: keeps what is below.
pub(super) fn keep_slots(t: &mut Translator<'_, '_>, height: usize) {
    // What is below the innermost open block was kept when that was opened, and has not changed since.
    let kept = t.control.last().map_or(0, |frame| frame.height);
    t.osr.keep_slots(&mut t.b, &t.stack, kept..height);
}
