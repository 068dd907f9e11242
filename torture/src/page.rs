//! The page that says what a run found.

use crate::machine;
use crate::report::Report;
use std::fmt::Write as _;

/// The page.
pub fn text(command: &str, reports: &[Report]) -> String {
    let checks: u64 = reports.iter().map(|report| report.checks).sum();
    let failures: usize = reports.iter().map(|report| report.failures.len()).sum();
    let seconds: f64 = reports.iter().map(|report| report.time.as_secs_f64()).sum();
    let mut page = String::from(
        "# Faults and load\n\nThis page is written by the command below, from what it measured; nothing on it is typed by hand.\n\n",
    );
    let _ = writeln!(page, "| | |\n|---|---|");
    let _ = writeln!(page, "| command | `{command}` |");
    let _ = writeln!(page, "| date | {} |", machine::date());
    let _ = writeln!(page, "| machine | {} |", machine::describe());
    let _ = writeln!(page, "| checks | {checks} |");
    let _ = writeln!(page, "| failed | {failures} |");
    let _ = writeln!(page, "| time | {seconds:.0} s |\n");
    let missed: Vec<_> = reports.iter().flat_map(|report| &report.missed).collect();
    if failures > 0 || !missed.is_empty() {
        page.push_str("## What falls short\n\n");
        for report in reports {
            for failure in &report.failures {
                let _ = writeln!(page, "- {} failed: {failure}", report.name);
            }
        }
        for missed in missed {
            let _ = writeln!(page, "- {missed}");
        }
        page.push('\n');
    }
    for report in reports {
        let _ = writeln!(
            page,
            "## {}\n\n{}.\n",
            report.name,
            capitalised(report.about)
        );
        let _ = writeln!(page, "| | |\n|---|---:|");
        for (what, value) in &report.figures {
            let _ = writeln!(page, "| {what} | {value} |");
        }
        let _ = writeln!(page, "| checks | {} |", report.checks);
        let _ = writeln!(page, "| failed | {} |", report.failures.len());
        let _ = writeln!(page, "| seconds | {:.1} |\n", report.time.as_secs_f64());
    }
    page
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
