//! Every operation run on many operands, against an independent implementation of WebAssembly.
//!
//! The lowered function runs as machine code of each optimization level, the instruction itself in
//! `wasmi`, an interpreter that shares nothing with Cranelift. Results must agree bit for bit,
//! traps in their cause. Only where the specification leaves the bits of a NaN open is any NaN as
//! good as another.

use super::harness::{ACCESS_BASE, Frame, NativeFunction, OPT_LEVELS, access_in_frame, concrete};
use super::harness::{native, operation_function, operation_in_frame, trap_of};
use super::instructions::{Instruction, lowered, with_operator};
use crate::lower::operation::V128;
use crate::lower::{access, operation};
use cranelift_codegen::ir::{TrapCode, Type, types};

/// A WebAssembly function in `wasmi`. Its values are given and returned as bits.
struct Reference {
    store: wasmi::Store<()>,
    function: wasmi::Func,
    params: Vec<Type>,
}

impl Reference {
    /// The function with the given signature and body, in the text format.
    fn new(params: &[Type], results: &[Type], body: &str) -> Self {
        let list = |types: &[Type]| types.iter().map(|&ty| wasm_type(ty)).collect::<String>();
        let text = format!(
            "(module (memory 1)
                (func (export \"f\") (param {}) (result {}) {body}))",
            list(params),
            list(results)
        );
        let engine = wasmi::Engine::default();
        let wasm = wat::parse_str(&text).expect(&text);
        let module = wasmi::Module::new(&engine, &wasm[..]).expect(&text);
        let mut store = wasmi::Store::new(&engine, ());
        let instance = wasmi::Instance::new(&mut store, &module, &[]).expect(&text);
        let function = instance.get_func(&store, "f").expect("exported");
        Self {
            store,
            function,
            params: params.to_vec(),
        }
    }

    fn call(&mut self, arguments: &[u128]) -> Result<Vec<u128>, TrapCode> {
        let types = self.params.iter();
        let arguments: Vec<_> = types
            .zip(arguments)
            .map(|(&ty, &bits)| wasmi_value(ty, bits))
            .collect();
        let mut results = vec![wasmi::Val::I32(0); self.function.ty(&self.store).results().len()];
        match self
            .function
            .call(&mut self.store, &arguments, &mut results)
        {
            Ok(()) => Ok(results.iter().map(wasmi_bits).collect()),
            Err(error) => Err(match error.as_trap_code().expect("a trap") {
                wasmi::TrapCode::IntegerDivisionByZero => TrapCode::INTEGER_DIVISION_BY_ZERO,
                wasmi::TrapCode::IntegerOverflow => TrapCode::INTEGER_OVERFLOW,
                wasmi::TrapCode::BadConversionToInteger => TrapCode::BAD_CONVERSION_TO_INTEGER,
                other => panic!("{other:?}"),
            }),
        }
    }
}

fn wasm_type(ty: Type) -> &'static str {
    match concrete(ty) {
        types::I32 => "i32 ",
        types::I64 => "i64 ",
        types::F32 => "f32 ",
        types::F64 => "f64 ",
        V128 => "v128 ",
        other => panic!("{other} is not a type of WebAssembly's"),
    }
}

fn wasmi_value(ty: Type, bits: u128) -> wasmi::Val {
    match concrete(ty) {
        types::I32 => wasmi::Val::I32(bits as i32),
        types::I64 => wasmi::Val::I64(bits as i64),
        types::F32 => wasmi::Val::F32(wasmi::F32::from_bits(bits as u32)),
        types::F64 => wasmi::Val::F64(wasmi::F64::from_bits(bits as u64)),
        _ => wasmi::Val::V128(wasmi::V128::from(bits)),
    }
}

fn wasmi_bits(value: &wasmi::Val) -> u128 {
    match value {
        wasmi::Val::I32(x) => u128::from(x.cast_unsigned()),
        wasmi::Val::I64(x) => u128::from(x.cast_unsigned()),
        wasmi::Val::F32(x) => u128::from(x.to_bits()),
        wasmi::Val::F64(x) => u128::from(x.to_bits()),
        wasmi::Val::V128(x) => x.as_u128(),
        other => panic!("{other:?} is not a number"),
    }
}

/// The width of the lanes in which the operation `name` may return NaNs of any bits.
fn open_nans(name: &str) -> Option<u32> {
    const ARITHMETIC: [&str; 11] = [
        "add", "sub", "mul", "div", "sqrt", "min", "max", "ceil", "floor", "trunc", "nearest",
    ];
    const CONVERSIONS: [&str; 4] = [
        "demote_f64",
        "promote_f32",
        "demote_f64x2_zero",
        "promote_low_f32x4",
    ];
    let (shape, operation) = name.split_once('_')?;
    let open = ARITHMETIC.contains(&operation) || CONVERSIONS.contains(&operation);
    match &shape[..3] {
        "f32" if open => Some(32),
        "f64" if open => Some(64),
        _ => None,
    }
}

/// The bits with every NaN among the lanes of `width` bits replaced by the canonical one.
fn canonical_nans(width: u32, bits: u128) -> u128 {
    (0..128).step_by(width as usize).fold(0, |result, shift| {
        let lane = if width == 32 {
            let lane = (bits >> shift) as u32;
            u128::from(if f32::from_bits(lane).is_nan() {
                0x7fc0_0000
            } else {
                lane
            })
        } else {
            let lane = (bits >> shift) as u64;
            u128::from(if f64::from_bits(lane).is_nan() {
                0x7ff8 << 48
            } else {
                lane
            })
        };
        result | lane << shift
    })
}

const F32_EDGES: [f32; 16] = [
    0.0,
    1.0,
    1.5,
    2.5,
    0.499_999_97,
    f32::MIN_POSITIVE,
    1e-45,
    f32::MAX,
    f32::INFINITY,
    2_147_483_648.0,
    2_147_483_520.0,
    4_294_967_296.0,
    9_223_372_036_854_775_808.0,
    18_446_744_073_709_551_616.0,
    8_388_609.0,
    3.7,
];

const F64_EDGES: [f64; 16] = [
    0.0,
    1.0,
    1.5,
    2.5,
    0.499_999_999_999_999_94,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    f64::INFINITY,
    2_147_483_647.9,
    2_147_483_648.9,
    4_294_967_295.9,
    9_223_372_036_854_775_808.0,
    18_446_744_073_709_551_615.0,
    1e40,
    16_777_217.0,
];

fn f32_edges() -> impl Iterator<Item = u32> {
    let numbers = F32_EDGES
        .into_iter()
        .flat_map(|x| [x.to_bits(), (-x).to_bits()]);
    numbers.chain([0x7fc0_0000, 0xffc1_2345, 0x7f80_0001])
}

fn f64_edges() -> impl Iterator<Item = u64> {
    let numbers = F64_EDGES
        .into_iter()
        .flat_map(|x| [x.to_bits(), (-x).to_bits()]);
    numbers.chain([0x7ff8 << 48, 0xfff8_0000_0000_1234, 0x7ff0_0000_0000_0001])
}

/// Vectors with something to find in lanes of any kind, and some noise from a fixed seed.
fn vectors() -> Vec<u128> {
    let mut all = vec![
        0,
        u128::MAX,
        0x8000_0000_0000_0000_8000_0000_0000_0000,
        0x8080_7f7f_8000_7fff_8000_0000_7fff_ffff,
        0x7fff_ffff_ffff_ffff_8000_0000_0000_0000,
        0x000f_0e0d_0c0b_0a09_0807_0605_0403_0201,
        0xff10_0f80_017f_0100_8001_00ff_fe02_7d11,
        0x8000_8000_8000_8000_7fff_8001_0001_ffff,
    ];
    let floats: Vec<u32> = f32_edges().collect();
    all.extend(floats.chunks_exact(4).map(|lanes| {
        lanes
            .iter()
            .rev()
            .fold(0, |vector, &lane| vector << 32 | u128::from(lane))
    }));
    let floats: Vec<u64> = f64_edges().collect();
    all.extend(
        floats
            .chunks_exact(2)
            .map(|lanes| u128::from(lanes[1]) << 64 | u128::from(lanes[0])),
    );
    let mut state = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
    for _ in 0..8 {
        state = state
            .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
            .wrapping_add(1);
        all.push(state ^ state >> 61);
    }
    all
}

/// The operands to try of one type.
fn operands(ty: Type) -> Vec<u128> {
    const I32: [i32; 16] = [
        0,
        1,
        2,
        3,
        7,
        8,
        31,
        32,
        33,
        0x80,
        0x7fff,
        0x8000,
        i32::MAX,
        i32::MIN,
        -1,
        -100,
    ];
    const I64: [i64; 14] = [
        0,
        1,
        63,
        64,
        65,
        0x80,
        0x8000,
        0x7fff_ffff,
        0x8000_0000,
        0x1_0000_0001,
        i64::MAX,
        i64::MIN,
        -1,
        0x7fff_ff40_0000_0001,
    ];
    match concrete(ty) {
        types::I32 => I32.map(|x| u128::from(x.cast_unsigned())).to_vec(),
        types::I64 => I64.map(|x| u128::from(x.cast_unsigned())).to_vec(),
        types::F32 => f32_edges().map(u128::from).collect(),
        types::F64 => f64_edges().map(u128::from).collect(),
        _ => vectors(),
    }
}

/// Calls `f` with every choice of one operand of each type; of many, with a part of them.
fn for_each_choice(types: &[Type], mut f: impl FnMut(&[u128])) {
    let choices: Vec<_> = types.iter().map(|&ty| operands(ty)).collect();
    let total: usize = choices.iter().map(Vec::len).product();
    let step = if total > 5_000 { 17 } else { 1 };
    for mut index in (0..total).step_by(step) {
        let mut arguments = Vec::new();
        for choice in &choices {
            arguments.push(choice[index % choice.len()]);
            index /= choice.len();
        }
        f(&arguments);
    }
}

fn compare_operation(instruction: &Instruction, text: &str) {
    with_operator(text, |op| {
        let Some(operation) = operation(op) else {
            return;
        };
        let count = operation.operands.len();
        let gets: String = (0..count).map(|i| format!("local.get {i} ")).collect();
        let body = format!("{gets}{text}");
        let mut reference = Reference::new(operation.operands, &[operation.result], &body);
        let compiled = OPT_LEVELS
            .map(|level| NativeFunction::new(operation_in_frame(&operation), &*native(level)));
        let interpreted = operation_function(&operation);
        let open_nans = open_nans(instruction.name());
        let comparable = |bits| open_nans.map_or(bits, |width| canonical_nans(width, bits));
        for_each_choice(operation.operands, |operands| {
            match reference.call(operands) {
                Err(code) => {
                    assert_eq!(
                        trap_of(&interpreted, operands),
                        Some(code),
                        "{text} of {operands:x?}"
                    );
                }
                Ok(expected) => {
                    for function in &compiled {
                        let mut frame = Frame::default();
                        frame.operands[..count].copy_from_slice(operands);
                        function.run(&mut frame);
                        let (found, expected) = (comparable(frame.result), comparable(expected[0]));
                        assert!(
                            found == expected,
                            "{text} of {operands:x?}: {found:x}, {expected:x}"
                        );
                        if operation.is_condition() {
                            assert_eq!(frame.condition, frame.result, "the condition of {text}");
                        }
                    }
                }
            }
        });
    });
}

fn compare_access(text: &str) {
    with_operator(text, |op| {
        let Some(access) = access(op) else { return };
        // The contents of the memory, then the operands.
        let params: Vec<_> = [V128; 2].iter().chain(access.operands).copied().collect();
        let results: Vec<_> = access.result.iter().chain(&[V128; 2]).copied().collect();
        let gets: String = (2..params.len())
            .map(|i| format!("(local.get {i}) "))
            .collect();
        let body = format!(
            "(v128.store offset=0 (i32.const 0) (local.get 0))
             (v128.store offset=16 (i32.const 0) (local.get 1))
             (i32.const {ACCESS_BASE}) {gets} {text}
             (v128.load offset=0 (i32.const 0))
             (v128.load offset=16 (i32.const 0))"
        );
        let mut reference = Reference::new(&params, &results, &body);
        let compiled =
            OPT_LEVELS.map(|level| NativeFunction::new(access_in_frame(&access), &*native(level)));
        for_each_choice(&params, |arguments| {
            let mut expected = reference.call(arguments).expect("in bounds");
            if access.result.is_none() {
                expected.insert(0, 0);
            }
            for function in &compiled {
                let mut frame = Frame::default();
                frame.memory.copy_from_slice(&arguments[..2]);
                frame.operands[..arguments.len() - 2].copy_from_slice(&arguments[2..]);
                function.run(&mut frame);
                let found = [frame.result, frame.memory[0], frame.memory[1]];
                assert!(found[..] == expected, "{text}: {found:x?}, {expected:x?}");
            }
        });
    });
}

#[test]
fn scalar_operations_agree_with_the_reference() {
    for instruction in lowered().filter(|i| i.proposal != "simd") {
        instruction
            .texts()
            .iter()
            .for_each(|text| compare_operation(instruction, text));
    }
}

#[test]
fn vector_operations_agree_with_the_reference() {
    for instruction in lowered().filter(|i| i.proposal == "simd") {
        instruction
            .texts()
            .iter()
            .for_each(|text| compare_operation(instruction, text));
    }
}

#[test]
fn accesses_agree_with_the_reference() {
    for text in lowered().flat_map(|instruction| instruction.texts()) {
        compare_access(&text);
    }
}
