//! CLIF functions give the same answers in every tier and in Cranelift's interpreter, and copy-and-patch compiles them.
//!
//! Each file in `clif` is a program: its first function takes two integers and returns one, and is called with all
//! pairs of some edge cases. Each operation has a program of its own too, made here.

use cranelift_codegen::data_value::DataValue;
use cranelift_codegen::ir::{Function, TrapCode};
use cranelift_interpreter::environment::FunctionStore;
use cranelift_interpreter::interpreter::{Interpreter, InterpreterState};
use cranelift_interpreter::step::{ControlFlow, CraneliftTrap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use upshift::embed::stencil::{ClifCompiler, IS_SUPPORTED};
use upshift::embed::{CompileKind, CompileRequest, Compiler as _, FuncId, Owner, World};
use upshift::{Backend, Config, Engine, EventKind, ModuleBuilder, Recorder, Tier, TrapKind};

/// Operands that operations are tried on, in all pairs.
const EDGES: [u64; 24] = [
    0,
    1,
    2,
    3,
    5,
    7,
    8,
    31,
    32,
    63,
    64,
    0x7f,
    0x80,
    0xff80,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7ff8_0000_0000_0000,
    0xc010_0000_3f80_0000,
    i64::MAX as u64,
    i64::MIN as u64,
    0x0123_4567_89ab_cdef,
    u64::MAX - 6,
    u64::MAX,
];

type Answer = Result<u64, TrapKind>;

fn copy_and_patch() -> Config {
    Config::default().backend(Tier::Baseline, Backend::CopyAndPatch)
}

/// What the interpreter says; `None` if it does not know the program.
fn interpret(functions: &[Function], (a, b): (u64, u64)) -> Option<Answer> {
    let mut store = FunctionStore::default();
    for function in functions {
        store.add(function.name.to_string(), function);
    }
    let arguments = [DataValue::I64(a as i64), DataValue::I64(b as i64)];
    let run = || {
        let state = InterpreterState::default().with_function_store(store);
        let mut interpreter = Interpreter::new(state).with_fuel(Some(1_000_000));
        let outcome = interpreter.call_by_name(&functions[0].name.to_string(), &arguments);
        match outcome {
            Ok(ControlFlow::Return(values)) => match values.first() {
                Some(DataValue::I64(value)) => Some(Ok(*value as u64)),
                _ => None,
            },
            Ok(ControlFlow::Trap(CraneliftTrap::User(code))) => Some(Err(kind(code))),
            _ => None,
        }
    };
    catch_unwind(AssertUnwindSafe(run)).ok().flatten()
}

fn kind(code: TrapCode) -> TrapKind {
    TrapKind::from_code(code.as_raw().get())
}

/// The answers of a program in an engine of that configuration, and why copy-and-patch has declined functions of it.
fn run(functions: &[Function], config: Config) -> (Vec<Answer>, Vec<String>) {
    let recorder = Arc::new(Recorder::default());
    let config = config.subscriber(recorder.clone());
    let engine = Engine::new(config.verify(true).code_memory_bytes(16 << 20)).unwrap();
    let mut builder = ModuleBuilder::new(&engine);
    let declare = |f: &Function| builder.declare(&f.name.to_string(), f.signature.clone());
    let declared: Vec<_> = functions.iter().map(declare).collect();
    for (index, function) in declared.into_iter().zip(functions) {
        builder.define(index, function.clone()).unwrap();
    }
    let module = builder.finish().unwrap();
    let name = functions[0].name.to_string();
    // SAFETY: the programs touch no memory but their own stack slots, within bounds.
    let first = unsafe { module.typed::<(u64, u64), u64>(&name) }.unwrap();
    let call = |a, b| match first.call((a, b)) {
        Ok(value) => Ok(value),
        Err(error) => Err(error.trap().unwrap_or_else(|| panic!("{error}")).kind),
    };
    let pairs = EDGES.iter().flat_map(|&a| EDGES.map(|b| (a, b)));
    let answers = pairs.map(|(a, b)| call(a, b)).collect();
    let mut declined = Vec::new();
    for event in recorder.events() {
        if let EventKind::Compiled(compilation) = event.kind {
            declined.extend(compilation.declined.into_iter().map(|(_, reason)| reason));
        }
    }
    (answers, declined)
}

/// Whether both are NaNs, of which it is not said which one an operation gives.
fn are_nans(a: &Answer, b: &Answer) -> bool {
    let is_nan = |answer: &Answer| {
        answer.is_ok_and(|bits| match u32::try_from(bits) {
            Ok(bits) => f32::from_bits(bits).is_nan(),
            Err(_) => f64::from_bits(bits).is_nan(),
        })
    };
    is_nan(a) && is_nan(b)
}

/// Runs a program everywhere. Returns whether the interpreter knows it.
fn check(name: &str, text: &str) -> bool {
    let functions = cranelift_reader::parse_functions(text);
    let functions = functions.unwrap_or_else(|error| panic!("{name}: {error}"));
    let (expected, _) = run(&functions, Config::default().only_tier(Tier::Optimizing));
    let (answers, declined) = run(&functions, copy_and_patch().only_tier(Tier::Baseline));
    let no_reasons: &[String] = &[];
    assert_eq!(declined, no_reasons, "{name}");
    let none = Config::default().backend(Tier::Baseline, Backend::CraneliftNone);
    let (by_cranelift, _) = run(&functions, none.only_tier(Tier::Baseline));
    let mixed = copy_and_patch().thresholds(5, u32::MAX).synchronous(true);
    let (mixed, _) = run(&functions, mixed);
    // It says that the smallest number modulo -1 overflows.
    let mut known = !name.starts_with("srem");
    for (index, expected) in expected.iter().enumerate() {
        let pair = (EDGES[index / EDGES.len()], EDGES[index % EDGES.len()]);
        let place = format!("{name} of {pair:x?}");
        assert_eq!(
            &by_cranelift[index], expected,
            "{place}, Cranelift without optimization"
        );
        assert_eq!(&answers[index], expected, "{place}, copy-and-patch");
        assert_eq!(&mixed[index], expected, "{place}, mixed");
        if known {
            match interpret(&functions, pair) {
                Some(answer) if name.contains(".f") && are_nans(&answer, expected) => {}
                Some(answer) => assert_eq!(&answer, expected, "{place}, the interpreter"),
                None => known = false,
            }
        }
    }
    known
}

#[test]
fn programs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clif");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    let mut known = 0;
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy();
        known += usize::from(check(&name, &std::fs::read_to_string(file).unwrap()));
    }
    println!(
        "{} programs, of which the interpreter knows {known}",
        files.len()
    );
    assert!(known * 2 > files.len());
}

