//! Operations that have no encoder of their own: their stencils are copied.

use super::state::{Driver, bailout, fault};
use super::table;
use crate::stencil::{Stencil, StencilTrap};
use cranelift_codegen::ir::{Inst, InstructionData, MemFlags, Opcode, Type};
use upshift_codegen::CompileError;

/// Compiles an operation by its stencil.
///
/// # Errors
/// If it has none.
pub(super) fn operation(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let stencil = find(d, inst)?;
    let dfg = &d.body.dfg;
    let mask = match dfg.insts[inst] {
        InstructionData::Shuffle { imm, .. } => dfg.immediates[imm].as_slice(),
        _ => &[],
    };
    apply(d, inst, &stencil, mask)
}

/// Compiles an operation on memory by its stencil, which knows of the access only where it is.
///
/// # Errors
/// If it has none.
pub(super) fn access(d: &mut Driver<'_>, inst: Inst, flags: MemFlags) -> Result<(), CompileError> {
    let stencil = find(d, inst)?;
    let fault = fault(d, flags)?;
    let traps: Vec<StencilTrap> = fault.map_or_else(Vec::new, |kind| {
        let kind = kind.code();
        let traps = stencil.traps.iter();
        traps.map(|trap| StencilTrap { kind, ..*trap }).collect()
    });
    let stencil = Stencil {
        traps: &traps,
        ..stencil
    };
    apply(d, inst, &stencil, &[])
}

/// The stencil of an operation.
fn find(d: &Driver<'_>, inst: Inst) -> Result<Stencil<'static>, CompileError> {
    let dfg = &d.body.dfg;
    let (data, args, results) = (&dfg.insts[inst], d.args(inst), dfg.inst_results(inst));
    let key = match (args, results) {
        ([first, ..], [result]) => table::operation_key(data, d.ty(*first), d.ty(*result)),
        _ => None,
    };
    let stencil = key.and_then(|key| table::find(key, d.canonical_nans));
    let stencil = stencil.filter(|stencil| stencil.operands.len() == args.len());
    stencil.ok_or_else(|| {
        let opcode = data.opcode();
        let ty = match opcode.constraints().is_polymorphic() {
            true => format!(".{}", dfg.ctrl_typevar(inst)),
            false => String::new(),
        };
        bailout(format!("{opcode}{ty}"))
    })
}

fn apply(
    d: &mut Driver<'_>,
    inst: Inst,
    stencil: &Stencil<'_>,
    immediate: &[u8],
) -> Result<(), CompileError> {
    let args = d.args(inst);
    for &arg in args {
        d.push(arg)?;
    }
    d.consume_all(args);
    d.asm.stencil(stencil, immediate);
    d.define(d.result(inst), false);
    Ok(())
}

/// Copies the stencil of an operation of one operand, which is on the operand stack, and leaves its result there.
///
/// # Errors
/// If it has none.
pub(super) fn copy(
    d: &mut Driver<'_>,
    opcode: Opcode,
    operand: Type,
    result: Type,
) -> Result<(), CompileError> {
    let key = table::numbered(opcode, 0, operand, result);
    let stencil = key.and_then(|key| table::find(key, d.canonical_nans));
    let stencil = stencil.ok_or_else(|| bailout(format!("{opcode}.{operand}")))?;
    d.asm.stencil(&stencil, &[]);
    Ok(())
}
