//! `cargo xtask stencils`: the tables of stencils and the page about them, by the program in `stencils/`.

use anyhow::Result;

use crate::shell;

/// What `cargo xtask stencils` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Write nothing: fail if what is there is not what would be written
    #[arg(long)]
    check: bool,
}

/// Makes the tables; false if they are to be checked and differ.
pub fn run(options: &Options) -> Result<bool> {
    shell::step("building the generator, with Cranelift for all architectures");
    let root = shell::root();
    let mut command = shell::cargo(&root);
    command.args(["run", "--quiet", "-p", "upshift-stencils"]);
    command.args(["--features", "aarch64", "--"]).arg(&root);
    if options.check {
        command.arg("--check");
    }
    Ok(command.status()?.success())
}
