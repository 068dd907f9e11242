//! `cargo xtask stress`: the specification's tests and the corpus while activations and calls change tiers all the time.
//!
//! Both run with each combination of tiers that there is, the largest programs in the usual one. Every run is the same again
//! with the same seed. What the frames of running functions look like is compared with tier 0's.

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
/// Those for kernels with a tier above the one that optimizes first, where only calls that change tiers at random get to.
const FLIPPING: [&str; 2] = ["deopt=7,flip", "flip,frames"];

/// Runs all of it; false if anything was wrong.
pub fn run(options: &Options) -> Result<bool> {
    let good = spec_stressed(options.seeds)?;
    Ok(corpus_stressed(options)? && good)
}

/// Runs the corpus: with tiers 0 and 1; all but one program again with tier 0 by way of CLIF, and with LLVM's tier above the
/// two. A function full of guards is a second's work for LLVM, so only kernels have them there.
fn corpus_stressed(options: &Options) -> Result<bool> {
    let (all, small) = match options.quick {
        true => (Programs::Quick, Programs::Kernels),
        false => (Programs::All, Programs::Most),
    };
    // The last ones take Lua and SQLite minutes.
    let kinds = match options.quick {
        true => &KINDS[..3],
        false => &KINDS[..],
    };
    let check = |programs, optimization: Option<String>, kinds: &[&str]| {
        let of_seed = |seed| kinds.iter().map(move |kind| format!("{kind},seed={seed}"));
        let tests = (1..=options.seeds).flat_map(of_seed);
        let tests = SEEDLESS.map(str::to_owned).into_iter().chain(tests);
        corpus::run(&corpus::Options::stressed(
            programs,
            optimization,
            tests.collect(),
            options.upshift.clone(),
            !options.quick,
        ))
    };
    let mut good = check(all, None, kinds)?;
    good &= check(small, Some("clif".to_owned()), kinds)?;
    let Some(server) = llvm::server()? else {
        println!("skipped the corpus with LLVM");
        return Ok(good);
    };
    let server = Some(format!("llvm-server={}", server.display()));
    good &= check(small, server.clone(), &["flip"])?;
    if !options.quick {
        good &= check(Programs::Kernels, server, &FLIPPING)?;
    }
    Ok(good)
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
