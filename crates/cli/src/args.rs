//! The command line: what can be said, and the sentence that explains each flag.

use crate::report::{self, format};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The exit code of a command that could not do its work.
pub const EXIT_ERROR: i32 = 1;
/// The exit code of a program that trapped: what a shell reports of a process that aborted (128 + `SIGABRT`).
pub const EXIT_TRAP: i32 = 134;

const EXAMPLES: &str = "\
Examples:
  upshift run examples/mandelbrot.wat                a program from the repository
  upshift run --stats examples/mandelbrot.wat        the same, and what the tiers did
  upshift run --print-compilation app.wasm           a line for each compilation, as it happens
  upshift run --dir .::/data app.wasm /data/in.txt   a program that may use the current directory
  upshift run --invoke fib examples/fib.wat 30       one function, with arguments
  upshift compile --tier 1 app.wasm                  how long it takes to compile all of it
  upshift explore examples/fib.wat fib               the machine code of a function, and what it comes from
  upshift doctor                                     what this machine offers

`upshift run --help` explains the flags of `run`.";

const RUN_EXAMPLES: &str = "\
Examples:
  upshift run app.wasm --verbose in.txt              what follows the program is the program's
  upshift run --dir . --env LANG=C app.wasm          a directory and a variable for the program
  upshift run --invoke add add.wat 1 -2              calls a function and prints what it returns
  upshift run -W timeout=500ms,max-memory-size=64MiB app.wasm
  upshift run --preload env=shims.wat app.wasm       imports from `env` come from shims.wat
  upshift run --tier 1 --stats app.wasm              optimized code from the first call on
  upshift run --sync --trace tier=events.jsonl app.wasm

Exit code: the program's own; 134 if it trapped or was stopped by a timeout; 2 for a wrong command line; 1 for \
other errors.";

/// Runs WebAssembly programs: at once, and faster the longer they run.
///
/// Each function is compiled quickly when it is first called. Functions that turn out to be hot are compiled again with
/// optimization, in the background, and the better code is swapped in while the program runs.
#[derive(Parser, Debug)]
#[command(name = "upshift", version, after_help = EXAMPLES)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What was said, or the end of the process with what is wrong about it.
    pub fn get() -> Cli {
        Cli::try_parse().unwrap_or_else(|error| {
            let _ = error.print();
            let first = std::env::args_os().nth(1).unwrap_or_default();
            if error.kind() == ErrorKind::InvalidSubcommand && Path::new(&first).is_file() {
                let file = first.to_string_lossy();
                report::stderr(&format!("hint: `upshift run {file}` runs a program\n"));
            }
            std::process::exit(error.exit_code())
        })
    }
}

/// Ends the process as a command line that makes no sense does.
pub fn usage_error(message: &str) -> ! {
    Cli::command()
        .error(ErrorKind::MissingRequiredArgument, message)
        .exit()
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a WebAssembly program (.wasm or .wat), with WASI preview 1 for files and streams
    #[command(
        after_help = RUN_EXAMPLES,
        override_usage = "upshift run [OPTIONS] PROGRAM [ARGS]..."
    )]
    Run(RunArgs),
    /// Compile all functions of a module without running it, and show how long each phase takes
    Compile(CompileArgs),
    /// Show a function's machine code beside the WebAssembly that it comes from
    Explore(ExploreArgs),
    /// Run scripts in the format of the WebAssembly test suite (.wast)
    Wast(WastArgs),
    /// Show what this machine offers: tiers, memory reservations, signals, profiling
    Doctor,
}

