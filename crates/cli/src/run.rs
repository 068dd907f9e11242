//! `upshift run`: from a file to a running program and its exit code.

use crate::args::{self, EXIT_ERROR, EXIT_TRAP, RunArgs, Stress, WasmHelp, WasmOption};
use crate::host::{Host, define_wasi};
use crate::report::compilations::PrintCompilations;
use crate::report::stats::{RunTimes, Tally};
use crate::report::table::{Align, Table};
use crate::report::trace::TraceEvents;
use crate::report::{self, format, trap};
use crate::{engine, input, values};
use anyhow::{Context, Result, anyhow, bail};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::exit;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use upshift_wasi::{Access, Exit, WasiCtx, WasiCtxBuilder};
use upshift_wasm::{
    Config, Engine, Error, ExternType, Instance, Linker, Module, ModuleOptions, Store, StoreLimits,
    TrapKind, Val,
};

/// Stack that a guest may use unless `-W max-wasm-stack` says otherwise.
const STACK_BYTES: usize = 1 << 20;
/// Stack beside the guest's, for the host functions and compilers that it calls.
const HOST_STACK_BYTES: usize = 8 << 20;
/// The most stack that a guest gets.
const STACK_BYTES_MAX: usize = 1 << 40;
/// How long after a timeout a program may stay in a host function, or be compiled, before the process ends around it.
const GRACE: Duration = Duration::from_secs(1);

/// What `-W` says.
#[derive(Clone, Copy, Default)]
struct Limits {
    timeout: Option<Duration>,
    memory_bytes_max: Option<usize>,
    stack_bytes_max: Option<usize>,
    canonical_nans: bool,
}

/// Runs the command. Returns the process's exit code.
pub fn run(args: RunArgs) -> Result<i32> {
    if args.wasm.contains(&WasmOption::Help) {
        report::stdout(&format!("Options of -W:\n{WasmHelp}"));
        return Ok(0);
    }
    let limits = limits(&args.wasm)?;
    // The main thread's stack is as large as the shell says; a thread's is as large as the program needs.
    let bytes = limits.stack_bytes_max.unwrap_or(STACK_BYTES);
    thread::Builder::new()
        .name("program".to_owned())
        .stack_size(bytes.saturating_add(HOST_STACK_BYTES))
        .spawn(move || {
            grow_heap();
            run_here(&args, limits)
        })
        .with_context(|| format!("cannot have a stack of {}", format::bytes(bytes as u64)))?
        .join()
        .unwrap_or(Ok(EXIT_ERROR))
}

/// Gives the thread's heap some room. In glibc the heap of a thread that is not the first grows page by page, by a system call
/// each. What is freed here stays with the heap: it does not take more than it needs from other allocators either.
fn grow_heap() {
    // Freeing something larger first raises the size up to which memory comes from the heap. A module of 133,000 functions
    // takes more than 8 MiB.
    for bytes in [24 << 20, 20 << 20] {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(bytes)));
    }
}

fn limits(options: &[WasmOption]) -> Result<Limits> {
    let mut limits = Limits::default();
    for option in options {
        match *option {
            WasmOption::Help => {}
            WasmOption::Timeout(timeout) => limits.timeout = Some(timeout),
            WasmOption::MemoryBytesMax(bytes) => limits.memory_bytes_max = Some(bytes),
            WasmOption::StackBytesMax(bytes) => limits.stack_bytes_max = Some(bytes),
            WasmOption::CanonicalNans(canonical) => limits.canonical_nans = canonical,
        }
    }
    match limits.stack_bytes_max {
        Some(bytes) if bytes > STACK_BYTES_MAX => {
            bail!(
                "-W max-wasm-stack: {} is more than any machine has",
                format::bytes(bytes as u64)
            )
        }
        _ => Ok(limits),
    }
}

