//! Deoptimization: how code that takes something for granted goes on when it turns out otherwise.
//!
//! A front end that assumes something plants a *guard* where it does: a call of the function that
//! [`crate::symbol::import_guard`] declares, whose first argument is not zero as long as the assumption holds, and whose
//! others are the *frame* of the function before the operation at the guard's position: all values that are live there,
//! in an order that is the front end's own. The runtime turns each guard into a branch that is never taken, to a cold
//! block: it stores the values to the thread's transfer record (see [`crate::osr`]) and leaves the function by a tail
//! call of its *continuation*. That is tier-0 code, made by the front end before the guarded code is published, which
//! loads the frame of the place that the record names and goes on there: with the operation that the guard stands before,
//! which therefore must not have done anything yet.
//!
//! A body with guards may be inlined in another function's. Then the frames of its callers are part of the frame state:
//! where a function calls another by name, the front end marks the call by one of what
//! [`crate::symbol::import_call_frame`] declares, directly before it, whose arguments are the frame while the callee runs:
//! that before the call without the arguments. Each function then has a continuation of its own. The outermost is entered
//! by the tail call, *inside* its call: it loads its frame and calls, in the place of the callee, the continuation
//! that the record behind its own names, and so on inwards; the innermost goes on where the guard stands. So from there on
//! there is nothing on the stack but tier 0's own frames, and each caller goes on behind its call when its callee
//! returns, or is left by a trap, as ever.

use crate::osr::TRANSFER_VALUES_MAX;
use cranelift_codegen::ir::Type;
use std::collections::BTreeSet;
use upshift_base::{Guard, GuardReason};

/// A place in a function where a continuation can go on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FramePoint {
    /// The operation, by the front end's position.
    pub position: u32,
    /// Whether the operation is a call that the function is in, or has not begun.
    pub inside_call: bool,
}

impl FramePoint {
    /// Before the operation at `position`.
    pub fn before(position: u32) -> FramePoint {
        FramePoint {
            position,
            inside_call: false,
        }
    }

    /// Inside the call at `position`.
    pub fn inside(position: u32) -> FramePoint {
        FramePoint {
            position,
            inside_call: true,
        }
    }
}

/// The types of the values that are live at a place, in the order in which they travel.
pub type FrameLayout = Vec<Type>;

/// What the front end may take for granted about a function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Speculation {
    /// What turned out not to hold.
    pub refuted: BTreeSet<Guard>,
    /// Whether guards are planted for nothing, as a stress test.
    pub stress: Option<StressGuards>,
}

/// Where guards are planted for a stress test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StressGuards {
    /// Chooses the places.
    pub seed: u64,
}

/// In a stress test, one operation in so many has a guard.
const STRESS_SPACING: u32 = 3;

/// In a body of more bytes than this many times the spacing, they are further apart by as much: each guard has a copy of
/// the frame, so that with one in three the code of a large function is a hundred times the size of its body. Other seeds
/// choose other places.
const STRESS_BODY_SHARE: u32 = 128;

impl StressGuards {
    /// Whether the operation at `position` is to have a guard, in a body of so many bytes.
    pub fn chooses(self, position: u32, body_bytes: u32) -> bool {
        let spacing = STRESS_SPACING.max(body_bytes / STRESS_BODY_SHARE);
        scramble(position ^ scramble(fold(self.seed))).is_multiple_of(spacing)
    }
}

/// A seed as a number of 32 bits.
pub fn fold(seed: u64) -> u32 {
    (seed >> 32) as u32 ^ seed as u32
}

/// A number that looks like chance; the finaliser of MurmurHash3.
pub fn scramble(number: u32) -> u32 {
    let number = (number ^ (number >> 16)).wrapping_mul(0x85eb_ca6b);
    let number = (number ^ (number >> 13)).wrapping_mul(0xc2b2_ae35);
    number ^ (number >> 16)
}

impl Speculation {
    /// Whether a guard of that reason may be planted at a place where `values` values are live.
    pub fn allows(&self, position: u32, reason: GuardReason, values: usize) -> bool {
        let guard = Guard { position, reason };
        values <= TRANSFER_VALUES_MAX && !self.refuted.contains(&guard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refuted_is_not_allowed_again() {
        let guard = Guard {
            position: 7,
            reason: GuardReason::Branch,
        };
        let speculation = Speculation {
            refuted: BTreeSet::from([guard]),
            stress: None,
        };
        assert!(!speculation.allows(7, GuardReason::Branch, 0));
        assert!(speculation.allows(7, GuardReason::CallTarget, 0));
        assert!(speculation.allows(8, GuardReason::Branch, TRANSFER_VALUES_MAX));
        assert!(!speculation.allows(8, GuardReason::Branch, TRANSFER_VALUES_MAX + 1));
    }

    #[test]
    fn stress_guards_are_at_one_place_in_three_and_further_apart_in_large_functions() {
        let chosen = |seed, body_bytes| {
            (0..3000)
                .filter(|at| StressGuards { seed }.chooses(*at, body_bytes))
                .collect::<Vec<u32>>()
        };
        assert!((800..1200).contains(&chosen(1, 100).len()));
        assert_ne!(chosen(1, 100), chosen(2, 100));
        assert!((200..400).contains(&chosen(1, 1280).len()));
    }
}
