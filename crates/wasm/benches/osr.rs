//! What moving to better code in the middle of a loop gains, and what it costs while it does not happen.
//!
//! * *one call*: kernels that are called once and loop. If moving works, one call that begins in tier 0 takes about as
//!   long as in tier 1 from the start.
//! * *flips*: programs whose assumptions break in every other iteration after they have held for long. Going back to tier
//!   0 must be stopped before it costs much.
//! * *counting*: the same kernels in tier 0 throughout, without counters, with plain counters, and with counters from
//!   which an activation could move but never does.
//! * *compiling*: the functions of a whole module for tier 0 in the same three ways. `UPSHIFT_BENCH_MODULE` names the
//!   module; without it this part is left out.
//!
//! The variants take turns; what is printed is the minimum of the rounds. Without `--bench`, which `cargo bench` passes,
//! all of it runs once and briefly.

use std::time::{Duration, Instant};
use upshift::{Config, Engine, Function, Tier};
use upshift_wasm::{Instance, Module, Store};

const KERNELS: &str = r#"(module
  (memory 32)
  (func (export "sum") (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (i32.mul (local.get $n) (local.get $n)) (local.get $sum)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (local.get $sum))
  (func (export "sieve") (param $rounds i32) (result i32)
    (local $i i32) (local $j i32) (local $count i32)
    (loop $round
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 1000000))
      (local.set $count (i32.const 0))
      (local.set $i (i32.const 2))
      (loop $numbers
        (if (i32.eqz (i32.load8_u (local.get $i)))
          (then
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (local.set $j (i32.mul (local.get $i) (i32.const 2)))
            (block $none
              (br_if $none (i32.ge_u (local.get $j) (i32.const 1000000)))
              (loop $multiples
                (i32.store8 (local.get $j) (i32.const 1))
                (local.set $j (i32.add (local.get $j) (local.get $i)))
                (br_if $multiples (i32.lt_u (local.get $j) (i32.const 1000000)))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $numbers (i32.lt_u (local.get $i) (i32.const 1000000))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $round (local.get $rounds)))
    (local.get $count))
  (func (export "matmul") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $k i32) (local $s f64) (local $t f64)
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $k (i32.const 0))
        (local.set $s (f64.const 0))
        (loop $products
          (local.set $s
            (f64.add
              (local.get $s)
              (f64.mul
                (f64.load
                  (i32.shl
                    (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $k))
                    (i32.const 3)))
                (f64.load offset=1000000
                  (i32.shl
                    (i32.add (i32.mul (local.get $k) (local.get $n)) (local.get $j))
                    (i32.const 3))))))
          (local.set $k (i32.add (local.get $k) (i32.const 1)))
          (br_if $products (i32.lt_u (local.get $k) (local.get $n))))
        (local.set $t (f64.add (local.get $t) (local.get $s)))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $j) (local.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (local.get $n))))
    (i32.trunc_f64_s (local.get $t)))
  ;; The first of two functions for 2^14 iterations, then each in turn.
  (type $op (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $one $two)
  (func $one (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $two (type $op) (i32.add (local.get 0) (i32.const 2)))
  (func $step (param $x i32) (param $i i32) (result i32)
    (call_indirect (type $op)
      (local.get $x)
      (i32.and (local.get $i) (i32.gt_u (local.get $i) (i32.const 16383)))))
  (func (export "flips in the loop") (param $n i32) (result i32)
    (local $x i32) (local $i i32)
    (loop $next
      (local.set $x
        (call_indirect (type $op)
          (local.get $x)
          (i32.and (local.get $i) (i32.gt_u (local.get $i) (i32.const 16383)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x))
  (func (export "flips in a callee") (param $n i32) (result i32)
    (local $x i32) (local $i i32)
    (loop $next
      (local.set $x (call $step (local.get $x) (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x))
  ;; From the beginning again every 2^15 iterations.
  (func (export "flips in phases") (param $n i32) (result i32)
    (local $x i32) (local $i i32)
    (loop $next
      (local.set $x
        (call $step (local.get $x) (i32.and (local.get $i) (i32.const 0x7fff))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x)))"#;

/// Kernels with their argument in a benchmark and in a quick run.
type Sizes = [(&'static str, i32, i32); 3];
const SIZES: Sizes = [
    ("sum", 1_000_000_000, 10_000),
    ("sieve", 20, 1),
    ("matmul", 320, 10),
];

/// Programs that would deoptimize millions of times if nobody stopped them.
const FLIPS: Sizes = [
    ("flips in the loop", 20_000_000, 20_000),
    ("flips in a callee", 20_000_000, 20_000),
    ("flips in phases", 20_000_000, 20_000),
];

type Variant = (&'static str, fn() -> Config);

const ONE_CALL: [Variant; 4] = [
    ("tier 1 from the start", || {
        config().only_tier(Tier::Optimizing)
    }),
    ("moving, background", config),
    ("moving, synchronous", || config().synchronous(true)),
    ("tier 0 only", || config().only_tier(Tier::Baseline)),
];

fn config() -> Config {
    Config::default()
}

/// Nothing gets hot.
fn never() -> Config {
    config().thresholds(u32::MAX, u32::MAX)
}

const COUNTING: [Variant; 3] = [
    ("no counters", || config().only_tier(Tier::Baseline)),
    ("counters", || never().osr(false)),
    ("ways out", never),
];

/// One call of a kernel in an engine of its own.
fn call(config: Config, kernel: &str, argument: i32) -> Duration {
    let engine = Engine::new(config).expect("an engine");
    let module = Module::new(&engine, KERNELS).expect("a module");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let kernel = instance
        .get_typed_func::<i32, i32>(&mut store, kernel)
        .expect("a kernel");
    let start = Instant::now();
    std::hint::black_box(kernel.call(&mut store, argument).expect("no trap"));
    start.elapsed()
}

fn calls(title: &str, sizes: Sizes, variants: &[Variant], rounds: usize, quick: bool) {
    println!("{title}, ms");
    for (kernel, argument, quick_argument) in sizes {
        let argument = if quick { quick_argument } else { argument };
        let mut best = vec![Duration::MAX; variants.len()];
        for _ in 0..rounds {
            for (best, (_, config)) in best.iter_mut().zip(variants) {
                *best = (*best).min(call(config(), kernel, argument));
            }
        }
        print(kernel, variants, &best, "");
    }
}

fn print(what: &str, variants: &[Variant], best: &[Duration], suffix: &str) {
    let reference = best[0].as_secs_f64();
    print!("  {what:8}");
    for ((name, _), time) in variants.iter().zip(best) {
        let (ms, ratio) = (time.as_secs_f64() * 1e3, time.as_secs_f64() / reference);
        print!("  {name}: {ms:.1} ({ratio:.2})");
    }
    println!("{suffix}");
}

/// Compiles all functions of a module for tier 0: the time and the bytes of code.
fn compile(config: Config, bytes: &[u8]) -> (Duration, u64) {
    let engine = Engine::new(config).expect("an engine");
    let module = Module::new(&engine, bytes).expect("a module");
    let functions = module.functions().expect("functions");
    let start = Instant::now();
    for index in 0..functions.len() {
        let function = Function::new(functions.clone(), index).expect("in range");
        engine
            .optimize(&function, Tier::Baseline)
            .expect("it compiles");
    }
    let elapsed = start.elapsed();
    (elapsed, engine.profile_statistics().tiers[0].code_bytes)
}

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let rounds = if quick { 1 } else { 7 };
    calls("one call", SIZES, &ONE_CALL, rounds, quick);
    calls("one call that flips", FLIPS, &ONE_CALL, rounds, quick);
    calls("counting in tier 0", SIZES, &COUNTING, rounds, quick);
    let Some(path) = std::env::var_os("UPSHIFT_BENCH_MODULE") else {
        return;
    };
    let bytes = std::fs::read(path).expect("the module can be read");
    let mut best = [Duration::MAX; COUNTING.len()];
    let mut sizes = [0; COUNTING.len()];
    for _ in 0..rounds {
        for (index, (_, config)) in COUNTING.iter().enumerate() {
            let (time, size) = compile(config(), &bytes);
            best[index] = best[index].min(time);
            sizes[index] = size;
        }
    }
    println!("compiling for tier 0, ms");
    print(
        "module",
        &COUNTING,
        &best,
        &format!("  code bytes: {sizes:?}"),
    );
}
