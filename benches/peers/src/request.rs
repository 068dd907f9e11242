//! The command line: what to run, in what.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// What the command line may be.
pub const USAGE: &str = "usage: peer --engine wasmtime-cranelift|wasmtime-winch|wasmi \
                     [--compile] [--dir HOST::GUEST] [--preload NAME=FILE] [--invoke NAME] FILE [ARGS...]";

/// What to run.
#[derive(Debug, Default, PartialEq)]
pub struct Request {
    /// The engine's name.
    pub engine: String,
    /// Whether the module is only to be compiled.
    pub compile: bool,
    /// Folders: the host's and the guest's name.
    pub dirs: Vec<(String, String)>,
    /// Modules whose exports satisfy imports: the name they are imported by, and the file.
    pub preloads: Vec<(String, String)>,
    /// The export to call instead of the program's entry. Its arguments are the program's, read as its parameters.
    pub invoke: Option<String>,
    /// The module.
    pub file: String,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Request {
    /// Reads the command line.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Request> {
        let mut request = Request::default();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value\n{USAGE}"))
            };
            match word.as_str() {
                "--engine" => request.engine = value()?,
                "--compile" => request.compile = true,
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
    pub fn argv(&self) -> Vec<String> {
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
pub fn module_bytes(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {path}"))
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
    }
}
