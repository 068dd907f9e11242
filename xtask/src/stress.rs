//! `cargo xtask stress`: the specification's tests and the corpus while activations and calls change tiers all the time.
//!
//! The tests run with each combination of tiers that there is, the corpus with the tiers that the command has. Every
//! run is the same again with the same seed. What the frames of running functions look like is compared with tier 0's.

use std::path::PathBuf;

use anyhow::Result;

use crate::{corpus, spec};

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

/// Runs all of it; false if anything was wrong.
pub fn run(options: &Options) -> Result<bool> {
    let good = spec::run(&spec::Options::with(vec![format!(
        "--random={}",
        options.seeds
    )]))?;
    let good = spec::run(&spec::Options::with(vec![format!(
        "--frames={}",
        options.seeds
    )]))?
        && good;
    let mut tests = vec!["osr".to_owned()];
    for seed in 1..=options.seeds {
        let stressed = |test: &str| format!("{test},seed={seed}");
        let kinds = [
            "osr=3",
            "flip",
            "deopt=3",
            "deopt=7,flip",
            "deopt=5,osr=3,frames",
        ];
        // The last ones take Lua and SQLite minutes.
        let kinds = match options.quick {
            true => &kinds[..3],
            false => &kinds[..],
        };
        tests.extend(kinds.iter().map(|kind| stressed(kind)));
    }
    let corpus = corpus::Options::stressed(tests, options.quick, options.upshift.clone());
    Ok(corpus::run(&corpus)? && good)
}
