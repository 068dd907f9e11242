//! How fast compilers are: a whole module, one thread on one processor, nothing run.
//!
//! Each compiler is a process of its own that says how long it took, so that starting it and reading the file do not
//! count. `taskset` keeps all of them on one processor, also those that would like to use more.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::engines::Engine;
use super::report::{CompileFigure, CompiledModule};
use crate::shell;

/// The modules: files of the corpus, and whether compilers that take seconds for each megabyte get them too.
const MODULES: [(&str, &str, bool); 5] = [
    ("lua", "corpus/lua/lua.wasm", true),
    ("sqlite", "corpus/sqlite/sqlite.wasm", true),
    ("zstd", "corpus/zstd-wasm/package/dist/esm/zstd.wasm", true),
    (
        "argon2",
        "corpus/argon2-browser/package/dist/argon2.wasm",
        true,
    ),
    (
        "clang",
        "corpus/yowasp-clang/package/gen/llvm.core.wasm",
        false,
    ),
];

/// A compiler: how it is called, and how what it prints is read.
struct Compiler {
    label: &'static str,
    /// The engine whose program it is.
    engine: &'static str,
    flags: &'static [&'static str],
    /// What its time is the sum of, among what it prints.
    parts: &'static [&'static str],
    /// How many of the printed units are a second.
    unit: f64,
    is_quick: bool,
}

const ALL: &[&str] = &["decode_ms", "validate_ms", "all_functions_elapsed_ms"];
const NODE: &[&str] = &[
    "--liftoff-only",
    "--no-wasm-lazy-compilation",
    "--wasm-num-compilation-tasks=1",
    "--single-threaded",
    "programs/compile.mjs",
];

