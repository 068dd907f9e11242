//! Every operation on vectors, in many places, as those on scalars are tried.

use crate::{Pair, Subject, patterns};
use std::fmt::Write;
use upshift_wasm::{V128, Val};

/// Operations of two vectors that make a vector.
const BINARY: &str = "v128.and v128.andnot v128.or v128.xor \
    i8x16.add i8x16.sub i8x16.add_sat_s i8x16.add_sat_u i8x16.sub_sat_s i8x16.sub_sat_u \
    i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u i8x16.avgr_u i8x16.swizzle \
    i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u \
    i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u \
    i16x8.add i16x8.sub i16x8.mul i16x8.add_sat_s i16x8.add_sat_u i16x8.sub_sat_s i16x8.sub_sat_u \
    i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u i16x8.avgr_u i16x8.q15mulr_sat_s \
    i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u \
    i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u \
    i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u \
    i32x4.add i32x4.sub i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s \
    i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u \
    i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u \
    i64x2.add i64x2.sub i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s \
    i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u \
    f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f32x4.pmin f32x4.pmax \
    f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge f64x2.pmin f64x2.pmax";

/// Operations of one vector that make a vector.
const UNARY: &str = "v128.not i8x16.abs i8x16.neg i8x16.popcnt i16x8.abs i16x8.neg i32x4.abs i32x4.neg i64x2.abs i64x2.neg \
    i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u \
    i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u \
    i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u \
    i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u \
    f32x4.abs f32x4.neg f64x2.abs f64x2.neg f32x4.convert_i32x4_s f32x4.convert_i32x4_u \
    f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u \
    i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero";

/// The same, of floats: which NaN comes out is of no interest unless it must be canonical.
const FLOATS: &str = "f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max \
    f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max";
const FLOATS_UNARY: &str = "f32x4.sqrt f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest f64x2.promote_low_f32x4 \
    f64x2.sqrt f64x2.ceil f64x2.floor f64x2.trunc f64x2.nearest f32x4.demote_f64x2_zero";

/// Operations of one vector that make an `i32`.
const TESTS: &str = "v128.any_true i8x16.all_true i16x8.all_true i32x4.all_true i64x2.all_true \
    i8x16.bitmask i16x8.bitmask i32x4.bitmask i64x2.bitmask";

const SHIFTS: &str = "i8x16.shl i8x16.shr_s i8x16.shr_u i16x8.shl i16x8.shr_s i16x8.shr_u \
    i32x4.shl i32x4.shr_s i32x4.shr_u i64x2.shl i64x2.shr_s i64x2.shr_u";

/// Types of lanes, the type of one as a value, and how many there are.
const LANES: [(&str, &str, usize); 6] = [
    ("i8x16", "i32", 16),
    ("i16x8", "i32", 8),
    ("i32x4", "i32", 4),
    ("i64x2", "i64", 2),
    ("f32x4", "f32", 4),
    ("f64x2", "f64", 2),
];

/// What every function takes, the number of vectors first.
const PARAMS: &str = "(param v128 v128 v128 i32 i64 f32 f64)";

/// The operand that the `number`-th vector or a scalar is.
fn operand(ty: &str, number: usize) -> String {
    let local = match ty {
        "v128" => number,
        "i32" => 3,
        "i64" => 4,
        "f32" => 5,
        _ => 6,
    };
    format!("(local.get {local})")
}

