//! Code for one processor lives in files named `arch/x64.rs` and `arch/aarch64.rs`, and nowhere else.
//!
//! That is: the word `target_arch`, assembly in any form, and `core::arch`. The file that chooses between the two,
//! `arch/mod.rs` or `arch.rs`, may have `target_arch` on its `mod` and `use` items and its `compile_error!`.

use super::finding::Finding;
use super::source::{self, RustFile, Token};

/// Checks one file.
pub fn check(file: &RustFile) -> Vec<Finding> {
    if ["arch/x64.rs", "arch/aarch64.rs"]
        .iter()
        .any(|name| file.path.ends_with(name))
    {
        return Vec::new();
    }
    let choosing = choosing_lines(file);
    let mut findings = Vec::new();
    for (index, token) in file.tokens.iter().enumerate() {
        let Some(what) = architecture_code(&file.tokens[index..]) else {
            continue;
        };
        if what == "target_arch"
            && choosing
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&token.line))
        {
            continue;
        }
        let problem = format!("{what} is code for one processor");
        let remedy = "move it to arch/x64.rs and arch/aarch64.rs, behind one interface";
        findings.push(
            Finding::new("architecture", &file.path, token.line, problem, remedy).about(what),
        );
    }
    findings
}

fn architecture_code(tokens: &[Token]) -> Option<&'static str> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    match text(0) {
        "target_arch" => Some("target_arch"),
        "asm" if text(1) == "!" => Some("asm!"),
        "global_asm" if text(1) == "!" => Some("global_asm!"),
        "naked_asm" if text(1) == "!" => Some("naked_asm!"),
        "core" | "std" if text(1) == "::" && text(2) == "arch" => Some("core::arch"),
        _ => None,
    }
}

/// The lines of the items that may choose an architecture.
fn choosing_lines(file: &RustFile) -> Vec<(usize, usize)> {
    if !file.path.ends_with("/arch/mod.rs") && !file.path.ends_with("/arch.rs") {
        return Vec::new();
    }
    let chooses = |item: &&syn::Item| match item {
        syn::Item::Mod(item) => item.content.is_none(),
        syn::Item::Use(_) => true,
        syn::Item::Macro(item) => item.mac.path.is_ident("compile_error"),
        _ => false,
    };
    file.syntax
        .items
        .iter()
        .filter(chooses)
        .map(source::lines_of_item)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&RustFile::parse(path, text).unwrap())
            .into_iter()
            .map(|finding| finding.item)
            .collect()
    }

    #[test]
    fn each_kind_is_found_outside_and_allowed_inside() {
        let text = "#[cfg(target_arch = \"x86_64\")]\nfn f() { unsafe { core::arch::asm!(\"nop\") } }\n\
                    core::arch::global_asm!(\"\");\nfn g() { naked_asm!(\"\") }";
        let all = [
            "target_arch",
            "core::arch",
            "asm!",
            "core::arch",
            "global_asm!",
            "naked_asm!",
        ];
        assert_eq!(found("crates/a/src/lib.rs", text), all);
        assert!(found("crates/a/src/arch/x64.rs", text).is_empty());
        assert!(found("crates/a/src/arch/aarch64.rs", text).is_empty());
        assert_eq!(found("crates/a/src/arch/other.rs", text), all);
    }

    #[test]
    fn the_choosing_file_may_only_choose() {
        let choice = "#[cfg(target_arch = \"x86_64\")]\nmod x64;\n#[cfg(target_arch = \"x86_64\")]\npub use x64::*;\n\
                      #[cfg(not(target_arch = \"x86_64\"))]\ncompile_error!(\"no\");\n";
        assert!(found("crates/a/src/arch/mod.rs", choice).is_empty());
        assert!(found("crates/a/src/arch.rs", choice).is_empty());
        assert_eq!(found("crates/a/src/lib.rs", choice).len(), 3);
        let more = format!("{choice}#[cfg(target_arch = \"x86_64\")]\nfn f() {{}}\n");
        assert_eq!(found("crates/a/src/arch/mod.rs", &more), ["target_arch"]);
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        assert!(
            found(
                "a.rs",
                "// target_arch asm!\nconst A: &str = \"core::arch asm!\";"
            )
            .is_empty()
        );
        assert!(found("a.rs", "fn asm() {}").is_empty());
    }
}
