//! `cargo xtask spec`: the WebAssembly specification's tests, run by the test harness in `filetests/`.

use anyhow::Result;

use crate::shell;

/// What `cargo xtask spec` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Passed on to the test harness, for instance the name of the files to run
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Options {
    /// With these arguments for the harness.
    pub fn with(arguments: Vec<String>) -> Options {
        Options { arguments }
    }
}

/// Runs the suite; false if a test failed.
pub fn run(options: &Options) -> Result<bool> {
    shell::step("the specification's test suite");
    let status = shell::cargo(&shell::root())
        .args(["test", "-p", "upshift-filetests", "--test", "spec", "--"])
        .args(&options.arguments)
        .status()?;
    Ok(status.success())
}
