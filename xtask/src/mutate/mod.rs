//! `cargo xtask mutate`: would the tests notice?
//!
//! Mutation testing (DeMillo, Lipton and Sayward, 1978) with faults chosen by hand: each is a mistake that one makes in a
//! runtime like this, in the place where it would be made. A copy of the sources gets one fault at a time and runs the
//! tests that should notice. A fault that no test notices survives, and names a test that is missing.

mod faults;
mod page;

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::faults::{FAULTS, Fault, Outcome};
use crate::bench::machine;
use crate::shell;

/// What `cargo xtask mutate` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Only faults whose name or file has this in it; what came of the others before stays on the page
    only: Option<String>,
    /// Only faults that nothing came of yet, in the tree as it was copied then
    #[arg(long)]
    resume: bool,
    /// Only look whether each fault still has its place in the sources
    #[arg(long)]
    check: bool,
    /// Stop the tests of a fault after so many times as long as they take without one; they count as having noticed
    #[arg(long, value_name = "TIMES", default_value_t = 10)]
    patience: u32,
}

const PAGE: &str = "docs/mutation.md";
/// The copy of the sources, what is built from it, and what came of the faults so far.
const TREE: &str = "target/mutate/tree";
const BUILT: &str = "target/mutate/built";
const OUTCOMES: &str = "target/mutate/outcomes.json";
/// Without a fault tests come to an end by themselves.
const NO_LIMIT: Duration = Duration::MAX;
/// However quick tests are, they get so long.
const LIMIT_MIN: Duration = Duration::from_secs(60);

/// Seeds each fault and runs its tests; false if a fault has lost its place, or too few were noticed.
pub fn run(options: &Options) -> Result<bool> {
    let root = shell::root();
    let lost = lost(&root)?;
    for problem in &lost {
        eprintln!("{problem}");
    }
    if options.check || !lost.is_empty() {
        println!(
            "{} faults, {} have lost their place",
            FAULTS.len(),
            lost.len()
        );
        return Ok(lost.is_empty());
    }
    let wanted = |fault: &&Fault| {
        let only = options.only.as_deref().unwrap_or_default();
        fault.name.contains(only) || fault.file.contains(only)
    };
    let mut outcomes = outcomes(&root, options)?;
    let is_open = |fault: &&Fault| !options.resume || !outcomes.iter().any(|o| o.is_of(fault));
    let mut chosen: Vec<&'static Fault> = FAULTS.iter().filter(wanted).filter(is_open).collect();
    // What a fault was in is built again for the next one: neighbours share most of that.
    chosen.sort_by_key(|fault| (fault.package(), fault.tests));
    let mut bench = Bench {
        tree: root.join(TREE),
        built: root.join(BUILT),
        patience: options.patience,
        times: HashMap::new(),
        revision: machine::describe(&root)?.revision,
    };
    bench.copy_sources(&root)?;
    for (number, fault) in chosen.iter().enumerate() {
        shell::step(&format!(
            "{} of {}: {}",
            number + 1,
            chosen.len(),
            fault.name
        ));
        let Some(outcome) = bench.seed(fault)? else {
            eprintln!("    WRONG: with this fault the project does not compile");
            continue;
        };
        match &outcome.noticed_by {
            Some(tests) => eprintln!("    noticed by {tests}, {} s", outcome.seconds),
            None => eprintln!("    SURVIVED, {} s", outcome.seconds),
        }
        outcomes.retain(|old| old.name != fault.name);
        outcomes.push(outcome);
        let text = serde_json::to_string_pretty(&outcomes)?;
        shell::write(&root.join(OUTCOMES), text.as_bytes())?;
    }
    finish(&root, &outcomes)
}

/// What came of the faults before, as far as they are still the same.
fn outcomes(root: &Path, options: &Options) -> Result<Vec<Outcome>> {
    let path = root.join(OUTCOMES);
    if (options.only.is_none() && !options.resume) || !path.exists() {
        return Ok(Vec::new());
    }
    let mut outcomes: Vec<Outcome> = serde_json::from_str(&shell::read(&path)?)?;
    outcomes.retain(|outcome| FAULTS.iter().any(|fault| outcome.is_of(fault)));
    Ok(outcomes)
}

/// Writes the page once something came of every fault; whether enough were noticed.
fn finish(root: &Path, outcomes: &[Outcome]) -> Result<bool> {
    let noticed = outcomes
        .iter()
        .filter(|outcome| outcome.noticed_by.is_some());
    let (noticed, all) = (noticed.count(), outcomes.len());
    println!(
        "{all} faults, {noticed} noticed, {} survived",
        all - noticed
    );
    if all == FAULTS.len() {
        shell::write(&root.join(PAGE), page::text(root, outcomes)?.as_bytes())?;
        println!("wrote {PAGE}");
    }
    Ok(noticed * 100 >= all * 95)
}

