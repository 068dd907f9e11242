//! Each file in `tiering/` is a script with assertions, run in many ways, and the events of one of them. All of it is
//! done with each compiler that tier 0 can be made by, and the events must be the same.
//!
//! The line `;; flags:` says how the engine whose events are compared is set up: `sync` compiles on the program's thread,
//! `top` adds a tier 2, `thresholds=A,B` sets the thresholds; with `copy-and-patch` only the events of that kind of tier 0
//! are compared, and a `long` script is run in the background only besides. The events follow the script as comments;
//! `UPSHIFT_BLESS=1` writes them. `UPSHIFT_TIERING=nest` picks files by a part of their name.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use upshift::{Backend, Config, Engine, Event, EventKind, InliningMode, Recorder, Tier};
use upshift_wasm::wast::{WastOptions, run_wast};
use upshift_wasm::{Instance, Module, Store};

/// What comes between a script and its events.
const EVENTS: &str = "\n;; events:\n";

/// The name of what makes tier 0's code by default.
const DEFAULT_BASELINE: &str = "copy-and-patch";

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tiering");
    let wanted = std::env::var("UPSHIFT_TIERING").unwrap_or_default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wast")
        })
        .filter(|path| path.to_string_lossy().contains(&wanted))
        .collect();
    files.sort();
    files
}

/// What tier 0's code is made by.
fn baselines() -> [(&'static str, Backend); 2] {
    [
        (DEFAULT_BASELINE, Backend::CopyAndPatch),
        ("Cranelift", Backend::CraneliftNone),
    ]
}

/// The default, with tier 0 made by each of them.
fn configs() -> impl Iterator<Item = Config> {
    let with = |(_, backend)| Config::default().backend(Tier::Baseline, backend);
    baselines().into_iter().map(with)
}

fn configured(baseline: Backend, flags: &str) -> Config {
    let mut config = Config::default()
        .backend(Tier::Baseline, baseline)
        .verify(true);
    for flag in flags.split_whitespace() {
        config = match flag.split_once('=').unwrap_or((flag, "")) {
            (DEFAULT_BASELINE | "long", _) => config,
            ("sync", _) => config.synchronous(true),
            ("top", _) => config.backend(Tier::Top, Backend::CraneliftSpeed),
            ("thresholds", numbers) => {
                let (optimizing, top) = numbers.split_once(',').expect("two thresholds");
                config.thresholds(optimizing.parse().unwrap(), top.parse().unwrap())
            }
            _ => panic!("there is no flag {flag}"),
        };
    }
    config
}

/// The ways in which a script must do the same.
fn other_ways(baseline: &Backend) -> Vec<(&'static str, Config)> {
    let config = || {
        Config::default()
            .backend(Tier::Baseline, baseline.clone())
            .verify(true)
    };
    vec![
        ("tier 0", config().only_tier(Tier::Baseline)),
        ("tier 1", config().only_tier(Tier::Optimizing)),
        ("background", config()),
        ("background, at once", config().thresholds(1, 2)),
        ("no OSR", config().synchronous(true).osr(false)),
        (
            "calls as they are",
            config().synchronous(true).inlining(InliningMode::Off),
        ),
        (
            "direct calls",
            config()
                .synchronous(true)
                .inlining(InliningMode::Devirtualize),
        ),
        (
            "stress inline",
            config()
                .only_tier(Tier::Optimizing)
                .inlining(InliningMode::Stress),
        ),
        (
            "stress inline, after tier 0",
            config()
                .thresholds(5, 10)
                .synchronous(true)
                .inlining(InliningMode::Stress),
        ),
        (
            "stress inline, stress 2",
            config()
                .stress_osr(2)
                .backend(Tier::Top, Backend::CraneliftSpeed)
                .inlining(InliningMode::Stress),
        ),
        ("stress 1", config().stress_osr(1)),
        ("stress 3", config().stress_osr(3)),
        (
            "stress 7",
            config()
                .stress_osr(7)
                .backend(Tier::Top, Backend::CraneliftSpeed),
        ),
        ("deopt 1", config().synchronous(true).stress_deopt(1, 0)),
        (
            "deopt 2, stress inline",
            config()
                .stress_deopt(2, 1)
                .thresholds(5, 10)
                .synchronous(true)
                .backend(Tier::Top, Backend::CraneliftSpeed)
                .inlining(InliningMode::Stress),
        ),
        (
            "deopt 7",
            config()
                .stress_deopt(7, 3)
                .thresholds(1, 2)
                .backend(Tier::Top, Backend::CraneliftSpeed),
        ),
    ]
}

fn run(path: &Path, script: &str, config: Config) -> Vec<String> {
    let engine = Engine::new(config).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let report = run_wast(&engine, &name, script, &WastOptions::default());
    assert!(
        report.passed + report.failed.len() > 0,
        "{name} asserts nothing"
    );
    report.failed.iter().map(ToString::to_string).collect()
}

/// The events as text: a line each, runs of the same line as one.
fn text(events: &[Event]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for line in events.iter().filter_map(line) {
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => lines.push((line, 1)),
        }
    }
    let mut text = String::new();
    for (line, count) in lines {
        let times = if count > 1 {
            format!(", {count} times")
        } else {
            String::new()
        };
        writeln!(text, ";; {line}{times}").unwrap();
    }
    text
}

