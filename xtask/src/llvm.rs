//! `cargo xtask llvm`: builds the LLVM compile server, which is no part of the workspace because it links LLVM.
//!
//! LLVM's development files come from Debian's packages, which are installed if that is possible.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

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
    let Some(prefix) = installed().or_else(install) else {
        eprintln!(
            "skipped: LLVM {MAJOR} is not installed, and its packages cannot be installed here: {}",
            packages().join(" ")
        );
        return Ok(true);
    };
    let folder = shell::root().join("crates/llvm/server");
    let build = |command: &str| {
        let mut cargo = shell::cargo(&folder);
        cargo
            .args([command, "--release"])
            .env(format!("LLVM_SYS_{MAJOR}1_PREFIX"), &prefix);
        cargo
    };
    shell::step("the LLVM server");
    let status = build("build").status().context("cannot start cargo")?;
    if !status.success() {
        return Ok(false);
    }
    if options.test {
        shell::step("its tests");
        let tested = build("test").arg("--locked").status()?.success();
        let lints = ["--all-targets", "--", "-D", "warnings"];
        return Ok(tested && build("clippy").args(lints).status()?.success());
    }
    let server = folder.join("target/release/upshift-llvm");
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
