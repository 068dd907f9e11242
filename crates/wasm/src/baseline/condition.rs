//! Comparisons, and what becomes of their flags.

use super::control;
use super::opcode::Op;
use super::state::Driver;
use upshift::embed::CompileError;
use upshift::embed::stencil::Condition;

/// A comparison.
#[inline(always)]
pub(super) fn test(d: &mut Driver<'_, '_>, op: Op) -> Result<(), CompileError> {
    let flush = matches!(d.peek(), Op::If | Op::BrIf);
    let condition = match op {
        Op::IntTest(test, wide) => d.asm.int_compare(test, wide, flush),
        Op::FloatTest(test, double) => d.asm.float_compare(test, double, flush),
        _ => d.asm.int_test(op == Op::IsZero(true), flush).inverted(),
    };
    use_condition(d, condition, flush)
}

/// `select`.
pub(super) fn select(d: &mut Driver<'_, '_>, op: Op) -> Result<(), CompileError> {
    skip_select_type(d, op)?;
    let condition = d.asm.int_test(false, false);
    d.asm.select(condition);
    Ok(())
}

/// The types that a `select` names say nothing that is not known.
fn skip_select_type(d: &mut Driver<'_, '_>, op: Op) -> Result<(), CompileError> {
    if op == Op::TypedSelect {
        for _ in 0..d.reader.u32() {
            d.reader.value_type()?;
        }
    }
    Ok(())
}

/// What becomes of a condition: the next operator looks at the flags, if it can, else it is made a number. Whether the frame
/// is canonical already is in `flushed`.
#[inline]
pub(super) fn use_condition(
    d: &mut Driver<'_, '_>,
    mut condition: Condition,
    flushed: bool,
) -> Result<(), CompileError> {
    let mut next = d.peek();
    while next == Op::IsZero(false) {
        d.reader.byte();
        condition = condition.inverted();
        next = d.peek();
    }
    match next {
        Op::BrIf => {
            d.reader.byte();
            if !flushed {
                d.asm.flush();
            }
            control::br_if(d, condition);
        }
        Op::If => {
            d.reader.byte();
            if !flushed {
                d.asm.flush();
            }
            control::if_(d, condition)?;
        }
        Op::Select | Op::TypedSelect => {
            d.reader.byte();
            skip_select_type(d, next)?;
            d.asm.select(condition);
        }
        _ => d.asm.push_condition(condition),
    }
    Ok(())
}
