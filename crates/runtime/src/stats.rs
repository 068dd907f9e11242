//! Totals of one runtime, and the report made from them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use upshift_base::{FuncId, Tier};
use upshift_event::EventKind;

/// What one tier has done.
#[derive(Debug, Default)]
struct TierTotals {
    compilations: AtomicU64,
    failures: AtomicU64,
    live_code_bytes: AtomicU64,
    nanoseconds: AtomicU64,
    longest_nanoseconds: AtomicU64,
}

impl TierTotals {
    fn book_compilation(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.compilations.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.longest_nanoseconds
            .fetch_max(nanoseconds, Ordering::Relaxed);
    }
}

/// How often something took how long: entry `n` counts what took less than 2 to the power of `n` microseconds and not less
/// than half of that; the last one also what took longer.
pub type DurationCounts = [u64; 20];

/// Counters that the pipeline keeps up to date.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    tiers: [TierTotals; 3],
    compilations: AtomicU64,
    discarded: AtomicU64,
    osr_entries: AtomicU64,
    deoptimizations: AtomicU64,
    invalidations: AtomicU64,
    without_way_back: AtomicU64,
    visits: [AtomicU64; 20],
}

impl Totals {
    /// The number of the next compilation, counted from 1.
    pub(crate) fn next_compilation(&self) -> u64 {
        self.compilations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Books that running code was in the runtime for so long, because of a counter.
    pub(crate) fn book_visit(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let index = (u64::BITS - microseconds.leading_zeros()) as usize;
        self.visits[index.min(self.visits.len() - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what an event says.
    pub(crate) fn book(&self, event: &EventKind) {
        let of = |tier: Tier| &self.tiers[tier.index()];
        match event {
            EventKind::Compiled(c) => {
                of(c.tier).book_compilation(c.duration);
            }
            EventKind::Published { tier, code_bytes }
            | EventKind::OsrReady {
                tier, code_bytes, ..
            } => {
                of(*tier)
                    .live_code_bytes
                    .fetch_add(*code_bytes as u64, Ordering::Relaxed);
            }
            EventKind::Freed { tier, code_bytes } => {
                of(*tier)
                    .live_code_bytes
                    .fetch_sub(*code_bytes as u64, Ordering::Relaxed);
            }
            EventKind::Failed { tier, .. } | EventKind::OsrFailed { tier, .. } => {
                of(*tier).failures.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::OsrEntered { .. } => {
                self.osr_entries.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::ContinuationReady {
                code_bytes,
                duration,
                ..
            } => {
                let totals = of(Tier::Baseline);
                totals.book_compilation(*duration);
                totals
                    .live_code_bytes
                    .fetch_add(*code_bytes as u64, Ordering::Relaxed);
            }
            EventKind::Deoptimized { .. } => {
                self.deoptimizations.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::SpeculationOff { .. } => {
                self.without_way_back.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::Invalidated { .. } => {
                self.invalidations.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::Discarded { .. } => {
                self.discarded.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    pub(crate) fn report(&self) -> ProfileStatistics {
        let tier = |totals: &TierTotals| TierStatistics {
            functions: 0,
            compilations: totals.compilations.load(Ordering::Relaxed),
            failures: totals.failures.load(Ordering::Relaxed),
            code_bytes: totals.live_code_bytes.load(Ordering::Relaxed),
            compile_time: Duration::from_nanos(totals.nanoseconds.load(Ordering::Relaxed)),
            longest_compilation: Duration::from_nanos(
                totals.longest_nanoseconds.load(Ordering::Relaxed),
            ),
        };
        ProfileStatistics {
            total_functions: 0,
            compiled_functions: 0,
            hot_functions: 0,
            executions: 0,
            loop_iterations: 0,
            discarded: self.discarded.load(Ordering::Relaxed),
            osr_entries: self.osr_entries.load(Ordering::Relaxed),
            deoptimizations: self.deoptimizations.load(Ordering::Relaxed),
            invalidations: self.invalidations.load(Ordering::Relaxed),
            without_way_back: self.without_way_back.load(Ordering::Relaxed),
            queued: 0,
            visits: self
                .visits
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
            tiers: self.tiers.each_ref().map(tier),
        }
    }
}

/// What one tier has done and holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TierStatistics {
    /// Functions whose published code is of this tier.
    pub functions: u64,
    /// Compilations that succeeded.
    pub compilations: u64,
    /// Compilations that were declined or failed.
    pub failures: u64,
    /// Bytes of code that are in memory now.
    pub code_bytes: u64,
    /// Time spent on all compilations.
    pub compile_time: Duration,
    /// Time spent on the longest one.
    pub longest_compilation: Duration,
}

/// A runtime at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProfileStatistics {
    /// Functions defined, called or not.
    pub total_functions: u64,
    /// Functions that have code.
    pub compiled_functions: u64,
    /// Functions that have reached the threshold of tier 1.
    pub hot_functions: u64,
    /// Calls counted: all those of tier 0, and those of tier 1 while there is a tier 2.
    pub executions: u64,
    /// Loop iterations counted, likewise.
    pub loop_iterations: u64,
    /// Compilations thrown away because their function was gone or had better code.
    pub discarded: u64,
    /// Times that a running activation has moved to better code.
    pub osr_entries: u64,
    /// Times that a running activation has gone back to tier 0, because a guard failed.
    pub deoptimizations: u64,
    /// Times that code was taken out of use because its guards kept failing.
    pub invalidations: u64,
    /// Functions that are optimized without taking anything for granted, because there would be nowhere to go back to.
    pub without_way_back: u64,
    /// Requests waiting.
    pub queued: u64,
    /// How long running code was in the runtime each time that a counter led there: to ask for better code, to move to it,
    /// or to see whether it is there. With background compilation, all that new code costs the program is in this. Counted if
    /// there is a subscriber.
    pub visits: DurationCounts,
    /// By tier.
    pub tiers: [TierStatistics; 3],
}

/// One function that has been called often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HotFunction {
    /// The function.
    pub function: FuncId,
    /// Its name.
    pub name: String,
    /// The tier its new calls run in.
    pub tier: Tier,
    /// Calls counted.
    pub calls: u64,
    /// Loop iterations counted.
    pub loop_iterations: u64,
}
