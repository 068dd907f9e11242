//! What is said when something is wrong, and with which exit code.

use super::{MODES, Place, example};

const TRAPS: &str = r#"(module $traps
  (memory (export "memory") 1)
  (func $divide (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
  (func $compute (param i32) (result i32) (call $divide (i32.const 1) (local.get 0)))
  (func $start (export "_start") (drop (call $compute (i32.const 0))))
  (func $deep (export "deep") (call $deep) (call $deep))
  (func $load (export "load") (result i32) (i32.load (i32.const -4)))
  (func $never (export "never") unreachable))"#;

#[test]
fn a_trap_prints_where_and_exits_with_134() {
    let place = Place::new(&[("traps.wat", TRAPS)]);
    for (mode, tier) in MODES.iter().zip(["tier 0", "tier 1", "tier 0", "tier 0"]) {
        let outcome = place.run(mode, &["traps.wat"]).code(134);
        let outcome = outcome.says(&["error: traps.wat: wasm trap: integer divide by zero", tier]);
        let frames = [
            "0:  0x",
            "traps!divide",
            "1:  0x",
            "traps!compute",
            "2:  0x",
            "traps!start",
        ];
        outcome.says(&frames);
        for (name, message) in [
            ("load", "out of bounds memory access"),
            ("never", "unreachable executed"),
            ("deep", "call stack exhausted"),
        ] {
            let outcome = place.run(mode, &["--invoke", name, "traps.wat"]).code(134);
            outcome.says(&[message, &format!("traps!{name}")]);
        }
        let deep = place.run(mode, &["--invoke", "deep", "traps.wat"]);
        assert!(
            deep.stderr.lines().count() < 10,
            "repeated frames share a line: {deep:#?}"
        );
        deep.says(&[
            "callers with the same place",
            "hint:",
            "max-wasm-stack=8MiB",
        ]);
    }
}

#[test]
fn more_stack_lets_a_program_recurse_deeper() {
    let place = Place::new(&[(
        "depth.wat",
        r#"(module (func $depth (export "depth") (param i32) (result i32)
            (if (result i32) (local.get 0)
              (then (i32.add (i32.const 1) (call $depth (i32.sub (local.get 0) (i32.const 1)))))
              (else (i32.const 0)))))"#,
    )]);
    for mode in MODES {
        let depth = |flags: &[&str]| {
            place.run(
                mode,
                &[flags, &["--invoke", "depth", "depth.wat", "200000"]].concat(),
            )
        };
        depth(&[]).code(134).says(&["call stack exhausted"]);
        depth(&["-W", "max-wasm-stack=64MiB"])
            .code(0)
            .stdout("200000\n");
    }
}

#[test]
fn files_that_are_no_programs_are_named() {
    let place = Place::new(&[
        (
            "syntax.wat",
            "(module\n  (func $x (export \"f\")\n    (i32.addx)))",
        ),
        (
            "invalid.wat",
            "(module (func) (func $wrong (export \"f\") (drop (i32.add))))",
        ),
        ("source.c", "int main() {}"),
        ("empty.wasm", ""),
        ("script", "#!/bin/sh"),
        (
            "library.wat",
            "(module (func (export \"one\")) (func (export \"two\") (param i32)))",
        ),
        (
            "shape.wat",
            "(module (func (export \"_start\") (param i32)))",
        ),
    ]);
    place.write("cut.wasm", b"\0asm\x01\0\0\0\x01\x04\x01");
    place.write("component.wasm", b"\0asm\x0d\0\x01\0");
    std::fs::create_dir(place.path().join("directory")).unwrap();
    let cases: [(&str, &[&str]); 11] = [
        (
            "nowhere.wasm",
            &["cannot read nowhere.wasm", "No such file"],
        ),
        ("directory", &["directory is a directory"]),
        (
            "syntax.wat",
            &["syntax.wat:3:6", "unknown operator", "(i32.addx)"],
        ),
        (
            "invalid.wat",
            &[
                "invalid.wat is not valid",
                "function 1 `wrong`",
                "type mismatch",
                "at offset 0x",
            ],
        ),
        ("source.c", &["source.c is not WebAssembly", "69 6e 74 20"]),
        (
            "empty.wasm",
            &["empty.wasm is not WebAssembly: it is empty"],
        ),
        ("script", &["it is a script"]),
        ("cut.wasm", &["cut.wasm is not valid", "at offset 0x"]),
        ("component.wasm", &["component"]),
        (
            "library.wat",
            &[
                "exports no `_start`",
                "--invoke NAME",
                "one  [] -> []",
                "two  [i32] -> []",
            ],
        ),
        ("shape.wat", &["exports `_start` of type [i32] -> []"]),
    ];
    for (file, expected) in cases {
        place
            .upshift(&["run", file])
            .code(1)
            .stdout("")
            .says(&["error: "])
            .says(expected);
    }
    for file in [
        "nowhere.wasm",
        "directory",
        "syntax.wat",
        "invalid.wat",
        "source.c",
        "cut.wasm",
    ] {
        place
            .upshift(&["compile", file])
            .code(1)
            .stdout("")
            .says(&["error: ", file]);
    }
}