/// The faults whose text is not in their file exactly once.
fn lost(root: &Path) -> Result<Vec<String>> {
    let mut lost = Vec::new();
    for fault in FAULTS {
        let count = shell::read(&root.join(fault.file))?
            .matches(fault.find)
            .count();
        if count != 1 {
            lost.push(format!(
                "{}: the text of the fault `{}` is there {count} times; find its place again in xtask/src/mutate/faults.rs",
                fault.file, fault.name
            ));
        }
    }
    Ok(lost)
}

/// What came of one run of tests.
enum Tried {
    DoesNotBuild,
    Passed,
    Failed,
}

/// Where faults are seeded.
struct Bench {
    tree: PathBuf,
    built: PathBuf,
    patience: u32,
    /// How long tests take without a fault.
    times: HashMap<&'static str, Duration>,
    revision: String,
}

impl Bench {
    /// Copies what git tracks. Files that are the same stay as they are, so that cargo builds nothing anew for them.
    fn copy_sources(&self, root: &Path) -> Result<()> {
        let tracked = shell::output(
            Command::new("git")
                .current_dir(root)
                .args(["ls-files", "-z"]),
        )?;
        for name in tracked.split_terminator('\0') {
            let (from, to) = (root.join(name), self.tree.join(name));
            let bytes = fs::read(&from).with_context(|| format!("cannot read {name}"))?;
            if fs::read(&to).is_ok_and(|old| old == bytes) {
                continue;
            }
            shell::write(&to, &bytes)?;
        }
        Ok(())
    }

    /// Without a fault the tests pass: otherwise they would notice anything. They run the first time that they are needed.
    fn check_tests(&mut self, arguments: &'static str) -> Result<()> {
        eprintln!("    without a fault: cargo test {arguments}");
        let built = self.builds(arguments)?;
        let started = Instant::now();
        if !built || !self.passes(arguments)? {
            bail!("`cargo test {arguments}` fails without any fault");
        }
        self.times.insert(arguments, started.elapsed());
        Ok(())
    }

    /// What came of a fault; `None` if it is none, because the compiler notices.
    fn seed(&mut self, fault: &'static Fault) -> Result<Option<Outcome>> {
        let path = self.tree.join(fault.file);
        let sound = shell::read(&path)?;
        let faulty = sound.replacen(fault.find, fault.replace, 1);
        let mut time = Duration::ZERO;
        let mut noticed_by = None;
        for &tests in fault.tests {
            if !self.times.contains_key(tests) {
                self.check_tests(tests)?;
            }
            let started = Instant::now();
            shell::write(&path, faulty.as_bytes())?;
            let outcome = self.try_tests(tests);
            shell::write(&path, sound.as_bytes())?;
            time += started.elapsed();
            match outcome? {
                Tried::DoesNotBuild => return Ok(None),
                Tried::Passed => {}
                Tried::Failed => {
                    noticed_by = Some(tests.to_owned());
                    break;
                }
            }
        }
        Ok(Some(Outcome {
            name: fault.name.to_owned(),
            file: fault.file.to_owned(),
            find: fault.find.to_owned(),
            replace: fault.replace.to_owned(),
            noticed_by,
            seconds: time.as_secs(),
            revision: self.revision.clone(),
        }))
    }

    fn try_tests(&self, arguments: &'static str) -> Result<Tried> {
        Ok(match self.builds(arguments)? {
            false => Tried::DoesNotBuild,
            true if self.passes(arguments)? => Tried::Passed,
            true => Tried::Failed,
        })
    }

    fn cargo_test(&self, arguments: &str) -> Command {
        let mut command = shell::cargo(&self.tree);
        command
            .args(["test", "--quiet", "--locked"])
            .args(arguments.split(' '))
            .env("CARGO_TARGET_DIR", &self.built)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn builds(&self, arguments: &str) -> Result<bool> {
        // What is behind the dashes is for the tests themselves.
        let what = arguments.split(" -- ").next().unwrap_or(arguments);
        let status = self.cargo_test(what).arg("--no-run").status()?;
        Ok(status.success())
    }

    /// Whether the tests end well, in time.
    fn passes(&self, arguments: &str) -> Result<bool> {
        let started = Instant::now();
        let time = self.times.get(arguments);
        let limit = time.map_or(NO_LIMIT, |time| (*time * self.patience).max(LIMIT_MIN));
        // A group of its own, so that the tests can be stopped with the cargo that started them.
        let mut child = self.cargo_test(arguments).process_group(0).spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if started.elapsed() > limit {
                stop(&mut child)?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Stops a process and those it started.
fn stop(child: &mut Child) -> Result<()> {
    let group = format!("-{}", child.id());
    shell::output(Command::new("kill").args(["-s", "KILL", "--", &group]))?;
    child.wait()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_place() {
        assert_eq!(lost(&shell::root()).unwrap(), [""; 0]);
    }

    #[test]
    fn faults_change_something_and_have_tests() {
        for fault in FAULTS {
            assert_ne!(fault.find, fault.replace, "{}", fault.name);
            assert!(!fault.tests.is_empty(), "{}", fault.name);
        }
    }
}
