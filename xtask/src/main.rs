//! The project's developer commands: `cargo xtask COMMAND`.
//!
//! Each command is a module with a `run` function and an entry in [`Command`]. The commands themselves stay quick to
//! build, because everybody builds them first: whatever needs the project's own crates is started through cargo.

#![forbid(unsafe_code)]

mod bench;
mod corpus;
mod fuzz;
mod instructions;
mod llvm;
mod mutate;
mod release;
mod shell;
mod spec;
mod stencils;
mod stress;
mod tidy;
mod torture;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Developer commands of the Upshift project
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One variant a command.
#[derive(Subcommand)]
enum Command {
    /// Check the sources against the project's rules: layers, module cycles, sizes, unsafe code, pages
    Tidy(tidy::Options),
    /// Fetch or build real programs into corpus/, and run them in each tier
    Corpus(corpus::Options),
    /// Build the LLVM compile server, and install what it takes
    Llvm(llvm::Options),
    /// Build the upshift command as it is to be shipped: with a profile of itself
    Release(release::Options),
    /// Run the WebAssembly specification's test suite
    Spec(spec::Options),
    /// Make the tables of stencils that tier 0 copies from, for all architectures
    Stencils(stencils::Options),
    /// Run the specification's test suite and the corpus while everything changes tiers all the time
    Stress(stress::Options),
    /// Measure Upshift and other engines on the corpus, and write the page about it
    Bench(bench::Options),
    /// Count the instructions that compiling takes, and compare with the committed numbers
    Instructions(instructions::Options),
    /// Compare Upshift with other engines on random programs
    Fuzz(fuzz::Options),
    /// Put Upshift under load and make everything fail that can; look for leaks
    Torture(torture::Options),
    /// Seed faults, one at a time, and see whether the tests notice
    Mutate(mutate::Options),
    /// What `bench` starts: runs a program once, and says what it took
    #[command(hide = true)]
    MeasuredRun(bench::process::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Tidy(options) => tidy::run(&options, &command_names()),
        Command::Corpus(options) => corpus::run(&options),
        Command::Llvm(options) => llvm::run(&options),
        Command::Release(options) => release::run(&options),
        Command::Spec(options) => spec::run(&options),
        Command::Stencils(options) => stencils::run(&options),
        Command::Stress(options) => stress::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Torture(options) => torture::run(&options),
        Command::Mutate(options) => mutate::run(&options),
        Command::MeasuredRun(options) => bench::process::measured_run(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The commands that a page may tell its readers to run.
fn command_names() -> Vec<String> {
    Cli::command()
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect()
}
