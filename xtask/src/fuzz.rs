//! `cargo xtask fuzz`: random programs in Upshift and in other engines, by the program in `fuzz/`.

use std::process::Command;

use anyhow::{Context as _, Result};

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
    /// Let libFuzzer choose the cases, which learns which lead further: for so many seconds each body. Building it takes minutes
    #[arg(long, value_name = "SECONDS")]
    libfuzzer: Option<u64>,
}

/// The bodies that are targets for libFuzzer.
const TARGETS: [&str; 4] = ["smith", "own", "clif", "malformed"];
/// Makes the compiler plant what tells libFuzzer which code has run. Stable Rust can do that; what it cannot are sanitizers.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Fuzzes; false if something differs.
pub fn run(options: &Options) -> Result<bool> {
    if let Some(seconds) = options.libfuzzer {
        return libfuzzer(seconds, options.only.as_deref());
    }
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

/// Builds the targets of `fuzz/libfuzzer` and runs each; false if one found a failure. What libFuzzer has learned stays in
/// `corpus/`, and what fails goes to `failures` in `fuzz/`, in libFuzzer's own form.
fn libfuzzer(seconds: u64, only: Option<&str>) -> Result<bool> {
    if !shell::has("c++") {
        eprintln!("skipped: libFuzzer is C++, and there is no compiler for that (c++)");
        return Ok(true);
    }
    let root = shell::root();
    let folder = root.join("fuzz/libfuzzer");
    let about = shell::output(Command::new("rustc").arg("-vV"))?;
    let mut lines = about.lines();
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` does not name the host")?;
    shell::step("building the libFuzzer targets");
    let mut build = shell::cargo(&folder);
    // The flags are for the programs, not for what runs while they are built: that is what naming the target does.
    build.args(["build", "--release", "--target", host]);
    if !build.env("RUSTFLAGS", COVERAGE).status()?.success() {
        return Ok(false);
    }
    let mut good = true;
    for target in TARGETS
        .iter()
        .filter(|name| only.is_none_or(|only| only == **name))
    {
        shell::step(&format!("{target}, for {seconds} s"));
        let learned = root.join("corpus/libfuzzer").join(target);
        let failures = root.join("fuzz/failures");
        shell::create_folder(&learned)?;
        shell::create_folder(&failures)?;
        let mut run = Command::new(
            folder
                .join("target")
                .join(host)
                .join("release")
                .join(target),
        );
        run.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/{target}-", failures.display()))
            .args([
                "-max_len=4096",
                "-timeout=60",
                "-rss_limit_mb=4096",
                "-print_final_stats=1",
            ])
            .arg(learned);
        good &= run.status()?.success();
    }
    Ok(good)
}
