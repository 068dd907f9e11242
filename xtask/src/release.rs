//! `cargo xtask release`: the `upshift` command as it is to be shipped, compiled with a profile of itself.
//!
//! A compiler is branches that go one way nearly always, so it gains from a profile more than most programs: rustc, CPython and
//! Clang ship so too. A first build counts what it does while it compiles and runs the kernels and Lua; the second is laid out
//! accordingly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell;

/// What `cargo xtask release` was asked for.
#[derive(clap::Args)]
pub struct Options {}

/// Both builds, and the counts, by the root.
const FOLDER: &str = "target/release-profiled";

/// Builds it; says so if it had to be without a profile.
pub fn run(_: &Options) -> Result<bool> {
    println!("{}", build(&shell::root())?.display());
    Ok(true)
}

/// Builds the command and returns where it is.
pub fn build(root: &Path) -> Result<PathBuf> {
    let (version, host) = rustc()?;
    let Some(merge) = profdata(&version) else {
        println!(
            "without a profile: there is no llvm-profdata of LLVM {version}, which rustc uses"
        );
        return cargo(root, &root.join("target"), &host, "");
    };
    let folder = root.join(FOLDER);
    let counts = folder.join("counts");
    if counts.exists() {
        fs::remove_dir_all(&counts).context("cannot remove an earlier profile")?;
    }
    shell::create_folder(&counts)?;
    shell::step("building the upshift command with counters; it takes minutes");
    let flags = format!("-Cprofile-generate={}", counts.display());
    let counting = cargo(root, &folder.join("counting"), &host, &flags)?;
    train(root, &counting)?;
    let profile = folder.join("profile");
    let files = fs::read_dir(&counts)?.collect::<Result<Vec<_>, _>>()?;
    let files = files.iter().map(fs::DirEntry::path);
    shell::output(
        Command::new(merge)
            .arg("merge")
            .arg("-o")
            .arg(&profile)
            .args(files),
    )?;
    shell::step("building the upshift command with its profile; it takes minutes");
    let flags = format!("-Cprofile-use={}", profile.display());
    cargo(root, &folder.join("profiled"), &host, &flags)
}

/// The version of LLVM that rustc uses, and the host's target.
fn rustc() -> Result<(String, String)> {
    let said = shell::output(Command::new("rustc").arg("-vV"))?;
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_owned)
            .with_context(|| format!("rustc does not say its {name}"))
    };
    let version = field("LLVM version: ")?;
    let major = version.split('.').next().unwrap_or_default();
    Ok((major.to_owned(), field("host: ")?))
}

/// The program that merges counts of that LLVM.
fn profdata(major: &str) -> Option<PathBuf> {
    let places = [
        format!("/usr/lib/llvm-{major}/bin/llvm-profdata"),
        format!("llvm-profdata-{major}"),
        "llvm-profdata".to_owned(),
    ];
    let fits = |place: &String| {
        let said = shell::output(Command::new(place).arg("--version"));
        said.is_ok_and(|said| said.contains(&format!("version {major}.")))
    };
    places.into_iter().find(fits).map(PathBuf::from)
}

/// Flags are for the target alone, not for what runs while building, so the target is named.
fn cargo(root: &Path, target: &Path, host: &str, flags: &str) -> Result<PathBuf> {
    let mut cargo = shell::cargo(root);
    cargo
        .args([
            "build",
            "--release",
            "--quiet",
            "-p",
            "upshift-cli",
            "--target",
            host,
        ])
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", flags);
    shell::output(&mut cargo)?;
    Ok(target.join(host).join("release/upshift"))
}

/// Compiles and runs programs, as everybody does.
fn train(root: &Path, upshift: &Path) -> Result<()> {
    shell::step("compiling and running the kernels and Lua for the profile");
    let corpus = std::env::current_exe().context("cannot find this program")?;
    shell::output(
        Command::new(corpus)
            .current_dir(root)
            .args(["corpus", "lua-calls", "fib"]),
    )?;
    let upshift = |arguments: &[&str]| {
        let mut command = Command::new(upshift);
        shell::output(command.current_dir(root).args(arguments)).map(drop)
    };
    let mut modules = vec!["corpus/lua/lua.wasm".to_owned()];
    for kernel in fs::read_dir(root.join("corpus/kernels")).context("cannot list the kernels")? {
        let file = kernel?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            modules.push(format!("corpus/kernels/{name}"));
        }
    }
    for module in &modules {
        for tier in ["0", "1"] {
            upshift(&["compile", "--tier", tier, module])?;
        }
    }
    for kernel in &modules[1..] {
        upshift(&["run", kernel, "1"])?;
    }
    upshift(&[
        "run",
        "--dir",
        "programs/lua::lua",
        &modules[0],
        "lua/calls.lua",
        "1",
    ])
}
