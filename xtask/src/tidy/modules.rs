//! No cycles among a crate's modules: if one file needs another, the other must not need it, however far round.
//!
//! The nodes are files; modules written inside a file count as that file. File A needs file B if a path in A, in a `use`
//! item or in its code or in the arguments of a macro, means something that B defines. A path that goes through
//! re-exports means what they lead to: a child that takes `super::Error` needs the file that defines `Error`, not the
//! parent, if the parent only imports it. So a file that only declares and re-exports its modules takes part in no
//! cycle. In particular these are no needs: a `mod` declaration; a `pub use` of something that a module inside this one
//! defines, as long as the file does not itself use that name; `pub(in path)`; anything under `#[cfg(test)]`.
//!
//! What a path does not show is not seen: a method call on a value whose type was named elsewhere.
//!
//! The usual way out of a cycle between a parent and its child: what both need moves to a module of its own.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::finding::Finding;
use super::source::RustFile;
use super::tree::{Meaning, Tree};

/// Which file needs which others, and a line that shows it.
type Needs = BTreeMap<String, BTreeMap<String, usize>>;

/// Checks the crate that starts at the file `root`.
pub fn check(files: &HashMap<&str, &RustFile>, root: &str) -> Vec<Finding> {
    let needs = needs(&Tree::new(files, root));
    let mut findings = Vec::new();
    let mut reported = HashSet::new();
    for start in needs.keys() {
        let Some(cycle) = shortest_cycle(&needs, start) else {
            continue;
        };
        if cycle.iter().any(|file| reported.contains(file)) {
            continue;
        }
        let line = needs[start][&cycle[1 % cycle.len()]];
        let around: Vec<&str> = cycle.iter().chain([start]).map(String::as_str).collect();
        let lines: Vec<_> = around
            .windows(2)
            .map(|pair| format!("{}:{}", pair[0], needs[pair[0]][pair[1]]))
            .collect();
        let problem = format!(
            "modules need each other in a circle: {} (at {})",
            around.join(" -> "),
            lines.join(", ")
        );
        let remedy = "move what both sides need into a module of its own";
        findings.push(Finding::new("module-cycles", start, line, problem, remedy));
        reported.extend(cycle);
    }
    findings
}

fn needs(tree: &Tree) -> Needs {
    let mut needs = Needs::new();
    for (index, module) in tree.modules.iter().enumerate() {
        let mut need = |target: usize, line: usize| {
            let to = &tree.modules[target].file;
            if *to != module.file {
                needs
                    .entry(module.file.clone())
                    .or_default()
                    .entry(to.clone())
                    .or_insert(line);
            }
        };
        for mention in &module.paths {
            if let Some(Meaning::Item(target) | Meaning::Module(target)) =
                tree.meaning(index, &mention.path)
            {
                need(target, mention.line);
            }
        }
        for import in &module.imports {
            match (tree.meaning(index, &import.path), &import.name) {
                (Some(Meaning::Module(from)), None) => {
                    let all = tree.origins_of_words(from, &module.words);
                    all.into_iter().for_each(|target| need(target, import.line));
                }
                // A module by its name: what is used of it shows in the paths that start with the name.
                (Some(Meaning::Module(_)), Some(_)) | (None, _) => {}
                (Some(Meaning::Item(target)), name) => {
                    let used_here = name
                        .as_ref()
                        .is_some_and(|name| module.words.contains(name));
                    let only_reexported =
                        import.public && tree.is_inside(target, index) && !used_here;
                    if !only_reexported {
                        need(target, import.line);
                    }
                }
            }
        }
    }
    needs
}

