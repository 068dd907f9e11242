//! Words that must not be in the repository: paths of one developer's machine, hosts of package registries, numbers of
//! issues, and marks of work that was left undone.
//!
//! The words are put together from halves here, so that this file does not contain them.

use super::finding::Finding;
use super::source::{RustFile, TextFile};

/// Where a word counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Everywhere,
    Pages,
}

struct Forbidden {
    word: String,
    place: Where,
    problem: &'static str,
    remedy: &'static str,
}

fn forbidden() -> Vec<Forbidden> {
    let mut all = Vec::new();
    let mut add = |halves: &[(&str, &str)], place, problem, remedy| {
        for (head, tail) in halves {
            all.push(Forbidden {
                word: format!("{head}{tail}"),
                place,
                problem,
                remedy,
            });
        }
    };
    let machine = "is a path of one machine";
    let relative = "write a path relative to the repository's root";
    add(
        &[("/wo", "rk/"), ("/ro", "ot/")],
        Where::Everywhere,
        machine,
        relative,
    );
    add(
        &[("/tm", "p/"), ("/ho", "me/")],
        Where::Pages,
        machine,
        relative,
    );
    let hosts = [
        ("index.crates", ".io"),
        ("static.crates", ".io"),
        ("crates.io", "-index"),
        ("registry.npmjs", ".org"),
        ("registry.yarnpkg", ".com"),
        ("py", "pi.org"),
        ("files.python", "hosted.org"),
        ("deb.debian", ".org"),
        ("security.debian", ".org"),
        ("ftp.debian", ".org"),
        ("archive.ubuntu", ".com"),
        ("proxy.golang", ".org"),
    ];
    let by_name = "name the package and leave the host to the user's own settings";
    add(
        &hosts,
        Where::Everywhere,
        "is a package registry's host",
        by_name,
    );
    all
}

/// Checks a file that may be a page, a configuration or a source.
pub fn check(file: &TextFile) -> Vec<Finding> {
    let is_page = file.path.ends_with(".md");
    let mut findings = Vec::new();
    let forbidden = forbidden();
    for (index, line) in file.text.lines().enumerate() {
        for each in forbidden
            .iter()
            .filter(|each| is_page || each.place == Where::Everywhere)
        {
            if contains_path(line, &each.word) {
                let problem = format!("{} {}", each.word, each.problem);
                findings.push(
                    Finding::new("words", &file.path, index + 1, problem, each.remedy)
                        .about(&each.word),
                );
            }
        }
        if mentions_issue(line) {
            let problem = "the line mentions an issue by its number".to_owned();
            findings.push(Finding::new(
                "words",
                &file.path,
                index + 1,
                problem,
                "say what it is about instead",
            ));
        }
    }
    findings
}

/// Whether a line has the word; a path only where it starts, so that a longer path that ends like it does not count.
fn contains_path(line: &str, word: &str) -> bool {
    let starts = |at: usize| {
        let before = line[..at].chars().next_back();
        !word.starts_with('/')
            || before.is_none_or(|before| !before.is_alphanumeric() && !"._-}*".contains(before))
    };
    line.match_indices(word).any(|(at, _)| starts(at))
}

fn mentions_issue(line: &str) -> bool {
    let lower = line.to_lowercase();
    let starts = |at: usize| {
        lower[..at]
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_alphanumeric())
    };
    lower.match_indices("issue ").any(|(at, word)| {
        let rest = lower[at + word.len()..].trim_start_matches('#');
        starts(at) && rest.starts_with(|first: char| first.is_ascii_digit())
    })
}

/// Checks a Rust file for marks of unfinished work.
pub fn check_finished(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut complain = |line: usize, what: &str| {
        let problem = format!("{what} marks work that was not done");
        findings.push(
            Finding::new(
                "unfinished",
                &file.path,
                line,
                problem,
                "do it, or take it out",
            )
            .about(what),
        );
    };
    for (index, token) in file.tokens.iter().enumerate() {
        let next = file
            .tokens
            .get(index + 1)
            .map_or("", |token| token.text.as_str());
        let before = |back: usize| {
            index
                .checked_sub(back)
                .map_or("", |at| file.tokens[at].text.as_str())
        };
        match token.text.as_str() {
            macro_name @ ("todo" | "unimplemented") if next == "!" => {
                complain(token.line, &format!("{macro_name}!"))
            }
            "ignore" if before(1) == "[" && before(2) == "#" => complain(token.line, "#[ignore]"),
            _ => {}
        }
    }
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ];
    for (index, line) in file.text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//") else {
            continue;
        };
        let words = comment.split(|letter: char| !letter.is_alphanumeric());
        words
            .filter(|word| marks.iter().any(|mark| mark == word))
            .for_each(|word| complain(index + 1, word));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn every_word_is_found() {
        for each in forbidden() {
            assert_eq!(
                found("docs/a.md", &format!("see `{}x`", each.word)),
                1,
                "{}",
                each.word
            );
        }
    }

    #[test]
    fn some_words_count_in_pages_only() {
        let temporary = ["/tm", "p/x"].concat();
        assert_eq!(found("a.rs", &temporary), 0);
        assert_eq!(found("a.md", &temporary), 1);
        assert_eq!(found("a.rs", &["/wo", "rk/x"].concat()), 1);
        assert_eq!(found("a.rs", &["a/wo", "rk/x"].concat()), 0);
    }

    #[test]
    fn issue_numbers() {
        assert_eq!(found("a.rs", &["// see Is", "sue 12"].concat()), 1);
        assert_eq!(found("a.rs", &["// see is", "sue #12"].concat()), 1);
        assert_eq!(found("a.rs", "// the issue is old; tissue 3"), 0);
    }

    #[test]
    fn unfinished_work() {
        let found = |text: &str| check_finished(&RustFile::parse("a.rs", text).unwrap()).len();
        assert_eq!(found("fn f() { todo!() }"), 1);
        assert_eq!(found("fn f() { unimplemented!() }"), 1);
        assert_eq!(found("#[test]\n#[ignore]\nfn f() {}"), 1);
        assert_eq!(found(&["// TO", "DO: later\n"].concat()), 1);
        assert_eq!(found(&["fn f() {} // FIX", "ME\n"].concat()), 1);
        assert_eq!(found("// nothing to do\nfn ignore() { f(\"todo!()\") }"), 0);
    }
}
