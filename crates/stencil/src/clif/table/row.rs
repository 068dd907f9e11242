//! The rows that the table is written in.

use crate::stencil::{Hole, HoleKind, StencilTrap};
use crate::value::Ty;

/// The most operands that an operation has.
pub const OPERANDS_MAX: usize = 3;

/// One stencil, for all the variants that its bits name: for each level of processors one that makes NaNs canonical and
/// one that does not.
pub(super) struct Row {
    pub(super) key: u32,
    pub(super) variants: u8,
    pub(super) operands: ([Ty; OPERANDS_MAX], usize),
    pub(super) result: Ty,
    pub(super) clobbers: u64,
    pub(super) aligned: bool,
    /// Where its parts are in the lists of all stencils, and how many there are.
    pub(super) traps: (usize, usize),
    pub(super) holes: (usize, usize),
    pub(super) code: (usize, usize),
}

/// Makes a row.
pub(super) const fn row(
    (key, variants): (u32, u8),
    operands: ([Ty; OPERANDS_MAX], usize),
    result: Ty,
    (clobbers, aligned): (u64, bool),
    (traps, holes): ((usize, usize), (usize, usize)),
    code: (usize, usize),
) -> Row {
    Row {
        key,
        variants,
        operands,
        result,
        clobbers,
        aligned,
        traps,
        holes,
        code,
    }
}

/// A place that may trap.
pub(super) const fn trap(offset: u16, kind: u8) -> StencilTrap {
    StencilTrap { offset, kind }
}

/// A byte that depends on an immediate.
pub(super) const fn hole(offset: u16, byte: u8, kind: HoleKind) -> Hole {
    Hole { offset, byte, kind }
}