/// The shortest way from a file back to it, without the last step.
fn shortest_cycle(needs: &Needs, start: &str) -> Option<Vec<String>> {
    let mut came_from: HashMap<&str, &str> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in needs.get(at).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut cycle = vec![at.to_owned()];
                let mut back = at;
                while back != start {
                    back = came_from[back];
                    cycle.push(back.to_owned());
                }
                cycle.reverse();
                return Some(cycle);
            }
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_files(files: &[(&str, &str)]) -> Vec<Finding> {
        let parsed: Vec<RustFile> = files
            .iter()
            .map(|(path, text)| RustFile::parse(path, text).unwrap())
            .collect();
        let by_path = parsed
            .iter()
            .map(|file| (file.path.as_str(), file))
            .collect();
        check(&by_path, "c/src/lib.rs")
    }

    fn is_cyclic(files: &[(&str, &str)]) -> bool {
        !check_files(files).is_empty()
    }

    #[test]
    fn siblings_that_need_each_other() {
        let found = check_files(&[
            ("c/src/lib.rs", "mod a; mod b;"),
            ("c/src/a.rs", "\nuse crate::b::B; pub struct A(B);"),
            ("c/src/b.rs", "pub struct B; fn f() { let _: crate::a::A; }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].path.as_str(), found[0].line), ("c/src/a.rs", 2));
        assert!(
            found[0]
                .problem
                .contains("c/src/a.rs -> c/src/b.rs -> c/src/a.rs"),
            "{}",
            found[0].problem
        );
    }

    #[test]
    fn one_way_is_no_cycle() {
        assert!(!is_cyclic(&[
            ("c/src/lib.rs", "mod a; mod b; pub use a::A;"),
            ("c/src/a.rs", "use crate::b::B; pub struct A(B);"),
            ("c/src/b.rs", "pub struct B;"),
        ]));
    }

    #[test]
    fn a_long_way_round() {
        assert!(is_cyclic(&[
            ("c/src/lib.rs", "mod a; mod b; mod d;"),
            ("c/src/a.rs", "use super::b; fn f() { b::g() }"),
            ("c/src/b.rs", "pub fn g() { crate::d::h() }"),
            ("c/src/d.rs", "use crate::a::*; pub fn h() { f() }"),
        ]));
    }

    #[test]
    fn a_child_may_use_what_its_parent_only_reexports() {
        let files = |parent: &'static str| {
            [
                ("c/src/lib.rs", "mod a; mod error; pub use error::Error;"),
                ("c/src/error.rs", "pub struct Error;"),
                ("c/src/a/mod.rs", parent),
                (
                    "c/src/a/child.rs",
                    "use super::other::O; use crate::Error; pub struct C(O, Error);",
                ),
                ("c/src/a/other.rs", "pub struct O;"),
            ]
        };
        assert!(!is_cyclic(&files(
            "mod child; mod other; pub use child::C; pub use other::O;"
        )));
        assert!(!is_cyclic(&files(
            "mod child; mod other; use child::C; fn f(_: C) {}"
        )));
    }

    #[test]
    fn a_child_and_a_parent_that_use_each_other() {
        let files = |parent: &'static str, child: &'static str| {
            [
                ("c/src/lib.rs", "mod a;"),
                ("c/src/a.rs", parent),
                ("c/src/a/child.rs", child),
            ]
        };
        let child = "use super::Config; pub fn run(_: Config) {}";
        assert!(is_cyclic(&files(
            "mod child; pub struct Config; fn f() { child::run(Config) }",
            child
        )));
        assert!(is_cyclic(&files(
            "mod child; pub struct Config; pub use child::run; fn f() { run(Config) }",
            child
        )));
        assert!(!is_cyclic(&files(
            "mod child; pub struct Config; pub use child::run;",
            child
        )));
        assert!(!is_cyclic(&files(
            "mod child; pub struct Config; pub use child::*;",
            child
        )));
        assert!(is_cyclic(&files(
            "mod child; pub struct Config; pub use child::*; fn f() { run(Config) }",
            child
        )));
        assert!(!is_cyclic(&files(
            "mod child; struct Config;",
            "pub(in crate::a) fn run() {}"
        )));
        let inline = "mod inner { pub fn run(_: super::super::Config) {} }";
        assert!(is_cyclic(&files(
            "mod child; pub struct Config; fn f() { child::g() }",
            inline
        )));
    }

    #[test]
    fn macros_and_tests() {
        let files = |b: &'static str| {
            [
                ("c/src/lib.rs", "mod a; mod b;"),
                ("c/src/a.rs", "pub fn f() { crate::b::g() }"),
                ("c/src/b.rs", b),
            ]
        };
        let table = "macro_rules! t { () => { pub(in crate::a) fn h() {} } } pub(crate) use t; pub fn g() {}";
        assert!(!is_cyclic(&files(table)));
        assert!(is_cyclic(&files(
            "pub fn g() { println!(\"{}\", crate::a::f()) }"
        )));
        assert!(!is_cyclic(&files(
            "pub fn g() { println!(\"crate::a::f()\") }"
        )));
        assert!(!is_cyclic(&files(
            "pub fn g() {} #[cfg(test)] mod tests { use crate::a::f; }"
        )));
        assert!(!is_cyclic(&files(
            "/// See [`crate::a::f`].\npub fn g() {}"
        )));
    }

    #[test]
    fn a_module_without_its_file_is_nothing() {
        assert!(!is_cyclic(&[
            ("c/src/lib.rs", "mod a; mod gone; fn f() { a::f() }"),
            ("c/src/a.rs", "pub fn f() { crate::gone::g() }"),
        ]));
    }

    #[test]
    fn modules_with_a_path_attribute() {
        assert!(is_cyclic(&[
            ("c/src/lib.rs", "#[path = \"x/enabled.rs\"] mod a; mod b;"),
            ("c/src/x/enabled.rs", "pub fn f() { crate::b::g() }"),
            ("c/src/b.rs", "pub fn g() { crate::a::f() }"),
        ]));
    }
}
