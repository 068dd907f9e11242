//! Calls.

use super::control::skip_unreachable;
use super::resource::table_layout;
use super::state::{Driver, bailout, types};
use crate::types::FuncType;
use crate::vmctx::offset;
use upshift::embed::stencil::{Callee, LoadKind, Ty, results_fit};
use upshift::embed::{CompileError, FuncId, TrapKind};

/// A call of a function by its index, in the place of this one if it is a `tail` call.
pub(super) fn call(d: &mut Driver<'_, '_>, tail: bool) -> Result<(), CompileError> {
    let index = d.reader.u32();
    let callee = named(d, index);
    call_of_type(d, callee, d.info.func_type(index), tail)
}

/// The same through a table.
pub(super) fn call_indirect(d: &mut Driver<'_, '_>, tail: bool) -> Result<(), CompileError> {
    let (ty, table) = (d.reader.u32(), d.reader.u32());
    table_element(d, table, ty);
    let callee = Callee::Record(offset::FUNCREF_SLOT, offset::FUNCREF_VMCTX);
    call_of_type(d, callee, &d.info.types[ty as usize], tail)
}

#[inline]
fn call_of_type(
    d: &mut Driver<'_, '_>,
    callee: Callee,
    ty: &FuncType,
    tail: bool,
) -> Result<(), CompileError> {
    let (params, results) = (ty.params().len(), ty.results());
    if results.len() > 1 && !results_fit(types(results)) {
        return Err(bailout("a call with more results than registers"));
    }
    if tail {
        d.asm.tail_call(callee, params)?;
        return skip_unreachable(d);
    }
    d.call(callee, params, types(results));
    Ok(())
}

fn named(d: &Driver<'_, '_>, index: u32) -> Callee {
    match index.checked_sub(d.info.imported_functions) {
        Some(own) => Callee::Function(FuncId(d.first.0 + own)),
        None => {
            let import = d.info.layout.imported_function(index);
            Callee::Import(
                import + offset::FUNCREF_SLOT,
                import + offset::FUNCREF_VMCTX,
            )
        }
    }
}

/// Replaces the index on top by the address of the record of the function that it leads to.
fn table_element(d: &mut Driver<'_, '_>, table: u32, ty: u32) {
    let layout = table_layout(d, table);
    d.asm.table_element(layout);
    d.asm.follow(LoadKind::Full(Ty::I64), Ty::I64, 0);
    d.asm.trap_if_null(TrapKind::IndirectCallToNull);
    d.asm.trap_unless_same(
        TrapKind::BadSignature,
        offset::FUNCREF_TYPE_ID,
        d.info.layout.type_id(ty),
    );
}