const INTEGERS: [&str; 4] = ["i8", "i16", "i32", "i64"];

/// `v2` and `v3` are the arguments as integers of a type.
fn as_integers(ty: &str) -> String {
    match ty {
        "i64" => "    v2 = iadd.i64 v0, v9\n    v3 = iadd.i64 v1, v9\n".to_owned(),
        _ => format!("    v2 = ireduce.{ty} v0\n    v3 = ireduce.{ty} v1\n"),
    }
}

/// `v5` is `v4` as an integer of 64 bits.
fn from(ty: &str) -> &'static str {
    match ty {
        "i64" => "    v5 = iadd v4, v9\n",
        "f64" => "    v5 = bitcast.i64 v4\n",
        "f32" => "    v8 = bitcast.i32 v4\n    v5 = uextend.i64 v8\n",
        _ => "    v5 = uextend.i64 v4\n",
    }
}

/// `v2` and `v3` are the arguments as floats.
fn as_floats(ty: &str) -> &'static str {
    match ty {
        "f64" => "    v2 = bitcast.f64 v0\n    v3 = bitcast.f64 v1\n",
        _ => {
            "    v6 = ireduce.i32 v0\n    v7 = ireduce.i32 v1\n    v2 = bitcast.f32 v6\n    v3 = bitcast.f32 v7\n"
        }
    }
}

