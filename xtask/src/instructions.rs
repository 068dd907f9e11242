//! `cargo xtask instructions`: how many instructions it takes to compile modules that never change, against a baseline.
//!
//! Instructions are counted by callgrind (Weidendorfer, Kowarschik and Trinitis, 2004), not timed, so the numbers hardly
//! depend on the machine or on what else it does: a change of a few percent is a change of the code. What remains is that
//! hash tables are seeded at random. Counted is a whole process that compiles every function of a module, less one that
//! compiles none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::shell;

/// What `cargo xtask instructions` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Write the baseline anew
    #[arg(long)]
    bless: bool,
    /// The upshift command to count in, instead of one built for it
    #[arg(long, value_name = "FILE")]
    upshift: Option<PathBuf>,
}

/// The baseline.
const BASELINE: &str = "xtask/instructions.json";
/// The modules, which are committed.
const MODULES: [&str; 3] = [
    "examples/words.wasm",
    "programs/kernels/quicksort.wasm",
    "programs/kernels/sha256.wasm",
];
/// A count may differ from the baseline by so many hundredths before it counts as changed.
const TOLERANCE_PERCENT: f64 = 3.0;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Baseline {
    /// The compiler that built the command: another one makes other instructions of the same source.
    rustc: String,
    /// Millions of instructions by module and tier.
    millions: BTreeMap<String, f64>,
}

/// Counts and compares; false if something takes more instructions than it may.
pub fn run(options: &Options) -> Result<bool> {
    let root = shell::root();
    if !shell::has("valgrind") {
        shell::step("skipped: there is no valgrind; `apt-get install valgrind` gets it");
        return Ok(true);
    }
    let rustc = shell::output(Command::new("rustc").arg("--version"))?;
    let rustc = rustc.trim().to_owned();
    let path = root.join(BASELINE);
    let baseline: Option<Baseline> = match options.bless {
        true => None,
        false => Some(serde_json::from_str(&shell::read(&path)?).context(BASELINE)?),
    };
    if let Some(baseline) = baseline.as_ref().filter(|baseline| baseline.rustc != rustc) {
        let of = &baseline.rustc;
        shell::step(&format!(
            "skipped: the baseline is of {of}, this is {rustc}"
        ));
        return Ok(true);
    }
    let millions = count(&root, options.upshift.as_deref())?;
    let Some(baseline) = baseline else {
        let text = serde_json::to_string_pretty(&Baseline { rustc, millions })?;
        shell::write(&path, format!("{text}\n").as_bytes())?;
        println!("wrote {BASELINE}");
        return Ok(true);
    };
    println!("millions of instructions            baseline        now");
    let mut good = true;
    for (name, now) in &millions {
        let verdict = verdict(baseline.millions.get(name).copied(), *now);
        good &= verdict != Verdict::More;
        let before = baseline.millions.get(name).copied().unwrap_or(f64::NAN);
        println!("{name:34} {before:>9.2} {now:>10.2}  {}", verdict.words());
    }
    Ok(good)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Same,
    Less,
    More,
    New,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Verdict::Same => "",
            Verdict::Less => "fewer; --bless keeps it so",
            Verdict::More => "MORE than may be; --bless accepts it",
            Verdict::New => "not in the baseline; --bless adds it",
        }
    }
}

fn verdict(before: Option<f64>, now: f64) -> Verdict {
    let Some(before) = before else {
        return Verdict::New;
    };
    match (now / before - 1.0) * 100.0 {
        percent if percent > TOLERANCE_PERCENT => Verdict::More,
        percent if percent < -TOLERANCE_PERCENT => Verdict::Less,
        _ => Verdict::Same,
    }
}

/// Millions of instructions for each module and tier.
fn count(root: &Path, upshift: Option<&Path>) -> Result<BTreeMap<String, f64>> {
    let upshift = match upshift {
        Some(upshift) => std::path::absolute(upshift)?,
        None => build(root)?,
    };
    let empty = root.join("target/instructions/empty.wat");
    shell::write(&empty, b"(module)")?;
    let mut counts = BTreeMap::new();
    for tier in ["0", "1"] {
        let nothing = instructions(root, &upshift, tier, &empty)?;
        for module in MODULES {
            shell::step(&format!("{module} in tier {tier}"));
            let all = instructions(root, &upshift, tier, Path::new(module))?;
            let name = module.rsplit('/').next().unwrap_or(module);
            let name = name.split('.').next().unwrap_or(name);
            let millions = all.saturating_sub(nothing) as f64 / 1e6;
            counts.insert(
                format!("{name}, tier {tier}"),
                (millions * 100.0).round() / 100.0,
            );
        }
    }
    Ok(counts)
}

fn build(root: &Path) -> Result<PathBuf> {
    shell::step("cargo build --release -p upshift-cli");
    let mut cargo = shell::cargo(root);
    let arguments = [
        "build",
        "--release",
        "--locked",
        "-p",
        "upshift-cli",
        "--message-format=json",
    ];
    let printed = shell::output(cargo.args(arguments))?;
    let executable = printed.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.context("cargo names no executable")
}

/// What a process executes that compiles a file.
fn instructions(root: &Path, upshift: &Path, tier: &str, file: &Path) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .current_dir(root)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(upshift)
        .args(["compile", "--tier", tier])
        .arg(file);
    let output = command.output().context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{command:?} failed ({}):\n{said}", output.status);
    }
    collected(&said).context("callgrind did not say how many instructions there were")
}

fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    line?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_judged_with_tolerance() {
        assert_eq!(verdict(Some(100.0), 102.9), Verdict::Same);
        assert_eq!(verdict(Some(100.0), 103.1), Verdict::More);
        assert_eq!(verdict(Some(100.0), 96.0), Verdict::Less);
        assert_eq!(verdict(None, 1.0), Verdict::New);
    }

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 12345678\n==7==\n";
        assert_eq!(collected(said), Some(12_345_678));
        assert_eq!(collected("nothing"), None);
    }

    #[test]
    fn the_baseline_names_every_module_in_both_tiers() {
        let text = shell::read(&shell::root().join(BASELINE)).unwrap();
        let baseline: Baseline = serde_json::from_str(&text).unwrap();
        assert_eq!(baseline.millions.len(), 2 * MODULES.len());
        assert!(
            MODULES
                .iter()
                .all(|module| shell::root().join(module).exists())
        );
    }
}
