//! The program behind `cargo xtask torture`: faults and load, one body of work at a time.

mod arch;
mod children;
mod churn;
mod escapes;
mod failures;
mod flood;
mod guards;
mod interrupt;
mod load;
mod machine;
mod page;
mod program;
mod report;
mod scale;
mod signals;
mod stacks;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use report::Report;
use scale::Scale;
use std::path::PathBuf;
use std::process::ExitCode;

/// Put Upshift under load and make everything fail that can
#[derive(Parser)]
#[command(name = "cargo xtask torture")]
struct Options {
    /// threads, processes, churn, flood, failures, interrupt, stacks, signals, guards or escapes; all of them if none is named
    bodies: Vec<String>,
    /// A little of everything, for tests
    #[arg(long)]
    smoke: bool,
    /// How often churn makes, promotes and frees a function
    #[arg(long)]
    cycles: Option<u64>,
    /// Write what was found to this page
    #[arg(long)]
    page: Option<PathBuf>,
}

const BODIES: &[&str] = &[
    "threads",
    "processes",
    "churn",
    "flood",
    "failures",
    "interrupt",
    "stacks",
    "signals",
    "guards",
    "escapes",
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        Some((first, rest)) if first == children::CHILD => child(rest).map(|()| true),
        _ => torture(&Options::parse()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn child(words: &[String]) -> Result<()> {
    let (first, rest) = words
        .split_first()
        .context("a child needs to know what to do")?;
    match first.as_str() {
        "stack" => stacks::child(rest),
        "signal" => signals::child(rest),
        _ => bail!("no child does `{first}`"),
    }
}

fn torture(options: &Options) -> Result<bool> {
    let scale = if options.smoke {
        Scale::Smoke
    } else {
        Scale::Full
    };
    churn::count_breakpoints();
    let named: Vec<&str> = options.bodies.iter().map(String::as_str).collect();
    let chosen = if named.is_empty() { BODIES } else { &named };
    let mut reports = Vec::new();
    for body in chosen {
        reports.push(one(body, scale, options).with_context(|| format!("in {body}"))?);
    }
    let checks: u64 = reports.iter().map(|report| report.checks).sum();
    let failures: usize = reports.iter().map(|report| report.failures.len()).sum();
    let executed = churn::breakpoints();
    println!(
        "{} bodies, {checks} checks, {failures} failed, {executed} breakpoints executed",
        reports.len()
    );
    if let Some(path) = &options.page {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, page::text(&command(options), &reports))
            .with_context(|| path.display().to_string())?;
        println!("wrote {}", path.display());
    }
    Ok(failures == 0 && executed == 0)
}

fn one(body: &str, scale: Scale, options: &Options) -> Result<Report> {
    match body {
        "threads" => load::threads(scale),
        "processes" => load::processes(scale),
        "churn" => churn::run(scale, options.cycles),
        "flood" => flood::run(scale),
        "failures" => failures::run(scale),
        "interrupt" => interrupt::run(scale),
        "stacks" => stacks::run(scale),
        "signals" => signals::run(scale),
        "guards" => guards::run(scale),
        "escapes" => escapes::run(scale),
        _ => bail!("there is no such body; there are {}", BODIES.join(", ")),
    }
}

fn command(options: &Options) -> String {
    let mut command = "cargo xtask torture".to_owned();
    for body in &options.bodies {
        command = format!("{command} {body}");
    }
    if options.smoke {
        command.push_str(" --smoke");
    }
    if let Some(cycles) = options.cycles {
        command = format!("{command} --cycles {cycles}");
    }
    command
}
