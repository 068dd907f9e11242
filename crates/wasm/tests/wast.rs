//! The script runner itself: that it notices what is wrong.
#![cfg(feature = "wast")]

mod common;

use upshift_wasm::wast::{WastOptions, WastReport, WastVersion, run_wast};

fn run(script: &str, options: &WastOptions) -> WastReport {
    run_wast(&common::engine(), "script.wast", script, options)
}

/// The lines of a script whose assertions fail.
fn failing_lines(script: &str) -> Vec<usize> {
    let report = run(script, &WastOptions::default());
    report.failed.iter().map(|failure| failure.line).collect()
}

#[test]
fn assertions_that_hold_and_assertions_that_do_not() {
    let script = r#"(module
  (func (export "i") (result i32) i32.const 1)
  (func (export "n") (result f32) f32.const nan)
  (func (export "p") (result f64) f64.const nan:0xc000000000000)
  (func (export "v") (result v128) v128.const i32x4 1 2 3 4)
  (func (export "fv") (result v128) v128.const f32x4 1 nan 3 nan:0x200000)
  (func (export "x") (param externref) (result externref) local.get 0)
  (func (export "z") (result funcref) ref.null func)
  (func (export "t") unreachable)
  (global (export "g") i64 (i64.const 6)))
(assert_return (invoke "i") (i32.const 1))
(assert_return (invoke "i") (i32.const 2))
(assert_return (invoke "i") (i64.const 1))
(assert_return (invoke "i"))
(assert_return (invoke "n") (f32.const nan:canonical))
(assert_return (invoke "p") (f64.const nan:canonical))
(assert_return (invoke "p") (f64.const nan:arithmetic))
(assert_return (invoke "v") (v128.const i32x4 1 2 3 4))
(assert_return (invoke "v") (v128.const i32x4 1 2 3 5))
(assert_return (invoke "v") (v128.const i8x16 1 0 0 0 2 0 0 0 3 0 0 0 4 0 0 0))
(assert_return (invoke "fv") (v128.const f32x4 1 nan:canonical 3 nan:0x200000))
(assert_return (invoke "fv") (v128.const f32x4 1 nan:canonical 3 nan:arithmetic))
(assert_return (invoke "x" (ref.extern 5)) (ref.extern 5))
(assert_return (invoke "x" (ref.extern 5)) (ref.extern 6))
(assert_return (invoke "x" (ref.null extern)) (ref.null extern))
(assert_return (invoke "z") (ref.null func))
(assert_return (invoke "z") (ref.func))
(assert_return (invoke "i") (either (i32.const 0) (i32.const 1)))
(assert_return (invoke "i") (either (i32.const 0) (i32.const 2)))
(assert_return (get "g") (i64.const 6))
(assert_return (get "g") (i64.const 7))
(assert_trap (invoke "t") "unreachable")
(assert_trap (invoke "t") "integer overflow")
(assert_trap (invoke "i") "unreachable")
(assert_exhaustion (invoke "t") "call stack exhausted")
"#;
    assert_eq!(
        failing_lines(script),
        [12, 13, 14, 16, 19, 22, 24, 27, 29, 31, 33, 34, 35]
    );
    assert_eq!(run(script, &WastOptions::default()).passed, 12);
}

#[test]
fn modules_that_are_and_are_not_as_asserted() {
    let script = r#"
(assert_invalid (module (func (result i32))) "type mismatch")
(assert_invalid (module) "type mismatch")
(assert_malformed (module quote "(func") "unexpected end")
(assert_malformed (module quote "(func)") "unexpected end")
(assert_malformed (module binary "\00asm") "unexpected end")
(assert_unlinkable (module (import "spectest" "print" (global i32))) "incompatible import type")
(assert_unlinkable (module (import "spectest" "print" (func))) "incompatible import type")
(assert_trap (module (func $f unreachable) (start $f)) "unreachable")
(module (func $f unreachable) (start $f))
(invoke "f")
"#;
    assert_eq!(failing_lines(script), [3, 5, 8, 10, 11]);
}

#[test]
fn names_definitions_and_registration() {
    let script = r#"
(module $a (func (export "f") (result i32) i32.const 1) (global (export "g") i32 (i32.const 5)))
(register "first")
(module $b (func (import "first" "f") (result i32)) (export "h" (func 0)))
(assert_return (invoke $a "f") (i32.const 1))
(assert_return (invoke "h") (i32.const 1))
(assert_return (get $a "g") (i32.const 5))
(module definition $d (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1))) global.get $n))
(module instance $one $d)
(module instance $two $d)
(assert_return (invoke $one "next") (i32.const 1))
(assert_return (invoke $one "next") (i32.const 2))
(assert_return (invoke $two "next") (i32.const 1))
"#;
    let report = run(script, &WastOptions::default());
    assert!(report.is_success(), "{report}");
    assert_eq!(report.passed, 6);
}

#[test]
fn versions_skips_and_unreadable_scripts() {
    let script = "(assert_invalid (module (memory 1) (memory 1)) \"multiple memories\")\n";
    assert!(!run(script, &WastOptions::default()).is_success());
    let v2 = WastOptions {
        version: WastVersion::V2,
        ..WastOptions::default()
    };
    assert_eq!(run(script, &v2).passed, 1);
    let skip = [(1, "a reason".to_owned())].into();
    let report = run(
        script,
        &WastOptions {
            skip,
            ..WastOptions::default()
        },
    );
    assert_eq!(
        (report.passed, report.failed.len(), report.skipped.len()),
        (0, 0, 1)
    );
    assert_eq!(report.skipped[0].reason, "a reason");
    assert_eq!(failing_lines("(module)\n(assert_what)"), [2]);
    assert_eq!(failing_lines("(module)\n(thread $t)"), [2]);
}
