//! Runs the `upshift` command as its users do.

mod commands;
mod errors;
mod explore;
mod programs;
mod reports;
mod stopping;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a command may take before the test gives it up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Flags that make a program run in different tiers.
const MODES: [&[&str]; 4] = [
    &["--tier", "0"],
    &["--tier", "1"],
    &["--tier", "auto"],
    &["--tier", "auto", "--sync", "--preset", "development"],
];

/// What a command did.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    #[track_caller]
    fn code(self, expected: i32) -> Outcome {
        assert_eq!(self.code, Some(expected), "{self:#?}");
        self
    }

    #[track_caller]
    fn stdout(self, expected: &str) -> Outcome {
        assert_eq!(self.stdout, expected, "{self:#?}");
        self
    }

    /// All of these are in what was printed on standard error.
    #[track_caller]
    fn says(self, expected: &[&str]) -> Outcome {
        for part in expected {
            assert!(self.stderr.contains(part), "no {part:?} in {self:#?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }
}

/// A directory with files to run, in which commands are run.
struct Place(TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Place {
        let place = Place(TempDir::new().unwrap());
        for (name, contents) in files {
            place.write(name, contents);
        }
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), contents).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn upshift(&self, args: &[&str]) -> Outcome {
        self.upshift_reading(args, "")
    }

    /// `upshift run` with the flags of a mode.
    fn run(&self, mode: &[&str], args: &[&str]) -> Outcome {
        self.upshift(&[&["run"], mode, args].concat())
    }

    fn upshift_reading(&self, args: &[&str], input: &str) -> Outcome {
        let mut child = command(self.path(), args)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // The program may end without reading it all.
        let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let stdout = reader(child.stdout.take().unwrap());
        let stderr = reader(child.stderr.take().unwrap());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("`upshift {}` did not end", args.join(" "));
            }
            thread::sleep(Duration::from_millis(2));
        };
        writer.join().unwrap();
        Outcome {
            code: status.code(),
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
        }
    }
}

fn command(place: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upshift"));
    command
        .args(args)
        .current_dir(place)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn reader(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// One of the repository's example programs.
fn example(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../examples", name]
        .iter()
        .collect();
    path.to_string_lossy().into_owned()
}
