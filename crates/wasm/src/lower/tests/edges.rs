//! Results worked out by hand, where engines have been wrong before.

use super::harness::{operation_function, run_operation, trap_of};
use super::instructions::with_operator;
use crate::lower::operation::V128;
use crate::lower::{Operation, operation};
use cranelift_codegen::ir::{TrapCode, Type, types};

#[track_caller]
fn gives(text: &str, operands: &[u128], expected: u128) {
    let found = with_operator(text, |op| {
        run_operation(&operation(op).expect("a value operation"), operands)
    });
    assert!(
        found == expected,
        "{text} gave {found:#x}, not {expected:#x}"
    );
}

#[track_caller]
fn traps(text: &str, operands: &[u128], code: TrapCode) {
    let found = with_operator(text, |op| {
        let function = operation_function(&operation(op).expect("a value operation"));
        trap_of(&function, operands)
    });
    assert_eq!(found, Some(code), "{text}");
}

fn i32(x: i32) -> u128 {
    x.cast_unsigned().into()
}

fn i64(x: i64) -> u128 {
    x.cast_unsigned().into()
}

fn f32(x: f32) -> u128 {
    x.to_bits().into()
}

fn f64(x: f64) -> u128 {
    x.to_bits().into()
}

fn i8x16(lanes: [i8; 16]) -> u128 {
    u128::from_le_bytes(lanes.map(i8::cast_unsigned))
}

fn i16x8(lanes: [i16; 8]) -> u128 {
    lanes.iter().rev().fold(0, |vector, lane| {
        vector << 16 | u128::from(lane.cast_unsigned())
    })
}

fn f32x4(lanes: [f32; 4]) -> u128 {
    lanes
        .iter()
        .rev()
        .fold(0, |vector, lane| vector << 32 | u128::from(lane.to_bits()))
}

#[test]
fn division() {
    for op in ["i32.div_s", "i32.div_u", "i32.rem_s", "i32.rem_u"] {
        traps(op, &[i32(1), i32(0)], TrapCode::INTEGER_DIVISION_BY_ZERO);
    }
    traps(
        "i32.div_s",
        &[i32(i32::MIN), i32(-1)],
        TrapCode::INTEGER_OVERFLOW,
    );
    traps(
        "i64.div_s",
        &[i64(i64::MIN), i64(-1)],
        TrapCode::INTEGER_OVERFLOW,
    );
    gives("i32.rem_s", &[i32(i32::MIN), i32(-1)], i32(0));
    gives("i64.rem_s", &[i64(i64::MIN), i64(-1)], i64(0));
    gives("i32.div_s", &[i32(-7), i32(2)], i32(-3));
    gives("i32.rem_s", &[i32(-7), i32(2)], i32(-1));
    gives("i32.div_u", &[i32(-7), i32(2)], i32(0x7fff_fffc));
}

#[test]
fn shifts_count_modulo_the_width() {
    gives("i32.shl", &[i32(1), i32(33)], i32(2));
    gives("i32.shr_s", &[i32(i32::MIN), i32(-1)], i32(-1));
    gives("i64.shr_u", &[i64(-1), i64(64)], i64(-1));
    gives("i64.rotl", &[i64(i64::MIN), i64(65)], i64(1));
    gives("i16x8.shl", &[i16x8([1; 8]), i32(17)], i16x8([2; 8]));
}

