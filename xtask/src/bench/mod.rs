//! `cargo xtask bench`: Upshift and other engines on the programs of the corpus, side by side in one run.
//!
//! Engines are built or fetched, each program runs once in each for its output and its tiers, then in turns for the
//! clock. What comes out is kept in `corpus/bench/results.json`, from which the page and its pictures are written.

mod compile;
mod compile_page;
mod costs;
mod curve;
mod engines;
mod histogram;
mod llvm_page;
pub(crate) mod machine;
mod measure;
mod page;
mod picture;
pub mod process;
mod programs;
mod report;
mod start;
mod stats;
mod tiers;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use self::engines::Engine;
use self::measure::{Bench, Plan};
use self::programs::Program;
use self::report::{EngineInfo, Failure, Moment, Report, Swap};
use crate::shell;

/// What `cargo xtask bench` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// One short program, two runs, with the engines that are there; no page is written
    #[arg(long)]
    quick: bool,
    /// Only these programs, with commas between; no page is written
    #[arg(long, value_name = "PROGRAM", value_delimiter = ',')]
    only: Vec<String>,
    /// Only the compilers' speed; no page is written
    #[arg(long)]
    compile: bool,
    /// Measured runs of each program in each engine
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Write the page again from what was measured last
    #[arg(long)]
    render: bool,
    /// The upshift command to measure, instead of one built for it
    #[arg(long, value_name = "FILE")]
    upshift: Option<PathBuf>,
    /// The command that runs other engines, instead of one built for it
    #[arg(long, value_name = "FILE")]
    peer: Option<PathBuf>,
    /// Stop a program that runs for longer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u64,
    /// Only the curves, for the page of what was measured last
    #[arg(long)]
    curves: bool,
    /// Only what the runtime itself costs, for the page of what was measured last
    #[arg(long)]
    costs: bool,
    /// Only these programs, with commas between, for the page of what was measured last
    #[arg(long, value_name = "PROGRAM", value_delimiter = ',')]
    again: Vec<String>,
    /// Give the programs of the curves more work until the best engine takes so long, in seconds; by default each its own
    #[arg(long, value_name = "SECONDS")]
    longest: Option<u64>,
}

const RESULTS: &str = "corpus/bench/results.json";
const PAGE: &str = "docs/performance.md";
const README: &str = "README.md";
/// A curve has many points, so each is measured less often, and those that take longer than this once.
const CURVE_RUNS: usize = 3;
const CURVE_SLOW: Duration = Duration::from_secs(1);
/// Fewer runs make no page.
const RUNS_MIN: u32 = 5;

/// Measures; false if an engine gave another result than the others, or its tiers were wrong.
pub fn run(options: &Options) -> Result<bool> {
    let root = shell::root();
    if options.render {
        write_page(&root, &measured_last(&root)?)?;
        return Ok(true);
    }
    if options.costs {
        let mut report = measured_last(&root)?;
        report.costs = Some(costs::measure(&root)?);
        keep(&root, &report)?;
        write_page(&root, &report)?;
        return Ok(true);
    }
    if options.curves {
        let report = curves_again(&root, options)?;
        write_page(&root, &report)?;
        return Ok(all_agree(&report));
    }
    if !options.again.is_empty() {
        let report = programs_again(&root, options)?;
        write_page(&root, &report)?;
        return Ok(all_agree(&report));
    }
    let report = measure(&root, options)?;
    if options.compile {
        let mut part = String::new();
        compile_page::write(&mut part, &report.compilers);
        println!("{part}");
        return Ok(true);
    }
    let complete = options.only.is_empty() && !options.quick && options.runs >= RUNS_MIN;
    if complete {
        write_page(&root, &report)?;
    } else {
        println!("{}", page::write(&report));
    }
    Ok(all_agree(&report))
}