/// A program that does one operation.
fn one(operands: &str, operation: &str, result: &str) -> String {
    format!(
        "function u0:0(i64, i64) -> i64 tail {{\nblock0(v0: i64, v1: i64):\n    v9 = iconst.i64 0\n{operands}    {operation}\n{result}    return v5\n}}\n"
    )
}

fn check_all(programs: Vec<(String, String)>) {
    let mut known = 0;
    for (name, text) in &programs {
        known += usize::from(check(name, text));
    }
    println!(
        "{} operations, of which the interpreter knows {known}",
        programs.len()
    );
    assert!(known * 2 > programs.len());
}

#[test]
fn integer_operations() {
    let binary = [
        "iadd", "isub", "imul", "band", "bor", "bxor", "ishl", "ushr", "sshr", "rotl", "rotr",
        "udiv", "sdiv", "urem", "srem", "smin", "umin", "smax", "umax", "umulhi", "smulhi",
    ];
    let unary = [
        "ineg", "bnot", "iabs", "clz", "cls", "ctz", "popcnt", "bitrev", "bswap",
    ];
    let conditions = [
        "eq", "ne", "slt", "sge", "sgt", "sle", "ult", "uge", "ugt", "ule",
    ];
    let mut programs = Vec::new();
    for ty in INTEGERS {
        for op in binary {
            let text = one(&as_integers(ty), &format!("v4 = {op} v2, v3"), from(ty));
            programs.push((format!("{op}.{ty}"), text));
        }
        for op in unary {
            if (op, ty) != ("bswap", "i8") {
                let text = one(&as_integers(ty), &format!("v4 = {op} v2"), from(ty));
                programs.push((format!("{op}.{ty}"), text));
            }
        }
        for cc in conditions {
            let text = one(
                &as_integers(ty),
                &format!("v4 = icmp {cc} v2, v3"),
                from("i8"),
            );
            programs.push((format!("icmp {cc} {ty}"), text));
        }
        for op in ["add", "sub", "mul"] {
            for op in [format!("u{op}_overflow"), format!("s{op}_overflow")] {
                let has = "    v12 = uextend.i64 v11\n    v14 = iconst.i32 40\n    v15 = rotl v12, v14\n    v16 = bxor v5, v15\n";
                let operation = format!("v4, v11 = {op} v2, v3");
                let text = one(&as_integers(ty), &operation, &(from(ty).to_owned() + has));
                let text = text.replace("return v5", "return v16");
                programs.push((format!("{op}.{ty}"), text));
            }
        }
        let text = one(&as_integers(ty), "v4 = bitselect v2, v3, v2", from(ty));
        programs.push((format!("bitselect.{ty}"), text));
    }
    for constant in ["0", "1", "-1", "5", "0x7fff_ffff", "0x1234_5678_9abc_def0"] {
        for op in &binary[..11] {
            let text = format!("v4 = {op} v2, v10");
            let operands = format!("    v10 = iconst.i64 {constant}\n{}", as_integers("i64"));
            programs.push((
                format!("{op} {constant}"),
                one(&operands, &text, from("i64")),
            ));
        }
    }
    check_all(programs);
}

#[test]
fn conversions_of_integers() {
    let mut programs = Vec::new();
    for (index, narrow) in INTEGERS.iter().enumerate() {
        for wide in &INTEGERS[index + 1..] {
            for op in ["uextend", "sextend"] {
                let text = one(
                    &as_integers(narrow),
                    &format!("v4 = {op}.{wide} v2"),
                    from(wide),
                );
                programs.push((format!("{op}.{wide} {narrow}"), text));
            }
            let text = one(
                &as_integers(wide),
                &format!("v4 = ireduce.{narrow} v2"),
                from(narrow),
            );
            programs.push((format!("ireduce.{narrow} {wide}"), text));
        }
        for to in INTEGERS {
            let text = one(
                &as_integers(narrow),
                &format!("v4 = bmask.{to} v2"),
                from(to),
            );
            programs.push((format!("bmask.{to} {narrow}"), text));
        }
    }
    check_all(programs);
}

