//! Runs the WebAssembly test suite in every setup and prints how many assertions hold.
//!
//! `UPSHIFT_SPEC=simd/` runs only scripts whose name contains that, `UPSHIFT_SPEC_SETUP=tier-0` only that setup.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use upshift_filetests::{Script, Setup, SkipList, suite};
use upshift_wasm::wast::{WastOptions, WastReport, run_wast};

/// What is left out.
const SKIPS: &str = include_str!("../spec-skips.txt");

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
    let chosen = |name: &str, value: &str| {
        std::env::var(name).map_or(true, |wanted| value.contains(wanted.as_str()))
    };
    let scripts: Vec<Script> = suite()
        .into_iter()
        .filter(|script| chosen("UPSHIFT_SPEC", &script.name()))
        .collect();
    let setups = Setup::ALL
        .into_iter()
        .filter(|s| chosen("UPSHIFT_SPEC_SETUP", &s.to_string()));

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
    if std::env::var_os("UPSHIFT_SPEC").is_none()
        && std::env::var_os("UPSHIFT_SPEC_SETUP").is_none()
    {
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
