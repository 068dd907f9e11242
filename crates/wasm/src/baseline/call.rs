//! Calls.

use super::control::end_of_unreachable;
use super::resource::table_layout;
use super::state::{Driver, bailout, types};
use crate::types::FuncType;
use crate::vmctx::offset;
use upshift::embed::stencil::{Callee, LoadKind, Ty, results_fit};
use upshift::embed::{CompileError, FuncId, TrapKind};
use wasmparser::Operator;

/// A call of any kind.
pub(super) fn call<'m>(
    d: &mut Driver<'m, '_>,
    operator: &Operator<'m>,
) -> Result<(), CompileError> {
    let info = d.info;
    let (callee, ty): (Callee, &FuncType) = match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            (named(d, function_index), info.func_type(function_index))
        }
        Operator::CallIndirect {
            type_index,
            table_index,
        }
        | Operator::ReturnCallIndirect {
            type_index,
            table_index,
        } => {
            table_element(d, table_index, type_index);
            let callee = Callee::Record(offset::FUNCREF_SLOT, offset::FUNCREF_VMCTX);
            (callee, &info.types[type_index as usize])
        }
        _ => return Err(bailout("a kind of call")),
    };
    if !results_fit(types(ty.results())) {
        return Err(bailout("a call with more results than registers"));
    }
    if matches!(
        operator,
        Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. }
    ) {
        d.asm.tail_call(callee, ty.params().len())?;
        end_of_unreachable(d);
    } else {
        d.asm.call(callee, ty.params().len(), types(ty.results()));
    }
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
