//! Every unsafe block and unsafe `impl` says why it is sound, and crates without any forbid it.
//!
//! The reason is a comment with `SAFETY:` on the same line, right above the line or the statement, or as the first line
//! inside the block.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::Visit;

use super::finding::Finding;
use super::source::{self, RustFile, Token};

const MARK: &str = "SAFETY:";

/// Checks one file for unsafe code that does not say why it is sound.
pub fn check(file: &RustFile) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut statements = Statements::default();
    statements.visit_file(&file.syntax);
    let mut findings = Vec::new();
    for (index, token) in file.tokens.iter().enumerate() {
        let Some(what) = unsafe_code(&file.tokens[index..]).filter(|what| *what != "item") else {
            continue;
        };
        let around = statements
            .first_lines
            .get(&token.line)
            .into_iter()
            .flatten();
        let explained = is_explained_at(&lines, token.line)
            || is_explained_above(&lines, token.line)
            || around
                .into_iter()
                .any(|line| is_explained_above(&lines, *line))
            || what == "block"
                && is_explained_at(&lines, token.line + 1)
                && is_comment(&lines, token.line + 1);
        if !explained {
            let problem = format!("this unsafe {what} does not say why it is sound");
            let remedy = "write a comment above it that starts with `SAFETY:`";
            findings.push(Finding::new(
                "safety-comment",
                &file.path,
                token.line,
                problem,
                remedy,
            ));
        }
    }
    findings
}

/// Checks that a crate without unsafe code forbids it. One that takes in another's files has what they have.
pub fn check_crate(root: &RustFile, files: &[&RustFile]) -> Option<Finding> {
    let has_unsafe = |file: &&RustFile| {
        (0..file.tokens.len()).any(|index| unsafe_code(&file.tokens[index..]).is_some())
    };
    let takes_in = |item: &syn::Item| {
        let mut attributes = source::attributes(item).iter();
        matches!(item, syn::Item::Mod(_)) && attributes.any(|it| it.path().is_ident("path"))
    };
    if files.iter().any(has_unsafe)
        || root.syntax.attrs.iter().any(forbids)
        || root.syntax.items.iter().any(takes_in)
    {
        return None;
    }
    let problem = "the crate has no unsafe code but does not forbid it".to_owned();
    Some(Finding::new(
        "forbid-unsafe",
        &root.path,
        1,
        problem,
        "add `#![forbid(unsafe_code)]`",
    ))
}

fn forbids(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let mut tokens = Vec::new();
    source::flatten(list.tokens.clone(), &mut tokens);
    list.path.is_ident("forbid") && tokens.iter().any(|token| token.text == "unsafe_code")
}

/// What the `unsafe` at the start of these tokens makes: a block, an impl or another item.
fn unsafe_code(tokens: &[Token]) -> Option<&'static str> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    match (text(0), text(1)) {
        ("unsafe", "{") => Some("block"),
        ("unsafe", "impl") => Some("impl"),
        ("unsafe", _) => Some("item"),
        _ => None,
    }
}

fn line_at<'a>(lines: &[&'a str], line: usize) -> &'a str {
    line.checked_sub(1)
        .and_then(|index| lines.get(index))
        .map_or("", |line| line.trim())
}

fn is_comment(lines: &[&str], line: usize) -> bool {
    line_at(lines, line).starts_with("//")
}

fn is_explained_at(lines: &[&str], line: usize) -> bool {
    line_at(lines, line)
        .split_once("//")
        .is_some_and(|(_, comment)| comment.contains(MARK))
}

/// Whether the comment right above a line, attributes between them aside, has the mark.
fn is_explained_above(lines: &[&str], line: usize) -> bool {
    let mut at = line.saturating_sub(1);
    while at > 0 && (is_comment(lines, at) || line_at(lines, at).starts_with("#[")) {
        if is_explained_at(lines, at) {
            return true;
        }
        at -= 1;
    }
    false
}

/// For each line with an unsafe block, where what is around the block begins: the statement, match arm or field, and the
/// statements around that as long as they are single expressions. A reason above an `if` or a loop is none for what is
/// in its body.
#[derive(Default)]
struct Statements {
    first_lines: HashMap<usize, Vec<usize>>,
    current: Vec<usize>,
}

impl Statements {
    fn inside(&mut self, span: Span, visit: impl FnOnce(&mut Self)) {
        self.current.push(span.start().line);
        visit(self);
        self.current.pop();
    }

    fn afresh(&mut self, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.current);
        visit(self);
        self.current = outer;
    }
}

