//! `upshift doctor`: what this machine offers, found out by trying.

use crate::args::EXIT_ERROR;
use crate::report::format::{bytes, counted, duration};
use crate::report::table::{Align, Table};
use crate::{arch, report};
use anyhow::Result;
use std::fs;
use std::time::Instant;
use upshift::{Backend, Config, Tier};
use upshift_wasm::{Engine, Instance, Memory, MemoryType, Module, Store, TrapKind};

/// Memories that are reserved at once to see whether more than one fits.
const MEMORIES: u32 = 16;
/// Bytes of addresses that one takes: 4 GiB, and the guard behind.
const MEMORY_BYTES: u64 = 6 << 30;

const SELF_TEST: &str = r#"(module
  (func (export "sum") (param i64) (result i64) (local i64)
    (loop
      (local.set 1 (i64.add (local.get 1) (local.get 0)))
      (local.tee 0 (i64.sub (local.get 0) (i64.const 1)))
      (br_if 0 (i64.ne (i64.const 0))))
    (local.get 1))
)"#;

const TRAPS: &str = r#"(module
  (memory 1)
  (func (export "memory access") (result i64) (i64.load offset=4294967288 (i32.const -1)))
  (func (export "division") (result i64) (i64.div_s (i64.const 1) (i64.const 0)))
  (func $deep (export "deep recursion") (result i64) (i64.add (i64.const 1) (call $deep)))
)"#;

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// Upshift does not run like this.
    Fail,
    /// For information.
    Note,
}

/// What was found out.
struct Finding {
    what: &'static str,
    mark: Mark,
    text: String,
}

/// Runs the command. Returns the process's exit code.
pub fn doctor() -> Result<i32> {
    let mut findings = vec![processor(), features(), cores(), memory(), code_memory()];
    findings.extend(tiers());
    findings.push(llvm());
    findings.extend([
        guest_memories(),
        traps(),
        overcommit(),
        address_space(),
        perf(),
    ]);
    let mut table = Table::new([Align::Left, Align::Left, Align::Left]);
    for Finding { what, mark, text } in &findings {
        let mark = match mark {
            Mark::Ok => "ok",
            Mark::Warn => "WARN",
            Mark::Fail => "FAIL",
            Mark::Note => "-",
        };
        table.row([mark, what, text]);
    }
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    report::stdout(&format!(
        "upshift {version} on {os}, {arch}\n\n{}",
        table.render("  ")
    ));
    let failed = findings
        .iter()
        .filter(|finding| finding.mark == Mark::Fail)
        .count();
    let warned = findings
        .iter()
        .filter(|finding| finding.mark == Mark::Warn)
        .count();
    let verdict = match (failed, warned) {
        (0, 0) => "Everything that Upshift needs is here.".to_owned(),
        (0, _) => format!(
            "Upshift works here, with {}.",
            counted(warned as u64, "restriction")
        ),
        _ => "Upshift does not work here; see what FAILed.".to_owned(),
    };
    report::stdout(&format!("\n{verdict}\n"));
    Ok(if failed > 0 { EXIT_ERROR } else { 0 })
}

fn finding(what: &'static str, mark: Mark, text: impl Into<String>) -> Finding {
    Finding {
        what,
        mark,
        text: text.into(),
    }
}

fn processor() -> Finding {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = model.map_or(std::env::consts::ARCH, |(_, name)| name);
    match arch::is_supported() {
        true => finding("processor", Mark::Ok, name),
        false => finding(
            "processor",
            Mark::Fail,
            format!("{name}: no code is generated for it yet"),
        ),
    }
}

