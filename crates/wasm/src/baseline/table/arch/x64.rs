//! x86-64: the psABI's second and third level. A processor of the first level has no stencils.

use crate::baseline::table::generated::x64::ROWS;
use crate::baseline::table::packed::{Table, packed};

/// The stencils.
pub static TABLE: Table = packed!(ROWS);

/// How many levels there are.
pub const LEVELS: usize = 2;

/// The best level that the processor has. What it asks for is what Cranelift's presets of these names turn on.
pub fn level() -> Option<usize> {
    macro_rules! has {
        ($($feature:tt)*) => { $(std::arch::is_x86_feature_detected!($feature))&&* };
    }
    let second = has!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b");
    let third = has!("avx" "avx2" "bmi1" "bmi2" "fma" "lzcnt");
    match (second, third) {
        (true, true) => Some(1),
        (true, false) => Some(0),
        _ => None,
    }
}
