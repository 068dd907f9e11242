//! `--stats`: where the time went and what each tier did.

use crate::input::LoadTimes;
use crate::report::format::{bytes, count, counted, duration, megabytes_per_second};
use crate::report::jobs::Jobs;
use crate::report::table::{Align, Table};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use upshift::{DurationCounts, Engine, Event, EventKind, HotFunction, Subscriber};

/// Hot functions that are shown.
const HOT_MAX: usize = 10;
/// The first of the numbers of durations that are a millisecond or more.
const MILLISECOND: usize = 11;
/// Characters of a function's name that are shown.
const NAME_CHARS_MAX: usize = 60;

/// Adds up which thread compiled how much, and what compile servers did.
#[derive(Default)]
pub struct Tally {
    sums: Mutex<Sums>,
}

/// What the program's own threads compiled, and the others.
#[derive(Clone, Default)]
pub struct Sums {
    pub program: Duration,
    pub program_count: u64,
    pub background: Duration,
    pub background_count: u64,
    pub queued: Duration,
    pub jobs: Jobs,
}

impl Tally {
    pub fn sums(&self) -> Sums {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Tally {
    fn event(&self, event: &Event) {
        let EventKind::Compiled(c) = &event.kind else {
            return self.lock().jobs.book(&event.kind);
        };
        let mut sums = self.lock();
        if c.on_program_thread {
            sums.program += c.duration;
            sums.program_count += 1;
        } else {
            sums.background += c.duration;
            sums.background_count += 1;
            sums.queued += c.queued;
        }
    }
}

/// All that the report is made of besides the engine's own numbers.
pub struct RunTimes {
    pub module_bytes: u64,
    /// How many functions were validated when they were first called, if validation was put off, and of how many.
    pub validated: Option<(u32, u32)>,
    pub load: LoadTimes,
    pub instantiate: Duration,
    pub run: Duration,
    pub wasi: Duration,
    pub wasi_calls: u64,
    pub compiled: Sums,
}

/// The report on a run.
pub fn describe(program: &str, engine: &Engine, times: &RunTimes) -> String {
    let mut text = format!("\nstatistics of {program}\n\n");
    text.push_str(&phases(times));
    text.push('\n');
    text.push_str(&tiers(engine));
    text.push('\n');
    text.push_str(&totals(engine));
    text.push_str(&times.compiled.jobs.clone().describe());
    let hot = engine.hot_functions();
    if !hot.is_empty() {
        text.push('\n');
        text.push_str(&hot_functions(&hot));
    }
    text
}

fn phases(times: &RunTimes) -> String {
    let size = times.module_bytes;
    let rate = |time| match megabytes_per_second(size, time) {
        Some(rate) if size >= 100_000 => format!("{rate:.0} MB/s"),
        _ => String::new(),
    };
    let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
    table.row(["phase", "time", ""]);
    table.row(["read", &duration(times.load.read), &bytes(size)]);
    if !times.load.parse_text.is_zero() {
        table.row(["parse text", &duration(times.load.parse_text)]);
    }
    table.row([
        "decode",
        &duration(times.load.decode),
        &rate(times.load.decode),
    ]);
    match times.validated {
        Some((validated, all)) => {
            let note = format!(
                "put off: {} of {} so far, each before it was compiled",
                counted(u64::from(validated), "function"),
                count(all.into())
            );
            table.row(["validate", "", &note]);
        }
        None => table.row([
            "validate",
            &duration(times.load.validate),
            &rate(times.load.validate),
        ]),
    };
    table.row(["instantiate", &duration(times.instantiate)]);
    table.row(["run", &duration(times.run), "of which"]);
    let compiled = &times.compiled;
    let on_program = format!(
        "{} on the program's own thread",
        counted(compiled.program_count, "function")
    );
    table.row(["  compiling", &duration(compiled.program), &on_program]);
    table.row([
        "  WASI",
        &duration(times.wasi),
        &counted(times.wasi_calls, "call"),
    ]);
    if compiled.background_count > 0 {
        let mean = compiled.queued / u32::try_from(compiled.background_count).unwrap_or(u32::MAX);
        let note = format!(
            "{} in the background meanwhile, after waiting {} on average",
            counted(compiled.background_count, "function"),
            duration(mean)
        );
        table.row(["compile", &duration(compiled.background), &note]);
    }
    table.render("  ")
}

fn tiers(engine: &Engine) -> String {
    let statistics = engine.profile_statistics();
    let right = [Align::Right; 6];
    let mut table = Table::new([Align::Left].into_iter().chain(right).chain([Align::Left]));
    table.row([
        "tier",
        "functions",
        "compilations",
        "fallbacks",
        "code",
        "compile time",
        "longest",
        "compiler",
    ]);
    for (description, tier) in engine.tiers().iter().zip(&statistics.tiers) {
        let name = description.tier.to_string();
        if description.compilers.is_empty() {
            table.row([&name, "-", "-", "-", "-", "-", "-", "off"]);
            continue;
        }
        table.row([
            &name,
            &count(tier.functions),
            &count(tier.compilations),
            &count(tier.failures),
            &bytes(tier.code_bytes),
            &duration(tier.compile_time),
            &duration(tier.longest_compilation),
            &description.compilers.join(", "),
        ]);
    }
    table.render("  ")
}

fn totals(engine: &Engine) -> String {
    let statistics = engine.profile_statistics();
    let usage = engine.code_memory_usage();
    let mut table = Table::new([Align::Left, Align::Left]);
    let hot = match engine
        .tiers()
        .iter()
        .filter(|tier| !tier.compilers.is_empty())
        .count()
    {
        // With one tier nothing is counted.
        0 | 1 => String::new(),
        _ => format!(
            ", {} hot ({} calls or more)",
            count(statistics.hot_functions),
            count(engine.thresholds().optimizing.into())
        ),
    };
    table.row([
        "functions",
        &format!(
            "{} defined, {} called{hot}",
            count(statistics.total_functions),
            count(statistics.compiled_functions)
        ),
    ]);
    if !hot.is_empty() {
        let loops = counted(statistics.loop_iterations, "loop iteration");
        let calls = counted(statistics.executions, "call");
        table.row([
            "counted",
            &format!("{calls}, {loops}, until each function reached its last tier"),
        ]);
    }
    if statistics.discarded + statistics.queued > 0 {
        let queued = count(statistics.queued);
        let late = counted(statistics.discarded, "compilation");
        table.row([
            "left over",
            &format!("{queued} requests waiting, {late} came too late"),
        ]);
    }
    if let Some(visits) = visits(&statistics.visits) {
        table.row(["interruptions", &visits]);
    }
    let used = format!(
        "{} of {} used, {} resident",
        bytes(usage.code_used_bytes as u64),
        bytes(usage.code_capacity_bytes as u64),
        bytes(usage.executable_resident_bytes as u64)
    );
    table.row(["code memory", &used]);
    table.render("  ")
}

/// How long the program waited for the runtime because of counters.
fn visits(counts: &DurationCounts) -> Option<String> {
    let all: u64 = counts.iter().sum();
    let limit = |index: usize| duration(Duration::from_micros(1 << index));
    let longest = counts.iter().rposition(|count| *count > 0)?;
    let mut below = 0;
    let half = counts.iter().position(|count| {
        below += count;
        2 * below >= all
    })?;
    let times = counted(all, "time");
    let long: u64 = counts[MILLISECOND..].iter().sum();
    let (half, long, longest) = (limit(half), count(long), limit(longest));
    Some(format!(
        "{times} for counters, half of them under {half}, {long} of 1 ms or more, all under {longest}"
    ))
}

fn hot_functions(hot: &[HotFunction]) -> String {
    let mut table = Table::new([Align::Right, Align::Right, Align::Right, Align::Left]);
    table.row(["tier", "calls", "loops", "hot function"]);
    for function in hot.iter().take(HOT_MAX) {
        let tier = function.tier.to_string();
        let name = shortened(&function.name);
        table.row([
            &tier,
            &count(function.calls),
            &count(function.loop_iterations),
            &name,
        ]);
    }
    let mut text = table.render("  ");
    if hot.len() > HOT_MAX {
        text.push_str(&format!(
            "  ... and {} more\n",
            count((hot.len() - HOT_MAX) as u64)
        ));
    }
    text
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}