fn line(event: &Event) -> Option<String> {
    let what = match &event.kind {
        EventKind::Promoted {
            from,
            to,
            calls,
            loops,
        } => {
            format!("tier {from} -> {to} wanted after {calls} calls, {loops} iterations")
        }
        EventKind::Published { tier, .. } => format!("tier {tier}"),
        EventKind::OsrRequested {
            from,
            to,
            loop_index,
            loops,
        } => {
            format!("loop {loop_index}: tier {from} -> {to} wanted after {loops} iterations")
        }
        EventKind::OsrReady {
            tier, loop_index, ..
        } => {
            format!("loop {loop_index}: tier {tier} ready")
        }
        EventKind::OsrEntered {
            from,
            to,
            loop_index,
        } => {
            format!("loop {loop_index}: tier {from} -> {to}")
        }
        EventKind::OsrFailed {
            tier,
            loop_index,
            reason,
            ..
        } => {
            format!("loop {loop_index}: no tier {tier}: {reason}")
        }
        EventKind::SpeculationOff { reason, .. } => {
            format!("nothing is taken for granted: {reason}")
        }
        EventKind::Deoptimized {
            tier,
            reason,
            position,
            inlined,
        } => {
            let inside = inlined
                .iter()
                .rev()
                .map(|call| format!(" in {}", call.name));
            let inside: String = inside.collect();
            format!("tier {tier} -> 0 at {position}{inside}: {reason}")
        }
        EventKind::Invalidated { tier, reason } => format!("tier {tier} is of no use: {reason}"),
        EventKind::Failed { tier, reason, .. } => format!("no tier {tier}: {reason}"),
        EventKind::Compiled(c) if c.devirtualized > 0 || !c.inlined.is_empty() => {
            let names = c.inlined.iter().map(|f| {
                let indent = "+".repeat(f.depth as usize);
                format!(" {indent}{}", f.name)
            });
            let names: String = names.collect();
            let sites = c.devirtualized;
            format!(
                "tier {} made: {sites} indirect calls direct, inlined{names}",
                c.tier
            )
        }
        EventKind::Discarded { tier } => format!("tier {tier} came too late"),
        _ => return None,
    };
    Some(format!("{}: {what}", event.name))
}

