//! What came of a case, and what came of many.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What came of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Both engines did the same.
    Agreed,
    /// There is nothing to compare, for this reason.
    Skipped(String),
    /// Something is wrong.
    Mismatch(String),
}

/// Sums over many cases.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Cases run.
    pub cases: u64,
    /// Those that both engines did the same with.
    pub agreed: u64,
    /// Those with nothing to compare.
    pub skipped: BTreeMap<String, u64>,
    /// Those where something is wrong.
    pub mismatches: u64,
    /// Runs of Upshift: one for each schedule of each case.
    pub runs: u64,
    /// Calls whose results were compared.
    pub calls: u64,
    /// Calls among them that trapped.
    pub traps: u64,
    /// The same by the kind of trap.
    pub trap_kinds: BTreeMap<String, u64>,
    /// Calls of host functions whose arguments and order were compared.
    pub host_calls: u64,
    /// Functions compiled in tiers 0, 1 and 2.
    pub compiled: [u64; 3],
    /// Activations that moved to better code in a loop.
    pub moves: u64,
    /// Activations that went back to tier 0.
    pub deoptimizations: u64,
    /// Calls that were replaced by the callee's body.
    pub inlined: u64,
}

impl Counts {
    /// Counts a case.
    pub fn add_verdict(&mut self, verdict: &Verdict) {
        self.cases += 1;
        match verdict {
            Verdict::Agreed => self.agreed += 1,
            Verdict::Skipped(reason) => {
                // Reasons with particulars in them would make a long list.
                let reason = reason.split(':').next().unwrap_or_default().to_owned();
                *self.skipped.entry(reason).or_default() += 1;
            }
            Verdict::Mismatch(_) => self.mismatches += 1,
        }
    }

    /// Counts a trap.
    pub fn add_trap(&mut self, kind: &dyn Debug) {
        self.traps += 1;
        *self.trap_kinds.entry(format!("{kind:?}")).or_default() += 1;
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Counts) {
        self.cases += other.cases;
        self.agreed += other.agreed;
        self.mismatches += other.mismatches;
        self.runs += other.runs;
        self.calls += other.calls;
        self.traps += other.traps;
        self.host_calls += other.host_calls;
        self.moves += other.moves;
        self.deoptimizations += other.deoptimizations;
        self.inlined += other.inlined;
        for (reason, count) in &other.skipped {
            *self.skipped.entry(reason.clone()).or_default() += count;
        }
        for (kind, count) in &other.trap_kinds {
            *self.trap_kinds.entry(kind.clone()).or_default() += count;
        }
        for (sum, count) in self.compiled.iter_mut().zip(other.compiled) {
            *sum += count;
        }
    }
}
