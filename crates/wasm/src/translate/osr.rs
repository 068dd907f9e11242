//! On-stack replacement: the marks at loop headers, and bodies that are entered at one.
//!
//! What travels is, in this order: the locals that are live at the header, then the whole operand stack, the loop's
//! parameters on top. See [`upshift::embed::osr`] for how.
//!
//! An OSR version is the whole function with a second way in. What comes before the loop is translated too, because a
//! loop around it may come there again; whatever cannot be reached any more is then removed. Values on the operand stack
//! below the loop now have two sources, so there they are variables; see [`super::version`].

use super::state::Translator;
use super::version::{Osr, WayIn};
use cranelift_codegen::Context;
use cranelift_codegen::ir::{Block, Function, InstBuilder, MemFlagsData, Signature, Type, Value};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::settings::{self, Configurable, Flags};
use cranelift_frontend::{FunctionBuilder, Variable};
use upshift::embed::{CompileError, osr, symbol};

/// A loop with more live values is not moved in: what moving costs, also while it does not happen, grows with them.
pub const OSR_VALUES_MAX: usize = 256;

/// Makes the way in of an OSR version, whose entry block the builder is in, and goes on in the block in which the
/// function used to begin.
pub(super) fn way_in(b: &mut FunctionBuilder<'_>, osr: &mut Osr, entry: Block) {
    let Some(&record) = b.block_params(entry).last() else {
        return;
    };
    let block = b.create_block();
    b.ins().jump(block, &[]);
    b.seal_block(block);
    osr.way_in = Some(WayIn { block, record });
    let start = b.create_block();
    b.switch_to_block(start);
    b.seal_block(start);
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
    if t.osr.version.entered_in != Some(loop_index) {
        return Ok(());
    }
    let Some(way_in) = t.osr.way_in.take() else {
        return Ok(());
    };
    let locals: Vec<u32> = t.osr.liveness.at_loop(loop_index).to_vec();
    let values = locals.len() + t.stack.len();
    if values > OSR_VALUES_MAX {
        return Err(CompileError::Bailout(format!(
            "{values} values are live at the loop, more than {OSR_VALUES_MAX}"
        )));
    }
    t.b.switch_to_block(way_in.block);
    let mut index = 0;
    let mut load = |b: &mut FunctionBuilder<'_>, ty: Type| {
        let offset = osr::transfer_value(index);
        index += 1;
        b.ins()
            .load(ty, MemFlagsData::trusted(), way_in.record, offset)
    };
    for local in locals {
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
    t.b.ins().jump(header, &args);
    Ok(())
}

/// Marks the header of a loop, which the builder is in.
pub(super) fn mark_loop(t: &mut Translator<'_, '_>, loop_index: u32) {
    if !t.osr.version.points {
        return;
    }
    let locals = t.osr.liveness.at_loop(loop_index);
    let mut values = Vec::new();
    // Without values the mark is one that no OSR version is made for.
    if locals.len() + t.stack.len() <= OSR_VALUES_MAX {
        let local = |local: &u32| t.b.use_var(Variable::from_u32(*local));
        values.extend(locals.iter().map(local));
        values.extend_from_slice(&t.stack);
    }
    let mut signature = Signature::new(CallConv::SystemV);
    let param = |value: &Value| t.b.func.dfg.value_type(*value);
    let params = values.iter().map(param);
    signature
        .params
        .extend(params.map(cranelift_codegen::ir::AbiParam::new));
    let signature = t.b.import_signature(signature);
    let point = symbol::import_osr_point(t.b.func, loop_index, signature);
    t.b.ins().call(point, &values);
}

/// A block opens, whose operand stack begins at `height`: keeps what is below.
pub(super) fn keep_slots(t: &mut Translator<'_, '_>, height: usize) {
    // What is below the innermost open block was kept when that was opened, and has not changed since.
    let kept = t.control.last().map_or(0, |frame| frame.height);
    t.osr.keep_slots(&mut t.b, &t.stack, kept..height);
}

/// Removes the blocks that cannot be reached from the entry.
pub(super) fn remove_unreachable(function: Function) -> Result<Function, CompileError> {
    let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
    let mut flags = settings::builder();
    flags
        .set("enable_verifier", "false")
        .map_err(|error| failed(&error))?;
    let mut context = Context::for_function(function);
    context.compute_cfg();
    context.compute_domtree();
    context
        .eliminate_unreachable_code(&Flags::new(flags))
        .map_err(|error| failed(&error))?;
    Ok(context.func)
}
