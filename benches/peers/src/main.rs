//! `peer`: runs a WASI preview 1 program in an engine that Upshift is compared with.
//!
//! `peer --engine ENGINE [--dir HOST::GUEST] [--preload NAME=FILE] [--invoke NAME] FILE [ARGS…]`, where the engine is
//! `wasmtime-cranelift`, `wasmtime-winch` or `wasmi`. The other flags mean what they mean for `upshift run`. Each
//! engine is set up as its own command line tool does it, with nothing cached between runs.

mod interpreter;
mod jit;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use wasmtime::Strategy;

const USAGE: &str = "usage: peer --engine wasmtime-cranelift|wasmtime-winch|wasmi \
                     [--dir HOST::GUEST] [--preload NAME=FILE] [--invoke NAME] FILE [ARGS...]";

/// What to run.
#[derive(Debug, Default, PartialEq)]
struct Request {
    engine: String,
    /// Folders: the host's and the guest's name.
    dirs: Vec<(String, String)>,
    /// Modules whose exports satisfy imports: the name they are imported by, and the file.
    preloads: Vec<(String, String)>,
    /// The export to call instead of the program's entry. Its arguments are the program's, read as its parameters.
    invoke: Option<String>,
    file: String,
    args: Vec<String>,
}

impl Request {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Request> {
        let mut request = Request::default();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value\n{USAGE}"))
            };
            match word.as_str() {
                "--engine" => request.engine = value()?,
                "--dir" => request.dirs.push(split(&value()?, "::")?),
                "--preload" => request.preloads.push(split(&value()?, "=")?),
                "--invoke" => request.invoke = Some(value()?),
                flag if flag.starts_with('-') => bail!("there is no flag {flag}\n{USAGE}"),
                _ => {
                    request.file = word;
                    request.args = words.collect();
                    return Ok(request);
                }
            }
        }
        bail!("no file is named\n{USAGE}")
    }

    /// The program's own arguments, its name before them.
    fn argv(&self) -> Vec<String> {
        let name = Path::new(&self.file).file_name().unwrap_or_default();
        [name.to_string_lossy().into_owned()]
            .into_iter()
            .chain(self.args.iter().cloned())
            .collect()
    }
}

fn split(text: &str, separator: &str) -> Result<(String, String)> {
    let (left, right) = text
        .split_once(separator)
        .with_context(|| format!("{text} has no {separator} in it"))?;
    Ok((left.to_owned(), right.to_owned()))
}

/// Reads a module, naming it in the error.
fn module_bytes(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {path}"))
}

fn run(request: &Request) -> Result<i32> {
    match request.engine.as_str() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request> {
        Request::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_end_at_the_file() {
        let request =
            parse("--engine wasmi --dir /h::/g --preload a=b.wasm dir/f.wasm -x --dir y").unwrap();
        assert_eq!(request.engine, "wasmi");
        assert_eq!(request.dirs, [("/h".to_owned(), "/g".to_owned())]);
        assert_eq!(request.preloads, [("a".to_owned(), "b.wasm".to_owned())]);
        assert_eq!(request.argv(), ["f.wasm", "-x", "--dir", "y"]);
    }

    #[test]
    fn mistakes_are_errors() {
        for line in [
            "",
            "--engine",
            "--engine wasmi",
            "--dir nothing f.wasm",
            "--unknown f.wasm",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(run(&parse("--engine other f.wasm").unwrap()).is_err());
    }
}
