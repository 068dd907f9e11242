//! How a script is run, and what came of it.

use crate::info::ModuleOptions;
use crate::limits::StoreLimits;
use std::collections::BTreeMap;
use std::fmt;

/// The version of WebAssembly that a script was written for. It decides which modules the script expects to be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WastVersion {
    /// All that this crate supports.
    #[default]
    Supported,
    /// WebAssembly 2.0 without later proposals: a module that uses one counts as refused in `assert_invalid` and
    /// `assert_malformed`.
    V2,
}

/// How a script is run.
#[derive(Clone, Debug, Default)]
pub struct WastOptions {
    /// The version of WebAssembly that the script was written for.
    pub version: WastVersion,
    /// How its modules are compiled.
    pub module: ModuleOptions,
    /// What its modules may allocate.
    pub limits: StoreLimits,
    /// Directives to leave out: the line that each starts in, and why.
    pub skip: BTreeMap<usize, String>,
}

/// What came of a script.
#[derive(Clone, Debug, Default)]
pub struct WastReport {
    /// The script's name.
    pub file: String,
    /// Assertions that hold.
    pub passed: usize,
    /// Assertions that do not, and other directives that could not be run.
    pub failed: Vec<Failure>,
    /// Directives that were left out because the options say so.
    pub skipped: Vec<Skipped>,
}

impl WastReport {
    /// Whether nothing failed.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty()
    }
}

impl fmt::Display for WastReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} passed, {} failed",
            self.file,
            self.passed,
            self.failed.len()
        )?;
        if !self.skipped.is_empty() {
            write!(f, ", {} skipped", self.skipped.len())?;
        }
        for failure in &self.failed {
            write!(f, "\n  {failure}")?;
        }
        Ok(())
    }
}

/// A directive that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The script's name.
    pub file: String,
    /// The line that the directive starts in, from 1.
    pub line: usize,
    /// What was expected and what happened.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A directive that was left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// The line that the directive starts in, from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}
