//! The part of the page about tier 0 that says what stencils there are.

use crate::made::{self, Made};
use crate::usage::Usage;
use anyhow::{Context as _, Result};
use std::fmt::Write;
use std::path::Path;

const TABLE: (&str, &str) = (
    "<!-- stencils: table -->\n",
    "<!-- stencils: end of table -->",
);
const USAGE: (&str, &str) = (
    "<!-- stencils: usage -->\n",
    "<!-- stencils: end of usage -->",
);
/// How many of the most frequent are named.
const NAMED: usize = 20;

/// Writes the part of the page between the marks, or checks that it is there. What the corpus uses is written if there is
/// a corpus, and is not checked.
pub fn put(path: &Path, made: &[Made], usage: &Option<Usage>, check: bool) -> Result<bool> {
    let name = path.display();
    let there = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let mut page = between(&there, TABLE, &table(made)).context("the page has no marks")?;
    if let (Some(usage), false) = (usage, check) {
        page = between(&page, USAGE, &frequent(usage)).context("the page has no marks")?;
    }
    made::put(path, &page, check)
}

/// The page with other text between two marks.
fn between(page: &str, marks: (&str, &str), text: &str) -> Option<String> {
    let start = page.find(marks.0)? + marks.0.len();
    let end = start + page[start..].find(marks.1)?;
    Some(format!("{}{text}{}", &page[..start], &page[end..]))
}

fn table(made: &[Made]) -> String {
    let mut text =
        "| | stencils | of these also with canonical NaNs | bytes |\n|---|---|---|---|\n"
            .to_owned();
    for made in made {
        for (level, name) in made.levels.iter().enumerate() {
            let plain = made
                .rows
                .iter()
                .filter(|row| row.variants >> (2 * level) & 1 == 1);
            let (mut stencils, mut bytes, mut both) = (0, 0, 0);
            for row in plain {
                stencils += 1;
                bytes += row.stencil.as_stencil().code.len();
                both += usize::from(row.variants >> (2 * level + 1) & 1 == 1);
            }
            let _ = writeln!(text, "| {} | {stencils} | {both} | {bytes} |", name);
        }
        let bytes: usize = made
            .rows
            .iter()
            .map(|row| row.stencil.as_stencil().code.len())
            .sum();
        let _ = writeln!(
            text,
            "| the whole table for {} | {} | | {bytes} |",
            made.name,
            made.rows.len()
        );
    }
    text
}

fn frequent(usage: &Usage) -> String {
    let all: u64 = usage.counts.iter().map(|(_, count)| count).sum();
    let share = |count: u64| 100.0 * count as f64 / usage.operators as f64;
    let mut text = format!(
        "In the {} modules of the corpus, {all} of {} operators ({:.2} %) are stencils, of {} kinds. The most frequent:\n\n\
         | operation | times | per mille of all operators |\n|---|---|---|\n",
        usage.modules,
        usage.operators,
        share(all),
        usage.counts.len(),
    );
    for (name, count) in usage.counts.iter().take(NAMED) {
        let _ = writeln!(text, "| `{name}` | {count} | {:.3} |", 10.0 * share(*count));
    }
    text
}
