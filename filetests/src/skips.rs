//! The list of directives that are left out, each with its reason.
//!
//! One a line: `folder/script.wast:line reason`, optionally with `@setup` behind the line number for one setup only. Lines
//! that start with `#` are comments.

use crate::Setup;
use std::collections::{BTreeMap, BTreeSet};

/// What is left out.
#[derive(Debug, Default)]
pub struct SkipList {
    entries: Vec<Entry>,
    used: BTreeSet<usize>,
}

#[derive(Debug)]
struct Entry {
    script: String,
    line: usize,
    setup: Option<String>,
    reason: String,
}

impl SkipList {
    /// Reads a list.
    ///
    /// # Errors
    /// If a line is not of the form described, or has no reason. The error says which.
    pub fn parse(text: &str) -> Result<SkipList, String> {
        let mut list = SkipList::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = parse_entry(line)
                .ok_or_else(|| format!("line {}: not `script:line reason`: {line}", number + 1))?;
            list.entries.push(entry);
        }
        Ok(list)
    }

    /// What to leave out of a script: line numbers and reasons.
    pub fn of(&self, script: &str, setup: Setup) -> BTreeMap<usize, String> {
        self.matching(script, setup)
            .map(|(_, entry)| (entry.line, entry.reason.clone()))
            .collect()
    }

    /// Says that the directive in that line of the script was indeed left out.
    pub fn mark_used(&mut self, script: &str, setup: Setup, line: usize) {
        let used: Vec<usize> = self
            .matching(script, setup)
            .filter(|(_, entry)| entry.line == line)
            .map(|(index, _)| index)
            .collect();
        self.used.extend(used);
    }

    /// The entries that no directive used.
    pub fn unused(&self) -> Vec<String> {
        let unused = self
            .entries
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.used.contains(index));
        unused
            .map(|(_, entry)| format!("{}:{}", entry.script, entry.line))
            .collect()
    }

    fn matching(&self, script: &str, setup: Setup) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().filter(move |(_, entry)| {
            entry.script == script
                && entry
                    .setup
                    .as_ref()
                    .is_none_or(|wanted| *wanted == setup.to_string())
        })
    }
}

fn parse_entry(line: &str) -> Option<Entry> {
    let (place, reason) = line.split_once(char::is_whitespace)?;
    let (script, line) = place.rsplit_once(':')?;
    let (line, setup) = match line.split_once('@') {
        Some((line, setup)) => (line, Some(setup.to_owned())),
        None => (line, None),
    };
    let reason = reason.trim().to_owned();
    Some(Entry {
        script: script.to_owned(),
        line: line.parse().ok()?,
        setup,
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_apply_to_their_script_and_setup() {
        let text = "# comment\n\na/b.wast:3 no reason\na/b.wast:4@mixed slow there\n";
        let mut list = SkipList::parse(text).unwrap();
        let lines = |setup| list.of("a/b.wast", setup).into_keys().collect::<Vec<_>>();
        assert_eq!(lines(Setup::Tier0), [3]);
        assert_eq!(lines(Setup::Mixed), [3, 4]);
        assert!(list.of("a/c.wast", Setup::Mixed).is_empty());
        list.mark_used("a/b.wast", Setup::Mixed, 4);
        assert_eq!(list.unused(), ["a/b.wast:3"]);
    }

    #[test]
    fn an_entry_needs_a_reason() {
        assert!(SkipList::parse("a/b.wast:3").is_err());
        assert!(SkipList::parse("a/b.wast reason").is_err());
    }
}