/// Everything, in order.
fn measure(root: &Path, options: &Options) -> Result<Report> {
    let only = match options.quick && options.only.is_empty() {
        true => vec![programs::QUICK.to_owned()],
        false => options.only.clone(),
    };
    get_corpus(root, &only)?;
    let programs = programs::load(root, &only)?;
    let engines = engines(root, options)?;
    let swap = match only.is_empty() && !options.compile {
        true => Some(swap(root)?),
        false => None,
    };
    let machine = machine::describe(root)?;
    let bench = bench(root, &engines, options);
    let mut report = Report {
        machine,
        runs: bench.plan.runs,
        limit: options.limit,
        engines: engines.iter().map(info).collect(),
        programs: Vec::new(),
        curves: Vec::new(),
        compilers: Vec::new(),
        starts: Vec::new(),
        costs: None,
        swap,
    };
    // After each program, so that nothing is lost if the command is stopped.
    let keep = |report: &Report| {
        if options.quick || options.compile {
            return Ok(());
        }
        self::keep(root, report)
    };
    if options.compile || only.is_empty() {
        report.compilers = compile::measure(root, &engines, bench.plan.runs)?;
        keep(&report)?;
    }
    if options.compile {
        return Ok(report);
    }
    report.starts = start::measure(root, &engines, &programs, bench.plan.runs)?;
    if only.is_empty() {
        report.costs = Some(costs::measure(root)?);
        keep(&report)?;
    }
    for program in &programs {
        report.programs.push(bench.measure(program)?);
        report.machine.busy = report.machine.busy.max(machine::busy()?);
        keep(&report)?;
    }
    if !options.quick {
        measure_curves(&bench, &programs, options, &mut report)?;
        keep(&report)?;
    }
    Ok(report)
}

/// The programs that have a curve, with more and more work.
fn measure_curves(
    bench: &Bench,
    programs: &[Program],
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let bench = Bench {
        plan: Plan {
            runs: CURVE_RUNS.min(bench.plan.runs),
            slow: CURVE_SLOW,
            ..bench.plan
        },
        stopped: RefCell::default(),
        ..*bench
    };
    report.curves.clear();
    for program in programs {
        let mut curves = programs::CURVES.iter();
        if let Some((_, seconds)) = curves.find(|(name, _)| *name == program.name) {
            let longest = Duration::from_secs(options.longest.unwrap_or(*seconds));
            report.curves.push(bench.curve(program, longest)?);
            report.machine.busy = report.machine.busy.max(machine::busy()?);
            keep(bench.root, report)?;
        }
    }
    Ok(())
}

/// What was measured last, with new curves.
fn curves_again(root: &Path, options: &Options) -> Result<Report> {
    let (mut report, engines) = measured_in_the_same(root, options)?;
    let programs = programs::load(root, &[])?;
    let bench = bench(root, &engines, options);
    measure_curves(&bench, &programs, options, &mut report)?;
    keep(root, &report)?;
    Ok(report)
}

/// What was measured last, with some programs measured anew.
fn programs_again(root: &Path, options: &Options) -> Result<Report> {
    let (mut report, engines) = measured_in_the_same(root, options)?;
    let bench = bench(root, &engines, options);
    let machine = machine::describe(root)?;
    let moment = Moment {
        date: machine.date,
        revision: machine.revision,
    };
    for program in programs::load(root, &options.again)? {
        let mut runs = bench.measure(&program)?;
        runs.again = Some(moment.clone());
        report.machine.busy = report.machine.busy.max(machine::busy()?);
        match report.programs.iter_mut().find(|old| old.name == runs.name) {
            Some(old) => *old = runs,
            None => report.programs.push(runs),
        }
        keep(root, &report)?;
    }
    Ok(report)
}

/// What was measured last, and the engines that it was measured in.
fn measured_in_the_same(root: &Path, options: &Options) -> Result<(Report, Vec<Engine>)> {
    let report = measured_last(root)?;
    let engines = engines(root, options)?;
    let ids = engines.iter().map(|engine| engine.id);
    if ids.ne(report.engines.iter().map(|engine| &engine.id)) {
        bail!("other engines are there now; measure all of it");
    }
    Ok((report, engines))
}

fn bench<'a>(root: &'a Path, engines: &'a [Engine], options: &Options) -> Bench<'a> {
    let plan = Plan {
        runs: match options.quick {
            true => 2,
            false => options.runs as usize,
        },
        limit: Duration::from_secs(options.limit),
        slow: Duration::from_secs(5),
    };
    Bench {
        root,
        engines,
        plan,
        stopped: RefCell::default(),
    }
}

fn measured_last(root: &Path) -> Result<Report> {
    let text = shell::read(&root.join(RESULTS))?;
    serde_json::from_str(&text).with_context(|| format!("{RESULTS} is from another version"))
}

