//! Operations that have no encoder of their own: their stencils are copied.

use super::state::{Driver, bailout};
use super::table;
use cranelift_codegen::ir::{Inst, InstructionData};
use upshift_codegen::CompileError;

/// Compiles an operation by its stencil.
///
/// # Errors
/// If it has none.
pub(super) fn operation(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let dfg = &d.body.dfg;
    let (data, args, results) = (&dfg.insts[inst], d.args(inst), dfg.inst_results(inst));
    let is_plain = matches!(
        data,
        InstructionData::Unary { .. }
            | InstructionData::Binary { .. }
            | InstructionData::Ternary { .. }
    );
    let key = match (is_plain, args, results) {
        (true, [first, ..], [result]) => {
            table::operation_key(data.opcode(), d.ty(*first), d.ty(*result))
        }
        _ => None,
    };
    let stencil = key.and_then(|key| table::find(key, d.canonical_nans));
    let Some(stencil) = stencil.filter(|stencil| stencil.operands.len() == args.len()) else {
        let opcode = data.opcode();
        let ty = match opcode.constraints().is_polymorphic() {
            true => format!(".{}", dfg.ctrl_typevar(inst)),
            false => String::new(),
        };
        return Err(bailout(format!("{opcode}{ty}")));
    };
    for &arg in args {
        d.push(arg)?;
    }
    d.consume_all(args);
    d.asm.stencil(&stencil, &[]);
    d.define(results[0], false);
    Ok(())
}
