//! Programs that end by themselves: what they are given, what they print, and their exit codes.

use super::{MODES, Place, command, example};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const WASI: &str = r#"
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $print (param $from i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $len))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
      (then (call $proc_exit (i32.const 77)))))
"#;

/// A WASI program with that `_start`.
fn program(start: &str) -> String {
    format!("(module {WASI} (func (export \"_start\") {start}))")
}

#[test]
fn the_examples_run() {
    let place = Place::new(&[]);
    let expected = place
        .run(MODES[0], &[&example("mandelbrot.wat")])
        .code(0)
        .stdout;
    assert_eq!(expected.lines().count(), 40);
    assert!(
        expected.lines().nth(20).unwrap().contains("@@@@@@@@@@"),
        "{expected}"
    );
    for mode in MODES {
        place
            .run(mode, &[&example("mandelbrot.wat")])
            .code(0)
            .stdout(&expected);
        place
            .run(mode, &["--invoke", "fib", &example("fib.wat"), "20"])
            .code(0)
            .stdout("6765\n");
    }
}

#[test]
fn standard_input_and_files_are_read() {
    let place = Place::new(&[("in.txt", "two words, two lines:\nwords words")]);
    let expected = "6 words, 3 different\n       3  words\n       2  two\n       1  lines\n";
    let words = example("words.wasm");
    for mode in MODES {
        let args = [&["run"], mode, &[&words]].concat();
        place
            .upshift_reading(&args, &place.read("in.txt"))
            .code(0)
            .stdout(expected);
        place
            .run(mode, &["--dir", ".", &words, "in.txt"])
            .code(0)
            .stdout(expected);
        place
            .run(mode, &["--dir", ".::/d", &words, "1", "/d/in.txt"])
            .code(0)
            .stdout("6 words, 3 different\n       3  words\n");
    }
    let denied = place.upshift(&["run", &words, "in.txt"]).code(1);
    denied.says(&["words: cannot open in.txt"]);
}

#[test]
fn a_deterministic_run_is_like_the_one_before() {
    // Ten random bytes and a time's low half, as letters.
    let letters = WASI.replacen(
        "(memory",
        r#"(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (memory"#,
        1,
    );
    let start = "(local $at i32)
        (drop (call $random_get (i32.const 64) (i32.const 10)))
        (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 74)))
        (loop $again
          (i32.store8 (i32.add (i32.const 64) (local.get $at))
            (i32.add (i32.const 97)
              (i32.and (i32.const 15) (i32.load8_u (i32.add (i32.const 64) (local.get $at))))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $at) (i32.const 14))))
        (call $print (i32.const 64) (i32.const 14))";
    let program = format!("(module {letters} (func (export \"_start\") {start}))");
    let place = Place::new(&[("letters.wat", &program)]);
    let first = place.upshift(&["run", "--deterministic", "letters.wat"]);
    let first = first.code(0).stdout;
    assert_eq!(first.len(), 14);
    for mode in MODES {
        let args = ["--deterministic", "letters.wat"];
        place.run(mode, &args).code(0).stdout(&first);
    }
    let otherwise = place.upshift(&["run", "letters.wat"]).code(0).stdout;
    assert_ne!(otherwise, first);
}

#[test]
fn arguments_and_variables_arrive() {
    // The strings and their zero bytes, as they lie in memory.
    let print_args = program(
        "(drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
         (drop (call $args_get (i32.const 1024) (i32.const 2048)))
         (call $print (i32.const 2048) (i32.load (i32.const 20)))",
    );
    let print_env = program(
        "(drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
         (drop (call $environ_get (i32.const 1024) (i32.const 2048)))
         (call $print (i32.const 2048) (i32.load (i32.const 20)))",
    );
    let place = Place::new(&[("args.wat", &print_args), ("env.wat", &print_env)]);
    for mode in MODES {
        place
            .run(mode, &["args.wat", "--tier", "x y", ""])
            .code(0)
            .stdout("args.wat\0--tier\0x y\0\0");
        place
            .run(mode, &["--argv0", "other", "args.wat"])
            .code(0)
            .stdout("other\0");
    }
    let outcome = place.upshift(&[
        "run", "--env", "A=1=2", "--env", "B=", "--env", "A=3", "env.wat",
    ]);
    outcome.code(0).stdout("A=3\0B=\0");
    place.upshift(&["run", "env.wat"]).code(0).stdout("");
    let output = command(place.path(), &["run", "--env", "UPSHIFT_TEST", "env.wat"])
        .env("UPSHIFT_TEST", "inherited")
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"UPSHIFT_TEST=inherited\0");
}

#[test]
fn the_exit_code_is_the_programs() {
    for (code, expected) in [("0", 0), ("1", 1), ("42", 42), ("255", 255), ("256", 1)] {
        let place = Place::new(&[(
            "exit.wat",
            &program(&format!("(call $proc_exit (i32.const {code}))")),
        )]);
        for mode in MODES {
            place
                .run(mode, &["exit.wat"])
                .code(expected)
                .stdout("")
                .says(&[]);
        }
    }
    // In a start function, and from a module without memory.
    let start = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (func $s (call $exit (i32.const 9))) (start $s))"#;
    Place::new(&[("start.wat", start)])
        .upshift(&["run", "start.wat"])
        .code(9);
}

