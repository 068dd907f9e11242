//! What is gained by making indirect calls direct and inlining them, in three programs whose time goes into such calls
//! (`calls.wat`): an interpreter that dispatches through a table of functions, a sort with a comparison as a parameter,
//! and visitors of a tree. Each runs in tier 1, once its functions are there: with all of it, without guards where there
//! is one target only, with direct calls that stay calls, and with calls as they are. The same programs in tier 0, with targets counted and not, show what counting
//! costs.
//!
//! `UPSHIFT_BENCH_NODE` names a Node, and `UPSHIFT_BENCH_PEER` the program that `benches/peers` builds: they run the same
//! in the same rounds. The variants take turns; what is printed is the minimum of the rounds, in milliseconds, and how
//! many times as long as the first column it is. Without `--bench`, which `cargo bench` passes, all of it runs once and
//! briefly.

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use upshift::{Config, EventKind, InliningMode, Recorder, Tier};
use upshift_wasm::{Engine, Instance, Module, Store, TypedFunc};

const PROGRAMS: &str = include_str!("calls.wat");

/// The programs: how often they do their work in a round of a benchmark, and the functions that must be optimized.
const EXPORTS: [(&str, i32, &[&str]); 3] = [
    ("dispatch", 100_000, &["interpret"]),
    ("sort", 4_000, &["sort-by"]),
    ("visit", 20_000, &["child"]),
];

/// Calls of each program before the first round.
const WARM_UP: usize = 300;

/// What is done, and whether guards may take the place of a call that is never made.
const MODES: [(&str, InliningMode, bool); 4] = [
    ("inlined", InliningMode::On, true),
    ("without guards", InliningMode::On, false),
    ("direct", InliningMode::Devirtualize, true),
    ("as they are", InliningMode::Off, true),
];

/// A program in an engine of its own.
struct Prepared {
    store: Store<()>,
    function: TypedFunc<i32, i32>,
}

impl Prepared {
    fn new(export: &str, config: Config) -> Prepared {
        let engine = Engine::new(config).expect("an engine");
        let module = Module::new(&engine, PROGRAMS).expect("a module");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        let function = instance
            .get_typed_func::<i32, i32>(&mut store, export)
            .expect("a program");
        for _ in 0..WARM_UP {
            function.call(&mut store, 1).expect("no trap");
        }
        Prepared { store, function }
    }

    /// With its hot functions in tier 1.
    fn optimized(export: &str, hot: &[&str], mode: InliningMode, guards: bool) -> Prepared {
        let recorder = Arc::new(Recorder::default());
        let config = Config::default().synchronous(true).inlining(mode);
        let config = config.speculation(guards);
        let prepared = Prepared::new(export, config.subscriber(recorder.clone()));
        let events = recorder.events();
        for name in hot.iter().chain([&export]) {
            let made = events.iter().find_map(|event| match &event.kind {
                EventKind::Compiled(c) if event.name == *name && c.tier == Tier::Optimizing => {
                    Some(c.devirtualized)
                }
                _ => None,
            });
            let direct = made.unwrap_or_else(|| panic!("{name} is not in tier 1"));
            let wanted = name != &export && mode != InliningMode::Off;
            assert_eq!(direct > 0, wanted, "{name}, {mode:?}: {direct}");
        }
        prepared
    }

    /// In tier 0 for good, with counters.
    fn counted(export: &str, mode: InliningMode) -> Prepared {
        let config = Config::default().thresholds(u32::MAX, u32::MAX);
        Prepared::new(export, config.inlining(mode))
    }

    fn run(&mut self, times: i32) -> (Duration, i32) {
        let start = Instant::now();
        let sum = self.function.call(&mut self.store, times).expect("no trap");
        (start.elapsed(), sum)
    }
}

/// The other engines there are.
struct Others {
    node: Option<OsString>,
    peer: Option<OsString>,
    module: std::path::PathBuf,
}

/// Warms up as we do and a good deal longer, for V8 tiers up in the background; prints microseconds and the checksum.
const NODE: &str = "
const [module, name, times] = process.argv.slice(1);
const { instance } = await WebAssembly.instantiate(require('fs').readFileSync(module));
const f = instance.exports[name];
for (let i = 0; i < 5; i++) {
  for (let j = 0; j < 1000; j++) f(1);
  await new Promise(done => setTimeout(done, 20));
}
const start = process.hrtime.bigint();
const sum = f(Number(times));
console.log(`${(process.hrtime.bigint() - start) / 1000n} ${sum}`);
";

