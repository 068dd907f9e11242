//! Programs that never end by themselves, stopped from another thread.

use crate::report::{Report, percentile};
use crate::scale::Scale;
use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};
use upshift_wasm::{Config, Engine, Instance, Module, ModuleOptions, Store, Tier, TrapKind};

const ENDLESS: &str = r#"(module
    (memory 8192)
    (table $t 4000000 funcref)
    (func (export "loop") (loop br 0))
    (func (export "work") (local i64)
        (loop $next
            (local.set 0 (i64.mul (i64.add (local.get 0) (i64.const 7)) (i64.const 31)))
            (i64.store (i32.const 8) (local.get 0))
            (br $next)))
    (func $self (export "tail call") (param i32) (return_call $self (i32.add (local.get 0) (i32.const 1))))
    (func $even (export "tail calls") (return_call $odd))
    (func $odd (return_call $even))
    (func $leaf)
    (func (export "calls") (loop $next (call $leaf) (br $next)))
    (func (export "memory.fill")
        (loop $next
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x20000000)) (br $next)))
    (func (export "memory.copy")
        (loop $next
            (memory.copy (i32.const 64) (i32.const 0) (i32.const 0x1fff0000)) (br $next)))
    (func (export "table.fill")
        (loop $next
            (table.fill $t (i32.const 0) (ref.null func) (i32.const 4000000)) (br $next))))"#;

/// How late a program may be stopped.
const GOAL: Duration = Duration::from_millis(10);

/// Stops each program in each tier, many times.
pub fn run(scale: Scale) -> Result<Report> {
    let samples = match scale {
        Scale::Full => 100,
        Scale::Smoke => 3,
    };
    let mut report = Report::new(
        "interrupt",
        "endless loops, endless recursion by tail calls and operations on large ranges are stopped from outside",
    );
    let setups = [
        ("tier 0", Config::default().only_tier(Tier::Baseline)),
        ("tier 1", Config::default().only_tier(Tier::Optimizing)),
        ("promoted", Config::default().thresholds(2, u32::MAX)),
    ];
    for (setup, config) in setups {
        let engine = Engine::new(config)?;
        let options = ModuleOptions {
            interruptible: true,
        };
        let module = Module::with_options(&engine, ENDLESS, options)?;
        let mut all = Vec::new();
        for export in module.exports() {
            let mut late = stop(&mut report, &engine, &module, export.name(), samples)?;
            let (median, p99) = (percentile(&mut late, 50), percentile(&mut late, 99));
            println!(
                "    {setup}, {}: median {median:?}, 99 % {p99:?}",
                export.name()
            );
            all.extend(late);
        }
        let p99 = percentile(&mut all, 99);
        let longest = all.last().copied().unwrap_or_default();
        report.figure(format!("{setup}: stopped"), all.len());
        report.figure(
            format!("{setup}: lateness, median / 99 % / longest"),
            format!("{:?} / {p99:?} / {longest:?}", percentile(&mut all, 50)),
        );
        report.goal(p99 <= GOAL, || {
            format!(
                "{setup}: one in a hundred is stopped {p99:?} late or more; the goal is {GOAL:?}"
            )
        });
    }
    Ok(report.finish())
}

fn stop(
    report: &mut Report,
    engine: &Engine,
    module: &Module,
    name: &str,
    samples: u64,
) -> Result<Vec<Duration>> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    let function = instance.get_func(&store, name).context("no export")?;
    let params = vec![upshift_wasm::Val::I32(0); function.ty(&store).params().len()];
    let handle = store.interrupt_handle();
    let mut late = Vec::new();
    for sample in 0..samples {
        let stopper = {
            let handle = handle.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(500 + 137 * (sample % 23)));
                let stopped = Instant::now();
                handle.interrupt();
                stopped
            })
        };
        let result = function.call(&mut store, &params, &mut []);
        let ended = Instant::now();
        let stopped = stopper.join().ok().context("a thread panicked")?;
        handle.reset();
        late.push(ended.saturating_duration_since(stopped));
        let kind = result
            .err()
            .and_then(|error| error.trap().map(upshift_wasm::Trap::kind));
        report.check(kind == Some(TrapKind::Interrupted), || {
            format!("{name} ended with {kind:?}")
        });
    }
    Ok(late)
}
