//! Builds C programs for wasm32-wasi with Debian's packages, and the drivers in `programs/shims/` from their text.
//!
//! Compiling and linking are two steps, because clang that links an optimized program runs a `wasm-opt` over it if it
//! finds one: what the corpus holds would depend on what else is installed.
//!
//! Lua needs that `wasm-opt`, though, for a pass of its own: it raises errors with longjmp, which WebAssembly without
//! its exception handling proposal cannot do (and clang's `-wasm-enable-sjlj` is made of that proposal). Binaryen's
//! Asyncify can unwind a stack with ordinary returns; `programs/lua/wasi.h` says how that makes a throw.
//!
//! Each artefact has a stamp: the hash of what it was made from. As long as that fits, it is not made again.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::fetch::{self, Unavailable};
use super::table::{LUA, SQLITE};
use crate::shell;

const PACKAGES: [&str; 5] = [
    "clang-19",
    "lld-19",
    "wasi-libc",
    "libclang-rt-19-dev-wasm32",
    "binaryen",
];
const COMPILER: &str = "clang-19";
const TARGET: &str = "--target=wasm32-wasi";
const HEADERS: &str = "/usr/include/wasm32-wasi/stdio.h";
const BUILTINS: &str = "/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a";

/// Makes sure of the compiler, its libraries and the linker, installing them if this user may.
pub fn toolchain() -> Result<()> {
    if toolchain_is_complete() {
        return Ok(());
    }
    let by_hand = format!(
        "apt-get install -y --no-install-recommends {}",
        PACKAGES.join(" ")
    );
    let is_root = shell::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !shell::has("apt-get") {
        bail!(Unavailable(format!(
            "needs Debian's packages, which root installs with `{by_hand}`"
        )));
    }
    shell::step(&by_hand);
    let update = || shell::output(Command::new("apt-get").arg("update"));
    install()
        .or_else(|_| update().and_then(|_| install()))
        .map_err(|error| Unavailable(format!("{error:#}")))?;
    if !toolchain_is_complete() {
        bail!(Unavailable(format!(
            "`{by_hand}` left the WebAssembly toolchain incomplete"
        )));
    }
    Ok(())
}

fn install() -> Result<String> {
    shell::output(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "--no-install-recommends"])
            .args(PACKAGES),
    )
}

fn toolchain_is_complete() -> bool {
    let programs = [COMPILER, "wasm-ld-19", "wasm-opt"];
    programs.iter().all(|program| shell::has(program))
        && [HEADERS, BUILTINS]
            .iter()
            .all(|file| Path::new(file).exists())
}

/// What makes one module out of C files.
struct Recipe {
    /// The C files.
    sources: Vec<PathBuf>,
    /// Files that are no argument but count as inputs: headers.
    inputs: Vec<PathBuf>,
    compile: Vec<String>,
    link: Vec<String>,
    /// Arguments of a run of `wasm-opt` over the linked module.
    optimize: Option<Vec<&'static str>>,
}

impl Recipe {
    fn stamp(&self) -> Result<String> {
        let mut all = format!("{:?} {:?} {:?}", self.compile, self.link, self.optimize);
        for path in self.sources.iter().chain(&self.inputs) {
            all.push_str(&shell::sha256_of_file(path)?);
        }
        Ok(shell::sha256(all.as_bytes()))
    }

