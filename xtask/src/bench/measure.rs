//! Runs programs in engines: first once each, to see that all agree and that the tiers are what they should be, then
//! for the clock, in turns.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::engines::Engine;
use super::process;
use super::programs::Program;
use super::report::{Case, Curve, CurvePoint, Failure, Outcome, ProgramRuns, Tiers, Vectors};
use super::tiers::Events;
use crate::shell;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Measured runs of each case in each engine.
    pub runs: usize,
    /// A program that takes longer is stopped, and there is no figure.
    pub limit: Duration,
    /// A run that takes longer than this is not repeated.
    pub slow: Duration,
}

/// How many times as much work the next point of a curve has.
const CURVE_STEP: u32 = 4;
/// The amounts of work of a curve: steps fine enough for the knees, wide enough to get from nothing to a minute.
const CURVE_WORK: [u32; 14] = [
    0,
    1,
    4,
    16,
    64,
    256,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
];

/// A run's end.
struct Ended {
    stdout: Vec<u8>,
    used: process::Ended,
    /// What it wrote down, if that was asked for.
    events: Option<Events>,
}

/// Everything about runs of one program.
pub struct Bench<'a> {
    pub root: &'a Path,
    pub engines: &'a [Engine],
    pub plan: Plan,
    /// Engines that were stopped at the limit, and the flags and module they were given: compiling it is what takes
    /// long, so they are not tried with it again.
    pub stopped: RefCell<HashSet<(usize, Vec<String>)>>,
}

/// A program with arguments, before it has run.
struct Prepared<'a> {
    program: &'a Program,
    arguments: Vec<String>,
    outcomes: Vec<Outcome>,
    expected: Vec<u8>,
}

