//! Every numeric operator of WebAssembly in tier 0, with each operand in each place where tier 0 may have it: the results must be
//! those of another engine, bit for bit.
//!
//! The operators are whatever opcodes validation accepts, so none can be forgotten. An operand is a parameter in a register or in
//! its home slot, a constant, a value that nobody else holds, one that waited in its home on the operand stack, or one that was
//! just written to a local; both may be the same; and all of it once more while every register is taken.

use std::sync::Arc;
use upshift::{Backend, EventKind, Recorder};
use upshift_fuzz::case::{Call, WasmCase};
use upshift_fuzz::oracle::newer;
use upshift_fuzz::value::{Outcome, Stop, Type, Value};
use upshift_wasm::{Config, Engine, Instance, Module, Store, Tier, Val};
use wasm_encoder::{
    CodeSection, Encode, ExportKind, ExportSection, Function, FunctionSection, TypeSection, ValType,
};

const TYPES: [Type; 5] = [Type::I32, Type::I64, Type::F32, Type::F64, Type::V128];
/// Operands that are tried: the same bits for all types, and for vectors in all lanes in one way or another.
const EDGES: [u64; 13] = [
    0,
    1,
    31,
    0x80,
    0x7fff_ffff,
    0x8000_0000,
    u64::MAX,
    i64::MIN as u64,
    0x0123_4567_89ab_cdef,
    // 1.0 and -0.5, a NaN with a payload, and a number that no integer has room for.
    0x3ff0_0000_3f80_0000,
    0xbfe0_0000_bf00_0000,
    0x7ff8_0000_7fa0_0001,
    0x43f0_0000_5f80_0000,
];
/// Pairs of operands that each function is called with.
const PAIRS: usize = 26;

/// An operator, without what it takes from the stack.
struct Operator {
    name: String,
    code: Vec<u8>,
    operands: Vec<Type>,
    result: Type,
}

fn encoded(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F32 => ValType::F32,
        Type::F64 => ValType::F64,
        _ => ValType::V128,
    }
}

fn module(operands: &[Type], result: Type, bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut types = TypeSection::new();
    let params = operands.iter().copied().map(encoded);
    types.ty().function(params, [encoded(result)]);
    types.ty().function([], []);
    let (mut functions, mut exports, mut code) = (
        FunctionSection::new(),
        ExportSection::new(),
        CodeSection::new(),
    );
    // Function 0 does nothing, but a call of it leaves nothing in registers.
    functions.function(1);
    let mut nothing = Function::new([]);
    nothing.raw([0x0b]);
    code.function(&nothing);
    for (index, body) in (1..).zip(bodies) {
        functions.function(0);
        exports.export(&format!("f{index}"), ExportKind::Func, index);
        let mut function = Function::new([(LOCALS, ValType::I64), (LOCALS, ValType::V128)]);
        function.raw(body.iter().copied().chain([0x0b]));
        code.function(&function);
    }
    let mut module = wasm_encoder::Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&exports)
        .section(&code);
    module.finish()
}

fn is_valid(module: &[u8]) -> bool {
    let features = wasmparser::WasmFeatures::WASM2;
    wasmparser::Validator::new_with_features(features)
        .validate_all(module)
        .is_ok()
}

/// All operators that compute one value of one to three, with one set of immediates each.
fn operators() -> Vec<Operator> {
    let mut opcodes: Vec<Vec<u8>> = (0x45..=0xc4).map(|opcode| vec![opcode]).collect();
    for (prefix, last) in [(0xfc, 7_u32), (0xfd, 0x113)] {
        for opcode in 0..=last {
            let mut code = vec![prefix];
            opcode.encode(&mut code);
            opcodes.push(code);
        }
    }
    // None, a lane, and the lanes of a shuffle.
    let immediates: [&[u8]; 3] = [
        &[],
        &[1],
        &[17, 2, 30, 4, 5, 21, 7, 8, 9, 31, 0, 12, 13, 14, 15, 16],
    ];
    let mut shapes: Vec<Vec<Type>> = Vec::new();
    for ty in TYPES {
        shapes.extend([vec![ty], vec![ty, ty], vec![Type::V128, ty]]);
    }
    shapes.push(vec![Type::V128; 3]);
    let operator = |code: Vec<u8>| {
        shapes.iter().find_map(|operands| {
            let gets = (0..operands.len() as u8).flat_map(|local| [0x20, local]);
            let body: Vec<u8> = gets.chain(code.iter().copied()).collect();
            // What is dropped may be of any type.
            let dropped = [&body[..], &[0x1a, 0x41, 0]].concat();
            if !is_valid(&module(operands, Type::I32, &[dropped])) {
                return None;
            }
            let of_type =
                |ty: &&Type| is_valid(&module(operands, **ty, std::slice::from_ref(&body)));
            Some(Operator {
                name: format!("{code:02x?}"),
                code: code.clone(),
                operands: operands.clone(),
                result: *TYPES.iter().find(of_type)?,
            })
        })
    };
    let found = opcodes.iter().filter_map(|opcode| {
        let with = |immediates: &&[u8]| operator([&opcode[..], immediates].concat());
        immediates.iter().find_map(with)
    });
    found.collect()
}

