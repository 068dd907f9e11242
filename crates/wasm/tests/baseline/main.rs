//! Every scalar operation, in many places, in tier 0 by copy-and-patch and in tier 1: the results must be the same bit for
//! bit, and so must the traps. `vectors` has those on vectors.

mod vectors;

use std::fmt::Write;
use std::sync::Arc;
use upshift::{Backend, EventKind, Recorder};
use upshift_wasm::{Config, Engine, Instance, Module, Store, Tier, Val};

const ARITHMETIC: &str = "add sub mul and or xor shl shr_s shr_u rotl rotr div_s div_u rem_s rem_u";
const COMPARISONS: &str = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_ARITHMETIC: &str = "add sub mul div min max copysign";
const FLOAT_COMPARISONS: &str = "eq ne lt gt le ge";
const INTEGER_UNARY: &str = "clz ctz popcnt extend8_s extend16_s";
const FLOAT_UNARY: &str = "abs neg ceil floor trunc nearest sqrt";
const CONVERSIONS: &str = "i32.wrap_i64 i64.extend_i32_s i64.extend_i32_u i64.extend32_s \
    i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u \
    i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u \
    i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u \
    i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u \
    f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u \
    f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u \
    f32.demote_f64 f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 \
    f32.reinterpret_i32 f64.reinterpret_i64";

/// Bit patterns of interest, whatever the type, and some without.
fn patterns() -> Vec<u64> {
    let mut patterns = vec![
        0,
        1,
        2,
        31,
        33,
        63,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        0x7fff_ffff_ffff_ffff,
        0x8000_0000_0000_0000,
        u64::MAX,
        // Floats: 1, -0.5, 2^31, infinity, NaNs, the least number that is not zero.
        0x3f80_0000,
        0xbf00_0000,
        0x4f00_0000,
        0x7f80_0000,
        0x7fc0_0001,
        0xff80_0001,
        0x3ff0_0000_0000_0000,
        0xbfe0_0000_0000_0000,
        0x41e0_0000_0000_0000,
        0x43e0_0000_0000_0000,
        0x7ff0_0000_0000_0000,
        0x7ff8_0000_0000_0001,
        0xfff0_0000_0000_0001,
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..6 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        patterns.push(state);
    }
    patterns
}

fn value(ty: &str, bits: u64) -> Val {
    match ty {
        "i32" => Val::I32(bits as i32),
        "i64" => Val::I64(bits.cast_signed()),
        "f32" => Val::F32(bits as u32),
        _ => Val::F64(bits),
    }
}

fn bits(val: &Val) -> u128 {
    match *val {
        Val::I32(x) => x.cast_unsigned().into(),
        Val::I64(x) => x.cast_unsigned().into(),
        Val::F32(x) => x.into(),
        Val::F64(x) => x.into(),
        Val::V128(x) => x.into(),
        _ => panic!("no reference"),
    }
}

fn constant(ty: &str, bits: u64) -> String {
    match ty {
        "i32" => format!("(i32.const {})", bits as i32),
        "i64" => format!("(i64.const {})", bits.cast_signed()),
        "f32" => format!("(f32.reinterpret_i32 (i32.const {}))", bits as i32),
        _ => format!("(f64.reinterpret_i64 (i64.const {}))", bits.cast_signed()),
    }
}

