//! `--stats`, `--print-compilation` and `--trace`.

use super::{Place, example};
use serde_json::Value;

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn statistics_say_what_each_tier_did() {
    let place = Place::new(&[]);
    let mandelbrot = example("mandelbrot.wat");
    let outcome = place
        .upshift(&["run", "--stats", "--sync", &mandelbrot])
        .code(0);
    assert_eq!(
        outcome.stdout.lines().count(),
        40,
        "statistics do not mix with the program's output"
    );
    let outcome = outcome.says(&[
        "phase",
        "read",
        "parse text",
        "decode",
        "validate",
        "instantiate",
        "WASI",
    ]);
    let outcome = outcome.says(&[
        "40 calls",
        "6 defined, 6 called, 5 hot (100 calls or more)",
        "cranelift-speed",
    ]);
    let row = |start: &str| {
        let line = outcome
            .stderr
            .lines()
            .find(|line| line.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in {outcome:#?}"))
            .to_owned()
    };
    let fields = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // Tier 0 compiled all six; five moved on.
    assert_eq!(fields(&row("0 "))[..4], ["0", "1", "6", "0"]);
    assert_eq!(fields(&row("1 "))[..4], ["1", "5", "5", "0"]);
    assert!(row("2 ").ends_with("off"));
    assert!(outcome.stderr.contains("iterate"), "{outcome:#?}");

    let only = place
        .upshift(&["run", "--stats", "--tier", "1", &mandelbrot])
        .code(0);
    only.says(&["6 defined, 6 called\n"]);
}

#[test]
fn statistics_come_after_a_trap_and_an_exit_too() {
    let place = Place::new(&[(
        "trap.wat",
        "(module (func (export \"_start\") unreachable))",
    )]);
    place
        .upshift(&["run", "--stats", "trap.wat"])
        .code(134)
        .says(&["unreachable", "1 defined, 1 called"]);
}

#[test]
fn compilations_are_printed_in_columns() {
    let place = Place::new(&[]);
    let mandelbrot = example("mandelbrot.wat");
    let outcome = place
        .upshift(&["run", "--print-compilation", "--sync", &mandelbrot])
        .code(0);
    let mut lines = outcome.stderr.lines();
    let header = lines.next().unwrap();
    let place_of = |column: &str| header.find(column).unwrap() + column.len();
    let (inlined, rows): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.trim_start().starts_with('@'));
    assert_eq!(rows.len(), 11, "{outcome:#?}");
    // Functions that are inlined in one another are indented.
    let column = |end: &str| {
        let line = inlined.iter().find(|line| line.ends_with(end));
        line.and_then(|line| line.find('@'))
            .unwrap_or_else(|| panic!("{end} in {outcome:#?}"))
    };
    let inner = inlined.iter().filter_map(|line| line.find('@')).max();
    assert_eq!(inner, Some(column("pixel (123 bytes)  inline") + 2));
    for (number, row) in (1..).zip(&rows) {
        let number: u64 = number;
        assert_eq!(
            row[..place_of("id")].split_whitespace().nth(1),
            Some(number.to_string().as_str())
        );
        // Numbers end where their column's name does.
        for column in ["id", "tier", "wasm/B", "code/B", "took/ms"] {
            assert!(
                row.as_bytes()[place_of(column) - 1].is_ascii_digit(),
                "{column} in {row}"
            );
            assert_eq!(row.as_bytes()[place_of(column)], b' ', "{column} in {row}");
        }
        assert!(row.contains(" b "), "with --sync the program waits: {row}");
    }
    let iterate: Vec<&&str> = rows
        .iter()
        .filter(|row| row.ends_with("  iterate"))
        .collect();
    let tier = |row: &str| row.as_bytes()[place_of("tier") - 1];
    assert_eq!(
        iterate.iter().map(|row| tier(row)).collect::<Vec<_>>(),
        b"01"
    );
}

#[test]
fn a_trace_is_a_line_of_json_an_event() {
    let place = Place::new(&[]);
    let mandelbrot = example("mandelbrot.wat");
    place
        .upshift(&["run", "--sync", "--trace", "tier=events.jsonl", &mandelbrot])
        .code(0)
        .says(&[]);
    let file = events(&place.read("events.jsonl"));
    let stderr = events(
        &place
            .upshift(&["run", "--sync", "--trace", "tier", &mandelbrot])
            .code(0)
            .stderr,
    );
    // Apart from times, two synchronous runs do the same.
    let essence = |events: &[Value]| {
        let one = |event: &Value| format!("{} {} {}", event["event"], event["name"], event["tier"]);
        events.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(essence(&file), essence(&stderr));
    let count = |what: &str| file.iter().filter(|event| event["event"] == what).count();
    assert_eq!((count("compiled"), count("published")), (11, 11));
    assert_eq!(
        (count("promoted"), count("freed"), count("failed")),
        (5, 11, 0)
    );
    let times: Vec<f64> = file
        .iter()
        .map(|event| event["time_us"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted());
    let promoted = file
        .iter()
        .find(|event| event["event"] == "promoted")
        .unwrap();
    assert_eq!(
        (promoted["from"].as_u64(), promoted["tier"].as_u64()),
        (Some(0), Some(1))
    );
    let compiled = file
        .iter()
        .find(|event| event["event"] == "compiled")
        .unwrap();
    for key in ["id", "source_bytes", "code_bytes"] {
        assert!(compiled[key].as_u64().unwrap() > 0, "{compiled}");
    }
}

#[test]
fn background_compilation_is_told_too() {
    let place = Place::new(&[]);
    let args = [
        "run",
        "--workers",
        "2",
        "--preset",
        "development",
        "--trace",
        "tier=t",
        "--invoke",
        "fib",
    ];
    place
        .upshift(&[&args[..], &[&example("fib.wat"), "30"]].concat())
        .code(0)
        .stdout("832040\n");
    let events = events(&place.read("t"));
    let compiled: Vec<&Value> = events
        .iter()
        .filter(|event| event["event"] == "compiled")
        .collect();
    assert_eq!(compiled[0]["on_program_thread"], true);
    // On a busy machine the program may end before the better code is there.
    assert!(compiled.len() <= 2, "{events:#?}");
    for event in &compiled[1..] {
        assert_eq!(event["on_program_thread"], false, "{events:#?}");
        assert!(event["queued_us"].as_f64().unwrap() > 0.0);
    }
    assert!(events.iter().any(|event| event["event"] == "promoted"));
}

#[test]
fn all_reports_together() {
    let place = Place::new(&[]);
    let flags = [
        "run",
        "--stats",
        "--print-compilation",
        "--trace",
        "tier=t",
        "--sync",
    ];
    let outcome = place
        .upshift(&[&flags[..], &[&example("mandelbrot.wat")]].concat())
        .code(0);
    outcome.says(&["time/ms", "iterate", "statistics of"]);
    assert!(!events(&place.read("t")).is_empty());
}

/// What `-O` switches off is not done.
#[test]
fn inlining_can_be_switched_off() {
    let place = Place::new(&[]);
    let mandelbrot = example("mandelbrot.wat");
    let traced = |flags: &[&str]| {
        let args = [
            &["run", "--sync", "--trace", "tier=t"],
            flags,
            &[&mandelbrot],
        ]
        .concat();
        let picture = place.upshift(&args).code(0).stdout;
        let inlined = events(&place.read("t"))
            .iter()
            .filter_map(|event| event["inlined"].as_array().cloned())
            .flatten()
            .count();
        (picture, inlined)
    };
    let (picture, inlined) = traced(&[]);
    assert!(inlined > 0);
    assert_eq!(traced(&["-O", "inlining=n"]), (picture.clone(), 0));
    assert_eq!(traced(&["--stress", "inline"]).0, picture);
    assert_eq!(traced(&["--stress", "inline,deopt=3,seed=7"]).0, picture);
}

/// What frames look like does not depend on the tier that their code is of, or on how it got there.
#[test]
fn frames_are_the_same_in_every_tier() {
    let place = Place::new(&[]);
    let mandelbrot = example("mandelbrot.wat");
    let frames = |flags: &[&str]| {
        let run = place.upshift(&[&["run"], flags, &[&mandelbrot]].concat());
        let stderr = run.code(0).stderr.clone();
        let line = stderr.lines().find(|line| line.starts_with("frames: "));
        line.expect("a line").to_owned()
    };
    let expected = frames(&["--tier", "0", "--stress", "frames,seed=2"]);
    for tests in ["deopt=3", "deopt=2,osr", "deopt=5,flip", "osr=3,inline"] {
        let tests = format!("frames,seed=2,{tests}");
        assert_eq!(frames(&["--stress", &tests]), expected, "{tests}");
    }
    assert_ne!(frames(&["--stress", "frames,seed=3"]), expected);
}

/// Up at loop headers and down at guards, in one run.
#[test]
fn moves_and_going_back_go_together() {
    let place = Place::new(&[]);
    let mandelbrot = example("mandelbrot.wat");
    let picture = place.upshift(&["run", &mandelbrot]).code(0).stdout;
    for tests in ["deopt=50,osr", "flip,deopt=20,seed=3"] {
        let args = ["run", "--stress", tests, "--trace", "osr,deopt=t"];
        let run = place.upshift(&[&args[..], &[&mandelbrot]].concat());
        assert_eq!(run.code(0).stdout, picture, "{tests}");
        let text = place.read("t");
        for event in ["osr_entered", "deoptimized"] {
            assert!(text.contains(event), "{tests}: {event}");
        }
    }
}

/// A file of more than 4 MiB is mapped, and what it does is the same.
#[test]
fn large_programs_are_validated_as_they_are_called() {
    let text = r#"(module
        (func (export "_start") (if (i32.eqz (call $one)) (then (drop (call $bad)))))
        (func $one (result i32) (i32.const 1))
        (func $bad (export "bad") (result i32) (i64.const 1)))"#;
    let mut wasm = wat::parse_str(text).unwrap();
    // A custom section without a name, of 5 MiB.
    wasm.extend([0, 0x81, 0x80, 0xc0, 0x02, 0]);
    wasm.resize(wasm.len() + (5 << 20), 0);
    let place = Place::new(&[]);
    place.write("large.wasm", &wasm);
    for mode in super::MODES {
        let arguments = [&["run", "--stats"], mode, &["large.wasm"]].concat();
        let outcome = place.upshift(&arguments).code(0);
        outcome.says(&["put off: 2 functions of 3 so far"]);
        let arguments = [&["run"], mode, &["--invoke", "bad", "large.wasm"]].concat();
        let outcome = place.upshift(&arguments).code(1);
        outcome.says(&["function 2 is invalid: type mismatch"]);
    }
    place.write("small.wasm", wat::parse_str(text).unwrap());
    place
        .upshift(&["run", "small.wasm"])
        .code(1)
        .says(&["type mismatch"]);
}
