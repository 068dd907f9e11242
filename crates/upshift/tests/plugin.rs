//! Compilers of the embedder's own: slow ones, broken ones, picky ones.

#[path = "support/gated.rs"]
mod gated;
mod support;

use gated::Gated;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{FIB, SUM, module};
use upshift::embed::{CompileError, CompileRequest, CompiledCode, Compiler};
use upshift::{Backend, Config, Engine, EventKind, Recorder, Tier};

/// The function, the module and even the engine go while a worker is in the middle of compiling.
#[test]
fn everything_is_dropped_while_a_worker_compiles() {
    let gate = Gated::new();
    let recorder = Arc::new(Recorder::default());
    let config = Config::development()
        .thresholds(1, 2)
        .backend(Tier::Optimizing, Backend::Custom(gate.clone()))
        .subscriber(recorder.clone());
    let engine = Engine::new(config).unwrap();
    let sums = module(&engine, &["sum"], SUM);
    // SAFETY: it touches no memory.
    let sum = unsafe { sums.typed::<i64, i64>("sum") }.unwrap();
    assert_eq!(sum.call(4).unwrap(), 6);
    gate.entered.wait();
    drop((sum, sums));
    let release = std::thread::spawn(move || {
        gate.leave.wait();
    });
    engine.shutdown();
    release.join().unwrap();
    let usage = engine.code_memory_usage();
    assert_eq!(
        (usage.code_blocks, usage.functions),
        (1, 1),
        "only the trampoline is left"
    );
    let freed = |e: &&upshift::Event| matches!(e.kind, EventKind::Freed { .. });
    assert_eq!(
        recorder.events().iter().filter(freed).count(),
        2,
        "both tiers' code"
    );
}

/// Code for tier 1 is ready after code for tier 2 was published: it is thrown away, and the better code stays.
#[test]
fn code_that_comes_too_late_is_discarded() {
    let gate = Gated::new();
    let recorder = Arc::new(Recorder::default());
    let config = Config::development()
        .thresholds(1, 1000)
        .backend(Tier::Optimizing, Backend::Custom(gate.clone()))
        .backend(Tier::Top, Backend::CraneliftSpeed)
        .subscriber(recorder.clone());
    let engine = Engine::new(config).unwrap();
    let sums = module(&engine, &["sum"], SUM);
    // SAFETY: it touches no memory.
    let sum = unsafe { sums.typed::<i64, i64>("sum") }.unwrap();
    assert_eq!(sum.call(4).unwrap(), 6);
    gate.entered.wait();
    engine.optimize(sum.function(), Tier::Top).unwrap();
    gate.leave.wait();
    engine.shutdown();
    assert_eq!(engine.tier_of(sum.function()), Some(Tier::Top));
    let discarded = |e: &upshift::Event| {
        matches!(
            e.kind,
            EventKind::Discarded {
                tier: Tier::Optimizing
            }
        )
    };
    assert_eq!(recorder.events().iter().filter(|e| discarded(e)).count(), 1);
    assert_eq!(sum.call(5).unwrap(), 10);
}

/// Fails in the way that it is told to.
#[derive(Debug)]
struct Broken {
    how: &'static str,
    attempts: AtomicUsize,
}

impl Compiler for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn compile(&self, _: &CompileRequest) -> Result<CompiledCode, CompileError> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        match self.how {
            "declines" => Err(CompileError::Bailout("not today".into())),
            "fails" => Err(CompileError::Failed("broken".into())),
            _ => panic!("on purpose"),
        }
    }
}

/// A compiler that cannot do a function is asked once, and the function runs on where it is.
#[test]
fn a_failing_tier_is_not_tried_again() {
    for how in ["declines", "fails", "panics"] {
        let broken = Arc::new(Broken {
            how,
            attempts: AtomicUsize::new(0),
        });
        let recorder = Arc::new(Recorder::default());
        let config = Config::development()
            .synchronous(true)
            .backend(Tier::Optimizing, Backend::Custom(broken.clone()))
            .subscriber(recorder.clone());
        let engine = Engine::new(config).unwrap();
        let fibs = module(&engine, &["fib"], FIB);
        // SAFETY: it touches no memory.
        let fib = unsafe { fibs.typed::<i64, i64>("fib") }.unwrap();
        for _ in 0..20 {
            assert_eq!(fib.call(10).unwrap(), 55);
        }
        assert_eq!(broken.attempts.load(Ordering::Relaxed), 1, "{how}");
        assert_eq!(engine.tier_of(fib.function()), Some(Tier::Baseline));
        let failures: Vec<_> = recorder
            .events()
            .into_iter()
            .filter_map(|e| match e.kind {
                EventKind::Failed {
                    tier,
                    declined,
                    reason,
                } => Some((tier, declined, reason)),
                _ => None,
            })
            .collect();
        assert_eq!(failures.len(), 1);
        assert_eq!(
            (failures[0].0, failures[0].1),
            (Tier::Optimizing, how == "declines")
        );
    }
}

/// If tier 0 cannot be had, the first call gets the next tier's code instead; if none can, there is an error.
#[test]
fn the_first_call_takes_what_it_can_get() {
    let broken = |how| {
        Backend::Custom(Arc::new(Broken {
            how,
            attempts: AtomicUsize::new(0),
        }))
    };
    for how in ["declines", "fails", "panics"] {
        let config = Config::default().backend(Tier::Baseline, broken(how));
        let engine = Engine::new(config.clone()).unwrap();
        let expected = (6, Some(Tier::Optimizing));
        assert_eq!(module_call(&engine).unwrap(), expected, "{how}");
        let engine = Engine::new(config.backend(Tier::Optimizing, broken("fails"))).unwrap();
        let error = module_call(&engine).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}

fn module_call(engine: &Engine) -> Result<(i64, Option<Tier>), upshift::Error> {
    let sums = module(engine, &["sum"], SUM);
    // SAFETY: it touches no memory.
    let sum = unsafe { sums.typed::<i64, i64>("sum") }?;
    Ok((sum.call(4)?, engine.tier_of(sum.function())))
}

/// A flood of requests: priorities and the bounded queue hold, everything gets there in the end.
#[test]
fn ten_thousand_functions_hot_at_once() {
    const FUNCTIONS: usize = 10_000;
    let engine = Engine::new(Config::default().thresholds(2, 4)).unwrap();
    let names: Vec<String> = (0..FUNCTIONS).map(|n| format!("f{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text: String = (0..FUNCTIONS)
        .map(|n| format!("function u0:{n}(i64) -> i64 tail {{\nblock0(v0: i64):\n v1 = iconst.i64 {n}\n v2 = iadd v0, v1\n return v2\n}}\n"))
        .collect();
    let many = module(&engine, &names, &text);
    // SAFETY: they touch no memory.
    let all: Vec<_> = names
        .iter()
        .map(|name| unsafe { many.typed::<i64, i64>(name) }.unwrap())
        .collect();
    let mut rounds = 0;
    while engine.profile_statistics().tiers[1].functions < FUNCTIONS as u64 {
        for (n, f) in all.iter().enumerate() {
            assert_eq!(f.call(1).unwrap(), 1 + n as i64);
        }
        rounds += 1;
        assert!(rounds < 100_000, "{:?}", engine.profile_statistics());
    }
    assert_eq!(
        engine.profile_statistics().tiers[1].compilations,
        FUNCTIONS as u64
    );
}
