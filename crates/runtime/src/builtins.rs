//! The numbers of the runtime's entry points that generated code calls through the address table. Numbers 0 and 1
//! belong to code memory: the context pointer and the lazy-compile routine.

/// `extern "C" fn(cell)`: one of the cell's budgets has run out.
pub(crate) const COUNTER_TRIPPED: u32 = 2;

/// `extern "C" fn(cell, loop_index, parent, tier, values) -> transfer`: the cell's loop budget has run out at an OSR
/// point, in code of that tier. Returns a transfer record with room for so many values, or null to go on. If the number
/// is [`upshift_codegen::osr::VALUES_IN_FRAME`], the values are in the record already.
pub(crate) const OSR_TRIPPED: u32 = 3;

/// Not for Rust to call: counts a call of a function that is not its call site's first, for code of baseline compilers;
/// see [`upshift_codegen::CallSitePlan`].
pub(crate) const RECORD_TARGET: u32 = 4;

/// `extern "C" fn(call_site, slot)`: the same for code made from CLIF.
pub(crate) const COUNT_TARGET: u32 = 5;

/// `fn(message)`, which preserves all registers: the guard that the [`GuardMessage`] tells of has failed. The address is
/// passed as the bits of an `f64`.
///
/// [`GuardMessage`]: crate::guards::GuardMessage
pub(crate) const GUARD_FAILED: u32 = 6;

/// `extern "C" fn(values) -> buffer`: where a frame of so many values goes that is to be logged; zero.
pub(crate) const FRAME_BUFFER: u32 = 7;

/// `extern "C" fn(cell, position, values)`: the values of a frame of that function are in the buffer.
pub(crate) const FRAME_LOGGED: u32 = 8;
