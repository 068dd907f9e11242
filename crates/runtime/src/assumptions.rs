//! What is taken for granted about one function, and what came of it: pure decisions over guards that failed.
//!
//! A guard that fails now and then costs less than doing without it, one that keeps failing costs more. So each guard may
//! fail a few times; then it is *refuted*, and the function is compiled without it. A function of which too much was
//! refuted is compiled without any guards from then on. So whatever a program does, the number of failures and of
//! compilations is bounded, like HotSpot's trap limits for each bytecode and each method.
//!
//! A guard is that of the function whose operation it stands before, also where that is inlined in others: it is counted
//! and refuted once for all of them. A function's code may then be of no use because of guards of other functions; how
//! often that may happen is bounded too.

use crate::transfer::Transfer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use upshift_base::Guard;
use upshift_codegen::deopt::{FrameLayout, FramePoint, Speculation};
use upshift_event::InlinedFunction;

/// Failures that refute a guard.
const FAILURES_MAX: u32 = 4;
/// Refuted guards, or pieces of code that were taken out of use because of any, that end speculation for a function.
const REFUTED_MAX: usize = 8;

/// A guard, and the index of the function whose it is.
pub(crate) type FunctionGuard = (u32, Guard);

/// Where a function goes on when the guard at a position fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The address of the continuation.
    pub(crate) code: usize,
    /// The number that it knows the position by.
    pub(crate) entry: u32,
    /// What it expects in the transfer record.
    pub(crate) frame: FrameLayout,
    /// Bytes of stack that it takes.
    pub(crate) stack_bytes: u32,
}

/// Where code goes on when one of its guards fails.
#[derive(Debug)]
pub(crate) struct WayBack {
    /// The guard, and the index of the function whose it is.
    pub(crate) function: u32,
    pub(crate) guard: Guard,
    /// The frames, the outermost first.
    pub(crate) frames: Vec<Transfer>,
    /// The inlined calls around it, the outermost first.
    pub(crate) inlined: Vec<InlinedFunction>,
}

/// What a failure means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It happens.
    Keep,
    /// The assumption does not hold: code that relies on it is of no use.
    Refuted,
    /// That was known already.
    Stale,
}

/// What is known of the guards of one function.
#[derive(Debug, Default)]
pub(crate) struct Assumptions {
    places: BTreeMap<FramePoint, Place>,
    failures: BTreeMap<Guard, u32>,
    refuted: BTreeSet<Guard>,
    /// Whether nothing is to be taken for granted any more.
    off: bool,
    /// Whether bodies that are inlined in the function's have no guards.
    without_inlined: bool,
    /// How often code was taken out of use.
    invalidated: usize,
    /// The functions whose code has the function's guards, itself or not.
    users: BTreeSet<u32>,
    /// The ways back from the function's code, by the number that the code knows them by.
    ways_back: Vec<Option<Arc<WayBack>>>,
}

impl Assumptions {
    /// What may be taken for granted now; `None` for nothing.
    pub(crate) fn speculation(&self) -> Option<Speculation> {
        (!self.off).then(|| Speculation {
            refuted: self.refuted.clone(),
            stress: None,
        })
    }

    /// Whether code with that guard is of use.
    pub(crate) fn allows(&self, guard: Guard) -> bool {
        !self.off && !self.refuted.contains(&guard)
    }

    /// Whether bodies that are inlined in the function's may have guards.
    pub(crate) fn allows_inlined(&self) -> bool {
        !self.off && !self.without_inlined
    }

    /// Where to go on at `point`.
    pub(crate) fn place(&self, point: FramePoint) -> Option<&Place> {
        self.places.get(&point)
    }

    pub(crate) fn add_place(&mut self, point: FramePoint, place: Place) {
        self.places.insert(point, place);
    }

    /// Numbers for so many ways back: the first of them.
    pub(crate) fn reserve_ways_back(&mut self, count: usize) -> u32 {
        let first = self.ways_back.len();
        self.ways_back.resize(first + count, None);
        first as u32
    }

    /// The way back of that number is there, and code that has it is about to run.
    pub(crate) fn set_way_back(&mut self, number: u32, way_back: WayBack) {
        self.ways_back[number as usize] = Some(Arc::new(way_back));
    }

    pub(crate) fn way_back(&self, number: u32) -> Option<Arc<WayBack>> {
        self.ways_back.get(number as usize)?.clone()
    }

    /// Code of function `user` with that guard is about to run.
    pub(crate) fn rely_on(&mut self, guard: Guard, user: u32) {
        // So that counting a failure takes no memory.
        self.failures.entry(guard).or_insert(0);
        self.users.insert(user);
    }

    /// The functions whose code may have guards of this one.
    pub(crate) fn users(&self) -> Vec<u32> {
        self.users.iter().copied().collect()
    }

    /// A guard has failed.
    pub(crate) fn failed(&mut self, guard: Guard) -> Verdict {
        if self.off || self.refuted.contains(&guard) {
            return Verdict::Stale;
        }
        let failures = self.failures.entry(guard).or_insert(0);
        *failures += 1;
        if *failures < FAILURES_MAX {
            return Verdict::Keep;
        }
        self.refuted.insert(guard);
        self.off = self.refuted.len() >= REFUTED_MAX;
        Verdict::Refuted
    }

    /// Code was taken out of use, because of a guard of this function or another.
    pub(crate) fn invalidated(&mut self) {
        self.invalidated += 1;
        self.off |= self.invalidated >= REFUTED_MAX;
    }

    /// Nothing is to be taken for granted from now on.
    pub(crate) fn give_up(&mut self) {
        self.off = true;
    }

    /// The same for bodies that are inlined in the function's.
    pub(crate) fn give_up_inlined(&mut self) {
        self.without_inlined = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upshift_base::GuardReason;

    fn guard(position: u32) -> Guard {
        Guard {
            position,
            reason: GuardReason::Branch,
        }
    }

    #[test]
    fn a_guard_that_keeps_failing_is_refuted_once() {
        let mut assumptions = Assumptions::default();
        for _ in 1..FAILURES_MAX {
            assert_eq!(assumptions.failed(guard(1)), Verdict::Keep);
        }
        assert!(assumptions.allows(guard(1)));
        assert_eq!(assumptions.failed(guard(1)), Verdict::Refuted);
        assert!(!assumptions.allows(guard(1)));
        assert_eq!(assumptions.failed(guard(1)), Verdict::Stale);
        assert_eq!(assumptions.failed(guard(2)), Verdict::Keep);
        let speculation = assumptions.speculation().unwrap();
        assert!(!speculation.allows(1, GuardReason::Branch, 0));
        assert!(speculation.allows(2, GuardReason::Branch, 0));
    }

    #[test]
    fn failures_are_bounded() {
        let mut assumptions = Assumptions::default();
        let mut refutations = 0;
        for round in 0..1000 {
            while assumptions.speculation().is_some() {
                if assumptions.failed(guard(round)) == Verdict::Refuted {
                    refutations += 1;
                    break;
                }
            }
        }
        assert_eq!(refutations, REFUTED_MAX);
        assert!(assumptions.speculation().is_none());
    }

    #[test]
    fn what_is_taken_out_of_use_is_bounded_whoever_is_to_blame() {
        let mut assumptions = Assumptions::default();
        for _ in 1..REFUTED_MAX {
            assumptions.invalidated();
            assert!(assumptions.allows_inlined());
        }
        assumptions.invalidated();
        assert!(!assumptions.allows_inlined());
        assert!(assumptions.speculation().is_none());
    }
}
