//! A second or two of each body. The long runs are `cargo xtask fuzz`.

use upshift_fuzz::supervise::run_one;
use upshift_fuzz::{Body, Case, Counts, Verdict, limits};

/// Not the seed of the long runs, so that each finds something of its own.
const SEED: u64 = 0x5eed;

fn smoke(body: Body, cases: u64) -> Counts {
    let thread = std::thread::Builder::new().stack_size(limits::THREAD_STACK_BYTES);
    let run = move || {
        let mut counts = Counts::default();
        for index in 0..cases {
            let verdict = run_one(body, SEED, index, &mut counts);
            assert!(
                !matches!(verdict, Verdict::Mismatch(_)),
                "{verdict:?}: cargo xtask fuzz --only {body} --seed {SEED} --print {index} > case.json"
            );
        }
        counts
    };
    let counts = thread.spawn(run).unwrap().join().unwrap();
    println!("{body}: {counts:?}");
    assert!(
        counts.agreed * 2 > cases,
        "too little can be compared: {counts:?}"
    );
    counts
}

#[test]
fn modules_from_wasm_smith() {
    let counts = smoke(Body::Smith, 60);
    assert!(counts.calls > 200);
}

#[test]
fn modules_of_our_own() {
    let counts = smoke(Body::Own, 60);
    assert!(counts.calls > 500 && counts.traps > 0 && counts.host_calls > 0);
    assert!(
        counts.compiled[0] > 0 && counts.compiled[1] > 0,
        "both tiers compile"
    );
    assert!(
        counts.moves > 0 && counts.deoptimizations > 0 && counts.inlined > 0,
        "activations change tiers and calls are inlined"
    );
}

#[test]
fn clif_functions() {
    assert!(smoke(Body::Clif, 60).calls > 100);
}

#[test]
fn malformed_input() {
    smoke(Body::Malformed, 80);
}

#[test]
fn cases_depend_on_their_numbers_alone() {
    for body in Body::ALL {
        let (a, b) = (body.case(7, 9), body.case(7, 9));
        assert_eq!(a, b, "{body}");
        assert_ne!(a, body.case(7, 10), "{body}");
    }
}

/// A wrong result is seen, and nothing else is.
#[test]
fn a_difference_is_seen() {
    use upshift_fuzz::value::{Outcome, Value};
    let Some(Case::Wasm(case)) = Body::Own.case(SEED, 3) else {
        panic!("no module");
    };
    let expected = upshift_fuzz::oracle::newer::run(&case).unwrap();
    let mut actual = expected.clone();
    assert_eq!(upshift_fuzz::record::differences(&expected, &actual), []);
    actual.calls[0] = Outcome::Returned(vec![Value::I32(0xdead_beef); 9]);
    let found = upshift_fuzz::record::differences(&expected, &actual);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place, "call 0");
}
