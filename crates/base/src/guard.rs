//! Guards: places where optimized code checks what it takes for granted.

use std::fmt;

/// What kind of thing a guard checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum GuardReason {
    /// A branch goes the way it always went so far.
    Branch = 0,
    /// An indirect call has the target that it had so far.
    CallTarget = 1,
    /// An index is within bounds.
    Bounds = 2,
    /// Something that may change has not.
    Unchanged = 3,
    /// Nothing: the guard is there for a stress test.
    Stress = 4,
    /// Nothing either: somebody wants the function to run in a lower tier.
    Requested = 5,
}

impl GuardReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [GuardReason; 6] = [
        GuardReason::Branch,
        GuardReason::CallTarget,
        GuardReason::Bounds,
        GuardReason::Unchanged,
        GuardReason::Stress,
        GuardReason::Requested,
    ];

    /// The reason with that number.
    pub fn from_index(index: usize) -> Option<GuardReason> {
        GuardReason::ALL.get(index).copied()
    }
}

impl fmt::Display for GuardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            GuardReason::Branch => "a branch never taken before",
            GuardReason::CallTarget => "another call target",
            GuardReason::Bounds => "an index out of bounds",
            GuardReason::Unchanged => "something changed",
            GuardReason::Stress => "a stress test",
            GuardReason::Requested => "asked for",
        })
    }
}

/// A guard of a function. Copies of it, in other versions of the function or inlined elsewhere, are the same guard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Guard {
    /// The operation that the guard stands before, by the front end's position; for WebAssembly a byte offset in the
    /// module.
    pub position: u32,
    /// What it checks.
    pub reason: GuardReason,
}
