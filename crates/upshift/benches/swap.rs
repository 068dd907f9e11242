//! What a swap of a function's code costs its callers: nothing, and this measures it.
//!
//! A loop in CLIF calls a small function that depends on its last result, so that the time of an iteration is that of
//! a call and a return. The loop's code is the optimizing tier's throughout; how it reaches its callee differs:
//!
//! * *direct*: a direct call of a copy of the callee in the loop's own code block, made by a compiler that puts it
//!   there: the reference, which could never be swapped;
//! * *never swapped*: an ordinary call, through the callee's entry slot, of code that was published once;
//! * *before the swap*, *after the swap*: an ordinary call from one loop, compiled once, of a callee that is baseline
//!   code first and then replaced by the same code as in the other two;
//! * *jump stub*: a call to a stub that jumps through the entry slot, the road not taken;
//! * *Rust*: a loop in Rust with a direct call, to see that the order of magnitude is right.
//!
//! The variants take turns, each measured by the same loop, in several engines each, because addresses matter too.
//! `--json` prints one line for programs to read; without `--bench`, which `cargo bench` passes, all of it runs once.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use upshift::embed::{CompileError, CompileRequest, CompiledCode, Compiler};
use upshift::{Backend, Config, Engine, Module, Tier, TypedFunc};
use upshift_codegen::Target;
use upshift_cranelift::{CraneliftCompiler, Effort, Options};

#[path = "../tests/support/mod.rs"]
mod support;

const CALLS: i64 = 100_000;
const ENGINES: usize = 9;
const ROUNDS: usize = 60;

/// No function is promoted by itself, only by hand.
const NEVER: u32 = 100_000_000;

const VARIANTS: [&str; 6] = [
    "direct",
    "never swapped",
    "before the swap",
    "after the swap",
    "jump stub",
    "Rust",
];
const DIRECT: usize = 0;
const NEVER_SWAPPED: usize = 1;
const BEFORE: usize = 2;
const AFTER: usize = 3;
const STUB: usize = 4;
const RUST: usize = 5;

const STEP: &str = "
function u0:1(i64, i64) -> i64 tail {
block0(v0: i64, v1: i64):
    v2 = bxor v0, v1
    return v2
}";

/// The loop; `colocated` makes a call one that reaches its target without the entry slot.
fn program(colocated: bool) -> String {
    let how = if colocated { "colocated " } else { "" };
    format!(
        "
function u0:0(i64) -> i64 tail {{
    sig0 = (i64, i64) -> i64 tail
    fn0 = {how}u0:1 sig0
block0(v0: i64):
    v1 = iconst.i64 0
    jump block1(v0, v1)
block1(v2: i64, v3: i64):
    v4 = call fn0(v3, v2)
    v5 = iconst.i64 -1
    v6 = iadd v2, v5
    brif v6, block1(v6, v4), block2
block2:
    return v4
}}
{STEP}"
    )
}

/// Cranelift, but a call that would go to another function's jump stub goes to a copy of the callee behind the code.
#[derive(Debug)]
struct Adjoining(CraneliftCompiler);

impl Compiler for Adjoining {
    fn name(&self) -> &str {
        "adjoining"
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        let mut code = self.0.compile(request)?;
        if code.relocations.is_empty() {
            return Ok(code);
        }
        let callee = CompileRequest {
            body: support::parse(STEP).remove(0),
            ..request.clone()
        };
        let callee = self.0.compile(&callee)?;
        code.bytes.resize(code.bytes.len().next_multiple_of(64), 0);
        let place = Target::Local(code.bytes.len() as u32);
        for relocation in &mut code.relocations {
            relocation.target = place;
        }
        code.bytes.extend(callee.bytes);
        Ok(code)
    }
}

/// An engine with the loop in it, ready to run.
struct Site {
    engine: Engine,
    module: Module,
    run: TypedFunc<i64, i64>,
}

impl Site {
    fn new(config: Config, colocated: bool) -> Site {
        let engine = Engine::new(config).expect("an engine");
        let module = support::module(&engine, &["loop", "step"], &program(colocated));
        // SAFETY: the functions touch no memory.
        let run = unsafe { module.typed::<i64, i64>("loop") }.expect("the loop");
        let site = Site {
            engine,
            module,
            run,
        };
        site.call();
        site
    }

    /// With the optimizing tier alone.
    fn optimized(colocated: bool) -> Site {
        Site::new(Config::default().only_tier(Tier::Optimizing), colocated)
    }

    /// With the callee behind the loop, in the same block of code.
    fn direct() -> Site {
        let options = Options {
            effort: Effort::Speed,
            canonical_nans: false,
            verify: true,
        };
        let cranelift = CraneliftCompiler::new(options).expect("Cranelift");
        let backend = Backend::Custom(Arc::new(Adjoining(cranelift)));
        let config = Config::default().only_tier(Tier::Optimizing);
        Site::new(config.backend(Tier::Optimizing, backend), true)
    }

