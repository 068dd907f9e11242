//! The modules of a crate: which there are, what each defines and imports, and what a path in one of them means.

use std::collections::{HashMap, HashSet};

use proc_macro2::TokenStream;
use syn::visit::Visit;

use super::source::{self, RustFile, Token};

/// A module, inline ones included.
pub struct Module {
    /// The file it is in.
    pub file: String,
    /// The module it is declared in.
    pub parent: Option<usize>,
    /// The modules declared in it.
    pub children: Vec<(String, usize)>,
    /// The modules declared in it whose files are not there.
    missing: HashSet<String>,
    /// The names of the items it defines.
    pub items: HashSet<String>,
    /// What its `use` items import.
    pub imports: Vec<Import>,
    /// Every other path in it.
    pub paths: Vec<Mention>,
    /// The words that its code, its `use` items aside, is made of.
    pub words: HashSet<String>,
}

/// One name that a `use` item imports.
pub struct Import {
    /// The path, `crate`, `self` and `super` included, without a `*`.
    pub path: Vec<String>,
    /// The name it has here; none for a `*`.
    pub name: Option<String>,
    /// Whether others see it too.
    pub public: bool,
    /// Where it is.
    pub line: usize,
}

/// A path of more than one segment.
pub struct Mention {
    /// Its segments.
    pub path: Vec<String>,
    /// Where it is.
    pub line: usize,
}

/// A crate's modules; the first is its root.
pub struct Tree {
    /// The modules.
    pub modules: Vec<Module>,
}

/// What a path means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// A module itself.
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

/// `use` items lead to `use` items, but not for ever.
const STEPS_MAX: usize = 16;

impl Tree {
    /// The modules that start at the file `root`.
    pub fn new(files: &HashMap<&str, &RustFile>, root: &str) -> Self {
        let mut tree = Self {
            modules: Vec::new(),
        };
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        if let Some(file) = files.get(root) {
            tree.add(files, root, &file.syntax.items, None, folder);
        }
        tree
    }

    fn add(
        &mut self,
        files: &HashMap<&str, &RustFile>,
        file: &str,
        items: &[syn::Item],
        parent: Option<usize>,
        folder: &str,
    ) -> usize {
        let index = self.modules.len();
        let mut gathered = Gathered::default();
        let mut names = HashSet::new();
        for item in items
            .iter()
            .filter(|item| !source::is_test_only(source::attributes(item)))
        {
            names.extend(name_of(item));
            if !matches!(item, syn::Item::Mod(_)) {
                gathered.visit_item(item);
            }
        }
        let Gathered {
            imports,
            paths,
            words,
        } = gathered;
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            children: Vec::new(),
            missing: HashSet::new(),
            items: names,
            imports,
            paths,
            words,
        });
        self.add_children(files, index, items, folder);
        index
    }

    fn add_children(
        &mut self,
        files: &HashMap<&str, &RustFile>,
        index: usize,
        items: &[syn::Item],
        folder: &str,
    ) {
        let file = self.modules[index].file.clone();
        for item in items {
            let syn::Item::Mod(item) = item else { continue };
            if source::is_test_only(&item.attrs) {
                continue;
            }
            let name = item.ident.to_string();
            let inner = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            let child = if let Some((_, items)) = &item.content {
                Some(self.add(files, &file, items, Some(index), &inner))
            } else {
                let found = file_of(files, item, &file, &inner);
                found.map(|(path, folder)| {
                    self.add(
                        files,
                        &path,
                        &files[path.as_str()].syntax.items,
                        Some(index),
                        &folder,
                    )
                })
            };
            match child {
                Some(child) => self.modules[index].children.push((name, child)),
                None => drop(self.modules[index].missing.insert(name)),
            }
        }
    }

    fn child(&self, module: usize, name: &str) -> Option<usize> {
        self.modules[module]
            .children
            .iter()
            .find(|(child, _)| child == name)
            .map(|(_, index)| *index)
    }

    /// Whether `inner` is declared in `outer`, however deep.
    pub fn is_inside(&self, inner: usize, outer: usize) -> bool {
        let mut at = self.modules[inner].parent;
        while let Some(module) = at {
            if module == outer {
                return true;
            }
            at = self.modules[module].parent;
        }
        false
    }

    /// What a path in a module means; none if it leads out of the crate or to something local.
    pub fn meaning(&self, module: usize, path: &[String]) -> Option<Meaning> {
        self.meaning_within(module, path, STEPS_MAX)
    }

    fn meaning_within(&self, module: usize, path: &[String], steps: usize) -> Option<Meaning> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => 0,
            "self" => module,
            "super" => self.modules[module].parent?,
            name => match self.child(module, name) {
                Some(child) => child,
                None => self.module_imported_as(module, name, rest, steps)?,
            },
        };
        for name in rest {
            at = match name.as_str() {
                "super" => self.modules[at].parent?,
                "self" => at,
                name => match self.child(at, name) {
                    Some(child) => child,
                    None if self.modules[at].missing.contains(name) => return None,
                    None => return Some(self.origin(at, name, steps)),
                },
            };
        }
        Some(Meaning::Module(at))
    }

    /// The module behind `name::…`, if an import gave a module that name.
    fn module_imported_as(
        &self,
        module: usize,
        name: &str,
        rest: &[String],
        steps: usize,
    ) -> Option<usize> {
        if rest.is_empty() {
            return None;
        }
        let import = self.modules[module]
            .imports
            .iter()
            .find(|import| import.name.as_deref() == Some(name))?;
        if import.path.first().is_some_and(|first| first == name) {
            return None;
        }
        match self.meaning_within(module, &import.path, steps)? {
            Meaning::Module(found) => Some(found),
            Meaning::Item(_) => None,
        }
    }

    /// Where the item is defined that a module knows by this name; the module itself if that cannot be told.
    fn origin(&self, module: usize, name: &str, steps: usize) -> Meaning {
        if self.modules[module].items.contains(name) {
            return Meaning::Item(module);
        }
        self.imported_origin(module, name, steps)
            .unwrap_or(Meaning::Item(module))
    }

    fn imported_origin(&self, module: usize, name: &str, steps: usize) -> Option<Meaning> {
        let imports = &self.modules[module].imports;
        if let Some(import) = imports
            .iter()
            .find(|import| import.name.as_deref() == Some(name))
        {
            return self.meaning_within(module, &import.path, steps);
        }
        imports
            .iter()
            .filter(|import| import.name.is_none())
            .find_map(
                |import| match self.meaning_within(module, &import.path, steps)? {
                    Meaning::Module(from) if from != module => {
                        self.known_origin(from, name, steps.checked_sub(1)?)
                    }
                    _ => None,
                },
            )
    }

    fn known_origin(&self, module: usize, name: &str, steps: usize) -> Option<Meaning> {
        if self.modules[module].items.contains(name) {
            return Some(Meaning::Item(module));
        }
        self.imported_origin(module, name, steps)
    }

    /// What of a module's names, as a `*` imports them, these words mention: the modules they are defined in.
    pub fn origins_of_words(&self, module: usize, words: &HashSet<String>) -> Vec<usize> {
        let found =
            words
                .iter()
                .filter_map(|word| match self.known_origin(module, word, STEPS_MAX)? {
                    Meaning::Item(origin) | Meaning::Module(origin) => Some(origin),
                });
        let mut found: Vec<usize> = found.collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The file of a module that is declared with a semicolon, and the folder of its own modules.
fn file_of(
    files: &HashMap<&str, &RustFile>,
    item: &syn::ItemMod,
    declared_in: &str,
    inner: &str,
) -> Option<(String, String)> {
    if let Some(given) = item.attrs.iter().find_map(given_path) {
        let folder = declared_in
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let path = format!("{folder}{given}");
        let own = path.rsplit_once('/').map_or("", |(own, _)| own).to_owned();
        return files.contains_key(path.as_str()).then_some((path, own));
    }
    let candidates = [format!("{inner}.rs"), format!("{inner}/mod.rs")];
    let path = candidates
        .into_iter()
        .find(|path| files.contains_key(path.as_str()))?;
    Some((path, inner.to_owned()))
}

fn given_path(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) if pair.path.is_ident("path") => Some(text.value()),
        _ => None,
    }
}

