//! The page `docs/performance.md`: what falls short first, then the figures and how they came about.

use std::fmt::Write as _;

use super::compile_page;
use super::costs;
use super::llvm_page;
use super::report::{
    AUTO, Case, Curve, Failure, Figure, Outcome, ProgramRuns, Report, Swap, Tiers, Value,
};
use super::start;
use super::stats;

/// A ratio above this to the best of the others falls short.
const SHORT_OF_BEST: f64 = 1.05;
/// Auto's steady state above this many times tier 1's falls short: there is little left to compile by then.
const SHORT_OF_TIER_1: f64 = 1.2;
/// More processors than this busy with something else between programs disturb.
const BUSY: f64 = 0.2;
/// Runs of one case that differ by more than this make its figure a rough one.
const WIDE: f64 = 1.5;
/// How many of those are named.
const WIDE_SHOWN: usize = 8;

/// A part of the page: a figure, its heading, its picture, and what it is.
pub struct Part {
    pub figure: Figure,
    pub heading: &'static str,
    /// The picture's file in `docs/`, if it has one.
    pub picture: &'static str,
    pub about: &'static str,
}

/// The parts, in the page's order.
pub const PARTS: [Part; 3] = [
    Part {
        figure: Figure::StartUp,
        heading: "Start-up",
        picture: "performance-start-up.svg",
        about: "The time of a program's smallest run, from starting the process to its end.",
    },
    Part {
        figure: Figure::SteadyState,
        heading: "Steady state",
        picture: "performance-steady-state.svg",
        about: "The time that more work takes, without the start: a long run's time less that of the smallest. Programs \
                with a thousand functions are still being compiled then; of these it is the time of a run that is \
                several times as long, less that of the long run. Of tier 1 and of LLVM, which compile each function when it is \
                called first, the time that the program waits for that is left out: other engines have compiled all before.",
    },
    Part {
        figure: Figure::TimeToResult,
        heading: "Time to result",
        picture: "performance-time-to-result.svg",
        about: "The time of the long run, start included. Programs that have one length only are here and not above.",
    },
];

const TIER_1: &str = "upshift-1";

/// Writes the page.
pub fn write(report: &Report) -> String {
    let mut page = String::from("# Performance\n\n");
    page.push_str("`cargo xtask bench` measured all of this and wrote this page; nothing here is typed by hand. ");
    let _ = write!(page, "Measured on {}", report.machine.date);
    for (moment, programs) in report.again() {
        let (date, revision) = (&moment.date, &moment.revision);
        let _ = write!(
            page,
            "; again on {date}, of Upshift {revision}: {}",
            programs.join(", ")
        );
    }
    page.push_str(".\n\n");
    falls_short(&mut page, report);
    overview(&mut page, report);
    for part in &PARTS {
        self::part(&mut page, report, part);
    }
    llvm_page::write(&mut page, report);
    used(
        &mut page,
        report,
        "Memory",
        "The most memory in use at once, in MiB",
        |outcome| Some(outcome.median_peak()? / f64::from(1 << 20)),
    );
    used(
        &mut page,
        report,
        "Processor time",
        "Processor time on all cores together, in milliseconds",
        |outcome| Some(outcome.median_cpu()? * 1e3),
    );
    start::write(&mut page, &report.starts);
    compile_page::write(&mut page, &report.compilers);
    for measured in &report.curves {
        curve_part(&mut page, report, measured);
    }
    if let Some(swap) = &report.swap {
        swap_part(&mut page, swap);
    }
    if let Some(costs) = &report.costs {
        costs::write(&mut page, costs);
    }
    tiers(&mut page, report);
    how(&mut page, report);
    page
}

fn falls_short(page: &mut String, report: &Report) {
    page.push_str("## What falls short\n\n");
    let before = page.len();
    for part in &PARTS {
        slower_than_peers(page, report, part);
    }
    slower_on_curves(page, report);
    more_memory(page, report);
    slower_than_tier_1(page, report);
    late_promotions(page, report);
    compile_page::falls_short(page, &report.compilers);
    llvm_page::falls_short(page, report);
    if let Some(costs) = &report.costs {
        costs::falls_short(page, costs);
    }
    without_figure(page, report, true);
    busy(page, report);
    if page.len() == before {
        page.push_str("Nothing that was measured: Upshift's auto mode was the best everywhere.\n");
    }
    page.push('\n');
}

