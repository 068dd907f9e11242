//! One run of a program: how long it took and what it used.
//!
//! Linux counts the memory that a process had before it became a program as the program's own. This command has read
//! events by the megabyte, so it starts a small process that does nothing but this: itself, with [`Options`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use wait4::{ResUse, Wait4 as _};

use crate::shell;

/// The small process's arguments.
#[derive(clap::Args)]
pub struct Options {
    /// Stop the program after so many milliseconds
    #[arg(long)]
    limit: u64,
    /// Where what it prints goes
    #[arg(long)]
    stdout: PathBuf,
    /// Where its errors go
    #[arg(long)]
    stderr: PathBuf,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// A program's end.
#[derive(Serialize, Deserialize, Debug)]
pub struct Ended {
    /// From just before its start to just after its exit.
    pub seconds: f64,
    /// On all processors together.
    pub cpu_seconds: f64,
    /// The most memory in use at once.
    pub peak_bytes: u64,
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// How it ended, for people.
    pub status: String,
}

/// Runs a command in a process of its own; nothing if it takes longer than the limit.
pub fn run(
    command: &Command,
    limit: Duration,
    stdout: &Path,
    stderr: &Path,
) -> Result<Option<Ended>> {
    let mut launcher = Command::new(std::env::current_exe().context("cannot find this program")?);
    launcher.args(["measured-run", "--limit", &limit.as_millis().to_string()]);
    launcher
        .arg("--stdout")
        .arg(stdout)
        .arg("--stderr")
        .arg(stderr);
    launcher
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        launcher.current_dir(folder);
    }
    serde_json::from_str(&shell::output(&mut launcher)?)
        .context("a measured run said something unexpected")
}

/// What the small process does.
pub fn measured_run(options: &Options) -> Result<bool> {
    let (program, arguments) = options
        .command
        .split_first()
        .context("there is no program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::create(&options.stdout)?)
        .stderr(File::create(&options.stderr)?);
    let start = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let ended = wait(&mut child, start, Duration::from_millis(options.limit))?;
    let seconds = start.elapsed().as_secs_f64();
    let ended = ended.map(|ResUse { status, rusage }| Ended {
        seconds,
        cpu_seconds: (rusage.utime + rusage.stime).as_secs_f64(),
        peak_bytes: rusage.maxrss,
        code: ExitStatus::code(&status),
        status: status.to_string(),
    });
    println!("{}", serde_json::to_string(&ended)?);
    Ok(true)
}

/// Waits for a process to end, and stops it at the limit. To ask often costs a part of a processor and to ask seldom
/// costs precision, so it is asked again after a small part of the time that it has taken already.
fn wait(child: &mut Child, start: Instant, limit: Duration) -> Result<Option<ResUse>> {
    loop {
        if let Some(ended) = child.try_wait4()? {
            return Ok(Some(ended));
        }
        let elapsed = start.elapsed();
        if elapsed > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(
            (elapsed / 500).clamp(Duration::from_micros(50), Duration::from_millis(2)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_stopped_at_the_limit() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let ended = wait(&mut child, Instant::now(), Duration::from_millis(30)).unwrap();
        assert!(ended.is_none());
        let mut child = Command::new("true").spawn().unwrap();
        assert!(
            wait(&mut child, Instant::now(), Duration::from_secs(60))
                .unwrap()
                .unwrap()
                .status
                .success()
        );
    }
}
