//! The programs, each with the arguments of a smallest and of a long run.
//!
//! Where their files are and what they need comes from the corpus. A long run is chosen so that it takes a good engine
//! some tenths of a second, which is enough for the work to outweigh the start. In a program with a thousand functions
//! compilation goes on for that long; it has a third run of about a second.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::shell;

/// A program, ready to be run.
pub struct Program {
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// The arguments of its smallest run, if it has one that is smaller than any other.
    pub short: Option<&'static [&'static str]>,
    /// The arguments of a long run.
    pub long: Option<&'static [&'static str]>,
    /// The arguments of a run for the steady state, of a program in which compilation is a part of the long run.
    pub longer: Option<&'static [&'static str]>,
    /// The flags and the module, before the arguments. Paths are relative to the repository's root.
    pub flags: Vec<String>,
    /// The guest's name of a folder that is empty whenever the program starts.
    pub scratch: Option<String>,
    /// The exit code it must end with.
    pub exit: i32,
}

struct Entry {
    name: &'static str,
    about: &'static str,
    short: Option<&'static [&'static str]>,
    long: Option<&'static [&'static str]>,
    longer: Option<&'static [&'static str]>,
}

const fn kernel(name: &'static str, about: &'static str, long: &'static [&'static str]) -> Entry {
    Entry {
        name,
        about,
        short: Some(&["0"]),
        long: Some(long),
        longer: None,
    }
}

const fn large(
    name: &'static str,
    about: &'static str,
    short: &'static [&'static str],
    long: &'static [&'static str],
    longer: &'static [&'static str],
) -> Entry {
    Entry {
        name,
        about,
        short: Some(short),
        long: Some(long),
        longer: Some(longer),
    }
}

const fn once(name: &'static str, about: &'static str, long: &'static [&'static str]) -> Entry {
    Entry {
        name,
        about,
        short: None,
        long: Some(long),
        longer: None,
    }
}

const CLANG_IR: &[&str] = &["clang", "-O2", "-S", "-emit-llvm", "/in/hello.c", "-o", "-"];

const ENTRIES: &[Entry] = &[
    Entry {
        name: "hello",
        about: "one line",
        short: Some(&[]),
        long: None,
        longer: None,
    },
    kernel("fib", "recursive calls", &["200"]),
    kernel("sha256", "integer arithmetic", &["1000"]),
    kernel("quicksort", "recursion, memory", &["40"]),
    kernel("sieve", "bytes in memory", &["200"]),
    kernel("matmul", "doubles in memory", &["1000"]),
    kernel("nbody", "double arithmetic", &["5000"]),
    kernel("mandelbrot", "a tight loop of doubles", &["60"]),
    kernel("dispatch", "indirect calls", &["500"]),
    kernel("gemm", "products of matrices, along rows", &["2000"]),
    kernel("jacobi2d", "a stencil of doubles", &["5000"]),
    kernel("floydwarshall", "minima of integers", &["200"]),
    kernel("cholesky", "triangular loops of doubles", &["1000"]),
    kernel("fdtd2d", "three grids of doubles", &["5000"]),
    kernel("nussinov", "dynamic programming", &["800"]),
    kernel("spectralnorm", "divisions of doubles", &["400"]),
    large(
        "lua-calls",
        "Lua: calls",
        &["lua/calls.lua", "0"],
        &["lua/calls.lua", "10"],
        &["lua/calls.lua", "80"],
    ),
    large(
        "lua-numbers",
        "Lua: arithmetic",
        &["lua/numbers.lua", "0"],
        &["lua/numbers.lua", "10"],
        &["lua/numbers.lua", "80"],
    ),
    large(
        "lua-strings",
        "Lua: strings",
        &["lua/strings.lua", "0"],
        &["lua/strings.lua", "10"],
        &["lua/strings.lua", "60"],
    ),
    large(
        "lua-tables",
        "Lua: tables",
        &["lua/tables.lua", "0"],
        &["lua/tables.lua", "5"],
        &["lua/tables.lua", "30"],
    ),
    large(
        "lua-control",
        "Lua: control flow",
        &["lua/control.lua", "0"],
        &["lua/control.lua", "10"],
        &["lua/control.lua", "90"],
    ),
    large(
        "sqlite",
        "SQLite in memory",
        &["100"],
        &["10000"],
        &["100000"],
    ),
    large(
        "sqlite-file",
        "SQLite in a file",
        &["100", "/data/shop.db"],
        &["5000", "/data/shop.db"],
        &["50000", "/data/shop.db"],
    ),
    large("argon2", "a password hash", &["0"], &["1"], &["6"]),
    large("argon2-simd", "the same with SIMD", &["0"], &["1"], &["6"]),
    large("zstd", "compression", &["0"], &["1"], &["5"]),
    Entry {
        name: "clang-version",
        about: "a module of 75 MB",
        short: Some(&["clang", "--version"]),
        long: None,
        longer: None,
    },
    once("clang-ir", "clang compiling C to IR", CLANG_IR),
];

