//! Makes the tables of stencils that tier 0 copies from, those of WebAssembly for x86-64 and AArch64, those of CLIF for
//! x86-64, and the page about them.
//!
//! Started by `cargo xtask stencils`, which says what the arguments are.
#![forbid(unsafe_code)]

mod clif;
mod made;
mod page;
mod usage;

use anyhow::{Context as _, Result, bail};
use made::{Made, put};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use upshift::embed::StencilMaker;
use upshift::embed::stencil::Architecture;
use upshift_cranelift::{CraneliftCompiler, Effort, Options};
use upshift_wasm::stencil_generator::{source, table};

/// What to make: the architecture's name in files and pages, and what Cranelift calls it and each level's features.
struct Machine {
    architecture: Architecture,
    name: &'static str,
    file: &'static str,
    target: &'static str,
    levels: &'static [(&'static str, &'static [&'static str])],
}

const MACHINES: [Machine; 2] = [
    Machine {
        architecture: Architecture::X64,
        name: "x86-64",
        file: "crates/wasm/src/baseline/table/generated/x64.rs",
        target: "x86_64-unknown-linux-gnu",
        levels: &[
            ("x86-64-v2", &["x86-64-v2"]),
            ("x86-64-v3", &["x86-64-v3", "has_avx"]),
        ],
    },
    Machine {
        architecture: Architecture::Aarch64,
        name: "AArch64",
        file: "crates/wasm/src/baseline/table/generated/aarch64.rs",
        target: "aarch64-unknown-linux-gnu",
        levels: &[("armv8.0", &[])],
    },
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool> {
    let mut check = false;
    let mut root = PathBuf::from(".");
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--check" => check = true,
            path => root = PathBuf::from(path),
        }
    }
    let clif = clif::source(&makers(&MACHINES[0])?)?;
    let mut same = put(&root.join(clif::FILE), &clif, check)?;
    let made = MACHINES.iter().map(make).collect::<Result<Vec<_>>>()?;
    for (machine, made) in MACHINES.iter().zip(&made) {
        let stencils = made.rows.len();
        println!(
            "{}: {stencils} stencils, {:.0} µs each",
            machine.name, made.microseconds
        );
        same &= put(
            &root.join(machine.file),
            &source(machine.name, &made.rows),
            check,
        )?;
    }
    let usage = usage::of_corpus(&root.join("corpus"), &made[0].rows)?;
    same &= page::put(&root.join("docs/copy-and-patch.md"), &made, &usage, check)?;
    Ok(same)
}

/// What makes stencils for each level of processors, without and with canonical NaNs.
fn makers(machine: &Machine) -> Result<Vec<[StencilMaker; 2]>> {
    let maker = |features: &[&str], canonical_nans| {
        let options = Options {
            effort: Effort::Speed,
            canonical_nans,
            verify: true,
        };
        let compiler = CraneliftCompiler::for_target(machine.target, features, options);
        let compiler = compiler.context("run by `cargo xtask stencils`, this has all targets")?;
        anyhow::Ok(StencilMaker::new(machine.architecture, Arc::new(compiler)))
    };
    let levels = machine.levels.iter();
    let makers = levels.map(|(_, features)| Ok([maker(features, false)?, maker(features, true)?]));
    makers.collect()
}

fn make(machine: &Machine) -> Result<Made> {
    let start = Instant::now();
    let makers = makers(machine)?;
    let rows = table(&makers).with_context(|| format!("the table for {}", machine.name))?;
    let compiled: u32 = rows.iter().map(|row| row.variants.count_ones()).sum();
    if compiled == 0 {
        bail!("no operation has a stencil");
    }
    Ok(Made {
        name: machine.name,
        levels: machine.levels.iter().map(|(name, _)| *name).collect(),
        microseconds: start.elapsed().as_secs_f64() * 1e6 / f64::from(compiled),
        rows,
    })
}
