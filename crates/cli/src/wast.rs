//! `upshift wast`: scripts of the WebAssembly test suite's format.

use crate::args::{EXIT_ERROR, WastArgs};
use crate::report::format::counted;
use crate::{engine, report};
use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use upshift_wasm::Engine;
use upshift_wasm::wast::{WastOptions, WastReport, run_wast};

/// Runs the command. Returns the process's exit code.
pub fn wast(args: &WastArgs) -> Result<i32> {
    let mut files = Vec::new();
    for path in &args.files {
        collect(path, &mut files)?;
    }
    if files.is_empty() {
        bail!("there are no .wast files in the directories given");
    }
    let (mut passed, mut failed) = (0, 0);
    for file in &files {
        let report = run_file(args, file)?;
        passed += report.passed;
        failed += report.failed.len();
        report::stdout(&line(&report));
    }
    if files.len() > 1 {
        let files = counted(files.len() as u64, "script");
        let assertions = counted(passed as u64, "assertion");
        report::stdout(&format!("{files}: {assertions} hold, {failed} failed\n"));
    }
    Ok(if failed > 0 { EXIT_ERROR } else { 0 })
}

/// The file, or all scripts below the directory, sorted.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let cannot = || format!("cannot list {}", path.display());
    let entries = std::fs::read_dir(path).with_context(cannot)?;
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()
        .with_context(cannot)?;
    entries.sort();
    for entry in entries {
        // A link to a directory above would lead round in circles.
        if entry.is_dir() && !entry.is_symlink()
            || entry.extension().is_some_and(|ext| ext == "wast")
        {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn run_file(args: &WastArgs, file: &Path) -> Result<WastReport> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let source = String::from_utf8(bytes).with_context(|| format!("{name} is not text"))?;
    let engine = Engine::new(engine::config(&args.engine)).map_err(|error| anyhow!("{error}"))?;
    Ok(run_wast(&engine, &name, &source, &WastOptions::default()))
}

fn line(report: &WastReport) -> String {
    let passed = counted(report.passed as u64, "assertion");
    if report.failed.is_empty() {
        return format!("ok    {}  {passed}\n", report.file);
    }
    let mut text = format!(
        "FAIL  {}  {passed} hold, {} failed\n",
        report.file,
        report.failed.len()
    );
    for failure in &report.failed {
        text.push_str(&format!("  {failure}\n"));
    }
    text
}
