//! Runs corpus programs: in Upshift, in Node as the oracle, and natively as a second one.
//!
//! `programs/oracle.mjs` takes the flags of `upshift run` that the corpus needs, so both are given the same arguments.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::build;
use super::fetch;
use super::table::{LUA, Origin, Program, SQLITE};
use crate::shell;

/// How a run ended.
pub struct Ended {
    /// What it printed.
    pub stdout: Vec<u8>,
    /// The exit code; none if a signal or the time limit ended it.
    pub exit: Option<i32>,
    /// How long it took.
    pub time: Duration,
    /// The last lines of what it said on its standard error.
    pub said: String,
}

/// Where the repository, the corpus and the runs' files are.
pub struct Places {
    /// The repository's root.
    pub root: PathBuf,
    /// The ignored folder.
    pub corpus: PathBuf,
}

impl Places {
    /// The files a run writes its output to, and a folder for it to use.
    fn output(&self, name: &str) -> PathBuf {
        self.corpus.join("out").join(name)
    }
}

/// The flags, the module and the arguments, as `upshift run` takes them. `assemble`: give modules in binary only.
pub fn arguments(
    program: &Program,
    places: &Places,
    run: &str,
    assemble: bool,
) -> Result<Vec<String>> {
    let file = |path: &str| -> Result<String> {
        let path = if assemble && path.ends_with(".wat") {
            build::assembled(&places.root, &places.corpus, path)?
        } else {
            places.root.join(path)
        };
        Ok(path.display().to_string())
    };
    let mut arguments = Vec::new();
    for (host, guest) in program.dirs {
        arguments.extend([
            "--dir".to_owned(),
            format!("{}::{guest}", places.root.join(host).display()),
        ]);
    }
    if let Some(guest) = program.scratch {
        let folder = with_suffix(&places.output(run), ".scratch");
        shell::empty_folder(&folder)?;
        arguments.extend(["--dir".to_owned(), format!("{}::{guest}", folder.display())]);
    }
    for (name, path) in program.preloads {
        arguments.extend(["--preload".to_owned(), format!("{name}={}", file(path)?)]);
    }
    arguments.push(file(program.file)?);
    arguments.extend(program.args.iter().map(|&argument| argument.to_owned()));
    Ok(arguments)
}

/// A way to run a program in Upshift.
#[derive(Clone, Copy)]
pub struct Way<'o> {
    /// The tier, as `upshift run --tier` takes it.
    pub tier: &'o str,
    /// How code is made, as `-O` takes it.
    pub optimization: Option<&'o str>,
    /// The stress test, as `--stress` takes it.
    pub stress: Option<&'o str>,
}

/// What is shown of an option that may name a file.
pub fn shown(option: &str) -> &str {
    option.split_once('=').map_or(option, |(name, _)| name)
}

/// Runs a program with `upshift run`.
pub fn upshift(
    binary: &Path,
    program: &Program,
    places: &Places,
    way: Way<'_>,
    limit: Duration,
) -> Result<Ended> {
    let Way {
        tier,
        optimization,
        stress,
    } = way;
    // Several may run at the same time.
    let words = [Some(program.name), Some(tier), optimization, stress];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let run = words.join(".").replace([',', '=', '/'], "-");
    let mut command = Command::new(binary);
    command
        .args(["run", "--tier", tier])
        .args(optimization.map(|option| format!("-O{option}")))
        .args(stress.map(|test| format!("--stress={test}")))
        // Otherwise the bits of a NaN that an operation makes are its own in each tier, and times and random numbers are
        // others in each run.
        .args(frame_test(stress).map(|_| "-Wnan-canonicalization"))
        .args(frame_test(stress).map(|_| "--deterministic"))
        .args(arguments(program, places, &run, false)?);
    finish(&mut command, &places.output(&run), limit)
}

/// If a stress test compares frames: what says so in it, and its seed, which is all that matters in tier 0.
pub fn frame_test(stress: Option<&str>) -> Option<String> {
    let parts = || stress.into_iter().flat_map(|test| test.split(','));
    parts().find(|part| *part == "frames")?;
    let seed = parts().find(|part| part.starts_with("seed="));
    Some(seed.map_or("frames".to_owned(), |seed| format!("frames,{seed}")))
}

/// What a run that compares frames says of them.
pub fn frames(ended: &Ended) -> Option<&str> {
    let mut lines = ended.said.lines();
    lines.find_map(|line| line.strip_prefix("frames: "))
}

