//! Activations of finished CLIF move to better code in the middle of a loop.

mod support;

use std::sync::Arc;
use support::{SUM, module};
use upshift::{Backend, Config, Engine, EventKind, Recorder, Tier};

/// Constants and values from before the loops, a value of an outer loop that is used behind the inner one, floats, a
/// vector, narrow integers, a loop that is left in the middle.
const NEST: &str = "
function u0:0(i64, i64) -> i64 tail {
block0(v0: i64, v1: i64):
    v2 = iconst.i64 0
    v3 = iconst.i64 1
    v4 = f64const 0x1.8p0
    v5 = splat.i64x2 v1
    v6 = ireduce.i8 v1
    v7 = bxor v0, v1
    jump block1(v2, v2, v4)
block1(v10: i64, v11: i64, v12: f64):
    v13 = icmp uge v10, v0
    brif v13, block9(v11), block2
block2:
    v20 = imul v10, v7
    v21 = iadd v20, v11
    v22 = uextend.i64 v6
    jump block3(v2, v21)
block3(v30: i64, v31: i64):
    v32 = icmp ugt v30, v10
    brif v32, block6(v31), block4
block4:
    v40 = iadd v31, v30
    v41 = bxor v40, v20
    v42 = iadd v30, v3
    v43 = iconst.i64 0x7fff_ffff
    v44 = icmp eq v41, v43
    brif v44, block9(v41), block5
block5:
    v50 = extractlane v5, 1
    v51 = iadd v41, v50
    brif v22, block3(v42, v51), block3(v42, v41)
block6(v60: i64):
    v61 = fcvt_from_uint.f64 v10
    v62 = fadd v12, v61
    v63 = fcvt_to_sint_sat.i64 v62
    v64 = iadd v60, v63
    v65 = iadd v64, v20
    v66 = iadd v10, v3
    jump block1(v66, v65, v62)
block9(v90: i64):
    v91 = iadd v90, v7
    return v91
}";

fn nest(n: u64, seed: u64) -> u64 {
    let (mut total, mut float) = (0u64, 1.5f64);
    let odd = n ^ seed;
    for i in 0..n {
        let product = i.wrapping_mul(odd);
        let mut inner = product.wrapping_add(total);
        for j in 0..=i {
            let next = inner.wrapping_add(j) ^ product;
            if next == 0x7fff_ffff {
                return next.wrapping_add(odd);
            }
            inner = match seed as u8 {
                0 => next,
                _ => next.wrapping_add(seed),
            };
        }
        float += i as f64;
        total = inner
            .wrapping_add(float as i64 as u64)
            .wrapping_add(product);
    }
    total.wrapping_add(odd)
}

#[test]
fn moving_anywhere_changes_nothing() {
    let three = Config::default().backend(Tier::Top, Backend::CraneliftSpeed);
    let configs = [
        Config::default().only_tier(Tier::Baseline),
        Config::default().only_tier(Tier::Optimizing),
        Config::default().stress_osr(1),
        Config::default().stress_osr(2),
        Config::default().stress_osr(7),
        three.clone().stress_osr(1),
        three.stress_osr(5),
    ];
    for config in configs {
        let engine = Engine::new(config.verify(true)).unwrap();
        let module = module(&engine, &["nest"], NEST);
        // SAFETY: it touches no memory.
        let function = unsafe { module.typed::<(i64, i64), i64>("nest") }.unwrap();
        for (n, seed) in [
            (0, 1),
            (1, 2),
            (2, 0),
            (3, 77),
            (20, 256),
            (33, 12345),
            (50, 0),
        ] {
            let expected = nest(n as u64, seed as u64) as i64;
            assert_eq!(function.call((n, seed)).unwrap(), expected, "{n} {seed}");
        }
    }
}

/// A function that is called once does not stay in tier 0 for its whole life.
#[test]
fn a_single_call_moves_up() {
    let recorder = Arc::new(Recorder::default());
    let config = Config::development()
        .synchronous(true)
        .subscriber(recorder.clone());
    let engine = Engine::new(config).unwrap();
    let module = module(&engine, &["sum"], SUM);
    // SAFETY: it touches no memory.
    let sum = unsafe { module.typed::<i64, i64>("sum") }.unwrap();
    let n = 100_000;
    assert_eq!(sum.call(n).unwrap(), n * (n - 1) / 2);
    let entered = recorder
        .events()
        .iter()
        .filter(|event| matches!(event.kind, EventKind::OsrEntered { .. }))
        .count();
    assert_eq!(entered, 1);
}

/// What has stack slots stays where it is.
#[test]
fn stack_slots_stay() {
    let text = "
function u0:0(i64) -> i64 tail {
    ss0 = explicit_slot 8
block0(v0: i64):
    v1 = iconst.i64 0
    v10 = stack_addr.i64 ss0
    store v1, v10
    jump block1(v0)
block1(v2: i64):
    v3 = load.i64 v10
    v4 = iadd v3, v2
    store v4, v10
    v5 = iconst.i64 -1
    v6 = iadd v2, v5
    brif v6, block1(v6), block2
block2:
    v7 = load.i64 v10
    return v7
}";
    for config in [Config::default().stress_osr(1), Config::default()] {
        let engine = Engine::new(config.verify(true)).unwrap();
        let module = module(&engine, &["down"], text);
        // SAFETY: it touches its own stack slot.
        let down = unsafe { module.typed::<i64, i64>("down") }.unwrap();
        assert_eq!(down.call(1000).unwrap(), 500_500);
    }
}
