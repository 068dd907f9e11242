//! What the runtime itself costs: `cargo bench -p upshift-wasm --bench costs`, its part of the page and its pictures.

use std::fmt::Write as _;
use std::path::Path;

use super::histogram::Histogram;
use super::report::{Compared, Costs, Latencies, Stall};
use crate::{llvm, shell};
use anyhow::{Context as _, Result};

/// The modules whose functions are compiled one by one, as far as they are there.
const MODULES: [&str; 3] = [
    "corpus/lua/lua.wasm",
    "corpus/sqlite/sqlite.wasm",
    "corpus/zstd-wasm/package/dist/esm/zstd.wasm",
];
/// The pictures' files in `docs/`.
const PICTURE: &str = "performance-compile-latency.svg";
const STALLS_PICTURE: &str = "performance-stalls.svg";
/// What the benchmark calls the calls among which stalls are looked for.
const LATER_CALLS: &str = "later calls";
/// Bars of a histogram.
const BUCKETS: usize = 24;
/// No stall is to be longer, in nanoseconds.
const STALL_MAX: f64 = 1e6;
/// A share of a core above this is more than idle workers may take.
const IDLE_SHARE_MAX: f64 = 0.001;
/// Bytes that a function which is never called may take.
const IDLE_FUNCTION_BYTES_MAX: f64 = 48.0;
/// A cost per function that differs by more than this between the fewest and the most is not flat.
const FLAT: f64 = 1.5;

/// Runs the benchmark, with the LLVM tier if that can be had.
pub fn measure(root: &Path) -> Result<Costs> {
    let llvm = llvm::server()?;
    shell::step("cargo bench -p upshift-wasm --bench costs");
    let arguments = [
        "bench",
        "--quiet",
        "-p",
        "upshift-wasm",
        "--bench",
        "costs",
        "--",
        "--json",
    ];
    let mut command = shell::cargo(root);
    command.args(arguments);
    command.args(llvm.map(|server| format!("--llvm={}", server.display())));
    // Where the benchmark runs is cargo's choice, so the paths are absolute.
    let modules = MODULES.iter().map(|module| root.join(module));
    command.args(modules.filter(|module| module.exists()));
    let printed = shell::output(&mut command)?;
    let line = printed.lines().last().unwrap_or_default();
    serde_json::from_str(line).context("the benchmark of costs printed something unexpected")
}

/// What falls short of a goal.
pub fn falls_short(page: &mut String, costs: &Costs) {
    if costs.idle_function_bytes > IDLE_FUNCTION_BYTES_MAX {
        let _ = writeln!(
            page,
            "- **Memory of a function that is never called**: {:.0} bytes; the goal is {IDLE_FUNCTION_BYTES_MAX:.0}.",
            costs.idle_function_bytes
        );
    }
    if costs.idle_share > IDLE_SHARE_MAX {
        let _ = writeln!(
            page,
            "- **Idle workers** take {:.2} % of a core; the goal is {:.1} %.",
            costs.idle_share * 100.0,
            IDLE_SHARE_MAX * 100.0
        );
    }
    for s in costs.stalls.iter().filter(|s| s.longest_ns > STALL_MAX) {
        let _ = writeln!(
            page,
            "- **Longest stall**, {}, {}: {} µs; the goal is {}.",
            s.what,
            s.way,
            micros(s.longest_ns),
            micros(STALL_MAX)
        );
    }
    for (what, times) in growth(costs) {
        if times > FLAT {
            let _ = writeln!(
                page,
                "- **Scaling**: {what} costs {times:.2} times as much at the worst as at the best."
            );
        }
    }
}

