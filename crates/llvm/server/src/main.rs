//! `upshift-llvm`: compiles CLIF functions with LLVM for whoever asks, over a pipe or a socket.
//!
//! ```text
//! frame ─▶ CLIF text ─▶ ir::Function ─▶ LLVM IR text ─▶ passes, code generator ─▶ object ─▶ CompiledCode ─▶ frame
//! ```
//!
//! It runs apart from the programs that it compiles for, so that nothing that goes wrong in LLVM is their problem. What
//! it is sent it does not trust.
#![forbid(unsafe_code)]

mod backend;
mod object_file;
mod serve;
#[cfg(test)]
mod tests;
mod translate;

use std::io::{self, BufReader};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

const USAGE: &str = "\
usage: upshift-llvm --pipe             serve one client on standard input and output
       upshift-llvm --listen SOCKET    serve many clients on a Unix socket
       upshift-llvm --emit-llvm FILE   print the LLVM IR of a CLIF function
       upshift-llvm --version";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["--version"] => {
            println!("{}", serve::name());
            Ok(())
        }
        ["--pipe"] => pipe(),
        ["--listen", socket] => listen(Path::new(socket)),
        ["--emit-llvm", file] => emit(Path::new(file)),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// How many jobs of one client are worked on at a time.
fn jobs() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn pipe() -> Result<(), String> {
    backend::initialize();
    let input = BufReader::new(io::stdin());
    serve::serve(input, io::stdout(), jobs()).map_err(|error| error.to_string())
}

fn listen(socket: &Path) -> Result<(), String> {
    backend::initialize();
    let failed = |error: io::Error| format!("{}: {error}", socket.display());
    let listener = UnixListener::bind(socket).map_err(failed)?;
    for stream in listener.incoming() {
        let stream = stream.map_err(failed)?;
        let output = stream.try_clone().map_err(failed)?;
        let client = move || {
            if let Err(error) = serve::serve(BufReader::new(stream), output, jobs()) {
                eprintln!("a client: {error}");
            }
        };
        thread::Builder::new().spawn(client).map_err(failed)?;
    }
    Ok(())
}

fn emit(file: &Path) -> Result<(), String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let settings = translate::Settings {
        canonical_nans: false,
        features: String::new(),
    };
    let module = backend::parse(&text).and_then(|func| translate::module(&func, &settings));
    println!("{}", module.map_err(|error| error.to_string())?);
    Ok(())
}