/// Runs a program in Node. Without `--single-threaded`, Node 20 aborts now and then when a program grows its memory far.
pub fn node(program: &Program, places: &Places, limit: Duration) -> Result<Ended> {
    let run = format!("{}.node", program.name);
    let mut command = Command::new("node");
    command
        .args(["--no-warnings", "--single-threaded"])
        .arg(places.root.join("programs/oracle.mjs"))
        .args(arguments(program, places, &run, true)?);
    finish(&mut command, &places.output(&run), limit)
}

/// Builds and runs a program of which the C sources are here for this machine itself; none if that cannot be done.
fn native(program: &Program, places: &Places, limit: Duration) -> Result<Option<Ended>> {
    let Some(sources) = native_sources(program, places)?.filter(|_| shell::has("cc")) else {
        return Ok(None);
    };
    let run = format!("{}.native", program.name);
    let binary = places.corpus.join("native").join(program.name);
    shell::create_folder(&places.corpus.join("native"))?;
    // The same floating-point operations that WebAssembly does: no fused multiply-add.
    let options = ["-O1", "-w", "-ffp-contract=off"];
    shell::output(
        Command::new("cc")
            .args(options)
            .args(sources)
            .args(["-lm", "-o"])
            .arg(&binary),
    )?;
    let mut command = Command::new(&binary);
    command
        .current_dir(places.root.join("programs"))
        .args(program.args);
    finish(&mut command, &places.output(&run), limit).map(Some)
}

/// The arguments that make a C compiler build a program, if it is made of C and needs no folder of the guest's.
fn native_sources(program: &Program, places: &Places) -> Result<Option<Vec<OsString>>> {
    let ours = places.root.join("programs");
    let mut arguments: Vec<OsString> = Vec::new();
    match program.origin {
        Origin::Kept | Origin::Kernel => {
            arguments.push(ours.join(format!("kernels/{}.c", program.name)).into());
        }
        Origin::Lua => {
            let lua = fetch::crate_sources(&LUA, &places.corpus)?;
            let sources = fetch::c_files(&lua, &["c"])?;
            arguments.extend(["-I".into(), lua.into()]);
            arguments.extend(sources.into_iter().map(OsString::from));
            arguments.push(ours.join("lua/driver.c").into());
        }
        Origin::Sqlite if program.scratch.is_none() => {
            let sqlite = fetch::crate_sources(&SQLITE, &places.corpus)?;
            arguments.extend(build::SQLITE_OPTIONS.map(OsString::from));
            arguments.push(sqlite.join("sqlite3.c").into());
            arguments.extend(["-I".into(), sqlite.into()]);
            arguments.push(ours.join("sqlite/workload.c").into());
        }
        Origin::Sqlite | Origin::Npm(_) => return Ok(None),
    }
    Ok(Some(arguments))
}

/// A path with something behind its name, which may have dots of its own.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn finish(command: &mut Command, output: &Path, limit: Duration) -> Result<Ended> {
    let (stdout_path, stderr_path) = (
        with_suffix(output, ".stdout"),
        with_suffix(output, ".stderr"),
    );
    shell::write(&stdout_path, b"")?;
    let (stdout, stderr) = (File::create(&stdout_path)?, File::create(&stderr_path)?);
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let time = start.elapsed();
    let stdout = std::fs::read(&stdout_path)?;
    let mut said = String::from_utf8_lossy(&std::fs::read(&stderr_path)?).into_owned();
    if status.is_none() {
        said.push_str(&format!("\nstopped after {} s", limit.as_secs()));
    }
    let last: Vec<&str> = said.lines().rev().take(8).collect();
    let said = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    Ok(Ended {
        stdout,
        exit: status.and_then(|status| status.code()),
        time,
        said,
    })
}

/// An output longer than this is expected by its hash.
const KEPT_BYTES_MAX: usize = 8 << 10;

/// What `programs/expected/` holds for an output: itself, or, if it is long, its length and hash.
pub fn expectation(stdout: &[u8]) -> Vec<u8> {
    if stdout.len() <= KEPT_BYTES_MAX {
        return stdout.to_vec();
    }
    format!(
        "{} bytes, SHA-256 {}\n",
        stdout.len(),
        shell::sha256(stdout)
    )
    .into_bytes()
}

