//! Profiles of indirect calls: how often which function was called where.
//!
//! A function's indirect calls are its *call sites*, numbered by its front end from 0 in the order of the source. Code of
//! the lower tiers counts at each site which function it calls, in a [`CallSite`]: the first few different targets each
//! have a count, all later ones share one. A target is told by the address of its entry slot, which is the same whatever
//! code the function has. What came out goes to the front end again when the next tier's body is made ([`CallTargets`]),
//! which puts a direct call behind a comparison in front of the indirect one: polymorphic inline caches as a profile, as
//! in Hölzle and Ungar, "Optimizing dynamically-dispatched calls with run-time type feedback" (PLDI 1994).
//!
//! In CLIF a front end marks a call site by a call, before the indirect one, of the function that
//! [`crate::symbol::import_call_site`] declares, with the target's entry slot as the argument. The runtime turns the mark
//! into the count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use upshift_base::FuncId;

/// Targets of one site that are told apart.
pub const CALL_SITE_TARGETS: usize = 8;

/// What is counted at one site. Generated code does so with plain instructions, so racing threads may lose counts, or
/// book some to another target; nothing but which code is made depends on it.
#[derive(Debug, Default)]
#[repr(C)]
pub struct CallSite {
    /// The addresses of the targets' entry slots, 0 for those yet to come.
    pub slots: [AtomicUsize; CALL_SITE_TARGETS],
    /// How often each was called.
    pub counts: [AtomicU32; CALL_SITE_TARGETS],
    /// Calls of any others.
    pub rest: AtomicU32,
}

impl CallSite {
    /// Counts a call of the function whose entry slot is at `slot`.
    pub fn record(&self, slot: usize) {
        let increment = |count: &AtomicU32| {
            count.store(
                count.load(Ordering::Relaxed).wrapping_add(1),
                Ordering::Relaxed,
            );
        };
        for (known, count) in self.slots.iter().zip(&self.counts) {
            let target = known.load(Ordering::Relaxed);
            if target == 0 {
                known.store(slot, Ordering::Relaxed);
            } else if target != slot {
                continue;
            }
            return increment(count);
        }
        increment(&self.rest);
    }

    /// The targets' entry slots and how often each was called, and how often all others were.
    pub fn read(&self) -> (Vec<(usize, u32)>, u32) {
        let read = |(slot, count): (&AtomicUsize, &AtomicU32)| {
            (slot.load(Ordering::Relaxed), count.load(Ordering::Relaxed))
        };
        let targets = self.slots.iter().zip(&self.counts).map(read);
        let targets = targets.filter(|(slot, _)| *slot != 0).collect();
        (targets, self.rest.load(Ordering::Relaxed))
    }
}

/// The functions that a function's call sites are expected to call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallTargets(BTreeMap<u32, Expected>);

/// What is expected at one call site.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expected {
    /// The functions, the most frequent first.
    pub targets: Vec<FuncId>,
    /// Whether no other was ever called there.
    pub no_others: bool,
}

impl CallTargets {
    /// Expects nothing.
    pub const NONE: &'static CallTargets = &CallTargets(BTreeMap::new());

    /// Expects that at `site`.
    pub fn expect(&mut self, site: u32, expected: Expected) {
        if !expected.targets.is_empty() {
            self.0.insert(site, expected);
        }
    }

    /// At how many sites something is expected.
    pub fn sites(&self) -> usize {
        self.0.len()
    }

    /// What is expected at `site`.
    pub fn of(&self, site: u32) -> &[FuncId] {
        self.0.get(&site).map_or(&[], |expected| &expected.targets)
    }

    /// The function that every call at `site` was of, if there is one.
    pub fn only(&self, site: u32) -> Option<FuncId> {
        let expected = self.0.get(&site).filter(|expected| expected.no_others)?;
        match expected.targets[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_targets_have_counts_of_their_own() {
        let site = CallSite::default();
        for slot in [8, 16, 8, 8, 24] {
            site.record(slot);
        }
        assert_eq!(site.read(), (vec![(8, 3), (16, 1), (24, 1)], 0));
        for slot in 1..=2 * CALL_SITE_TARGETS {
            site.record(100 * slot);
        }
        let (targets, rest) = site.read();
        assert_eq!(targets.len(), CALL_SITE_TARGETS);
        assert_eq!(rest as usize, CALL_SITE_TARGETS + 3);
    }
}