/// How an engine is set up: flags that several commands have.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tiers")]
pub struct EngineArgs {
    /// `auto` moves hot functions up; 0 (fast to compile), 1 or 2 (both optimized) uses only that tier
    #[arg(
        long,
        value_name = "TIER",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub tier: TierChoice,
    /// When a function is hot: after 100 calls (default), 10 (development) or 1000 (production); ten loop iterations
    /// count as a call
    #[arg(
        long,
        value_name = "PRESET",
        default_value = "default",
        hide_possible_values = true
    )]
    pub preset: Preset,
    /// Compile in the background on N threads; one less than there are cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Compile hot functions on the program's own thread, the moment they become hot, so that every run does the same
    #[arg(long, conflicts_with = "workers")]
    pub sync: bool,
    /// How code is optimized, several with commas between. What compiles for tier 2: `cranelift`, or `llvm`, in a process
    /// of its own if its server `upshift-llvm` is found; without this there is no tier 2 beside tier 1.
    /// `llvm-server=FILE` is `llvm` with that server: its program, or the socket of one that was started with `--listen`.
    /// `clif` compiles tier 0 by way of CLIF, without optimization. `inlining=n` leaves calls calls, `devirtualization=n`
    /// indirect ones indirect, and with `speculation=n` nothing is taken for granted that tier 0 has to be gone back to for
    #[arg(short = 'O', value_name = "OPTION", value_delimiter = ',')]
    pub optimize: Vec<OptimizeOption>,
    /// Test the engine, several tests with commas between: `osr` moves to better code at every loop header, `osr=N` at
    /// every N-th; `flip` runs each call in tier 0 or 1 at random; `inline` inlines all calls that can be; `deopt` goes
    /// back to tier 0 from the middle of optimized code, `deopt=N` at every N-th of many places; `seed=S` makes these choices others, and moves random. The program's results must be the same. With `frames` it says
    /// at the end how many frames of functions it has looked at and what came of them: the same in every tier and under every
    /// test with the same seed
    #[arg(long, value_name = "TEST", value_delimiter = ',')]
    pub stress: Vec<Stress>,
}

/// `upshift explore`.
#[derive(Args, Debug)]
pub struct ExploreArgs {
    /// The module, in binary form or as text
    pub file: PathBuf,
    /// A function of it, by its name, the name of its export, or its index
    #[arg(value_name = "FUNC")]
    pub function: String,
    /// The tier whose code is shown: 0 (copied and patched) or 1 (optimized)
    #[arg(long, value_name = "TIER", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub tier: u8,
}

/// `upshift run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The program, in binary form or as text, and what to pass to it: everything after PROGRAM is the program's
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, num_args = 1..)]
    pub program: Vec<OsString>,

    /// Let the program use a directory, under the same name or as GUEST; it gets at no files without this
    #[arg(
        long = "dir",
        value_name = "HOST[::GUEST]",
        help_heading = "The program's world"
    )]
    pub dirs: Vec<Dir>,
    /// Set an environment variable for the program; without a value, pass on the one of that name from here
    #[arg(
        long = "env",
        value_name = "NAME[=VALUE]",
        help_heading = "The program's world"
    )]
    pub env: Vec<String>,
    /// Call this exported function instead of `_start`, with ARGS as its arguments, and print its results
    #[arg(long, value_name = "NAME", help_heading = "The program's world")]
    pub invoke: Option<String>,
    /// Instantiate another module first; what it exports satisfies imports from NAME
    #[arg(
        long = "preload",
        value_name = "NAME=FILE",
        help_heading = "The program's world"
    )]
    pub preloads: Vec<Preload>,
    /// Let the program see the same in every run: clocks that start with the year 2000 and move by a microsecond at each look,
    /// random numbers that are always the same, and files without ages of their own
    #[arg(long, help_heading = "The program's world")]
    pub deterministic: bool,
    /// Tell the program that this is its name, instead of its file's
    #[arg(long, value_name = "NAME", help_heading = "The program's world")]
    pub argv0: Option<OsString>,
    /// Set limits and the like, several with commas between; `-W help` lists them
    #[arg(
        short = 'W',
        alias = "wasm",
        value_name = "KEY=VALUE",
        value_delimiter = ','
    )]
    #[arg(help_heading = "The program's world")]
    pub wasm: Vec<WasmOption>,

    #[command(flatten)]
    pub engine: EngineArgs,

    /// Show at the end where the time went and what each tier did, on standard error
    #[arg(long, help_heading = "What to show")]
    pub stats: bool,
    /// Print a line for each compilation, when it is done, on standard error
    #[arg(long, help_heading = "What to show")]
    pub print_compilation: bool,
    /// Write events as lines of JSON, to FILE or standard error: `tier` for functions' ways through the tiers, `osr`
    /// for loops that move to better code while they run, `deopt` for code that goes back to tier 0, or several:
    /// `tier,osr,deopt`
    #[arg(long, value_name = "TOPIC[=FILE]", help_heading = "What to show")]
    pub trace: Option<Trace>,
}

