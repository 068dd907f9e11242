//! Which frames are logged; see [`upshift::embed::frame_log`].
//!
//! References are addresses in an instance, which are others in each run, and a frame does not tell them from numbers. So
//! functions that handle references are left out.

use super::call_site::is_guarded;
use crate::info::ModuleInfo;
use crate::types::{FuncType, ValType};
use upshift::embed::CompileError;
use upshift::embed::frame_log::FrameLog;
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// Where frames of function `own` are logged: nowhere if it handles references.
///
/// # Errors
/// If the body cannot be read.
pub fn frames_logged(
    info: &ModuleInfo,
    own: u32,
    body: &FunctionBody<'_>,
    log: Option<FrameLog>,
) -> Result<Option<FrameLog>, CompileError> {
    let Some(log) = log else {
        return Ok(None);
    };
    let failed = |error: BinaryReaderError| CompileError::Failed(error.to_string());
    let references = handles_references(info, own, body).map_err(failed)?;
    Ok((!references).then_some(log))
}

/// Whether the frame before `operator`, at `position` in a body of so many bytes, is logged, or that at the header of the
/// loop that it begins.
pub fn is_logged(log: FrameLog, position: u32, body_bytes: u32, operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Loop { .. }) || is_chosen(log, position, body_bytes, operator)
}

/// Whether the frame before `operator`, at `position` in a body of so many bytes, is logged. Not where an operation has a
/// guard inside: behind that, tier 0 is there a second time.
pub fn is_chosen(log: FrameLog, position: u32, body_bytes: u32, operator: &Operator<'_>) -> bool {
    log.chooses(position, body_bytes) && !is_guarded(operator)
}

fn handles_references(
    info: &ModuleInfo,
    own: u32,
    body: &FunctionBody<'_>,
) -> Result<bool, BinaryReaderError> {
    let ty = info.func_type(info.imported_functions + own);
    if has_reference(ty.params()) {
        return Ok(true);
    }
    for local in body.get_locals_reader()? {
        if matches!(local?.1, wasmparser::ValType::Ref(_)) {
            return Ok(true);
        }
    }
    for operator in body.get_operators_reader()? {
        if makes_reference(info, &operator?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an operator pushes a reference that was not on the operand stack before.
fn makes_reference(info: &ModuleInfo, operator: &Operator<'_>) -> bool {
    let gives = |ty: &FuncType| has_reference(ty.results());
    match operator {
        Operator::RefNull { .. } | Operator::RefFunc { .. } | Operator::TableGet { .. } => true,
        Operator::Call { function_index } => gives(info.func_type(*function_index)),
        Operator::CallIndirect { type_index, .. } => gives(&info.types[*type_index as usize]),
        Operator::GlobalGet { global_index } => {
            let ty = info.globals[*global_index as usize].content;
            has_reference(&[ty])
        }
        _ => false,
    }
}

fn has_reference(types: &[ValType]) -> bool {
    let is_reference = |ty: &ValType| matches!(ty, ValType::FuncRef | ValType::ExternRef);
    types.iter().any(is_reference)
}
