//! `cargo xtask corpus`: real programs, made by other people's compilers, that every tier must run right.
//!
//! The table says which programs there are. Fetching and building fill the ignored folder `corpus/` and skip what is
//! there; running compares a program's output and exit code with what another engine gave, which is kept in
//! `programs/expected/`.

mod build;
mod check;
pub mod fetch;
mod run;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use self::fetch::Unavailable;
use self::run::{Places, Way};
use self::table::{Origin, PROGRAMS, Program};
use crate::shell;

/// What `cargo xtask corpus` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// The programs; all of them if none is named
    names: Vec<String>,
    /// Leave out the programs that take long to fetch or to run, unless they are named
    #[arg(long)]
    quick: bool,
    /// Which of them a stress test is for.
    #[arg(skip)]
    stressed: Option<Programs>,
    /// Print the programs and whether their files are there, and do nothing
    #[arg(long)]
    list: bool,
    /// Run each program with `upshift run` and compare with what is expected
    #[arg(long)]
    check: bool,
    /// Run each program in Node and write what it prints to programs/expected
    #[arg(long)]
    expect: bool,
    /// With --check: the tiers to run in [default: 0, 1 and auto]
    #[arg(long = "tier", value_name = "TIER")]
    tiers: Vec<String>,
    /// With --check: how code is made, as `upshift run -O` takes it
    #[arg(short = 'O', value_name = "OPTION")]
    optimization: Option<String>,
    /// With --check: the stress tests to run under, as `upshift run --stress` takes them
    #[arg(long, value_name = "TEST")]
    stress: Vec<String>,
    /// With --check: the command to run, instead of one built for it
    #[arg(long, value_name = "FILE")]
    upshift: Option<PathBuf>,
    /// With --check: build the command, optimized
    #[arg(long)]
    release: bool,
    /// With --check: so many programs run at the same time [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Stop a program that runs for longer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    limit: u64,
}

/// Which programs a stress test is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Programs {
    /// All of them.
    All,
    /// All but the one that takes longest, clang making machine code.
    Most,
    /// Those that `--quick` leaves.
    Quick,
    /// Only small ones of our own.
    Kernels,
}

impl Programs {
    fn has(self, program: &Program) -> bool {
        match self {
            Programs::All => true,
            Programs::Most => program.name != "clang-asm",
            Programs::Quick => !program.slow,
            Programs::Kernels => program.is_kernel(),
        }
    }
}

impl Options {
    /// Checks these programs in all tiers that there are with each of these stress tests, in the given command or in one
    /// that is built now, optimized if it is for `release`.
    pub fn stressed(
        programs: Programs,
        optimization: Option<String>,
        stress: Vec<String>,
        upshift: Option<PathBuf>,
        release: bool,
    ) -> Options {
        Options {
            names: Vec::new(),
            quick: false,
            stressed: Some(programs),
            list: false,
            check: true,
            expect: false,
            tiers: vec!["auto".to_owned()],
            optimization,
            stress,
            release,
            upshift,
            jobs: None,
            // A compiler that goes back to tier 0 all the time takes minutes, more of them where others run beside it.
            limit: 1800,
        }
    }
}

/// Runs the command; false if a program did not do what it must.
pub fn run(options: &Options) -> Result<bool> {
    let root = shell::root();
    let places = Places {
        corpus: root.join("corpus"),
        root,
    };
    let by_length = match options.quick {
        true => Programs::Quick,
        false => Programs::All,
    };
    let programs = chosen(&options.names, options.stressed.unwrap_or(by_length))?;
    if options.list {
        list(&programs, &places);
        return Ok(true);
    }
    let Obtained { ready, failed } = obtain_all(&programs, &places);
    write_manifest(&places)?;
    let skipped = programs.len() - ready.len();
    let mut good = failed == 0;
    if options.expect {
        for program in &ready {
            let time = run::expect(program, &places, Duration::from_secs(options.limit))?;
            println!(
                "{:<14} {:>8.2} s under Node",
                program.name,
                time.as_secs_f64()
            );
        }
    }
    if options.check {
        let check = check::Check {
            programs: &ready,
            ways: ways(options),
            binary: upshift(options, &places)?,
            limit: Duration::from_secs(options.limit),
            places: &places,
        };
        good = check.run(options.jobs)?;
    }
    println!("{} programs, {skipped} of them skipped", programs.len());
    Ok(good && (skipped == 0 || options.names.is_empty()))
}

/// The tiers and stress tests to run a program in.
fn ways(options: &Options) -> Vec<Way<'_>> {
    let tiers: Vec<&str> = match options.tiers.as_slice() {
        [] => vec!["0", "1", "auto"],
        tiers => tiers.iter().map(String::as_str).collect(),
    };
    let stress: Vec<Option<&str>> = match options.stress.as_slice() {
        [] => vec![None],
        stress => stress.iter().map(|test| Some(test.as_str())).collect(),
    };
    let optimization = options.optimization.as_deref();
    let way = move |tier, stress| Way {
        tier,
        optimization,
        stress,
    };
    let with_each = |tier| stress.iter().map(move |&stress| way(tier, stress));
    tiers.into_iter().flat_map(with_each).collect()
}

fn chosen(names: &[String], programs: Programs) -> Result<Vec<&'static Program>> {
    if names.is_empty() {
        let chosen = PROGRAMS.iter().filter(|program| programs.has(program));
        return Ok(chosen.collect());
    }
    let find = |name: &String| {
        PROGRAMS
            .iter()
            .find(|program| program.name == name)
            .with_context(|| {
                let known: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
                format!("there is no program {name}; there are {}", known.join(", "))
            })
    };
    names.iter().map(find).collect()
}

