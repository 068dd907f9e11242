//! The versions of one function's code, which of them new calls use, and which tiers were asked for.
//!
//! Versions are published and retracted under one lock. Whoever refutes what versions rely on, or lowers the ceiling, does
//! so before it retracts; so a version that must not be used is either seen by the retraction or refused.

use crate::sync::{AtomicPtr, AtomicU8, Mutex, MutexGuard, Ordering, PoisonError};
use upshift_base::Tier;

/// One piece of code of a function.
pub(crate) trait Version {
    /// The tier that it is of.
    fn tier(&self) -> Tier;
    /// Where it begins.
    fn entry(&self) -> *mut u8;
    /// Whether calls may enter it: continuations and OSR versions are entered in other ways.
    fn takes_calls(&self) -> bool;
}

/// A function's versions. What was published once stays where it is until they are taken: a thread may be in it.
#[derive(Debug)]
pub(crate) struct Versions<V> {
    list: Mutex<Vec<V>>,
    /// The tier of the published code, or [`NO_CODE`].
    tier: AtomicU8,
    /// One bit a tier: asked for, and one bit a tier: declined or failed.
    requested: AtomicU8,
    failed: AtomicU8,
    /// The best tier that the function may run in.
    ceiling: AtomicU8,
}

const NO_CODE: u8 = u8::MAX;

impl<V: Version> Versions<V> {
    pub(crate) fn new() -> Versions<V> {
        Versions {
            list: Mutex::new(Vec::new()),
            tier: AtomicU8::new(NO_CODE),
            requested: AtomicU8::new(0),
            failed: AtomicU8::new(0),
            ceiling: AtomicU8::new(Tier::Top as u8),
        }
    }

    /// Makes new calls use `version`: one store to the entry slot, after `prepare`. False, and the version is gone, if
    /// better code is there by then, or it is not to be used any more.
    pub(crate) fn publish(
        &self,
        slot: &AtomicPtr<u8>,
        version: V,
        is_stale: impl FnOnce(&V) -> bool,
        prepare: impl FnOnce(),
    ) -> bool {
        let tier = version.tier();
        let mut list = self.lock();
        let superseded = self.tier().is_some_and(|published| published >= tier);
        if superseded || !self.may_use(tier) || is_stale(&version) {
            drop(list);
            if !superseded {
                self.withdraw_request(tier);
            }
            return false;
        }
        prepare();
        let entry = version.entry();
        list.push(version);
        self.tier.store(tier as u8, Ordering::Release);
        slot.store(entry, Ordering::Release);
        true
    }

    /// Keeps a version that no call enters, and lets `announce` say that it is there. False, and the version is gone, if
    /// it is not to be used any more.
    pub(crate) fn keep(
        &self,
        version: V,
        is_stale: impl FnOnce(&V) -> bool,
        announce: impl FnOnce(),
    ) -> bool {
        let mut list = self.lock();
        if !self.may_use(version.tier()) || is_stale(&version) {
            return false;
        }
        list.push(version);
        announce();
        true
    }

    /// If the version that new calls use is not `good`, makes them use the best that is, or that at `lazy`, which makes
    /// one. The tier of the version taken out of use.
    pub(crate) fn retract(
        &self,
        slot: &AtomicPtr<u8>,
        lazy: *mut u8,
        good: impl Fn(&V) -> bool,
    ) -> Option<Tier> {
        let list = self.lock();
        let published = slot.load(Ordering::Acquire);
        let current = list.iter().find(|version| version.entry() == published)?;
        if good(current) {
            return None;
        }
        let usable = list.iter().filter(|version| version.takes_calls());
        let best = usable
            .filter(|version| good(version))
            .max_by_key(|version| version.tier());
        let (tier, entry) = match best {
            Some(best) => (best.tier() as u8, best.entry()),
            None => (NO_CODE, lazy),
        };
        self.tier.store(tier, Ordering::Release);
        slot.store(entry, Ordering::Release);
        Some(current.tier())
    }

    /// Makes new calls use the first version that is `wanted`, whatever its tier.
    pub(crate) fn choose(&self, slot: &AtomicPtr<u8>, wanted: impl Fn(&V) -> bool) {
        let list = self.lock();
        let mut usable = list.iter().filter(|version| version.takes_calls());
        if let Some(chosen) = usable.find(|version| wanted(version)) {
            slot.store(chosen.entry(), Ordering::Release);
        }
    }

    /// Takes all versions, when nobody can be in them or get there any more.
    pub(crate) fn take(&self) -> Vec<V> {
        std::mem::take(&mut *self.lock())
    }

    /// The tier of the code that new calls use.
    pub(crate) fn tier(&self) -> Option<Tier> {
        Tier::from_index(self.tier.load(Ordering::Acquire).into())
    }

    /// Marks a promotion as asked for. `false` if it was before.
    pub(crate) fn request(&self, tier: Tier) -> bool {
        let bit = 1 << tier.index();
        self.requested.fetch_or(bit, Ordering::AcqRel) & bit == 0
    }

    /// Allows a promotion to be asked for again.
    pub(crate) fn withdraw_request(&self, tier: Tier) {
        self.requested
            .fetch_and(!(1 << tier.index()), Ordering::AcqRel);
    }

    /// The same for all tiers.
    pub(crate) fn withdraw_requests(&self) {
        self.requested.store(0, Ordering::Release);
    }

    /// Rules a tier out for good.
    pub(crate) fn set_failed(&self, tier: Tier) {
        self.failed.fetch_or(1 << tier.index(), Ordering::AcqRel);
    }

    pub(crate) fn has_failed(&self, tier: Tier) -> bool {
        self.failed.load(Ordering::Acquire) & (1 << tier.index()) != 0
    }

    /// Whether the function may run in `tier`.
    pub(crate) fn may_use(&self, tier: Tier) -> bool {
        tier as u8 <= self.ceiling.load(Ordering::Acquire)
    }

    pub(crate) fn set_ceiling(&self, tier: Tier) {
        self.ceiling.store(tier as u8, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<V>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
