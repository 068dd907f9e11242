//! Which crate may import which: the layers.
//!
//! A package may use those of lower layers that its row names, and nothing of its own layer but what is listed as a
//! sibling. Its tests may use anything of its own and lower layers. Packages that exist for tests may use anything,
//! and nobody may use them.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::finding::Finding;

/// A package and what it imports, as `cargo metadata` tells it.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its manifest, relative to the repository's root.
    pub manifest: String,
    /// The manifest's text.
    pub text: String,
    /// The dependencies' names, and whether only tests have them.
    pub dependencies: Vec<(String, bool)>,
    /// The root files of its library and its programs, relative to the repository's root.
    pub roots: Vec<String>,
}

impl Package {
    /// Reads what `cargo metadata --no-deps` printed.
    pub fn from_metadata(metadata: &str, root: &std::path::Path) -> Result<Vec<Self>> {
        let metadata: Value =
            serde_json::from_str(metadata).context("cargo metadata is not JSON")?;
        let packages = metadata["packages"]
            .as_array()
            .context("cargo metadata lists no packages")?;
        let relative = |path: &Value| {
            let path = std::path::Path::new(path.as_str().unwrap_or_default());
            path.strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string()
        };
        let read = |package: &Value| {
            let manifest = relative(&package["manifest_path"]);
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let targets = package["targets"].as_array().into_iter().flatten();
            let is_root = |target: &&Value| {
                let kinds = target["kind"].as_array().into_iter().flatten();
                kinds
                    .filter_map(Value::as_str)
                    .any(|kind| matches!(kind, "lib" | "bin" | "proc-macro" | "rlib"))
            };
            Ok(Self {
                name: package["name"].as_str().unwrap_or_default().to_owned(),
                text: crate::shell::read(&root.join(&manifest))?,
                manifest,
                dependencies: dependencies
                    .map(|each| {
                        (
                            each["name"].as_str().unwrap_or_default().to_owned(),
                            each["kind"] == "dev",
                        )
                    })
                    .collect(),
                roots: targets
                    .filter(is_root)
                    .map(|target| relative(&target["src_path"]))
                    .collect(),
            })
        };
        packages.iter().map(read).collect()
    }
}

/// A row of the table of layers.
struct Layer {
    /// The packages in it.
    packages: &'static [&'static str],
    /// What they may import, beside what [`SIBLINGS`] says.
    imports: &'static [&'static str],
}

const VOCABULARY: &[&str] = &["upshift-base", "upshift-codegen", "upshift-event"];
const MECHANISMS: &[&str] = &[
    "upshift-stencil",
    "upshift-cranelift",
    "upshift-llvm",
    "upshift-codemem",
    "upshift-cache",
    "upshift-observe",
];
const FRONT_ENDS: &[&str] = &[
    "upshift-wasm",
    "upshift-wasi",
    "upshift-meta",
    "upshift-meta-macros",
    "upshift-llvmir",
    "upshift-lua",
];

/// The layers, lowest first.
const LAYERS: &[Layer] = &[
    Layer {
        packages: VOCABULARY,
        imports: VOCABULARY,
    },
    Layer {
        packages: MECHANISMS,
        imports: VOCABULARY,
    },
    Layer {
        packages: &["upshift-runtime"],
        imports: &[
            "upshift-base",
            "upshift-codegen",
            "upshift-event",
            "upshift-codemem",
            "upshift-cache",
        ],
    },
    Layer {
        packages: &["upshift"],
        imports: &[
            "upshift-base",
            "upshift-codegen",
            "upshift-event",
            "upshift-stencil",
            "upshift-cranelift",
            "upshift-llvm",
            "upshift-codemem",
            "upshift-cache",
            "upshift-observe",
            "upshift-runtime",
        ],
    },
    Layer {
        packages: FRONT_ENDS,
        imports: &["upshift"],
    },
    Layer {
        packages: &["upshift-cli"],
        imports: &[
            "upshift",
            "upshift-wasm",
            "upshift-wasi",
            "upshift-meta",
            "upshift-meta-macros",
            "upshift-llvmir",
            "upshift-lua",
        ],
    },
];

/// Front ends that belong together: WASI is host functions for WebAssembly modules, Lua is a language made with the
/// meta-JIT, whose macros come with it.
const SIBLINGS: &[(&str, &str)] = &[
    ("upshift-wasi", "upshift-wasm"),
    ("upshift-meta", "upshift-meta-macros"),
    ("upshift-lua", "upshift-meta"),
];

/// Packages for tests and developers.
const TEST_PACKAGES: &[&str] = &[
    "upshift-filetests",
    "upshift-fuzz",
    "upshift-stencils",
    "upshift-benches",
    "upshift-models",
    "upshift-torture",
    "xtask",
];

