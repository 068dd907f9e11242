//! Runs cases in a process of their own, which may crash or hang, and keeps what fails.
//!
//! A worker process runs a range of cases and writes the number of each into a file before it begins. When it dies or
//! stops moving, the case is that number's, and another process goes on behind it.

use crate::body::Body;
use crate::case::Case;
use crate::minimise::minimise;
use crate::verdict::{Counts, Verdict};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a case may take before it counts as hanging.
const HANG: Duration = Duration::from_secs(60);
/// The same while a case is made smaller.
const HANG_SMALL: Duration = Duration::from_secs(5);
/// How often a worker reports.
const REPORT: Duration = Duration::from_secs(1);
/// Failing cases after which a body is given up.
const FAILURES_MAX: usize = 20;

/// What of a body is to be run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The body.
    pub body: Body,
    /// The seed.
    pub seed: u64,
    /// Whether LLVM compiles for tier 2.
    pub llvm: bool,
    /// How many cases.
    pub cases: u64,
    /// For how long at most.
    pub time_max: Option<Duration>,
    /// Where failing cases are written.
    pub failures: PathBuf,
}

/// What came of a job.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The sums.
    pub counts: Counts,
    /// Failing cases: what is wrong and the file.
    pub failures: Vec<(String, PathBuf)>,
    /// How long it took.
    pub time: Duration,
}

/// Runs a job. `progress` is called once a second or so.
///
/// # Errors
/// If no process can be started or a file cannot be written.
pub fn run(job: &Job, progress: &mut dyn FnMut(&Report)) -> Result<Report> {
    let begin = Instant::now();
    let mut report = Report::default();
    let mut from = 0;
    while from < job.cases && report.failures.len() < FAILURES_MAX {
        let mut worker = Worker::start(job, from)?;
        let mut latest = Counts::default();
        let end = loop {
            match worker.next_line() {
                Line::Counts(counts) => latest = *counts,
                Line::Failure(index, reason) => keep(job, index, &reason, &mut report)?,
                Line::Silence => break End::Dead(worker.position(), "it hangs".to_owned()),
                Line::End => break worker.end()?,
            }
            report.time = begin.elapsed();
            let mut now = report.clone();
            now.counts.add(&latest);
            progress(&now);
            if job.time_max.is_some_and(|max| begin.elapsed() > max) {
                break End::Time;
            }
            if report.failures.len() >= FAILURES_MAX {
                break End::Time;
            }
        };
        worker.stop();
        report.counts.add(&latest);
        match end {
            End::Done | End::Time => break,
            End::Dead(index, reason) => {
                report.counts.cases += 1;
                report.counts.mismatches += 1;
                keep(job, index, &reason, &mut report)?;
                from = index + 1;
            }
        }
    }
    report.time = begin.elapsed();
    Ok(report)
}

fn keep(job: &Job, index: u64, reason: &str, report: &mut Report) -> Result<()> {
    let name = format!("{}-{:x}-{index}.json", job.body, job.seed);
    let path = job.failures.join(name);
    if let Some(case) = case(job.body, job.seed, index, job.llvm) {
        case.write(&path)?;
    }
    report.failures.push((reason.to_owned(), path));
    Ok(())
}

enum End {
    Done,
    Time,
    Dead(u64, String),
}

enum Line {
    Counts(Box<Counts>),
    Failure(u64, String),
    Silence,
    End,
}

struct Worker {
    child: Child,
    lines: Receiver<String>,
    position: PathBuf,
}

impl Worker {
    fn start(job: &Job, from: u64) -> Result<Worker> {
        let own = std::env::current_exe().context("finding this program")?;
        let position =
            std::env::temp_dir().join(format!("upshift-fuzz-{}-{}", std::process::id(), job.body));
        std::fs::write(&position, from.to_string()).context("writing the position file")?;
        let mut child = Command::new(own)
            .arg("--worker")
            .args(job.llvm.then_some("--llvm"))
            .args(["--only", &job.body.to_string()])
            .args(["--seed", &job.seed.to_string()])
            .args(["--from", &from.to_string()])
            .args(["--modules", &job.cases.to_string()])
            .arg("--position")
            .arg(&position)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Panics are caught and told; their messages would drown the progress.
            .stderr(Stdio::null())
            .spawn()
            .context("starting a worker process")?;
        let output = child.stdout.take().context("a worker's output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Worker {
            child,
            lines,
            position,
        })
    }

    fn next_line(&mut self) -> Line {
        let before = self.position();
        match self.lines.recv_timeout(HANG) {
            Ok(line) => match line.split_once(' ') {
                Some(("counts", counts)) => match serde_json::from_str(counts) {
                    Ok(counts) => Line::Counts(Box::new(counts)),
                    Err(_) => Line::Counts(Box::default()),
                },
                Some((index, reason)) => {
                    Line::Failure(index.parse().unwrap_or(0), reason.to_owned())
                }
                None => Line::Counts(Box::default()),
            },
            Err(RecvTimeoutError::Timeout) if before == self.position() => Line::Silence,
            Err(RecvTimeoutError::Timeout) => Line::Counts(Box::default()),
            Err(RecvTimeoutError::Disconnected) => Line::End,
        }
    }

    /// The number of the case that the worker is at.
    fn position(&self) -> u64 {
        let text = std::fs::read_to_string(&self.position).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn end(&mut self) -> Result<End> {
        let status = self.child.wait().context("waiting for a worker process")?;
        if status.success() {
            return Ok(End::Done);
        }
        Ok(End::Dead(
            self.position(),
            format!("the process died: {status}"),
        ))
    }

    fn stop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.position);
    }
}

