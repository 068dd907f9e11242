//! What becomes of short loops in tier 1, in ratios of one run.
//!
//! * *guard*: loops with an indirect call that was always of one function, which is inlined behind a guard, and the same
//!   loops with a direct call of that function, inlined too. The guard never fails while it is measured; afterwards it
//!   is made to, to see that it is there.
//! * *place*: one loop in functions that differ in how much code comes before it. What it takes must not depend on that.
//!
//! The variants take turns; a figure is the minimum of the rounds. Without `--bench`, which `cargo bench` passes, all of
//! it runs once and briefly.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use upshift::{Config, EventKind, Recorder, Tier};
use upshift_wasm::{Engine, Instance, Module, Store, TypedFunc};

/// Loops as WebAssembly: what the function that is called makes of the running value and the iteration's number.
const CALLEES: [(&str, &str); 4] = [
    ("add", "(i32.add (local.get 0) (local.get 1))"),
    (
        "hash",
        "(i32.mul (i32.xor (local.get 0) (local.get 1)) (i32.const 16777619))",
    ),
    (
        "shift",
        "(i32.xor (local.get 1)
           (i32.add (i32.shl (local.get 0) (i32.const 5)) (i32.shr_u (local.get 0) (i32.const 2))))",
    ),
    (
        "load",
        "(i32.add (local.get 0)
           (i32.load8_u (i32.and (local.get 1) (i32.const 0xffff))))",
    ),
];

/// A function `name`, which calls another in a loop.
fn caller(name: &str, call: &str) -> String {
    format!(
        "(func (export \"{name}\") (param $n i32) (param $which i32) (result i32)
           (local $x i32)
           (loop $next
             (local.set $x ({call}))
             (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
           (local.get $x))"
    )
}

fn guarded_loops() -> String {
    let mut module = "(module (memory 1) (type $f (func (param i32 i32) (result i32)))
        (table 8 funcref)
        (func $other (type $f) (i32.const 7))
        (elem (i32.const 7) $other)"
        .to_owned();
    for (index, (name, body)) in CALLEES.iter().enumerate() {
        let args = "(local.get $x) (local.get $n)";
        let direct = caller(&format!("{name}-direct"), &format!("call ${name} {args}"));
        let guarded = caller(
            &format!("{name}-guarded"),
            &format!("call_indirect (type $f) {args} (local.get $which)"),
        );
        let _ = write!(
            module,
            "(func ${name} (type $f) {body}) (elem (i32.const {index}) ${name}) {direct} {guarded}"
        );
    }
    module + ")"
}

/// Functions with the same loop behind more and more code that runs once.
const PLACES: usize = 32;

fn loops_in_places() -> String {
    let mut module = "(module (memory 1)".to_owned();
    for place in 0..PLACES {
        let before = "(i32.store (i32.const 8) (local.get $s))".repeat(place);
        let _ = write!(
            module,
            "(func (export \"{place}\") (param $n i32) (param $s i32) (result i32)
               {before}
               (loop $next
                 (local.set $s (i32.add (local.get $s) (i32.const 3)))
                 (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
               (local.get $s))"
        );
    }
    module + ")"
}

/// A module whose functions are in tier 1.
struct Prepared {
    store: Store<()>,
    instance: Instance,
    recorder: Arc<Recorder>,
}

/// Calls of each function, and iterations in each, before anything is measured.
const WARM_UP: (usize, i32) = (300, 100);

impl Prepared {
    fn new(module: &str) -> Prepared {
        let recorder = Arc::new(Recorder::default());
        let config = Config::default().synchronous(true);
        let engine = Engine::new(config.subscriber(recorder.clone())).expect("an engine");
        let module = Module::new(&engine, module).expect("a module");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        Prepared {
            store,
            instance,
            recorder,
        }
    }

    fn function(&mut self, name: &str) -> TypedFunc<(i32, i32), i32> {
        self.instance
            .get_typed_func(&mut self.store, name)
            .expect("a function")
    }

    /// Runs a function until it is in tier 1.
    fn warm_up(&mut self, name: &str, argument: i32, devirtualized: usize) {
        let function = self.function(name);
        for _ in 0..WARM_UP.0 {
            let call = function.call(&mut self.store, (WARM_UP.1, argument));
            call.expect("no trap");
        }
        let in_tier_1 = self.recorder.events().iter().any(|event| {
            matches!(&event.kind, EventKind::Compiled(c) if event.name == name
                && c.tier == Tier::Optimizing
                && c.osr.is_none()
                && c.devirtualized == devirtualized)
        });
        assert!(in_tier_1, "{name} is not in tier 1 as it should be");
    }

    fn time(&mut self, name: &str, (n, argument): (i32, i32)) -> Duration {
        let function = self.function(name);
        let start = Instant::now();
        let result = function.call(&mut self.store, (n, argument));
        std::hint::black_box(result.expect("no trap"));
        start.elapsed()
    }

    fn went_back(&self, name: &str) -> bool {
        let events = self.recorder.events();
        let mut of_it = events.iter().filter(|event| event.name == name);
        of_it.any(|event| matches!(event.kind, EventKind::Deoptimized { .. }))
    }
}

fn guards(iterations: i32, rounds: usize) {
    println!("guard, ns an iteration");
    let mut prepared = Prepared::new(&guarded_loops());
    for (index, (name, _)) in CALLEES.iter().enumerate() {
        let variants = [format!("{name}-direct"), format!("{name}-guarded")];
        for (variant, devirtualized) in variants.iter().zip([0, 1]) {
            prepared.warm_up(variant, index as i32, devirtualized);
        }
        let mut best = [Duration::MAX; 2];
        for _ in 0..rounds {
            for (variant, best) in variants.iter().zip(&mut best) {
                *best = (*best).min(prepared.time(variant, (iterations, index as i32)));
            }
        }
        let guarded = &variants[1];
        assert!(!prepared.went_back(guarded), "{guarded} has failed");
        prepared.time(guarded, (1, 7));
        assert!(prepared.went_back(guarded), "{guarded} has no guard");
        let [direct, guarded] = best.map(|time| time.as_secs_f64() * 1e9 / f64::from(iterations));
        let ratio = guarded / direct;
        println!("  {name:6}  without: {direct:.3}  with: {guarded:.3} ({ratio:.3})");
    }
}

fn places(iterations: i32, rounds: usize) {
    let mut prepared = Prepared::new(&loops_in_places());
    let mut best = [Duration::MAX; PLACES];
    for place in 0..PLACES {
        prepared.warm_up(&place.to_string(), 1, 0);
    }
    for _ in 0..rounds {
        for (place, best) in best.iter_mut().enumerate() {
            *best = (*best).min(prepared.time(&place.to_string(), (iterations, 1)));
        }
    }
    let nanoseconds = |time: &Duration| time.as_secs_f64() * 1e9 / f64::from(iterations);
    let mut all: Vec<f64> = best.iter().map(nanoseconds).collect();
    all.sort_by(f64::total_cmp);
    let (fastest, median, slowest) = (all[0], all[PLACES / 2], all[PLACES - 1]);
    let ratio = slowest / fastest;
    println!("place, ns an iteration");
    println!("  fastest: {fastest:.3}  median: {median:.3}  slowest: {slowest:.3} ({ratio:.2})");
}

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let (iterations, rounds) = if quick { (1000, 1) } else { (2_000_000, 80) };
    guards(iterations, rounds);
    places(iterations, rounds);
}
