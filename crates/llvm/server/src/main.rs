//! `upshift-llvm`: compiles CLIF functions with LLVM for whoever asks, over a pipe or a socket.
//!
//! ```text
//! frame ─▶ CLIF text ─▶ ir::Function ─▶ LLVM IR text ─▶ passes, code generator ─▶ object ─▶ CompiledCode ─▶ frame
//! ```
//!
//! It runs apart from the programs that it compiles for, so that nothing that goes wrong in LLVM is their problem. What
//! it is sent it does not trust.
#![forbid(unsafe_code)]

mod adapter;
mod backend;
mod listen;
mod object_file;
mod prologue;
mod queue;
mod serve;
#[cfg(test)]
mod tests;
mod translate;
mod watchdog;

use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use upshift_llvm::protocol::WireError;
use upshift_llvm::server_threads;
use watchdog::{JOB_TIME_MAX, Watchdog};

/// How long a client may take to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

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
        ["--listen", socket] => listen::listen(Path::new(socket)),
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

/// Serves the client on standard input and output.
fn pipe() -> Result<(), String> {
    let failed = |error: WireError| error.to_string();
    // Fails if it is no socket; then the client is whoever started this.
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from);
    let patience = |limit| socket.as_ref().map(|socket| socket.set_read_timeout(limit));
    let _ = patience(Some(GREETING_TIMEOUT));
    let (mut input, mut output) = (BufReader::new(io::stdin()), io::stdout());
    if !serve::greet(&mut input, &mut output).map_err(failed)? {
        return Ok(());
    }
    let _ = patience(None);
    backend::initialize();
    // What a client left is of no use to anybody.
    let hung_up = || std::process::exit(0);
    let watchdog: &'static Watchdog = Box::leak(Box::default());
    thread::spawn(|| end_when_overdue(watchdog));
    let threads = server_threads();
    serve::serve(input, output, (threads, watchdog), hung_up).map_err(failed)
}

/// Ends the process, which serves one client only, if a job takes too long.
fn end_when_overdue(watchdog: &Watchdog) {
    while !watchdog.is_overdue(JOB_TIME_MAX) {
        thread::sleep(JOB_TIME_MAX / 100);
    }
    eprintln!("a job took longer than {} s", JOB_TIME_MAX.as_secs());
    std::process::exit(1);
}

fn emit(file: &Path) -> Result<(), String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let settings = translate::Settings {
        canonical_nans: false,
        features: String::new(),
    };
    let module = backend::parse(&text).and_then(|func| translate::module(&func, &settings));
    println!("{}", module.map_err(|error| error.to_string())?.text);
    Ok(())
}
