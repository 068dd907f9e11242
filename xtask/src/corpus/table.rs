//! The corpus: which programs there are, where each comes from, how it is run and what it must print.
//!
//! Paths are relative to the repository's root. A program's expected output is the file of its name in
//! `programs/expected/`, made by another engine (`cargo xtask corpus --expect`).

/// Where a program's files come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It is kept in the repository.
    Kept,
    /// Built from one of the C files in `programs/kernels/`.
    Kernel,
    /// Lua from the crate `lua-src`, built for wasm32-wasi.
    Lua,
    /// SQLite from the crate `libsqlite3-sys`, built for wasm32-wasi.
    Sqlite,
    /// A package of the npm registry; the index is into [`PACKAGES`].
    Npm(usize),
}

/// A package of the npm registry.
pub struct Package {
    /// Its name there.
    pub name: &'static str,
    /// The one version we use.
    pub version: &'static str,
    /// SHA-256 of the archive that `npm pack` makes of it.
    pub sha256: &'static str,
    /// The folder in the corpus that it is unpacked to.
    pub folder: &'static str,
    /// An archive inside the package and the folder to unpack that to, next to the package's own.
    pub resources: Option<(&'static str, &'static str)>,
}

/// Index of [`PACKAGES`].
const CLANG: usize = 0;
const ARGON2: usize = 1;
const ZSTD: usize = 2;

/// The npm packages.
pub const PACKAGES: [Package; 3] = [
    Package {
        name: "@yowasp/clang",
        version: "22.0.0-git20542-10",
        sha256: "6230ea1afa9691fa065935cf68c01642ff9b31c183fe8ac64cdfda025df06009",
        folder: "yowasp-clang",
        resources: Some(("package/gen/llvm-resources.tar", "usr")),
    },
    Package {
        name: "argon2-browser",
        version: "1.18.0",
        sha256: "cdb11795a4971bde095fe6b836aa424de50c4558ed4b9505bc74111eee7f6d35",
        folder: "argon2-browser",
        resources: None,
    },
    Package {
        name: "@bokuweb/zstd-wasm",
        version: "0.0.27",
        sha256: "680a6ae81375a786c30671cf3824ff8c1d04657b5e540b4f92178897f2210344",
        folder: "zstd-wasm",
        resources: None,
    },
];

/// A crate that carries C sources.
pub struct SourceCrate {
    /// Its name.
    pub name: &'static str,
    /// The one version we use.
    pub version: &'static str,
    /// The folder in it that holds the C files.
    pub folder: &'static str,
    /// SHA-256 over the folder's C files and headers, see `fetch::hash_of_sources`.
    pub sha256: &'static str,
}

/// Lua 5.4.
pub const LUA: SourceCrate = SourceCrate {
    name: "lua-src",
    version: "551.1.0",
    folder: "lua-5.4.9",
    sha256: "60f5cf723a4418912c16fb560597fd541bfd68513964774704b666cf667ce976",
};

/// SQLite 3.
pub const SQLITE: SourceCrate = SourceCrate {
    name: "libsqlite3-sys",
    version: "0.39.1",
    folder: "sqlite3",
    sha256: "bcc8177c9e6cb045a0c6f00a41021395efce56a42624b57f893a507441cf6c22",
};

/// One program and one way to run it.
pub struct Program {
    /// What it is called on the command line, and its expected output's file name.
    pub name: &'static str,
    /// Where its files come from.
    pub origin: Origin,
    /// The module to run.
    pub file: &'static str,
    /// Its arguments.
    pub args: &'static [&'static str],
    /// Its arguments when it is timed: the same work, more of it.
    pub bench_args: &'static [&'static str],
    /// Modules to instantiate first: the name they are imported by, and the file.
    pub preloads: &'static [(&'static str, &'static str)],
    /// Folders it may use: the host's and the guest's name.
    pub dirs: &'static [(&'static str, &'static str)],
    /// The guest's name of a folder that is empty whenever the program starts.
    pub scratch: Option<&'static str>,
    /// The exit code it must end with.
    pub exit: i32,
    /// Whether `--quick` leaves it out.
    pub slow: bool,
}

