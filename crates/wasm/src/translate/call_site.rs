//! Indirect calls, counted for a better tier or made direct by what was counted.
//!
//! A reference to one of the module's own functions is an address in the instance's VM context, so that one comparison
//! tells that it is not null, which function it is, and that the function is called with this very context. The
//! function's type is known here. Behind the comparison there is a direct call, which may be inlined, and what remains is
//! the call as it would be without expectations, with its traps in their order.
//!
//! Where no call was of another function, nothing remains, if there is a tier to fall back to: the comparison is a guard,
//! and the code behind it is as straight as that of a direct call.
//!
//! If the table is one that never changes and the function is in one place of it, what is compared is the index, and nothing
//! is read from the table. An index that is a constant then leads to the function at once.

use super::call::{self, Callee};
use super::osr;
use super::state::Translator;
use super::table::table_get;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, DataFlowGraph, InstBuilder, InstructionData, Opcode, Value, types,
};
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

/// The reference that a call goes through: the element of a table at an index. It is read, with its traps, when it is first
/// wanted.
struct Reference {
    table: u32,
    index: Value,
    value: Option<Value>,
}

impl Reference {
    fn read(&mut self, t: &mut Translator<'_, '_>) -> Value {
        let read = || table_get(&mut t.b, &mut t.env, self.table, self.index);
        *self.value.get_or_insert_with(read)
    }

    /// Whether it is that of a function.
    fn leads_to(&mut self, t: &mut Translator<'_, '_>, target: &ExpectedFunction) -> Value {
        if t.osr.takes_facts()
            && let Some(element) = t.env.info().only_element(self.table, target.function)
        {
            let element = t.b.ins().iconst(types::I32, i64::from(element));
            return t.b.ins().icmp(IntCC::Equal, self.index, element);
        }
        let (this, other) = (self.read(t), target.reference(t));
        t.b.ins().icmp(IntCC::Equal, this, other)
    }

    /// The function that it leads to in any case, if it can be called with the module's type `ty`.
    fn known(&self, t: &Translator<'_, '_>, ty: u32) -> Option<u32> {
        let index = constant(&t.b.func.dfg, self.index).filter(|_| t.osr.takes_facts())?;
        let info = t.env.info();
        let function = info.unchanged_element(self.table, index)?;
        (info.func_type(function) == &info.types[ty as usize]).then_some(function)
    }
}

/// An integer, if it is a constant of 32 bits.
fn constant(dfg: &DataFlowGraph, value: Value) -> Option<u32> {
    let inst = dfg.value_def(value).inst()?;
    match dfg.insts[inst] {
        InstructionData::UnaryImm {
            opcode: Opcode::Iconst,
            imm,
        } => Some(imm.bits() as u32),
        _ => None,
    }
}

/// A function of the module that a call is expected to lead to.
struct ExpectedFunction {
    function: u32,
    /// Where its reference is in the VM context.
    offset: i32,
}

impl ExpectedFunction {
    fn reference(&self, t: &mut Translator<'_, '_>) -> Value {
        let offset = i64::from(self.offset);
        t.b.ins().iadd_imm_s(t.env.vmctx(), offset)
    }
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
    let mut reference = Reference {
        table,
        index: t.top(1)[0],
        value: None,
    };
    let only = reference.known(t, ty);
    let only = only.or_else(|| only_target(t, number, ty, &mut reference));
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
    for target in expected {
        let same = reference.leads_to(t, &target);
        let (direct, other) = (t.b.create_block(), t.b.create_block());
        t.b.ins().brif(same, direct, &[], other, &[]);
        t.b.switch_to_block(direct);
        t.b.seal_block(direct);
        if t.call_sites.marked {
            let reference = target.reference(t);
            let slot = call::slot(&mut t.b, reference);
            mark(t, site.number, slot);
        }
        let callee = call::function(&mut t.b, &mut t.env, target.function);
        finish(t, &site, callee);
        t.b.switch_to_block(other);
        t.b.seal_block(other);
    }
    let reference = reference.read(t);
    let (callee, slot) = call::reference(&mut t.b, &mut t.env, ty, reference);
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
fn only_target(
    t: &mut Translator<'_, '_>,
    site: u32,
    ty: u32,
    reference: &mut Reference,
) -> Option<u32> {
    t.call_sites.targets.only(site)?;
    let [target] = &expected(t, site, ty)[..] else {
        return None;
    };
    if !osr::may_assume(t, GuardReason::CallTarget) {
        return None;
    }
    let same = reference.leads_to(t, target);
    osr::guard(t, same, GuardReason::CallTarget);
    Some(target.function)
}

/// The functions to expect that a call with type `ty` can lead to.
fn expected(t: &Translator<'_, '_>, site: u32, ty: u32) -> Vec<ExpectedFunction> {
    let info = t.env.info();
    let targets = t.call_sites.targets.of(site).iter();
    let known = targets.filter_map(|id| {
        let function = info.imported_functions + t.env.own_function(*id)?;
        let same_type = info.func_type(function) == &info.types[ty as usize];
        let offset = info.funcref_offset(function).filter(|_| same_type)?;
        Some(ExpectedFunction { function, offset })
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
