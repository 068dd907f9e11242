//! `upshift compile`: all functions of a module, compiled and not run, with the time of each phase.

use crate::args::{CompileArgs, EXIT_ERROR};
use crate::report;
use crate::report::format::{bytes, count, duration, megabytes_per_second, milliseconds};
use crate::report::table::{Align, Table};
use crate::{engine, input};
use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use upshift::cranelift_codegen::ir;
use upshift::embed::{
    BaselineRequest, BodyRequest, CompileError, CompiledCode, FuncId, FunctionGroup, FunctionSource,
};
use upshift::{Backend, Config, Engine, Event, EventKind, Function, Subscriber, Tier};
use upshift_wasm::ModuleOptions;
use upshift_wasm::info::{ModuleInfo, decode};
use upshift_wasm::translate::ModuleSource;

/// Functions without code that are named.
const NAMED_MAX: usize = 10;

/// Runs the command. Returns the process's exit code.
pub fn compile(args: &CompileArgs) -> Result<i32> {
    let tier = Tier::from_index(args.tier.into()).context("there is no such tier")?;
    let binary = input::read(&args.file)?;
    let file = args.file.display().to_string();
    let info = decode(binary.bytes, ModuleOptions::default())
        .map_err(|error| anyhow!("{file} is not valid: {error}"))?;
    let info = Arc::new(info);
    let tally = Arc::new(Tally::default());
    let engine = Engine::new(config(tier, args, &tally)?).map_err(flat)?;
    let names = engine
        .tiers()
        .iter()
        .map(|tier| tier.compilers.join(", "))
        .collect::<Vec<_>>();
    let source = Arc::new(TimedSource::new(ModuleSource::new(info.clone())));
    let functions = u32::try_from(info.bodies.len()).unwrap_or(u32::MAX);
    let group = engine.define(source.clone(), functions).map_err(flat)?;

    let start = Instant::now();
    compile_all(&engine, &group, tier, args.threads.into());
    let elapsed = start.elapsed();

    let tally = tally
        .state
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let report = Report {
        file,
        tier: tier.index(),
        compiler: names.get(tier.index()).cloned().unwrap_or_default(),
        threads: args.threads.into(),
        module_bytes: info.bytes.len() as u64,
        wasm_code_bytes: wasm_code_bytes(&info),
        functions,
        compiled: tally.compiled,
        declined: tally.declined,
        failed: tally.failed,
        native_code_bytes: tally.native_code_bytes,
        phases: Phases {
            read: binary.read,
            parse_text: binary.parse_text,
            decode: info.load_times.0,
            validate: info.load_times.1,
            translate: source.elapsed(),
            copy_and_patch: source.baseline_elapsed(),
            compile: tally
                .time
                .saturating_sub(source.elapsed() + source.baseline_elapsed()),
            elapsed,
        },
        fallbacks: source.fallbacks(),
        slowest: tally.slowest,
        without_code: tally.without_code,
    };
    report::stdout(&if args.json {
        report.json()?
    } else {
        report.text()
    });
    Ok(if report.failed > 0 { EXIT_ERROR } else { 0 })
}