/// How many times as much a function costs at the worst as at the best.
fn growth(costs: &Costs) -> [(&'static str, f64); 3] {
    // A module of ten functions has costs of its own.
    let many = || {
        costs
            .scaling
            .iter()
            .filter(|scaling| scaling.functions >= 1000)
    };
    let times = |values: Vec<f64>| {
        let (least, most) = super::stats::spread(&values);
        most / least
    };
    [
        (
            "to define a function",
            times(many().map(|s| s.define_ns).collect()),
        ),
        (
            "to compile a function",
            times(many().map(|s| s.compile_ns).collect()),
        ),
        (
            "to compile a function, by more threads, in processor time,",
            times(costs.threads.iter().map(|t| t.processor_ns).collect()),
        ),
    ]
}

/// Writes the part of the page.
pub fn write(page: &mut String, costs: &Costs) {
    page.push_str("## What the runtime itself costs\n\n");
    page.push_str(
        "`cargo bench -p upshift-wasm --bench costs`, which makes sure of the tier of all code that it measures.\n\n",
    );
    latencies(page, &costs.latencies);
    stalls(page, &costs.stalls);
    page.push_str(
        "**Counters.** Tier 1's code with counters, because there is a tier above it, and without: the best of 25 turns, \
         nanoseconds an iteration of a loop that calls a function, and of one that does not.\n\n",
    );
    compared(page, &costs.counters);
    page.push_str(
        "\n**Guards.** A call through a table that has always led to the same function: tier 1's code has that inlined, behind \
         a guard that never fails. Without a guard is the same call by the function's name.\n\n",
    );
    compared(page, &costs.guards);
    let _ = writeln!(
        page,
        "\n**Idle.** Workers with nothing to do take {:.4} % of a core. A function that is never called takes {:.0} bytes \
         beside the module's own bytes, the difference between modules of 10,000 and 210,000 functions.\n",
        costs.idle_share * 100.0,
        costs.idle_function_bytes
    );
    scaling(page, costs);
}

fn latencies(page: &mut String, latencies: &[Latencies]) {
    if latencies.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "**Compile latency.** Every function of a module, one after the other on one thread, from the request to its code \
         being published, in microseconds.\n\n![How many functions take how long to compile]({PICTURE})\n"
    );
    page.push_str(
        "| module | tier | functions | median | 99 % | longest |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for l in latencies {
        let [median, p99, longest] = [l.median_ns, l.p99_ns, l.longest_ns].map(micros);
        let _ = writeln!(
            page,
            "| {} | {} | {} | {median} | {p99} | {longest} |",
            l.module, l.tier, l.functions
        );
    }
    page.push('\n');
}

fn compared(page: &mut String, kernels: &[Compared]) {
    page.push_str("| kernel | without | with | times |\n|---|---:|---:|---:|\n");
    for kernel in kernels {
        let (without, with) = (kernel.without_ns, kernel.with_ns);
        let _ = writeln!(
            page,
            "| {} | {without:.2} | {with:.2} | {:.2} |",
            kernel.kernel,
            with / without
        );
    }
}

fn stalls(page: &mut String, stalls: &[Stall]) {
    page.push_str(
        "**Longest stall.** 3,000 functions of different sizes are called in turn, 1,500 times each; and a loop is watched \
         that begins in tier 0. The longest that the program's thread was in one call, or between two iterations, in its own \
         processor time, in microseconds. With tier 0 alone nothing but first calls makes code, so its later calls show what \
         the machine itself adds.\n\n",
    );
    if stalls.iter().any(|s| !s.up_to_power_of_two_us.is_empty()) {
        let _ = writeln!(page, "![How many calls take how long]({STALLS_PICTURE})\n");
    }
    page.push_str("| | tiers | promoted or moved | longest |\n|---|---|---:|---:|\n");
    for s in stalls {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            s.what,
            s.way,
            s.promoted,
            micros(s.longest_ns)
        );
    }
    page.push('\n');
}

fn scaling(page: &mut String, costs: &Costs) {
    page.push_str(
        "**Scaling.** Modules of more and more functions, each of 50 operations: what one of them costs, in nanoseconds of the \
         thread's processor time, and in bytes.\n\n\
         | functions | define | compile in tier 0 | code bytes | memory, all included |\n|---:|---:|---:|---:|---:|\n",
    );
    for s in &costs.scaling {
        let _ = writeln!(
            page,
            "| {} | {:.0} | {:.0} | {} | {} |",
            s.functions, s.define_ns, s.compile_ns, s.code_bytes, s.resident_bytes
        );
    }
    page.push_str(
        "\nAnd threads that compile the 16,000 functions of one module between them: nanoseconds a function by the clock, and \
         of processor time on all cores.\n\n| threads | clock | processor time |\n|---:|---:|---:|\n",
    );
    for t in &costs.threads {
        let _ = writeln!(
            page,
            "| {} | {:.0} | {:.0} |",
            t.threads, t.clock_ns, t.processor_ns
        );
    }
    page.push('\n');
}