/// What a worker process does.
///
/// # Errors
/// If it cannot write its position or its reports.
pub fn work(
    (body, llvm): (Body, bool),
    seed: u64,
    range: std::ops::Range<u64>,
    position: &Path,
) -> Result<()> {
    let mut counts = Counts::default();
    let mut output = std::io::stdout().lock();
    let mut reported = Instant::now();
    for index in range {
        std::fs::write(position, index.to_string()).context("writing the position file")?;
        if let Verdict::Mismatch(reason) = run_one((body, llvm), seed, index, &mut counts) {
            writeln!(output, "{index} {}", reason.replace('\n', " "))?;
        }
        if reported.elapsed() > REPORT {
            writeln!(output, "counts {}", serde_json::to_string(&counts)?)?;
            output.flush()?;
            reported = Instant::now();
        }
    }
    writeln!(output, "counts {}", serde_json::to_string(&counts)?)?;
    Ok(())
}

/// Case number `index` of a run with that seed.
fn case(body: Body, seed: u64, index: u64, llvm: bool) -> Option<Case> {
    let case = body.case(seed, index)?;
    Some(if llvm { case.with_llvm() } else { case })
}

/// Makes and runs one case.
pub fn run_one((body, llvm): (Body, bool), seed: u64, index: u64, counts: &mut Counts) -> Verdict {
    let case = match case(body, seed, index, llvm) {
        Some(case) => case,
        None => {
            let verdict = Verdict::Skipped("the choices do not make a case".to_owned());
            counts.add_verdict(&verdict);
            return verdict;
        }
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut own = Counts::default();
        let verdict = case.run(&mut own);
        (verdict, own)
    })) {
        Ok((verdict, own)) => {
            counts.add(&own);
            verdict
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let verdict = Verdict::Mismatch(format!("panicked: {}", text.unwrap_or("?")));
            counts.add_verdict(&verdict);
            verdict
        }
    }
}

/// How a case ends in a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Good,
    Mismatch,
    Crash,
    Hang,
}

/// Runs a case in a process of its own, for at most `time`.
fn fate(case: &Case, file: &Path, time: Duration) -> Result<Fate> {
    case.write(file)?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--replay")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match status.code() {
                Some(0) => Fate::Good,
                Some(1) => Fate::Mismatch,
                _ => Fate::Crash,
            });
        }
        if begin.elapsed() > time {
            child.kill()?;
            child.wait()?;
            return Ok(Fate::Hang);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Makes the case in a file smaller, in place. Returns whether it failed at all.
///
/// # Errors
/// If the file cannot be read or written.
pub fn minimise_file(path: &Path) -> Result<bool> {
    let case = Case::read(path)?;
    let attempt = path.with_extension("attempt");
    let first = fate(&case, &attempt, HANG)?;
    if first != Fate::Good {
        // What fails in another way is not the same failure: a loop without its exit hangs in every engine.
        let mut fails =
            |case: &Case| fate(case, &attempt, HANG_SMALL).is_ok_and(|fate| fate == first);
        minimise(&case, &mut fails).write(path)?;
    }
    std::fs::remove_file(&attempt).context("removing an attempt's file")?;
    Ok(first != Fate::Good)
}

/// Runs the case in a file.
///
/// # Errors
/// If the file cannot be read, or the case fails.
pub fn replay(path: &Path) -> Result<()> {
    let case = Case::read(path)?;
    let mut counts = Counts::default();
    match case.run(&mut counts) {
        Verdict::Agreed => println!("no difference in {} calls", counts.calls),
        Verdict::Skipped(reason) => println!("nothing to compare: {reason}"),
        Verdict::Mismatch(reason) => bail!("{}: {reason}", path.display()),
    }
    Ok(())
}