const fn own(label: &'static str, flags: &'static [&'static str], is_quick: bool) -> Compiler {
    Compiler {
        label,
        engine: "upshift-0",
        flags,
        parts: ALL,
        unit: 1e3,
        is_quick,
    }
}

const fn peer(label: &'static str, flags: &'static [&'static str]) -> Compiler {
    Compiler {
        label,
        engine: "wasmtime-winch",
        flags,
        parts: &["seconds"],
        unit: 1.0,
        is_quick: false,
    }
}

/// The labels of compilers that are compared with one another.
pub const PASS: &str = "Upshift tier 0, the pass alone";
pub const TIER_0: &str = "Upshift tier 0, all included";
pub const LIFTOFF: &str = "V8 Liftoff";
pub const WINCH: &str = "Winch";
pub const NONE: &str = "Cranelift `none` in Upshift";

const COMPILERS: [Compiler; 7] = [
    Compiler {
        parts: &["copy_and_patch_ms"],
        ..own(PASS, &["compile", "--tier", "0", "--json"], true)
    },
    own(TIER_0, &["compile", "--tier", "0", "--json"], true),
    Compiler {
        label: LIFTOFF,
        engine: "node-liftoff",
        flags: NODE,
        ..peer("", &[])
    }
    .quick(),
    peer(WINCH, &["--engine", "wasmtime-winch", "--compile"]),
    own(NONE, &["compile", "--tier", "0", "--clif", "--json"], false),
    own(
        "Upshift tier 1",
        &["compile", "--tier", "1", "--json"],
        false,
    ),
    peer(
        "Wasmtime Cranelift",
        &["--engine", "wasmtime-cranelift", "--compile"],
    ),
];

impl Compiler {
    const fn quick(self) -> Compiler {
        Compiler {
            is_quick: true,
            ..self
        }
    }

    fn command(&self, root: &Path, engine: &Engine, file: &str) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(&engine.binary);
        command.current_dir(root).args(self.flags).arg(file);
        command
    }

    /// Seconds and bytes of code of one run.
    fn run(&self, root: &Path, engine: &Engine, file: &str) -> Result<(f64, Option<u64>)> {
        let printed = shell::output(&mut self.command(root, engine, file))?;
        let printed: Value = serde_json::from_str(&printed)
            .with_context(|| format!("{} printed something unexpected", self.label))?;
        let part = |name: &&str| {
            let of_phases = &printed["phases"][name];
            of_phases.as_f64().or(printed[name].as_f64())
        };
        let parts: Option<Vec<f64>> = self.parts.iter().map(part).collect();
        let parts = parts.with_context(|| format!("{} does not say how long", self.label))?;
        let seconds = parts.iter().sum::<f64>() / self.unit;
        Ok((seconds, printed["native_code_bytes"].as_u64()))
    }
}

/// Measures all that are there, `runs` times.
pub fn measure(root: &Path, engines: &[Engine], runs: usize) -> Result<Vec<CompiledModule>> {
    if !shell::has("taskset") {
        println!("skipped the compilers' speed: there is no taskset");
        return Ok(Vec::new());
    }
    let mut modules = Vec::new();
    for (name, file, is_small) in MODULES {
        if !root.join(file).exists() {
            continue;
        }
        shell::step(&format!("compilers on {name}"));
        modules.push(module(root, engines, (name, file, is_small), runs)?);
    }
    Ok(modules)
}

fn module(
    root: &Path,
    engines: &[Engine],
    (name, file, is_small): (&str, &str, bool),
    runs: usize,
) -> Result<CompiledModule> {
    let binary = std::fs::read(root.join(file))?;
    let mut figures: Vec<CompileFigure> = Vec::new();
    for round in 0..runs {
        for compiler in &COMPILERS {
            let engine = engines.iter().find(|engine| engine.id == compiler.engine);
            let Some(engine) = engine.filter(|_| is_small || compiler.is_quick) else {
                continue;
            };
            let (seconds, code_bytes) = compiler.run(root, engine, file)?;
            if round == 0 {
                let code_bytes = match compiler.label {
                    LIFTOFF => liftoff_code_bytes(root, compiler, engine, file)?,
                    _ => code_bytes,
                };
                figures.push(CompileFigure {
                    compiler: compiler.label.to_owned(),
                    seconds: Vec::new(),
                    code_bytes,
                });
            }
            let figure = figures.iter_mut().find(|f| f.compiler == compiler.label);
            if let Some(figure) = figure {
                figure.seconds.push(seconds);
            }
        }
    }
    Ok(CompiledModule {
        name: name.to_owned(),
        bytes: binary.len() as u64,
        wasm_code_bytes: wasm_code_bytes(root, engines, file)?,
        figures,
    })
}

/// Bytes of the module's function bodies, as our own engine says.
fn wasm_code_bytes(root: &Path, engines: &[Engine], file: &str) -> Result<u64> {
    let own = engines.iter().find(|engine| engine.id == "upshift-0");
    let own = own.context("our own engine is missing")?;
    let mut command = COMPILERS[0].command(root, own, file);
    let printed: Value = serde_json::from_str(&shell::output(&mut command)?)?;
    let bytes = printed["wasm_code_bytes"].as_u64();
    bytes.context("upshift compile names no size")
}

/// The sum of what V8 says of each function that it compiles, in a run that is not for the clock.
fn liftoff_code_bytes(
    root: &Path,
    compiler: &Compiler,
    engine: &Engine,
    file: &str,
) -> Result<Option<u64>> {
    let mut command = Command::new(&engine.binary);
    command
        .current_dir(root)
        .arg("--trace-wasm-compilation-times");
    command.args(compiler.flags).arg(file);
    let printed = shell::output(&mut command)?;
    let sizes = printed.lines().filter_map(|line| {
        let (_, size) = line
            .split_once("using Liftoff")?
            .1
            .split_once("codesize ")?;
        size.split_whitespace().next()?.parse::<u64>().ok()
    });
    let sum: u64 = sizes.sum();
    Ok((sum > 0).then_some(sum))
}