#[test]
fn all_missing_imports_are_named_at_once() {
    let place = Place::new(&[
        (
            "imports.wat",
            r#"(module (import "env" "f" (func (param i32))) (import "env" "g" (global i32))
                (import "other" "memory" (memory 1)) (func (export "_start")))"#,
        ),
        (
            "old.wat",
            r#"(module (import "wasi_unstable" "fd_write" (func)) (func (export "_start")))"#,
        ),
        (
            "type.wat",
            r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64))) (func (export "_start")))"#,
        ),
        ("env.wat", r#"(module (func (export "f")))"#),
    ]);
    place.upshift(&["run", "imports.wat"]).code(1).says(&[
        "imports.wat imports what nothing defines",
        "env::f         func [i32] -> []",
        "env::g         global i32",
        "other::memory  memory 1",
        "hint: --preload env=FILE",
    ]);
    place
        .upshift(&["run", "old.wat"])
        .code(1)
        .says(&["wasi_unstable", "old version of WASI"]);
    place
        .upshift(&["run", "type.wat"])
        .code(1)
        .says(&["fd_close"]);
    let partly = place
        .upshift(&["run", "--preload", "env=env.wat", "imports.wat"])
        .code(1);
    assert!(!partly.stderr.contains("env::f"), "{partly:#?}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let place = Place::new(&[("f.wat", "(module (func (export \"_start\")))")]);
    let cases: [(&[&str], &[&str]); 15] = [
        (&[], &["Usage: upshift"]),
        (&["run"], &["PROGRAM"]),
        (&["rum", "f.wat"], &["'run'"]),
        (&["f.wat"], &["hint: `upshift run f.wat` runs a program"]),
        (&["run", "--statz", "f.wat"], &["--stats"]),
        (&["run", "--tier", "3", "f.wat"], &["auto, 0, 1, 2"]),
        (&["run", "--preset", "fast", "f.wat"], &["development"]),
        (&["run", "--workers", "0", "f.wat"], &["--workers"]),
        (
            &["run", "--sync", "--workers", "2", "f.wat"],
            &["--sync", "--workers"],
        ),
        (
            &["run", "-W", "fuel=1", "f.wat"],
            &["timeout, max-memory-size, max-wasm-stack, nan-canonicalization"],
        ),
        (&["run", "-W", "timeout", "f.wat"], &["timeout=500ms"]),
        (
            &["run", "-W", "timeout=soon", "f.wat"],
            &["`soon` is not a duration"],
        ),
        (&["run", "--trace", "gc", "f.wat"], &["tier=FILE"]),
        (&["run", "--preload", "env", "f.wat"], &["NAME=FILE"]),
        (&["compile", "--tier", "auto", "f.wat"], &["--tier"]),
    ];
    for (args, expected) in cases {
        place.upshift(args).code(2).stdout("").says(expected);
    }
}

