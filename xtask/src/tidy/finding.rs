//! What a rule reports, and the list of exceptions.
//!
//! An exception is a line of `xtask/tidy-exceptions.txt`: rule, path, item and reason, with ` | ` between them. The item
//! is what the finding names (a function, say), or `-`. An exception that meets no finding is itself a finding, so the
//! list cannot outlive its reasons.

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the repository's root.
    pub path: String,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// The rule's name, as exceptions spell it.
    pub rule: &'static str,
    /// What it is about, if one file can break the rule several times; `-` otherwise.
    pub item: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding about a file as a whole or about an unnamed place in it.
    pub fn new(rule: &'static str, path: &str, line: usize, problem: String, remedy: &str) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            item: "-".to_owned(),
            problem,
            remedy: remedy.to_owned(),
        }
    }

    /// The same about a named item.
    pub fn about(mut self, item: &str) -> Self {
        item.clone_into(&mut self.item);
        self
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            line,
            rule,
            problem,
            remedy,
            ..
        } = self;
        write!(f, "{path}:{line}: {problem}; {remedy} [{rule}]")
    }
}

/// Where the exceptions are.
pub const EXCEPTIONS_PATH: &str = "xtask/tidy-exceptions.txt";

/// Takes the findings out that the list excuses, and adds one for each line that excuses nothing or gives no reason.
pub fn excuse(findings: Vec<Finding>, list: &str) -> Vec<Finding> {
    let mut left = findings;
    let mut about_list = Vec::new();
    for (index, line) in list.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let complain = |problem: String, remedy: &str| {
            Finding::new("exceptions", EXCEPTIONS_PATH, index + 1, problem, remedy)
        };
        let fields: Vec<&str> = line.splitn(4, " | ").map(str::trim).collect();
        let [rule, path, item, reason] = fields[..] else {
            about_list.push(complain(
                "this line is not an exception".to_owned(),
                "write `rule | path | item | reason`",
            ));
            continue;
        };
        if reason.is_empty() {
            about_list.push(complain(
                "this exception gives no reason".to_owned(),
                "say why it must be",
            ));
        }
        let before = left.len();
        left.retain(|finding| {
            !(finding.rule == rule && finding.path == path && finding.item == item)
        });
        if left.len() == before {
            about_list.push(complain(
                format!("nothing breaks the rule {rule} at {path} ({item}) any more"),
                "remove the line",
            ));
        }
    }
    left.extend(about_list);
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding::new(
            "function-lines",
            "a/b.rs",
            7,
            "too long".to_owned(),
            "split it",
        )
        .about("run")
    }

    #[test]
    fn an_exception_excuses_what_it_names() {
        assert_eq!(
            excuse(
                vec![finding()],
                "# why\n\nfunction-lines | a/b.rs | run | a table\n"
            ),
            []
        );
        assert_eq!(excuse(vec![finding()], ""), [finding()]);
    }

    #[test]
    fn an_exception_that_excuses_nothing_is_a_finding() {
        let left = excuse(
            vec![finding()],
            "function-lines | a/b.rs | walk | a table\n",
        );
        assert_eq!(left.len(), 2);
        assert_eq!((left[1].rule, left[1].line), ("exceptions", 1));
    }

    #[test]
    fn an_exception_needs_four_fields_and_a_reason() {
        assert_eq!(
            excuse(vec![finding()], "function-lines | a/b.rs | run\n").len(),
            2
        );
        assert_eq!(
            excuse(vec![finding()], "function-lines | a/b.rs | run | \n").len(),
            1
        );
    }

    #[test]
    fn a_finding_names_file_line_problem_and_remedy() {
        assert_eq!(
            finding().to_string(),
            "a/b.rs:7: too long; split it [function-lines]"
        );
    }
}