fn slower_than_peers(page: &mut String, report: &Report, part: &Part) {
    let Some(auto) = report.engine(AUTO) else {
        return;
    };
    let all = report.against_best_peer(part.figure, auto);
    let mut slower: Vec<_> = all.iter().filter(|one| one.ratio > SHORT_OF_BEST).collect();
    if slower.is_empty() {
        return;
    }
    slower.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    let label = |peer: usize| &report.engines[peer].label;
    let list: Vec<String> = slower
        .iter()
        .map(|one| format!("{} {} ({})", one.program, ratio(one.ratio), label(one.peer)))
        .collect();
    let _ = writeln!(
        page,
        "- **{}**: Upshift's auto mode takes longer than the best other engine for {} of {} programs. Times its time: {}.",
        part.heading,
        slower.len(),
        all.len(),
        list.join(", ")
    );
}

/// Our line in a picture of more and more work is to be the lowest everywhere.
fn slower_on_curves(page: &mut String, report: &Report) {
    for curve in &report.curves {
        let slower = curve.points.iter().filter_map(|point| {
            let (times, peer) = report.auto_against_best(&point.case, Outcome::median)?;
            let about = format!("{} {} ({})", point.work, ratio(times), peer.label);
            (times > SHORT_OF_BEST).then_some(about)
        });
        let slower: Vec<String> = slower.collect();
        if !slower.is_empty() {
            let _ = writeln!(
                page,
                "- **{} from a moment to seconds**: Upshift's auto mode is not the quickest with so much work: {}.",
                curve.program,
                slower.join(", ")
            );
        }
    }
}

fn more_memory(page: &mut String, report: &Report) {
    let more = report.programs.iter().filter_map(|program| {
        let case = program.long.as_ref().or(program.short.as_ref())?;
        let (times, peer) = report.auto_against_best(case, Outcome::median_peak)?;
        let about = format!("{} {} ({})", program.name, ratio(times), peer.label);
        (times > SHORT_OF_BEST).then_some((times, about))
    });
    let mut more: Vec<(f64, String)> = more.collect();
    more.sort_by(|a, b| b.0.total_cmp(&a.0));
    if !more.is_empty() {
        let list: Vec<String> = more.into_iter().map(|(_, about)| about).collect();
        let _ = writeln!(
            page,
            "- **Memory**: Upshift's auto mode has more in use than the best other engine in: {}.",
            list.join(", ")
        );
    }
}

fn slower_than_tier_1(page: &mut String, report: &Report) {
    let (Some(auto), Some(tier_1)) = (report.engine(AUTO), report.engine(TIER_1)) else {
        return;
    };
    let ratio_of = |program: &ProgramRuns| {
        let value = |engine| program.value(Figure::SteadyState, engine);
        Some(value(auto)?.median / value(tier_1)?.median)
    };
    let mut slower: Vec<_> = report
        .programs
        .iter()
        .filter_map(|p| Some((p, ratio_of(p)?)))
        .collect();
    slower.retain(|(_, ratio)| *ratio > SHORT_OF_TIER_1);
    slower.sort_by(|a, b| b.1.total_cmp(&a.1));
    if slower.is_empty() {
        return;
    }
    let list: Vec<String> = slower
        .iter()
        .map(|(program, times)| format!("{} {}", program.name, ratio(*times)))
        .collect();
    let _ = writeln!(
        page,
        "- **Auto against tier 1**: in its steady state auto is more than {SHORT_OF_TIER_1} times as slow as tier 1 in {}.",
        list.join(", ")
    );
}

/// A case in an engine.
struct EngineCase<'a> {
    /// The words that say which it is.
    name: String,
    /// Whether the engine is ours.
    own: bool,
    outcome: &'a Outcome,
}

fn cases(report: &Report) -> impl Iterator<Item = EngineCase<'_>> {
    report.programs.iter().flat_map(move |program| {
        let lengths = [
            ("short", &program.short),
            ("long", &program.long),
            ("longer", &program.longer),
        ];
        lengths.into_iter().flat_map(move |(length, case)| {
            let outcomes = case.iter().flat_map(|case| &case.outcomes);
            outcomes
                .zip(&report.engines)
                .map(move |(outcome, engine)| EngineCase {
                    name: format!("{} ({length}) in {}", program.name, engine.label),
                    own: engine.own,
                    outcome,
                })
        })
    })
}

/// Functions that waited for tier 1 code for more than half of a run.
fn late_promotions(page: &mut String, report: &Report) {
    let Some(auto) = report.engine(AUTO) else {
        return;
    };
    let late = |program: &ProgramRuns| {
        let tiers = program.long.as_ref()?.outcomes.get(auto)?.tiers?;
        let waiting = tiers.hot - tiers.promoted;
        (waiting > 0).then(|| format!("{} ({waiting} of {})", program.name, tiers.hot))
    };
    let late: Vec<String> = report.programs.iter().filter_map(late).collect();
    if !late.is_empty() {
        let _ = writeln!(
            page,
            "- **Late promotions**: functions found hot in the first half of the long run that had no tier 1 code at its \
             end: {}.",
            late.join(", ")
        );
    }
}