/// Microseconds, of nanoseconds.
fn micros(ns: f64) -> String {
    let micros = ns / 1e3;
    format!("{micros:.*}", if micros < 10.0 { 1 } else { 0 })
}

/// The pictures of what was measured at that date: files in `docs/` and what they are to contain.
pub fn draw(costs: &Costs, date: &str) -> Vec<(&'static str, String)> {
    let tier = |tier: usize| {
        let mut counts = vec![0; BUCKETS];
        for l in costs.latencies.iter().filter(|l| l.tier == tier) {
            let here = counts.iter_mut().zip(&l.up_to_power_of_two_us);
            here.for_each(|(sum, count)| *sum += count);
        }
        (format!("tier {tier}"), counts)
    };
    let latencies = Histogram {
        title: "Compile latency of functions",
        subtitle: &format!("Every function of Lua, SQLite and zstd, one thread. {date}"),
        what: "functions",
        is_logarithmic: false,
        series: vec![tier(0), tier(1)],
    };
    let later = costs.stalls.iter().filter(|s| s.what == LATER_CALLS);
    let stalls = Histogram {
        title: "How long calls take while better code is made and swapped in",
        subtitle: &format!(
            "3,000 functions, 1,500 calls of each, the thread's own processor time. {date}"
        ),
        what: "calls",
        is_logarithmic: true,
        series: later
            .map(|s| (s.way.clone(), s.up_to_power_of_two_us.clone()))
            .collect(),
    };
    let pictures = [(PICTURE, latencies), (STALLS_PICTURE, stalls)];
    let drawn = pictures
        .iter()
        .map(|(file, picture)| Some((*file, picture.draw()?)));
    drawn.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        let line = r#"{"latencies":[{"module":"m","tier":0,"functions":3,"median_ns":1500.0,"p99_ns":2000.0,
            "longest_ns":90000.0,"up_to_power_of_two_us":[0,2,1]}],
            "stalls":[{"way":"auto","what":"first calls","promoted":3,"longest_ns":12000.0}],
            "counters":[{"kernel":"loop","without_ns":1.0,"with_ns":1.5}],
            "guards":[{"kernel":"a call","without_ns":2.0,"with_ns":2.5}],
            "scaling":[{"functions":1000,"define_ns":10.0,"compile_ns":900.0,"code_bytes":100,"resident_bytes":500},
            {"functions":100000,"define_ns":20.0,"compile_ns":910.0,"code_bytes":100,"resident_bytes":500}],
            "threads":[{"threads":1,"clock_ns":900.0,"processor_ns":900.0}],
            "idle_share":0.0001,"idle_function_bytes":60.0}"#;
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn what_is_printed_becomes_a_part_of_the_page() {
        let mut page = String::new();
        write(&mut page, &costs());
        assert!(page.contains("| m | 0 | 3 | 1.5 | 2.0 | 90 |"), "{page}");
        assert!(page.contains("| loop | 1.00 | 1.50 | 1.50 |"), "{page}");
        assert!(page.contains("| a call | 2.00 | 2.50 | 1.25 |"), "{page}");
    }

    #[test]
    fn goals_that_are_missed_are_told() {
        let mut page = String::new();
        falls_short(&mut page, &costs());
        assert!(
            page.contains("60 bytes") && page.contains("to define a function costs 2.00"),
            "{page}"
        );
        assert!(!page.contains("Idle workers"), "{page}");
    }

    #[test]
    fn each_picture_shows_what_is_there() {
        let mut costs = costs();
        let files = |costs: &Costs| {
            draw(costs, "today")
                .into_iter()
                .map(|(file, _)| file)
                .collect::<Vec<_>>()
        };
        assert_eq!(files(&costs), [PICTURE]);
        costs.stalls[0].what = LATER_CALLS.to_owned();
        costs.stalls[0].up_to_power_of_two_us = vec![1000, 0, 3];
        assert_eq!(files(&costs), [PICTURE, STALLS_PICTURE]);
    }
}