/// Writes a program's expected output, if Node runs it well and, where there is one, the native program agrees.
pub fn expect(program: &Program, places: &Places, limit: Duration) -> Result<Duration> {
    let ended = node(program, places, limit)?;
    ensure!(
        ended.exit == Some(program.exit),
        "{} ended with {:?} under Node, not {}:\n{}",
        program.name,
        ended.exit,
        program.exit,
        ended.said
    );
    if let Some(native) = native(program, places, limit)? {
        ensure!(
            native.stdout == ended.stdout && native.exit == ended.exit,
            "{}: Node and the native program disagree; compare the files in {}",
            program.name,
            places.corpus.join("out").display()
        );
    }
    let path = places
        .root
        .join("programs/expected")
        .join(format!("{}.txt", program.name));
    shell::write(&path, &expectation(&ended.stdout))?;
    Ok(ended.time)
}

/// What is wrong with a run's result, if anything.
pub fn verdict(program: &Program, ended: &Ended, expected: &[u8]) -> Option<String> {
    if ended.exit != Some(program.exit) {
        let exit = ended
            .exit
            .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        return Some(format!(
            "ended with {exit}, not {}\n{}",
            program.exit, ended.said
        ));
    }
    if expectation(&ended.stdout) == expected {
        return None;
    }
    let found = String::from_utf8_lossy(&ended.stdout);
    let expected = String::from_utf8_lossy(expected);
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    Some(
        match lines.find(|(_, (found, expected))| found != expected) {
            Some((index, (found, expected))) => {
                format!(
                    "line {} is\n    {found}\nbut should be\n    {expected}",
                    index + 1
                )
            }
            None => format!(
                "printed {} lines, not {}",
                found.lines().count(),
                expected.lines().count()
            ),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program {
        name: "test",
        origin: Origin::Kept,
        file: "programs/kernels/test.wasm",
        args: &["7"],
        bench_args: &[],
        preloads: &[("env", "programs/env.wasm")],
        dirs: &[("programs/lua", "lua")],
        scratch: None,
        exit: 0,
        slow: false,
    };

    fn ended(stdout: &str, exit: i32) -> Ended {
        Ended {
            stdout: stdout.into(),
            exit: Some(exit),
            time: Duration::ZERO,
            said: "trap".to_owned(),
        }
    }

    #[test]
    fn arguments_are_spelled_as_the_command_line_takes_them() {
        let places = Places {
            root: "/r".into(),
            corpus: "/r/corpus".into(),
        };
        assert_eq!(
            arguments(&PROGRAM, &places, "run", false).unwrap(),
            [
                "--dir",
                "/r/programs/lua::lua",
                "--preload",
                "env=/r/programs/env.wasm",
                "/r/programs/kernels/test.wasm",
                "7"
            ]
        );
    }

    #[test]
    fn verdicts() {
        assert_eq!(verdict(&PROGRAM, &ended("a\nb\n", 0), b"a\nb\n"), None);
        let wrong_line = verdict(&PROGRAM, &ended("a\nc\n", 0), b"a\nb\n").unwrap();
        assert!(wrong_line.contains("line 2"), "{wrong_line}");
        let missing_line = verdict(&PROGRAM, &ended("a\n", 0), b"a\nb\n").unwrap();
        assert!(
            missing_line.contains("printed 1 lines, not 2"),
            "{missing_line}"
        );
        let wrong_exit = verdict(&PROGRAM, &ended("a\nb\n", 134), b"a\nb\n").unwrap();
        assert!(
            wrong_exit.contains("134") && wrong_exit.contains("trap"),
            "{wrong_exit}"
        );
    }

    #[test]
    fn a_long_output_is_expected_by_its_hash() {
        let long = vec![b'x'; KEPT_BYTES_MAX + 1];
        let expected = expectation(&long);
        assert!(expected.len() < 100);
        let mut other = long.clone();
        other[5] = b'y';
        assert_ne!(expectation(&other), expected);
    }

    #[test]
    fn a_run_that_takes_too_long_is_stopped() {
        let folder = std::env::temp_dir().join(format!("xtask-run-{}", std::process::id()));
        let ended = finish(
            Command::new("sleep").arg("60"),
            &folder.join("sleep"),
            Duration::from_millis(50),
        )
        .unwrap();
        assert_eq!(ended.exit, None);
        assert!(ended.said.contains("stopped after"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
