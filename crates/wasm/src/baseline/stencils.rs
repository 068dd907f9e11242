//! Operations that have no encoder of their own: their stencils, which were made from the lowering that the optimizing
//! tiers use, are copied from the table.

use super::opcode::Op;
use super::state::{Driver, bailout};
use super::table::packed::Table;
use super::table::row::{operation_number, variant};
use super::table::{LEVELS, TABLE, level};
use super::vector_opcode::Vector;
use std::sync::atomic::{AtomicU8, Ordering};
use upshift::embed::CompileError;
use upshift::embed::stencil::{Stencil, is_encoded_shuffle};
use wasmparser::Operator;

/// Not found out yet.
const UNKNOWN: u8 = u8::MAX;
/// The processor has none of the levels.
const NO_LEVEL: u8 = u8::MAX - 1;

/// The level of stencils that is used.
static LEVEL: AtomicU8 = AtomicU8::new(UNKNOWN);

/// The level of stencils that this processor can run; `None` if it can run none.
fn used_level() -> Option<usize> {
    let mut known = LEVEL.load(Ordering::Relaxed);
    if known == UNKNOWN {
        known = level().map_or(NO_LEVEL, |level| level as u8);
        LEVEL.store(known, Ordering::Relaxed);
    }
    (usize::from(known) < LEVELS).then_some(usize::from(known))
}

/// Whether the processor has what the stencils and the encoders of operations on vectors take for granted.
pub(super) fn is_supported() -> bool {
    used_level().is_some()
}

/// Uses the stencils of a lower level than the processor has, for tests.
#[cfg(feature = "stencil-generator")]
pub(super) fn set_level(level: usize) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Compiles an operation by its stencil.
///
/// # Errors
/// If it is no operation of this kind, or has no stencil.
pub(super) fn operation(
    d: &mut Driver<'_, '_>,
    operator: &Operator<'_>,
) -> Result<(), CompileError> {
    static STENCILS: &Table = &TABLE;
    let level = used_level().ok_or_else(|| bailout("the processor has no table of stencils"))?;
    let stencil = operation_number(d.reader.bytes_from(d.asm.position() as usize))
        .and_then(|number| STENCILS.find(number, variant(level, d.request.canonical_nans)));
    let Some(stencil) = stencil else {
        return Err(CompileError::Bailout(format!("{operator:?}")));
    };
    match operator {
        Operator::I8x16Shuffle { lanes } => d.asm.stencil(&stencil, lanes),
        _ => d.asm.stencil(&stencil, &[]),
    }
    Ok(())
}

/// The stencil of the operator that `bytes` start with, with NaNs as they come, if it has one and that is what is used.
pub fn stencil(bytes: Option<&[u8]>, operator: &Operator<'_>) -> Option<Stencil<'static>> {
    let bytes = bytes?;
    if is_encoded(bytes, operator, false) {
        return None;
    }
    let number = operation_number(bytes)?;
    TABLE.find(number, variant(used_level()?, false))
}

/// Whether the operator that `bytes` start with is none that has a stencil: the assembler encodes it.
pub(super) fn is_encoded(bytes: &[u8], operator: &Operator<'_>, canonical_nans: bool) -> bool {
    match Op::of(bytes.first().copied().unwrap_or(0)) {
        Op::Other => false,
        Op::Vector => match *operator {
            Operator::I8x16Shuffle { lanes } => is_encoded_shuffle(&lanes),
            _ => operation_number(bytes)
                .is_some_and(|number| Vector::of(number as u32 & 0xff).is_encoded(canonical_nans)),
        },
        Op::Float(..) | Op::FloatSqrt(_) => !canonical_nans,
        _ => true,
    }
}
