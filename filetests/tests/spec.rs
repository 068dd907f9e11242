//! Runs the WebAssembly test suite in every setup and prints how many assertions hold.
//!
//! Arguments pick scripts by a part of their name, `--setup=NAME` picks a setup: `spec simd/ --setup=tier-0`. With
//! `--random=SEEDS` the setups are the stress tests that make random choices, each with the seeds from 1 to that. With
//! `--stop` the first script that fails is the last.
//!
//! The frames of running functions are compared too, at the headers of loops and where guards stand: the log of each
//! script in setups that change tiers with that in tier 0. `--frames=SEEDS` does only that, with the seeds from 0 to that.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use upshift::{Engine, FrameLogReport};
use upshift_filetests::{Script, Setup, SkipList, suite};
use upshift_wasm::Tier;
use upshift_wasm::wast::{WastOptions, run_wast};

/// What is left out.
const SKIPS: &str = include_str!("../spec-skips.txt");

/// What of the suite is run.
struct Selection {
    parts: Vec<String>,
    setups: Vec<Setup>,
    /// The seeds that frames are compared with.
    frames: Range<u64>,
    /// Nothing more after a script with a failure.
    stop: bool,
}

impl Selection {
    fn from_arguments(arguments: impl Iterator<Item = String>) -> Option<Selection> {
        let mut selection = Selection {
            parts: Vec::new(),
            setups: Setup::ALL.to_vec(),
            frames: 0..1,
            stop: false,
        };
        for argument in arguments {
            match argument.split_once('=') {
                Some(("--setup", name)) => {
                    selection.setups.retain(|setup| setup.to_string() == name);
                    selection.frames = 0..0;
                }
                Some(("--random", seeds)) => {
                    selection.setups = Setup::random(seeds.parse().ok()?).collect();
                    selection.frames = 0..0;
                }
                Some(("--frames", seeds)) => {
                    selection.setups.clear();
                    selection.frames = 0..seeds.parse::<u64>().ok()? + 1;
                }
                _ if argument == "--stop" => selection.stop = true,
                // Flags of the standard test harness mean nothing here.
                _ if argument.starts_with('-') => {}
                _ => selection.parts.push(argument),
            }
        }
        (!selection.setups.is_empty() || !selection.frames.is_empty()).then_some(selection)
    }

    fn has(&self, script: &str) -> bool {
        self.is_every_script() || self.parts.iter().any(|part| script.contains(part.as_str()))
    }

    fn is_every_script(&self) -> bool {
        self.parts.is_empty()
    }