#[test]
fn float_operations() {
    let binary = [
        "fadd",
        "fsub",
        "fmul",
        "fdiv",
        "fmin",
        "fmax",
        "fcopysign",
        "band",
        "bor",
        "bxor",
    ];
    let unary = [
        "sqrt", "fneg", "fabs", "ceil", "floor", "trunc", "nearest", "bnot",
    ];
    let mut programs = Vec::new();
    for ty in ["f32", "f64"] {
        for op in binary {
            let text = one(as_floats(ty), &format!("v4 = {op} v2, v3"), from(ty));
            programs.push((format!("{op}.{ty}"), text));
        }
        for op in unary {
            let text = one(as_floats(ty), &format!("v4 = {op} v2"), from(ty));
            programs.push((format!("{op}.{ty}"), text));
        }
        let text = one(as_floats(ty), "v4 = bitselect v2, v3, v2", from(ty));
        programs.push((format!("bitselect.{ty}"), text));
        for integer in INTEGERS {
            for op in ["fcvt_from_uint", "fcvt_from_sint"] {
                let text = one(
                    &as_integers(integer),
                    &format!("v4 = {op}.{ty} v2"),
                    from(ty),
                );
                programs.push((format!("{op}.{ty} {integer}"), text));
            }
        }
        for integer in ["i32", "i64"] {
            for op in [
                "fcvt_to_uint",
                "fcvt_to_sint",
                "fcvt_to_uint_sat",
                "fcvt_to_sint_sat",
            ] {
                let text = one(
                    as_floats(ty),
                    &format!("v4 = {op}.{integer} v2"),
                    from(integer),
                );
                programs.push((format!("{op}.{integer} {ty}"), text));
            }
        }
    }
    programs.push((
        "fpromote.f64".to_owned(),
        one(as_floats("f32"), "v4 = fpromote.f64 v2", from("f64")),
    ));
    programs.push((
        "fdemote.f32".to_owned(),
        one(as_floats("f64"), "v4 = fdemote.f32 v2", from("f32")),
    ));
    check_all(programs);
}

const INTEGER_VECTORS: [&str; 4] = ["i8x16", "i16x8", "i32x4", "i64x2"];
const FLOAT_VECTORS: [&str; 2] = ["f32x4", "f64x2"];

/// `v2` and `v3` are vectors of what the arguments are made of, `v6` and `v7` the arguments as integers of 32 bits.
fn as_vectors(ty: &str) -> String {
    format!(
        "    v6 = ireduce.i32 v0
    v7 = ireduce.i32 v1
    v10 = splat.i64x2 v0
    v11 = insertlane v10, v1, 1
    v12 = bnot v10
    v13 = insertlane v12, v1, 0
    v2 = bitcast.{ty} little v11
    v3 = bitcast.{ty} little v13
"
    )
}

/// `v5` is what becomes of all bits of the vector `v4`. Lanes of floats that are NaNs count as 0.
fn from_vector(ty: &str) -> String {
    let lanes = match ty {
        "f32x4" | "f64x2" => {
            let mask = ty.replace('f', "i");
            format!(
                "    v24 = fcmp ord v4, v4
    v25 = bitcast.{mask} little v4
    v26 = band v25, v24
    v20 = bitcast.i64x2 little v26
"
            )
        }
        _ => "    v20 = bitcast.i64x2 little v4\n".to_owned(),
    };
    format!(
        "{lanes}    v21 = extractlane v20, 0
    v22 = extractlane v20, 1
    v27 = iconst.i32 1
    v23 = rotl v22, v27
    v5 = bxor v21, v23
"
    )
}