#[test]
fn what_cannot_be_given_to_a_program_is_said() {
    let place = Place::new(&[
        (
            "f.wat",
            "(module (memory 2) (func (export \"_start\")) (func (export \"add\") (param i32 f32)))",
        ),
        (
            "nomem.wat",
            r#"(module (import "wasi_snapshot_preview1" "fd_close" (func $f (param i32) (result i32)))
                (func (export "_start") (drop (call $f (i32.const 9)))))"#,
        ),
    ]);
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--dir", "nowhere", "f.wat"], &["nowhere", "No such file"]),
        (
            &["--env", "UPSHIFT_NOT_SET", "f.wat"],
            &["--env UPSHIFT_NOT_SET=VALUE"],
        ),
        (
            &["--preload", "env=nowhere.wat", "f.wat"],
            &["--preload env", "nowhere.wat"],
        ),
        (
            &["--trace", "tier=no/where", "f.wat"],
            &["cannot write the trace to no/where"],
        ),
        (
            &["--invoke", "sub", "f.wat"],
            &["exports no function `sub`", "add     [i32 f32] -> []"],
        ),
        (
            &["--invoke", "add", "f.wat", "1"],
            &["takes 2 arguments, not 1"],
        ),
        (
            &["--invoke", "add", "f.wat", "1", "x"],
            &["argument 2 of `add`: `x` is not an f32"],
        ),
        (
            &["-W", "max-memory-size=64KiB", "f.wat"],
            &["131072", "65536"],
        ),
        (&["nomem.wat"], &["fd_close needs a memory", "backtrace"]),
    ];
    for (args, expected) in cases {
        let outcome = place.run(&[], args).code(1).stdout("").says(expected);
        let line = outcome.stderr.lines().next().unwrap();
        assert_eq!(
            line.matches("os error").count(),
            usize::from(line.contains("os error")),
            "{line}"
        );
    }
}

#[test]
fn growth_stops_at_the_limit() {
    let place = Place::new(&[(
        "grow.wat",
        r#"(module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    )]);
    for mode in MODES {
        let grow = |pages: &str| {
            let args = [
                "-W",
                "max-memory-size=256KiB",
                "--invoke",
                "grow",
                "grow.wat",
                pages,
            ];
            place.run(mode, &args).code(0).stdout
        };
        assert_eq!((grow("3").as_str(), grow("4").as_str()), ("1\n", "-1\n"));
    }
}

#[test]
fn an_example_that_is_a_library_says_how_to_call_it() {
    let place = Place::new(&[]);
    place
        .upshift(&["run", &example("fib.wat")])
        .code(1)
        .says(&["--invoke NAME", "fib  [i32] -> [i64]"]);
}

#[test]
fn a_compile_server_that_cannot_be_had_is_told_once() {
    let place = Place::new(&[]);
    let fib = example("fib.wat");
    let run = |server: &str, args: &[&str]| {
        let mut command = super::command(place.path(), args);
        let output = command.env("UPSHIFT_LLVM", server).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let program = [
        "--sync",
        "--preset",
        "development",
        "--invoke",
        "fib",
        &fib,
        "20",
    ];
    let with = |option| [&["run", "-O", option], &program[..]].concat();
    let (good, said) = run("/no/such/file", &with("llvm"));
    assert!(good && said.contains("/no/such/file"), "{said}");
    assert_eq!(said.matches("no LLVM server").count(), 1, "{said}");
    // It is there, and is no server.
    let (good, said) = run("/bin/false", &with("llvm"));
    assert!(good, "{said}");
    assert_eq!(said.matches("warning: -O llvm").count(), 1, "{said}");
    let (good, said) = run("", &with("llvm-server=/no/such/file"));
    assert!(
        !good && said.contains("there is no /no/such/file"),
        "{said}"
    );
    let (good, said) = run(
        "/no/such/file",
        &["compile", "-O", "llvm", "--tier", "2", &fib],
    );
    assert!(good && said.contains("no LLVM server"), "{said}");
}