fn without_figure(page: &mut String, report: &Report, own: bool) {
    for case in cases(report).filter(|case| case.own == own) {
        let why = match &case.outcome.failure {
            None | Some(Failure::Absent) => continue,
            Some(Failure::Broken(how)) => format!("it failed: `{}`", how.replace('`', "'")),
            Some(Failure::Stopped) => format!("it was stopped after {} s", report.limit),
            Some(Failure::Differs) => "it printed something else than most engines".to_owned(),
            Some(Failure::Tier(why)) => format!("not the tier it should be: {why}"),
        };
        let _ = writeln!(page, "- **No figure** for {}: {why}.", case.name);
    }
}

/// What is to be read with care.
fn rough(page: &mut String, report: &Report) {
    let good = || cases(report).filter(|case| case.outcome.failure.is_none());
    let single = good().filter(|case| (1..report.runs).contains(&case.outcome.seconds.len()));
    let single: Vec<String> = single.map(|case| case.name).collect();
    if !single.is_empty() {
        let _ = writeln!(
            page,
            "- **One run only**, because it takes long: {}.",
            single.join(", ")
        );
    }
    let spread = |case: EngineCase| {
        let (least, most) = stats::spread(&case.outcome.seconds);
        (most > WIDE * least).then(|| (most / least, case.name))
    };
    let mut wide: Vec<(f64, String)> = good().filter_map(spread).collect();
    wide.sort_by(|a, b| b.0.total_cmp(&a.0));
    if !wide.is_empty() {
        let list = wide.iter().take(WIDE_SHOWN);
        let list: Vec<String> = list
            .map(|(times, name)| format!("{name} {}", ratio(*times)))
            .collect();
        let _ = writeln!(
            page,
            "- **Rough figures**: of {} in {} the slowest run took more than {WIDE} times the fastest. The widest: {}.",
            wide.len(),
            good().count(),
            list.join(", ")
        );
    }
}

fn busy(page: &mut String, report: &Report) {
    if report.machine.busy > BUSY {
        let _ = writeln!(
            page,
            "- **The machine was not idle**: between programs up to {:.1} of {} processors were busy with something else.",
            report.machine.busy,
            report.machine.processors.len()
        );
    }
}

fn overview(page: &mut String, report: &Report) {
    page.push_str("## Overview\n\n");
    page.push_str("Times the best other engine's time, the geometric mean over the programs; below 1 is better than all \
                   others. Of how many programs is in parentheses: means of different programs do not compare.\n\n");
    page.push_str("| |");
    for part in &PARTS {
        let _ = write!(page, " {} |", part.heading.to_lowercase());
    }
    page.push_str("\n|---|");
    page.push_str(&"---:|".repeat(PARTS.len()));
    page.push('\n');
    for (index, engine) in report.engines.iter().enumerate() {
        let _ = write!(page, "| {} |", emphasized(&engine.label, engine.id == AUTO));
        for part in &PARTS {
            let ratios: Vec<f64> = report
                .against_best_peer(part.figure, index)
                .iter()
                .map(|one| one.ratio)
                .collect();
            let _ = match stats::geometric_mean(&ratios) {
                Some(mean) => write!(
                    page,
                    " {} ({}) |",
                    emphasized(&ratio(mean), engine.id == AUTO),
                    ratios.len()
                ),
                None => write!(page, " |"),
            };
        }
        page.push('\n');
    }
    page.push('\n');
}

fn part(page: &mut String, report: &Report, part: &Part) {
    let rows: Vec<_> = report
        .programs
        .iter()
        .filter_map(|p| Some((p, p.best_peer(part.figure, &report.engines)?.1)))
        .collect();
    if rows.is_empty() {
        return;
    }
    let shown: Vec<usize> = (0..report.engines.len())
        .filter(|&engine| {
            rows.iter()
                .any(|(program, _)| program.value(part.figure, engine).is_some())
        })
        .collect();
    let _ = writeln!(page, "## {}\n\n{}\n", part.heading, part.about);
    let _ = writeln!(
        page,
        "![{}: times the best other engine's time]({})\n",
        part.heading, part.picture
    );
    page.push_str("Milliseconds, the median; below it the fastest and the slowest run, and how many times the best other \
                   engine's time it is. The best of a row is bold.\n\n");
    page.push_str("| |");
    for &engine in &shown {
        let _ = write!(page, " {} |", report.engines[engine].label);
    }
    page.push_str("\n|---|");
    page.push_str(&"---:|".repeat(shown.len()));
    page.push('\n');
    for (program, best_peer) in rows {
        let _ = write!(page, "| {}<br>{} |", program.name, program.about);
        let values: Vec<Option<Value>> = shown
            .iter()
            .map(|&engine| program.value(part.figure, engine))
            .collect();
        let best = values
            .iter()
            .flatten()
            .map(|value| value.median)
            .fold(f64::INFINITY, f64::min);
        for value in values {
            page.push_str(&cell(value, best_peer.median, best));
        }
        page.push('\n');
    }
    page.push('\n');
}

