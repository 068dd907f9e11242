//! Runs the WebAssembly test suite in every setup and prints how many assertions hold.
//!
//! Arguments pick scripts by a part of their name, `--setup=NAME` picks a setup: `spec simd/ --setup=tier-0`.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use upshift_filetests::{Script, Setup, SkipList, suite};
use upshift_wasm::Tier;
use upshift_wasm::wast::{WastOptions, run_wast};

/// What is left out.
const SKIPS: &str = include_str!("../spec-skips.txt");

/// What of the suite is run.
#[derive(Default)]
struct Selection {
    parts: Vec<String>,
    setup: Option<Setup>,
}

impl Selection {
    fn from_arguments(arguments: impl Iterator<Item = String>) -> Option<Selection> {
        let mut selection = Selection::default();
        for argument in arguments {
            match argument.strip_prefix("--setup=") {
                Some(name) => {
                    let setup = Setup::ALL
                        .into_iter()
                        .find(|setup| setup.to_string() == name);
                    selection.setup = Some(setup?);
                }
                // Flags of the standard test harness mean nothing here.
                None if argument.starts_with('-') => {}
                None => selection.parts.push(argument),
            }
        }
        Some(selection)
    }

    fn has(&self, script: &str) -> bool {
        self.is_every_script() || self.parts.iter().any(|part| script.contains(part.as_str()))
    }

    fn is_every_script(&self) -> bool {
        self.parts.is_empty()
    }

    fn is_everything(&self) -> bool {
        self.is_every_script() && self.setup.is_none()
    }
}

/// Results of some scripts in one setup.
#[derive(Clone, Copy, Default)]
struct Tally {
    scripts: usize,
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Functions compiled for each tier.
    compiled: [u64; 3],
    time: Duration,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.scripts += other.scripts;
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.time += other.time;
        for (mine, others) in self.compiled.iter_mut().zip(other.compiled) {
            *mine += others;
        }
    }
}

fn main() -> ExitCode {
    let mut skips = match SkipList::parse(SKIPS) {
        Ok(skips) => skips,
        Err(error) => {
            eprintln!("filetests/spec-skips.txt: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(selection) = Selection::from_arguments(std::env::args().skip(1)) else {
        eprintln!(
            "arguments: [--setup=tier-0|tier-1|mixed|osr|osr-5|llvm|llvm-osr] [PART OF A SCRIPT'S NAME...]"
        );
        return ExitCode::FAILURE;
    };
    println!(
        "{:8} {:16} {:>7} {:>7} {:>6} {:>7} {:>7} {:>7} {:>7} {:>8}",
        "setup",
        "folder",
        "scripts",
        "passed",
        "failed",
        "skipped",
        "tier 0",
        "tier 1",
        "tier 2",
        "seconds"
    );
    let mut success = true;
    for setup in Setup::ALL {
        if !selection.setup.is_none_or(|wanted| wanted == setup) {
            continue;
        }
        if !setup.is_possible() {
            println!("{setup:8} left out: there is no LLVM server; `cargo xtask llvm` builds it");
        } else {
            success &= run_setup(setup, &selection, &mut skips);
        }
    }
    // With a part of the suite only, entries of the other parts are not used.
    if selection.is_everything() {
        for entry in skips.unused() {
            success = false;
            println!("filetests/spec-skips.txt: nothing uses the entry {entry}");
        }
    }
    match success {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs the selected scripts in one setup and prints a row for each folder. False if anything was wrong.
fn run_setup(setup: Setup, selection: &Selection, skips: &mut SkipList) -> bool {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut total = Tally::default();
    for script in suite() {
        if !selection.has(&script.name()) {
            continue;
        }
        let tally = run_script(&script, setup, skips);
        *tallies.entry(script.folder).or_default() += tally;
        total += tally;
    }
    for (folder, tally) in &tallies {
        print_row(setup, folder, tally);
    }
    print_row(setup, "all", &total);
    let mut success = total.failed == 0;
    for tier in Tier::ALL {
        if setup.uses(tier) != (total.compiled[tier.index()] > 0) && selection.is_every_script() {
            success = false;
            println!(
                "{setup}: {} functions were compiled for tier {tier}",
                total.compiled[tier.index()]
            );
        }
    }
    success
}

/// Runs one script with an engine of its own, so that no other script's code has been compiled in it.
fn run_script(script: &Script, setup: Setup, skips: &mut SkipList) -> Tally {
    let start = Instant::now();
    let name = script.name();
    let options = WastOptions {
        version: script.version,
        skip: skips.of(&name, setup),
        ..WastOptions::default()
    };
    let engine = setup
        .engine()
        .unwrap_or_else(|error| panic!("starting the engine: {error}"));
    let report = run_wast(&engine, &name, script.source, &options);
    for skipped in &report.skipped {
        skips.mark_used(&name, setup, skipped.line);
    }
    for failure in &report.failed {
        println!("{setup}: {failure}");
    }
    let statistics = engine.profile_statistics();
    Tally {
        scripts: 1,
        passed: report.passed,
        failed: report.failed.len(),
        skipped: report.skipped.len(),
        compiled: statistics.tiers.map(|tier| tier.compilations),
        time: start.elapsed(),
    }
}

fn print_row(setup: Setup, folder: &str, tally: &Tally) {
    let Tally {
        scripts,
        passed,
        failed,
        skipped,
        compiled: [tier_0, tier_1, tier_2],
        time,
    } = tally;
    println!(
        "{setup:8} {folder:16} {scripts:>7} {passed:>7} {failed:>6} {skipped:>7} {tier_0:>7} {tier_1:>7} {tier_2:>7} {:>8.2}",
        time.as_secs_f64()
    );
}
