//! `cargo xtask fuzz`: random programs in Upshift and in other engines, by the program in `fuzz/`.

use anyhow::Result;

use crate::shell;

/// What `cargo xtask fuzz` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// How many modules from wasm-smith to run; the other bodies get fewer, in proportion. With --only, how many cases
    #[arg(long)]
    modules: Option<u64>,
    /// For how many seconds at most, all bodies together
    #[arg(long)]
    seconds: Option<u64>,
    /// The seed; by default one from the clock
    #[arg(long)]
    seed: Option<u64>,
    /// Only this body: smith, own, clif or malformed
    #[arg(long)]
    only: Option<String>,
    /// Run the case in this file
    #[arg(long)]
    replay: Option<String>,
    /// Make the case in this file smaller
    #[arg(long)]
    minimise: Option<String>,
    /// Write the case of this number to standard output
    #[arg(long)]
    print: Option<u64>,
    /// Write docs/fuzzing.md from what was measured
    #[arg(long)]
    page: bool,
    /// LLVM compiles for tier 2, which every module is run in too; `cargo xtask llvm` builds its server
    #[arg(long)]
    llvm: bool,
    /// Compare with wasmtime, too; building it takes minutes
    #[arg(long)]
    wasmtime: bool,
}

/// Fuzzes; false if something differs.
pub fn run(options: &Options) -> Result<bool> {
    shell::step("building the fuzzer");
    let mut command = shell::cargo(&shell::root());
    command.args(["run", "--quiet", "-p", "upshift-fuzz"]);
    if options.wasmtime {
        command.args(["--features", "wasmtime"]);
    }
    command.arg("--");
    let numbers = [
        ("--modules", options.modules),
        ("--seconds", options.seconds),
        ("--seed", options.seed),
        ("--print", options.print),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            command.args([name, &value.to_string()]);
        }
    }
    let texts = [
        ("--only", &options.only),
        ("--replay", &options.replay),
        ("--minimise", &options.minimise),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            command.args([name, value]);
        }
    }
    if options.llvm {
        command.arg("--llvm");
    }
    if options.page {
        command.args(["--page", "docs/fuzzing.md"]);
    }
    Ok(command.status()?.success())
}
