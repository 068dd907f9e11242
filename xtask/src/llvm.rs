//! `cargo xtask llvm`: builds the LLVM compile server, which is no part of the workspace because it links LLVM.
//!
//! LLVM's development files come from Debian's packages, which are installed if that is possible.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The LLVM that the server is written for.
const MAJOR: u32 = 22;

/// What `cargo xtask llvm` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Run the server's tests too
    #[arg(long)]
    test: bool,
}

/// Builds the server; false if its tests failed. That LLVM is not to be had here is said, and no failure.
pub fn run(options: &Options) -> Result<bool> {
    let Some(prefix) = prefix() else {
        return Ok(true);
    };
    if options.test {
        compile(&prefix)?;
        shell::step("its tests");
        let tested = cargo(&prefix, "test", &["--locked"]).status()?.success();
        let lints = ["--all-targets", "--", "-D", "warnings"];
        return Ok(tested && cargo(&prefix, "clippy", &lints).status()?.success());
    }
    let server = compile(&prefix)?;
    println!(
        "{}",
        shell::output(Command::new(&server).arg("--version"))?.trim_end()
    );
    println!(
        "{}: put it beside `upshift` or into the search path",
        server.display()
    );
    Ok(true)
}

/// The server, built now. None, and a line that says so, if LLVM is not to be had here.
pub fn server() -> Result<Option<PathBuf>> {
    prefix().map(|prefix| compile(&prefix)).transpose()
}

fn compile(prefix: &Path) -> Result<PathBuf> {
    shell::step("the LLVM server");
    let status = cargo(prefix, "build", &[]).status();
    if !status.context("cannot start cargo")?.success() {
        bail!("the LLVM server does not build");
    }
    Ok(folder().join("target/release/upshift-llvm"))
}

/// Cargo for the server, which is always built for release.
fn cargo(prefix: &Path, command: &str, arguments: &[&str]) -> Command {
    let mut cargo = shell::cargo(&folder());
    cargo
        .args([command, "--release"])
        .args(arguments)
        .env(format!("LLVM_SYS_{MAJOR}1_PREFIX"), prefix);
    cargo
}

fn folder() -> PathBuf {
    shell::root().join("crates/llvm/server")
}

/// Where that LLVM is, installed now if need be and possible. A line says so if it is not.
fn prefix() -> Option<PathBuf> {
    let prefix = installed().or_else(install);
    if prefix.is_none() {
        eprintln!(
            "skipped: LLVM {MAJOR} is not installed, and its packages cannot be installed here: {}",
            packages().join(" ")
        );
    }
    prefix
}

/// Where that LLVM is, if it is complete.
fn installed() -> Option<PathBuf> {
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{MAJOR}"));
    let complete = prefix.join("bin/llvm-config").is_file() && has_headers(&prefix);
    complete.then_some(prefix)
}

fn has_headers(prefix: &Path) -> bool {
    prefix.join("include/llvm-c/Core.h").is_file()
}

fn packages() -> [String; 2] {
    [format!("llvm-{MAJOR}-dev"), format!("libpolly-{MAJOR}-dev")]
}

/// Installs the packages, if there is a package manager that may.
fn install() -> Option<PathBuf> {
    if !shell::has("apt-get") {
        return None;
    }
    let packages = packages();
    shell::step(&format!("apt-get install {}", packages.join(" ")));
    let apt_get = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        command.status().is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(packages.iter().map(String::as_str));
    install.extend(["zlib1g-dev", "libzstd-dev", "libxml2-dev", "libffi-dev"]);
    // A fresh machine does not know yet what packages there are.
    let installed_now = apt_get(&install) || (apt_get(&["update"]) && apt_get(&install));
    installed_now.then(installed).flatten()
}
