//! How long it takes to start: what a process costs that does nothing, the smallest program on top of that, and a large
//! program that was started before.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::engines::Engine;
use super::process;
use super::programs::Program;
use super::report::{Start, StartOf};
use super::stats;
use crate::shell;

/// What is started once before it is measured, and in which engines.
const STARTS: [(&str, StartOf); 2] = [
    ("hello", StartOf::Smallest),
    ("clang-version", StartOf::Large),
];
const ENGINES: [&str; 2] = ["upshift-auto", "node"];
/// Each is measured so many times as often as programs are: it is short.
const MORE_RUNS: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);

/// Measures the starts, in turns.
pub fn measure(
    root: &Path,
    engines: &[Engine],
    programs: &[Program],
    runs: usize,
) -> Result<Vec<Start>> {
    let mut starts = vec![(
        start(StartOf::Nothing, "an empty process"),
        Command::new("true"),
    )];
    for (name, of) in STARTS {
        let program = programs.iter().find(|program| program.name == name);
        let Some((program, arguments)) = program.and_then(|p| Some((p, p.short?))) else {
            continue;
        };
        for engine in engines.iter().filter(|e| ENGINES.contains(&e.id)) {
            let mut command = Command::new(&engine.binary);
            command.args(&engine.flags).args(&program.flags);
            command.args(arguments).current_dir(root);
            starts.push((start(of, engine.label), command));
        }
    }
    if starts.len() == 1 {
        return Ok(Vec::new());
    }
    shell::step("starting");
    for round in 0..=runs * MORE_RUNS {
        for (start, command) in &mut starts {
            let (seconds, cpu_seconds) = once(root, command)?;
            // The first of all is what makes the others second starts.
            if round > 0 {
                start.seconds.push(seconds);
                start.cpu_seconds.push(cpu_seconds);
            }
        }
    }
    Ok(starts.into_iter().map(|(start, _)| start).collect())
}

fn start(of: StartOf, label: &str) -> Start {
    Start {
        of,
        label: label.to_owned(),
        seconds: Vec::new(),
        cpu_seconds: Vec::new(),
    }
}

fn once(root: &Path, command: &Command) -> Result<(f64, f64)> {
    let nowhere = Path::new("/dev/null");
    let errors = root.join("corpus/bench/stderr");
    let ended = process::run(command, LIMIT, nowhere, &errors)?;
    let ended = ended.with_context(|| format!("{command:?} takes too long"))?;
    anyhow::ensure!(
        ended.code == Some(0),
        "{command:?} ends with {}",
        ended.status
    );
    Ok((ended.seconds, ended.cpu_seconds))
}

/// Writes the part of the page, if there is something to say.
pub fn write(page: &mut String, starts: &[Start]) {
    let nothing = starts.iter().find(|start| start.of == StartOf::Nothing);
    let Some((empty, empty_cpu)) = nothing.and_then(medians) else {
        return;
    };
    page.push_str(
        "## Starting\n\nMilliseconds from the start of a process to its end, and of processor time on all cores; medians, and the \
         difference to a process that does nothing. Every program was started before in the same engine, so this is its second \
         start at least, and its file is in memory.\n\n\
         | | elapsed | over an empty process | times ours | processor time | over an empty process |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for start in starts {
        let Some((elapsed, cpu)) = medians(start) else {
            continue;
        };
        let ours = starts.iter().find(|other| other.of == start.of);
        let times = ours
            .and_then(medians)
            .map_or(1.0, |(ours, _)| elapsed / ours);
        let what = match start.of {
            StartOf::Nothing => start.label.clone(),
            StartOf::Smallest => format!("`hello`, {}", start.label),
            StartOf::Large => format!("`clang --version`, {}", start.label),
        };
        let _ = writeln!(
            page,
            "| {what} | {:.2} | {:.2} | {times:.2} | {:.2} | {:.2} |",
            elapsed * 1e3,
            (elapsed - empty) * 1e3,
            cpu * 1e3,
            (cpu - empty_cpu) * 1e3,
        );
    }
    page.push('\n');
}

fn medians(start: &Start) -> Option<(f64, f64)> {
    Some((
        stats::median(&start.seconds)?,
        stats::median(&start.cpu_seconds)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_to_the_empty_process_and_ratios_to_ours() {
        let of = |of, label: &str, seconds: f64| Start {
            seconds: vec![seconds, seconds],
            cpu_seconds: vec![seconds / 2.0],
            ..start(of, label)
        };
        let starts = [
            of(StartOf::Nothing, "nothing", 0.001),
            of(StartOf::Large, "ours", 0.010),
            of(StartOf::Large, "theirs", 0.050),
        ];
        let mut page = String::new();
        write(&mut page, &starts);
        assert!(
            page.contains("| nothing | 1.00 | 0.00 | 1.00 | 0.50 | 0.00 |"),
            "{page}"
        );
        let theirs = "| `clang --version`, theirs | 50.00 | 49.00 | 5.00 | 25.00 | 24.50 |";
        assert!(page.contains(theirs), "{page}");
        page.clear();
        write(&mut page, &starts[1..]);
        assert!(page.is_empty());
    }

    #[test]
    fn a_process_that_does_nothing_takes_some_time() {
        let root = shell::root();
        shell::create_folder(&root.join("corpus/bench")).unwrap();
        assert!(measure(&root, &[], &[], 1).unwrap().is_empty());
    }
}
