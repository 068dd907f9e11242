//! The program behind `cargo xtask fuzz`.

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use upshift_fuzz::page::{Run, number, page};
use upshift_fuzz::supervise::{self, Job, Report};
use upshift_fuzz::{Body, limits};

/// Compare Upshift with other engines on random programs
#[derive(Parser)]
#[command(name = "cargo xtask fuzz")]
struct Options {
    /// How many modules from wasm-smith to run; the other bodies get fewer, in proportion. With --only, how many cases
    #[arg(long, default_value_t = 2000)]
    modules: u64,
    /// For how many seconds at most, all bodies together
    #[arg(long)]
    seconds: Option<u64>,
    /// The seed; by default one from the clock
    #[arg(long)]
    seed: Option<u64>,
    /// Only this body
    #[arg(long)]
    only: Option<Body>,
    /// LLVM compiles for tier 2, which every module is run in too
    #[arg(long)]
    llvm: bool,
    /// Run the case in this file
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Make the case in this file smaller
    #[arg(long)]
    minimise: Option<PathBuf>,
    /// Write the case of this number to standard output, in a form that --replay reads
    #[arg(long)]
    print: Option<u64>,
    /// Write what was measured to this page
    #[arg(long)]
    page: Option<PathBuf>,
    #[arg(long, hide = true)]
    worker: bool,
    #[arg(long, hide = true, default_value_t = 0)]
    from: u64,
    #[arg(long, hide = true)]
    position: Option<PathBuf>,
}

fn main() -> ExitCode {
    // Programs of the own generator recurse deeply.
    let thread = std::thread::Builder::new().stack_size(limits::THREAD_STACK_BYTES);
    let result = thread.spawn(run).map(|thread| thread.join());
    match result {
        Ok(Ok(Ok(true))) => ExitCode::SUCCESS,
        Ok(Ok(Ok(false))) => ExitCode::FAILURE,
        Ok(Ok(Err(error))) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Ok(Err(_)) | Err(_) => ExitCode::from(2),
    }
}

fn run() -> Result<bool> {
    let options = Options::parse();
    if let Some(path) = &options.replay {
        return supervise::replay(path).map(|()| true);
    }
    if let Some(path) = &options.minimise {
        let failed = supervise::minimise_file(path)?;
        println!(
            "{}",
            if failed {
                "made smaller"
            } else {
                "it does not fail"
            }
        );
        return Ok(!failed);
    }
    let clock = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |time| time.as_secs())
    };
    let seed = options.seed.unwrap_or_else(clock);
    if let Some(index) = options.print {
        let body = options.only.unwrap_or(Body::Own);
        let case = body
            .case(seed, index)
            .context("there is no case of that number")?;
        println!("{}", serde_json::to_string_pretty(&case)?);
        return Ok(true);
    }
    if options.worker {
        let body = options.only.context("a worker needs a body")?;
        let position = options.position.context("a worker needs a position file")?;
        supervise::work(
            (body, options.llvm),
            seed,
            options.from..options.modules,
            &position,
        )?;
        return Ok(true);
    }
    fuzz(&options, seed)
}

fn fuzz(options: &Options, seed: u64) -> Result<bool> {
    if options.llvm && upshift_filetests::llvm_server().is_none() {
        bail!("there is no LLVM server; `cargo xtask llvm` builds it");
    }
    #[cfg(feature = "wasmtime")]
    if let Err(reason) = upshift_fuzz::oracle::wasmtime::check() {
        bail!("wasmtime does not start: {reason}");
    }
    let bodies: Vec<Body> = match options.only {
        Some(body) => vec![body],
        None => Body::ALL.to_vec(),
    };
    let time_max = options
        .seconds
        .map(|seconds| Duration::from_secs(seconds) / bodies.len() as u32);
    let mut reports = Vec::new();
    println!("seed {seed}");
    for body in bodies {
        let job = Job {
            body,
            seed,
            llvm: options.llvm,
            cases: match options.only {
                Some(_) => options.modules,
                None => (options.modules * body.percent() / 100).max(1),
            },
            time_max,
            failures: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("failures"),
        };
        let report = supervise::run(&job, &mut |report| progress(body, report, job.cases))?;
        eprintln!();
        for (reason, path) in &report.failures {
            println!("{body}: {reason}\n    {}", path.display());
            supervise::minimise_file(path)?;
        }
        summary(body, &report);
        reports.push((body, report));
    }
    let good = reports.iter().all(|(_, report)| report.failures.is_empty());
    if let Some(path) = &options.page {
        let run = Run {
            command: command(options),
            seed,
            date: date(clock_days()),
            reports,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(path, page(&run)).with_context(|| path.display().to_string())?;
        println!("wrote {}", path.display());
    }
    Ok(good)
}

fn progress(body: Body, report: &Report, cases: u64) {
    let rate = report.counts.cases as f64 / report.time.as_secs_f64().max(0.001);
    eprint!(
        "\r{body}: {} of {} cases, {rate:.0} a second, {} failures ",
        number(report.counts.cases),
        number(cases),
        report.failures.len()
    );
}

fn summary(body: Body, report: &Report) {
    let counts = &report.counts;
    println!(
        "{body:9} {:>9} cases, {:>9} agreed, {:>6} skipped, {:>3} failures; {} runs, {} calls ({} traps), {} host calls, \
         compiled {:?}, {} calls inlined, {} moves in loops, {} back to tier 0, {:.1} s",
        number(counts.cases),
        number(counts.agreed),
        number(counts.skipped.values().sum()),
        report.failures.len(),
        number(counts.runs),
        number(counts.calls),
        number(counts.traps),
        number(counts.host_calls),
        counts.compiled,
        number(counts.inlined),
        number(counts.moves),
        number(counts.deoptimizations),
        report.time.as_secs_f64(),
    );
    let kinds: Vec<String> = counts
        .trap_kinds
        .iter()
        .map(|(kind, count)| format!("{kind} {}", number(*count)))
        .collect();
    if !kinds.is_empty() {
        println!("    traps: {}", kinds.join(", "));
    }
    for (reason, count) in &counts.skipped {
        println!("    {} times: {reason}", number(*count));
    }
}

fn command(options: &Options) -> String {
    let mut command = format!("cargo xtask fuzz --modules {}", options.modules);
    if let Some(seconds) = options.seconds {
        command.push_str(&format!(" --seconds {seconds}"));
    }
    if let Some(body) = options.only {
        command.push_str(&format!(" --only {body}"));
    }
    if options.llvm {
        command.push_str(" --llvm");
    }
    if cfg!(feature = "wasmtime") {
        command.push_str(" --wasmtime");
    }
    command
}

fn clock_days() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs() as i64 / 86_400)
}

/// The date of a day counted from the first of January 1970, in the proleptic Gregorian calendar.
fn date(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates() {
        assert_eq!(super::date(0), "1970-01-01");
        assert_eq!(super::date(19_782), "2024-02-29");
        assert_eq!(super::date(20_778), "2026-11-21");
    }
}