/// The code of a function for each place that an operation of `arity` operands is tried in.
fn shapes(op: &str, ty: &str, arity: usize, result: &str) -> Vec<String> {
    let operands = |x: &str, y: &str| match arity {
        1 => format!("({op} {x})"),
        _ => format!("({op} {x} {y})"),
    };
    let (x, y) = ("(local.get 0)", "(local.get 1)");
    let mut all = vec![operands(x, y), operands(y, x), operands(x, x)];
    for bits in [0, 1, 7, 33, 0x7fff_ffff, u64::MAX, 0x1234_5678_9abc_def0] {
        all.push(operands(x, &constant(ty, bits)));
        all.push(operands(&constant(ty, bits), y));
    }
    // Operands in their homes, behind a call.
    let called = |val: &str| format!("(block (result {ty}) (call $nothing) {val})");
    all.push(operands(x, &called(y)));
    all.push(operands(&called(x), y));
    all.push(operands(&called(x), &called(y)));
    // Operands that nobody else holds, and those that were written to locals.
    let own = |val: &str| format!("(select {val} (local.get 0) (i32.const 1))");
    all.push(operands(&own(x), y));
    all.push(operands(x, &own(y)));
    all.push(operands(&own(x), &own(y)));
    all.push(operands("(local.tee 1 (local.get 0))", "(local.get 1)"));
    all.push(operands("(local.get 0)", "(local.tee 0 (local.get 1))"));
    if result == ty {
        all.push(format!("(local.set 0 {}) (local.get 0)", operands(x, y)));
    }
    if result == "i32" {
        let test = operands(x, y);
        all.push(format!(
            "(if (result i32) {test} (then (i32.const 7)) (else (i32.const 9)))"
        ));
        all.push(format!("(i32.eqz {test})"));
        all.push(format!(
            "(block $out (br_if $out {test}) (return (i32.const 3))) (i32.const 4)"
        ));
        all.push(format!(
            "(block $out (br_if $out (i32.eqz {test})) (return (i32.const 3))) (i32.const 4)"
        ));
        all.push(format!(
            "(block $out (result i32) (i32.const 11) (br_if $out {test}) (drop) (i32.const 12))"
        ));
        all.push(format!("(select (i32.const 5) (i32.const 6) {test})"));
        all.push(format!(
            "(i32.wrap_i64 (i64.trunc_sat_f64_s (select (f64.const 5) (f64.const 6) {test})))"
        ));
        all.push(format!("(return {test})"));
    }
    all
}

/// The same operation while every register is taken; what is in them is looked at afterwards.
fn crowded(op: &str, ty: &str, arity: usize) -> String {
    let x = "(local.get 0)";
    let operation = match arity {
        1 => format!("({op} {x})"),
        _ => format!("({op} {x} (local.get 1))"),
    };
    let mut text = String::new();
    for local in 0..16 {
        let _ = write!(text, "(local.set $i{local} (i64.const {}))", 1 << local);
        let _ = write!(
            text,
            "(local.set $i{local} (i64.mul (local.get $i{local}) (local.get $i0)))"
        );
        let _ = write!(
            text,
            "(local.set $f{local} (f64.convert_i64_s (local.get $i{local})))"
        );
    }
    text.push_str(&operation);
    for local in 0..16 {
        let _ = write!(text, "(local.get $i{local})");
    }
    text.push_str(&"(i64.add)".repeat(15));
    for local in 0..16 {
        let _ = write!(text, "(local.get $f{local})");
    }
    text.push_str(&"(f64.add)".repeat(15));
    text.push_str("(i64.add (i64.trunc_sat_f64_s))");
    let _ = ty;
    text
}

fn module(op: &str, ty: &str, arity: usize, result: &str) -> (String, usize) {
    let mut text = String::from("(module (func $nothing)\n");
    let shapes = shapes(op, ty, arity, result);
    for (index, shape) in shapes.iter().enumerate() {
        let _ = writeln!(
            text,
            "(func (export \"{index}\") (param {ty} {ty}) (result {result}) {shape})"
        );
    }
    let mut locals = String::new();
    for local in 0..16 {
        let _ = write!(locals, "(local $i{local} i64) (local $f{local} f64)");
    }
    let _ = writeln!(
        text,
        "(func (export \"crowded\") (param {ty} {ty}) (result {result} i64) {locals} {})",
        crowded(op, ty, arity)
    );
    text.push(')');
    (text, shapes.len())
}

struct Subject {
    store: Store<()>,
    instance: Instance,
}

