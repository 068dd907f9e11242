//! What a Markdown page cites exists: paths, command-line flags, environment variables, commands of `cargo xtask`.
//!
//! Looked at are the words in backticks, the lines of fenced blocks that call `upshift` or `cargo xtask`, and the
//! targets of links. A word is a path if it has a slash and either starts with a name from the repository's root, ends
//! with a slash or ends with an extension that the repository uses; it must then exist, seen from the root or from the
//! page. `{a,b}` stands for both and `*` for any name; folders that git ignores may be cited unseen. A flag must belong
//! to one of our commands: to a field that clap reads as one. `FILE.rs::NAME` must be a function of that file. In backticks, flags of other programs are written with
//! the program's name in front and are left alone.

use std::collections::{HashMap, HashSet};

use syn::visit::Visit;

use super::finding::Finding;
use super::source::{self, RustFile, TextFile, Token};

/// What pages may cite.
pub struct Citable {
    /// Every file and folder of the repository.
    paths: HashSet<String>,
    /// The names that git ignores, at the root.
    ignored: Vec<String>,
    /// The commands' long flags, without the dashes.
    flags: HashSet<String>,
    /// The names of the environment variables that the sources mention.
    variables: HashSet<String>,
    /// The names of the functions in each Rust file.
    functions: HashMap<String, HashSet<String>>,
    /// The commands of `cargo xtask`.
    commands: Vec<String>,
}

const VARIABLE_PREFIX: &str = "UPSHIFT_";
const EXTENSIONS: [&str; 11] = [
    "rs", "md", "toml", "wasm", "wat", "c", "h", "lua", "mjs", "txt", "json",
];

impl Citable {
    /// Gathers what there is.
    pub fn new(paths: &[String], ignore: &str, files: &[RustFile], commands: &[String]) -> Self {
        let mut all = HashSet::new();
        for path in paths {
            all.insert(path.clone());
            all.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        }
        let mut flags = Flags::default();
        let mut variables = HashSet::new();
        let mut functions = HashMap::new();
        for file in files {
            flags.visit_file(&file.syntax);
            functions.insert(file.path.clone(), functions_of(file));
            variables.extend(
                file.text
                    .match_indices(VARIABLE_PREFIX)
                    .map(|(at, _)| variable_at(&file.text[at..])),
            );
        }
        let ignored = ignore
            .lines()
            .filter_map(|line| line.strip_prefix('/'))
            .filter(|name| !name.contains('*'));
        Self {
            paths: all,
            ignored: ignored
                .map(|name| name.trim_end_matches('/').to_owned())
                .collect(),
            flags: flags.names,
            variables,
            functions,
            commands: commands.to_vec(),
        }
    }

    fn path_exists(&self, page: &str, cited: &str) -> bool {
        let cited = cited.trim_end_matches('/').trim_start_matches("./");
        let first = cited.split('/').next().unwrap_or_default();
        if self.ignored.iter().any(|name| name == first) {
            return true;
        }
        let beside = page
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let found = |pattern: &str| {
            let pattern = without_dots(pattern);
            if pattern.contains('*') {
                self.paths.iter().any(|path| fits(&pattern, path))
            } else {
                self.paths.contains(&pattern)
            }
        };
        alternatives(cited)
            .iter()
            .all(|each| found(each) || found(&format!("{beside}{each}")))
    }

    fn looks_like_a_path(&self, word: &str) -> bool {
        let plain = |letter: char| letter.is_alphanumeric() || "./_-*{},".contains(letter);
        let Some((first, _)) = word.split_once('/') else {
            return word.ends_with(".md") && word.chars().all(plain);
        };
        if !word.chars().all(plain) || first.is_empty() {
            return false;
        }
        let extension = word.rsplit_once('.').map_or("", |(_, extension)| extension);
        self.paths.contains(first)
            || self.ignored.iter().any(|name| name == first)
            || word.ends_with('/')
            || first == "."
            || first == ".."
            || EXTENSIONS.contains(&extension)
    }
}

/// The names that follow `fn` in a file.
fn functions_of(file: &RustFile) -> HashSet<String> {
    file.tokens
        .windows(2)
        .filter(|pair| pair[0].text == "fn")
        .map(|pair| pair[1].text.clone())
        .collect()
}