/// `upshift compile`.
#[derive(Args, Debug)]
pub struct CompileArgs {
    /// The module, in binary form or as text
    pub file: PathBuf,
    /// The tier to compile for: 0, 1 or 2
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub tier: u8,
    /// Compile on N threads
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// What compiles for tier 2: `cranelift`, `llvm` or `llvm-server=FILE`, as for `run`
    #[arg(short = 'O', value_name = "OPTION", value_delimiter = ',')]
    pub optimize: Vec<OptimizeOption>,
    /// For tier 0, compile by way of CLIF, as what copy-and-patch declines is compiled
    #[arg(long)]
    pub clif: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// `upshift wast`.
#[derive(Args, Debug)]
pub struct WastArgs {
    /// The scripts; of a directory, all .wast files in it and below
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// The value of `--tier`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum TierChoice {
    Auto,
    #[value(name = "0")]
    Zero,
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}

/// The value of `--preset`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    Default,
    Development,
    Production,
}

/// A value of `-O`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OptimizeOption {
    /// Cranelift compiles for tier 2.
    Cranelift,
    /// LLVM compiles for tier 2.
    Llvm,
    /// The same, with this server.
    LlvmServer(PathBuf),
    /// Tier 0 is compiled from CLIF.
    Clif,
    /// Whether calls are replaced by their callees' bodies.
    Inlining(bool),
    /// Whether indirect calls become direct ones.
    Devirtualization(bool),
    /// Whether optimized code takes things for granted.
    Speculation(bool),
}

impl FromStr for OptimizeOption {
    type Err = String;

    fn from_str(text: &str) -> Result<OptimizeOption, String> {
        let (key, value) = match text.split_once('=') {
            Some(("llvm-server", place)) => return Ok(OptimizeOption::LlvmServer(place.into())),
            Some((key, value)) => (key, parse_yes(value)?),
            None => (text, true),
        };
        match key {
            "cranelift" if text == key => Ok(OptimizeOption::Cranelift),
            "llvm" if text == key => Ok(OptimizeOption::Llvm),
            "clif" if text == key => Ok(OptimizeOption::Clif),
            "inlining" => Ok(OptimizeOption::Inlining(value)),
            "devirtualization" => Ok(OptimizeOption::Devirtualization(value)),
            "speculation" => Ok(OptimizeOption::Speculation(value)),
            _ => Err(format!(
                "there is no option `{text}`; there are clif, cranelift, llvm, llvm-server=FILE, inlining=y|n, \
                 devirtualization=y|n, speculation=y|n"
            )),
        }
    }
}

fn parse_yes(text: &str) -> Result<bool, String> {
    match text {
        "y" | "yes" | "true" => Ok(true),
        "n" | "no" | "false" => Ok(false),
        other => Err(format!("`{other}` is neither y nor n")),
    }
}

/// A value of `--stress`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stress {
    /// Activations move to better code at loop headers.
    Osr {
        /// How many arrivals lie between two moves, counting the one that moves.
        period: u32,
    },
    /// Each call runs in tier 0 or 1 at random.
    Flip,
    /// What decides at random.
    Seed(u64),
    /// All calls are inlined for which that can be done.
    Inline,
    /// Guards that hold fail.
    Deopt {
        /// How many guards lie between two that fail, counting the one that fails.
        period: u32,
    },
    /// The frames of functions are logged.
    Frames,
}

impl FromStr for Stress {
    type Err = String;

