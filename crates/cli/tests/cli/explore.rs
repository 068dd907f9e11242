//! `upshift explore`: what people see of a function's code.

use super::Place;
use std::path::Path;

/// Operators that are encoded, one that has a stencil, a call and a loop.
const MODULE: &str = r#"(module
    (func $helper (param i32) (result i32) (local.get 0))
    (func $sum (export "total") (param $n i32) (param $by i32) (result i32) (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (local.get $sum) (i32.div_u (local.get $n) (local.get $by))))
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (call $helper (local.get $sum))))"#;

/// Compares with a file; `UPSHIFT_BLESS=1` writes it.
fn snapshot(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = folder.join(name);
    if std::env::var_os("UPSHIFT_BLESS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}; UPSHIFT_BLESS=1 accepts it");
}

#[test]
fn code_is_shown_beside_its_operators() {
    let place = Place::new(&[("sum.wat", MODULE)]);
    for tier in ["0", "1"] {
        let outcome = place.upshift(&["explore", "sum.wat", "sum", "--tier", tier]);
        let text = outcome.code(0).stdout;
        for part in [
            "function 1 `sum`",
            "i32.div_u",
            "br_if 0",
            "call 0",
            "; helper",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.contains("+-- stencil of"), tier == "0", "{text}");
        snapshot(&format!("explore-tier-{tier}.txt"), &text);
    }
}

#[test]
fn functions_are_found_by_name_export_and_index() {
    let place = Place::new(&[("sum.wat", MODULE)]);
    let by = |function: &str| place.upshift(&["explore", "sum.wat", function]);
    let text = by("sum").code(0).stdout;
    assert_eq!(by("total").code(0).stdout, text);
    assert_eq!(by("1").code(0).stdout, text);
    by("other")
        .code(1)
        .says(&["no function `other`", "helper, sum"]);
    by("2").code(1).says(&["functions 0 to 1"]);
}