/// Programs of one operation on vectors each, by their names.
struct OnVectors(Vec<(String, String)>);

impl OnVectors {
    fn add(&mut self, operands: &str, operation: &str, result: &str) {
        let text = one(
            &as_vectors(operands),
            &format!("v4 = {operation}"),
            &from_vector(result),
        );
        self.0.push((format!("{operation} {operands}"), text));
    }

    /// An operation whose result is an integer.
    fn add_to_integer(&mut self, operands: &str, operation: &str, result: &str) {
        let text = one(
            &as_vectors(operands),
            &format!("v4 = {operation}"),
            from(result),
        );
        self.0.push((format!("{operation} {operands}"), text));
    }
}

#[test]
fn operations_on_integer_vectors() {
    let mut all = OnVectors(Vec::new());
    for (number, ty) in INTEGER_VECTORS.into_iter().enumerate() {
        let mut binary = vec!["iadd", "isub", "band", "bor", "bxor"];
        if number > 0 {
            binary.push("imul");
        }
        if number < 3 {
            binary.extend(["smin", "umin", "smax", "umax"]);
        }
        if number < 2 {
            binary.extend(["uadd_sat", "sadd_sat", "usub_sat", "ssub_sat", "avg_round"]);
        }
        if number == 1 {
            binary.push("sqmul_round_sat");
        }
        if number == 1 || number == 2 {
            binary.push("iadd_pairwise");
        }
        for op in binary {
            all.add(ty, &format!("{op} v2, v3"), ty);
        }
        for op in ["ineg", "iabs", "bnot"] {
            all.add(ty, &format!("{op} v2"), ty);
        }
        for op in ["ishl", "ushr", "sshr"] {
            all.add(ty, &format!("{op} v2, v7"), ty);
        }
        for condition in [
            "eq", "ne", "slt", "sge", "sgt", "sle", "ult", "uge", "ugt", "ule",
        ] {
            all.add(ty, &format!("icmp {condition} v2, v3"), ty);
        }
        all.add(ty, "bitselect v2, v3, v2", ty);
        all.add_to_integer(ty, "vany_true v2", "i8");
        all.add_to_integer(ty, "vall_true v2", "i8");
        all.add_to_integer(ty, "vhigh_bits.i32 v2", "i32");
    }
    all.add("i8x16", "popcnt v2", "i8x16");
    all.add("i8x16", "swizzle v2, v3", "i8x16");
    if IS_SUPPORTED {
        all.add("i8x16", "x86_pshufb v2, v3", "i8x16");
        all.add("i16x8", "x86_pmulhrsw v2, v3", "i16x8");
        all.add("i8x16", "x86_pmaddubsw v2, v3", "i16x8");
        for ty in ["i8x16", "i32x4", "i64x2"] {
            all.add(ty, "blendv v2, v3, v2", ty);
        }
    }
    for (narrow, wide) in INTEGER_VECTORS.iter().zip(&INTEGER_VECTORS[1..]) {
        for op in ["swiden_low", "swiden_high", "uwiden_low", "uwiden_high"] {
            all.add(narrow, &format!("{op} v2"), wide);
        }
    }
    for (narrow, wide) in INTEGER_VECTORS.iter().zip(&INTEGER_VECTORS[1..3]) {
        for op in ["snarrow", "unarrow"] {
            all.add(wide, &format!("{op} v2, v3"), narrow);
        }
    }
    check_all(all.0);
}

