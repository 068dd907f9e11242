//! Programs that do not end by themselves.

use super::{MODES, Place};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_timeout_stops_any_code() {
    let place = Place::new(&[(
        "spin.wat",
        r#"(module $spin
            (func $loop (export "loop") (loop (br 0)))
            (func $nested (export "nested") (local i32)
              (loop $outer (local.set 0 (i32.const 100))
                (loop $inner
                  (br_if $inner (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (br $outer)))
            (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
            (func $calls (export "calls") (local i32)
              (loop (local.set 0 (call $leaf (local.get 0))) (br 0)))
            (func $tree (param i32)
              (if (local.get 0) (then
                (call $tree (i32.sub (local.get 0) (i32.const 1)))
                (call $tree (i32.sub (local.get 0) (i32.const 1))))))
            (func $recursion (export "recursion") (call $tree (i32.const 60)))
            (func $tail (export "tail") (return_call $tail))
            (func $start (call $loop)))"#,
    )]);
    for mode in MODES {
        for name in ["loop", "nested", "calls", "recursion", "tail"] {
            let start = Instant::now();
            let outcome = place.run(mode, &["-W", "timeout=100ms", "--invoke", name, "spin.wat"]);
            outcome.code(134).stdout("").says(&[
                "longer than -W timeout=100ms",
                "spin!",
                "backtrace",
            ]);
            assert!(start.elapsed() >= Duration::from_millis(100));
        }
    }
}

#[test]
fn a_timeout_stops_a_start_function_and_a_preloaded_module() {
    let place = Place::new(&[
        ("start.wat", "(module (func $s (loop (br 0))) (start $s))"),
        (
            "init.wat",
            "(module (func (export \"_initialize\") (loop (br 0))))",
        ),
        ("main.wat", "(module (func (export \"_start\")))"),
    ]);
    for args in [
        &["start.wat"][..],
        &["--preload", "env=init.wat", "main.wat"],
    ] {
        let outcome = place.run(&["-W", "timeout=100ms"], args).code(134);
        outcome.says(&["longer than -W timeout=100ms"]);
    }
}

#[test]
fn a_timeout_stops_waiting_for_input_and_for_time() {
    let place = Place::new(&[
        (
            "read.wat",
            r#"(module
                (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "_start")
                  (i32.store (i32.const 4) (i32.const 1))
                  (loop (br_if 0 (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))))))"#,
        ),
        (
            "sleep.wat",
            r#"(module
                (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1)
                ;; A subscription to the monotonic clock, an hour from now.
                (func (export "_start")
                  (i32.store (i32.const 16) (i32.const 1))
                  (i64.store (i32.const 24) (i64.const 3600000000000))
                  (loop (br_if 0 (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))))"#,
        ),
    ]);
    for program in ["read.wat", "sleep.wat"] {
        let start = Instant::now();
        let mut child = super::command(place.path(), &["run", "-W", "timeout=100ms", program])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(134), "{stderr}");
        assert!(stderr.contains("longer than -W timeout=100ms"), "{stderr}");
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn a_program_in_time_is_left_alone() {
    let place = Place::new(&[(
        "f.wat",
        "(module (func (export \"f\") (result i32) (i32.const 7)))",
    )]);
    for mode in MODES {
        place
            .run(mode, &["-W", "timeout=1m", "--invoke", "f", "f.wat"])
            .code(0)
            .stdout("7\n");
    }
}