/// `a/../b` is `b`.
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if !parts.is_empty() => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The paths that one with `{a,b}` in it stands for.
fn alternatives(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(head, rest)| {
        rest.split_once('}')
            .map(|(inner, tail)| (head, inner, tail))
    });
    match parts {
        None => vec![path.to_owned()],
        Some((head, inner, tail)) => inner
            .split(',')
            .flat_map(|each| alternatives(&format!("{head}{}{tail}", each.trim())))
            .collect(),
    }
}

/// Whether a path fits a pattern in which `*` stands for anything within a name.
fn fits(pattern: &str, path: &str) -> bool {
    let (patterns, names): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    patterns.len() == names.len()
        && patterns
            .iter()
            .zip(&names)
            .all(|(pattern, name)| name_fits(pattern, name))
}

fn name_fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && name_fits(tail, &rest[at..]))
        }),
    }
}

fn variable_at(text: &str) -> String {
    text.chars()
        .take_while(|letter| {
            letter.is_ascii_uppercase() || letter.is_ascii_digit() || *letter == '_'
        })
        .collect()
}

/// The long flags that clap makes of fields.
#[derive(Default)]
struct Flags {
    names: HashSet<String>,
}

impl<'ast> Visit<'ast> for Flags {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        for attribute in &field.attrs {
            let syn::Meta::List(list) = &attribute.meta else {
                continue;
            };
            if !list.path.is_ident("arg") && !list.path.is_ident("clap") {
                continue;
            }
            let mut tokens = Vec::new();
            source::flatten(list.tokens.clone(), &mut tokens);
            if tokens.iter().any(|token| token.text == "long") {
                let text = list.tokens.to_string();
                let has_name = tokens
                    .windows(2)
                    .any(|pair: &[Token]| pair[0].text == "long" && pair[1].text == "=");
                self.names.extend(literals(&text));
                let own = field.ident.as_ref().filter(|_| !has_name);
                self.names
                    .extend(own.map(|ident| ident.to_string().replace('_', "-")));
            }
        }
    }
}

/// What is between double quotes.
fn literals(text: &str) -> impl Iterator<Item = String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned)
}

/// Checks one page.
pub fn check(page: &TextFile, citable: &Citable) -> Vec<Finding> {
    let mut checker = Checker {
        page,
        citable,
        line: 0,
        findings: Vec::new(),
    };
    let mut in_fence = false;
    for (index, line) in page.text.lines().enumerate() {
        checker.line = index + 1;
        checker.leftovers(line);
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if in_fence {
            checker.command(line.trim().trim_start_matches("$ "));
        } else {
            line.split('`')
                .skip(1)
                .step_by(2)
                .for_each(|span| checker.span(span));
            checker.links(line);
        }
    }
    checker.findings
}