/// The program that `--quick` runs.
pub const QUICK: &str = "quicksort";

/// The programs that are measured with more and more work, and until the best engine takes how many seconds: the next point
/// of the second would take about a minute. Their only argument is how much work.
pub const CURVES: [(&str, u64); 2] = [("sha256", 2), ("nbody", 15)];

/// The names of all programs.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name)
}

/// The programs of these names, or all, as far as their files are there.
pub fn load(root: &Path, only: &[String]) -> Result<Vec<Program>> {
    for name in only {
        names().find(|known| known == name).with_context(|| {
            format!(
                "there is no program {name}; there are {}",
                names().collect::<Vec<_>>().join(", ")
            )
        })?;
    }
    let manifest = shell::read(&root.join("corpus/manifest.json"))?;
    let manifest: Vec<Value> =
        serde_json::from_str(&manifest).context("corpus/manifest.json is not as expected")?;
    let mut programs = Vec::new();
    for entry in ENTRIES
        .iter()
        .filter(|entry| only.is_empty() || only.iter().any(|name| name == entry.name))
    {
        let found = manifest.iter().find(|found| found["name"] == entry.name);
        let Some(found) = found.filter(|found| found["there"] == true) else {
            println!(
                "skipped {}: its files are not there; `cargo xtask corpus` gets them",
                entry.name
            );
            continue;
        };
        let program = program(root, entry, found);
        programs.push(program.with_context(|| format!("corpus/manifest.json on {}", entry.name))?);
    }
    Ok(programs)
}

fn program(root: &Path, entry: &Entry, found: &Value) -> Result<Program> {
    let mut flags = Vec::new();
    for (host, guest) in pairs(&found["dirs"])? {
        flags.extend(["--dir".to_owned(), format!("{host}::{guest}")]);
    }
    for (name, file) in pairs(&found["preloads"])? {
        flags.extend([
            "--preload".to_owned(),
            format!("{name}={}", binary(root, file)?),
        ]);
    }
    let file = found["file"].as_str().context("there is no file")?;
    flags.push(binary(root, file)?);
    Ok(Program {
        name: entry.name,
        about: entry.about,
        short: entry.short,
        long: entry.long,
        longer: entry.longer,
        flags,
        scratch: found["scratch"].as_str().map(str::to_owned),
        exit: i32::try_from(found["exit"].as_i64().context("there is no exit code")?)?,
    })
}

fn pairs(value: &Value) -> Result<Vec<(&str, &str)>> {
    let all = value.as_array().context("there is no list")?;
    all.iter()
        .map(|each| pair(each).context("this is no pair of texts"))
        .collect()
}

fn pair(value: &Value) -> Option<(&str, &str)> {
    Some((value.get(0)?.as_str()?, value.get(1)?.as_str()?))
}

/// The module in binary form, the only one that every engine reads.
fn binary(root: &Path, file: &str) -> Result<String> {
    let Some(name) = Path::new(file)
        .file_stem()
        .filter(|_| file.ends_with(".wat"))
    else {
        return Ok(file.to_owned());
    };
    let module =
        wat::parse_file(root.join(file)).with_context(|| format!("cannot assemble {file}"))?;
    let path = format!("corpus/bench/{}.wasm", name.to_string_lossy());
    shell::write(&root.join(&path), &module)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let unique: std::collections::HashSet<_> = names().collect();
        assert_eq!(unique.len(), ENTRIES.len());
        assert!(names().any(|name| name == QUICK));
        for (curve, _) in CURVES {
            assert!(names().any(|name| name == curve));
        }
    }

    #[test]
    fn the_corpus_becomes_a_command_line() {
        let found = serde_json::json!({
            "name": "fib", "file": "a.wasm", "dirs": [["h", "g"]], "preloads": [["n", "f.wasm"]],
            "scratch": null, "exit": 0, "there": true,
        });
        let program = program(Path::new("nowhere"), &ENTRIES[0], &found).unwrap();
        assert_eq!(
            program.flags,
            ["--dir", "h::g", "--preload", "n=f.wasm", "a.wasm"]
        );
    }
}