#[test]
fn operations_on_float_vectors() {
    let mut all = OnVectors(Vec::new());
    for ty in FLOAT_VECTORS {
        for op in [
            "fadd", "fsub", "fmul", "fdiv", "fmin", "fmax", "band", "bor", "bxor",
        ] {
            all.add(ty, &format!("{op} v2, v3"), ty);
        }
        for op in [
            "sqrt", "fneg", "fabs", "ceil", "floor", "trunc", "nearest", "bnot",
        ] {
            all.add(ty, &format!("{op} v2"), ty);
        }
        for condition in [
            "ord", "uno", "eq", "ne", "lt", "le", "gt", "ge", "ult", "ule", "ugt", "uge",
        ] {
            let mask = ty.replace('f', "i");
            all.add(ty, &format!("fcmp {condition} v2, v3"), &mask);
        }
        all.add(ty, "bitselect v2, v3, v2", ty);
    }
    for op in ["fcvt_from_sint", "fcvt_from_uint"] {
        all.add("i32x4", &format!("{op}.f32x4 v2"), "f32x4");
    }
    for op in ["fcvt_to_sint_sat", "fcvt_to_uint_sat"] {
        all.add("f32x4", &format!("{op}.i32x4 v2"), "i32x4");
    }
    all.add("f64x2", "fvdemote v2", "f32x4");
    all.add("f32x4", "fvpromote_low v2", "f64x2");
    check_all(all.0);
}

#[test]
fn lanes_and_shuffles() {
    let mut all = OnVectors(Vec::new());
    for ty in INTEGER_VECTORS.into_iter().chain(FLOAT_VECTORS) {
        let (lane, count) = ty.split_once('x').unwrap();
        let count: usize = count.parse().unwrap();
        for index in 0..count {
            all.add_to_integer(ty, &format!("extractlane v2, {index}"), lane);
            all.add(ty, &format!("insertlane v2, v14, {index}"), ty);
        }
        all.add(ty, &format!("splat.{ty} v14"), ty);
        if matches!(lane, "i32" | "i64" | "f32" | "f64") {
            all.add(ty, &format!("scalar_to_vector.{ty} v14"), ty);
        }
    }
    // The lane that is put into vectors is the last one of another.
    for (name, text) in &mut all.0 {
        let ty = name.rsplit(' ').next().unwrap();
        let last = ty.split_once('x').unwrap().1.parse::<usize>().unwrap() - 1;
        let lane = format!("    v14 = extractlane v3, {last}\n    v4 = ");
        *text = text.replacen("    v4 = ", &lane, 1);
    }
    let masks: [[u8; 16]; 6] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [
            31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
        ],
        [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
        [4, 5, 6, 7, 4, 5, 6, 7, 20, 21, 22, 23, 4, 5, 6, 7],
        [7; 16],
        [3, 29, 0, 17, 12, 12, 31, 16, 15, 1, 22, 9, 30, 4, 19, 8],
    ];
    for mask in masks {
        let mask: Vec<_> = mask.iter().map(u8::to_string).collect();
        all.add(
            "i8x16",
            &format!("shuffle v2, v3, [{}]", mask.join(" ")),
            "i8x16",
        );
    }
    check_all(all.0);
}

/// A program that does something with what the arguments are in memory.
fn in_memory(operands: &str, operation: &str, result: &str) -> String {
    let text = one(
        &format!(
            "{operands}    v30 = stack_addr.i64 ss0\n    store.i64 v0, v30\n    store.i64 v1, v30+8\n"
        ),
        operation,
        result,
    );
    text.replacen(
        "tail {\n",
        "tail {\n    ss0 = explicit_slot 16, align = 16\n",
        1,
    )
}

#[test]
fn loads_that_widen() {
    let mut programs = Vec::new();
    for (op, ty) in [("8x8", "i16x8"), ("16x4", "i32x4"), ("32x2", "i64x2")] {
        for op in [format!("sload{op}"), format!("uload{op}")] {
            for offset in ["", "+8"] {
                let text = in_memory("", &format!("v4 = {op} v30{offset}"), &from_vector(ty));
                programs.push((format!("{op}{offset}"), text));
            }
        }
    }
    // The interpreter knows none of them.
    for (name, text) in &programs {
        check(name, text);
    }
}