impl Program {
    /// Whether it is a small program of our own.
    pub fn is_kernel(&self) -> bool {
        matches!(self.origin, Origin::Kept | Origin::Kernel)
    }
}

const fn kernel(
    name: &'static str,
    file: &'static str,
    args: &'static [&'static str],
    bench_args: &'static [&'static str],
) -> Program {
    let origin = match file.as_bytes() {
        [b'p', ..] => Origin::Kept,
        _ => Origin::Kernel,
    };
    Program {
        name,
        origin,
        file,
        args,
        bench_args,
        preloads: &[],
        dirs: &[],
        scratch: None,
        exit: 0,
        slow: false,
    }
}

const fn lua(
    name: &'static str,
    args: &'static [&'static str],
    bench_args: &'static [&'static str],
) -> Program {
    Program {
        name,
        origin: Origin::Lua,
        file: "corpus/lua/lua.wasm",
        args,
        bench_args,
        preloads: &[],
        dirs: &[("programs/lua", "lua")],
        scratch: None,
        exit: 0,
        slow: false,
    }
}

const fn sqlite(
    name: &'static str,
    args: &'static [&'static str],
    bench_args: &'static [&'static str],
    scratch: Option<&'static str>,
) -> Program {
    Program {
        name,
        origin: Origin::Sqlite,
        file: "corpus/sqlite/sqlite.wasm",
        args,
        bench_args,
        preloads: &[],
        dirs: &[],
        scratch,
        exit: 0,
        slow: false,
    }
}