/// The code of a function for each place that an operation is tried in.
fn shapes(op: &str, types: &[&str], result: &str, exact: bool) -> Vec<String> {
    let operands: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(number, ty)| operand(ty, number))
        .collect();
    let with = |change: &dyn Fn(usize, &str) -> String| {
        let changed = operands.iter().enumerate();
        let changed: Vec<String> = changed.map(|(number, text)| change(number, text)).collect();
        format!("({op} {})", changed.join(" "))
    };
    let plain = with(&|_, text| text.to_owned());
    let called = |number: usize, text: &str| {
        format!("(block (result {}) (call $nothing) {text})", types[number])
    };
    let own = |number: usize, text: &str| match types[number] {
        "v128" => format!("(v128.not (v128.not {text}))"),
        ty => format!("(select {text} ({ty}.const 0) (i32.const 1))"),
    };
    let mut all = vec![
        plain.clone(),
        // One register for all vectors, held by a local or by nobody.
        with(&|number, text| match types[number] {
            "v128" => "(local.get 0)".to_owned(),
            _ => text.to_owned(),
        }),
        with(&called),
        with(&own),
        with(&|number, text| {
            if number == 0 {
                called(0, text)
            } else {
                text.to_owned()
            }
        }),
        with(&|number, text| {
            if number == 0 {
                text.to_owned()
            } else {
                called(number, text)
            }
        }),
        with(&|number, text| {
            if number == 0 {
                own(0, text)
            } else {
                text.to_owned()
            }
        }),
        with(&|number, text| {
            if number == 0 {
                text.to_owned()
            } else {
                own(number, text)
            }
        }),
        with(&|number, text| match types[number] {
            "v128" => "(v128.const i32x4 0x80000000 1 0xffff 0x7f800000)".to_owned(),
            "f32" | "f64" => text.to_owned(),
            ty => format!("({ty}.const 37)"),
        }),
        with(&|number, text| match types[number] {
            "v128" => "(local.get $zero)".to_owned(),
            _ => text.to_owned(),
        }),
    ];
    if types == ["v128", "v128"] {
        all.push(format!("({op} (local.tee 1 (local.get 0)) (local.get 1))"));
        all.push(format!("({op} (local.get 0) (local.tee 0 (local.get 1)))"));
        all.push(format!("({op} (local.get 1) (local.get 0))"));
    }
    if result == "v128" && exact {
        all.push(format!(
            "(local.set 0 {plain}) (v128.xor (local.get 1) (local.get 0))"
        ));
    }
    if result == "i32" {
        all.push(format!(
            "(if (result i32) {plain} (then (i32.const 7)) (else (i32.const 9)))"
        ));
        all.push(format!("(i32.eqz {plain})"));
        all.push(format!(
            "(block $out (br_if $out (i32.eqz {plain})) (return (i32.const 3))) (i32.const 4)"
        ));
        all.push(format!("(select (i32.const 5) (i32.const 6) {plain})"));
    }
    all
}

/// The same operation while every vector register is taken; what is in them is looked at afterwards.
fn crowded(op: &str, types: &[&str]) -> String {
    let mut text = String::new();
    for local in 0..16 {
        let _ = write!(
            text,
            "(local.set $v{local} (i32x4.add (local.get 0) (i32x4.splat (i32.const {local}))))"
        );
    }
    let operands = types.iter().enumerate();
    let operands: Vec<String> = operands.map(|(number, ty)| operand(ty, number)).collect();
    let _ = write!(text, "({op} {})", operands.join(" "));
    for local in 0..16 {
        let _ = write!(text, "(local.get $v{local})");
    }
    text.push_str(&"(i32x4.add)".repeat(15));
    text
}

fn module(op: &str, types: &[&str], result: &str, exact: bool) -> (String, usize) {
    let mut text = String::from("(module (memory 1) (func $nothing)\n");
    let mut locals = String::from("(local $zero v128)");
    let shapes = shapes(op, types, result, exact);
    for (index, shape) in shapes.iter().enumerate() {
        let _ = writeln!(
            text,
            "(func (export \"{index}\") {PARAMS} (result {result}) {locals} {shape})"
        );
    }
    for local in 0..16 {
        let _ = write!(locals, "(local $v{local} v128)");
    }
    let _ = writeln!(
        text,
        "(func (export \"crowded\") {PARAMS} (result {result} v128) {locals} {}))",
        crowded(op, types)
    );
    (text, shapes.len())
}

/// The arguments of the calls: vectors of 64-bit patterns, of 32-bit ones, and of bytes that differ.
fn arguments() -> Vec<Vec<Val>> {
    let patterns = patterns();
    let at = |index: usize| patterns[index % patterns.len()];
    let mut vectors: Vec<u128> = (0..patterns.len())
        .map(|index| u128::from(at(index)) | u128::from(at(index + 11)) << 64)
        .collect();
    for index in 0..patterns.len() {
        let words = (0..4).map(|word| u128::from(at(index + 7 * word) as u32) << (32 * word));
        vectors.push(words.sum());
    }
    for seed in [0x10u8, 0x7c, 0xf0] {
        vectors.push(u128::from_le_bytes(std::array::from_fn(|at| {
            seed.wrapping_add(at as u8).wrapping_mul(seed | 1)
        })));
    }
    let vector = |index: usize| Val::V128(V128::from(vectors[index % vectors.len()]));
    let mut all = Vec::new();
    for index in 0..vectors.len() {
        for other in [0, 1, 5, 17, 40] {
            let scalar = at(index + other);
            all.push(vec![
                vector(index),
                vector(index + other),
                vector(index + 2 * other + 3),
                Val::I32(scalar as i32),
                Val::I64(scalar.cast_signed()),
                Val::F32(scalar as u32),
                Val::F64(scalar),
            ]);
        }
    }
    all
}

