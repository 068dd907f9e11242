//! Many threads with many functions on one engine, and many such processes at once.

use crate::program::Program;
use crate::report::Report;
use crate::scale::Scale;
use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use upshift::{Config, Engine, EventKind, FuncId, Recorder, Tier};

/// Calls before a function is promoted.
const THRESHOLD: u32 = 10;
/// After so long something is stuck.
const PATIENCE: Duration = Duration::from_secs(240);

/// All threads promote all their functions, each exactly once.
pub fn threads(scale: Scale) -> Result<Report> {
    let (threads, functions) = match scale {
        Scale::Full => (16, 1000),
        Scale::Smoke => (4, 50),
    };
    let mut report = Report::new(
        "threads",
        "threads with functions of their own on one engine; each hot function is promoted exactly once",
    );
    let recorder = Arc::new(Recorder::default());
    let config = Config::default().thresholds(THRESHOLD, u32::MAX);
    let engine = Engine::new(config.subscriber(recorder.clone()))?;
    let start = Arc::new(Barrier::new(threads));
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (engine, start) = (engine.clone(), start.clone());
            std::thread::spawn(move || one_thread(&engine, functions, &start))
        })
        .collect();
    let mut programs = Vec::new();
    for thread in running {
        let (program, calls, failures) = thread.join().ok().context("a thread panicked")??;
        report.add(calls, failures);
        programs.push(program);
    }
    engine.shutdown();
    let mut published: HashMap<FuncId, [u32; 2]> = HashMap::new();
    for event in recorder.events() {
        match event.kind {
            EventKind::Published { tier, .. } if tier == Tier::Optimizing => {
                published.entry(event.function).or_default()[1] += 1;
            }
            EventKind::Published { .. } => published.entry(event.function).or_default()[0] += 1,
            EventKind::Failed { reason, .. } => {
                report.check(false, || format!("{}: {reason}", event.name));
            }
            _ => {}
        }
    }
    let all = threads as u32 * functions;
    let once = published
        .values()
        .filter(|counts| **counts == [1, 1])
        .count();
    report.check(once as u32 == all, || {
        format!("{once} of {all} functions were published once in each tier")
    });
    report.figure("threads", threads);
    report.figure(
        "functions promoted exactly once",
        format!("{once} of {all}"),
    );
    Ok(report.finish())
}

type Ran = (Program, u64, Vec<String>);

fn one_thread(engine: &Engine, functions: u32, start: &Barrier) -> Result<Ran> {
    let program = Program::new(engine, functions, functions);
    start.wait();
    let program = program?;
    let (mut calls, mut failures) = (0, Vec::new());
    let started = Instant::now();
    loop {
        for index in 0..functions {
            failures.extend(program.call_and_check(index, calls as i64));
            calls += 1;
        }
        let low = (0..functions)
            .filter(|&index| program.tier_of(index) != Some(Tier::Optimizing))
            .count();
        if low == 0 || !failures.is_empty() {
            return Ok((program, calls, failures));
        }
        if started.elapsed() > PATIENCE {
            failures.push(format!("{low} functions were not promoted"));
            return Ok((program, calls, failures));
        }
    }
}

/// Several processes do the above at once.
pub fn processes(scale: Scale) -> Result<Report> {
    let count = match scale {
        Scale::Full => 6,
        Scale::Smoke => 2,
    };
    let mut report = Report::new(
        "processes",
        "several processes doing that at once, more than there are cores",
    );
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg("threads").stdout(Stdio::piped());
    if scale == Scale::Smoke {
        command.arg("--smoke");
    }
    let started: Vec<_> = (0..count).map(|_| command.spawn()).collect();
    for process in started {
        let output = process?.wait_with_output()?;
        report.check(output.status.success(), || {
            format!(
                "{}: {}",
                output.status,
                String::from_utf8_lossy(&output.stdout)
            )
        });
    }
    report.figure("processes", count);
    Ok(report.finish())
}