fn files(program: &Program) -> impl Iterator<Item = &'static str> {
    program
        .preloads
        .iter()
        .map(|(_, file)| *file)
        .chain([program.file])
}

fn is_there(program: &Program, root: &Path) -> bool {
    files(program).all(|file| root.join(file).exists())
}

fn list(programs: &[&Program], places: &Places) {
    for program in programs {
        let there = if is_there(program, &places.root) {
            "there"
        } else {
            "not fetched"
        };
        let bytes: u64 = files(program)
            .filter_map(|file| places.root.join(file).metadata().ok())
            .map(|m| m.len())
            .sum();
        println!(
            "{:<14} {there:<12} {bytes:>9} bytes  {}",
            program.name,
            shown(program)
        );
    }
}

/// How a user runs it, from the repository's root.
fn shown(program: &Program) -> String {
    let mut words = vec!["upshift run".to_owned()];
    words.extend(
        program
            .dirs
            .iter()
            .map(|(host, guest)| format!("--dir {host}::{guest}")),
    );
    words.extend(
        program
            .scratch
            .iter()
            .map(|guest| format!("--dir SCRATCH::{guest}")),
    );
    words.extend(
        program
            .preloads
            .iter()
            .map(|(name, file)| format!("--preload {name}={file}")),
    );
    words.push(program.file.to_owned());
    words.extend(program.args.iter().map(|&argument| argument.to_owned()));
    words.join(" ")
}

/// What came of fetching and building.
struct Obtained {
    /// The programs that can be run.
    ready: Vec<&'static Program>,
    /// How many origins gave something else than what is pinned, or did not build.
    failed: usize,
}

/// Fetches and builds what these programs need.
fn obtain_all(programs: &[&'static Program], places: &Places) -> Obtained {
    let mut origins: Vec<Origin> = programs.iter().map(|program| program.origin).collect();
    origins.dedup();
    let mut failed = 0;
    for origin in origins {
        let names: Vec<_> = programs
            .iter()
            .filter(|p| p.origin == origin)
            .map(|p| p.name)
            .collect();
        let Err(error) = obtain(origin, places) else {
            continue;
        };
        let unavailable = error.is::<Unavailable>();
        failed += usize::from(!unavailable);
        println!(
            "{} {}: {error:#}",
            if unavailable { "skipped" } else { "FAILED" },
            names.join(", ")
        );
    }
    let ready = programs
        .iter()
        .copied()
        .filter(|program| is_there(program, &places.root))
        .collect();
    Obtained { ready, failed }
}

fn obtain(origin: Origin, places: &Places) -> Result<()> {
    let Places { root, corpus } = places;
    if matches!(origin, Origin::Kernel | Origin::Lua | Origin::Sqlite) {
        build::toolchain()?;
    }
    match origin {
        Origin::Kept => Ok(()),
        Origin::Npm(index) => fetch::package(&table::PACKAGES[index], corpus),
        Origin::Kernel => build::kernels(root, corpus),
        Origin::Lua => build::lua(root, corpus),
        Origin::Sqlite => build::sqlite(root, corpus),
    }
}

/// `corpus/manifest.json`: the table for programs in other languages, and for benchmarks.
fn write_manifest(places: &Places) -> Result<()> {
    let entry = |program: &Program| {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| json!([a, b])).collect::<Vec<_>>();
        json!({
            "name": program.name,
            "file": program.file,
            "args": program.args,
            "bench_args": program.bench_args,
            "preloads": pairs(program.preloads),
            "dirs": pairs(program.dirs),
            "scratch": program.scratch,
            "exit": program.exit,
            "slow": program.slow,
            "expected": format!("programs/expected/{}.txt", program.name),
            "there": is_there(program, &places.root),
        })
    };
    let manifest: Vec<_> = PROGRAMS.iter().map(entry).collect();
    let text =
        serde_json::to_string_pretty(&manifest).context("cannot write the manifest as JSON")?;
    shell::write(&places.corpus.join("manifest.json"), text.as_bytes())
}

/// The `upshift` command: the one given, or the one built now.
fn upshift(options: &Options, places: &Places) -> Result<PathBuf> {
    if let Some(binary) = &options.upshift {
        return std::fs::canonicalize(binary)
            .with_context(|| format!("there is no {}", binary.display()));
    }
    shell::step("building the upshift command");
    let mut build = shell::cargo(&places.root);
    build.args(["build", "--quiet", "-p", "upshift-cli"]);
    if options.release {
        build.arg("--release");
    }
    if !build.status()?.success() {
        bail!("the upshift command does not build");
    }
    let metadata = shell::output(shell::cargo(&places.root).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    Ok(Path::new(target)
        .join(if options.release { "release" } else { "debug" })
        .join("upshift"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = chosen(&["nothing".to_owned()], Programs::All)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("nothing") && error.contains("sha256"),
            "{error}"
        );
        let named = chosen(&["sha256".to_owned()], Programs::Quick);
        assert_eq!(named.unwrap().len(), 1);
        let all = |programs| chosen(&[], programs).unwrap();
        assert_eq!(all(Programs::All).len(), PROGRAMS.len());
        assert_eq!(all(Programs::Most).len(), PROGRAMS.len() - 1);
        let quick = all(Programs::Quick);
        assert!(quick.len() < PROGRAMS.len() && quick.iter().all(|program| !program.slow));
        assert!(all(Programs::Kernels).len() < quick.len());
    }

    #[test]
    fn a_program_is_shown_as_it_is_run() {
        let program = PROGRAMS
            .iter()
            .find(|program| program.name == "zstd")
            .unwrap();
        assert_eq!(
            shown(program),
            "upshift run --preload a=programs/shims/zstd_env.wat \
             --preload zstd=corpus/zstd-wasm/package/dist/esm/zstd.wasm programs/shims/zstd.wat"
        );
    }
}
