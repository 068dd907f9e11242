//! The operations on ranges of memories and tables: helper functions do them, and say whether the ranges were in bounds.

use super::env::{Env, trap_code};
use crate::vmctx::{Builtin, STATUS_INTERRUPTED};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, TrapCode, Value};
use cranelift_frontend::FunctionBuilder;
use upshift::embed::TrapKind;

/// `memory.fill`.
pub fn memory_fill(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    memory: u32,
    [start, value, len]: [Value; 3],
) {
    let args = [index(b, memory), wide(b, start), value, wide(b, len)];
    checked(
        b,
        env,
        Builtin::memory_fill,
        &args,
        TrapCode::HEAP_OUT_OF_BOUNDS,
    );
}

/// `memory.copy`.
pub fn memory_copy(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    [to_memory, from_memory]: [u32; 2],
    [to, from, len]: [Value; 3],
) {
    let memories = [index(b, to_memory), index(b, from_memory)];
    let args = [
        memories[0],
        memories[1],
        wide(b, to),
        wide(b, from),
        wide(b, len),
    ];
    checked(
        b,
        env,
        Builtin::memory_copy,
        &args,
        TrapCode::HEAP_OUT_OF_BOUNDS,
    );
}

/// `memory.init`.
pub fn memory_init(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    memory: u32,
    segment: u32,
    [to, from, len]: [Value; 3],
) {
    let args = [index(b, memory), index(b, segment), wide(b, to), from, len];
    checked(
        b,
        env,
        Builtin::memory_init,
        &args,
        TrapCode::HEAP_OUT_OF_BOUNDS,
    );
}

/// `data.drop`.
pub fn data_drop(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, segment: u32) {
    let segment = index(b, segment);
    env.call_builtin(b, Builtin::data_drop, &[segment]);
}

/// `table.fill`.
pub fn table_fill(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    table: u32,
    [start, value, len]: [Value; 3],
) {
    let args = [index(b, table), wide(b, start), value, wide(b, len)];
    checked(
        b,
        env,
        Builtin::table_fill,
        &args,
        trap_code(TrapKind::TableOutOfBounds),
    );
}

/// `table.copy`.
pub fn table_copy(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    [to_table, from_table]: [u32; 2],
    [to, from, len]: [Value; 3],
) {
    let tables = [index(b, to_table), index(b, from_table)];
    let args = [
        tables[0],
        tables[1],
        wide(b, to),
        wide(b, from),
        wide(b, len),
    ];
    checked(
        b,
        env,
        Builtin::table_copy,
        &args,
        trap_code(TrapKind::TableOutOfBounds),
    );
}

/// `table.init`.
pub fn table_init(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    table: u32,
    segment: u32,
    [to, from, len]: [Value; 3],
) {
    let args = [index(b, table), index(b, segment), wide(b, to), from, len];
    checked(
        b,
        env,
        Builtin::table_init,
        &args,
        trap_code(TrapKind::TableOutOfBounds),
    );
}

/// `elem.drop`.
pub fn elem_drop(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, segment: u32) {
    let segment = index(b, segment);
    env.call_builtin(b, Builtin::elem_drop, &[segment]);
}

/// Calls a helper function that returns a status, and traps if it is not the good one.
fn checked(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    builtin: Builtin,
    args: &[Value],
    trap: TrapCode,
) {
    let call = env.call_builtin(b, builtin, args);
    let status = b.inst_results(call)[0];
    if env.info().options.interruptible {
        let interrupted = i64::from(STATUS_INTERRUPTED);
        let interrupted = b.ins().icmp_imm_u(IntCC::Equal, status, interrupted);
        b.ins()
            .trapnz(interrupted, trap_code(TrapKind::Interrupted));
    }
    b.ins().trapnz(status, trap);
}

fn index(b: &mut FunctionBuilder<'_>, index: u32) -> Value {
    b.ins().iconst(I32, i64::from(index))
}

fn wide(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    b.ins().uextend(I64, value)
}