#[test]
fn atomic_operations() {
    let mut programs = Vec::new();
    for ty in INTEGERS {
        // What there was, and what is there then.
        let result = format!(
            "{}    v31 = load.i64 v30\n    v32 = iconst.i32 1\n    v33 = rotl v31, v32\n    v34 = bxor v5, v33\n",
            from(ty)
        );
        let mut add = |name: &str, operation: &str| {
            let text = in_memory(&as_integers(ty), operation, &result);
            programs.push((
                format!("{name}.{ty}"),
                text.replace("return v5", "return v34"),
            ));
        };
        for op in [
            "add", "sub", "and", "nand", "or", "xor", "xchg", "umin", "umax", "smin", "smax",
        ] {
            add(op, &format!("v4 = atomic_rmw.{ty} {op} v30, v3"));
        }
        add("cas", "v4 = atomic_cas v30, v2, v3");
        add("cas of another", "v4 = atomic_cas v30, v3, v2");
        add(
            "store",
            &format!("atomic_store v3, v30\n    v4 = atomic_load.{ty} v30"),
        );
        add(
            "fence",
            &format!("store v3, v30\n    fence\n    v4 = load.{ty} v30"),
        );
    }
    check_all(programs);
}

/// An atomic operation may fault where it accesses memory, and means by that what its flags say.
#[test]
fn atomic_operations_fault_as_their_flags_say() {
    for operation in [
        "atomic_rmw.i32 FLAGS add v0, v3",
        "atomic_rmw.i32 FLAGS nand v0, v3",
        "atomic_cas FLAGS v0, v2, v3",
    ] {
        for (flags, expected) in [("user7", Some(TrapCode::unwrap_user(7))), ("notrap", None)] {
            let operation = operation.replace("FLAGS", flags);
            let text = one(
                &as_integers("i32"),
                &format!("v4 = {operation}"),
                from("i32"),
            );
            let body = cranelift_reader::parse_functions(&text).unwrap().remove(0);
            let request = CompileRequest {
                function: FuncId(0),
                tier: Tier::Baseline,
                kind: CompileKind::Entry,
                world: World::FIRST,
                owner: Owner::BUILT_IN,
                body,
            };
            let code = ClifCompiler::new(false).compile(&request).unwrap();
            let kinds: Vec<_> = code.traps.iter().map(|trap| trap.kind).collect();
            assert_eq!(kinds.is_empty(), expected.is_none(), "{operation}");
            let expected = expected.map(kind);
            assert!(
                kinds.iter().all(|kind| Some(*kind) == expected),
                "{kinds:?}"
            );
        }
    }
}

/// What copy-and-patch does not do is done by Cranelift, and the event says why.
#[test]
fn what_is_declined_says_why() {
    let text = "function u0:0(i64, i64) -> i64 tail {
block0(v0: i64, v1: i64):
    v2 = iconcat v0, v1
    v3, v4 = isplit v2
    v5 = isub v3, v4
    return v5
}";
    let functions = cranelift_reader::parse_functions(text).unwrap();
    let (answers, declined) = run(&functions, copy_and_patch().only_tier(Tier::Baseline));
    assert_eq!(declined.len(), 1, "{declined:?}");
    assert!(declined[0].contains("iconcat"), "{declined:?}");
    assert_eq!(answers[EDGES.len()], Ok(1));
    // An operation that comes in no other types.
    let text = "function u0:0(i64, i64) -> i64 tail {
block0(v0: i64, v1: i64):
    v2 = iconst.i64 0
    brif v2, block1, block2
block1:
    debugtrap
    jump block2
block2:
    return v0
}";
    let functions = cranelift_reader::parse_functions(text).unwrap();
    let (answers, declined) = run(&functions, copy_and_patch().only_tier(Tier::Baseline));
    assert_eq!(declined, ["debugtrap"]);
    assert_eq!(answers[EDGES.len()], Ok(1));
}
