//! `cargo xtask mutate`: would the tests notice?
//!
//! Mutation testing (DeMillo, Lipton and Sayward, 1978) with faults chosen by hand: each is a mistake that one makes in a
//! runtime like this, in the place where it would be made. A copy of the sources gets one fault at a time and runs the
//! tests that should notice. A fault that no test notices survives, and names a test that is missing.

mod faults;
mod page;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::faults::{FAULTS, Fault, Outcome};
use crate::shell;

/// What `cargo xtask mutate` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Only faults whose name or file has this in it; no page is written
    only: Option<String>,
    /// Only look whether each fault still has its place in the sources
    #[arg(long)]
    check: bool,
    /// Stop the tests of a fault after so many seconds; they count as having noticed
    #[arg(long, value_name = "SECONDS", default_value_t = 240)]
    limit: u64,
}

const PAGE: &str = "docs/mutation.md";
/// The copy of the sources, and what is built from it.
const TREE: &str = "target/mutate/tree";
const BUILT: &str = "target/mutate/built";

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
    let chosen: Vec<&'static Fault> = FAULTS.iter().filter(wanted).collect();
    let bench = Bench {
        tree: root.join(TREE),
        built: root.join(BUILT),
        limit: Duration::from_secs(options.limit),
    };
    bench.copy_sources(&root)?;
    bench.check_tests(&chosen)?;
    let mut outcomes = Vec::new();
    for (number, fault) in chosen.iter().enumerate() {
        shell::step(&format!(
            "{} of {}: {}",
            number + 1,
            chosen.len(),
            fault.name
        ));
        let outcome = bench.seed(fault)?;
        match outcome.noticed_by {
            Some(tests) => eprintln!("    noticed by {tests}, {} s", outcome.seconds),
            None => eprintln!("    SURVIVED, {} s", outcome.seconds),
        }
        outcomes.push(outcome);
    }
    let noticed = outcomes
        .iter()
        .filter(|outcome| outcome.noticed_by.is_some());
    let (noticed, all) = (noticed.count(), outcomes.len());
    println!(
        "{all} faults, {noticed} noticed, {} survived",
        all - noticed
    );
    if options.only.is_none() {
        shell::write(&root.join(PAGE), page::text(&root, &outcomes)?.as_bytes())?;
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

/// Where faults are seeded.
struct Bench {
    tree: PathBuf,
    built: PathBuf,
    limit: Duration,
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

    /// Without a fault, all the tests pass: otherwise they would notice anything.
    fn check_tests(&self, chosen: &[&'static Fault]) -> Result<()> {
        let mut tests: Vec<&str> = chosen
            .iter()
            .flat_map(|fault| fault.tests)
            .copied()
            .collect();
        tests.sort_unstable();
        tests.dedup();
        for arguments in tests {
            shell::step(&format!("without a fault: cargo test {arguments}"));
            if !self.passes(arguments)? {
                bail!("`cargo test {arguments}` fails without any fault");
            }
        }
        Ok(())
    }

    fn seed(&self, fault: &'static Fault) -> Result<Outcome> {
        let started = Instant::now();
        let path = self.tree.join(fault.file);
        let sound = shell::read(&path)?;
        shell::write(
            &path,
            sound.replacen(fault.find, fault.replace, 1).as_bytes(),
        )?;
        let noticed_by = self.first_to_notice(fault);
        shell::write(&path, sound.as_bytes())?;
        Ok(Outcome {
            fault,
            noticed_by: noticed_by?,
            seconds: started.elapsed().as_secs(),
        })
    }

    fn first_to_notice(&self, fault: &'static Fault) -> Result<Option<&'static str>> {
        for arguments in fault.tests {
            if !self.builds(arguments)? {
                bail!(
                    "with the fault `{}` the project does not compile",
                    fault.name
                );
            }
            if !self.passes(arguments)? {
                return Ok(Some(arguments));
            }
        }
        Ok(None)
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
        let status = self.cargo_test(arguments).arg("--no-run").status()?;
        Ok(status.success())
    }

    /// Whether the tests end well, in time.
    fn passes(&self, arguments: &str) -> Result<bool> {
        let started = Instant::now();
        // A group of its own, so that the tests can be stopped with the cargo that started them.
        let mut child = self.cargo_test(arguments).process_group(0).spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if started.elapsed() > self.limit {
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