/// config → engine → module → imports → instance → call.
fn run_here(args: &RunArgs, limits: Limits) -> Result<i32> {
    let Some((path, program_args)) = args.program.split_first() else {
        args::usage_error("there is no PROGRAM to run");
    };
    let tally = Arc::new(Tally::default());
    let engine = Engine::new(config(args, limits, &tally)?).map_err(machine_refuses)?;
    let options = ModuleOptions {
        interruptible: limits.timeout.is_some(),
    };
    let (module, load) = input::load(&engine, Path::new(path), options)?;
    let entry = entry(args, path, program_args, &module)?;

    let host = Host::new(wasi(args, path, program_args)?, args.stats);
    let mut store = Store::new(&engine, host);
    let watchdog = limits
        .timeout
        .map(|timeout| Watchdog::start(&mut store, timeout));
    if let Some(bytes) = limits.memory_bytes_max {
        store.set_limits(StoreLimits::new().memory_size(bytes));
    }
    let mut linker = Linker::new(&engine);
    define_wasi(&mut linker)?;

    let start = Instant::now();
    let mut called = start;
    let outcome = preload(args, options, &mut linker, &mut store).and_then(|()| {
        check_imports(&linker, &module, path)?;
        let instance = linker
            .instantiate(&mut store, &module)
            .map_err(Stop::Guest)?;
        called = Instant::now();
        call(&mut store, instance, &entry).map_err(Stop::Guest)
    });
    let end = Instant::now();
    drop(watchdog);
    let code = conclude(outcome, &path.to_string_lossy(), limits)?;

    if args.engine.stress.contains(&Stress::Frames) {
        let log = engine.frame_log();
        report::stderr(&format!(
            "frames: {}, digest {:016x}\n",
            log.frames, log.digest
        ));
    }
    if args.stats {
        let times = RunTimes {
            module_bytes: module.byte_count() as u64,
            validated: load.is_lazy.then(|| validated(&module)),
            load,
            instantiate: called - start,
            run: end - called,
            wasi: store.data().time,
            wasi_calls: store.data().calls,
            compiled: tally.sums(),
        };
        report::stderr(&report::stats::describe(
            &path.to_string_lossy(),
            &engine,
            &times,
        ));
    }
    if args.trace.is_none() {
        // Nobody is told what is freed, so nothing need be: the process ends, background compilation or not.
        exit(code);
    }
    Ok(code)
}

/// How many of the module's functions have been validated, and of how many.
fn validated(module: &Module) -> (u32, u32) {
    let own = module.function_count() - module.imported_function_count();
    (module.validated_function_count(), own)
}

fn config(args: &RunArgs, limits: Limits, tally: &Arc<Tally>) -> Result<Config> {
    let mut config = engine::config(&args.engine)?
        .canonical_nans(limits.canonical_nans)
        .stack_bytes(limits.stack_bytes_max.unwrap_or(STACK_BYTES));
    if args.stats {
        config = config.subscriber(tally.clone());
    }
    if args.print_compilation {
        config = config.subscriber(Arc::new(PrintCompilations::new()));
    }
    if let Some(trace) = &args.trace {
        config = config.subscriber(Arc::new(TraceEvents::new(trace)?));
    }
    Ok(config)
}

fn machine_refuses(error: upshift::Error) -> anyhow::Error {
    anyhow!(
        "cannot start the engine: {error}\nhint: `upshift doctor` shows what this machine offers"
    )
}

fn wasi(args: &RunArgs, path: &OsStr, program_args: &[OsString]) -> Result<WasiCtx> {
    let name = match &args.argv0 {
        Some(name) => name.as_os_str(),
        None => Path::new(path).file_name().unwrap_or(path),
    };
    let mut builder = WasiCtxBuilder::new()
        .inherit_stdio()
        .arg(name.as_bytes())
        .args(program_args.iter().map(|arg| arg.as_bytes()));
    for variable in &args.env {
        builder = match variable.split_once('=') {
            Some((name, value)) => builder.env(name, value),
            None => match std::env::var_os(variable) {
                Some(value) => builder.env(variable.as_str(), value.as_bytes()),
                None => bail!(
                    "--env {variable}: there is no such variable here to pass on; set one with --env {variable}=VALUE"
                ),
            },
        };
    }
    for dir in &args.dirs {
        builder = builder.preopened_dir(&dir.host, dir.guest.as_str(), Access::ReadWrite);
    }
    if args.deterministic {
        builder = builder.deterministic(0);
    }
    // Its message says what its source says too.
    builder.build().map_err(|error| anyhow!("{error}"))
}

