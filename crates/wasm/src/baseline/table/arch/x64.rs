//! x86-64: the psABI's second and third level. A processor of the first level has no stencils.

use crate::baseline::table::generated::x64::ROWS;
use crate::baseline::table::packed::{Table, packed};

pub use upshift::embed::stencil::{LEVELS, level};

/// The stencils.
pub static TABLE: Table = packed!(ROWS);
