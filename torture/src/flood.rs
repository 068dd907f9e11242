//! More functions become hot at once than the queue holds: the program goes on, what is hottest comes first, memory
//! stays flat, and in the end nothing waits.

use crate::machine::resident_bytes;
use crate::program::{Program, Replay, cranelift};
use crate::report::{Report, percentile};
use crate::scale::Scale;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use upshift::{Backend, Config, Engine, Tier};
use upshift_cranelift::Effort;

/// Calls before a function is promoted.
const THRESHOLD: u32 = 10;
/// Bytes that a function may take, its code, profile and metadata together.
const BYTES_PER_FUNCTION: usize = 2048;

/// The flood.
pub fn run(scale: Scale) -> Result<Report> {
    let functions: u32 = match scale {
        Scale::Full => 100_000,
        Scale::Smoke => 10_000,
    };
    let mut report = Report::new("flood", "functions that all become hot at once");
    let replay = Backend::Custom(Arc::new(Replay::new(cranelift(Effort::None)?)));
    let config = Config::default()
        .thresholds(THRESHOLD, u32::MAX)
        .backend(Tier::Baseline, replay);
    let engine = Engine::new(config)?;
    let resident_before = resident_bytes()?;
    let program = Program::new(&engine, functions, 64)?;
    let mut stalls = Vec::new();
    for round in 0..THRESHOLD + 2 {
        let started = Instant::now();
        for index in 0..functions {
            report.add(1, program.call_and_check(index, round.into()));
        }
        stalls.push(started.elapsed() / functions);
        report.progress(round.into(), (THRESHOLD + 2).into());
    }
    let flooded = engine.profile_statistics();
    report.figure("functions hot at once", flooded.hot_functions);
    report.figure("waiting in the queue then", flooded.queued);
    report.check(flooded.hot_functions == u64::from(functions), || {
        format!("{} of {functions} functions are hot", flooded.hot_functions)
    });
    report.figure(
        "a call during the flood, median",
        format!("{:?}", percentile(&mut stalls, 50)),
    );
    hottest_first(&mut report, &engine)?;
    drain(&mut report, &engine, &program);
    let grown = resident_bytes()?.saturating_sub(resident_before);
    report.figure("memory a function, bytes", grown / functions as usize);
    report.check(
        grown < functions as usize * BYTES_PER_FUNCTION + (64 << 20),
        || format!("the process grew by {grown} bytes"),
    );
    engine.shutdown();
    Ok(report.finish())
}

/// A function that becomes hot later, and hotter, overtakes the ones that wait.
fn hottest_first(report: &mut Report, engine: &Engine) -> Result<()> {
    let hot = Program::new(engine, 1, 1)?;
    let before = engine.profile_statistics();
    let started = Instant::now();
    let mut calls = 0_u64;
    while hot.tier_of(0) != Some(Tier::Optimizing) && started.elapsed() < Duration::from_secs(60) {
        report.add(1, hot.call_and_check(0, 3));
        calls += 1;
    }
    let after = engine.profile_statistics();
    report.check(hot.tier_of(0) == Some(Tier::Optimizing), || {
        format!("a function called {calls} times was not promoted")
    });
    report.figure(
        "calls of a later, hotter function until it was promoted",
        calls,
    );
    report.figure("others still waiting then", after.queued);
    report.check(before.queued < 1000 || after.queued > 0, || {
        format!("it came last: {} waited before it", before.queued)
    });
    Ok(())
}

/// Calls on until everything is promoted or nobody waits any more.
fn drain(report: &mut Report, engine: &Engine, program: &Program) {
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    loop {
        for index in 0..program.len() {
            let called = Instant::now();
            report.add(1, program.call_and_check(index, 4));
            longest = longest.max(called.elapsed());
        }
        let now = engine.profile_statistics();
        let promoted = now.tiers[Tier::Optimizing.index()].functions;
        report.progress(promoted, program.len().into());
        let done = promoted >= u64::from(program.len());
        if done || started.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    // Without calls what waits is served or found stale.
    let patience = Instant::now();
    while engine.profile_statistics().queued > 0 && patience.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let end = engine.profile_statistics();
    report.figure(
        "promoted in the end",
        end.tiers[Tier::Optimizing.index()].functions,
    );
    report.figure("waiting in the end", end.queued);
    report.figure("longest call while compiling", format!("{longest:?}"));
    report.check(end.queued == 0, || {
        format!("{} requests are stuck", end.queued)
    });
}