    fn build(&self, module: &Path) -> Result<()> {
        let stamp_path = module.with_extension("stamp");
        let stamp = self.stamp()?;
        if module.exists() && std::fs::read_to_string(&stamp_path).is_ok_and(|text| text == stamp) {
            return Ok(());
        }
        shell::step(&format!("building {}", module.display()));
        let objects = module.with_extension("objects");
        shell::empty_folder(&objects)?;
        let compile = |command: &mut Command| {
            shell::output(
                command
                    .current_dir(&objects)
                    .args([TARGET, "-c"])
                    .args(&self.compile)
                    .args(&self.sources),
            )
        };
        compile(&mut Command::new(COMPILER))?;
        let linked = objects.join("linked.wasm");
        shell::output(
            Command::new(COMPILER)
                .args([TARGET, "-Wl,--strip-debug"])
                .args(fetch::c_files(&objects, &["o"])?)
                .args(&self.link)
                .arg("-o")
                .arg(&linked),
        )?;
        match &self.optimize {
            Some(arguments) => {
                shell::output(
                    Command::new("wasm-opt")
                        .args(arguments)
                        .arg(&linked)
                        .arg("-o")
                        .arg(module),
                )
                .map(drop)?;
            }
            None => {
                std::fs::copy(&linked, module)
                    .with_context(|| format!("cannot write {}", module.display()))?;
            }
        }
        std::fs::remove_dir_all(&objects)?;
        shell::write(&stamp_path, stamp.as_bytes())
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn include(folder: &Path) -> String {
    format!("-I{}", folder.display())
}

/// Builds each C file in `programs/kernels/`, and says so if a module that is kept there is not what its file
/// gives: another version of the compiler's packages may be the reason.
pub fn kernels(root: &Path, corpus: &Path) -> Result<()> {
    let folder = root.join("programs/kernels");
    for source in fetch::c_files(&folder, &["c"])? {
        let name = source.file_stem().unwrap_or_default().to_owned();
        let module = corpus.join("kernels").join(name).with_extension("wasm");
        shell::create_folder(&corpus.join("kernels"))?;
        let recipe = Recipe {
            sources: vec![source.clone()],
            inputs: fetch::c_files(&folder, &["h"])?,
            compile: strings(&["-O2", "-Wall", "-Wextra", "-Werror"]),
            link: strings(&["-Wl,--strip-all"]),
            optimize: None,
        };
        recipe.build(&module)?;
        let kept = source.with_extension("wasm");
        if kept.exists() && std::fs::read(&kept)? != std::fs::read(&module)? {
            eprintln!(
                "    note: {} is not what its C file gives here; if that changed, copy {} over it",
                kept.display(),
                module.display()
            );
        }
    }
    Ok(())
}

/// Builds Lua with the driver in `programs/lua/`.
pub fn lua(root: &Path, corpus: &Path) -> Result<()> {
    let lua = fetch::crate_sources(&LUA, corpus)?;
    let ours = root.join("programs/lua");
    let mut sources = fetch::c_files(&lua, &["c"])?;
    sources.extend(fetch::c_files(&ours, &["c"])?);
    let platform = ours.join("wasi.h");
    let mut compile = strings(&[
        "-O2",
        "-Wno-invalid-noreturn",
        "-Wno-return-type",
        "-Wno-deprecated-declarations",
    ]);
    compile.extend(strings(&["-D_WASI_EMULATED_PROCESS_CLOCKS", "-include"]));
    compile.push(platform.display().to_string());
    compile.extend([
        include(&ours.join("include")),
        include(&lua),
        include(&ours),
    ]);
    let recipe = Recipe {
        sources,
        inputs: vec![platform],
        compile,
        link: strings(&["-lwasi-emulated-process-clocks"]),
        // The only import that starts an unwinding is Asyncify's own.
        optimize: Some(vec![
            "-g",
            "--asyncify",
            "--pass-arg=asyncify-ignore-imports",
            "-O2",
        ]),
    };
    shell::create_folder(&corpus.join("lua"))?;
    recipe.build(&corpus.join("lua/lua.wasm"))
}

/// How SQLite is configured. The last: the compiler's library has no 128-bit floating point to print with.
pub const SQLITE_OPTIONS: [&str; 7] = [
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_TEMP_STORE=3",
    "-DHAVE_USLEEP",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_OMIT_WAL",
    "-DSQLITE_ENABLE_STAT4",
    "-DLONGDOUBLE_TYPE=double",
];

/// Builds SQLite with the workload in `programs/sqlite/`.
pub fn sqlite(root: &Path, corpus: &Path) -> Result<()> {
    let sqlite = fetch::crate_sources(&SQLITE, corpus)?;
    let mut compile = strings(&["-O2", "-w"]);
    compile.extend(strings(&SQLITE_OPTIONS));
    compile.push(include(&sqlite));
    let recipe = Recipe {
        sources: vec![
            sqlite.join("sqlite3.c"),
            root.join("programs/sqlite/workload.c"),
        ],
        inputs: fetch::c_files(&sqlite, &["h"])?,
        compile,
        link: Vec::new(),
        optimize: None,
    };
    shell::create_folder(&corpus.join("sqlite"))?;
    recipe.build(&corpus.join("sqlite/sqlite.wasm"))
}

/// The binary module of a file in the text format, which other engines do not read: made anew each time, it is small.
pub fn assembled(root: &Path, corpus: &Path, text: &str) -> Result<PathBuf> {
    let source = root.join(text);
    let module = wat::parse_file(&source).with_context(|| format!("cannot assemble {text}"))?;
    let path = corpus
        .join("shims")
        .join(source.file_stem().unwrap_or_default())
        .with_extension("wasm");
    shell::write(&path, &module)?;
    Ok(path)
}
