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
    let binary = ["fadd", "fsub", "fmul", "fdiv", "fmin", "fmax", "fcopysign"];
    let unary = ["sqrt", "fneg", "fabs", "ceil", "floor", "trunc", "nearest"];
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
    fence
    return v0
}";
    let functions = cranelift_reader::parse_functions(text).unwrap();
    let (answers, declined) = run(&functions, copy_and_patch().only_tier(Tier::Baseline));
    assert_eq!(declined, ["fence"]);
    assert_eq!(answers[EDGES.len()], Ok(1));
}