fn name_of(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Gathers what a module's items mention.
#[derive(Default)]
struct Gathered {
    imports: Vec<Import>,
    paths: Vec<Mention>,
    words: HashSet<String>,
}

impl Gathered {
    fn import(&mut self, tree: &syn::UseTree, path: &mut Vec<String>, public: bool) {
        let mut push = |path: Vec<String>, name: Option<String>, line| {
            self.imports.push(Import {
                path,
                name,
                public,
                line,
            });
        };
        match tree {
            syn::UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path, public);
                path.pop();
            }
            syn::UseTree::Name(tree) => {
                let name = if tree.ident == "self" {
                    path.last().cloned()
                } else {
                    Some(tree.ident.to_string())
                };
                let full = path
                    .iter()
                    .cloned()
                    .chain([tree.ident.to_string()])
                    .collect();
                push(full, name, tree.ident.span().start().line);
            }
            syn::UseTree::Rename(tree) => {
                let full = path
                    .iter()
                    .cloned()
                    .chain([tree.ident.to_string()])
                    .collect();
                push(
                    full,
                    Some(tree.rename.to_string()),
                    tree.ident.span().start().line,
                );
            }
            syn::UseTree::Glob(tree) => {
                push(path.clone(), None, tree.star_token.spans[0].start().line)
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path, public);
                }
            }
        }
    }

    fn mention_tokens(&mut self, stream: TokenStream) {
        let mut tokens = Vec::new();
        source::flatten(stream, &mut tokens);
        let is_word = |token: &Token| {
            token
                .text
                .starts_with(|first: char| first.is_alphabetic() || first == '_')
        };
        self.words.extend(
            tokens
                .iter()
                .filter(|token| is_word(token))
                .map(|token| token.text.clone()),
        );
        let mut at = 0;
        while at < tokens.len() {
            let start = at;
            let mut path = Vec::new();
            while tokens.get(at).is_some_and(is_word) {
                path.push(tokens[at].text.clone());
                at += 1;
                if tokens.get(at).is_none_or(|token| token.text != "::") {
                    break;
                }
                at += 1;
            }
            // As in `pub(in crate::module)`, which needs nothing of the module.
            let before = &tokens[start.saturating_sub(2)..start];
            let is_visibility = before
                .iter()
                .map(|token| token.text.as_str())
                .eq(["(", "in"]);
            if path.len() > 1 && !is_visibility {
                self.paths.push(Mention {
                    path,
                    line: tokens[start].line,
                });
            }
            at = at.max(start + 1);
        }
    }
}

impl<'ast> Visit<'ast> for Gathered {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            let public = !matches!(item.vis, syn::Visibility::Inherited);
            self.import(&item.tree, &mut Vec::new(), public);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !source::is_test_only(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    // `pub(in path)` names a module but needs nothing of it.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.words.extend(segments.first().cloned());
        if segments.len() > 1 && path.leading_colon.is_none() {
            let line = path.segments[0].ident.span().start().line;
            self.paths.push(Mention {
                path: segments,
                line,
            });
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.mention_tokens(item.tokens.clone());
    }
}