    fn from_str(text: &str) -> Result<Stress, String> {
        fn number<N: FromStr + Default + PartialEq>(text: &str) -> Result<N, String> {
            let number = text.parse().ok().filter(|number| *number != N::default());
            number.ok_or_else(|| format!("`{text}` is not a number above 0"))
        }
        match text.split_once('=').unwrap_or((text, "")) {
            ("osr", "") => Ok(Stress::Osr { period: 1 }),
            ("osr", period) => number(period).map(|period| Stress::Osr { period }),
            ("deopt", "") => Ok(Stress::Deopt { period: 1 }),
            ("deopt", period) => number(period).map(|period| Stress::Deopt { period }),
            ("seed", seed) => number(seed).map(Stress::Seed),
            ("flip", "") => Ok(Stress::Flip),
            ("inline", "") => Ok(Stress::Inline),
            ("frames", "") => Ok(Stress::Frames),
            _ => Err(format!(
                "there is no stress test `{text}`; say osr, osr=N, flip, inline, deopt, deopt=N, and frames and seed=S \
                 with them if you like"
            )),
        }
    }
}

/// A value of `--dir`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dir {
    pub host: PathBuf,
    pub guest: String,
}

impl FromStr for Dir {
    type Err = String;

    fn from_str(text: &str) -> Result<Dir, String> {
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err("neither the directory nor the program's name for it may be empty".into());
        }
        Ok(Dir {
            host: host.into(),
            guest: guest.to_owned(),
        })
    }
}

/// A value of `--preload`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preload {
    pub name: String,
    pub file: PathBuf,
}

impl FromStr for Preload {
    type Err = String;

    fn from_str(text: &str) -> Result<Preload, String> {
        match text.split_once('=') {
            Some((name, file)) if !file.is_empty() => Ok(Preload {
                name: name.to_owned(),
                file: file.into(),
            }),
            _ => Err("say NAME=FILE, for example env=shims.wat".into()),
        }
    }
}

/// The value of `--trace`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Functions' ways through the tiers.
    pub tier: bool,
    /// Loops that move to better code.
    pub osr: bool,
    /// Code that goes back to tier 0.
    pub deopt: bool,
    /// Where to; standard error if there is no file.
    pub file: Option<PathBuf>,
}

impl FromStr for Trace {
    type Err = String;

    fn from_str(text: &str) -> Result<Trace, String> {
        let (topics, file) = match text.split_once('=') {
            Some((_, "")) => return Err("the file's name is missing".into()),
            Some((topics, "-")) => (topics, None),
            Some((topics, file)) => (topics, Some(file.into())),
            None => (text, None),
        };
        let mut trace = Trace {
            tier: false,
            osr: false,
            deopt: false,
            file,
        };
        for topic in topics.split(',') {
            match topic {
                "tier" => trace.tier = true,
                "osr" => trace.osr = true,
                "deopt" => trace.deopt = true,
                other => {
                    return Err(format!(
                        "there is no trace `{other}`; say tier, osr or deopt, or several, and where to: tier=FILE"
                    ));
                }
            }
        }
        Ok(trace)
    }
}

/// A value of `-W`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum WasmOption {
    Help,
    Timeout(Duration),
    MemoryBytesMax(usize),
    StackBytesMax(usize),
    CanonicalNans(bool),
}

/// The keys of `-W`, what they look like, and what they do.
const WASM_OPTIONS: [(&str, &str, &str); 4] = [
    (
        "timeout",
        "DURATION",
        "stop the program after this long, for example 500ms, 2s or 1m",
    ),
    (
        "max-memory-size",
        "BYTES",
        "let no memory grow beyond this, for example 64MiB",
    ),
    (
        "max-wasm-stack",
        "BYTES",
        "let the program use this much stack; 1MiB unless given",
    ),
    (
        "nan-canonicalization",
        "y|n",
        "make every computed NaN the same bits on every machine",
    ),
];

/// What `-W help` prints.
pub struct WasmHelp;

impl fmt::Display for WasmHelp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value, help) in WASM_OPTIONS {
            writeln!(f, "  -W {:<30} {help}", format!("{key}={value}"))?;
        }
        Ok(())
    }
}

impl FromStr for WasmOption {
    type Err = String;