/// Locals of each kind that take registers.
const LOCALS: u32 = 16;

fn get(local: u32) -> Vec<u8> {
    let mut code = vec![0x20];
    local.encode(&mut code);
    code
}

fn set(local: u32) -> Vec<u8> {
    let mut code = vec![0x21];
    local.encode(&mut code);
    code
}

fn constant(ty: Type, bits: u64) -> Vec<u8> {
    let mut code = Vec::new();
    match Value::from_bits(ty, bits) {
        Value::I32(value) => {
            code.push(0x41);
            value.cast_signed().encode(&mut code);
        }
        Value::I64(value) => {
            code.push(0x42);
            value.cast_signed().encode(&mut code);
        }
        Value::F32(bits) => code = [&[0x43], &bits.to_le_bytes()[..]].concat(),
        Value::F64(bits) => code = [&[0x44], &bits.to_le_bytes()[..]].concat(),
        Value::V128(low, high) => {
            code = [
                &[0xfd, 0x0c],
                &low.to_le_bytes()[..],
                &high.to_le_bytes()[..],
            ]
            .concat();
        }
        other => panic!("{other:?} is no number"),
    }
    code
}

/// The code that pushes operand `local` of that type, for each place that it may be in.
fn places(local: u32, ty: Type) -> Vec<Vec<u8>> {
    let get = get(local);
    let choose = [&get[..], &get, &[0x41, 1, 0x1b]].concat();
    let mut typed = Vec::new();
    encoded(ty).encode(&mut typed);
    let behind_a_call = [&[0x02], &typed[..], &[0x10, 0], &get, &[0x0b]].concat();
    let mut tee = get.clone();
    tee.push(0x22);
    local.encode(&mut tee);
    vec![
        get,
        // Nobody else holds it.
        choose,
        // It is in its home, and so are the operands below.
        behind_a_call,
        tee,
        constant(ty, EDGES[4]),
        constant(ty, EDGES[9]),
        constant(ty, u64::MAX),
    ]
}

/// What is done with the result: it is returned, or looked at.
fn uses(operator: &Operator) -> Vec<Vec<u8>> {
    let mut uses = vec![Vec::new()];
    if operator.result == Type::I32 {
        // A condition of a branch, a select and an `if`, whose answer is another.
        uses.push(vec![0x04, 0x7f, 0x41, 7, 0x05, 0x41, 9, 0x0b]);
        uses.push(vec![0x45, 0x04, 0x7f, 0x41, 7, 0x05, 0x41, 9, 0x0b]);
    }
    if operator.operands[0] == operator.result {
        uses.push([set(0), get(0)].concat());
    }
    uses
}

/// Takes all registers with values that are looked at afterwards, around `body`.
fn crowded(operator: &Operator, body: &[u8]) -> Vec<u8> {
    let first = operator.operands.len() as u32;
    let mut code = Vec::new();
    for local in 0..LOCALS {
        // Not what can be known: it depends on the number before.
        let before = get(first + local.saturating_sub(1));
        let next = [
            before,
            constant(Type::I64, 3 + u64::from(local)),
            vec![0x7c],
        ]
        .concat();
        code.extend([next, set(first + local)].concat());
        code.extend(
            [
                get(first + local),
                vec![0xfd, 0x12],
                set(first + LOCALS + local),
            ]
            .concat(),
        );
    }
    code.extend_from_slice(body);
    // Traps unless they are what they were: the sum of all is as it has to be.
    code.extend(get(first));
    for local in 1..LOCALS {
        code.extend([get(first + local), vec![0x7c]].concat());
    }
    for local in 0..LOCALS {
        code.extend([get(first + LOCALS + local), vec![0xfd, 0x1d, 1, 0x7c]].concat());
    }
    let (mut number, mut sum) = (0_u64, 0);
    for local in 0..u64::from(LOCALS) {
        number += 3 + local;
        sum += 2 * number;
    }
    code.extend([constant(Type::I64, sum), vec![0x52, 0x04, 0x40, 0x00, 0x0b]].concat());
    code
}

