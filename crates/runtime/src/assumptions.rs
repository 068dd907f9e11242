//! What is taken for granted about one function, and what came of it: pure decisions over guards that failed.
//!
//! A guard that fails now and then costs less than doing without it, one that keeps failing costs more. So each guard may
//! fail a few times; then it is *refuted*, and the function is compiled without it. A function of which too much was
//! refuted is compiled without any guards from then on. So whatever a program does, the number of failures and of
//! compilations is bounded, like HotSpot's trap limits for each bytecode and each method.

use std::collections::{BTreeMap, BTreeSet};
use upshift_base::Guard;
use upshift_codegen::deopt::{FrameLayout, Speculation};

/// Failures that refute a guard.
const FAILURES_MAX: u32 = 4;
/// Refuted guards that end speculation for a function.
const REFUTED_MAX: usize = 8;

/// Where a function goes on when the guard at a position fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The address of the continuation.
    pub(crate) code: usize,
    /// The number that it knows the position by.
    pub(crate) entry: u32,
    /// What it expects in the transfer record.
    pub(crate) frame: FrameLayout,
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
    places: BTreeMap<u32, Place>,
    failures: BTreeMap<Guard, u32>,
    refuted: BTreeSet<Guard>,
    /// Whether nothing is to be taken for granted any more.
    off: bool,
    /// Changes whenever there is something that may not be taken for granted any more.
    generation: u32,
}

impl Assumptions {
    /// What may be taken for granted now; `None` for nothing.
    pub(crate) fn speculation(&self) -> Option<Speculation> {
        (!self.off).then(|| Speculation {
            refuted: self.refuted.clone(),
            stress: None,
        })
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Where to go on at `position`.
    pub(crate) fn place(&self, position: u32) -> Option<&Place> {
        self.places.get(&position)
    }

    pub(crate) fn add_place(&mut self, position: u32, place: Place) {
        self.places.insert(position, place);
    }

    /// Code with that guard is about to run.
    pub(crate) fn rely_on(&mut self, guard: Guard) {
        // So that counting a failure takes no memory.
        self.failures.entry(guard).or_insert(0);
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
        self.generation += 1;
        self.off = self.refuted.len() >= REFUTED_MAX;
        Verdict::Refuted
    }

    /// Nothing is to be taken for granted from now on.
    pub(crate) fn give_up(&mut self) {
        if !self.off {
            self.off = true;
            self.generation += 1;
        }
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
        assert_eq!(assumptions.generation(), 0);
        assert_eq!(assumptions.failed(guard(1)), Verdict::Refuted);
        assert_eq!(assumptions.generation(), 1);
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
}