const fn clang(name: &'static str, args: &'static [&'static str]) -> Program {
    Program {
        name,
        origin: Origin::Npm(CLANG),
        file: "corpus/yowasp-clang/package/gen/llvm.core.wasm",
        args,
        bench_args: args,
        preloads: &[],
        dirs: &[
            ("programs/clang", "/in"),
            ("corpus/yowasp-clang/usr", "/usr"),
        ],
        scratch: None,
        exit: 0,
        slow: true,
    }
}

const fn shimmed(
    name: &'static str,
    package: usize,
    file: &'static str,
    preloads: &'static [(&'static str, &'static str)],
) -> Program {
    Program {
        name,
        origin: Origin::Npm(package),
        file,
        args: &[],
        bench_args: &[],
        preloads,
        dirs: &[],
        scratch: None,
        exit: 0,
        slow: false,
    }
}

/// Every program, the quick ones first.
pub const PROGRAMS: &[Program] = &[
    kernel("hello", "programs/shims/hello.wat", &[], &[]),
    kernel("sha256", "programs/kernels/sha256.wasm", &["20"], &["2000"]),
    kernel(
        "quicksort",
        "programs/kernels/quicksort.wasm",
        &["3"],
        &["100"],
    ),
    kernel("fib", "corpus/kernels/fib.wasm", &["1"], &["200"]),
    kernel("sieve", "corpus/kernels/sieve.wasm", &["2"], &["200"]),
    kernel("matmul", "corpus/kernels/matmul.wasm", &["5"], &["1000"]),
    kernel("nbody", "corpus/kernels/nbody.wasm", &["20"], &["5000"]),
    kernel(
        "mandelbrot",
        "corpus/kernels/mandelbrot.wasm",
        &["3"],
        &["300"],
    ),
    kernel(
        "dispatch",
        "corpus/kernels/dispatch.wasm",
        &["5"],
        &["1000"],
    ),
    kernel("gemm", "corpus/kernels/gemm.wasm", &["5"], &["1000"]),
    kernel(
        "jacobi2d",
        "corpus/kernels/jacobi2d.wasm",
        &["10"],
        &["2000"],
    ),
    kernel(
        "floydwarshall",
        "corpus/kernels/floydwarshall.wasm",
        &["2"],
        &["400"],
    ),
    kernel(
        "cholesky",
        "corpus/kernels/cholesky.wasm",
        &["5"],
        &["2000"],
    ),
    kernel("fdtd2d", "corpus/kernels/fdtd2d.wasm", &["10"], &["2000"]),
    kernel("nussinov", "corpus/kernels/nussinov.wasm", &["2"], &["400"]),
    kernel(
        "spectralnorm",
        "corpus/kernels/spectralnorm.wasm",
        &["5"],
        &["1000"],
    ),
    lua(
        "lua-calls",
        &["lua/calls.lua", "2"],
        &["lua/calls.lua", "40"],
    ),
    lua(
        "lua-numbers",
        &["lua/numbers.lua", "2"],
        &["lua/numbers.lua", "40"],
    ),
    lua(
        "lua-strings",
        &["lua/strings.lua", "2"],
        &["lua/strings.lua", "40"],
    ),
    lua(
        "lua-tables",
        &["lua/tables.lua", "2"],
        &["lua/tables.lua", "40"],
    ),
    lua(
        "lua-control",
        &["lua/control.lua", "2"],
        &["lua/control.lua", "40"],
    ),
    sqlite("sqlite", &["10000"], &["60000"], None),
    sqlite(
        "sqlite-file",
        &["5000", "/data/shop.db"],
        &["20000", "/data/shop.db"],
        Some("/data"),
    ),
    shimmed(
        "argon2",
        ARGON2,
        "programs/shims/argon2.wat",
        &[
            ("a", "programs/shims/argon2_env.wat"),
            ("argon2", "corpus/argon2-browser/package/dist/argon2.wasm"),
        ],
    ),
    shimmed(
        "argon2-simd",
        ARGON2,
        "programs/shims/argon2.wat",
        &[
            ("a", "programs/shims/argon2_env.wat"),
            (
                "argon2",
                "corpus/argon2-browser/package/dist/argon2-simd.wasm",
            ),
        ],
    ),
    shimmed(
        "zstd",
        ZSTD,
        "programs/shims/zstd.wat",
        &[
            ("a", "programs/shims/zstd_env.wat"),
            ("zstd", "corpus/zstd-wasm/package/dist/esm/zstd.wasm"),
        ],
    ),
    clang("clang-version", &["clang", "--version"]),
    clang(
        "clang-ir",
        &["clang", "-O2", "-S", "-emit-llvm", "/in/hello.c", "-o", "-"],
    ),
    clang(
        "clang-asm",
        &["clang", "-O2", "-msimd128", "-S", "/in/hello.c", "-o", "-"],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_files_of_ours_exist() {
        let root = crate::shell::root();
        let mut names = HashSet::new();
        for program in PROGRAMS {
            assert!(
                names.insert(program.name),
                "{} is there twice",
                program.name
            );
            let preloads = program.preloads.iter().map(|(_, file)| *file);
            let folders = program.dirs.iter().map(|(host, _)| *host);
            for path in preloads
                .chain(folders)
                .chain([program.file])
                .filter(|path| path.starts_with("programs/"))
            {
                assert!(
                    root.join(path).exists(),
                    "{}: {path} does not exist",
                    program.name
                );
            }
        }
    }

    #[test]
    fn every_kernel_is_run() {
        let kernels = crate::shell::root().join("programs/kernels");
        for entry in std::fs::read_dir(kernels).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "c") {
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(
                    PROGRAMS.iter().any(|program| program.name == name),
                    "{name}.c is not in the table"
                );
            }
        }
    }

    #[test]
    fn every_program_has_an_expected_output() {
        let expected = crate::shell::root().join("programs/expected");
        for program in PROGRAMS {
            let path = expected.join(format!("{}.txt", program.name));
            assert!(path.is_file(), "{} is missing", path.display());
        }
    }
}
