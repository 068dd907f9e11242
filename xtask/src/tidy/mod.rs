//! `cargo xtask tidy`: proves that the sources keep the project's rules.
//!
//! Each rule is a module that looks at parsed files and returns findings; nothing else touches the disk. A finding says
//! where, what and what to do. `xtask/tidy-exceptions.txt` excuses single findings, each with a reason.

mod architecture;
mod crates;
mod finding;
mod modules;
mod pages;
mod sizes;
mod source;
mod tree;
mod unsafety;
mod words;

use std::collections::HashMap;

use anyhow::Result;

use self::crates::Package;
use self::finding::{EXCEPTIONS_PATH, Finding};
use self::pages::Citable;
use self::source::RustFile;
use crate::shell;

/// What `cargo xtask tidy` was asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Show only findings in files whose path contains this
    #[arg(value_name = "PATH")]
    path: Option<String>,
}

/// Extensions of the files in which words are looked for, Rust's own aside.
const TEXTS: [&str; 10] = [
    "md", "toml", "c", "h", "lua", "mjs", "wat", "yml", "sh", "txt",
];

/// Applies every rule; false if one is broken.
pub fn run(options: &Options, commands: &[String]) -> Result<bool> {
    let mut findings = findings(commands)?;
    if let Some(path) = &options.path {
        findings.retain(|finding| finding.path.contains(path));
    }
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => println!("tidy: nothing to complain about"),
        count => println!("tidy: {count} findings"),
    }
    Ok(findings.is_empty())
}

fn findings(commands: &[String]) -> Result<Vec<Finding>> {
    let root = shell::root();
    let paths = source::list(&root)?;
    let metadata = shell::output(shell::cargo(&root).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let packages = Package::from_metadata(&metadata, &root)?;
    let texts = source::read_all(&root, &paths, &TEXTS)?;

    let mut findings = crates::check(&packages);
    let mut files = Vec::new();
    for text in source::read_all(&root, &paths, &["rs"])? {
        match RustFile::parse(&text.path, &text.text) {
            Ok(file) => files.push(file),
            Err(error) => {
                let line = error.span().start().line;
                findings.push(Finding::new(
                    "parse",
                    &text.path,
                    line,
                    error.to_string(),
                    "make it valid Rust",
                ));
            }
        }
        findings.extend(words::check(&text));
    }
    for file in &files {
        findings.extend(sizes::check(file));
        findings.extend(architecture::check(file));
        findings.extend(unsafety::check(file));
        findings.extend(words::check_finished(file));
    }
    findings.extend(crate_findings(&packages, &files));
    let ignore = shell::read(&root.join(".gitignore"))?;
    let citable = Citable::new(&paths, &ignore, &files, commands);
    for text in &texts {
        findings.extend(words::check(text));
        if text.path.ends_with(".md") {
            findings.extend(pages::check(text, &citable));
        }
    }
    let exceptions = shell::read(&root.join(EXCEPTIONS_PATH))?;
    Ok(finding::excuse(findings, &exceptions))
}

/// The rules about a crate as a whole.
fn crate_findings(packages: &[Package], files: &[RustFile]) -> Vec<Finding> {
    let by_path: HashMap<&str, &RustFile> = files
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    let mut findings = Vec::new();
    for root in packages.iter().flat_map(|package| &package.roots) {
        let Some(file) = by_path.get(root.as_str()) else {
            continue;
        };
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        let inside = |file: &&RustFile| {
            file.path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let own: Vec<&RustFile> = files.iter().filter(inside).collect();
        findings.extend(modules::check(&by_path, root));
        findings.extend(unsafety::check_crate(file, &own));
    }
    findings
}