/// Whether two results are the same, whichever NaN an operation on such floats makes.
fn same(ours: &[u128], theirs: &[u128], floats: &str) -> bool {
    let float = |ours: u128, theirs: u128| match floats {
        "f32x4" => (0..4).all(|lane| {
            let [x, y] = [ours, theirs].map(|bits| f32::from_bits((bits >> (32 * lane)) as u32));
            x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan()
        }),
        _ => (0..2).all(|lane| {
            let [x, y] = [ours, theirs].map(|bits| f64::from_bits((bits >> (64 * lane)) as u64));
            x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan()
        }),
    };
    ours == theirs || !floats.is_empty() && float(ours[0], theirs[0]) && ours[1..] == theirs[1..]
}

/// Checks an operation. If its lanes are floats and any NaN will do, `floats` is their type.
fn check(pair: &Pair, op: &str, types: &[&str], result: &str, floats: &str) {
    let (text, shapes) = module(op, types, result, floats.is_empty());
    let mut subject = Subject::new(&pair.baseline, &text);
    let mut oracle = Subject::new(&pair.optimizing, &text);
    for args in arguments() {
        for shape in 0..=shapes {
            let (name, results) = match shape < shapes {
                true => (shape.to_string(), 1),
                false => ("crowded".to_owned(), 2),
            };
            let ours = subject.call(&name, &args, results).unwrap();
            let theirs = oracle.call(&name, &args, results).unwrap();
            let report = || format!("{ours:x?} and {theirs:x?}, {op} in shape {name} of {args:?}");
            assert!(same(&ours, &theirs, floats), "{}\n{text}", report());
        }
    }
}

fn check_all(pair: &Pair, ops: &str, types: &[&str], result: &str) {
    for op in ops.split_whitespace() {
        check(pair, op, types, result, "");
    }
}

#[test]
fn operations_of_two_vectors() {
    let pair = Pair::new();
    check_all(&pair, BINARY, &["v128", "v128"], "v128");
    check_all(&pair, "v128.bitselect", &["v128"; 3], "v128");
    pair.finish();
}

#[test]
fn operations_of_one_vector_and_shifts() {
    let pair = Pair::new();
    check_all(&pair, UNARY, &["v128"], "v128");
    check_all(&pair, TESTS, &["v128"], "i32");
    check_all(&pair, SHIFTS, &["v128", "i32"], "v128");
    pair.finish();
}

#[test]
fn operations_on_floats_with_any_and_with_canonical_nans() {
    for canonical_nans in [false, true] {
        let pair = Pair::with(canonical_nans);
        for (ops, types) in [(FLOATS, &["v128"; 2][..]), (FLOATS_UNARY, &["v128"][..])] {
            for op in ops.split_whitespace() {
                check(
                    &pair,
                    op,
                    types,
                    "v128",
                    if canonical_nans { "" } else { &op[..5] },
                );
            }
        }
        pair.finish();
    }
}

#[test]
fn lanes() {
    let pair = Pair::new();
    for (lanes, ty, count) in LANES {
        check(&pair, &format!("{lanes}.splat"), &[ty], "v128", "");
        for lane in 0..count {
            let narrow = matches!(lanes, "i8x16" | "i16x8");
            for sign in if narrow { &["_s", "_u"][..] } else { &[""] } {
                let extract = format!("{lanes}.extract_lane{sign} {lane}");
                check(&pair, &extract, &["v128"], ty, "");
            }
            let replace = format!("{lanes}.replace_lane {lane}");
            check(&pair, &replace, &["v128", ty], "v128", "");
        }
    }
    pair.finish();
}

