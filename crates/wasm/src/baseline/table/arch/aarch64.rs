//! AArch64: every processor has what the stencils use.

use crate::baseline::table::generated::aarch64::ROWS;
use crate::baseline::table::packed::{Table, packed};

/// The stencils.
pub static TABLE: Table = packed!(ROWS);

/// How many levels there are.
pub const LEVELS: usize = 1;

/// The best level that the processor has.
pub fn level() -> Option<usize> {
    Some(0)
}
