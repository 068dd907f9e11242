//! What a function is made by, and what is put off until its end.

use crate::arch::x64::{CALLEE_SAVED, Reg};
use crate::code::Label;
use crate::value::Ty;
use std::ops::Range;
use upshift_base::{FuncId, TrapKind};
use upshift_codegen::CounterPlan;

/// Bytes below the frame pointer for callee-saved registers.
pub(crate) const SAVED_BYTES: i32 = 8 * CALLEE_SAVED.len() as i32;
/// What the code of one function depends on besides its operations.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The function.
    pub function: FuncId,
    /// Its counters, if it is to have any.
    pub counters: Option<CounterPlan>,
    /// Where the context has a pointer to the limits, and where they have the lowest stack address; `None` if only the
    /// guard page ends the stack.
    pub stack_limit: Option<(i32, i32)>,
    /// Where the context has the base of memory 0.
    pub memory_base: i32,
    /// Whether the position of each operation is noted, and not only of those that trap or call.
    pub every_position: bool,
}

/// Code away from the others that traps.
#[derive(Debug)]
pub(crate) struct TrapStub {
    pub(crate) label: Label,
    pub(crate) kind: TrapKind,
    pub(crate) position: u32,
}

/// Code away from the others that counts a call of a function that is not the first one seen at a call site, and goes
/// back.
#[derive(Debug)]
pub(crate) struct OtherTarget {
    pub(crate) label: Label,
    pub(crate) back: Label,
    /// Where the call site is in the array whose address is in the scratch register.
    pub(crate) site: i32,
    /// The number of the runtime's entry point.
    pub(crate) record: u32,
}

/// A loop, by its index in its function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loop {
    /// Its index.
    pub index: u32,
    /// The innermost loop around it.
    pub parent: Option<u32>,
}

/// Code away from the others that tells the runtime of a spent budget and goes back, or moves to better code.
#[derive(Debug)]
pub(crate) struct ColdCall {
    pub(crate) label: Label,
    pub(crate) back: Label,
    pub(crate) position: u32,
    /// Where, if it is a loop at which activations may move.
    pub(crate) at: Option<Loop>,
    /// What registers hold then, as a part of a list of the whole function's.
    pub(crate) kept: Range<usize>,
}

/// A local in a register.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) reg: Reg,
    pub(crate) ty: Ty,
    /// The home's distance from the frame pointer.
    pub(crate) home: i32,
    /// Whether the home does not hold the value.
    pub(crate) dirty: bool,
}

/// A way into a continuation.
#[derive(Debug)]
pub(crate) struct WayIn {
    /// The code that copies the values.
    pub(crate) copies: Label,
    /// The place itself; none as long as it has not come.
    pub(crate) place: Option<Place>,
}

/// Where a way in leads.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) label: Label,
    /// What is live there, and the homes' distances from the frame pointer.
    pub(crate) values: Vec<(Ty, i32)>,
    /// The operation, if the place is inside the call that it is: what is left of the callee comes first.
    pub(crate) inside: Option<u32>,
}
