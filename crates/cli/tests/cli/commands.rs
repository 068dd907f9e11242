//! Help, and the commands other than `run`.

use super::{Place, example};
use serde_json::Value;

#[test]
fn help_explains_every_flag() {
    let place = Place::new(&[]);
    let help = |args: &[&str]| place.upshift(args).code(0).says(&[]).stdout;
    let top = help(&["--help"]);
    for part in [
        "run",
        "compile",
        "explore",
        "wast",
        "doctor",
        "Examples:",
        "mandelbrot.wat",
        "--version",
    ] {
        assert!(top.contains(part), "{part} in {top}");
    }
    let run = help(&["run", "--help"]);
    let flags = [
        "--dir <HOST[::GUEST]>",
        "--env <NAME[=VALUE]>",
        "--invoke <NAME>",
        "--preload <NAME=FILE>",
        "--argv0 <NAME>",
        "-W <KEY=VALUE>",
        "--tier <TIER>",
        "--preset <PRESET>",
        "--workers <N>",
        "--sync",
        "--stats",
        "--print-compilation",
        "--trace <TOPIC[=FILE]>",
        "-O <OPTION>",
        "--stress <TEST>",
    ];
    for flag in flags {
        let (_, after) = run
            .split_once(flag)
            .unwrap_or_else(|| panic!("{flag} in {run}"));
        assert!(
            after
                .trim_start()
                .starts_with(|c: char| c.is_uppercase() || c == '`'),
            "{flag}: {after}"
        );
    }
    assert!(
        run.contains("Examples:") && run.contains("Exit code:"),
        "{run}"
    );
    for command in ["compile", "wast", "doctor"] {
        assert!(help(&[command, "--help"]).contains("Usage: upshift"));
    }
    assert!(help(&["--version"]).starts_with("upshift 0."));
    let options = help(&["run", "-W", "help"]);
    for key in [
        "timeout=",
        "max-memory-size=",
        "max-wasm-stack=",
        "nan-canonicalization=",
    ] {
        assert!(options.contains(key), "{options}");
    }
}

#[test]
fn compile_reports_each_phase() {
    let place = Place::new(&[]);
    let words = example("words.wasm");
    for tier in ["0", "1", "2"] {
        let outcome = place
            .upshift(&["compile", "--tier", tier, &words])
            .code(0)
            .says(&[]);
        for part in [
            "read",
            "decode",
            "validate",
            "translate",
            "compile, link",
            "MB/s",
            "on one thread",
            "0 failed",
        ] {
            assert!(outcome.stdout.contains(part), "{part} in {outcome:#?}");
        }
        let json = place
            .upshift(&[
                "compile",
                "--json",
                "--threads",
                "2",
                "--tier",
                tier,
                &words,
            ])
            .code(0);
        let report: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(report["tier"].to_string(), tier);
        assert_eq!(
            (&report["compiled"], &report["declined"]),
            (&report["functions"], &Value::from(0))
        );
        assert!(report["native_code_bytes"].as_u64() > report["functions"].as_u64());
        let time = |phase: &str| report["phases"][phase].as_f64().unwrap();
        for phase in ["decode_ms", "validate_ms", "compile_and_link_ms"] {
            assert!(time(phase) > 0.0, "{report}");
        }
        // Tier 0 has a way without translation.
        let code_made = time("translate_ms") + time("copy_and_patch_ms");
        assert!(code_made > 0.0, "{report}");
    }
    let empty = Place::new(&[("empty.wat", "(module)")]);
    let outcome = empty.upshift(&["compile", "empty.wat"]).code(0);
    assert!(outcome.stdout.contains("0 of 0 compiled"), "{outcome:#?}");
}

#[test]
fn scripts_are_run_and_failures_named() {
    let place = Place::new(&[
        (
            "good.wast",
            "(module (func (export \"one\") (result i32) (i32.const 1)))
             (assert_return (invoke \"one\") (i32.const 1))
             (assert_return (invoke \"one\") (i32.const 1))",
        ),
        (
            "bad.wast",
            "(module (func (export \"one\") (result i32) (i32.const 1)))
             (assert_return (invoke \"one\") (i32.const 1))
             (assert_return (invoke \"one\") (i32.const 2))
             (assert_trap (invoke \"one\") \"unreachable\")",
        ),
        ("syntax.wast", "(module)\n(assert_nothing)"),
    ]);
    for mode in super::MODES {
        let run = |files: &[&str]| place.upshift(&[&["wast"], mode, files].concat());
        run(&["good.wast"])
            .code(0)
            .stdout("ok    good.wast  2 assertions\n")
            .says(&[]);
        let outcome = run(&["good.wast", "bad.wast"]).code(1);
        for part in [
            "FAIL  bad.wast",
            "bad.wast:3: ",
            "bad.wast:4: ",
            "2 scripts: 3 assertions hold, 2 failed",
        ] {
            assert!(outcome.stdout.contains(part), "{part} in {outcome:#?}");
        }
        let all = run(&["."]).code(1);
        for part in ["FAIL  ./bad.wast", "ok    ./good.wast", "./syntax.wast:2: "] {
            assert!(all.stdout.contains(part), "{part} in {all:#?}");
        }
    }
    place
        .upshift(&["wast", "nowhere.wast"])
        .code(1)
        .says(&["cannot read nowhere.wast"]);
}

#[test]
fn doctor_finds_this_machine_fit() {
    let outcome = Place::new(&[]).upshift(&["doctor"]).code(0).says(&[]);
    let parts = [
        "processor",
        "features",
        "cores",
        "code memory",
        "tier 0",
        "tier 1",
        "tier 2",
        "LLVM",
        "guest memories",
    ];
    for part in parts
        .iter()
        .chain(&["signals", "overcommit", "perf", "Upshift"])
    {
        assert!(outcome.stdout.contains(part), "{part} in {outcome:#?}");
    }
}
