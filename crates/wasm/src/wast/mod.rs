//! Runs scripts in the format of the WebAssembly specification's test suite (`.wast`).
//!
//! A script is a list of directives: modules, calls, and assertions about both. Every assertion is counted by itself, and
//! one that fails does not stop the script. Each script gets a store of its own and the module `spectest` that the test
//! suite expects its host to have.

mod matching;
mod runner;
mod spectest;

use crate::info::ModuleOptions;
use crate::limits::StoreLimits;
use runner::Runner;
use std::collections::BTreeMap;
use std::fmt;
use upshift::Engine;
use wast::Wast;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};

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

/// Runs the script `source`, whose name in reports is `name`.
///
/// ```
/// use upshift_wasm::wast::{WastOptions, run_wast};
/// use upshift_wasm::{Config, Engine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new(Config::default())?;
/// let script = r#"
///     (module (func (export "one") (result i32) (i32.const 1)))
///     (assert_return (invoke "one") (i32.const 1))
///     (assert_return (invoke "one") (i32.const 2))"#;
/// let report = run_wast(&engine, "example.wast", script, &WastOptions::default());
/// assert_eq!((report.passed, report.failed.len()), (1, 1));
/// assert_eq!(report.failed[0].line, 4);
/// # Ok(())
/// # }
/// ```
pub fn run_wast(engine: &Engine, name: &str, source: &str, options: &WastOptions) -> WastReport {
    let mut report = WastReport {
        file: name.to_owned(),
        ..WastReport::default()
    };
    // Scripts of the test suite contain characters that look like others, on purpose.
    let mut lexer = Lexer::new(source);
    lexer.allow_confusing_unicode(true);
    let buffer = match ParseBuffer::new_with_lexer(lexer) {
        Ok(buffer) => buffer,
        Err(error) => return unparsable(report, source, &error),
    };
    let script = match parser::parse::<Wast<'_>>(&buffer) {
        Ok(script) => script,
        Err(error) => return unparsable(report, source, &error),
    };
    let mut runner = match Runner::new(engine, options) {
        Ok(runner) => runner,
        Err(error) => {
            let message = format!("setting up the script's host failed: {error:#}");
            report.failed.push(Failure {
                file: name.to_owned(),
                line: 1,
                message,
            });
            return report;
        }
    };
    for directive in script.directives {
        let line = directive.span().linecol_in(source).0 + 1;
        if let Some(reason) = options.skip.get(&line) {
            report.skipped.push(Skipped {
                line,
                reason: reason.clone(),
            });
            continue;
        }
        match runner.run(directive) {
            Ok(counts) => report.passed += usize::from(counts),
            Err(message) => report.failed.push(Failure {
                file: name.to_owned(),
                line,
                message,
            }),
        }
    }
    report
}

fn unparsable(mut report: WastReport, source: &str, error: &wast::Error) -> WastReport {
    let line = error.span().linecol_in(source).0 + 1;
    let message = format!("the script cannot be read: {}", error.message());
    report.failed.push(Failure {
        file: report.file.clone(),
        line,
        message,
    });
    report
}
