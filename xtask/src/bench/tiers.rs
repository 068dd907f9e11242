//! Which tiers a program's functions ran in, from the events that `--trace tier` writes: a figure counts only if its
//! name is true.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What the events must show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expectation {
    /// All code is of this tier.
    Only(u64),
    /// All code is of LLVM, in the top tier.
    Llvm,
    /// Functions begin in tier 0, and those that are found hot get code of tier 1, unless the program ends so soon that
    /// compilers, which work beside it, cannot be done.
    Promotion,
}

/// A shorter run may end before any function has better code, in microseconds.
const PROMOTING_RUN_MIN_US: f64 = 50_000.0;

/// The events of a run.
#[derive(Default, Debug)]
pub struct Events {
    /// How many functions were published in each tier.
    pub published: [usize; 3],
    failures: Vec<String>,
    /// Functions found hot, and when, in microseconds.
    promoted: HashMap<u64, f64>,
    /// Functions that got tier 1 code, or were found not to need it.
    answered: HashSet<u64>,
    last_us: f64,
    /// For how long the program's thread waited for compilers, in microseconds.
    waited_us: f64,
    /// How many compilations were not LLVM's.
    of_others: usize,
}

impl Events {
    /// Reads a trace, a line of JSON an event.
    pub fn read(trace: &str) -> Result<Events> {
        let mut events = Events::default();
        for line in trace.lines() {
            let line: Value =
                serde_json::from_str(line).context("a line of the trace is not JSON")?;
            events
                .add(&line)
                .with_context(|| format!("this line of the trace lacks something: {line}"))?;
        }
        Ok(events)
    }

    fn add(&mut self, line: &Value) -> Option<()> {
        let time = line["time_us"].as_f64()?;
        let function = line["function"].as_u64()?;
        let tier = || line["tier"].as_u64();
        self.last_us = self.last_us.max(time);
        match line["event"].as_str()? {
            "promoted" => {
                self.promoted.entry(function).or_insert(time);
            }
            "compiled" => {
                if line["on_program_thread"].as_bool()? {
                    self.waited_us += line["duration_us"].as_f64()?;
                }
                self.of_others += usize::from(line["compiler"] != "llvm");
            }
            "published" => {
                *self.published.get_mut(tier()? as usize)? += 1;
                if tier()? >= 1 {
                    self.answered.insert(function);
                }
            }
            "failed" => {
                let name = line["name"].as_str().unwrap_or_default();
                self.failures.push(format!(
                    "{name}: {}",
                    line["reason"].as_str().unwrap_or_default()
                ));
            }
            "discarded" => {
                self.answered.insert(function);
            }
            _ => {}
        }
        Some(())
    }

    /// For how many seconds the program's thread waited for compilers.
    pub fn waited_seconds(&self) -> f64 {
        self.waited_us / 1e6
    }

    /// How many functions were found hot in the first half of the run, and how many of them got code of tier 1 by its
    /// end or turned out not to need it. What becomes hot later, or takes long to compile, may be in the queue then.
    pub fn promotions(&self) -> (usize, usize) {
        let early = self
            .promoted
            .iter()
            .filter(|&(_, &at)| at < self.last_us / 2.0);
        let answered = early
            .clone()
            .filter(|&(function, _)| self.answered.contains(function));
        (early.count(), answered.count())
    }

    /// What is not as expected, if anything.
    pub fn verdict(&self, expectation: Expectation) -> Result<(), String> {
        if let Some(failure) = self.failures.first() {
            return Err(format!(
                "{} compilations failed, the first is {failure}",
                self.failures.len()
            ));
        }
        match expectation {
            Expectation::Llvm if self.of_others > 0 => {
                return Err(format!(
                    "{} functions were not compiled by LLVM",
                    self.of_others
                ));
            }
            Expectation::Llvm => return self.verdict(Expectation::Only(2)),
            Expectation::Only(tier) => {
                let total: usize = self.published.iter().sum();
                let right = self.published.get(tier as usize).copied().unwrap_or(0);
                if total == 0 || right != total {
                    return Err(format!("{right} of {total} functions were of tier {tier}"));
                }
            }
            Expectation::Promotion => {
                if self.published[0] == 0 {
                    return Err("nothing was published in tier 0".to_owned());
                }
                let (hot, got) = self.promotions();
                if 2 * got < hot && self.last_us >= PROMOTING_RUN_MIN_US {
                    return Err(format!(
                        "{got} of {hot} functions that were found hot early got code of tier 1"
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: &[(&str, u64, u64, f64)], expectation: Expectation) -> Result<(), String> {
        let line = |(event, function, tier, time): &(&str, u64, u64, f64)| {
            format!(
                r#"{{"time_us":{time},"event":"{event}","function":{function},"name":"f","tier":{tier}}}"#
            )
        };
        let trace: Vec<String> = lines.iter().map(line).collect();
        Events::read(&trace.join("\n"))
            .unwrap()
            .verdict(expectation)
    }

    #[test]
    fn only_one_tier() {
        assert!(verdict(&[("published", 1, 1, 0.0)], Expectation::Only(1)).is_ok());
        assert!(verdict(&[("published", 1, 0, 0.0)], Expectation::Only(1)).is_err());
        assert!(verdict(&[], Expectation::Only(0)).is_err());
        assert!(
            verdict(
                &[("published", 1, 0, 0.0), ("failed", 2, 0, 0.0)],
                Expectation::Only(0)
            )
            .is_err()
        );
    }

    #[test]
    fn hot_functions_get_better_code() {
        let begin = [("published", 1, 0, 0.0), ("promoted", 1, 1, 10_000.0)];
        let then = |more: (&'static str, u64, u64, f64)| {
            verdict(&[begin[0], begin[1], more], Expectation::Promotion)
        };
        assert!(then(("published", 1, 1, 90_000.0)).is_ok());
        assert!(then(("discarded", 1, 1, 90_000.0)).is_ok());
        assert!(
            then(("published", 2, 0, 90_000.0)).is_err(),
            "it waited for most of the run"
        );
        assert!(
            then(("published", 2, 0, 15_000.0)).is_ok(),
            "the run ended soon"
        );
        assert!(
            then(("published", 2, 0, 40_000.0)).is_ok(),
            "the run was short"
        );
        assert!(verdict(&[begin[1]], Expectation::Promotion).is_err());
    }

    #[test]
    fn what_llvm_did_and_how_long_the_program_waited_is_known() {
        let trace = |compilers: [&str; 2]| {
            let lines = compilers.map(|compiler| {
                let waited = compiler == "llvm";
                format!(
                    r#"{{"time_us":1,"event":"compiled","function":1,"tier":2,"compiler":"{compiler}","duration_us":1500.0,"on_program_thread":{waited}}}
                       {{"time_us":2,"event":"published","function":1,"tier":2}}"#
                )
            });
            let lines = lines.join("\n");
            Events::read(&lines).unwrap()
        };
        let all = trace(["llvm", "llvm"]);
        assert!(all.verdict(Expectation::Llvm).is_ok());
        assert_eq!(all.waited_seconds(), 0.003);
        let some = trace(["llvm", "cranelift-speed"]);
        assert!(some.verdict(Expectation::Llvm).is_err());
        assert!(some.verdict(Expectation::Only(2)).is_ok());
        assert_eq!(some.waited_seconds(), 0.0015);
    }

    #[test]
    fn a_trace_that_is_none_is_an_error() {
        assert!(Events::read("not JSON").is_err());
        assert!(Events::read("{}").is_err());
    }
}