impl Subject {
    fn new(engine: &Engine, text: &str) -> Subject {
        let module = Module::new(engine, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        Subject { store, instance }
    }

    /// The results' bits, or the trap.
    fn call(&mut self, name: &str, args: &[Val], results: usize) -> Result<Vec<u128>, String> {
        let func = self.instance.get_func(&self.store, name).unwrap();
        let mut values = vec![Val::I32(0); results];
        func.call(&mut self.store, args, &mut values)
            .map_err(|error| {
                error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })?;
        Ok(values.iter().map(bits).collect())
    }
}

struct Pair {
    baseline: Engine,
    optimizing: Engine,
    recorder: Arc<Recorder>,
}

impl Pair {
    fn new() -> Pair {
        Pair::with(true)
    }

    fn with(canonical_nans: bool) -> Pair {
        let recorder = Arc::new(Recorder::default());
        let config = || {
            Config::default()
                .canonical_nans(canonical_nans)
                .verify(true)
        };
        let baseline = config()
            .backend(Tier::Baseline, Backend::CopyAndPatch)
            .only_tier(Tier::Baseline)
            .subscriber(recorder.clone());
        Pair {
            baseline: Engine::new(baseline).unwrap(),
            optimizing: Engine::new(config().only_tier(Tier::Optimizing)).unwrap(),
            recorder,
        }
    }

    fn check(&self, op: &str, ty: &str, arity: usize, result: &str) {
        let (text, shapes) = module(op, ty, arity, result);
        let mut subject = Subject::new(&self.baseline, &text);
        let mut oracle = Subject::new(&self.optimizing, &text);
        let patterns = patterns();
        for (index, &first) in patterns.iter().enumerate() {
            for (other, &second) in patterns.iter().enumerate() {
                if arity == 1 && other != (index + 1) % patterns.len() {
                    continue;
                }
                let args = [value(ty, first), value(ty, second)];
                for shape in 0..shapes {
                    let name = shape.to_string();
                    let (ours, theirs) =
                        (subject.call(&name, &args, 1), oracle.call(&name, &args, 1));
                    assert_eq!(ours, theirs, "{op} in shape {shape} of {args:?}\n{text}");
                }
                let (ours, theirs) = (
                    subject.call("crowded", &args, 2),
                    oracle.call("crowded", &args, 2),
                );
                assert_eq!(ours, theirs, "{op}, crowded, of {args:?}\n{text}");
            }
        }
    }

    fn check_all(&self, ops: &str, types: &[&str], arity: usize, result: Option<&str>) {
        for ty in types {
            for op in ops.split_whitespace() {
                self.check(&format!("{ty}.{op}"), ty, arity, result.unwrap_or(ty));
            }
        }
    }

    /// Checks that tier 0 left nothing to another compiler.
    fn finish(self) {
        for event in self.recorder.events() {
            if let EventKind::Compiled(compilation) = event.kind {
                assert_eq!(compilation.compiler, "copy-and-patch", "{}", event.name);
            }
        }
    }
}

#[test]
fn integer_arithmetic() {
    let pair = Pair::new();
    pair.check_all(ARITHMETIC, &["i32", "i64"], 2, None);
    pair.check_all(INTEGER_UNARY, &["i32", "i64"], 1, None);
    pair.finish();
}

#[test]
fn comparisons() {
    let pair = Pair::new();
    pair.check_all(COMPARISONS, &["i32", "i64"], 2, Some("i32"));
    pair.check_all("eqz", &["i32", "i64"], 1, Some("i32"));
    pair.check_all(FLOAT_COMPARISONS, &["f32", "f64"], 2, Some("i32"));
    pair.finish();
}

#[test]
fn float_arithmetic() {
    let pair = Pair::new();
    pair.check_all(FLOAT_ARITHMETIC, &["f32", "f64"], 2, None);
    pair.check_all(FLOAT_UNARY, &["f32", "f64"], 1, None);
    pair.finish();
}

#[test]
fn conversions() {
    let pair = Pair::new();
    for op in CONVERSIONS.split_whitespace() {
        let result = &op[..3];
        let named = ["i32", "i64", "f32", "f64"]
            .into_iter()
            .find(|ty| op[4..].contains(*ty));
        let operand = named.unwrap_or(result);
        pair.check(op, operand, 1, result);
    }
    pair.finish();
}
