//! `peer`: runs a WASI preview 1 program in an engine that Upshift is compared with.
//!
//! `peer --engine ENGINE [--dir HOST::GUEST] [--preload NAME=FILE] [--invoke NAME] FILE [ARGS…]`, where the engine is
//! `wasmtime-cranelift`, `wasmtime-winch` or `wasmi`. The other flags mean what they mean for `upshift run`. Each
//! engine is set up as its own command line tool does it, with nothing cached between runs.
//!
//! With `--compile` the module is compiled, in one thread, and not run.

mod compile;
mod interpreter;
mod jit;
mod request;

use std::process::ExitCode;

use anyhow::{Result, bail};
use wasmtime::Strategy;

use request::{Request, USAGE};

fn run(request: &Request) -> Result<i32> {
    match request.engine.as_str() {
        "wasmtime-cranelift" if request.compile => compile::compile(request, Strategy::Cranelift),
        "wasmtime-winch" if request.compile => compile::compile(request, Strategy::Winch),
        "wasmtime-cranelift" => jit::run(request, Strategy::Cranelift),
        "wasmtime-winch" => jit::run(request, Strategy::Winch),
        "wasmi" => interpreter::run(request),
        other => bail!("there is no engine {other:?}\n{USAGE}"),
    }
}

fn main() -> ExitCode {
    let request = match Request::parse(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(2);
        }
    };
    match run(&request) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("{}: {error:?}", request.file);
            ExitCode::from(134)
        }
    }
}
