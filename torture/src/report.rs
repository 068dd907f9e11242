//! What a body of work found: figures, and checks that held or did not.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// The findings of one body.
#[derive(Debug)]
pub struct Report {
    /// The body's name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Figures, in the order in which they were taken.
    pub figures: Vec<(String, String)>,
    /// Checks made.
    pub checks: u64,
    /// Checks that did not hold.
    pub failures: Vec<String>,
    /// Goals that were missed, which is no failure: they depend on the machine and what else it does.
    pub missed: Vec<String>,
    /// How long it took.
    pub time: Duration,
    started: Instant,
    told: Instant,
}

/// Failures that are kept word by word.
const FAILURES_MAX: usize = 20;

impl Report {
    /// Begins a body.
    pub fn new(name: &'static str, about: &'static str) -> Report {
        println!("==> {name}: {about}");
        Report {
            name,
            about,
            figures: Vec::new(),
            checks: 0,
            failures: Vec::new(),
            missed: Vec::new(),
            time: Duration::ZERO,
            started: Instant::now(),
            told: Instant::now(),
        }
    }

    /// Adds a figure.
    pub fn figure(&mut self, what: impl Into<String>, value: impl Display) {
        let (what, value) = (what.into(), value.to_string());
        println!("    {what}: {value}");
        self.figures.push((what, value));
    }

    /// Counts a check, and keeps what is wrong if it does not hold.
    pub fn check(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.fail(wrong());
        }
    }

    /// Counts `count` checks that were made elsewhere, and what was found wrong there.
    pub fn add(&mut self, count: u64, failures: impl IntoIterator<Item = String>) {
        self.checks += count;
        failures.into_iter().for_each(|wrong| self.fail(wrong));
    }

    /// Notes a goal, which may be missed on a busy machine.
    pub fn goal(&mut self, reached: bool, missed: impl FnOnce() -> String) {
        if !reached {
            let missed = missed();
            println!("    goal missed: {missed}");
            self.missed.push(missed);
        }
    }

    /// Tells how far the body is, twice a second.
    pub fn progress(&mut self, done: u64, of: u64) {
        if self.told.elapsed() > Duration::from_millis(500) {
            self.told = Instant::now();
            eprint!("\r    {done} of {of} ");
        }
    }

    /// Ends the body.
    pub fn finish(mut self) -> Report {
        self.time = self.started.elapsed();
        println!(
            "    {}: {} checks, {} failed, {:.1} s",
            self.name,
            self.checks,
            self.failures.len(),
            self.time.as_secs_f64()
        );
        self
    }

    fn fail(&mut self, wrong: String) {
        eprintln!("\r    FAILED: {wrong}");
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(wrong);
        } else if self.failures.len() == FAILURES_MAX {
            self.failures.push("and further ones".to_owned());
        }
    }
}

/// The value below which `percent` of the values are; `values` get sorted.
pub fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort();
    let at = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or_default()
}