/// Masks of every kind that there is an instruction for, and some of no kind.
fn masks() -> Vec<[u8; 16]> {
    let mut masks = Vec::new();
    let mut of =
        |byte: &dyn Fn(u8) -> u8| masks.push(std::array::from_fn(|at| byte(at as u8) % 32));
    for bytes in [1, 2, 4, 8] {
        for (first, second) in [(0, 16), (16, 0), (0, 0), (16, 16)] {
            for start in [0, 8] {
                of(&|at| {
                    let (lane, byte) = (at / bytes, at % bytes);
                    let vector = if lane.is_multiple_of(2) {
                        first
                    } else {
                        second
                    };
                    vector + start + lane / 2 * bytes + byte
                });
            }
        }
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    for _ in 0..40 {
        // Lanes of 32 bits, from one vector, from each two, and as they come.
        let words: [u8; 4] = std::array::from_fn(|_| random() % 4);
        let any: [u8; 4] = std::array::from_fn(|_| random() % 8);
        for vectors in [[0; 4], [1; 4], [0, 0, 1, 1], [1, 1, 0, 0]] {
            of(&|at| {
                let lane = usize::from(at / 4);
                16 * vectors[lane] + 4 * words[lane] + at % 4
            });
        }
        of(&|at| 4 * any[usize::from(at / 4)] + at % 4);
        let bytes: [u8; 16] = std::array::from_fn(|_| random());
        of(&|at| bytes[usize::from(at)]);
        of(&|at| bytes[usize::from(at)] % 16);
        of(&|at| bytes[usize::from(at)] % 16 + 16);
    }
    for start in 0..32 {
        of(&|at| start + at);
        of(&|at| start / 16 * 16 + (start + at) % 16);
        of(&|_| start);
    }
    masks
}

#[test]
fn shuffles() {
    let pair = Pair::new();
    for mask in masks() {
        let mask = mask.map(|byte| byte.to_string()).join(" ");
        let op = format!("i8x16.shuffle {mask}");
        check(&pair, &op, &["v128", "v128"], "v128", "");
    }
    pair.finish();
}

/// A module with an access of vectors: what it leaves is in two vectors of memory.
fn access(op: &str, offset: u32, operands: &str, is_load: bool) -> String {
    let access = format!("({op} (local.get 0) {operands})");
    let access = access.replace("OFFSET", &format!("offset={offset}"));
    let result = if is_load {
        access
    } else {
        format!("{access} (v128.const i64x2 0 0)")
    };
    let data: String = (0..=255)
        .map(|byte| format!("\\{:02x}", byte ^ 0x5a))
        .collect();
    format!(
        "(module (memory 1) (data (i32.const 0) \"{data}\") (data (i32.const 65280) \"{data}\")
         (func (export \"f\") (param i32 v128) (result v128 v128 v128)
           {result}
           (v128.load (i32.const 16)) (v128.load (i32.const 65520))))"
    )
}

#[test]
fn accesses_and_their_traps() {
    let pair = Pair::new();
    let mut cases: Vec<(String, String, bool)> = Vec::new();
    let loads = "load load8x8_s load8x8_u load16x4_s load16x4_u load32x2_s load32x2_u \
        load8_splat load16_splat load32_splat load64_splat load32_zero load64_zero";
    for load in loads.split_whitespace() {
        cases.push((format!("v128.{load} OFFSET"), String::new(), true));
    }
    for (bits, count) in [(8, 16), (16, 8), (32, 4), (64, 2)] {
        for lane in 0..count {
            for (name, is_load) in [("load", true), ("store", false)] {
                let op = format!("v128.{name}{bits}_lane OFFSET {lane}");
                cases.push((op, "(local.get 1)".to_owned(), is_load));
            }
        }
    }
    cases.push((
        "v128.store OFFSET".to_owned(),
        "(local.get 1)".to_owned(),
        false,
    ));
    let vector = Val::V128(V128::from(0xf123_4567_89ab_cdef_0112_2334_4556_6778));
    for (op, operands, is_load) in cases {
        for offset in [0, 3, 65520, 0x7fff_fff0, 0xffff_ffff] {
            let text = access(&op, offset, &operands, is_load);
            for index in [0, 1, 13, 16, 65518, 65519, 65520, 65521, 65528, 65535, -1] {
                let args = [Val::I32(index), vector];
                let mut subject = Subject::new(&pair.baseline, &text);
                let mut oracle = Subject::new(&pair.optimizing, &text);
                let (ours, theirs) = (subject.call("f", &args, 3), oracle.call("f", &args, 3));
                assert_eq!(ours, theirs, "{op} with offset {offset} at {index}");
            }
        }
    }
    pair.finish();
}
