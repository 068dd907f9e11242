//! Globals, tables, references, and operations on a memory or table as a whole.

use super::state::{Driver, bailout, ty};
use crate::types::{PAGE_SHIFT, ValType};
use crate::vmctx::{Builtin, GlobalPlace, STATUS_INTERRUPTED, offset};
use upshift::embed::stencil::{Argument, LoadKind, ShiftOp, TableLayout, Ty};
use upshift::embed::{CompileError, TrapKind};
use wasmparser::Operator;

use Argument::{Constant, Operand};

/// One of these operations, if the operator is one.
pub(super) fn resource(
    d: &mut Driver<'_, '_>,
    operator: &Operator<'_>,
) -> Result<bool, CompileError> {
    match *operator {
        Operator::TableGet { table } => {
            let layout = table_layout(d, table);
            d.asm.table_element(layout);
            d.asm.follow(LoadKind::Full(Ty::I64), Ty::I64, 0);
        }
        Operator::TableSet { table } => {
            let value = d.asm.pop();
            let layout = table_layout(d, table);
            d.asm.table_element(layout);
            d.asm.push_again(value);
            d.asm.store_behind(0);
        }
        Operator::TableSize { table } => {
            let header = d.info.layout.table(table);
            d.asm
                .push_context_field(LoadKind::Full(Ty::I64), Ty::I64, header);
            d.asm
                .follow(LoadKind::Unsigned32, Ty::I32, offset::TABLE_LEN);
        }
        Operator::MemorySize { mem } => {
            let memory = d.info.layout.memory(mem) + offset::MEMORY_ENTRY_MEMORY;
            d.asm
                .push_context_field(LoadKind::Full(Ty::I64), Ty::I64, memory);
            d.asm
                .follow(LoadKind::Full(Ty::I64), Ty::I64, offset::MEMORY_BYTES);
            d.asm.push_constant(Ty::I64, u64::from(PAGE_SHIFT));
            d.asm.shift(ShiftOp::ShrU, true);
            d.asm.wrap();
        }
        Operator::RefNull { .. } => d.asm.push_constant(Ty::I64, 0),
        Operator::RefIsNull => {
            let condition = d.asm.int_test(true, false).inverted();
            d.asm.push_condition(condition);
        }
        Operator::RefFunc { function_index } => {
            let record = d.info.funcref_offset(function_index);
            let record = record.ok_or_else(|| bailout("a reference that is not announced"))?;
            d.asm.push_context_address(record);
        }
        _ => return helper(d, operator),
    }
    Ok(true)
}

/// `global.get`.
pub(super) fn global_get(d: &mut Driver<'_, '_>) {
    let index = d.reader.u32();
    let content = d.info.globals[index as usize].content;
    let ty = ty(content);
    if let (Some(bits), false) = (d.info.constant_global(index), content == ValType::V128) {
        let mask = if matches!(ty, Ty::I32 | Ty::F32) {
            u64::from(u32::MAX)
        } else {
            u64::MAX
        };
        d.asm.push_constant(ty, bits as u64 & mask);
        return;
    }
    match d.info.layout.global(index) {
        GlobalPlace::Inline(offset) => d.asm.push_context_field(LoadKind::Full(ty), ty, offset),
        GlobalPlace::Pointer(offset) => {
            d.asm
                .push_context_field(LoadKind::Full(Ty::I64), Ty::I64, offset);
            d.asm.follow(LoadKind::Full(ty), ty, 0);
        }
    }
}

/// `global.set`.
pub(super) fn global_set(d: &mut Driver<'_, '_>) {
    let index = d.reader.u32();
    match d.info.layout.global(index) {
        GlobalPlace::Inline(offset) => d.asm.pop_context_field(offset),
        GlobalPlace::Pointer(offset) => {
            let value = d.asm.pop();
            d.asm
                .push_context_field(LoadKind::Full(Ty::I64), Ty::I64, offset);
            d.asm.push_again(value);
            d.asm.store_behind(0);
        }
    }
}

/// Where a table is.
pub(super) fn table_layout(d: &Driver<'_, '_>, table: u32) -> TableLayout {
    TableLayout {
        header: d.info.layout.table(table),
        len: offset::TABLE_LEN,
        elements: offset::TABLE_ELEMENTS,
    }
}

/// An operation that a helper function does.
fn helper(d: &mut Driver<'_, '_>, operator: &Operator<'_>) -> Result<bool, CompileError> {
    const MEMORY: Option<TrapKind> = Some(TrapKind::MemoryOutOfBounds);
    const TABLE: Option<TrapKind> = Some(TrapKind::TableOutOfBounds);
    match *operator {
        Operator::MemoryGrow { mem } => grow(d, Builtin::memory_grow, &[Constant(mem), Operand]),
        Operator::TableGrow { table } => {
            // The helper takes the number of elements before their value.
            let (delta, value) = (d.asm.pop(), d.asm.pop());
            d.asm.push_again(delta);
            d.asm.push_again(value);
            grow(d, Builtin::table_grow, &[Constant(table), Operand, Operand]);
        }
        Operator::MemoryFill { mem } => {
            let args = [Constant(mem), Operand, Operand, Operand];
            checked(d, Builtin::memory_fill, &args, MEMORY);
        }
        Operator::MemoryCopy { dst_mem, src_mem } => {
            let args = [
                Constant(dst_mem),
                Constant(src_mem),
                Operand,
                Operand,
                Operand,
            ];
            checked(d, Builtin::memory_copy, &args, MEMORY);
        }
        Operator::MemoryInit { data_index, mem } => {
            let args = [
                Constant(mem),
                Constant(data_index),
                Operand,
                Operand,
                Operand,
            ];
            checked(d, Builtin::memory_init, &args, MEMORY);
        }
        Operator::DataDrop { data_index } => {
            checked(d, Builtin::data_drop, &[Constant(data_index)], None);
        }
        Operator::TableFill { table } => {
            let args = [Constant(table), Operand, Operand, Operand];
            checked(d, Builtin::table_fill, &args, TABLE);
        }
        Operator::TableCopy {
            dst_table,
            src_table,
        } => {
            let tables = [Constant(dst_table), Constant(src_table)];
            let args = [tables[0], tables[1], Operand, Operand, Operand];
            checked(d, Builtin::table_copy, &args, TABLE);
        }
        Operator::TableInit { elem_index, table } => {
            let args = [
                Constant(table),
                Constant(elem_index),
                Operand,
                Operand,
                Operand,
            ];
            checked(d, Builtin::table_init, &args, TABLE);
        }
        Operator::ElemDrop { elem_index } => {
            checked(d, Builtin::elem_drop, &[Constant(elem_index)], None);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Calls a helper function whose result is a size or -1.
fn grow(d: &mut Driver<'_, '_>, helper: Builtin, arguments: &[Argument]) {
    let table = offset::VMCONTEXT_BUILTINS;
    d.asm
        .call_helper(table, helper.offset, arguments, Some(Ty::I32));
}

/// Calls a helper function, and traps if it can fail and did.
fn checked(
    d: &mut Driver<'_, '_>,
    helper: Builtin,
    arguments: &[Argument],
    trap: Option<TrapKind>,
) {
    let table = offset::VMCONTEXT_BUILTINS;
    let status = trap.map(|_| Ty::I32);
    d.asm.call_helper(table, helper.offset, arguments, status);
    if let Some(kind) = trap {
        if d.info.options.interruptible {
            d.asm
                .trap_if_equal(TrapKind::Interrupted, STATUS_INTERRUPTED as i32);
        }
        d.asm.trap_if_failed(kind);
    }
}