fn cell(value: Option<Value>, best_peer: f64, best: f64) -> String {
    let Some(value) = value else {
        return " – |".to_owned();
    };
    let median = emphasized(&milliseconds(value.median), value.median <= best);
    let spread = match value.runs {
        1 => "one run".to_owned(),
        _ => format!("{}–{}", milliseconds(value.least), milliseconds(value.most)),
    };
    format!(
        " {median}<br>{spread}<br>×{} |",
        ratio(value.median / best_peer)
    )
}

fn emphasized(text: &str, emphasis: bool) -> String {
    if emphasis {
        format!("**{text}**")
    } else {
        text.to_owned()
    }
}

/// Three significant digits, or all before the point.
fn milliseconds(seconds: f64) -> String {
    digits(seconds * 1e3)
}

fn ratio(times: f64) -> String {
    format!("{times:.*}", if times < 9.95 { 2 } else { 0 })
}

fn digits(value: f64) -> String {
    let after_point = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.after_point$}")
}

/// What the long runs used of something, and the short one of a program that has no other.
fn used(
    page: &mut String,
    report: &Report,
    heading: &str,
    about: &str,
    of: impl Fn(&Outcome) -> Option<f64>,
) {
    let _ = writeln!(
        page,
        "## {heading}\n\n{about}, of the long run where there is one; medians. The least of a row is bold.\n"
    );
    page.push_str("| |");
    for engine in &report.engines {
        let _ = write!(page, " {} |", engine.label);
    }
    page.push_str("\n|---|");
    page.push_str(&"---:|".repeat(report.engines.len()));
    page.push('\n');
    for program in &report.programs {
        let Some(case) = program.long.as_ref().or(program.short.as_ref()) else {
            continue;
        };
        let values: Vec<Option<f64>> = case.outcomes.iter().map(&of).collect();
        row(page, &program.name, &values);
    }
    page.push('\n');
}

/// A row of figures, the least of them bold.
fn row(page: &mut String, name: &str, values: &[Option<f64>]) {
    let least = values
        .iter()
        .flatten()
        .copied()
        .fold(f64::INFINITY, f64::min);
    let _ = write!(page, "| {name} |");
    for value in values {
        let _ = match value {
            Some(value) => write!(page, " {} |", emphasized(&digits(*value), *value <= least)),
            None => write!(page, " – |"),
        };
    }
    page.push('\n');
}

/// The picture's file in `docs/`.
pub fn curve_picture(curve: &Curve) -> String {
    format!("performance-curve-{}.svg", curve.program)
}

/// A program with more and more work: a row an amount.
fn curve_part(page: &mut String, report: &Report, curve: &Curve) {
    let _ = writeln!(
        page,
        "## From a moment to seconds: {}\n\n\
         The same program ({}) with more and more work, the whole process, in milliseconds, medians of three runs; what takes \
         longer than a second ran once. The best of a row is bold; what takes longer than {} s, or would by what less work took, is left out.\n\n\
         ![{}: time to result against the amount of work]({})\n",
        curve.program,
        curve.about,
        report.limit,
        curve.program,
        curve_picture(curve)
    );
    page.push_str("| work |");
    for engine in &report.engines {
        let _ = write!(page, " {} |", engine.label);
    }
    page.push_str("\n|---:|");
    page.push_str(&"---:|".repeat(report.engines.len()));
    page.push('\n');
    for point in &curve.points {
        let median = |outcome: &Outcome| Some(outcome.median()? * 1e3);
        let values: Vec<Option<f64>> = point.case.outcomes.iter().map(median).collect();
        row(page, &point.work.to_string(), &values);
    }
    page.push('\n');
}

