//! Work that may end the process it runs in, and so gets one of its own.

use anyhow::Result;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

/// The word that tells this program to do one child's work.
pub const CHILD: &str = "child";

/// Runs this program as a child with `words`.
///
/// # Errors
/// If it cannot be started.
pub fn run(words: &[&str]) -> Result<Output> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg(CHILD).args(words);
    Ok(command.output()?)
}

/// How a child ended, in words.
pub fn ending(output: &Output) -> String {
    let how = match output.status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => output.status.to_string(),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    format!(
        "{how}; {}",
        said.lines().rev().take(3).collect::<Vec<_>>().join(" / ")
    )
}