fn keep(root: &Path, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    shell::write(&root.join(RESULTS), text.as_bytes())
}

/// Runs `cargo xtask corpus`, as this very program.
fn get_corpus(root: &Path, only: &[String]) -> Result<()> {
    let names: Vec<&str> = match only {
        [] => programs::names().collect(),
        only => only.iter().map(String::as_str).collect(),
    };
    let command = std::env::current_exe().context("cannot find this program")?;
    shell::output(
        Command::new(command)
            .current_dir(root)
            .arg("corpus")
            .args(names),
    )
    .map(drop)
    .or_else(|error| {
        println!("note: the corpus is not complete: {error:#}");
        Ok(())
    })
}

fn engines(root: &Path, options: &Options) -> Result<Vec<Engine>> {
    let quick = options.quick;
    let mut engines = engines::own(root, options.upshift.as_deref(), !quick)?;
    engines.extend(engines::peers(root, options.peer.as_deref(), quick)?);
    engines.extend(engines::node(root, quick));
    engines.extend(engines::native(root)?);
    let is_other = |engine: &Engine| engine.expectation.is_none() && engine.native.is_none();
    if !engines.iter().any(is_other) {
        bail!(
            "there is no other engine to compare with; install Node, or leave --quick out to build some"
        );
    }
    Ok(engines)
}

fn info(engine: &Engine) -> EngineInfo {
    EngineInfo {
        id: engine.id.to_owned(),
        label: engine.label.to_owned(),
        version: engine.version.clone(),
        command: engine.shown.clone(),
        own: engine.expectation.is_some(),
    }
}

/// What the benchmark of a swap prints.
fn swap(root: &Path) -> Result<Swap> {
    shell::step("cargo bench -p upshift --bench swap");
    let arguments = [
        "bench", "--quiet", "-p", "upshift", "--bench", "swap", "--", "--json",
    ];
    let printed = shell::output(shell::cargo(root).args(arguments))?;
    let line = printed.lines().last().unwrap_or_default();
    serde_json::from_str(line).context("the benchmark of a swap printed something unexpected")
}

fn write_page(root: &Path, report: &Report) -> Result<()> {
    for part in &page::PARTS {
        let subtitle = format!(
            "Whole processes, medians of {} runs, lines from the fastest to the slowest. {}, {} cores, {}",
            report.runs,
            report
                .machine
                .processors
                .first()
                .map_or("unknown processor", String::as_str),
            report.machine.processors.len(),
            report.machine.date
        );
        if let Some(picture) = picture::draw(report, part.figure, part.heading, &subtitle) {
            shell::write(&root.join("docs").join(part.picture), picture.as_bytes())?;
        }
    }
    if let Some(costs) = &report.costs {
        for (file, picture) in costs::draw(costs, &report.machine.date) {
            shell::write(&root.join("docs").join(file), picture.as_bytes())?;
        }
    }
    for measured in &report.curves {
        let picture = curve::draw(report, measured);
        shell::write(
            &root.join("docs").join(page::curve_picture(measured)),
            picture.as_bytes(),
        )?;
    }
    shell::write(&root.join(PAGE), page::write(report).as_bytes())?;
    println!("wrote {PAGE}");
    let readme = shell::read(&root.join(README))?;
    if let Some(readme) = llvm_page::in_readme(&readme, report) {
        shell::write(&root.join(README), readme.as_bytes())?;
        println!("wrote what LLVM gains to {README}");
    }
    Ok(())
}

/// Whether no figure of ours is missing because of a wrong result or a wrong tier, nor another's because it differs.
fn all_agree(report: &Report) -> bool {
    let cases = report
        .programs
        .iter()
        .flat_map(|program| [&program.short, &program.long, &program.longer])
        .flatten()
        .chain(
            report
                .curves
                .iter()
                .flat_map(|curve| curve.points.iter().map(|point| &point.case)),
        );
    let outcomes = cases.flat_map(|case| case.outcomes.iter().zip(&report.engines));
    let mut good = true;
    for (outcome, engine) in outcomes {
        good &= match &outcome.failure {
            Some(Failure::Differs) => false,
            Some(Failure::Broken(_) | Failure::Stopped | Failure::Tier(_)) => !engine.own,
            None | Some(Failure::Absent) => true,
        };
    }
    good
}