/// What is called of a program.
enum Entry {
    /// `_start` of a command.
    Start,
    /// `_initialize` of a library, and then nothing.
    Initialize,
    /// Nothing: the module has only a start function, or nothing at all.
    Nothing,
    /// The function that `--invoke` names, after `_initialize` if there is one.
    Invoke {
        name: String,
        params: Vec<Val>,
        results: usize,
    },
}

fn entry(
    args: &RunArgs,
    path: &OsStr,
    program_args: &[OsString],
    module: &Module,
) -> Result<Entry> {
    let path = Path::new(path).display();
    let export = |name: &str| match module.get_export(name) {
        Some(ExternType::Func(ty)) => Some(ty),
        _ => None,
    };
    let functions = exported_functions(module);
    if let Some(name) = &args.invoke {
        let Some(ty) = export(name) else {
            match functions.as_str() {
                "" => bail!("{path} exports no functions, so there is no `{name}` to invoke"),
                some => bail!("{path} exports no function `{name}`; it exports\n{some}"),
            }
        };
        let params = values::parse_arguments(name, &ty, program_args)?;
        return Ok(Entry::Invoke {
            name: name.clone(),
            params,
            results: ty.results().len(),
        });
    }
    for (name, entry) in [("_start", Entry::Start), ("_initialize", Entry::Initialize)] {
        match export(name) {
            Some(ty) if ty.params().is_empty() && ty.results().is_empty() => return Ok(entry),
            Some(ty) => {
                bail!("{path} exports `{name}` of type {ty}, where WASI programs have [] -> []")
            }
            None => {}
        }
    }
    if functions.is_empty() {
        return Ok(Entry::Nothing);
    }
    bail!(
        "{path} is not a program: it exports no `_start`\nhint: call one of its functions with --invoke NAME:\n{functions}"
    )
}

/// A line for each function that the module exports.
fn exported_functions(module: &Module) -> String {
    let mut table = Table::new([Align::Left, Align::Left]);
    for export in module.exports() {
        if let ExternType::Func(ty) = export.ty() {
            table.row([export.name(), &ty.to_string()]);
        }
    }
    table.render("  ").trim_end().to_owned()
}

/// Why a program did not come to its end.
enum Stop {
    /// It was never started.
    Error(anyhow::Error),
    /// It exited, trapped, or failed in a host function.
    Guest(Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::Error(error)
    }
}

fn preload(
    args: &RunArgs,
    options: ModuleOptions,
    linker: &mut Linker<Host>,
    store: &mut Store<Host>,
) -> Result<(), Stop> {
    for preload in &args.preloads {
        let (module, _) = input::load(store.engine(), &preload.file, options)
            .with_context(|| format!("--preload {}", preload.name))?;
        check_imports(linker, &module, preload.file.as_os_str())?;
        linker
            .module(&mut *store, &preload.name, &module)
            .map_err(|error| Stop::Guest(error.context(format!("--preload {}", preload.name))))?;
    }
    Ok(())
}

/// Names all imports that nothing defines, not only the first.
fn check_imports(linker: &Linker<Host>, module: &Module, path: &OsStr) -> Result<()> {
    let missing: Vec<_> = module
        .imports()
        .filter(|import| !linker.is_defined(import.module(), import.name()))
        .collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let mut list = Table::new([Align::Left, Align::Left]);
    for import in &missing {
        let name = format!("{}::{}", import.module(), import.name());
        list.row([&name, &import.ty().to_string()]);
    }
    let hint = match first.module() {
        "wasi_unstable" => {
            "the program was built for an old version of WASI; build it again for preview 1"
                .to_owned()
        }
        upshift_wasi::MODULE => "WASI preview 1 has no such functions".to_owned(),
        name => format!("--preload {name}=FILE takes them from the exports of another module"),
    };
    bail!(
        "{} imports what nothing defines:\n{}hint: {hint}",
        Path::new(path).display(),
        list.render("  ")
    )
}

