//! Real programs while everything happens to the LLVM server that can.

use crate::report::Report;
use crate::scale::Scale;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use upshift::{Backend, Config, Event, EventKind, Recorder, Tier};
use upshift_filetests::{Harm, Relay, llvm_server, scramble, unnamed_losses};
use upshift_llvm::{LlvmCompiler, Options};
use upshift_wasi::{Access, Capture, Exit, WasiCtx, WasiCtxBuilder, add_to_linker};
use upshift_wasm::{Engine, Linker, Module, Store};

/// Bytes that a program may print.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// A program of the corpus, its arguments, and what it prints.
const PROGRAMS: [(&str, &[&str], &str); 3] = [
    (
        "corpus/lua/lua.wasm",
        &["lua", "lua/calls.lua", "2"],
        "lua-calls",
    ),
    (
        "corpus/lua/lua.wasm",
        &["lua", "lua/strings.lua", "2"],
        "lua-strings",
    ),
    ("corpus/sqlite/sqlite.wasm", &["sqlite", "10000"], "sqlite"),
];

/// What is done to the server.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Signal(libc::c_int),
    Memory(u64),
    Answers(Harm),
}

const FAULTS: [(&str, Fault); 9] = [
    ("SIGKILL", Fault::Signal(libc::SIGKILL)),
    ("SIGSEGV", Fault::Signal(libc::SIGSEGV)),
    ("SIGSTOP", Fault::Signal(libc::SIGSTOP)),
    ("too little memory", Fault::Memory(240 << 20)),
    ("answers cut off", Fault::Answers(Harm::CutOff)),
    ("answers damaged", Fault::Answers(Harm::Damage)),
    ("random answers", Fault::Answers(Harm::Garbage)),
    ("no answers", Fault::Answers(Harm::Silence)),
    (
        "late answers",
        Fault::Answers(Harm::Delay(Duration::from_millis(40))),
    ),
];

/// All faults, under each program.
pub fn run(scale: Scale) -> Result<Report> {
    let mut report = Report::new(
        "llvm",
        "the LLVM server is killed, stopped, starved and falsified at random moments under programs of the corpus; each \
         must print what it should, and every lost job must be named",
    );
    let Some(server) = llvm_server() else {
        report.figure(
            "left out",
            "there is no LLVM server; `cargo xtask llvm` builds it",
        );
        return Ok(report.finish());
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (rounds, programs) = match scale {
        Scale::Full => (5, &PROGRAMS[..]),
        Scale::Smoke => (1, &PROGRAMS[..1]),
    };
    for (what, fault) in FAULTS {
        let mut sums = Sums::default();
        for round in 0..rounds {
            for program in programs {
                let file = root.join(program.0);
                if !file.is_file() {
                    report.figure(
                        "left out",
                        format!("{}; `cargo xtask corpus` makes it", program.0),
                    );
                    return Ok(report.finish());
                }
                let outcome = one(&root, program, &server, (fault, round))?;
                let name = program.2;
                report.check(outcome.right, || {
                    format!("{what}: {name} printed something else")
                });
                for unnamed in unnamed_losses(&outcome.events) {
                    report.check(false, || format!("{what}: {name}: not named: {unnamed}"));
                }
                sums.add(&outcome.events);
            }
        }
        report.figure(
            what,
            format!(
                "{} jobs answered, {} lost, {} starts",
                sums.done, sums.lost, sums.starts
            ),
        );
    }
    Ok(report.finish())
}

#[derive(Default)]
struct Sums {
    done: u64,
    lost: u64,
    starts: u64,
}

impl Sums {
    fn add(&mut self, events: &[Event]) {
        for event in events {
            match event.kind {
                EventKind::JobDone { .. } => self.done += 1,
                EventKind::JobLost { .. } => self.lost += 1,
                EventKind::ServerStarted { .. } => self.starts += 1,
                _ => {}
            }
        }
    }
}

struct Outcome {
    right: bool,
    events: Vec<Event>,
}

type Program = (&'static str, &'static [&'static str], &'static str);

fn one(
    root: &Path,
    program: &Program,
    server: &Path,
    (fault, round): (Fault, u64),
) -> Result<Outcome> {
    let relay = match fault {
        Fault::Answers(harm) => {
            let choose = move |number: u64| {
                let chance = scramble(number ^ round << 32);
                chance.is_multiple_of(4).then_some(harm)
            };
            Some(Relay::start("torture", server, choose)?)
        }
        _ => None,
    };
    let place = relay.as_ref().map_or(server, Relay::socket);
    let mut options = Options::new(place.to_owned());
    // So that a server that says nothing does not hold up the rest for long.
    options.time_limit = Duration::from_millis(1500);
    if let Fault::Memory(bytes) = fault {
        options.memory_bytes_max = bytes + (round << 23);
    }
    let compiler = Arc::new(LlvmCompiler::new(options));
    let stop = AtomicBool::new(false);
    let (client, stopped) = (&compiler, &stop);
    thread::scope(|scope| {
        if let Fault::Signal(signal) = fault {
            scope.spawn(move || send(signal, round, client, stopped));
        }
        let outcome = execute(root, program, &compiler);
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

fn send(signal: libc::c_int, round: u64, compiler: &LlvmCompiler, stop: &AtomicBool) {
    for times in 0.. {
        thread::sleep(Duration::from_millis(
            2 + scramble(round << 20 | times) % 150,
        ));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Some(process) = compiler.server_process_id() {
            // SAFETY: it is a child that has not been waited for, or the call fails.
            unsafe { libc::kill(process as libc::pid_t, signal) };
        }
    }
}

fn execute(
    root: &Path,
    (file, args, name): &Program,
    compiler: &Arc<LlvmCompiler>,
) -> Result<Outcome> {
    let recorder = Arc::new(Recorder::default());
    let config = Config::development()
        .backend(Tier::Top, Backend::Custom(compiler.clone()))
        .subscriber(recorder.clone());
    let engine = Engine::new(config)?;
    let module = Module::from_file(&engine, root.join(file))?;
    let capture = Capture::new(OUTPUT_BYTES_MAX);
    let wasi = WasiCtxBuilder::new()
        .args(args.iter().copied())
        .stdout(capture.output())
        .preopened_dir(root.join("programs/lua"), "lua", Access::ReadOnly)
        .build()?;
    let mut linker: Linker<WasiCtx> = Linker::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi)?;
    let mut store = Store::new(&engine, wasi);
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&store, "_start")?;
    let ended = start.call(&mut store, ());
    engine.shutdown();
    let well = match &ended {
        Ok(()) => true,
        Err(error) => error
            .downcast_ref::<Exit>()
            .is_some_and(|exit| exit.code == 0),
    };
    let expected = expected(root, name)?;
    Ok(Outcome {
        right: well && capture.take() == expected,
        events: recorder.events(),
    })
}

fn expected(root: &Path, name: &str) -> Result<Vec<u8>> {
    let file: PathBuf = root.join("programs/expected").join(format!("{name}.txt"));
    std::fs::read(&file).with_context(|| file.display().to_string())
}