fn swap_part(page: &mut String, swap: &Swap) {
    page.push_str("## What a swap costs callers\n\n");
    let _ = writeln!(
        page,
        "A loop calls a function that does one operation. When the function has been promoted while the loop's code stayed \
         as it was, a call takes {:+.3} ns more than of a function that was published once. A call through the entry slot, \
         which is what makes a swap one store, takes {:+.3} ns more than a direct call, which nothing could be swapped \
         behind. Both are medians of differences within a round; {} rounds of {} calls in each of {} engines.\n",
        swap.swap_ns, swap.slot_ns, swap.rounds, swap.calls, swap.engines
    );
    page.push_str("| call | ns, median | 5 % to 95 % of the rounds |\n|---|---:|---:|\n");
    for variant in &swap.variants {
        let about = match variant.name.as_str() {
            "direct" => "direct, of a copy of the callee in the caller's own block",
            "never swapped" => "through the entry slot, callee published once, in tier 1",
            "before the swap" => "through the entry slot, callee in tier 0",
            "after the swap" => "through the entry slot, callee promoted from tier 0 to 1",
            "jump stub" => "through a stub that jumps through the entry slot (not used)",
            "Rust" => "the same loop in Rust, direct call",
            other => other,
        };
        let _ = writeln!(
            page,
            "| {about} | {:.2} | {:.2}–{:.2} |",
            variant.median_ns, variant.p5_ns, variant.p95_ns
        );
    }
    page.push('\n');
}

/// What the check runs saw: how much was compiled in which tier.
fn tiers(page: &mut String, report: &Report) {
    let Some(auto) = report.engine(AUTO) else {
        return;
    };
    page.push_str(
        "## Tiers\n\nBefore a figure counts, a run that is not timed writes its events (`upshift run --trace tier`). With a \
         fixed tier all code must be of that tier; in auto, at least half of the functions found hot in the first half of \
         the run must have tier 1 code by its end. In auto:\n\n\
         | | run | published in tier 0 | in tier 1 | found hot early | of these in tier 1 |\n\
         |---|---|---:|---:|---:|---:|\n",
    );
    for program in &report.programs {
        let lengths = [
            ("short", &program.short),
            ("long", &program.long),
            ("longer", &program.longer),
        ];
        for (length, case) in lengths {
            let tiers = case
                .as_ref()
                .and_then(|case| case.outcomes.get(auto)?.tiers);
            let Some(tiers) = tiers else { continue };
            let Tiers {
                published,
                hot,
                promoted,
            } = tiers;
            let _ = writeln!(
                page,
                "| {} | {length} | {} | {} | {hot} | {promoted} |",
                program.name, published[0], published[1]
            );
        }
    }
    page.push('\n');
}

fn how(page: &mut String, report: &Report) {
    let machine = &report.machine;
    page.push_str("## How\n\n");
    for (index, processor) in machine.processors.iter().enumerate() {
        let _ = writeln!(page, "- Processor {index}: {processor}");
    }
    let _ = writeln!(
        page,
        "- Memory: {:.0} GiB; Linux {}",
        machine.memory_gib, machine.kernel
    );
    let _ = writeln!(
        page,
        "- Upshift {}, built by {}",
        machine.revision, machine.rustc
    );
    let _ = writeln!(
        page,
        "- Each program is a process of its own. {} rounds; in each round every engine has its turn, each round begins with \
         another engine and every other round goes backwards. Nothing is cached between processes but by the operating \
         system.",
        report.runs
    );
    page.push_str(
        "- Output and exit code were the same in every engine that has a figure, in every run.\n",
    );
    page.push_str("- wasmi is an interpreter and takes part in the short runs only.\n");
    page.push_str("- Files that programs write are in memory.\n");
    rough(page, report);
    without_figure(page, report, false);
    page.push('\n');
    page.push_str("| engine | version | command |\n|---|---|---|\n");
    for engine in &report.engines {
        let _ = writeln!(
            page,
            "| {} | {} | `{} …` |",
            engine.label, engine.version, engine.command
        );
    }
    page.push_str(
        "\n`peer` is the program in `benches/peers/`. What follows the engine's command:\n\n",
    );
    page.push_str("| program | short run | long run | longer |\n|---|---|---|---|\n");
    for program in &report.programs {
        let command = |case: &Option<Case>| {
            case.as_ref().map_or("–".to_owned(), |case| {
                format!("<code>{}</code>", case.command)
            })
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            program.name,
            command(&program.short),
            command(&program.long),
            command(&program.longer)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_mean_something() {
        assert_eq!(milliseconds(0.001234), "1.23");
        assert_eq!(milliseconds(0.0123), "12.3");
        assert_eq!(milliseconds(1.2345), "1234");
        assert_eq!(ratio(1.234), "1.23");
        assert_eq!(ratio(34.4), "34");
    }
}
