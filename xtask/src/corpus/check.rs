//! Checks what programs do in Upshift, several at a time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::run::{self, Places, Way};
use super::table::Program;

/// Programs, and the ways to run each.
pub struct Check<'o> {
    /// The programs.
    pub programs: &'o [&'static Program],
    /// The ways.
    pub ways: Vec<Way<'o>>,
    /// The command.
    pub binary: PathBuf,
    /// When a run is stopped.
    pub limit: Duration,
    /// Where everything is.
    pub places: &'o Places,
}

/// What a program's frames are in tier 0 under a test that logs them. Filled by whoever needs it first.
type FirstLogged = Arc<Mutex<Option<String>>>;

/// What all threads share.
struct Progress {
    next: AtomicUsize,
    wrong: AtomicUsize,
    frames_compared: AtomicU64,
    in_tier_0: Mutex<HashMap<(&'static str, String), FirstLogged>>,
}

impl Check<'_> {
    /// Runs each program in each way, in as many threads as there are cores if none are given; false if one did not do
    /// what it must.
    ///
    /// # Errors
    /// If a program cannot be started, or its expected output is missing.
    pub fn run(&self, jobs: Option<usize>) -> Result<bool> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let progress = Progress {
            next: AtomicUsize::new(0),
            wrong: AtomicUsize::new(0),
            frames_compared: AtomicU64::new(0),
            in_tier_0: Mutex::default(),
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..jobs.unwrap_or_else(cores).max(1))
                .map(|_| scope.spawn(|| self.work(&progress)))
                .collect();
            let joined = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                thread.join().map_err(|_| anyhow!("a check panicked"))?
            };
            threads.into_iter().try_for_each(joined)
        })?;
        let wrong = progress.wrong.into_inner();
        println!("{} runs, {wrong} of them wrong", self.runs());
        let frames = progress.frames_compared.into_inner();
        if frames > 0 {
            println!("{frames} frames compared with those of tier 0");
        }
        Ok(wrong == 0)
    }

    fn runs(&self) -> usize {
        self.programs.len() * self.ways.len()
    }

    /// Takes one run after the other until none is left.
    fn work(&self, progress: &Progress) -> Result<()> {
        loop {
            let number = progress.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.runs() {
                return Ok(());
            }
            let program = self.programs[number / self.ways.len()];
            let way = self.ways[number % self.ways.len()];
            if let Err(error) = self.check(program, way, progress) {
                // The other threads are to stop, too.
                progress.next.store(self.runs(), Ordering::Relaxed);
                return Err(error);
            }
        }
    }

    fn check(&self, program: &'static Program, way: Way<'_>, progress: &Progress) -> Result<()> {
        let expected = self.expected(program)?;
        let in_tier_0 = match run::frame_test(way.stress) {
            Some(test) => Some(self.frames_in_tier_0(program, &test, progress)?),
            None => None,
        };
        let ended = run::upshift(&self.binary, program, self.places, way, self.limit)?;
        let other_frames = || other_frames(&ended, in_tier_0.as_deref()?);
        let verdict = run::verdict(program, &ended, &expected).or_else(other_frames);
        if in_tier_0.is_some() {
            let compared = compared_frames(&ended);
            progress
                .frames_compared
                .fetch_add(compared, Ordering::Relaxed);
        }
        let mark = if verdict.is_none() { "ok" } else { "WRONG" };
        let mut line = format!(
            "{:<14} tier {:<5} {:<5} {:<27} {mark:<5} {:>8.2} s",
            program.name,
            way.tier,
            way.optimization.map_or("", run::shown),
            way.stress.unwrap_or_default(),
            ended.time.as_secs_f64()
        );
        if let Some(verdict) = verdict {
            progress.wrong.fetch_add(1, Ordering::Relaxed);
            line = format!("{line}\n{verdict}");
        }
        println!("{line}");
        Ok(())
    }

    fn expected(&self, program: &Program) -> Result<Vec<u8>> {
        let path = self
            .places
            .root
            .join(format!("programs/expected/{}.txt", program.name));
        std::fs::read(&path).with_context(|| {
            format!(
                "cannot read {}; `cargo xtask corpus --expect` makes it",
                path.display()
            )
        })
    }

    /// What a program's frames are in tier 0. Whoever asks first finds out, the others wait.
    fn frames_in_tier_0(
        &self,
        program: &'static Program,
        test: &str,
        progress: &Progress,
    ) -> Result<String> {
        let poisoned = || anyhow!("a check panicked");
        let key = (program.name, test.to_owned());
        let entry = {
            let mut all = progress.in_tier_0.lock().map_err(|_| poisoned())?;
            Arc::clone(all.entry(key).or_default())
        };
        let mut known = entry.lock().map_err(|_| poisoned())?;
        let logged = match known.take() {
            Some(logged) => logged,
            None => self.log_in_tier_0(program, test)?,
        };
        Ok(known.insert(logged).clone())
    }

    fn log_in_tier_0(&self, program: &Program, test: &str) -> Result<String> {
        let way = Way {
            tier: "0",
            optimization: None,
            stress: Some(test),
        };
        let ended = run::upshift(&self.binary, program, self.places, way, self.limit)?;
        let frames = run::frames(&ended).map(str::to_owned);
        frames.with_context(|| {
            let name = program.name;
            format!(
                "{name} in tier 0 under {test} says nothing of frames:\n{}",
                ended.said
            )
        })
    }
}

/// How the frames of a run differ from those in tier 0.
fn other_frames(ended: &run::Ended, expected: &str) -> Option<String> {
    let found = run::frames(ended).unwrap_or("nothing");
    (found != expected).then(|| format!("its frames are {found}, in tier 0 {expected}"))
}

fn compared_frames(ended: &run::Ended) -> u64 {
    let count = run::frames(ended).and_then(|frames| frames.split(',').next());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}