    /// With the loop in the optimizing tier, and the callee in the baseline tier.
    fn to_be_swapped() -> Site {
        let site = Site::new(Config::default().thresholds(NEVER, NEVER), false);
        site.promote("loop");
        site
    }

    fn promote(&self, name: &str) {
        let function = self.module.function(name).expect("a function");
        self.engine
            .optimize(&function, Tier::Optimizing)
            .expect("it compiles");
    }

    fn tier(&self, name: &str) -> Option<Tier> {
        self.engine.tier_of(&self.module.function(name)?)
    }

    fn call(&self) -> i64 {
        self.run.call(black_box(CALLS)).expect("it does not trap")
    }
}

#[inline(never)]
fn step(sum: i64, number: i64) -> i64 {
    sum ^ number
}

fn in_rust() -> i64 {
    let mut sum = 0;
    for number in (1..=black_box(CALLS)).rev() {
        sum = step(sum, number);
    }
    sum
}

/// Nanoseconds a call.
fn time(call: impl Fn() -> i64, expected: i64) -> f64 {
    let start = Instant::now();
    let sum = call();
    let elapsed = start.elapsed();
    assert_eq!(sum, expected, "every variant computes the same");
    elapsed.as_nanos() as f64 / CALLS as f64
}

type Samples = [Vec<f64>; VARIANTS.len()];

/// One engine for each variant; `rounds` turns.
fn measure(rounds: usize, samples: &mut Samples) {
    let expected = in_rust();
    let (direct, once, stub) = (
        Site::direct(),
        Site::optimized(false),
        Site::optimized(true),
    );
    let swapped = Site::to_be_swapped();
    let mut take = |variant: usize| {
        let call = || match variant {
            DIRECT => direct.call(),
            NEVER_SWAPPED => once.call(),
            BEFORE | AFTER => swapped.call(),
            STUB => stub.call(),
            _ => in_rust(),
        };
        samples[variant].push(time(call, expected));
    };
    assert_eq!(swapped.tier("step"), Some(Tier::Baseline));
    for _ in 0..rounds {
        take(BEFORE);
    }
    swapped.promote("step");
    assert_eq!(
        (swapped.tier("loop"), swapped.tier("step")),
        (Some(Tier::Optimizing), Some(Tier::Optimizing))
    );
    for round in 0..rounds {
        let mut turns = [DIRECT, NEVER_SWAPPED, AFTER, STUB, RUST];
        let first = round % turns.len();
        turns.rotate_left(first);
        turns.into_iter().for_each(&mut take);
    }
}

/// The value below which `share` of the values are.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// The median of what `of` took more than `than` in the same round.
fn difference(samples: &Samples, of: usize, than: usize) -> f64 {
    let pairs = samples[of].iter().zip(&samples[than]);
    quantile(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>(), 0.5)
}

fn print(samples: &Samples) {
    println!("nanoseconds a call: median (5 % to 95 % of the samples)");
    for (name, values) in VARIANTS.iter().zip(samples) {
        let [low, median, high] = [0.05, 0.5, 0.95].map(|share| quantile(values, share));
        println!("{name:<16} {median:>6.2}  ({low:.2} to {high:.2})");
    }
    let swap = difference(samples, AFTER, NEVER_SWAPPED);
    let slot = difference(samples, NEVER_SWAPPED, DIRECT);
    println!("a swap costs a later call {swap:+.3} ns; the entry slot costs a call {slot:+.3} ns");
}

fn print_json(samples: &Samples) {
    let line = |(name, values): (&&str, &Vec<f64>)| {
        let [low, median, high] = [0.05, 0.5, 0.95].map(|share| quantile(values, share));
        format!(
            r#"{{"name":"{name}","median_ns":{median:.4},"p5_ns":{low:.4},"p95_ns":{high:.4}}}"#
        )
    };
    let variants: Vec<_> = VARIANTS.iter().zip(samples).map(line).collect();
    println!(
        r#"{{"calls":{CALLS},"engines":{ENGINES},"rounds":{ROUNDS},"swap_ns":{:.4},"slot_ns":{:.4},"variants":[{}]}}"#,
        difference(samples, AFTER, NEVER_SWAPPED),
        difference(samples, NEVER_SWAPPED, DIRECT),
        variants.join(",")
    );
}

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let (engines, rounds) = match has("--bench") {
        true => (ENGINES, ROUNDS),
        false => (1, 1),
    };
    let mut samples = Samples::default();
    for _ in 0..engines {
        measure(rounds, &mut samples);
    }
    match has("--json") {
        true => print_json(&samples),
        false => print(&samples),
    }
}
