//! Functions move up the tiers, give the same answers in each, and are accounted for.

mod support;

use std::sync::Arc;
use support::{FIB, SUM, module};
use upshift::{Backend, Config, Engine, EventKind, Recorder, Tier};

fn fib(n: i64) -> i64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// Every way of choosing tiers gives the same answers.
#[test]
fn same_answers_in_every_tier() {
    let all_three = Config::development()
        .thresholds(1, 2)
        .backend(Tier::Top, Backend::CraneliftSpeed);
    let configs = [
        Config::default().only_tier(Tier::Baseline),
        Config::default().only_tier(Tier::Optimizing),
        Config::default().only_tier(Tier::Top),
        all_three.clone().synchronous(true),
        all_three,
    ];
    for config in configs {
        let engine = Engine::new(config.verify(true)).unwrap();
        let fibs = module(&engine, &["fib"], FIB);
        let sums = module(&engine, &["sum"], SUM);
        // SAFETY: neither touches memory.
        let (f, s) = unsafe {
            (
                fibs.typed::<i64, i64>("fib").unwrap(),
                sums.typed::<i64, i64>("sum").unwrap(),
            )
        };
        for n in 0..16 {
            assert_eq!(f.call(n).unwrap(), fib(n));
            assert_eq!(s.call(n).unwrap(), (0..n).sum::<i64>());
        }
    }
}

#[test]
fn a_function_is_promoted_exactly_at_its_threshold() {
    let recorder = Arc::new(Recorder::default());
    let config = Config::default()
        .synchronous(true)
        .subscriber(recorder.clone());
    let engine = Engine::new(config.thresholds(10, 1000)).unwrap();
    let sums = module(&engine, &["sum"], SUM);
    // SAFETY: it touches no memory.
    let sum = unsafe { sums.typed::<i64, i64>("sum") }.unwrap();
    assert_eq!(engine.tier_of(sum.function()), None, "not called yet");
    for call in 1..=10 {
        assert!(!engine.is_hot(sum.function()), "before call {call}");
        sum.call(0).unwrap();
        let expected = if call < 10 {
            Tier::Baseline
        } else {
            Tier::Optimizing
        };
        assert_eq!(
            engine.tier_of(sum.function()),
            Some(expected),
            "after call {call}"
        );
    }
    assert!(engine.is_hot(sum.function()));
    let hot = engine.hot_functions();
    assert_eq!(
        (hot.len(), hot[0].name.as_str(), hot[0].calls),
        (1, "sum", 10)
    );
    let kinds: Vec<_> = recorder.events().into_iter().map(|e| e.kind).collect();
    assert!(
        matches!(
            &kinds[..],
            [
                EventKind::Compiled(_),
                EventKind::Published {
                    tier: Tier::Baseline,
                    ..
                },
                EventKind::Promoted {
                    from: Tier::Baseline,
                    to: Tier::Optimizing,
                    ..
                },
                EventKind::Compiled(_),
                EventKind::Published {
                    tier: Tier::Optimizing,
                    ..
                },
            ]
        ),
        "{kinds:?}"
    );
}

#[test]
fn loop_iterations_count() {
    let engine = Engine::new(Config::default().synchronous(true)).unwrap();
    let sums = module(&engine, &["sum"], SUM);
    // SAFETY: it touches no memory.
    let sum = unsafe { sums.typed::<i64, i64>("sum") }.unwrap();
    assert_eq!(sum.call(5000).unwrap(), 4999 * 2500);
    // That call moved on in the middle of the loop; if it is the only one, a version for callers is of no use.
    assert_eq!(engine.tier_of(sum.function()), Some(Tier::Baseline));
    assert_eq!(sum.call(5000).unwrap(), 4999 * 2500);
    assert_eq!(
        engine.tier_of(sum.function()),
        Some(Tier::Optimizing),
        "for the next call"
    );
}

#[test]
fn background_promotion_arrives() {
    let engine = Engine::new(Config::development()).unwrap();
    let fibs = module(&engine, &["fib"], FIB);
    // SAFETY: it touches no memory.
    let f = unsafe { fibs.typed::<i64, i64>("fib") }.unwrap();
    while engine.tier_of(f.function()) != Some(Tier::Optimizing) {
        assert_eq!(f.call(15).unwrap(), 610);
    }
    assert_eq!(f.call(20).unwrap(), 6765);
    engine.shutdown();
    let statistics = engine.profile_statistics();
    assert_eq!(statistics.total_functions, 1);
    assert_eq!(statistics.tiers[1].functions, 1);
    assert_eq!(statistics.tiers[1].compilations, 1);
    assert!(
        statistics.executions >= 10 && statistics.hot_functions == 1,
        "{statistics:?}"
    );
    assert_eq!(f.call(20).unwrap(), 6765, "after shutdown");
}

