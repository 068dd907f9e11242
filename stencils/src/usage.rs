//! How often each stencil would be copied if all functions of the corpus were compiled.

use anyhow::Result;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use upshift_wasm::stencil_generator::{TableRow, operation_number};
use wasmparser::{Parser, Payload};

/// Occurrences of operations that have a stencil.
pub struct Usage {
    /// How many modules were looked at.
    pub modules: usize,
    /// How many operators there are in all.
    pub operators: u64,
    /// The operations with a stencil by name, and how often each occurs, most frequent first.
    pub counts: Vec<(&'static str, u64)>,
}

/// Counts in all modules of a folder; `None` if it is not there.
pub fn of_corpus(folder: &Path, rows: &[TableRow]) -> Result<Option<Usage>> {
    let mut files = Vec::new();
    find(folder, &mut files);
    files.sort();
    if files.is_empty() {
        return Ok(None);
    }
    // Those that only canonical NaNs have a stencil for are encoded otherwise.
    let plain = rows.iter().filter(|row| row.variants & 0b0101 != 0);
    let names: HashMap<_, _> = plain.map(|row| (row.operation, row.name)).collect();
    let mut usage = Usage {
        modules: files.len(),
        operators: 0,
        counts: Vec::new(),
    };
    let mut counts = HashMap::<&'static str, u64>::new();
    for file in &files {
        count(&fs::read(file)?, &names, &mut usage.operators, &mut counts);
    }
    usage.counts = counts.into_iter().collect();
    usage
        .counts
        .sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
    Ok(Some(usage))
}

fn find(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            files.push(path);
        }
    }
}

/// A module that is not one is none of ours.
fn count(
    bytes: &[u8],
    names: &HashMap<usize, &'static str>,
    operators: &mut u64,
    counts: &mut HashMap<&'static str, u64>,
) {
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else {
            return;
        };
        let Payload::CodeSectionEntry(body) = payload else {
            continue;
        };
        let Ok(mut reader) = body.get_operators_reader() else {
            return;
        };
        while !reader.eof() {
            let at = reader.original_position() as usize;
            if reader.read().is_err() {
                return;
            }
            *operators += 1;
            let number = bytes.get(at..).and_then(operation_number);
            if let Some(name) = number.and_then(|number| names.get(&number)) {
                *counts.entry(name).or_default() += 1;
            }
        }
    }
}