impl Bench<'_> {
    /// Measures a program.
    pub fn measure(&self, program: &Program) -> Result<ProgramRuns> {
        shell::step(program.name);
        let mut cases = Vec::new();
        let long = |engine: usize| self.engines[engine].long;
        if let Some(arguments) = program.short {
            cases.push(self.check(program, arguments, |_| true)?);
        }
        if let Some(arguments) = program.long {
            cases.push(self.check(program, arguments, long)?);
        }
        if let Some(arguments) = program.longer {
            cases.push(self.check(program, arguments, long)?);
        }
        self.rounds(&mut cases)?;
        if program.scratch.is_some() {
            std::fs::remove_dir_all(self.scratch())?;
        }
        let mut cases = cases.iter().map(|case| self.finished(case));
        Ok(ProgramRuns {
            name: program.name.to_owned(),
            about: program.about.to_owned(),
            short: program.short.and_then(|_| cases.next()),
            long: program.long.and_then(|_| cases.next()),
            longer: program.longer.and_then(|_| cases.next()),
            again: None,
            vectors: self.vectors(program)?,
        })
    }

    /// Measures a program, whose argument is how much it is to do, with more and more of it: until the best engine takes
    /// `longest`. An engine that takes longer than the limit, or would with the next amount, is left out from there on.
    pub fn curve(&self, program: &Program, longest: Duration) -> Result<Curve> {
        shell::step(&format!("{} with more and more work", program.name));
        let mut points = Vec::new();
        let mut out = HashSet::new();
        for work in CURVE_WORK {
            eprintln!("    {work}");
            let arguments = [work.to_string()];
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut case = self.check(program, &arguments, |engine| !out.contains(&engine))?;
            self.rounds(std::slice::from_mut(&mut case))?;
            let case = self.finished(&case);
            for (engine, outcome) in case.outcomes.iter().enumerate() {
                let next = outcome.median().unwrap_or(0.0) * f64::from(CURVE_STEP);
                // The start does not grow with the work, so this is a little much.
                if outcome.failure.is_some() || next > 1.1 * self.plan.limit.as_secs_f64() {
                    out.insert(engine);
                }
            }
            let medians = case.outcomes.iter().filter_map(Outcome::median);
            let best = medians.fold(f64::INFINITY, f64::min);
            points.push(CurvePoint { work, case });
            if best > longest.as_secs_f64() {
                break;
            }
        }
        Ok(Curve {
            program: program.name.to_owned(),
            about: program.about.to_owned(),
            points,
        })
    }

    /// The long run as native code with vectors and without, in turns.
    fn vectors(&self, program: &Program) -> Result<Option<Vectors>> {
        let native = self.engines.iter().find_map(|e| e.native.as_ref());
        let (Some(native), Some(arguments)) = (native, program.long) else {
            return Ok(None);
        };
        let binary = |folder: &Path| folder.join(program.name);
        let binaries = [binary(&native.programs), binary(&native.without_vectors)];
        if !binaries.iter().all(|binary| binary.is_file()) {
            return Ok(None);
        }
        let (stdout, stderr) = (self.folder().join("stdout"), self.folder().join("stderr"));
        let mut seconds = [Vec::new(), Vec::new()];
        let mut printed = None;
        for round in 0..self.plan.runs {
            for index in turns(binaries.len(), round) {
                let mut command = Command::new(&binaries[index]);
                command.args(arguments);
                let ended = process::run(&command, self.plan.limit, &stdout, &stderr)?;
                let Some(ended) = ended.filter(|ended| ended.code == Some(program.exit)) else {
                    return Ok(None);
                };
                let output = std::fs::read(&stdout)?;
                if *printed.get_or_insert_with(|| output.clone()) != output {
                    println!("    native code prints something else without vectors");
                    return Ok(None);
                }
                seconds[index].push(ended.seconds);
            }
        }
        let [with, without] = seconds;
        Ok(Some(Vectors { with, without }))
    }

    /// The runs for the clock.
    fn rounds(&self, cases: &mut [Prepared]) -> Result<()> {
        for round in 0..self.plan.runs {
            eprint!("\r    round {} of {}", round + 1, self.plan.runs);
            for engine in turns(self.engines.len(), round) {
                for case in &mut *cases {
                    self.time(case, engine)?;
                }
            }
        }
        eprintln!();
        Ok(())
    }

    fn finished(&self, case: &Prepared) -> Case {
        let arguments = case.arguments.iter().cloned();
        let scratch = case
            .program
            .scratch
            .iter()
            .map(|guest| format!("--dir SCRATCH::{guest}"));
        let words = scratch
            .chain(case.program.flags.iter().cloned())
            .chain(arguments);
        Case {
            command: words.collect::<Vec<_>>().join(" "),
            outcomes: case.outcomes.clone(),
        }
    }

    /// Runs a case once in each engine that takes part; notes which of them count.
    fn check<'a>(
        &self,
        program: &'a Program,
        arguments: &[&str],
        takes_part: impl Fn(usize) -> bool,
    ) -> Result<Prepared<'a>> {
        let mut case = Prepared {
            program,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            outcomes: vec![Outcome::default(); self.engines.len()],
            expected: Vec::new(),
        };
        let mut outputs = Vec::new();
        for (index, engine) in self.engines.iter().enumerate() {
            if !takes_part(index) || !engine.runs(program.name) {
                case.outcomes[index].failure = Some(Failure::Absent);
                continue;
            }
            let key = (index, program.flags.clone());
            if self.stopped.borrow().contains(&key) {
                case.outcomes[index].failure = Some(Failure::Stopped);
                continue;
            }
            match self.check_in(&case, engine)? {
                Ok(ended) => {
                    if ended.used.seconds > self.plan.slow.as_secs_f64() {
                        note(&mut case.outcomes[index], &ended, engine);
                    }
                    case.outcomes[index].tiers = ended.events.as_ref().map(tiers);
                    outputs.push((index, ended.stdout));
                }
                Err(failure) => {
                    println!("    {}: {failure:?}", engine.label);
                    if failure == Failure::Stopped {
                        self.stopped.borrow_mut().insert(key);
                    }
                    case.outcomes[index].failure = Some(failure);
                }
            }
        }
        case.expected = most_frequent(&outputs);
        for (index, output) in outputs {
            if output != case.expected {
                println!("    {} prints something else", self.engines[index].label);
                case.outcomes[index].failure = Some(Failure::Differs);
            }
        }
        Ok(case)
    }

    /// The run that is not for the clock. With our own engine, it writes down its events.
    fn check_in(&self, case: &Prepared, engine: &Engine) -> Result<Result<Ended, Failure>> {
        let ended = match self.run(case, engine, engine.expectation.is_some())? {
            Ok(ended) => ended,
            Err(failure) => return Ok(Err(failure)),
        };
        let verdict = match (engine.expectation, &ended.events) {
            (Some(expectation), Some(events)) => events.verdict(expectation),
            _ => Ok(()),
        };
        Ok(match verdict {
            Ok(()) => Ok(ended),
            Err(why) => Err(Failure::Tier(why)),
        })
    }

    /// One run for the clock, unless it would not count or takes too long to be repeated.
    fn time(&self, case: &mut Prepared, index: usize) -> Result<()> {
        let engine = &self.engines[index];
        let outcome = &case.outcomes[index];
        let once = outcome
            .seconds
            .first()
            .is_some_and(|seconds| *seconds > self.plan.slow.as_secs_f64());
        if outcome.failure.is_some() || once {
            return Ok(());
        }
        let ended = self.run(case, engine, engine.compiles_late)?;
        let outcome = &mut case.outcomes[index];
        match ended {
            Ok(ended) if ended.stdout == case.expected => note(outcome, &ended, engine),
            Ok(_) => outcome.failure = Some(Failure::Differs),
            Err(failure) => outcome.failure = Some(failure),
        }
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.root.join("corpus/bench")
    }

    /// A folder for programs that write files: in memory if there is such a place, because a disk would be what is
    /// measured otherwise.
    fn scratch(&self) -> PathBuf {
        let memory = Path::new("/dev/shm");
        let name = format!("upshift-bench-{}", std::process::id());
        if memory.is_dir() {
            memory.join(name)
        } else {
            self.folder().join(name)
        }
    }

    fn command(&self, case: &Prepared, engine: &Engine, trace: Option<&Path>) -> Result<Command> {
        if let Some(native) = &engine.native {
            let mut command = Command::new(native.programs.join(case.program.name));
            command.current_dir(self.root).args(&case.arguments);
            return Ok(command);
        }
        let mut command = Command::new(&engine.binary);
        command.current_dir(self.root).args(&engine.flags);
        if let Some(trace) = trace {
            command
                .arg("--trace")
                .arg(format!("tier={}", trace.display()));
        }
        if let Some(guest) = &case.program.scratch {
            let folder = self.scratch();
            shell::empty_folder(&folder)?;
            command
                .arg("--dir")
                .arg(format!("{}::{guest}", folder.display()));
        }
        command.args(&case.program.flags).args(&case.arguments);
        Ok(command)
    }

    /// Runs a case to its end, from just before its start to just after its exit; it writes down its events if it is to.
    fn run(
        &self,
        case: &Prepared,
        engine: &Engine,
        with_events: bool,
    ) -> Result<Result<Ended, Failure>> {
        let exit = case.program.exit;
        let trace = with_events.then(|| self.folder().join("trace.jsonl"));
        let command = self.command(case, engine, trace.as_deref())?;
        let (stdout_path, stderr_path) =
            (self.folder().join("stdout"), self.folder().join("stderr"));
        let ended = process::run(&command, self.plan.limit, &stdout_path, &stderr_path)?;
        let Some(used) = ended else {
            return Ok(Err(Failure::Stopped));
        };
        if used.code != Some(exit) {
            let said = String::from_utf8_lossy(&std::fs::read(&stderr_path)?).into_owned();
            let first = said
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("nothing was said");
            return Ok(Err(Failure::Broken(format!("{}: {first}", used.status))));
        }
        let events = match &trace {
            Some(trace) => {
                let events = Events::read(&shell::read(trace)?)?;
                std::fs::remove_file(trace)?;
                Some(events)
            }
            None => None,
        };
        Ok(Ok(Ended {
            stdout: std::fs::read(&stdout_path)?,
            used,
            events,
        }))
    }
}

