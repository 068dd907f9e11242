//! Programs that never end by themselves, stopped from another thread.

use crate::report::{Report, percentile};
use crate::scale::Scale;
use anyhow::{Context as _, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
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

/// How late programs were stopped: by the clock, and in processor time that the program's own thread still got. The
/// second does not depend on what else the machine does.
#[derive(Default)]
struct Lateness {
    clock: Vec<Duration>,
    own: Vec<Duration>,
}

impl Lateness {
    fn extend(&mut self, other: Lateness) {
        self.clock.extend(other.clock);
        self.own.extend(other.own);
    }

    fn figures(&mut self, report: &mut Report, what: &str) {
        for (kind, values) in [
            ("", &mut self.clock),
            (", own processor time", &mut self.own),
        ] {
            let (median, p99) = (percentile(values, 50), percentile(values, 99));
            let longest = values.last().copied().unwrap_or_default();
            report.figure(
                format!("{what}{kind}: lateness, median / 99 % / longest"),
                format!("{median:?} / {p99:?} / {longest:?}"),
            );
        }
    }
}

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
    let mut native = natively(samples * NATIVE_SHARE)?;
    native.figures(&mut report, "a native loop that looks at a flag");
    let best = percentile(&mut native.clock, 99);
    for (setup, config) in setups {
        let engine = Engine::new(config)?;
        let options = ModuleOptions {
            interruptible: true,
        };
        let module = Module::with_options(&engine, ENDLESS, options)?;
        let mut all = Lateness::default();
        for export in module.exports() {
            let mut late = stop(&mut report, &engine, &module, export.name(), samples)?;
            println!(
                "    {setup}, {}: median {:?}, 99 % {:?}, of own time 99 % {:?}",
                export.name(),
                percentile(&mut late.clock, 50),
                percentile(&mut late.clock, 99),
                percentile(&mut late.own, 99),
            );
            all.extend(late);
        }
        report.figure(format!("{setup}: stopped"), all.clock.len());
        all.figures(&mut report, setup);
        let p99 = percentile(&mut all.clock, 99);
        report.goal(p99 <= GOAL, || {
            format!(
                "{setup}: one in a hundred is stopped {p99:?} late or more; the goal is {GOAL:?}, a native loop in this run \
                 took {best:?}"
            )
        });
    }
    Ok(report.finish())
}

/// How many times as often the native loop is stopped as each program is.
const NATIVE_SHARE: u64 = 4;

/// What the machine itself makes of stopping a loop: the least that there can be.
fn natively(samples: u64) -> Result<Lateness> {
    let mut late = Lateness::default();
    for sample in 0..samples {
        let flag = Arc::new(AtomicBool::new(false));
        let stopped = flag.clone();
        let stopper = Stopper::start(sample, move || stopped.store(true, Ordering::Relaxed));
        while !flag.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        stopper.note(&mut late)?;
    }
    Ok(late)
}

/// A thread that stops the one that made it after a while.
struct Stopper {
    clock: libc::clockid_t,
    thread: JoinHandle<(Instant, Duration)>,
}

impl Stopper {
    fn start(sample: u64, stop: impl FnOnce() + Send + 'static) -> Stopper {
        let mut clock = libc::CLOCK_MONOTONIC;
        // SAFETY: the thread is this one, and there is a place for its clock.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(500 + 137 * (sample % 23)));
            let at = (Instant::now(), time(clock));
            stop();
            at
        });
        Stopper { clock, thread }
    }

    /// To be called when the program has stopped.
    fn note(self, late: &mut Lateness) -> Result<()> {
        let (ended, used) = (Instant::now(), time(self.clock));
        let (stopped, had_used) = self.thread.join().ok().context("a thread panicked")?;
        late.clock.push(ended.saturating_duration_since(stopped));
        late.own.push(used.saturating_sub(had_used));
        Ok(())
    }
}

/// What a clock says.
fn time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: there is a place for the time.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn stop(
    report: &mut Report,
    engine: &Engine,
    module: &Module,
    name: &str,
    samples: u64,
) -> Result<Lateness> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    let function = instance.get_func(&store, name).context("no export")?;
    let params = vec![upshift_wasm::Val::I32(0); function.ty(&store).params().len()];
    let handle = store.interrupt_handle();
    let mut late = Lateness::default();
    for sample in 0..samples {
        let stopping = handle.clone();
        let stopper = Stopper::start(sample, move || stopping.interrupt());
        let result = function.call(&mut store, &params, &mut []);
        stopper.note(&mut late)?;
        handle.reset();
        let kind = result
            .err()
            .and_then(|error| error.trap().map(upshift_wasm::Trap::kind));
        report.check(kind == Some(TrapKind::Interrupted), || {
            format!("{name} ended with {kind:?}")
        });
    }
    Ok(late)
}
