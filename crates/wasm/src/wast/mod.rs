//! Runs scripts in the format of the WebAssembly specification's test suite (`.wast`).
//!
//! A script is a list of directives: modules, calls, and assertions about both. Every assertion is counted by itself, and
//! one that fails does not stop the script. Each script gets a store of its own and the module `spectest` that the test
//! suite expects its host to have.

mod matching;
mod report;
mod runner;
mod spectest;

pub use report::{Failure, Skipped, WastOptions, WastReport, WastVersion};

use runner::Runner;
use upshift::Engine;
use wast::Wast;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};

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
