//! Compilers that panic, fail, decline and dawdle, and code memory that is full at the worst moment.

use crate::program::{Faulty, Program, cranelift};
use crate::report::Report;
use crate::scale::Scale;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use upshift::{Backend, Config, Engine, Tier};
use upshift_cranelift::Effort;
use upshift_wasm::{Caller, Instance, Linker, Module, Store, Val};

/// A module that uses what takes code memory: imports, a start function, tables, indirect calls, several signatures.
const LIFE: &str = r#"(module
    (import "host" "add" (func $add (param i32 i32) (result i32)))
    (type $binary (func (param i32 i32) (result i32)))
    (memory 1)
    (global $started (mut i32) (i32.const 0))
    (table 2 funcref)
    (elem (i32.const 0) $add $sub)
    (func $sub (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
    (func $start (global.set $started (call $add (i32.const 20) (i32.const 22))))
    (start $start)
    (func (export "started") (result i32) global.get $started)
    (func (export "run") (param i32) (result i32)
        (local $sum i32)
        (loop $next
            (local.set $sum (call_indirect (type $binary)
                (local.get $sum) (local.get 0) (i32.and (local.get 0) (i32.const 1))))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $next (local.get 0)))
        local.get $sum))"#;

/// What has not failed after so long never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that can fail.
pub fn run(scale: Scale) -> Result<Report> {
    let mut report = Report::new(
        "failures",
        "compilers that panic, fail, decline and dawdle; code memory that is full at each allocation in turn",
    );
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = faulty_compilers(&mut report, scale)
        .and_then(|()| slow_compiler(&mut report))
        .and_then(|()| full_memory(&mut report));
    std::panic::set_hook(hook);
    result?;
    Ok(report.finish())
}

fn faulty(effort: Effort, fails: bool, delay: Duration) -> Result<Backend> {
    let faulty = Faulty::new(cranelift(effort)?, fails, delay);
    Ok(Backend::Custom(Arc::new(faulty)))
}

/// Calls all functions some times, and on until a compilation has failed: in the background it may be a while before the
/// first is taken on.
fn call_until_one_fails(engine: &Engine, program: &Program, functions: u32, report: &mut Report) {
    let start = Instant::now();
    for x in 0.. {
        for index in 0..functions {
            report.add(1, program.call_and_check(index, x));
        }
        let has_failed = engine.profile_statistics().tiers[1].failures > 0;
        if x >= 20 && (has_failed || start.elapsed() > PATIENCE) {
            break;
        }
    }
}

fn faulty_compilers(report: &mut Report, scale: Scale) -> Result<()> {
    let functions = match scale {
        Scale::Full => 2000,
        Scale::Smoke => 100,
    };
    for synchronous in [true, false] {
        // In tier 1: functions run on in tier 0.
        let config = Config::default()
            .thresholds(3, u32::MAX)
            .synchronous(synchronous)
            .backend(
                Tier::Optimizing,
                faulty(Effort::Speed, true, Duration::ZERO)?,
            );
        let engine = Engine::new(config)?;
        let program = Program::new(&engine, functions, 64)?;
        call_until_one_fails(&engine, &program, functions, report);
        engine.shutdown();
        let failures = engine.profile_statistics().tiers[1].failures;
        report.check(failures > 0, || "no compilation failed".to_owned());
        report.figure(
            format!("failed promotions, synchronous {synchronous}"),
            failures,
        );
        // In tier 0: tier 1 takes over at once.
        let config = Config::default()
            .synchronous(synchronous)
            .backend(Tier::Baseline, faulty(Effort::None, true, Duration::ZERO)?);
        let engine = Engine::new(config)?;
        // The trampoline is compiled first, and nothing but the tier above saves it.
        let program = Program::new(&engine, functions, 64)?;
        for index in 0..functions {
            report.add(1, program.call_and_check(index, 5));
        }
    }
    // In all tiers: a trap that says so, and no more.
    let config = Config::default()
        .backend(Tier::Baseline, faulty(Effort::None, true, Duration::ZERO)?)
        .backend(Tier::Optimizing, Backend::Off);
    let engine = Engine::new(config)?;
    let program = (0..8).find_map(|_| Program::new(&engine, functions, 64).ok());
    report.check(program.is_some(), || {
        "no trampoline in eight tries".to_owned()
    });
    let Some(program) = program else {
        return Ok(());
    };
    let mut refused = 0;
    for index in 0..functions {
        match program.call(index, 5) {
            Ok(_) => report.add(1, program.call_and_check(index, 6)),
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                report.check(text.contains("told to"), || text);
            }
        }
    }
    report.figure("calls refused because no tier makes code", refused);
    report.check(refused > 0, || "no call was refused".to_owned());
    Ok(())
}

