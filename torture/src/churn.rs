//! Functions that are made, promoted, taken back and freed, over and over: code memory stays bounded, and what was freed is
//! never executed.

use crate::machine::{executable_resident_bytes, resident_bytes};
use crate::program::{Program, Replay, cranelift};
use crate::report::Report;
use crate::scale::Scale;
use anyhow::Result;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use upshift::{Backend, Config, Engine, Tier};
use upshift_cranelift::Effort;

/// Bytes of code memory that the engine may use.
const CAP_BYTES: usize = 1 << 20;
/// Programs that are alive at a time.
const ALIVE: usize = 32;
/// Kinds of functions, each of another size.
const KINDS: u32 = 8;

/// Breakpoints hit in this process.
static BREAKPOINTS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_breakpoint(_signal: i32) {
    BREAKPOINTS.fetch_add(1, Ordering::Relaxed);
}

/// Counts from now on how often freed code, which is filled with breakpoints, is executed.
pub fn count_breakpoints() {
    let handler = count_breakpoint as extern "C" fn(i32);
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::signal(libc::SIGTRAP, handler as usize) };
}

/// How often freed code was executed.
pub fn breakpoints() -> u64 {
    BREAKPOINTS.load(Ordering::Relaxed)
}

/// Promote, free, re-create.
pub fn run(scale: Scale, cycles: Option<u64>) -> Result<Report> {
    let cycles = cycles.unwrap_or(match scale {
        Scale::Full => 1_000_000,
        Scale::Smoke => 1000,
    });
    let mut report = Report::new(
        "churn",
        "functions are made, called, promoted, taken back to tier 0 and freed; code memory is bounded, and freed code is never executed",
    );
    let replay =
        |effort| Ok::<_, anyhow::Error>(Backend::Custom(Arc::new(Replay::new(cranelift(effort)?))));
    let config = Config::default()
        .thresholds(2, u32::MAX)
        .workers(1)
        .code_memory_bytes(CAP_BYTES)
        .backend(Tier::Baseline, replay(Effort::None)?)
        .backend(Tier::Optimizing, replay(Effort::Speed)?);
    let engine = Engine::new(config)?;
    let first = Program::new(&engine, 1, KINDS)?;
    report.add(1, first.call_and_check(0, 1));
    let before = engine.code_memory_usage();
    let peaks = cycle(&mut report, &engine, cycles)?;
    engine.shutdown();
    let after = engine.code_memory_usage();
    // The first program may have been promoted meanwhile; nothing else may be left.
    report.check(
        after.code_blocks == before.code_blocks && after.functions == before.functions,
        || format!("something is left: {after:?}, at first {before:?}"),
    );
    report.check(peaks.executable_bytes <= CAP_BYTES + (64 << 10), || {
        format!(
            "{} bytes of executable memory, the cap is {CAP_BYTES}",
            peaks.executable_bytes
        )
    });
    let grown = peaks.resident_last.saturating_sub(peaks.resident_first);
    report.check(grown < 16 << 20, || {
        format!("the process grew by {grown} bytes")
    });
    report.figure("cycles", cycles);
    report.figure(
        "functions promoted",
        engine.profile_statistics().tiers[1].compilations,
    );
    report.figure("of which taken back to tier 0", peaks.taken_back);
    report.figure("cap on code memory, bytes", CAP_BYTES);
    report.figure(
        "most executable memory by the kernel's count, bytes",
        peaks.executable_bytes,
    );
    report.figure("most code in use, bytes", peaks.code_bytes);
    report.figure(
        "growth of the process from a tenth of the way to the end, bytes",
        grown,
    );
    freed_code_is_filled(&mut report, &engine)?;
    report.figure("breakpoints executed", breakpoints());
    report.check(breakpoints() == 0, || {
        format!("freed code was executed {} times", breakpoints())
    });
    Ok(report.finish())
}

#[derive(Default)]
struct Peaks {
    code_bytes: usize,
    executable_bytes: usize,
    resident_first: usize,
    resident_last: usize,
    /// Functions whose better code was taken out of use.
    taken_back: u64,
}

fn cycle(report: &mut Report, engine: &Engine, cycles: u64) -> Result<Peaks> {
    let mut alive = VecDeque::new();
    let mut peaks = Peaks::default();
    let measure_each = (cycles / 200).max(1);
    for number in 0..cycles {
        let program = Program::new(engine, 1 + (number % 5) as u32, KINDS)?;
        let index = number as u32 % program.len();
        for x in 0..4 {
            report.add(1, program.call_and_check(index, x));
        }
        if number % 2 == 0
            && let Some(function) = program.function(index)
        {
            engine.optimize(&function, Tier::Optimizing)?;
            report.add(1, program.call_and_check(index, 9));
            if number % 4 == 0 {
                engine.deoptimize(&function, Tier::Baseline)?;
                report.add(1, program.call_and_check(index, 11));
                let tier = program.tier_of(index);
                report.check(tier == Some(Tier::Baseline), || {
                    format!("a function that was taken back is in {tier:?}")
                });
                peaks.taken_back += 1;
            }
        }
        alive.push_back(program);
        if alive.len() > ALIVE {
            // Not always the oldest: the gaps between what is alive differ.
            let at = (number.wrapping_mul(0x9e37_79b9) >> 7) as usize % alive.len();
            alive.remove(at);
        }
        if number == cycles / 10 {
            peaks.resident_first = resident_bytes()?;
        }
        if number % measure_each == 0 {
            let usage = engine.code_memory_usage();
            peaks.code_bytes = peaks.code_bytes.max(usage.code_used_bytes);
            let mapped = executable_resident_bytes()?;
            peaks.executable_bytes = peaks
                .executable_bytes
                .max(mapped)
                .max(usage.executable_resident_bytes);
            report.progress(number, cycles);
        }
        if report.failures.len() > 10 {
            break;
        }
    }
    peaks.resident_last = resident_bytes()?;
    Ok(peaks)
}

/// What was freed holds nothing but breakpoints, as long as its page is not given back.
fn freed_code_is_filled(report: &mut Report, engine: &Engine) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        report.figure("freed code looked at", "not on this machine");
        return Ok(());
    }
    let programs: Vec<_> = (0..64)
        .map(|_| Program::new(engine, 1, KINDS))
        .collect::<Result<_, _>>()?;
    for program in &programs {
        report.add(1, program.call_and_check(0, 5));
    }
    let mut looked_at = 0;
    for (number, program) in programs.into_iter().enumerate() {
        let address = program.code_address(0);
        // One in four is freed, so that its page stays.
        if number % 4 != 1 {
            std::mem::forget(program);
            continue;
        }
        drop(program);
        // SAFETY: the code part is mapped to be read as long as the engine lives.
        let byte = unsafe { std::ptr::with_exposed_provenance::<u8>(address).read_volatile() };
        report.check(byte == 0xcc, || format!("freed code begins with {byte:#x}"));
        looked_at += 1;
    }
    report.figure("freed functions whose memory was looked at", looked_at);
    Ok(())
}
