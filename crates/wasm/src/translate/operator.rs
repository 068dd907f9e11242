//! Which code an operator is, and what it takes from the operand stack and puts there.

use super::state::{Translator, not_supported};
use super::{branch, bulk, call, call_site, control, env, global, memory, osr, reference, table};
use crate::lower;
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::Variable;
use upshift::embed::{CompileError, TrapKind};
use wasmparser::{MemArgTarget, Operator};

/// Translates one operator.
pub(super) fn operator(
    t: &mut Translator<'_, '_>,
    operator: &Operator<'_>,
) -> Result<(), CompileError> {
    if !t.reachable {
        control::unreachable_operator(t, operator);
        return Ok(());
    }
    match *operator {
        Operator::LocalGet { local_index } => {
            let value = t.b.use_var(Variable::from_u32(local_index));
            t.push(value);
        }
        Operator::LocalSet { local_index } => {
            let value = t.pop();
            t.b.def_var(Variable::from_u32(local_index), value);
        }
        Operator::LocalTee { local_index } => {
            let value = t.top(1)[0];
            t.b.def_var(Variable::from_u32(local_index), value);
        }
        Operator::Drop => drop(t.pop()),
        Operator::Nop => {}
        Operator::Select | Operator::TypedSelect { .. } => select(t),
        Operator::Block { blockty } => control::block(t, blockty)?,
        Operator::Loop { blockty } => control::loop_(t, blockty)?,
        Operator::If { blockty } => control::if_(t, blockty)?,
        Operator::Else => control::else_(t),
        Operator::End => control::end(t),
        Operator::Br { relative_depth } => branch::br(t, relative_depth),
        Operator::BrIf { relative_depth } => branch::br_if(t, relative_depth),
        Operator::BrTable { ref targets } => branch::br_table(t, targets)?,
        Operator::Return => branch::return_(t),
        Operator::Unreachable => {
            t.b.ins().trap(env::trap_code(TrapKind::Unreachable));
            t.reachable = false;
        }
        Operator::Call { function_index } => call(t, function_index, false)?,
        Operator::ReturnCall { function_index } => call(t, function_index, true)?,
        Operator::CallIndirect {
            type_index,
            table_index,
        } => call_site::call_indirect(t, table_index, type_index, false)?,
        Operator::ReturnCallIndirect {
            type_index,
            table_index,
        } => call_site::call_indirect(t, table_index, type_index, true)?,
        Operator::GlobalGet { global_index } => {
            let takes_facts = t.osr.takes_facts();
            let value = global::global_get(&mut t.b, &mut t.env, global_index, takes_facts);
            t.push(value);
        }
        Operator::GlobalSet { global_index } => {
            let value = t.pop();
            global::global_set(&mut t.b, &mut t.env, global_index, value);
        }
        _ => {
            if !value_operation(t, operator) && !access(t, operator) {
                resource_operation(t, operator)?;
            }
        }
    }
    Ok(())
}

/// `select`, with the condition as the comparison before it left it.
fn select(t: &mut Translator<'_, '_>) {
    let [mut x, mut y, operand] = t.pop_array();
    let (condition, inverted) = branch::condition(&t.b.func.dfg, operand);
    if inverted {
        std::mem::swap(&mut x, &mut y);
    }
    let value = lower::parametric::select(&mut t.b, x, y, condition);
    t.push(value);
}

/// An operation that only computes, if the operator is one.
fn value_operation(t: &mut Translator<'_, '_>, operator: &Operator<'_>) -> bool {
    let Some(operation) = lower::operation(operator) else {
        return false;
    };
    let bottom = t.stack.len() - operation.operands.len();
    let result = operation.lower(&mut t.b, &t.stack[bottom..]);
    t.stack.truncate(bottom);
    t.push(result);
    true
}

/// A load or store, if the operator is one.
fn access(t: &mut Translator<'_, '_>, operator: &Operator<'_>) -> bool {
    let Some(access) = lower::access(operator) else {
        return false;
    };
    let MemArgTarget::Memory(memory) = access.memarg.target else {
        return false;
    };
    let bottom = t.stack.len() - access.operands.len();
    let index = t.stack[bottom - 1];
    let offset = access.memarg.offset;
    let location = memory::location(&mut t.b, &mut t.env, memory, index, offset, access.bytes);
    let result = access.lower(&mut t.b, location, &t.stack[bottom..]);
    t.stack.truncate(bottom - 1);
    t.stack.extend(result);
    true
}