#[test]
fn every_file() {
    let bless = std::env::var_os("UPSHIFT_BLESS").is_some();
    let mut faults = Vec::new();
    for path in files() {
        let contents = std::fs::read_to_string(&path).unwrap();
        let (script, expected) = contents.split_once(EVENTS).unwrap_or((&contents, ""));
        let mut expected = expected.to_owned();
        let flags = script
            .lines()
            .find_map(|line| line.strip_prefix(";; flags:"))
            .unwrap_or_else(|| panic!("{} has no flags", path.display()));
        let long = flags.split_whitespace().any(|flag| flag == "long");
        for (name, baseline) in baselines() {
            let ways = other_ways(&baseline).into_iter();
            for (way, config) in ways.filter(|(way, _)| !long || *way == "background") {
                let failed = run(&path, script, config).into_iter();
                faults.extend(failed.map(|failed| format!("{name}, {way}: {failed}")));
            }
            let recorder = Arc::new(Recorder::default());
            let config = configured(baseline, flags).subscriber(recorder.clone());
            faults.extend(run(&path, script, config));
            let events = text(&recorder.events());
            let is_default = name == DEFAULT_BASELINE;
            if bless && is_default {
                let script = script.trim_end();
                std::fs::write(&path, format!("{script}\n{EVENTS}{events}")).unwrap();
                expected = events;
            } else if events != expected && (is_default || !flags.contains(DEFAULT_BASELINE)) {
                let path = path.display();
                faults.push(format!("{path}, {name}: the events were\n{events}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The backtrace of a trap in an OSR version shows the frames as they would be had nothing moved.
#[test]
fn a_trap_after_a_move_has_the_same_backtrace() {
    let text = r#"(module
        (func $inner (param $n i32) (result i32)
          (local $x i32)
          (loop $next
            (local.set $x (i32.add (local.get $x) (i32.div_u (i32.const 100) (local.get $n))))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $next))
          unreachable)
        (func $middle (param $n i32) (result i32)
          (local $i i32)
          (loop $next
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 5000)))
          )
          (i32.add (i32.const 1) (call $inner (local.get $n))))
        (func (export "f") (param i32) (result i32)
          (i32.add (i32.const 1) (call $middle (local.get 0)))))"#;
    let frames = |config: Config| -> Vec<(String, Option<u32>, Tier)> {
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance
            .get_typed_func::<i32, i32>(&mut store, "f")
            .unwrap();
        let error = f.call(&mut store, 4000).unwrap_err();
        let frames = error.backtrace().expect("a backtrace").frames();
        frames
            .iter()
            .map(|frame| {
                let name = frame.func_name().unwrap_or("f").to_owned();
                (name, frame.module_offset(), frame.tier())
            })
            .collect()
    };
    let places = |frames: &[(String, Option<u32>, Tier)]| -> Vec<_> {
        frames
            .iter()
            .map(|(name, offset, _)| (name.clone(), *offset))
            .collect()
    };
    for config in configs() {
        let plain = frames(config.clone().only_tier(Tier::Baseline));
        let moved = frames(config.clone().synchronous(true));
        assert_eq!(plain.len(), 3);
        assert_eq!(places(&plain), places(&moved));
        let tiers: Vec<Tier> = moved.iter().map(|(_, _, tier)| *tier).collect();
        assert_eq!(tiers, [Tier::Optimizing, Tier::Optimizing, Tier::Baseline]);
        for seed in 1..=5 {
            let config = config.clone().synchronous(true);
            let back = frames(config.stress_deopt(3, seed));
            assert_eq!(places(&plain), places(&back));
        }
    }
}

/// Nor does it when they go back to tier 0, however often; and what is left of the stack does not matter.
#[test]
fn going_back_takes_no_stack() {
    let text = r#"(module
        (func $count (export "count") (param $n i32) (param $sum i32) (result i32)
          (if (i32.eqz (local.get $n)) (then (return (local.get $sum))))
          (return_call $count
            (i32.sub (local.get $n) (i32.const 1))
            (i32.add (local.get $sum) (i32.const 2))))
        (func $deep (export "deep") (param $n i32) (result i32)
          (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
          (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1))))))"#;
    let with = |config: Config| [config.clone(), config.inlining(InliningMode::Stress)];
    for config in configs().flat_map(with) {
        let config = config.synchronous(true).stress_deopt(1, 4);
        let engine = Engine::new(config.stack_bytes(256 << 10)).unwrap();
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let count = instance.get_typed_func::<(i32, i32), i32>(&mut store, "count");
        let count = count.unwrap();
        assert_eq!(count.call(&mut store, (100_000, 0)).unwrap(), 200_000);
        assert!(engine.profile_statistics().deoptimizations > 50_000);
        let deep = instance.get_typed_func::<i32, i32>(&mut store, "deep");
        let deep = deep.unwrap();
        assert_eq!(deep.call(&mut store, 500).unwrap(), 500);
        for _ in 0..3 {
            let error = deep.call(&mut store, i32::MAX).unwrap_err();
            assert!(error.to_string().contains("stack"), "{error}");
        }
    }
}