    fn is_everything(&self) -> bool {
        self.is_every_script() && self.setups == Setup::ALL
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
    deoptimizations: u64,
    /// Functions without guards, for want of a way back.
    without_way_back: u64,
    /// Activations that moved in the middle of a loop.
    moves: u64,
    time: Duration,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.scripts += other.scripts;
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.deoptimizations += other.deoptimizations;
        self.without_way_back += other.without_way_back;
        self.moves += other.moves;
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
            "arguments: [--stop] [--random=SEEDS] [--frames=SEEDS] [--setup=NAME] [PART OF A SCRIPT'S NAME...]"
        );
        return ExitCode::FAILURE;
    };
    let mut success = true;
    if !selection.setups.is_empty() {
        print_header();
    }
    for &setup in &selection.setups {
        if setup.is_possible() {
            success &= run_setup(setup, &selection, &mut skips);
        } else {
            print_left_out(setup);
        }
        if selection.stop && !success {
            return ExitCode::FAILURE;
        }
    }
    for seed in selection.frames.clone() {
        success &= compare_frames(seed, &selection, &mut skips);
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

fn print_left_out(setup: Setup) {
    println!("{setup:12} left out: there is no LLVM server; `cargo xtask llvm` builds it");
}

fn print_header() {
    println!(
        "{:12} {:16} {:>7} {:>7} {:>6} {:>7} {:>7} {:>7} {:>7} {:>9} {:>8} {:>8}",
        "setup",
        "folder",
        "scripts",
        "passed",
        "failed",
        "skipped",
        "tier 0",
        "tier 1",
        "tier 2",
        "moves",
        "deopts",
        "seconds"
    );
}

/// Runs the selected scripts in tier 0 and in setups that change tiers, and compares what the frames looked like. False if
/// they were not the same everywhere.
fn compare_frames(seed: u64, selection: &Selection, skips: &mut SkipList) -> bool {
    let scripts: Vec<Script> = suite()
        .into_iter()
        .filter(|script| selection.has(&script.name()))
        .collect();
    let mut logged = |script: &Script, setup: Setup| {
        // The bits of a NaN that an operation makes are its own in each tier.
        let config = setup.config(true).frame_log(seed);
        let engine = Engine::new(config).expect("an engine");
        let tally = run_in(&engine, script, (setup, How::WithFrames), skips);
        (engine.frame_log(), tally)
    };
    let expected: Vec<FrameLogReport> = scripts
        .iter()
        .map(|script| logged(script, Setup::Tier0).0)
        .collect();
    let mut success = true;
    for setup in Setup::with_frames(seed) {
        if !setup.is_possible() {
            print_left_out(setup);
            continue;
        }
        let (mut frames, mut mismatches, mut total) = (0, 0, Tally::default());
        for (script, expected) in scripts.iter().zip(&expected) {
            let (found, tally) = logged(script, setup);
            if let Some((number, position)) = found.first_difference(expected) {
                mismatches += 1;
                let name = script.name();
                println!("{setup}: {name}: frame {number} differs, at {position:?}");
            }
            frames += found.frames;
            total += tally;
        }
        let (moves, back, failed) = (total.moves, total.deoptimizations, total.failed);
        println!(
            "{setup:16} frames compared: {frames}, mismatches: {mismatches}; {moves} moves up, {back} back"
        );
        let changes = moves + back > 0 || !selection.is_every_script();
        success &= mismatches == 0 && failed == 0 && frames > 0 && changes;
    }
    success
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
        if selection.stop && tally.failed > 0 {
            break;
        }
    }
    for (folder, tally) in tallies.iter().filter(|_| Setup::ALL.contains(&setup)) {
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
    if setup.deoptimizes() != (total.deoptimizations > 0) && selection.is_every_script() {
        success = false;
        let count = total.deoptimizations;
        println!("{setup}: activations went back to tier 0 {count} times");
    }
    // What each guard gives is what its continuation expects, and continuations have small frames. Those of code that is
    // not optimized may have large ones.
    if total.without_way_back > 0 && !setup.has_large_frames() {
        success = false;
        let count = total.without_way_back;
        println!("{setup}: {count} functions have no way back to tier 0");
    }
    success
}

/// Runs one script with an engine of its own, so that no other script's code has been compiled in it.
fn run_script(script: &Script, setup: Setup, skips: &mut SkipList) -> Tally {
    let engine = setup
        .engine()
        .unwrap_or_else(|error| panic!("starting the engine: {error}"));
    run_in(&engine, script, (setup, How::Alone), skips)
}

/// What a script is run for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Alone,
    WithFrames,
}

/// Where a script exhausts the stack. How deep that is depends on the tier: each has frames of its own size.
fn exhaustions(source: &str) -> impl Iterator<Item = (usize, String)> {
    let lines = (1..).zip(source.lines());
    let exhausts = |line: &str| line.contains("(assert_exhaustion");
    lines
        .filter(move |(_, line)| exhausts(line))
        .map(|(number, _)| (number, "each tier has frames of its own size".to_owned()))
}

fn run_in(
    engine: &Engine,
    script: &Script,
    (setup, how): (Setup, How),
    skips: &mut SkipList,
) -> Tally {
    let start = Instant::now();
    let name = script.name();
    let mut options = WastOptions {
        version: script.version,
        skip: skips.of(&name, setup),
        ..WastOptions::default()
    };
    if how == How::WithFrames {
        options.skip.extend(exhaustions(script.source));
    }
    let report = run_wast(engine, &name, script.source, &options);
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
        deoptimizations: statistics.deoptimizations,
        without_way_back: statistics.without_way_back,
        moves: statistics.osr_entries,
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
        moves,
        deoptimizations,
        time,
        ..
    } = tally;
    println!(
        "{setup:12} {folder:16} {scripts:>7} {passed:>7} {failed:>6} {skipped:>7} {tier_0:>7} {tier_1:>7} {tier_2:>7} {moves:>9} {deoptimizations:>8} {:>8.2}",
        time.as_secs_f64()
    );
}