/// `call` and `return_call`.
fn call(t: &mut Translator<'_, '_>, function: u32, is_tail: bool) -> Result<(), CompileError> {
    let callee = call::function(&mut t.b, &mut t.env, function);
    let ty = t.env.info().func_type(function);
    let args = t.stack.split_off(t.stack.len() - ty.params().len());
    if callee.is_named() {
        osr::mark_call(t, is_tail);
    }
    if is_tail {
        call::return_call(&mut t.b, callee, &args);
        t.reachable = false;
        return Ok(());
    }
    let call = call::call(&mut t.b, callee, &args);
    t.stack.extend_from_slice(t.b.inst_results(call));
    osr::enter_inside(t, ty)
}

/// An operation on a reference, a table, or a memory as a whole.
fn resource_operation(
    t: &mut Translator<'_, '_>,
    operator: &Operator<'_>,
) -> Result<(), CompileError> {
    let result: Option<Value> = match *operator {
        Operator::MemorySize { mem } => Some(memory::memory_size(&mut t.b, &t.env, mem)),
        Operator::MemoryGrow { mem } => {
            let delta = t.pop();
            Some(memory::memory_grow(&mut t.b, &mut t.env, mem, delta))
        }
        Operator::TableGet { table } => {
            let index = t.pop();
            Some(table::table_get(&mut t.b, &mut t.env, table, index))
        }
        Operator::TableSet { table } => {
            let [index, value] = t.pop_array();
            table::table_set(&mut t.b, &mut t.env, table, index, value);
            None
        }
        Operator::TableSize { table } => Some(table::table_size(&mut t.b, &mut t.env, table)),
        Operator::TableGrow { table } => {
            let [value, delta] = t.pop_array();
            Some(table::table_grow(&mut t.b, &mut t.env, table, value, delta))
        }
        Operator::RefNull { .. } => Some(reference::ref_null(&mut t.b)),
        Operator::RefIsNull => {
            let value = t.pop();
            Some(reference::ref_is_null(&mut t.b, value))
        }
        Operator::RefFunc { function_index } => {
            let value = reference::ref_func(&mut t.b, &t.env, function_index);
            Some(value.ok_or_else(|| not_supported(operator))?)
        }
        _ => {
            bulk_operation(t, operator)?;
            None
        }
    };
    t.stack.extend(result);
    Ok(())
}

/// An operation on a range of a memory or table, or on a segment.
fn bulk_operation(t: &mut Translator<'_, '_>, operator: &Operator<'_>) -> Result<(), CompileError> {
    match *operator {
        Operator::MemoryFill { mem } => {
            let range = t.pop_array();
            bulk::memory_fill(&mut t.b, &mut t.env, mem, range);
        }
        Operator::MemoryCopy { dst_mem, src_mem } => {
            let range = t.pop_array();
            bulk::memory_copy(&mut t.b, &mut t.env, [dst_mem, src_mem], range);
        }
        Operator::MemoryInit { data_index, mem } => {
            let range = t.pop_array();
            bulk::memory_init(&mut t.b, &mut t.env, mem, data_index, range);
        }
        Operator::DataDrop { data_index } => bulk::data_drop(&mut t.b, &mut t.env, data_index),
        Operator::TableFill { table } => {
            let range = t.pop_array();
            bulk::table_fill(&mut t.b, &mut t.env, table, range);
        }
        Operator::TableCopy {
            dst_table,
            src_table,
        } => {
            let range = t.pop_array();
            bulk::table_copy(&mut t.b, &mut t.env, [dst_table, src_table], range);
        }
        Operator::TableInit { elem_index, table } => {
            let range = t.pop_array();
            bulk::table_init(&mut t.b, &mut t.env, table, elem_index, range);
        }
        Operator::ElemDrop { elem_index } => bulk::elem_drop(&mut t.b, &mut t.env, elem_index),
        _ => return Err(not_supported(operator)),
    }
    Ok(())
}