/// A backtrace names inlined functions where they are called, whether they trap themselves or call what does.
#[test]
fn a_trap_in_an_inlined_function_has_the_same_backtrace() {
    let text = r#"(module
        (type $f (func (param i32) (result i32)))
        (table 2 funcref)
        (elem (i32.const 0) func $divide $far)
        (func $divide (param $n i32) (result i32) (i32.div_u (i32.const 100) (local.get $n)))
        (func $far (param $n i32) (result i32)
          (local $i i32)
          (loop $next
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
          (i32.load (i32.const -1)))
        (func $middle (param $n i32) (param $which i32) (result i32)
          (i32.add (i32.const 1)
            (call_indirect (type $f) (local.get $n) (local.get $which))))
        (func $twice (param $n i32) (param $which i32) (result i32)
          (i32.add
            (call $middle (i32.const 1) (i32.const 0))
            (call $middle (local.get $n) (local.get $which))))
        (memory 1)
        (func (export "f") (param i32 i32) (result i32)
          (i32.add (i32.const 1) (call $twice (local.get 0) (local.get 1)))))"#;
    let frames = |config: Config, (n, which)| -> Vec<(String, Option<u32>)> {
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance
            .get_typed_func::<(i32, i32), i32>(&mut store, "f")
            .unwrap();
        for _ in 0..200 {
            f.call(&mut store, (1, 0)).unwrap();
        }
        let error = f.call(&mut store, (n, which)).unwrap_err();
        let frames = error.backtrace().expect("a backtrace").frames();
        let frame = |frame: &upshift_wasm::WasmFrame| {
            let name = frame.func_name().unwrap_or("f").to_owned();
            (name, frame.module_offset())
        };
        frames.iter().map(frame).collect()
    };
    for arguments in [(0, 0), (3, 1)] {
        let plain = frames(Config::default().only_tier(Tier::Baseline), arguments);
        assert_eq!(plain.len(), 4, "{plain:?}");
        for mode in [
            InliningMode::On,
            InliningMode::Stress,
            InliningMode::Devirtualize,
        ] {
            for config in configs() {
                let config = config.synchronous(true).inlining(mode).verify(true);
                assert_eq!(plain, frames(config.clone(), arguments), "{mode:?}");
                for seed in 1..=5 {
                    let back = frames(config.clone().stress_deopt(3, seed), arguments);
                    assert_eq!(plain, back, "{mode:?}, back with seed {seed}");
                }
            }
        }
    }
}

/// However often activations move, the stack does not grow: a frame that is left is gone.
#[test]
fn moving_takes_no_stack() {
    let text = r#"(module
        (func $f (export "f") (param $n i32) (result i32)
          (local $i i32)
          (loop $next
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 3))))
          (if (i32.eqz (local.get $n)) (then (return (local.get $i))))
          (return_call $f (i32.sub (local.get $n) (i32.const 1)))))"#;
    for config in configs() {
        let engine = Engine::new(config.stress_osr(2).stack_bytes(256 << 10)).unwrap();
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance
            .get_typed_func::<i32, i32>(&mut store, "f")
            .unwrap();
        assert_eq!(f.call(&mut store, 100_000).unwrap(), 3);
        assert!(engine.profile_statistics().osr_entries > 50_000);
    }
}

/// Threads that run one function at once may each move, and get the right results.
#[test]
fn threads_move_independently() {
    let text = r#"(module
        (func (export "f") (param $n i32) (param $step i32) (result i32)
          (local $sum i32)
          (loop $outer
            (local.set $sum (i32.add (local.get $sum) (local.get $step)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $outer (local.get $n)))
          (local.get $sum)))"#;
    let with = |config: Config| [config.clone().thresholds(2, 10), config.stress_osr(5)];
    for config in configs().flat_map(with) {
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, text).unwrap();
        std::thread::scope(|scope| {
            for thread in 1..=8 {
                let (engine, module) = (&engine, &module);
                scope.spawn(move || {
                    let mut store = Store::new(engine, ());
                    let instance = Instance::new(&mut store, module, &[]).unwrap();
                    let f = instance
                        .get_typed_func::<(i32, i32), i32>(&mut store, "f")
                        .unwrap();
                    for n in [1, 10, 100, 1000, 100_000] {
                        assert_eq!(f.call(&mut store, (n, thread)).unwrap(), n * thread);
                    }
                });
            }
        });
    }
}
