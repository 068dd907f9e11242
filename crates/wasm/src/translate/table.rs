//! Tables: their elements and sizes.

use super::env::{Env, Region, trap_code, trusted};
use crate::vmctx::{Builtin, offset};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::FunctionBuilder;
use upshift::embed::TrapKind;

/// `table.get`: element `index` of a table.
pub fn table_get(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    table: u32,
    index: Value,
) -> Value {
    let address = element_address(b, env, table, index);
    let flags = trusted(b, Region::Elements);
    b.ins().load(I64, flags, address, 0)
}

/// `table.set`: makes element `index` of a table `value`.
pub fn table_set(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    table: u32,
    index: Value,
    value: Value,
) {
    let address = element_address(b, env, table, index);
    let flags = trusted(b, Region::Elements);
    b.ins().store(flags, value, address, 0);
}

/// `table.size`: the number of elements, an `i32`.
pub fn table_size(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, table: u32) -> Value {
    let len = table_len(b, env, table);
    b.ins().ireduce(I32, len)
}

/// `table.grow`: grows a table by `delta` elements that are `value`; the size before, or -1.
pub fn table_grow(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    table: u32,
    value: Value,
    delta: Value,
) -> Value {
    let delta = b.ins().uextend(I64, delta);
    let table = b.ins().iconst(I32, i64::from(table));
    let call = env.call_builtin(b, Builtin::table_grow, &[table, delta, value]);
    let before = b.inst_results(call)[0];
    b.ins().ireduce(I32, before)
}

/// The address of element `index`. Traps if there is no such element.
fn element_address(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    table: u32,
    index: Value,
) -> Value {
    let index = b.ins().uextend(I64, index);
    let len = table_len(b, env, table);
    let in_bounds = b.ins().icmp(IntCC::UnsignedLessThan, index, len);
    b.ins()
        .trapz(in_bounds, trap_code(TrapKind::TableOutOfBounds));

    let header = table_header(b, env, table);
    let elements = if env.info().tables[table as usize].is_fixed() {
        env.load_fixed(b, I64, header, offset::TABLE_ELEMENTS)
    } else {
        let flags = trusted(b, Region::Tables);
        b.ins().load(I64, flags, header, offset::TABLE_ELEMENTS)
    };
    let distance = b.ins().ishl_imm_u(index, 3);
    b.ins().iadd(elements, distance)
}

/// The number of elements, an `i64`.
fn table_len(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, table: u32) -> Value {
    let ty = &env.info().tables[table as usize];
    if ty.is_fixed() {
        return b.ins().iconst(I64, i64::from(ty.min));
    }
    let header = table_header(b, env, table);
    let flags = trusted(b, Region::Tables);
    b.ins().load(I64, flags, header, offset::TABLE_LEN)
}

fn table_header(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, table: u32) -> Value {
    env.load_fixed(b, I64, env.vmctx(), env.info().layout.table(table))
}
