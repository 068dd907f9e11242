//! The bodies: ways to make cases, and running a case of any.

use crate::case::{Case, WasmCase};
use crate::random::Random;
use crate::verdict::{Counts, Verdict};
use crate::{clif, compare, generator, malformed, schedule, smith};
use std::fmt;

/// A way to make cases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Body {
    /// Modules from wasm-smith
    Smith,
    /// Modules from our own generator
    Own,
    /// CLIF functions
    Clif,
    /// Malformed input
    Malformed,
}

impl Body {
    /// All of them.
    pub const ALL: [Body; 4] = [Body::Smith, Body::Own, Body::Clif, Body::Malformed];

    /// How many cases to run when all bodies are run, for each hundred modules from wasm-smith. A module of our own takes
    /// twenty times as long as one of those, because it loops.
    pub fn percent(self) -> u64 {
        match self {
            Body::Smith => 100,
            Body::Own => 2,
            Body::Clif => 3,
            Body::Malformed => 10,
        }
    }

    /// Case number `index` of a run with that seed; `None` if the choices do not make one.
    pub fn case(self, seed: u64, index: u64) -> Option<Case> {
        self.chosen(&mut Random::new(seed ^ (self as u64) << 56, index))
    }

    /// Runs the case that `choices` make, for fuzzers that learn which choices lead further.
    ///
    /// # Panics
    /// If something is wrong: that is how such a fuzzer is told.
    pub fn run_choices(self, choices: &[u8]) {
        let Some(case) = self.chosen(&mut Random::from_choices(choices)) else {
            return;
        };
        if let Verdict::Mismatch(reason) = case.run(&mut Counts::default()) {
            let text = serde_json::to_string(&case).unwrap_or_default();
            panic!("{reason}; `cargo xtask fuzz --minimise FILE` makes this smaller:\n{text}");
        }
    }

    fn chosen(self, random: &mut Random) -> Option<Case> {
        Some(match self {
            Body::Smith => {
                let module = smith::module(random).ok()?;
                // Its fuel lasts for the life of the module, so that more calls would do nothing.
                Case::Wasm(wasm_case(random, module, 30))
            }
            Body::Own => {
                let module = generator::module(random);
                Case::Wasm(wasm_case(random, module, 40))
            }
            Body::Clif => Case::Clif(clif::case(random)),
            Body::Malformed => Case::Malformed(malformed::case(random)),
        })
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Body::Smith => "smith",
            Body::Own => "own",
            Body::Clif => "clif",
            Body::Malformed => "malformed",
        })
    }
}

fn wasm_case(random: &mut Random, module: Vec<u8>, calls_max: usize) -> WasmCase {
    let shape = schedule::shape(&module);
    let count = random.between(4, calls_max);
    let calls = schedule::calls(random, &shape, count);
    WasmCase {
        schedules: schedule::schedules(random, &shape, calls.len()),
        host_fails: random.one_in(3),
        module,
        calls,
    }
}

impl Case {
    /// Runs the case.
    pub fn run(&self, counts: &mut Counts) -> Verdict {
        let verdict = match self {
            Case::Wasm(case) => compare::run(case, counts),
            Case::Clif(case) => clif::run(case, counts),
            Case::Malformed(case) => malformed::run(case, counts),
        };
        counts.add_verdict(&verdict);
        verdict
    }
}