/// The error without its source, which its message repeats.
fn flat(error: upshift::Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// The configuration that a program runs with, so that the code is what it would be there: with the counters that lead
/// to the tier above, for example.
fn config(tier: Tier, args: &CompileArgs, tally: &Arc<Tally>) -> Result<Config> {
    let config = Config::default()
        .workers(1)
        .code_memory_bytes(2 << 30)
        .subscriber(tally.clone());
    Ok(match tier {
        Tier::Top => {
            let config = config.backend(Tier::Top, Backend::CraneliftSpeed);
            engine::top_backend(config, &args.optimize)?
        }
        Tier::Baseline if args.clif => config.backend(Tier::Baseline, Backend::CraneliftNone),
        _ => config,
    })
}

fn compile_all(engine: &Engine, group: &FunctionGroup, tier: Tier, threads: usize) {
    let next = AtomicU32::new(0);
    let work = || {
        while let Some(function) =
            Function::new(group.clone(), next.fetch_add(1, Ordering::Relaxed))
        {
            // What fails is counted by the subscriber.
            let _ = engine.optimize(&function, tier);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that cannot be started leaves its share to the others.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

fn wasm_code_bytes(info: &ModuleInfo) -> u64 {
    info.bodies
        .iter()
        .map(|body| u64::from(body.end - body.start))
        .sum()
}

/// A module's functions, with the time that their translation to the compiler's input takes.
struct TimedSource {
    source: ModuleSource,
    nanoseconds: AtomicU64,
    baseline_nanoseconds: AtomicU64,
    /// Why functions are compiled from CLIF although there is a shorter way, and how many.
    fallbacks: Mutex<BTreeMap<String, u64>>,
}

impl TimedSource {
    fn new(source: ModuleSource) -> TimedSource {
        TimedSource {
            source,
            nanoseconds: AtomicU64::new(0),
            baseline_nanoseconds: AtomicU64::new(0),
            fallbacks: Mutex::default(),
        }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    fn baseline_elapsed(&self) -> Duration {
        Duration::from_nanos(self.baseline_nanoseconds.load(Ordering::Relaxed))
    }

    fn fallbacks(&self) -> BTreeMap<String, u64> {
        let fallbacks = self.fallbacks.lock();
        fallbacks.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FunctionSource for TimedSource {
    fn body(&self, request: &BodyRequest<'_>) -> Result<ir::Function, CompileError> {
        let start = Instant::now();
        // Nothing is run, so nothing is taken for granted.
        let request = BodyRequest {
            speculation: None,
            ..*request
        };
        let body = self.source.body(&request);
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        body
    }

    fn baseline(
        &self,
        index: u32,
        first: FuncId,
        request: &BaselineRequest,
    ) -> Result<CompiledCode, CompileError> {
        let start = Instant::now();
        let code = self.source.baseline(index, first, request);
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.baseline_nanoseconds
            .fetch_add(nanoseconds, Ordering::Relaxed);
        if let Err(CompileError::Bailout(reason)) = &code {
            let mut fallbacks = self
                .fallbacks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *fallbacks.entry(reason.clone()).or_insert(0) += 1;
        }
        code
    }

    fn name(&self, index: u32) -> String {
        self.source.name(index)
    }

    fn source_bytes(&self, index: u32) -> u32 {
        self.source.source_bytes(index)
    }
}

/// Adds up what the compilers report.
#[derive(Default)]
struct Tally {
    state: Mutex<Sums>,
}

#[derive(Clone, Default)]
struct Sums {
    compiled: u64,
    declined: u64,
    failed: u64,
    native_code_bytes: u64,
    time: Duration,
    slowest: Option<Slowest>,
    without_code: Vec<WithoutCode>,
}

impl Subscriber for Tally {
    fn event(&self, event: &Event) {
        let mut sums = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.kind {
            EventKind::Compiled(c) => {
                sums.compiled += 1;
                sums.native_code_bytes += c.code_bytes as u64;
                sums.time += c.duration;
                let duration_ms = milliseconds(c.duration);
                if sums
                    .slowest
                    .as_ref()
                    .is_none_or(|slowest| duration_ms > slowest.duration_ms)
                {
                    let name = event.name.clone();
                    sums.slowest = Some(Slowest {
                        name,
                        source_bytes: c.source_bytes,
                        duration_ms,
                    });
                }
            }
            EventKind::Failed {
                declined, reason, ..
            } => {
                sums.declined += u64::from(*declined);
                sums.failed += u64::from(!*declined);
                if sums.without_code.len() < NAMED_MAX {
                    let (name, reason) = (event.name.clone(), reason.clone());
                    sums.without_code.push(WithoutCode {
                        name,
                        declined: *declined,
                        reason,
                    });
                }
            }
            _ => {}
        }
    }
}

/// The function that took longest.
#[derive(Clone, Serialize)]
struct Slowest {
    name: String,
    source_bytes: u32,
    duration_ms: f64,
}

/// A function that the tier made no code of.
#[derive(Clone, Serialize)]
struct WithoutCode {
    name: String,
    declined: bool,
    reason: String,
}

/// What the command prints.
#[derive(Serialize)]
struct Report {
    file: String,
    tier: usize,
    compiler: String,
    threads: usize,
    module_bytes: u64,
    wasm_code_bytes: u64,
    functions: u32,
    compiled: u64,
    declined: u64,
    failed: u64,
    native_code_bytes: u64,
    phases: Phases,
    /// Functions that tier 0 compiled by way of CLIF, by the reason.
    fallbacks: BTreeMap<String, u64>,
    slowest: Option<Slowest>,
    without_code: Vec<WithoutCode>,
}

/// The phases' times, in milliseconds in JSON. Those of translating and compiling are summed up over all threads;
/// compiling includes linking and publishing.
#[derive(Serialize)]
struct Phases {
    #[serde(rename = "read_ms", serialize_with = "as_milliseconds")]
    read: Duration,
    #[serde(rename = "parse_text_ms", serialize_with = "as_milliseconds")]
    parse_text: Duration,
    #[serde(rename = "decode_ms", serialize_with = "as_milliseconds")]
    decode: Duration,
    #[serde(rename = "validate_ms", serialize_with = "as_milliseconds")]
    validate: Duration,
    #[serde(rename = "translate_ms", serialize_with = "as_milliseconds")]
    translate: Duration,
    #[serde(rename = "copy_and_patch_ms", serialize_with = "as_milliseconds")]
    copy_and_patch: Duration,
    #[serde(rename = "compile_and_link_ms", serialize_with = "as_milliseconds")]
    compile: Duration,
    #[serde(
        rename = "all_functions_elapsed_ms",
        serialize_with = "as_milliseconds"
    )]
    elapsed: Duration,
}

fn as_milliseconds<S: serde::Serializer>(
    time: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(milliseconds(*time))
}

impl Report {
    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn text(&self) -> String {
        let threads = match self.threads {
            1 => "one thread".to_owned(),
            count => format!("{count} threads"),
        };
        let mut text = format!(
            "{}, compiled for tier {} ({}) on {threads}\n\n",
            self.file, self.tier, self.compiler
        );
        text.push_str(&self.phase_table());
        text.push('\n');
        text.push_str(&self.size_table());
        for (reason, functions) in &self.fallbacks {
            let functions = count(*functions);
            text.push_str(&format!("  compiled from CLIF: {functions}: {reason}\n"));
        }
        for function in &self.without_code {
            let what = if function.declined {
                "declined"
            } else {
                "failed"
            };
            text.push_str(&format!(
                "  {what}: {}: {}\n",
                function.name, function.reason
            ));
        }
        let more = (self.declined + self.failed).saturating_sub(self.without_code.len() as u64);
        if more > 0 {
            text.push_str(&format!("  ... and {} more\n", count(more)));
        }
        text
    }

    fn phase_table(&self) -> String {
        let phases = &self.phases;
        let code = self.wasm_code_bytes;
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut table = Table::new([Align::Left, Align::Right, Align::Right, Align::Left]);
        table.row(["phase", "time", "MB/s", ""]);
        let mut row = |name: &str, time: Duration, size: u64, note: &str| {
            let rate = match megabytes_per_second(size, time) {
                Some(rate) => format!("{rate:.1}"),
                None => "-".to_owned(),
            };
            table.row([name, &duration(time), &rate, note]);
        };
        let size = self.module_bytes;
        row("read", phases.read, size, "");
        if !phases.parse_text.is_zero() {
            row("parse text", phases.parse_text, size, "");
        }
        row("decode", phases.decode, size, "one thread");
        let note = match cores {
            1 => "one thread".to_owned(),
            _ => format!("up to {cores} threads"),
        };
        row("validate", phases.validate, code, &note);
        let note = if self.threads > 1 {
            "sum over all threads"
        } else {
            ""
        };
        if !phases.copy_and_patch.is_zero() {
            row("copy and patch", phases.copy_and_patch, code, note);
        }
        row("translate", phases.translate, code, note);
        row("compile, link", phases.compile, code, note);
        row(
            "all functions",
            phases.elapsed,
            code,
            "translate, compile, link and publish, as the clock goes",
        );
        table.render("  ")
    }

    fn size_table(&self) -> String {
        let mut table = Table::new([Align::Left, Align::Left]);
        let mut row = |name: &str, text: String| table.row([name, &text]);
        let (module, code) = (bytes(self.module_bytes), bytes(self.wasm_code_bytes));
        row(
            "module",
            format!("{module}, of which function bodies {code}"),
        );
        let functions = format!(
            "{} of {} compiled, {} declined (fallbacks), {} failed",
            count(self.compiled),
            count(self.functions.into()),
            count(self.declined),
            count(self.failed)
        );
        row("functions", functions);
        let ratio = self.native_code_bytes as f64 / self.wasm_code_bytes.max(1) as f64;
        row(
            "code",
            format!(
                "{}, {ratio:.2} times the bodies",
                bytes(self.native_code_bytes)
            ),
        );
        if let Some(slowest) = &self.slowest {
            let time = duration(Duration::from_secs_f64(slowest.duration_ms / 1e3));
            let size = bytes(slowest.source_bytes.into());
            row(
                "slowest",
                format!("{time} for {}, {size} of WebAssembly", slowest.name),
            );
        }
        table.render("  ")
    }
}
