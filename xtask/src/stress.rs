//! `cargo xtask stress`: the specification's tests and the corpus while activations and calls change tiers all the time.
//!
//! Both run with each combination of tiers that there is. Every run is the same again with the same seed. What the frames of running functions look like is compared with tier 0's.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::corpus::Programs;
use crate::{corpus, llvm, spec};

/// What `cargo xtask stress` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// The seeds are 1 to N
    #[arg(long, value_name = "N", default_value_t = 5)]
    seeds: u64,
    /// Leave out the programs that take long to run, and build the command without optimization
    #[arg(long)]
    quick: bool,
    /// Run only these parts [default: all, which takes hours]
    #[arg(long, value_name = "PART", value_enum)]
    only: Vec<Part>,
    /// The command to run programs with, instead of one built for it
    #[arg(long, value_name = "FILE")]
    upshift: Option<PathBuf>,
}

/// The stress tests that make no random choices.
const SEEDLESS: [&str; 2] = ["osr", "inline"];
/// Those that do.
const KINDS: [&str; 5] = [
    "osr=3",
    "flip",
    "deopt=3",
    "deopt=7,flip",
    "deopt=5,osr=3,frames",
];
/// One for kernels with a tier above the one that optimizes first, where only calls that change tiers at random get to.
const FLIPPING: [&str; 1] = ["flip,frames"];

/// A part of the stress test.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// The specification's tests, with each combination of tiers
    Suite,
    /// The corpus with tiers 0 and 1
    Corpus,
    /// The corpus with tier 0 by way of CLIF
    Clif,
    /// The corpus with LLVM above tiers 0 and 1
    Llvm,
}

/// Runs all of it, or the parts that are named; false if anything was wrong.
pub fn run(options: &Options) -> Result<bool> {
    let mut good = true;
    if options.has(Part::Suite) {
        good &= spec_stressed(options.seeds)?;
    }
    if options.has(Part::Corpus) {
        let programs = options.programs(Programs::All, Programs::Quick);
        good &= options.check(programs, None, options.kinds())?;
    }
    if options.has(Part::Clif) {
        let programs = options.programs(Programs::All, Programs::Kernels);
        good &= options.check(programs, Some("clif".to_owned()), options.kinds())?;
    }
    if options.has(Part::Llvm) {
        good &= with_llvm(options)?;
    }
    Ok(good)
}

/// Runs the corpus with LLVM. Clang making machine code is left out: making LLVM's IR, which is less work, takes it four
/// minutes a run.
fn with_llvm(options: &Options) -> Result<bool> {
    let Some(server) = llvm::server()? else {
        println!("skipped the corpus with LLVM");
        return Ok(true);
    };
    let server = Some(format!("llvm-server={}", server.display()));
    if options.quick {
        return options.check(Programs::Kernels, server, &["flip"]);
    }
    let good = options.check(Programs::Most, server.clone(), &KINDS)?;
    Ok(options.check(Programs::Kernels, server, &FLIPPING)? && good)
}

impl Options {
    fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn programs(&self, all: Programs, quick: Programs) -> Programs {
        match self.quick {
            true => quick,
            false => all,
        }
    }

    /// The last ones take Lua and SQLite minutes.
    fn kinds(&self) -> &'static [&'static str] {
        match self.quick {
            true => &KINDS[..3],
            false => &KINDS,
        }
    }

    /// Checks programs under these tests with each seed, and under those that have none.
    fn check(
        &self,
        programs: Programs,
        optimization: Option<String>,
        kinds: &[&str],
    ) -> Result<bool> {
        let of_seed = |seed| kinds.iter().map(move |kind| format!("{kind},seed={seed}"));
        let tests = (1..=self.seeds).flat_map(of_seed);
        let tests = SEEDLESS.map(str::to_owned).into_iter().chain(tests);
        corpus::run(&corpus::Options::stressed(
            programs,
            optimization,
            tests.collect(),
            self.upshift.clone(),
            !self.quick,
        ))
    }
}

/// Runs the specification's tests, and compares their frames, side by side: either is one thread's work.
fn spec_stressed(seeds: u64) -> Result<bool> {
    let parts = ["--random", "--frames"].map(|part| {
        let argument = format!("{part}={seeds}");
        std::thread::spawn(move || spec::run(&spec::Options::with(vec![argument])))
    });
    let mut good = true;
    for part in parts {
        let ended = part.join();
        good &= ended.map_err(|_| anyhow!("a part of the stress test panicked"))??;
    }
    Ok(good)
}