#[test]
fn by_hand() {
    let engine = Engine::new(Config::default().synchronous(true)).unwrap();
    let both = module(&engine, &["sum"], SUM);
    let sum = both.function("sum").unwrap();
    engine.optimize(&sum, Tier::Optimizing).unwrap();
    assert_eq!(engine.tier_of(&sum), Some(Tier::Optimizing));
    engine.optimize(&sum, Tier::Baseline).unwrap();
    assert_eq!(
        engine.tier_of(&sum),
        Some(Tier::Optimizing),
        "never downwards"
    );
    let error = engine.optimize(&sum, Tier::Top).unwrap_err();
    assert!(
        error.to_string().contains("tier 2 has no compiler"),
        "{error}"
    );
    let tiers = engine.tiers();
    assert_eq!(tiers[1].compilers, ["cranelift-speed"]);
    assert_eq!((tiers[1].threshold, tiers[2].threshold), (100, 1000));
}

#[test]
fn calls_that_the_host_dispatches_count() {
    let engine = Engine::new(Config::development().synchronous(true)).unwrap();
    let sums = module(&engine, &["sum"], SUM);
    let sum = sums.function("sum").unwrap();
    engine.optimize(&sum, Tier::Baseline).unwrap();
    for _ in 0..9 {
        engine.record_call(&sum);
    }
    assert_eq!(engine.tier_of(&sum), Some(Tier::Baseline));
    engine.record_call(&sum);
    assert_eq!(engine.tier_of(&sum), Some(Tier::Optimizing));
}

/// Eight threads, 1,000 functions each, one engine: every function is promoted exactly once.
#[test]
fn threads_share_an_engine() {
    const FUNCTIONS: usize = 1000;
    for round in 0..10 {
        let recorder = Arc::new(Recorder::default());
        let config = Config::development()
            .workers(2)
            .subscriber(recorder.clone());
        let engine = Engine::new(config).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let engine = &engine;
                scope.spawn(move || run_many(engine, thread, FUNCTIONS));
            }
        });
        engine.shutdown();
        let statistics = engine.profile_statistics();
        assert_eq!(
            statistics.tiers[0].compilations,
            8 * FUNCTIONS as u64,
            "round {round}"
        );
        assert_eq!(
            statistics.tiers[1].compilations,
            8 * FUNCTIONS as u64,
            "round {round}"
        );
        assert_eq!(statistics.discarded, 0, "round {round}");
        let published = recorder.events();
        let promoted = published
            .iter()
            .filter(|e| {
                matches!(
                    e.kind,
                    EventKind::Published {
                        tier: Tier::Optimizing,
                        ..
                    }
                )
            })
            .count();
        assert_eq!(promoted, 8 * FUNCTIONS, "round {round}");
        assert_eq!(
            engine.code_memory_usage().code_blocks,
            1,
            "only the trampoline is left"
        );
    }
}

/// `add(n)` for each n, each its own function, called until it is promoted.
fn run_many(engine: &Engine, thread: usize, functions: usize) {
    let names: Vec<String> = (0..functions).map(|n| format!("t{thread}f{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text: String = (0..functions)
        .map(|n| {
            format!(
                "function u0:{n}(i64) -> i64 tail {{\nblock0(v0: i64):\n v1 = iconst.i64 {n}\n v2 = iadd v0, v1\n return v2\n}}\n"
            )
        })
        .collect();
    let module = module(engine, &names, &text);
    for (n, name) in names.iter().enumerate() {
        // SAFETY: it touches no memory.
        let add = unsafe { module.typed::<i64, i64>(name) }.unwrap();
        for call in 0..12 {
            assert_eq!(add.call(call).unwrap(), call + n as i64);
        }
    }
    for name in &names {
        let function = module.function(name).unwrap();
        // SAFETY: it touches no memory.
        let add = unsafe { module.typed::<i64, i64>(name) }.unwrap();
        while engine.tier_of(&function) != Some(Tier::Optimizing) {
            add.call(1).unwrap();
            std::thread::yield_now();
        }
    }
}
