//! Indirect calls, counted for a better tier or made direct by what was counted.
//!
//! A reference to one of the module's own functions is an address in the instance's VM context, so that one comparison
//! tells that it is not null, which function it is, and that the function is called with this very context. The
//! function's type is known here. Behind the comparison there is a direct call, which may be inlined, and what remains is
//! the call as it would be without expectations, with its traps in their order.
//!
//! Where no call was of another function, nothing remains, if there is a tier to fall back to: the comparison is a guard,
//! and the code behind it is as straight as that of a direct call.

use super::call::{self, Callee};
use super::osr;
use super::state::Translator;
use super::table::table_get;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value};
use upshift::embed::{CompileError, GuardReason, symbol};
use wasmparser::Operator;

/// Whether `operator` may have a guard inside.
pub(super) fn is_guarded(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. }
    )
}

/// Whether `operator` may call a function by name, in the end, or has a guard inside.
pub(super) fn is_call(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. } | Operator::ReturnCall { .. }
    ) || is_guarded(operator)
}

/// What becomes of the calls of one site.
struct Site {
    number: u32,
    args: Vec<Value>,
    /// Where the code goes on with the results, if several calls are made of one.
    join: Option<Block>,
    is_tail: bool,
}

/// `call_indirect` and `return_call_indirect` through `table` with the module's type `ty`, the index being on top.
pub(super) fn call_indirect(
    t: &mut Translator<'_, '_>,
    table: u32,
    ty: u32,
    is_tail: bool,
) -> Result<(), CompileError> {
    let function_type = &t.env.info().types[ty as usize];
    let number = t.call_sites.next();
    let index = t.top(1)[0];
    let funcref = table_get(&mut t.b, &mut t.env, table, index);
    let only = only_target(t, number, ty, funcref);
    t.pop();
    let bottom = t.stack.len() - function_type.params().len();
    let mut site = Site {
        number,
        args: t.stack.split_off(bottom),
        join: None,
        is_tail,
    };
    if let Some(function) = only {
        let callee = call::function(&mut t.b, &mut t.env, function);
        finish(t, &site, callee);
        t.reachable = !is_tail;
        return Ok(());
    }
    let expected = expected(t, site.number, ty);
    if !expected.is_empty() && !is_tail {
        let join = t.b.create_block();
        t.add_params(join, function_type.results());
        site.join = Some(join);
    }
    for (function, offset) in expected {
        let same = is_reference(t, funcref, offset);
        let (direct, other) = (t.b.create_block(), t.b.create_block());
        t.b.ins().brif(same, direct, &[], other, &[]);
        t.b.switch_to_block(direct);
        t.b.seal_block(direct);
        if t.call_sites.marked {
            let slot = call::slot(&mut t.b, funcref);
            mark(t, site.number, slot);
        }
        let callee = call::function(&mut t.b, &mut t.env, function);
        finish(t, &site, callee);
        t.b.switch_to_block(other);
        t.b.seal_block(other);
    }
    let (callee, slot) = call::reference(&mut t.b, &mut t.env, ty, funcref);
    if t.call_sites.marked {
        mark(t, site.number, slot);
    }
    finish(t, &site, callee);
    if let Some(join) = site.join {
        t.b.switch_to_block(join);
        t.b.seal_block(join);
        t.stack.extend_from_slice(t.b.block_params(join));
    }
    t.reachable = !is_tail;
    match is_tail {
        true => Ok(()),
        false => osr::enter_inside(t, function_type),
    }
}

/// The function that is called if it was the only one so far. Plants a guard of that, with the index still on top.
fn only_target(t: &mut Translator<'_, '_>, site: u32, ty: u32, funcref: Value) -> Option<u32> {
    t.call_sites.targets.only(site)?;
    let &[(function, offset)] = &expected(t, site, ty)[..] else {
        return None;
    };
    if !osr::may_assume(t, GuardReason::CallTarget) {
        return None;
    }
    let same = is_reference(t, funcref, offset);
    osr::guard(t, same, GuardReason::CallTarget);
    Some(function)
}

/// Whether `funcref` is the reference that is at that place of the VM context.
fn is_reference(t: &mut Translator<'_, '_>, funcref: Value, offset: i32) -> Value {
    let reference = t.b.ins().iadd_imm_s(t.env.vmctx(), i64::from(offset));
    t.b.ins().icmp(IntCC::Equal, funcref, reference)
}

/// The functions to expect that a call with type `ty` can lead to, with where their references are in the VM context.
fn expected(t: &Translator<'_, '_>, site: u32, ty: u32) -> Vec<(u32, i32)> {
    let info = t.env.info();
    let targets = t.call_sites.targets.of(site).iter();
    let known = targets.filter_map(|id| {
        let function = info.imported_functions + t.env.own_function(*id)?;
        let same_type = info.func_type(function) == &info.types[ty as usize];
        let offset = info.funcref_offset(function).filter(|_| same_type)?;
        Some((function, offset))
    });
    known.collect()
}

/// Calls, and goes on where all calls of the site do.
fn finish(t: &mut Translator<'_, '_>, site: &Site, callee: Callee) {
    if callee.is_named() {
        osr::mark_call(t, site.is_tail);
    }
    if site.is_tail {
        call::return_call(&mut t.b, callee, &site.args);
        return;
    }
    let call = call::call(&mut t.b, callee, &site.args);
    let Some(join) = site.join else {
        t.stack.extend_from_slice(t.b.inst_results(call));
        return;
    };
    let results: Vec<BlockArg> = t.b.inst_results(call).iter().map(|&r| r.into()).collect();
    t.b.ins().jump(join, &results);
}

/// Marks a call of the function whose entry slot is at `slot`.
fn mark(t: &mut Translator<'_, '_>, site: u32, slot: Value) {
    let mark = symbol::import_call_site(t.b.func, site);
    t.b.ins().call(mark, &[slot]);
}