#[test]
fn trapping_conversions() {
    use TrapCode as T;
    traps(
        "i32.trunc_f32_s",
        &[f32(f32::NAN)],
        T::BAD_CONVERSION_TO_INTEGER,
    );
    traps(
        "i64.trunc_f64_u",
        &[f64(f64::NAN)],
        T::BAD_CONVERSION_TO_INTEGER,
    );
    traps(
        "i32.trunc_f64_s",
        &[f64(2_147_483_648.0)],
        T::INTEGER_OVERFLOW,
    );
    traps("i32.trunc_f32_u", &[f32(-1.0)], T::INTEGER_OVERFLOW);
    traps(
        "i64.trunc_f32_s",
        &[f32(f32::INFINITY)],
        T::INTEGER_OVERFLOW,
    );
    gives("i32.trunc_f64_s", &[f64(-2_147_483_648.9)], i32(i32::MIN));
    gives("i32.trunc_f32_u", &[f32(-0.9)], i32(0));
    gives("i32.trunc_sat_f32_s", &[f32(f32::NAN)], i32(0));
    gives("i64.trunc_sat_f64_u", &[f64(f64::INFINITY)], i64(-1));
}

#[test]
fn floats() {
    gives("f32.min", &[f32(0.0), f32(-0.0)], f32(-0.0));
    gives("f64.max", &[f64(-0.0), f64(0.0)], f64(0.0));
    gives("f32.nearest", &[f32(2.5)], f32(2.0));
    gives("f32.nearest", &[f32(-0.4)], f32(-0.0));
    gives(
        "f64.nearest",
        &[f64(4_503_599_627_370_497.5)],
        f64(4_503_599_627_370_498.0),
    );
    gives("f64.copysign", &[f64(1.0), 0xfff8 << 48], f64(-1.0));
    gives("f32.neg", &[0x7fa0_0001], 0xffa0_0001);
    gives(
        "f32.convert_i64_u",
        &[i64(-1)],
        f32(18_446_744_073_709_551_616.0),
    );
    gives("f32.const nan:0x200000", &[], 0x7fa0_0000);
}

#[test]
fn pseudo_minimum_keeps_the_first_operand() {
    let nan = f32::from_bits(0x7fa0_0001);
    let x = f32x4([nan, 1.0, 0.0, 2.0]);
    let y = f32x4([1.0, nan, -0.0, 1.0]);
    gives("f32x4.pmin", &[x, y], f32x4([nan, 1.0, 0.0, 1.0]));
    gives("f32x4.pmax", &[x, y], f32x4([nan, 1.0, 0.0, 2.0]));
}

#[test]
fn vectors() {
    let least = i16x8([i16::MIN; 8]);
    gives("i16x8.q15mulr_sat_s", &[least, least], i16x8([i16::MAX; 8]));
    gives("i16x8.abs", &[least], least);
    gives(
        "i32x4.dot_i16x8_s",
        &[least, least],
        i16x8([0, i16::MIN, 0, i16::MIN, 0, i16::MIN, 0, i16::MIN]),
    );
    let indexes = i8x16([0, 15, 16, -128, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let swizzled = i8x16([7, 7, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
    gives("i8x16.swizzle", &[i8x16([7; 16]), indexes], swizzled);
    gives("i16x8.bitmask", &[least], i32(0xff));
    let narrow = i8x16([0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1]);
    gives(
        "i8x16.narrow_i16x8_u",
        &[i16x8([-1; 8]), i16x8([300; 8])],
        narrow,
    );
}

#[test]
fn select_works_on_every_type() {
    with_operator("select", |op| {
        let any = operation(op).expect("a value operation");
        const TYPES: [[Type; 3]; 5] = [
            [types::I32, types::I32, types::I32],
            [types::I64, types::I64, types::I32],
            [types::F32, types::F32, types::I32],
            [types::F64, types::F64, types::I32],
            [V128, V128, types::I32],
        ];
        for operands in &TYPES {
            let result = operands[0];
            let select = Operation {
                operands,
                result,
                ..any
            };
            assert_eq!(run_operation(&select, &[1, 2, 3]), 1, "{result}");
            assert_eq!(run_operation(&select, &[1, 2, 0]), 2, "{result}");
        }
    });
}

#[test]
fn select_looks_at_the_whole_condition() {
    gives("select", &[i64(1), i64(2), i32(i32::MIN)], i64(1));
    gives("select", &[i64(1), i64(2), i32(0)], i64(2));
}