fn features() -> Finding {
    let (with, without): (Vec<_>, Vec<_>) = arch::features().into_iter().partition(|(_, has)| *has);
    let list = |features: Vec<(&'static str, bool)>| {
        features
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Vector code is made for SSE4.1 at least; without it, functions with vectors are slow or declined.
    let mark = match without
        .iter()
        .any(|(name, _)| matches!(*name, "sse4.1" | "popcnt"))
    {
        true => Mark::Warn,
        false => Mark::Ok,
    };
    let missing = match without.is_empty() {
        true => String::new(),
        false => format!("; not here: {}", list(without)),
    };
    finding("features", mark, list(with) + &missing)
}

fn cores() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let workers = counted(cores.saturating_sub(1).max(1) as u64, "compiler thread");
    let text = format!("{cores}, so {workers} in the background unless --workers says otherwise");
    match cores {
        1 => finding(
            "cores",
            Mark::Warn,
            text + "; it takes time from the program",
        ),
        _ => finding("cores", Mark::Ok, text),
    }
}

fn memory() -> Finding {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line
            .trim_start_matches(':')
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        Some(bytes(kibibytes << 10))
    };
    match (field("MemTotal"), field("MemAvailable")) {
        (Some(total), Some(available)) => finding(
            "memory",
            Mark::Ok,
            format!("{total}, {available} of it available"),
        ),
        _ => finding("memory", Mark::Note, "unknown"),
    }
}

fn code_memory() -> Finding {
    match Engine::new(Config::default().workers(1)) {
        Ok(engine) => {
            let reserved = bytes(engine.code_memory_usage().reserved_bytes as u64);
            let text = format!(
                "{reserved} of addresses reserved; no page writable and executable at once"
            );
            finding("code memory", Mark::Ok, text)
        }
        Err(error) => finding("code memory", Mark::Fail, error.to_string()),
    }
}

fn tiers() -> Vec<Finding> {
    let tier = |tier: Tier, what, meaning: &str| {
        let config = Config::default().workers(1).only_tier(tier);
        match self_test(config) {
            Ok(text) => finding(what, Mark::Ok, format!("{meaning}; {text}")),
            Err(error) => finding(what, Mark::Fail, format!("{meaning}; {error}")),
        }
    };
    let top = "off in --tier auto unless -O says what compiles for it";
    vec![
        tier(Tier::Baseline, "tier 0", "at the first call"),
        tier(Tier::Optimizing, "tier 1", "for hot functions"),
        finding("tier 2", Mark::Note, top),
    ]
}

/// Runs a function in the one tier of `config`.
fn self_test(config: Config) -> Result<String> {
    let engine = Engine::new(config.backend(Tier::Top, Backend::Off))?;
    let tiers = engine.tiers();
    let compilers: Vec<&str> = tiers
        .iter()
        .flat_map(|tier| &tier.compilers)
        .map(String::as_str)
        .collect();
    let module = Module::new(&engine, SELF_TEST)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let sum = instance.get_typed_func::<i64, i64>(&store, "sum")?;
    let start = Instant::now();
    let result = sum.call(&mut store, 1000)?;
    let time = duration(start.elapsed());
    anyhow::ensure!(
        result == 500_500,
        "a test function returned {result}, not 500500"
    );
    Ok(format!(
        "{}: compiled and ran a test function in {time}",
        compilers.join(", ")
    ))
}

fn guest_memories() -> Finding {
    let size = bytes(MEMORY_BYTES);
    let count = || -> Result<u32> {
        let engine = Engine::new(Config::default().workers(1))?;
        let mut store = Store::new(&engine, ());
        let ty = MemoryType { min: 1, max: None };
        Ok((0..MEMORIES)
            .take_while(|_| Memory::new(&mut store, ty).is_ok())
            .count() as u32)
    };
    match count() {
        Ok(MEMORIES) => {
            let text = format!(
                "{size} of addresses for each, so that no access needs a check; {MEMORIES} at once work"
            );
            finding("guest memories", Mark::Ok, text)
        }
        Ok(0) => finding(
            "guest memories",
            Mark::Fail,
            format!(
                "{size} of addresses cannot be reserved; see `ulimit -v` and vm.overcommit_memory"
            ),
        ),
        Ok(some) => finding(
            "guest memories",
            Mark::Warn,
            format!(
                "{size} of addresses can be reserved {} only",
                counted(some.into(), "time")
            ),
        ),
        Err(error) => finding("guest memories", Mark::Fail, error.to_string()),
    }
}

