//! The files that the rules look at, each read and parsed once.

use std::path::Path;

use anyhow::Result;
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned as _;

use crate::shell;

/// A Rust file.
pub struct RustFile {
    /// Its path relative to the repository's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Its items.
    pub syntax: syn::File,
    /// Its tokens: no comments, and what is in a string is one token.
    pub tokens: Vec<Token>,
}

/// A token, with the groups that brackets make taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The word, the mark (two colons are one), the opening or closing bracket; of a literal nothing but `"`.
    pub text: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl RustFile {
    /// Parses a file.
    pub fn parse(path: &str, text: &str) -> Result<Self, syn::Error> {
        let stream: TokenStream = text.parse::<TokenStream>().map_err(syn::Error::from)?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            syntax: syn::parse_file(text)?,
            tokens,
        })
    }

    /// Whether its tests are all it holds, or a generator wrote it.
    pub fn is_test_or_generated(&self) -> bool {
        is_test_path(&self.path) || self.path.contains("generated")
    }
}

/// Whether a path is inside a folder of tests, or is the file of a tests module.
pub fn is_test_path(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

/// Appends the tokens of a stream, brackets taken apart.
pub fn flatten(stream: TokenStream, to: &mut Vec<Token>) {
    let mut joint_colon = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: &str| {
            to.push(Token {
                text: text.to_owned(),
                line,
            })
        };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open);
                let line = group.span_close().start().line;
                flatten(group.stream(), to);
                to.push(Token {
                    text: close.to_owned(),
                    line,
                });
                joint_colon = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                if joint_colon {
                    push("::");
                    joint_colon = false;
                } else if punct.spacing() == Spacing::Joint {
                    joint_colon = true;
                } else {
                    push(":");
                }
            }
            TokenTree::Punct(punct) => push(&punct.as_char().to_string()),
            TokenTree::Ident(ident) => push(&ident.to_string()),
            TokenTree::Literal(_) => push("\""),
        }
    }
}

/// Whether an attribute list says `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
pub fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        let mut tokens = Vec::new();
        flatten(list.tokens.clone(), &mut tokens);
        let words: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
        list.path.is_ident("cfg") && (words == ["test"] || words.starts_with(&["all", "(", "test"]))
    })
}

/// The attributes of an item.
pub fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::ForeignMod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The first and last line of an item, its attributes and documentation included.
pub fn lines_of_item(item: &syn::Item) -> (usize, usize) {
    let span = item.span();
    (span.start().line, span.end().line)
}

/// A file that is not Rust.
pub struct TextFile {
    /// Its path relative to the repository's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Names of folders that hold nothing of ours, wherever they are.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// The folder at the root that holds other people's programs.
const CORPUS: &str = "corpus";

/// The paths, relative to the root, of every file in the repository, apart from ignored ones.
pub fn list(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            let skipped =
                SKIPPED.iter().any(|skipped| name == *skipped) || folder == root && name == CORPUS;
            if kind.is_dir() && !skipped {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let relative = path.strip_prefix(root)?;
                let parts: Vec<_> = relative
                    .iter()
                    .map(|part| part.to_string_lossy().into_owned())
                    .collect();
                paths.push(parts.join("/"));
            }
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads those of these files that have one of the extensions.
pub fn read_all(root: &Path, paths: &[String], extensions: &[&str]) -> Result<Vec<TextFile>> {
    let wanted = |path: &&String| {
        path.rsplit_once('.')
            .is_some_and(|(_, extension)| extensions.contains(&extension))
    };
    let read = |path: &String| {
        Ok(TextFile {
            path: path.clone(),
            text: shell::read(&root.join(path))?,
        })
    };
    paths.iter().filter(wanted).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_no_comments_and_no_strings() {
        let file = RustFile::parse(
            "a.rs",
            "// asm!\nfn f() {\n    g::<u8>(\"asm!\"); // asm!\n}\n",
        )
        .unwrap();
        let words: Vec<_> = file
            .tokens
            .iter()
            .map(|token| token.text.as_str())
            .collect();
        let expected = [
            "fn", "f", "(", ")", "{", "g", "::", "<", "u8", ">", "(", "\"", ")", ";", "}",
        ];
        assert_eq!(words, expected);
        assert_eq!(file.tokens[5].line, 3);
    }

    #[test]
    fn test_only_items() {
        let file = RustFile::parse(
            "a.rs",
            "#[cfg(test)] mod a {} #[cfg(all(test, unix))] mod b {} #[cfg(unix)] mod c {} #[test] fn d() {}",
        )
        .unwrap();
        let found: Vec<_> = file
            .syntax
            .items
            .iter()
            .map(|item| is_test_only(attributes(item)))
            .collect();
        assert_eq!(found, [true, true, false, true]);
    }
}