impl Others {
    fn node(&self, export: &str, times: i32) -> Option<(Duration, i32)> {
        let script = format!("(async () => {{{NODE}}})()");
        let mut command = Command::new(self.node.as_ref()?);
        command.args(["--no-warnings", "-e", &script]);
        command.arg(&self.module).args([export, &times.to_string()]);
        let output = output(&mut command);
        let (microseconds, sum) = output.trim().split_once(' ').expect("two numbers");
        let microseconds = microseconds.parse().expect("a number");
        let sum = sum.parse().expect("a number");
        Some((Duration::from_micros(microseconds), sum))
    }

    /// The time of a process that does the work, less that of one that does none.
    fn wasmtime(&self, export: &str, times: i32) -> Option<(Duration, i32)> {
        let run = |times: i32| {
            let mut command = Command::new(self.peer.as_ref()?);
            command.args(["--engine", "wasmtime-cranelift", "--invoke", export]);
            command.arg(&self.module).arg(times.to_string());
            let start = Instant::now();
            let sum = output(&mut command).trim().parse().expect("a number");
            Some((start.elapsed(), sum))
        };
        let (nothing, _) = run(0)?;
        let (time, sum) = run(times)?;
        Some((time.saturating_sub(nothing), sum))
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

fn compare(export: &str, times: i32, hot: &[&str], others: &Others, rounds: usize) {
    let mut prepared =
        MODES.map(|(_, mode, guards)| Prepared::optimized(export, hot, mode, guards));
    let mut best: Vec<(&str, Duration)> = MODES.iter().map(|m| (m.0, Duration::MAX)).collect();
    let mut expected = None;
    for _ in 0..rounds {
        let mut runs: Vec<(&str, Option<(Duration, i32)>)> = Vec::new();
        for ((name, _, _), prepared) in MODES.iter().zip(&mut prepared) {
            runs.push((name, Some(prepared.run(times))));
        }
        runs.push(("Node", others.node(export, times)));
        runs.push(("wasmtime", others.wasmtime(export, times)));
        for (name, run) in runs {
            let Some((time, sum)) = run else { continue };
            assert_eq!(*expected.get_or_insert(sum), sum, "{export} in {name}");
            match best.iter_mut().find(|known| known.0 == name) {
                Some(known) => known.1 = known.1.min(time),
                None => best.push((name, time)),
            }
        }
    }
    print(export, &best);
}

/// The same in tier 0, without counting targets and with it.
fn counting(export: &str, times: i32, rounds: usize) {
    let modes = [
        ("targets not counted", InliningMode::Off),
        ("counted", InliningMode::On),
    ];
    let mut prepared = modes.map(|(_, mode)| Prepared::counted(export, mode));
    let mut best = modes.map(|(name, _)| (name, Duration::MAX));
    for _ in 0..rounds {
        for (prepared, (_, best)) in prepared.iter_mut().zip(&mut best) {
            *best = (*best).min(prepared.run(times).0);
        }
    }
    print(export, &best);
}

fn print(export: &str, best: &[(&str, Duration)]) {
    print!("{export:10}");
    let first = best[0].1.as_secs_f64();
    for (name, time) in best {
        let (ms, ratio) = (time.as_secs_f64() * 1e3, time.as_secs_f64() / first);
        print!("  {name}: {ms:.1} ({ratio:.2})");
    }
    println!();
}

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let module = std::env::temp_dir().join(format!("upshift-calls-{}.wasm", std::process::id()));
    let bytes = wat::parse_str(PROGRAMS).expect("a module");
    std::fs::write(&module, bytes).expect("the module can be written");
    let others = Others {
        node: std::env::var_os("UPSHIFT_BENCH_NODE").filter(|_| !quick),
        peer: std::env::var_os("UPSHIFT_BENCH_PEER").filter(|_| !quick),
        module,
    };
    for (export, times, hot) in EXPORTS {
        let (times, rounds) = if quick { (10, 1) } else { (times, 7) };
        compare(export, times, hot, &others, rounds);
    }
    println!("in tier 0");
    for (export, times, _) in EXPORTS {
        let (times, rounds) = if quick { (10, 1) } else { (times / 4, 7) };
        counting(export, times, rounds);
    }
    let _ = std::fs::remove_file(&others.module);
}