impl<'ast> Visit<'ast> for Statements {
    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        let line = block.unsafe_token.span.start().line;
        self.first_lines
            .entry(line)
            .or_insert_with(|| self.current.clone());
        self.afresh(|this| syn::visit::visit_expr_unsafe(this, block));
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        use syn::Expr::{Block, ForLoop, If, Loop, Match, While};
        if let syn::Stmt::Expr(Block(_) | ForLoop(_) | If(_) | Loop(_) | Match(_) | While(_), _) =
            statement
        {
            self.afresh(|this| syn::visit::visit_stmt(this, statement));
        } else {
            self.inside(statement.span(), |this| {
                syn::visit::visit_stmt(this, statement)
            });
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.inside(arm.span(), |this| syn::visit::visit_arm(this, arm));
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        self.inside(field.span(), |this| {
            syn::visit::visit_field_value(this, field)
        });
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.afresh(|this| match item {
            syn::Item::Const(_) | syn::Item::Static(_) => {
                this.inside(item.span(), |this| syn::visit::visit_item(this, item));
            }
            _ => syn::visit::visit_item(this, item),
        });
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        self.afresh(|this| syn::visit::visit_impl_item(this, item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        check(&RustFile::parse("a.rs", text).unwrap())
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn blocks_need_a_reason() {
        assert_eq!(found("fn f() {\n    unsafe { g() }\n}\n"), [2]);
        assert_eq!(
            found("fn f() {\n    // Fast.\n    unsafe { g() }\n}\n"),
            [3]
        );
        assert_eq!(
            found("fn f() {\n    // SAFETY: g is fine.\n    unsafe { g() }\n}\n"),
            [0; 0]
        );
        assert_eq!(
            found(
                "fn f() {\n    // SAFETY: g is\n    // fine.\n    #[allow(x)]\n    unsafe { g() }\n}\n"
            ),
            [0; 0]
        );
        assert_eq!(
            found("fn f() {\n    unsafe { g() } // SAFETY: fine.\n}\n"),
            [0; 0]
        );
        assert_eq!(
            found("fn f() {\n    unsafe {\n        // SAFETY: fine.\n        g()\n    }\n}\n"),
            [0; 0]
        );
        assert_eq!(
            found(
                "fn f() {\n    // SAFETY: fine.\n    let x = h(\n        1,\n        unsafe { g() },\n    );\n}\n"
            ),
            [0; 0]
        );
        let closure = "fn f() {\n    // SAFETY: fine.\n    h(\n        || {\n            unsafe { g() }\n        },\n    );\n}\n";
        assert_eq!(found(closure), [0; 0]);
        let literal =
            "fn f() -> A {\n    // SAFETY: fine.\n    A {\n        a: unsafe { g() },\n    }\n}\n";
        assert_eq!(found(literal), [0; 0]);
        assert_eq!(
            found("fn f() {\n    // SAFETY: no.\n    if h() {\n        unsafe { g() }\n    }\n}\n"),
            [4]
        );
        assert_eq!(
            found(
                "fn f() {\n    // SAFETY: no.\n    {\n        h();\n        unsafe { g() }\n    }\n}\n"
            ),
            [5]
        );
        assert_eq!(
            found("fn f() {\n    // SAFETY: fine.\n    g();\n    unsafe { g() }\n}\n"),
            [4]
        );
        assert_eq!(found("const A: u8 =\n    unsafe { g() };\n"), [2]);
        assert_eq!(
            found("// SAFETY: fine.\nconst A: u8 =\n    unsafe { g() };\n"),
            [0; 0]
        );
    }

    #[test]
    fn a_reason_counts_once() {
        let text = "fn f() {\n    // SAFETY: fine.\n    let a = unsafe { g() };\n    let b = unsafe { g() };\n}\n";
        assert_eq!(found(text), [4]);
    }

    #[test]
    fn impls_need_a_reason_and_declarations_do_not() {
        assert_eq!(found("unsafe impl Send for A {}\n"), [1]);
        assert_eq!(
            found("// SAFETY: no interior.\nunsafe impl Send for A {}\n"),
            [0; 0]
        );
        assert_eq!(
            found(
                "pub unsafe fn f() {}\n#[unsafe(no_mangle)]\nfn g() {}\nunsafe extern \"C\" {}\n"
            ),
            [0; 0]
        );
        assert_eq!(found("macro_rules! m { () => { unsafe { g() } } }\n"), [1]);
    }

    #[test]
    fn crates_without_unsafe_code_forbid_it() {
        let check = |root: &str, other: &str| {
            let root = RustFile::parse("lib.rs", root).unwrap();
            let other = RustFile::parse("other.rs", other).unwrap();
            check_crate(&root, &[&root, &other])
        };
        assert!(check("mod other;", "fn f() {} // unsafe {}").is_some());
        assert!(check("#![forbid(unsafe_code)] mod other;", "fn f() {}").is_none());
        assert!(check("mod other;", "fn f() { unsafe { g() } }").is_none());
        assert!(check("mod other;", "unsafe fn f() {}").is_none());
        assert!(check("#![deny(unsafe_code)] mod other;", "fn f() {}").is_some());
        assert!(check("#[path = \"../x.rs\"] mod x;", "fn f() {}").is_none());
    }
}
