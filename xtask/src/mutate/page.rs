//! The page that says which faults the tests notice.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::faults::Outcome;
use crate::bench::machine;

/// The page.
pub fn text(root: &Path, outcomes: &[Outcome]) -> Result<String> {
    let machine = machine::describe(root)?;
    let survivors: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.noticed_by.is_none())
        .collect();
    let noticed = outcomes.len() - survivors.len();
    let minutes = outcomes.iter().map(|outcome| outcome.seconds).sum::<u64>() / 60;
    let mut page = format!(
        "# Seeded faults\n\nWritten by `cargo xtask mutate` from what it did; not edited by hand.\n\n\
         **{} faults, {noticed} noticed, {} survived.**\n\n\
         Each fault is a change of a line or two in a copy of the sources, a mistake that one could make. The tests named run \
         on it; a fault that they do not notice stands for a test that is missing.\n\n",
        outcomes.len(),
        survivors.len(),
    );
    let _ = writeln!(page, "- machine: {}", machine.processors.join("; "));
    let _ = writeln!(page, "- compiler: {}", machine.rustc);
    let revisions: BTreeSet<&str> = outcomes.iter().map(|o| o.revision.as_str()).collect();
    let revisions: Vec<&str> = revisions.into_iter().collect();
    let _ = writeln!(
        page,
        "- revision: {}; {}",
        revisions.join(", "),
        machine.date
    );
    let _ = writeln!(page, "- time: {minutes} minutes\n");
    if !survivors.is_empty() {
        page.push_str("## Survivors\n\n");
        for outcome in &survivors {
            let _ = writeln!(page, "- {} (`{}`)", outcome.name, outcome.file);
        }
        page.push('\n');
    }
    page.push_str("## All\n\n| fault | where | noticed by | seconds |\n|---|---|---|--:|\n");
    for outcome in outcomes {
        let noticed_by = outcome
            .noticed_by
            .as_ref()
            .map_or("nothing".to_owned(), |tests| {
                format!("`cargo test {tests}`")
            });
        let (name, file) = (&outcome.name, &outcome.file);
        let _ = writeln!(
            page,
            "| {name} | `{file}` | {noticed_by} | {} |",
            outcome.seconds
        );
    }
    Ok(page)
}