/// Notes what a run took.
fn note(outcome: &mut Outcome, ended: &Ended, engine: &Engine) {
    outcome.seconds.push(ended.used.seconds);
    outcome.cpu_seconds.push(ended.used.cpu_seconds);
    outcome.peak_bytes.push(ended.used.peak_bytes);
    if let Some(events) = ended.events.as_ref().filter(|_| engine.compiles_late) {
        outcome.waited_seconds.push(events.waited_seconds());
    }
}

/// What the report keeps of the events of a run.
fn tiers(events: &Events) -> Tiers {
    let (hot, promoted) = events.promotions();
    Tiers {
        published: events.published,
        hot,
        promoted,
    }
}

/// The engines' numbers in the order of a round: each round another one begins, and every other round runs backwards.
fn turns(engines: usize, round: usize) -> Vec<usize> {
    let mut turns: Vec<usize> = (0..engines).collect();
    turns.rotate_left(round % engines.max(1));
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

/// The output that most engines agree on; the first of several.
fn most_frequent(outputs: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let count = |wanted: &Vec<u8>| {
        outputs
            .iter()
            .filter(|(_, output)| output == wanted)
            .count()
    };
    let mut best: Option<(&Vec<u8>, usize)> = None;
    for (_, output) in outputs {
        let count = count(output);
        if best.is_none_or(|(_, most)| count > most) {
            best = Some((output, count));
        }
    }
    best.map(|(output, _)| output.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_first_and_last_now_and_then() {
        assert_eq!(turns(3, 0), [0, 1, 2]);
        assert_eq!(turns(3, 1), [0, 2, 1]);
        assert_eq!(turns(3, 2), [2, 0, 1]);
        assert!(turns(0, 5).is_empty());
    }

    #[test]
    fn the_majority_is_right() {
        let outputs = [(0, vec![1]), (1, vec![2]), (2, vec![2])];
        assert_eq!(most_frequent(&outputs), [2]);
        assert_eq!(most_frequent(&outputs[..2]), [1]);
        assert!(most_frequent(&[]).is_empty());
    }
}
