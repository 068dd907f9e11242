//! Files to modules: reads a program, says what a file is that is none, and turns text into the binary form.

use anyhow::{Result, anyhow, bail};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};
use upshift_wasm::{Engine, Module, ModuleOptions};

/// A module in its binary form, and how long it took to get it.
pub struct Binary {
    pub bytes: Vec<u8>,
    pub read: Duration,
    /// Zero for a file that is in binary form.
    pub parse_text: Duration,
}

/// The times that the phases up to a valid module took.
#[derive(Clone, Copy, Default)]
pub struct LoadTimes {
    pub read: Duration,
    pub parse_text: Duration,
    pub decode: Duration,
    pub validate: Duration,
    /// Whether functions are validated when they are first called.
    pub is_lazy: bool,
}

/// Reads a file that is a module in binary form or in text.
pub fn read(path: &Path) -> Result<Binary> {
    let start = Instant::now();
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            bail!(
                "{} is a directory, not a WebAssembly program",
                path.display()
            )
        }
        _ => std::fs::read(path)
            .map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?,
    };
    let read = start.elapsed();
    if bytes.starts_with(b"\0asm") {
        return Ok(Binary {
            bytes,
            read,
            parse_text: Duration::ZERO,
        });
    }
    if !looks_like_text(&bytes) {
        bail!(
            "{} is not WebAssembly: {}",
            path.display(),
            what_it_is(&bytes)
        );
    }
    let start = Instant::now();
    let bytes = match wat::parse_bytes(&bytes) {
        Ok(Cow::Owned(binary)) => binary,
        Ok(Cow::Borrowed(_)) => bytes,
        Err(mut error) => {
            error.set_path(path);
            bail!("{} is not valid WebAssembly text: {error}", path.display());
        }
    };
    Ok(Binary {
        bytes,
        read,
        parse_text: start.elapsed(),
    })
}

/// A file of this many bytes is a large program, of which most is never used: it is mapped, and its functions are
/// validated when they are first used. A smaller one is read and validated in a few milliseconds, and a mistake in it is
/// reported before anything runs.
const LARGE_BYTES: u64 = 4 << 20;

/// Reads, decodes and validates a module.
pub fn load(engine: &Engine, path: &Path, options: ModuleOptions) -> Result<(Module, LoadTimes)> {
    if is_large_binary(path) {
        let module = Module::from_file_lazily(engine, path, options)
            .map_err(|error| anyhow!("{error} (not valid)"))?;
        let (decode, validate) = module.load_times();
        let times = LoadTimes {
            decode,
            validate,
            is_lazy: true,
            ..LoadTimes::default()
        };
        return Ok((module, times));
    }
    let Binary {
        bytes,
        read,
        parse_text,
    } = read(path)?;
    let module = Module::from_vec(engine, bytes, options)
        .map_err(|error| anyhow!("{} is not valid: {error}", path.display()))?;
    let (decode, validate) = module.load_times();
    Ok((
        module,
        LoadTimes {
            read,
            parse_text,
            decode,
            validate,
            is_lazy: false,
        },
    ))
}

fn is_large_binary(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let is_large = file
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() >= LARGE_BYTES);
    let mut magic = [0; 4];
    is_large && file.read_exact(&mut magic).is_ok() && &magic == b"\0asm"
}

/// Whether it makes sense to read the file as WebAssembly text: if something is wrong there, a line number helps.
fn looks_like_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut rest = text.trim_start();
    while rest.starts_with(";;") {
        rest = rest
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest.starts_with('(')
}

fn what_it_is(bytes: &[u8]) -> String {
    let known: [(&[u8], &str); 5] = [
        (b"\x7fELF", "it is an ELF file, a native program or library"),
        (b"#!", "it is a script"),
        (b"\x1f\x8b", "it is compressed with gzip"),
        (b"PK\x03\x04", "it is a zip archive"),
        (b"BC\xc0\xde", "it is LLVM bitcode"),
    ];
    if bytes.is_empty() {
        return "it is empty".to_owned();
    }
    if let Some((_, what)) = known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*what).to_owned();
    }
    let first: Vec<String> = bytes
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "it starts with the bytes {}, where a binary module has 00 61 73 6d and text has a parenthesis",
        first.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_recognised_behind_comments() {
        assert!(looks_like_text(b"  ;; (\n;; x\n (module)"));
        assert!(looks_like_text(b"(; block ;) (module)"));
        assert!(
            !looks_like_text(b"int main;") && !looks_like_text(b";; only") && !looks_like_text(b"")
        );
        assert!(!looks_like_text(b"(\xff"));
    }

    #[test]
    fn other_files_are_named() {
        assert!(what_it_is(b"").contains("empty"));
        assert!(what_it_is(b"\x7fELF\x02").contains("ELF"));
        assert!(what_it_is(b"int main").contains("69 6e 74 20"));
    }
}
