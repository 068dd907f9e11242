//! The numbers of the runtime's entry points that generated code calls through the address table. Numbers 0 and 1
//! belong to code memory: the context pointer and the lazy-compile routine.

/// `extern "C" fn(cell)`: one of the cell's budgets has run out.
pub(crate) const COUNTER_TRIPPED: u32 = 2;
