//! The page docs/fuzzing.md, written from what was measured.

use crate::body::Body;
use crate::supervise::Report;
use std::fmt::Write;
use std::time::Duration;

/// What a run was, for its page.
#[derive(Clone, Debug)]
pub struct Run {
    /// The command line, as a person types it.
    pub command: String,
    /// The seed.
    pub seed: u64,
    /// The date.
    pub date: String,
    /// What each body gave.
    pub reports: Vec<(Body, Report)>,
}

/// The processor and the system.
fn machine() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    format!(
        "{processor}, {cores} cores, {} {}",
        std::env::consts::OS,
        kernel.trim()
    )
}

fn what(body: Body) -> &'static str {
    match body {
        Body::Smith if cfg!(feature = "wasmtime") => {
            "modules from `wasm-smith`, against wasmi and against wasmtime"
        }
        Body::Smith => "modules from `wasm-smith`, against wasmi",
        Body::Own if cfg!(feature = "wasmtime") => {
            "modules from the project's own generator, against wasmi and against wasmtime"
        }
        Body::Own => "modules from the project's own generator, against wasmi",
        Body::Clif => "CLIF functions, against `cranelift-interpreter`",
        Body::Malformed => {
            "malformed modules, text, scripts, CLIF and messages of compile servers: an error or a run, never a panic, crash or hang"
        }
    }
}

/// A number with its thousands apart.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn seconds(time: Duration) -> String {
    number(time.as_secs())
}

/// The page.
pub fn page(run: &Run) -> String {
    let mut page = String::new();
    let failures: usize = run
        .reports
        .iter()
        .map(|(_, report)| report.failures.len())
        .sum();
    let cases: u64 = run
        .reports
        .iter()
        .map(|(_, report)| report.counts.cases)
        .sum();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, run, cases, failures);
    page
}

fn write_page(page: &mut String, run: &Run, cases: u64, failures: usize) -> std::fmt::Result {
    writeln!(page, "# Fuzzing\n")?;
    writeln!(
        page,
        "Written by `cargo xtask fuzz` from what it measured; not edited by hand.\n"
    )?;
    writeln!(
        page,
        "**{} cases, {} mismatches.**\n",
        number(cases),
        number(failures as u64)
    )?;
    writeln!(page, "- machine: {}", machine())?;
    writeln!(
        page,
        "- versions: upshift {}, wasmi 2.0 (second opinion: 1.1){}, wasm-smith 0.263, cranelift-interpreter 0.135.8",
        env!("CARGO_PKG_VERSION"),
        if cfg!(feature = "wasmtime") {
            ", wasmtime 48.0.8"
        } else {
            ""
        }
    )?;
    writeln!(page, "- date: {}", run.date)?;
    writeln!(page, "- command: `{}` (seed {})\n", run.command, run.seed)?;
    write_table(page, run)?;
    writeln!(page, "\nThe bodies:\n")?;
    for (body, _) in &run.reports {
        writeln!(page, "- **{body}**: {}", what(*body))?;
    }
    let skipped: Vec<String> = run
        .reports
        .iter()
        .flat_map(|(body, report)| {
            let reasons = report.counts.skipped.iter();
            reasons.map(move |(reason, count)| format!("- {body}: {reason}: {}", number(*count)))
        })
        .collect();
    if !skipped.is_empty() {
        writeln!(
            page,
            "\nWhy there was nothing to compare:\n\n{}",
            skipped.join("\n")
        )?;
    }
    page.push_str(METHOD);
    Ok(())
}

fn write_table(page: &mut String, run: &Run) -> std::fmt::Result {
    writeln!(
        page,
        "| body | cases | agreed | nothing to compare | mismatches | runs | calls compared | of them traps | host calls | compiled in tier 0, 1, 2 | calls inlined | moves in loops | back to tier 0 | seconds |"
    )?;
    writeln!(
        page,
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for (body, report) in &run.reports {
        let counts = &report.counts;
        writeln!(
            page,
            "| {body} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            number(counts.cases),
            number(counts.agreed),
            number(counts.skipped.values().sum()),
            number(counts.mismatches),
            number(counts.runs),
            number(counts.calls),
            number(counts.traps),
            number(counts.host_calls),
            counts.compiled.map(number).join(" / "),
            number(counts.inlined),
            number(counts.moves),
            number(counts.deoptimizations),
            seconds(report.time),
        )?;
    }
    Ok(())
}

const METHOD: &str = "
## How it works

A case is made from a seed and a number, and from nothing else. A module is run in the other engine once and in Upshift
twice: in one tier alone, and with a random schedule (thresholds, compilation on the thread or in the background, two or
three tiers, promotions asked for between two calls; in one case of three activations move at random loop headers and calls
change tiers, in one of three guards fail at random and activations go back to tier 0). All exports are called again and again on one instance, those after
a trap too. Compared are the results of every call, bit for bit (both sides produce canonical NaNs), the kinds of traps,
the memories, globals and tables at the end, and the order and arguments of host calls, some of which fail or call back
into the program. Where the stack ends is the engine's own affair: after the first overflow, which both must have in the
same call, nothing more is compared.

wasmi 2.0 is young. It aborts at some stores of narrow vector lanes and reads memory that is not its own at tail calls of
imported functions, so modules with these are left out, and it takes a wrong branch at times. When it differs from Upshift, wasmi 1.1, which works in another way, is asked too: if that agrees with
Upshift wherever the newer one did not, the case counts as having nothing to compare, and is in the list above. (Version 1.1
cannot be the first to be asked, because its NaNs are not canonical.) With `cargo xtask fuzz --wasmtime`, every case is also
compared with wasmtime, and those that wasmi cannot run with wasmtime alone.

What fails is written to the folder `failures` in `fuzz/` and made smaller. `cargo xtask fuzz --replay FILE` runs it again;
`cargo xtask fuzz --minimise FILE` makes it smaller still: schedules, calls and code that do not matter go, and of a stress
test as many transitions stay as it takes, so that the last of them is the one to look at. What once showed a fault, ours or another engine's, is tested by
the scripts in `filetests/regress/`.

The same bodies are targets for libFuzzer, which learns which choices lead further: `cargo xtask fuzz --libfuzzer 600`
builds them, with stable Rust and a C++ compiler, and runs each for so long. They are a package of their own,
which nothing else builds.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(number(7), "7");
        assert_eq!(number(1234), "1,234");
        assert_eq!(number(123_456_789), "123,456,789");
    }
}