struct Checker<'a> {
    page: &'a TextFile,
    citable: &'a Citable,
    line: usize,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn complain(&mut self, rule: &'static str, problem: String, remedy: &str) {
        self.findings.push(Finding::new(
            rule,
            &self.page.path,
            self.line,
            problem,
            remedy,
        ));
    }

    /// What a merge leaves where two changes met.
    fn leftovers(&mut self, line: &str) {
        let marks = ["<".repeat(7), ">".repeat(7)];
        if marks.iter().any(|mark| line.starts_with(mark)) {
            self.complain(
                "conflict",
                "two changes met here, and nobody has decided between them".to_owned(),
                "keep what is true of both",
            );
        }
    }

    /// Words in backticks.
    fn span(&mut self, span: &str) {
        if span.starts_with("upshift ") || span.starts_with("cargo xtask ") || span.starts_with('-')
        {
            self.command_words(span);
        }
        for word in span.split_whitespace() {
            self.path(word);
            self.function(word);
            self.variable(word);
        }
    }

    /// `FILE.rs::NAME`.
    fn function(&mut self, word: &str) {
        let Some((path, name)) = word.split_once("::") else {
            return;
        };
        // A file that is not there is `path`'s finding.
        let known = self.citable.functions.get(path);
        if known.is_some_and(|names| !names.contains(name)) {
            let problem = format!("{path} has no function {name}");
            self.complain("page-functions", problem, "name a function of that file");
        }
    }

    /// A line of a fenced block.
    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line
            .split_whitespace()
            .skip_while(|word| word.starts_with(VARIABLE_PREFIX))
            .collect();
        if words.first() == Some(&"upshift") || words.starts_with(&["cargo", "xtask"]) {
            let line = line.split(" #").next().unwrap_or(line);
            self.command_words(line);
            for word in line.split_whitespace() {
                self.path(word);
            }
        }
        line.split_whitespace().for_each(|word| self.variable(word));
    }

    fn command_words(&mut self, line: &str) {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| word.starts_with(VARIABLE_PREFIX))
            .peekable();
        if words.next_if_eq(&"cargo").is_some() && words.next_if_eq(&"xtask").is_some() {
            let command = words.next().unwrap_or_default();
            let named = command
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter == '-');
            if named && !self.citable.commands.iter().any(|known| known == command) {
                let problem = format!("there is no command `cargo xtask {command}`");
                self.complain(
                    "page-commands",
                    problem,
                    "name one that `cargo xtask --help` lists",
                );
            }
        }
        for word in words.take_while(|word| *word != "--") {
            let Some(flag) = word.trim_start_matches('[').strip_prefix("--") else {
                continue;
            };
            let letters = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
            let flag: String = flag.chars().take_while(letters).collect();
            if !flag.is_empty()
                && flag != "help"
                && flag != "version"
                && !self.citable.flags.contains(&flag)
            {
                let problem = format!("no command of ours has a flag --{flag}");
                let remedy =
                    "correct it, or write another program's flag behind that program's name";
                self.complain("page-flags", problem, remedy);
            }
        }
    }

    fn path(&mut self, word: &str) {
        let word = word.trim_matches(|letter: char| "()[]\"',;:".contains(letter));
        let word = word.split_once("::").map_or(word, |(host, _)| host);
        let word = word.rsplit_once('=').map_or(word, |(_, value)| value);
        let word = word.rsplit_once(':').map_or(word, |(path, line)| {
            if line.chars().all(|digit| digit.is_ascii_digit()) {
                path
            } else {
                word
            }
        });
        if self.citable.looks_like_a_path(word) && !self.citable.path_exists(&self.page.path, word)
        {
            let problem = format!("there is no {word}");
            self.complain(
                "page-paths",
                problem,
                "correct the path; it starts at the repository's root",
            );
        }
    }

    fn variable(&mut self, word: &str) {
        for (at, _) in word.match_indices(VARIABLE_PREFIX) {
            let name = variable_at(&word[at..]);
            if name.len() > VARIABLE_PREFIX.len() && !self.citable.variables.contains(&name) {
                let problem = format!("no source mentions the environment variable {name}");
                self.complain("page-variables", problem, "correct the name or remove it");
            }
        }
    }

    fn links(&mut self, line: &str) {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..]
                .split([')', '#', ' '])
                .next()
                .unwrap_or_default();
            if target.is_empty() || target.contains(':') {
                continue;
            }
            let beside = self
                .page
                .path
                .rsplit_once('/')
                .map_or(String::new(), |(folder, _)| format!("{folder}/"));
            let path = without_dots(&format!("{beside}{}", target.trim_end_matches('/')));
            if !self.citable.paths.contains(&path) {
                self.complain(
                    "page-paths",
                    format!("the link leads to {target}, which does not exist"),
                    "correct it",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        found_on("docs/page.md", text)
    }

    fn found_on(page: &str, text: &str) -> Vec<String> {
        let source = RustFile::parse(
            "crates/cli/src/main.rs",
            "struct O {\n#[arg(long)] print_compilation: bool,\n#[arg(long = \"tier\", alias = \"level\")] tiers: u8,\n\
             #[arg(short)] hidden: bool }\nfn start() {}\nconst V: &str = \"UPSHIFT_BLESS\";",
        )
        .unwrap();
        let paths = [
            "README.md",
            "docs/page.md",
            "docs/other.md",
            "crates/cli/src/main.rs",
            "crates/cli/src/arch/x64.rs",
        ];
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let commands = ["tidy".to_owned()];
        let citable = Citable::new(
            &paths,
            "/target\n/corpus\n/benches/*/target\n",
            &[source],
            &commands,
        );
        let page = TextFile {
            path: page.to_owned(),
            text: text.to_owned(),
        };
        check(&page, &citable)
            .into_iter()
            .map(|finding| format!("{} {}", finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn leftovers_of_merges() {
        let (mine, theirs) = ("<".repeat(7), ">".repeat(7));
        let text = format!(
            "One\n{mine} HEAD\nTwo\n{}\nThree\n{theirs} other\n",
            "=".repeat(7)
        );
        assert_eq!(found(&text), ["2 conflict", "6 conflict"]);
        assert_eq!(found("A heading\n=======\n> quoted\n"), [""; 0]);
    }

    #[test]
    fn paths() {
        let good = "See `crates/cli/src/main.rs`, `crates/cli/`, `docs/`, `crates/cli/src/main.rs:7`, `other.md`,\n\
                    `crates/*/src/main.rs`, `crates/cli/src/{main,arch/x64}.rs`, `target/debug/upshift`, `and/or`,\n\
                    `crate::module`, `HOST::GUEST`, [the other](other.md#top), [home](../README.md), [w](https://x.y/z)";
        assert_eq!(found(good), [""; 0]);
        assert_eq!(found("\nSee `crates/cli/src/gone.rs`."), ["2 page-paths"]);
        assert_eq!(found("`crates/gone/`"), ["1 page-paths"]);
        assert_eq!(found("`gone/src/main.rs`"), ["1 page-paths"]);
        assert_eq!(found("`gone/`"), ["1 page-paths"]);
        assert_eq!(found("`gone.md`"), ["1 page-paths"]);
        assert_eq!(found("`crates/*/src/gone.rs`"), ["1 page-paths"]);
        assert_eq!(found("`crates/cli/src/{main,gone}.rs`"), ["1 page-paths"]);
        assert_eq!(found("[gone](gone.md)"), ["1 page-paths"]);
        assert_eq!(
            found_on("README.md", "[o](docs/other.md) [p](other.md)"),
            ["1 page-paths"]
        );
    }

    #[test]
    fn functions() {
        assert_eq!(found("`crates/cli/src/main.rs::start`"), [""; 0]);
        assert_eq!(
            found("`crates/cli/src/main.rs::gone`"),
            ["1 page-functions"]
        );
        assert_eq!(found("`crates/cli/src/gone.rs::x`"), ["1 page-paths"]);
    }

    #[test]
    fn flags() {
        assert_eq!(
            found(
                "`--print-compilation`, `--tier 0`, `--level`, `upshift run --tier=1 x`, `--help`"
            ),
            [""; 0]
        );
        assert_eq!(
            found("`cargo test --doc`, `npm pack --silent`, --unquoted"),
            [""; 0]
        );
        assert_eq!(found("`--gone`"), ["1 page-flags"]);
        assert_eq!(found("`--hidden`"), ["1 page-flags"]);
        assert_eq!(found("`upshift run --gone x`"), ["1 page-flags"]);
        assert_eq!(found("`upshift run x -- --gone`"), [""; 0]);
        assert_eq!(
            found("```sh\n$ upshift run --gone x\ncargo build --release\n```"),
            ["2 page-flags"]
        );
    }

    #[test]
    fn commands_and_variables() {
        assert_eq!(
            found("`cargo xtask tidy`, `UPSHIFT_BLESS=1`, `cargo xtask COMMAND`"),
            [""; 0]
        );
        assert_eq!(found("`cargo xtask gone`"), ["1 page-commands"]);
        assert_eq!(found("```\ncargo xtask gone\n```"), ["2 page-commands"]);
        assert_eq!(found("`UPSHIFT_GONE`"), ["1 page-variables"]);
        assert_eq!(
            found("```\nUPSHIFT_GONE=1 cargo xtask tidy\n```"),
            ["2 page-variables"]
        );
    }

    #[test]
    fn paths_in_commands() {
        assert_eq!(
            found("```\nupshift run crates/cli/gone.wasm\nls crates/gone\n```"),
            ["2 page-paths"]
        );
        assert_eq!(
            found("```\nupshift run --tier=0 program.wasm  # as docs/gone.md says\n```"),
            [""; 0]
        );
    }
}
