//! The `upshift` command: runs WebAssembly programs through tiers of compiled code, and shows what happens meanwhile.
//!
//! `args` is the command line. Each subcommand is a module of its name; they share `engine` (flags to a configuration),
//! `input` (files to modules), `host` (what a program can call) and `report` (what is printed for people and tools).
#![forbid(unsafe_code)]

mod arch;
mod args;
mod compile;
mod doctor;
mod engine;
mod explore;
mod host;
mod input;
mod report;
mod run;
mod values;
mod wast;

use args::{Cli, Command};

fn main() {
    let outcome = match Cli::get().command {
        Command::Run(args) => run::run(args),
        Command::Compile(args) => compile::compile(&args),
        Command::Explore(args) => explore::explore(&args),
        Command::Wast(args) => wast::wast(&args),
        Command::Doctor => doctor::doctor(),
    };
    let code = outcome.unwrap_or_else(|error| {
        report::stderr(&format!("error: {error:#}\n"));
        args::EXIT_ERROR
    });
    std::process::exit(code)
}