fn bodies(operator: &Operator) -> Vec<Vec<u8>> {
    let mut operands: Vec<Vec<u8>> = vec![Vec::new()];
    for (local, ty) in (0..).zip(&operator.operands) {
        let places = places(local, *ty);
        let with = |before: &Vec<u8>| {
            places
                .iter()
                .map(|place| [&before[..], place].concat())
                .collect::<Vec<_>>()
        };
        operands = operands.iter().flat_map(with).collect();
    }
    if operator.operands.windows(2).all(|pair| pair[0] == pair[1]) {
        operands.push(get(0).repeat(operator.operands.len()));
    }
    let mut bodies = Vec::new();
    for operands in &operands {
        for then in uses(operator) {
            let body = [&operands[..], &operator.code, &then].concat();
            bodies.push(crowded(operator, &body));
            bodies.push(body);
        }
    }
    bodies
}

fn val(value: Value) -> Val {
    match value {
        Value::I32(bits) => Val::I32(bits.cast_signed()),
        Value::I64(bits) => Val::I64(bits.cast_signed()),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(low, high) => Val::V128(Value::join(low, high).into()),
        other => panic!("{other:?} is no number"),
    }
}

fn value(val: &Val) -> Value {
    match *val {
        Val::I32(x) => Value::I32(x.cast_unsigned()),
        Val::I64(x) => Value::I64(x.cast_unsigned()),
        Val::F32(bits) => Value::F32(bits),
        Val::F64(bits) => Value::F64(bits),
        Val::V128(bits) => Value::v128(bits.into()),
        ref other => panic!("{other:?} is no number"),
    }
}

/// What tier 0 answers; `None` is a trap.
fn answers(engine: &Engine, module: &[u8], calls: &[Call]) -> Vec<Option<Value>> {
    let module = Module::new(engine, module).unwrap();
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let call = |call: &Call| {
        let function = instance.get_func(&store, &call.export).unwrap();
        let arguments: Vec<Val> = call
            .arguments
            .iter()
            .map(|argument| val(*argument))
            .collect();
        let mut results = [Val::I32(0)];
        let outcome = function.call(&mut store, &arguments, &mut results);
        outcome.is_ok().then(|| value(&results[0]))
    };
    calls.iter().map(call).collect()
}

fn check(engine: &Engine, operator: &Operator) -> usize {
    let bodies = bodies(operator);
    let module = module(&operator.operands, operator.result, &bodies);
    assert!(is_valid(&module), "{}", operator.name);
    let mut calls = Vec::new();
    for index in 1..=bodies.len() {
        for pair in 0..PAIRS {
            let edge = |(number, ty): (usize, &Type)| {
                let bits = EDGES[(pair + number * (1 + pair / EDGES.len() * 4)) % EDGES.len()];
                Value::from_bits(*ty, bits)
            };
            let arguments = operator.operands.iter().enumerate().map(edge).collect();
            calls.push(Call {
                export: format!("f{index}"),
                arguments,
            });
        }
    }
    let case = WasmCase {
        module,
        calls,
        host_fails: false,
        schedules: Vec::new(),
    };
    let expected = newer::run(&case).unwrap();
    let found = answers(engine, &case.module, &case.calls);
    for ((call, expected), found) in case.calls.iter().zip(&expected.calls).zip(&found) {
        let expected = match expected {
            Outcome::Returned(values) => Some(values[0]),
            Outcome::Stopped(Stop::Unreachable) => panic!("{}: wasmi lost a value", operator.name),
            _ => None,
        };
        let number: usize = call.export[1..].parse().unwrap();
        let body = &bodies[number - 1];
        assert_eq!(
            *found, expected,
            "{} of {:?} in {body:02x?}",
            operator.name, call.arguments
        );
    }
    case.calls.len()
}

#[test]
fn every_operator_in_every_place() {
    let recorder = Arc::new(Recorder::default());
    let config = Config::default()
        .canonical_nans(true)
        .backend(Tier::Baseline, Backend::CopyAndPatch)
        .only_tier(Tier::Baseline)
        .subscriber(recorder.clone());
    let engine = Engine::new(config).unwrap();
    let operators = operators();
    let calls: usize = operators
        .iter()
        .map(|operator| check(&engine, operator))
        .sum();
    let mut functions = 0;
    for event in recorder.events() {
        if let EventKind::Compiled(compilation) = event.kind {
            assert_eq!(compilation.compiler, "copy-and-patch", "{}", event.name);
            functions += 1;
        }
    }
    println!(
        "{} operators, {functions} functions, {calls} calls",
        operators.len()
    );
    // 123 scalar ones, 7 conversions that saturate, 1 more, and the vectors'.
    assert!(operators.len() > 330, "{}", operators.len());
}
