//! Functions of up to 70 lines in files of up to 1,000: what a reader can hold in mind at once.
//!
//! A function's lines run from the one with `fn` to its closing brace, comments included. Tests, folders of tests and
//! generated code are not counted.

use syn::spanned::Spanned as _;
use syn::visit::Visit;

use super::finding::Finding;
use super::source::{self, RustFile};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 1000;

/// Checks one file.
pub fn check(file: &RustFile) -> Vec<Finding> {
    if file.is_test_or_generated() {
        return Vec::new();
    }
    let mut sizes = Sizes {
        file,
        findings: Vec::new(),
        test_lines: 0,
    };
    sizes.visit_file(&file.syntax);
    let lines = file.text.lines().count() - sizes.test_lines;
    if lines > FILE_LINES_MAX {
        let problem = format!("{lines} lines, tests aside; {FILE_LINES_MAX} are allowed");
        let remedy = "split the file along a seam its module comment can name";
        sizes
            .findings
            .push(Finding::new("file-lines", &file.path, 0, problem, remedy));
    }
    sizes.findings
}

struct Sizes<'a> {
    file: &'a RustFile,
    findings: Vec<Finding>,
    test_lines: usize,
}

impl Sizes<'_> {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.span().end().line;
        let lines = last + 1 - first;
        if lines > FUNCTION_LINES_MAX {
            let name = signature.ident.to_string();
            let problem =
                format!("the function {name} has {lines} lines; {FUNCTION_LINES_MAX} are allowed");
            let remedy = "take steps with names out of it";
            let finding = Finding::new("function-lines", &self.file.path, first, problem, remedy);
            self.findings.push(finding.about(&name));
        }
    }
}

impl<'ast> Visit<'ast> for Sizes<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if source::is_test_only(source::attributes(item)) {
            let (first, last) = source::lines_of_item(item);
            self.test_lines += last + 1 - first;
        } else {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<Finding> {
        check(&RustFile::parse(path, text).unwrap())
    }

    fn function(name: &str, lines: usize) -> String {
        format!(
            "fn {name}() {{\n{}}}\n",
            "    let _ = 0;\n".repeat(lines - 2)
        )
    }

    #[test]
    fn functions() {
        assert_eq!(check_text("a.rs", &function("f", 70)), []);
        let found = check_text("a.rs", &format!("\n{}", function("f", 71)));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].line, found[0].item.as_str(), found[0].rule),
            (2, "f", "function-lines")
        );
        assert_eq!(
            check_text("a.rs", &format!("impl A {{\n{}}}\n", function("f", 71))).len(),
            1
        );
        assert_eq!(
            check_text("a.rs", &format!("trait A {{\n{}}}\n", function("f", 71))).len(),
            1
        );
        assert_eq!(
            check_text("a.rs", &format!("mod a {{\n{}}}\n", function("f", 71))).len(),
            1
        );
    }

    #[test]
    fn files() {
        let small = "const _: u8 = 0;\n";
        assert_eq!(check_text("a.rs", &small.repeat(1000)), []);
        assert_eq!(check_text("a.rs", &small.repeat(1001)).len(), 1);
    }

    #[test]
    fn tests_and_generated_code_do_not_count() {
        let long = function("f", 90).repeat(20);
        assert!(check_text("a.rs", &long).len() > 1);
        assert_eq!(check_text("crates/a/tests/a.rs", &long), []);
        assert_eq!(check_text("crates/a/src/generated/a.rs", &long), []);
        assert_eq!(
            check_text("a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n")),
            []
        );
    }
}
