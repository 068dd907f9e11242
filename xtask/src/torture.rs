//! `cargo xtask torture`: faults and load, by the program in `torture/`; and leaks, by valgrind.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::shell;

/// The page that a full run writes.
const PAGE: &str = "docs/torture.md";
/// The option of cargo that says how tests are started on this machine.
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";
/// Code is written while it runs, and whatever is definitely lost is an error.
const VALGRIND: &str = "valgrind --quiet --smc-check=all --leak-check=full --errors-for-leak-kinds=definite \
                        --error-exitcode=9";
/// The packages and test files that drop things at bad moments, and the tests in them.
const LEAK_TESTS: &[[&str; 3]] = &[
    ["upshift", "faults", "dropping_modules"],
    ["upshift-wasm", "limits", "instances_outlive"],
    ["upshift-torture", "leaks", "dropping_modules"],
];

/// What `cargo xtask torture` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// What to do: threads, processes, churn, flood, failures, interrupt, stacks, signals, guards, escapes or leaks. Without any,
    /// all but leaks, and docs/torture.md is written
    bodies: Vec<String>,
    /// A little of everything
    #[arg(long)]
    smoke: bool,
    /// How often functions are made, promoted and freed
    #[arg(long)]
    cycles: Option<u64>,
}

/// Runs it; false if something failed.
pub fn run(options: &Options) -> Result<bool> {
    if options.bodies.iter().any(|body| body == "leaks") {
        return leaks();
    }
    shell::step("faults and load");
    let root = shell::root();
    let mut command = shell::cargo(&root);
    command.args(["run", "-p", "upshift-torture", "--"]);
    command.args(&options.bodies);
    if options.smoke {
        command.arg("--smoke");
    }
    if let Some(cycles) = options.cycles {
        command.args(["--cycles", &cycles.to_string()]);
    }
    if options.bodies.is_empty() && !options.smoke {
        command.arg("--page").arg(root.join(PAGE));
    }
    Ok(command.status()?.success())
}

/// Runs under valgrind the tests that drop things while they are in use.
fn leaks() -> Result<bool> {
    if (std::env::consts::ARCH, std::env::consts::OS) != ("x86_64", "linux") {
        shell::step("skipped: leaks are looked for on x86-64 Linux only");
        return Ok(true);
    }
    if !shell::has("valgrind") && !install_valgrind() {
        shell::step("skipped: there is no valgrind, and `apt-get install valgrind` did not work");
        return Ok(true);
    }
    let mut good = true;
    for [package, file, test] in LEAK_TESTS {
        shell::step(&format!("{package}, {test}, under valgrind"));
        let status = shell::cargo(&shell::root())
            .args(["test", "-p", package, "--test", file, "--", test])
            .env(RUNNER, VALGRIND)
            .status()?;
        good &= status.success();
    }
    let result = if good { "no leaks" } else { "there are leaks" };
    shell::step(&format!("{} tests: {result}", LEAK_TESTS.len()));
    Ok(good)
}

/// Installs valgrind, where that is how this machine gets programs and this user may.
fn install_valgrind() -> bool {
    shell::step("installing valgrind");
    Command::new("apt-get")
        .args(["install", "--yes", "--quiet", "valgrind"])
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
        && shell::has("valgrind")
}