fn traps() -> Finding {
    let works = || -> Result<()> {
        let engine = Engine::new(Config::default().workers(1))?;
        let module = Module::new(&engine, TRAPS)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let expected = [
            ("memory access", TrapKind::MemoryOutOfBounds),
            ("division", TrapKind::IntegerDivisionByZero),
            ("deep recursion", TrapKind::StackOverflow),
        ];
        for (name, kind) in expected {
            let func = instance.get_typed_func::<(), i64>(&store, name)?;
            let found = match func.call(&mut store, ()) {
                Ok(result) => format!("the result {result}"),
                Err(error) if error.trap().is_some_and(|trap| trap.kind() == kind) => continue,
                Err(error) => error.to_string(),
            };
            anyhow::bail!("a bad {name} gave {found}");
        }
        Ok(())
    };
    match works() {
        Ok(()) => finding(
            "signals",
            Mark::Ok,
            "a bad memory access, a division by zero and deep recursion all trap as they should",
        ),
        Err(error) => finding("signals", Mark::Fail, error.to_string()),
    }
}

/// The compile server of `-O llvm`.
fn llvm() -> Finding {
    let what = "LLVM server";
    let Some(file) = upshift::llvm::find_server() else {
        let places = upshift::llvm::places();
        let text = format!("none, so `-O llvm` uses Cranelift; looked for {places}");
        return finding(what, Mark::Note, text);
    };
    let place = file.display();
    match upshift::llvm::server_version(&file) {
        Ok(version) => finding(what, Mark::Ok, format!("{version}, {place}")),
        Err(reason) => finding(
            what,
            Mark::Warn,
            format!("{reason}; `-O llvm` would stay in tier 1"),
        ),
    }
}

fn kernel_setting(path: &str) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn overcommit() -> Finding {
    let what = "overcommit";
    match kernel_setting("/proc/sys/vm/overcommit_memory") {
        Some(2) => finding(
            what,
            Mark::Warn,
            "vm.overcommit_memory = 2: the kernel counts memory when it is asked for, and large programs may get none",
        ),
        Some(setting) => finding(what, Mark::Ok, format!("vm.overcommit_memory = {setting}")),
        None => finding(what, Mark::Note, "unknown"),
    }
}

fn address_space() -> Finding {
    let what = "address space";
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max address space"))
        .and_then(|line| line.split_whitespace().next());
    match limit {
        Some("unlimited") => finding(what, Mark::Ok, "not limited"),
        Some(limit) => {
            let limit = limit.parse().map_or_else(|_| limit.to_owned(), bytes);
            finding(
                what,
                Mark::Warn,
                format!(
                    "limited to {limit}; each guest memory reserves {}",
                    bytes(MEMORY_BYTES)
                ),
            )
        }
        None => finding(what, Mark::Note, "unknown"),
    }
}

fn perf() -> Finding {
    let what = "perf";
    let installed = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("perf").is_file()));
    let tool = if installed {
        "installed"
    } else {
        "not installed"
    };
    match kernel_setting("/proc/sys/kernel/perf_event_paranoid") {
        Some(level @ ..=2) => {
            let mark = if installed { Mark::Ok } else { Mark::Note };
            finding(
                what,
                mark,
                format!(
                    "{tool}; the kernel lets users profile their own programs (perf_event_paranoid = {level})"
                ),
            )
        }
        Some(level) => finding(
            what,
            Mark::Note,
            format!(
                "{tool}; the kernel lets only root profile (perf_event_paranoid = {level}; 2 would let users)"
            ),
        ),
        None => finding(
            what,
            Mark::Note,
            format!("{tool}; the kernel has no performance events"),
        ),
    }
}
