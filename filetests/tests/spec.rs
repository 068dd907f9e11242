//! Runs the WebAssembly test suite in every setup and prints how many assertions hold.
//!
//! Arguments pick scripts by a part of their name, `--setup=NAME` picks a setup: `spec simd/ --setup=tier-0`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use upshift_filetests::{Script, Setup, SkipList, suite};
use upshift_wasm::wast::{WastOptions, WastReport, run_wast};

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

/// Results of one folder in one setup.
#[derive(Default)]
struct Tally {
    scripts: usize,
    passed: usize,
    failed: usize,
    skipped: usize,
    time: Duration,
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
        eprintln!("arguments: [--setup=tier-0|tier-1|mixed] [PART OF A SCRIPT'S NAME...]");
        return ExitCode::FAILURE;
    };
    let scripts: Vec<Script> = suite()
        .into_iter()
        .filter(|script| selection.has(&script.name()))
        .collect();
    let setups = Setup::ALL
        .into_iter()
        .filter(|setup| selection.setup.is_none_or(|wanted| wanted == *setup));

    let mut success = true;
    println!(
        "{:8} {:16} {:>7} {:>7} {:>6} {:>7} {:>8}",
        "setup", "folder", "scripts", "passed", "failed", "skipped", "seconds"
    );
    for setup in setups {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        for script in &scripts {
            let start = Instant::now();
            let report = run(script, setup, &mut skips);
            let tally = tallies.entry(script.folder).or_default();
            tally.scripts += 1;
            tally.passed += report.passed;
            tally.failed += report.failed.len();
            tally.skipped += report.skipped.len();
            tally.time += start.elapsed();
            for failure in &report.failed {
                success = false;
                println!("{setup}: {failure}");
            }
        }
        let mut total = Tally::default();
        for (folder, tally) in &tallies {
            print_row(setup, folder, tally);
            total.scripts += tally.scripts;
            total.passed += tally.passed;
            total.failed += tally.failed;
            total.skipped += tally.skipped;
            total.time += tally.time;
        }
        print_row(setup, "all", &total);
    }
    // With a part of the suite only, entries of the other parts are not used.
    if selection.is_everything() {
        for entry in skips.unused() {
            success = false;
            println!("filetests/spec-skips.txt: nothing uses the entry {entry}");
        }
    }
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one script with an engine of its own, so that no other script's code has been compiled in it.
fn run(script: &Script, setup: Setup, skips: &mut SkipList) -> WastReport {
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
    report
}

fn print_row(setup: Setup, folder: &str, tally: &Tally) {
    let Tally {
        scripts,
        passed,
        failed,
        skipped,
        time,
    } = tally;
    let seconds = time.as_secs_f64();
    println!(
        "{setup:8} {folder:16} {scripts:>7} {passed:>7} {failed:>6} {skipped:>7} {seconds:>8.2}"
    );
}