/// A compiler that takes long holds nobody up, not even whoever drops what it compiles.
fn slow_compiler(report: &mut Report) -> Result<()> {
    let delay = Duration::from_millis(300);
    let config = Config::default()
        .thresholds(2, u32::MAX)
        .workers(1)
        .backend(Tier::Optimizing, faulty(Effort::Speed, false, delay)?);
    let engine = Engine::new(config)?;
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let program = Program::new(&engine, 8, 8)?;
        for number in 0..2000 {
            let started = Instant::now();
            report.add(1, program.call_and_check(number % 8, 1));
            longest = longest.max(started.elapsed());
        }
        let started = Instant::now();
        drop(program);
        longest = longest.max(started.elapsed());
    }
    report.figure(
        "longest call beside a compiler that takes 300 ms",
        format!("{longest:?}"),
    );
    report.check(longest < delay, || format!("a call took {longest:?}"));
    let started = Instant::now();
    engine.shutdown();
    let took = started.elapsed();
    report.check(took < 3 * delay, || format!("shutting down took {took:?}"));
    let usage = engine.code_memory_usage();
    report.check(usage.functions <= 1, || {
        format!("functions are left: {usage:?}")
    });
    Ok(())
}

/// One life of a module, to its end.
fn life(engine: &Engine) -> upshift_wasm::Result<()> {
    let module = Module::new(engine, LIFE)?;
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "add", |_: Caller<'_, ()>, a: i32, b: i32| {
        a.wrapping_add(b)
    })?;
    let mut store = Store::new(engine, ());
    let instance: Instance = linker.instantiate(&mut store, &module)?;
    let started = instance.get_typed_func::<(), i32>(&store, "started")?;
    if started.call(&mut store, ())? != 42 {
        return Err(upshift_wasm::Error::new(
            "WRONG: the start function did not run",
        ));
    }
    let run = instance
        .get_func(&store, "run")
        .ok_or_else(|| upshift_wasm::Error::new("WRONG: no export"))?;
    for _ in 0..6 {
        let mut results = [Val::I32(0)];
        run.call(&mut store, &[Val::I32(9)], &mut results)?;
        if results[0].i32() != Some(-5) {
            return Err(upshift_wasm::Error::new(format!("WRONG: {:?}", results[0])));
        }
    }
    Ok(())
}

/// For each n, the n-th allocation of code memory fails, alone or with all after it.
fn full_memory(report: &mut Report) -> Result<()> {
    let configs = [
        Config::default().only_tier(Tier::Baseline),
        Config::default().only_tier(Tier::Optimizing),
        Config::default().synchronous(true).thresholds(2, u32::MAX),
        Config::default().thresholds(2, u32::MAX),
    ];
    let (mut failed, mut survived) = (0, 0);
    for config in configs {
        for failing in 0..24 {
            for last in [failing + 1, u64::MAX] {
                let engine = Engine::new(config.clone())?;
                engine.set_failing_allocations(failing..last);
                match life(&engine) {
                    Ok(()) => survived += 1,
                    Err(error) => {
                        failed += 1;
                        let text = error.to_string();
                        report.check(text.contains("no room"), || {
                            format!("allocation {failing}: {text}")
                        });
                    }
                }
                engine.set_failing_allocations(0..0);
                let again = life(&engine);
                report.check(again.is_ok(), || {
                    format!("after allocation {failing}: {again:?}")
                });
                engine.shutdown();
                let usage = engine.code_memory_usage();
                // Trampolines and host stubs are kept for the next module.
                report.check(usage.functions <= 4 && usage.code_blocks <= 4, || {
                    format!("something is left after allocation {failing}: {usage:?}")
                });
            }
        }
    }
    report.figure(
        "lives of a module in which an allocation of code memory failed, with an error",
        failed,
    );
    report.figure(
        "and without one, in a lower tier or after the last allocation",
        survived,
    );
    Ok(())
}