#[test]
fn functions_are_invoked_with_arguments_of_their_types() {
    let place = Place::new(&[(
        "f.wat",
        r#"(module
            (global $ready (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
            (func (export "ready") (result i32) (global.get $ready))
            (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
            (func (export "half") (param f32 f64) (result f32 f64)
              (f32.mul (local.get 0) (f32.const 0.5)) (f64.mul (local.get 1) (f64.const 0.5)))
            (func (export "same") (param v128 externref funcref) (result v128 externref funcref)
              (local.get 0) (local.get 1) (local.get 2))
            (func (export "nothing")))"#,
    )]);
    for mode in MODES {
        let invoke = |name: &str, args: &[&str]| {
            place
                .run(mode, &[&["--invoke", name, "f.wat"], args].concat())
                .code(0)
                .stdout
        };
        assert_eq!(invoke("ready", &[]), "1\n");
        assert_eq!(invoke("_initialize", &[]), "");
        assert_eq!(invoke("swap", &["-1", "0xffffffffffffffff"]), "-1\n-1\n");
        assert_eq!(
            invoke("half", &["3", "-1e300"]),
            format!("1.5\n{}\n", -0.5e300_f64)
        );
        assert_eq!(invoke("half", &["inf", "nan"]), "inf\nNaN\n");
        let same = invoke("same", &["0x0f", "null", "null"]);
        assert_eq!(same, "0x0000000000000000000000000000000f\nnull\nnull\n");
        assert_eq!(invoke("nothing", &[]), "");
        // A library is initialized, and that is all.
        place.run(mode, &["f.wat"]).code(0).stdout("");
    }
}

#[test]
fn preloaded_modules_satisfy_imports_in_order() {
    let place = Place::new(&[
        (
            "base.wat",
            r#"(module (memory (export "memory") 1)
                (func (export "_initialize") (i32.store (i32.const 0) (i32.const 40)))
                (func (export "get") (result i32) (i32.load (i32.const 0))))"#,
        ),
        (
            "middle.wat",
            r#"(module (import "base" "get" (func $get (result i32)))
                (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
                (func (export "more") (result i32)
                  (i32.add (i32.add (call $get) (call $yield)) (i32.const 2))))"#,
        ),
        (
            "main.wat",
            r#"(module (import "middle" "more" (func $more (result i32)))
                (import "base" "memory" (memory 1))
                (func (export "answer") (result i32) (call $more)))"#,
        ),
    ]);
    for mode in MODES {
        let preloads = [
            "--preload",
            "base=base.wat",
            "--preload",
            "middle=middle.wat",
        ];
        let args = [&preloads[..], &["--invoke", "answer", "main.wat"]].concat();
        place.run(mode, &args).code(0).stdout("42\n");
    }
    let wrong = [
        "run",
        "--preload",
        "middle=middle.wat",
        "--preload",
        "base=base.wat",
        "--invoke",
        "answer",
        "main.wat",
    ];
    place.upshift(&wrong).code(1).says(&[
        "middle.wat imports what nothing defines",
        "base::get",
        "hint",
    ]);
}

#[test]
fn nans_are_canonical_if_asked() {
    // The sum of two signalling NaNs with payloads and signs of their own.
    let place = Place::new(&[(
        "nan.wat",
        r#"(module (func (export "nan") (param i32) (result i32)
            (i32.reinterpret_f32 (f32.add
              (f32.reinterpret_i32 (local.get 0)) (f32.reinterpret_i32 (i32.const 0x7fa12345))))))"#,
    )]);
    for mode in MODES {
        let args = [
            "-W",
            "nan-canonicalization=y",
            "--invoke",
            "nan",
            "nan.wat",
            "0xffabcdef",
        ];
        let bits: i32 = place
            .run(mode, &args)
            .code(0)
            .stdout
            .trim()
            .parse()
            .unwrap();
        assert_eq!(bits as u32 & 0x7fff_ffff, 0x7fc0_0000, "{bits:#x}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::new(&[(
        "many.wat",
        &program("(loop (call $print (i32.const 64) (i32.const 60000)) (br 0))"),
    )]);
    let mut child = command(place.path(), &["run", "many.wat"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = vec![0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    // The program is told, and this one exits with a code of its own.
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    assert_eq!(output.stderr, b"");

    // The command's own output, on both streams.
    let closed = |args: &[&str]| {
        let mut child = command(place.path(), args)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        drop(child.stderr.take());
        child.wait().unwrap().code()
    };
    assert_eq!(closed(&["doctor"]), Some(0));
    assert_eq!(
        closed(&[
            "run",
            "--stats",
            "--print-compilation",
            &example("mandelbrot.wat")
        ]),
        Some(0)
    );
    assert_eq!(closed(&["run", "nowhere.wasm"]), Some(1));
    assert_eq!(closed(&["run", "--bad-flag"]), Some(2));
}

#[test]
fn output_is_there_at_once() {
    let place = Place::new(&[(
        "slow.wat",
        &program(
            "(i32.store8 (i32.const 64) (i32.const 10))
         (call $print (i32.const 64) (i32.const 1))
         (i32.store (i32.const 16) (i32.const 64)) (i32.store (i32.const 20) (i32.const 1))
         (drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8)))
         (call $proc_exit (i32.load (i32.const 8)))",
        ),
    )]);
    let mut child = command(place.path(), &["run", "slow.wat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    // The program waits for input meanwhile.
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "\n");
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