fn call(store: &mut Store<Host>, instance: Instance, entry: &Entry) -> Result<(), Error> {
    let mut call =
        |name: &str, params: &[Val], results: &mut [Val]| match instance.get_func(&*store, name) {
            Some(func) => func.call(&mut *store, params, results),
            None => Ok(()),
        };
    match entry {
        Entry::Start => call("_start", &[], &mut []),
        Entry::Initialize => call("_initialize", &[], &mut []),
        Entry::Nothing => Ok(()),
        Entry::Invoke {
            name,
            params,
            results,
        } => {
            if name != "_initialize" {
                call("_initialize", &[], &mut [])?;
            }
            let mut results = vec![Val::I32(0); *results];
            call(name, params, &mut results)?;
            for result in &results {
                report::stdout(&format!("{}\n", values::display(result)));
            }
            Ok(())
        }
    }
}

/// The exit code for what came of a program, after saying what has to be said.
fn conclude(outcome: Result<(), Stop>, program: &str, limits: Limits) -> Result<i32> {
    let error = match outcome {
        Ok(()) => return Ok(0),
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Guest(error)) => error,
    };
    if let Some(exit) = error.downcast_ref::<Exit>() {
        return Ok(exit_code(exit.code));
    }
    let frames = error
        .backtrace()
        .map_or(&[][..], |backtrace| backtrace.frames());
    let Some(kind) = error.trap().map(|trap| trap.kind()) else {
        report::stderr(&trap::describe(program, &error.to_string(), None, frames));
        return Ok(EXIT_ERROR);
    };
    match (kind, limits.timeout) {
        (TrapKind::Interrupted, Some(timeout)) => {
            report::stderr(&trap::describe(program, &timed_out(timeout), None, frames));
        }
        _ => {
            let hint = trap::hint(kind, limits.stack_bytes_max);
            report::stderr(&trap::describe(
                program,
                &error.to_string(),
                hint.as_deref(),
                frames,
            ));
        }
    }
    // That a function could not be compiled is not the program's fault.
    Ok(if kind == TrapKind::CompilationFailed {
        EXIT_ERROR
    } else {
        EXIT_TRAP
    })
}

fn timed_out(timeout: Duration) -> String {
    format!("stopped, because it ran longer than -W timeout={timeout:?} allows")
}

/// A process's exit code has eight bits. That the program failed must not get lost with the others.
fn exit_code(code: u32) -> i32 {
    match (code & 0xff) as i32 {
        0 if code != 0 => EXIT_ERROR,
        low => low,
    }
}

/// Stops a program that runs too long. Dropping it calls it off.
struct Watchdog {
    _program_ended: mpsc::Sender<()>,
}

impl Watchdog {
    fn start(store: &mut Store<Host>, timeout: Duration) -> Watchdog {
        let handle = store.interrupt_handle();
        let interrupted = handle.clone();
        store
            .data_mut()
            .set_interrupted_by(move || interrupted.is_interrupted());
        let (program_ended, end) = mpsc::channel();
        thread::spawn(move || {
            let passes = |time| end.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout);
            if passes(timeout) {
                handle.interrupt();
                // Code stops at its next function or loop iteration, and so does what waits in WASI. The rest is in
                // the host, and does not know of us.
                if passes(GRACE) {
                    let what = format!("error: {}, in a call to the host\n", timed_out(timeout));
                    report::stderr(&what);
                    exit(EXIT_TRAP);
                }
            }
        });
        Watchdog {
            _program_ended: program_ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_keep_failure() {
        assert_eq!(
            [0, 1, 7, 255, 256, 257, u32::MAX].map(exit_code),
            [0, 1, 7, 255, 1, 1, 255]
        );
    }
}