    fn from_str(text: &str) -> Result<WasmOption, String> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        let needed = || value.ok_or_else(|| format!("`{key}` needs a value: {}", example(key)));
        match key {
            "help" => Ok(WasmOption::Help),
            "timeout" => Ok(WasmOption::Timeout(format::parse_duration(needed()?)?)),
            "max-memory-size" => Ok(WasmOption::MemoryBytesMax(format::parse_bytes(needed()?)?)),
            "max-wasm-stack" => Ok(WasmOption::StackBytesMax(format::parse_bytes(needed()?)?)),
            "nan-canonicalization" => {
                let canonical = value.map_or(Ok(true), parse_yes)?;
                Ok(WasmOption::CanonicalNans(canonical))
            }
            _ => {
                let known = WASM_OPTIONS.map(|(key, ..)| key).join(", ");
                Err(format!("there is no option `{key}`; there are {known}"))
            }
        }
    }
}

fn example(key: &str) -> &'static str {
    match key {
        "timeout" => "timeout=500ms",
        _ => "64MiB, for example",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_program_is_the_programs() {
        let line = [
            "upshift", "run", "--stats", "a.wasm", "--tier", "1", "-W", "--", "-x",
        ];
        let Command::Run(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!()
        };
        assert!(args.stats && args.engine.tier == TierChoice::Auto);
        assert_eq!(args.program, ["a.wasm", "--tier", "1", "-W", "--", "-x"]);
    }

    #[test]
    fn compound_values() {
        assert_eq!(
            "a::/b".parse(),
            Ok(Dir {
                host: "a".into(),
                guest: "/b".into()
            })
        );
        assert_eq!(
            "a".parse(),
            Ok(Dir {
                host: "a".into(),
                guest: "a".into()
            })
        );
        assert!("::b".parse::<Dir>().is_err() && "a::".parse::<Dir>().is_err());
        assert!("env".parse::<Preload>().is_err() && "env=".parse::<Preload>().is_err());
        assert_eq!(
            "tier=x".parse(),
            Ok(Trace {
                tier: true,
                osr: false,
                deopt: false,
                file: Some("x".into())
            })
        );
        let all = "tier,osr,deopt".parse::<Trace>().unwrap();
        assert!(all.tier && all.osr && all.deopt && all.file.is_none());
        assert_eq!("osr=3".parse(), Ok(Stress::Osr { period: 3 }));
        assert_eq!("osr".parse(), Ok(Stress::Osr { period: 1 }));
        assert_eq!("flip".parse(), Ok(Stress::Flip));
        assert_eq!("seed=7".parse(), Ok(Stress::Seed(7)));
        assert_eq!("inline".parse(), Ok(Stress::Inline));
        assert_eq!("frames".parse(), Ok(Stress::Frames));
        assert_eq!("deopt".parse(), Ok(Stress::Deopt { period: 1 }));
        assert_eq!("deopt=5".parse(), Ok(Stress::Deopt { period: 5 }));
        for wrong in [
            "osr=0", "deopt=0", "gc", "flip=2", "inline=2", "seed=0", "seed=", "",
        ] {
            assert!(wrong.parse::<Stress>().is_err(), "{wrong}");
        }
        assert_eq!("inlining=n".parse(), Ok(OptimizeOption::Inlining(false)));
        let key = "devirtualization".parse();
        assert_eq!(key, Ok(OptimizeOption::Devirtualization(true)));
        assert_eq!(
            "speculation=n".parse(),
            Ok(OptimizeOption::Speculation(false))
        );
        assert_eq!("llvm".parse(), Ok(OptimizeOption::Llvm));
        let server = OptimizeOption::LlvmServer("a/b".into());
        assert_eq!("llvm-server=a/b".parse(), Ok(server));
        assert_eq!("clif".parse(), Ok(OptimizeOption::Clif));
        assert!("llvm=y".parse::<OptimizeOption>().is_err());
        assert!("inlining=2".parse::<OptimizeOption>().is_err());
        assert!("unrolling=y".parse::<OptimizeOption>().is_err());
        assert!("gc".parse::<Trace>().is_err() && "tier=".parse::<Trace>().is_err());
        let seconds = WasmOption::Timeout(Duration::from_secs(2));
        assert_eq!("timeout=2s".parse(), Ok(seconds));
        assert_eq!(
            "nan-canonicalization".parse(),
            Ok(WasmOption::CanonicalNans(true))
        );
        let error = "fuel=1".parse::<WasmOption>().unwrap_err();
        assert!(error.contains("max-wasm-stack"), "{error}");
    }
}