fn layer_of(package: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|layer| layer.packages.contains(&package))
}

/// Checks every edge between the project's packages.
pub fn check(packages: &[Package]) -> Vec<Finding> {
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut findings = Vec::new();
    for package in packages {
        if TEST_PACKAGES.contains(&package.name.as_str()) {
            continue;
        }
        let Some(layer) = layer_of(&package.name) else {
            let problem = format!("the package {} is in no layer", package.name);
            let remedy = "add it to the table in xtask/src/tidy/crates.rs and to the page that draws the layers";
            findings.push(
                Finding::new("crate-layers", &package.manifest, 1, problem, remedy)
                    .about(&package.name),
            );
            continue;
        };
        for (dependency, tests_only) in package.dependencies.iter().filter(|(name, _)| ours(name)) {
            if let Some(problem) = forbidden(&package.name, layer, dependency, *tests_only) {
                let line = line_of(&package.text, dependency);
                let remedy = "turn the dependency round, or move what is shared down a layer";
                findings.push(
                    Finding::new("crate-layers", &package.manifest, line, problem, remedy)
                        .about(dependency),
                );
            }
        }
    }
    findings
}

fn forbidden(package: &str, layer: usize, dependency: &str, tests_only: bool) -> Option<String> {
    let Some(dependency_layer) = layer_of(dependency) else {
        return TEST_PACKAGES
            .contains(&dependency)
            .then(|| format!("{package} imports {dependency}, which exists for tests"));
    };
    let allowed = if tests_only {
        dependency_layer <= layer
    } else {
        LAYERS[layer].imports.contains(&dependency) || SIBLINGS.contains(&(package, dependency))
    };
    if allowed {
        return None;
    }
    let whose = if tests_only { "the tests of " } else { "" };
    Some(format!(
        "{whose}{package} (layer {layer}) may not import {dependency} (layer {dependency_layer})"
    ))
}

fn line_of(manifest: &str, dependency: &str) -> usize {
    let is_it = |line: &str| {
        let rest = line.trim_start().strip_prefix(dependency);
        rest.is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-')
        })
    };
    let sections = manifest.lines().enumerate().filter(|(_, line)| is_it(line));
    sections.map(|(index, _)| index + 1).next().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: format!("{name}/Cargo.toml"),
            text: "[dependencies]\nupshift-base-x = 1\nupshift-runtime.workspace = true\n"
                .to_owned(),
            dependencies: dependencies
                .iter()
                .map(|(name, tests)| ((*name).to_owned(), *tests))
                .collect(),
            roots: Vec::new(),
        }
    }

    fn check_one(name: &str, dependencies: &[(&str, bool)]) -> Vec<Finding> {
        let mut packages = vec![package(name, dependencies)];
        packages.extend(dependencies.iter().map(|(name, _)| package(name, &[])));
        check(&packages)
    }

    #[test]
    fn what_the_table_allows() {
        assert_eq!(
            check_one(
                "upshift-runtime",
                &[("upshift-codemem", false), ("upshift-base", false)]
            ),
            []
        );
        assert_eq!(check_one("upshift-wasi", &[("upshift-wasm", false)]), []);
        assert_eq!(
            check_one("upshift-codemem", &[("upshift-cranelift", true)]),
            []
        );
        assert_eq!(
            check_one(
                "upshift-filetests",
                &[("upshift-base", false), ("upshift-cli", false)]
            ),
            []
        );
    }

    #[test]
    fn an_edge_upwards_is_found_where_it_is_written() {
        let found = check_one("upshift-codemem", &[("upshift-runtime", false)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].line, found[0].item.as_str()),
            (3, "upshift-runtime")
        );
    }

    #[test]
    fn siblings_and_layers_in_between_are_forbidden() {
        assert_eq!(
            check_one("upshift-cranelift", &[("upshift-codemem", false)]).len(),
            1
        );
        assert_eq!(
            check_one("upshift-wasm", &[("upshift-runtime", false)]).len(),
            1
        );
        assert_eq!(
            check_one("upshift-runtime", &[("upshift-cranelift", false)]).len(),
            1
        );
        assert_eq!(
            check_one("upshift-wasm", &[("upshift-wasi", false)]).len(),
            1
        );
    }

    #[test]
    fn tests_may_not_import_upwards_and_nobody_imports_test_packages() {
        assert_eq!(check_one("upshift-base", &[("upshift", true)]).len(), 1);
        assert_eq!(
            check_one("upshift", &[("upshift-filetests", true)]).len(),
            1
        );
    }

    #[test]
    fn a_package_that_the_table_does_not_know_is_found() {
        let found = check(&[package("upshift-new", &[])]);
        assert_eq!(found.len(), 1);
        assert!(found[0].problem.contains("in no layer"));
    }
}
