//! What is made, and how it gets into files.

use anyhow::{Context as _, Result};
use std::path::Path;
use upshift_wasm::stencil_generator::TableRow;

/// The table of one machine.
pub struct Made {
    /// What pages call it.
    pub name: &'static str,
    /// The levels of its processors.
    pub levels: Vec<&'static str>,
    /// The stencils.
    pub rows: Vec<TableRow>,
    /// What making one stencil takes.
    pub microseconds: f64,
}

/// Writes a file, or checks that it has this text already.
pub fn put(path: &Path, text: &str, check: bool) -> Result<bool> {
    let name = path.display();
    if !check {
        std::fs::write(path, text).with_context(|| format!("cannot write {name}"))?;
        return Ok(true);
    }
    let there = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    if there != text {
        let line = there.lines().zip(text.lines()).position(|(a, b)| a != b);
        let line = line.unwrap_or_else(|| there.lines().count().min(text.lines().count())) + 1;
        eprintln!(
            "{name} is not what is generated, from line {line} on: run `cargo xtask stencils`"
        );
    }
    Ok(there == text)
}
