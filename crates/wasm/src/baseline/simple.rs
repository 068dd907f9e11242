//! The operations that are encoded directly: what they are to the assembler.

use upshift::embed::stencil::{
    FloatOp, FloatTest, IntOp, IntTest, LoadKind, ShiftOp, StoreKind, Ty,
};
use wasmparser::{MemArg, Operator};

/// An operation that the assembler has an encoder for. The flag says that it is on 64 bits, not 32.
#[derive(Clone, Copy, Debug)]
pub(super) enum Simple {
    Constant(Ty, u64),
    Vector(u128),
    Int(IntOp, bool),
    Shift(ShiftOp, bool),
    IntTest(IntTest, bool),
    IsZero(bool),
    Float(FloatOp, bool),
    FloatSqrt(bool),
    FloatTest(FloatTest, bool),
    Wrap,
    ZeroExtend,
    SignExtend(u8, bool),
    Reinterpret(Ty),
    Load(LoadKind, Ty, u64, MemArg),
    Store(StoreKind, u64, MemArg),
}

/// Looks an operator up. Float arithmetic is encoded directly only if any NaN will do.
pub(super) fn simple(operator: &Operator<'_>, canonical_nans: bool) -> Option<Simple> {
    integer(operator)
        .or_else(|| access(operator))
        .or_else(|| test(operator))
        .or_else(|| float(operator, canonical_nans))
}

fn integer(operator: &Operator<'_>) -> Option<Simple> {
    Some(match *operator {
        Operator::I32Const { value } => Simple::Constant(Ty::I32, u64::from(value.cast_unsigned())),
        Operator::I64Const { value } => Simple::Constant(Ty::I64, value.cast_unsigned()),
        Operator::I32Add => Simple::Int(IntOp::Add, false),
        Operator::I32Sub => Simple::Int(IntOp::Sub, false),
        Operator::I32Mul => Simple::Int(IntOp::Mul, false),
        Operator::I32And => Simple::Int(IntOp::And, false),
        Operator::I32Or => Simple::Int(IntOp::Or, false),
        Operator::I32Xor => Simple::Int(IntOp::Xor, false),
        Operator::I64Add => Simple::Int(IntOp::Add, true),
        Operator::I64Sub => Simple::Int(IntOp::Sub, true),
        Operator::I64Mul => Simple::Int(IntOp::Mul, true),
        Operator::I64And => Simple::Int(IntOp::And, true),
        Operator::I64Or => Simple::Int(IntOp::Or, true),
        Operator::I64Xor => Simple::Int(IntOp::Xor, true),
        Operator::I32Shl => Simple::Shift(ShiftOp::Shl, false),
        Operator::I32ShrS => Simple::Shift(ShiftOp::ShrS, false),
        Operator::I32ShrU => Simple::Shift(ShiftOp::ShrU, false),
        Operator::I32Rotl => Simple::Shift(ShiftOp::Rotl, false),
        Operator::I32Rotr => Simple::Shift(ShiftOp::Rotr, false),
        Operator::I64Shl => Simple::Shift(ShiftOp::Shl, true),
        Operator::I64ShrS => Simple::Shift(ShiftOp::ShrS, true),
        Operator::I64ShrU => Simple::Shift(ShiftOp::ShrU, true),
        Operator::I64Rotl => Simple::Shift(ShiftOp::Rotl, true),
        Operator::I64Rotr => Simple::Shift(ShiftOp::Rotr, true),
        Operator::I32WrapI64 => Simple::Wrap,
        Operator::I64ExtendI32U => Simple::ZeroExtend,
        Operator::I64ExtendI32S => Simple::SignExtend(32, true),
        Operator::I32Extend8S => Simple::SignExtend(8, false),
        Operator::I32Extend16S => Simple::SignExtend(16, false),
        Operator::I64Extend8S => Simple::SignExtend(8, true),
        Operator::I64Extend16S => Simple::SignExtend(16, true),
        Operator::I64Extend32S => Simple::SignExtend(32, true),
        _ => return None,
    })
}

fn access(operator: &Operator<'_>) -> Option<Simple> {
    use LoadKind::*;
    let load = |kind, ty, bytes, memarg: &MemArg| Some(Simple::Load(kind, ty, bytes, *memarg));
    let store = |kind, bytes, memarg: &MemArg| Some(Simple::Store(kind, bytes, *memarg));
    match operator {
        Operator::I32Load { memarg } => load(Full(Ty::I32), Ty::I32, 4, memarg),
        Operator::I64Load { memarg } => load(Full(Ty::I64), Ty::I64, 8, memarg),
        Operator::F32Load { memarg } => load(Full(Ty::F32), Ty::F32, 4, memarg),
        Operator::F64Load { memarg } => load(Full(Ty::F64), Ty::F64, 8, memarg),
        Operator::V128Load { memarg } => load(Full(Ty::V128), Ty::V128, 16, memarg),
        Operator::I32Load8U { memarg } => load(Unsigned8, Ty::I32, 1, memarg),
        Operator::I32Load8S { memarg } => load(Signed8 { wide: false }, Ty::I32, 1, memarg),
        Operator::I32Load16U { memarg } => load(Unsigned16, Ty::I32, 2, memarg),
        Operator::I32Load16S { memarg } => load(Signed16 { wide: false }, Ty::I32, 2, memarg),
        Operator::I64Load8U { memarg } => load(Unsigned8, Ty::I64, 1, memarg),
        Operator::I64Load8S { memarg } => load(Signed8 { wide: true }, Ty::I64, 1, memarg),
        Operator::I64Load16U { memarg } => load(Unsigned16, Ty::I64, 2, memarg),
        Operator::I64Load16S { memarg } => load(Signed16 { wide: true }, Ty::I64, 2, memarg),
        Operator::I64Load32U { memarg } => load(Unsigned32, Ty::I64, 4, memarg),
        Operator::I64Load32S { memarg } => load(Signed32, Ty::I64, 4, memarg),
        Operator::I32Store { memarg } => store(StoreKind::Full(Ty::I32), 4, memarg),
        Operator::I64Store { memarg } => store(StoreKind::Full(Ty::I64), 8, memarg),
        Operator::F32Store { memarg } => store(StoreKind::Full(Ty::F32), 4, memarg),
        Operator::F64Store { memarg } => store(StoreKind::Full(Ty::F64), 8, memarg),
        Operator::V128Store { memarg } => store(StoreKind::Full(Ty::V128), 16, memarg),
        Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => {
            store(StoreKind::Low8, 1, memarg)
        }
        Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => {
            store(StoreKind::Low16, 2, memarg)
        }
        Operator::I64Store32 { memarg } => store(StoreKind::Low32, 4, memarg),
        _ => None,
    }
}

fn test(operator: &Operator<'_>) -> Option<Simple> {
    let int = |test, wide| Some(Simple::IntTest(test, wide));
    let float = |test, double| Some(Simple::FloatTest(test, double));
    match operator {
        Operator::I32Eqz => Some(Simple::IsZero(false)),
        Operator::I64Eqz => Some(Simple::IsZero(true)),
        Operator::I32Eq => int(IntTest::Eq, false),
        Operator::I32Ne => int(IntTest::Ne, false),
        Operator::I32LtS => int(IntTest::LtS, false),
        Operator::I32LtU => int(IntTest::LtU, false),
        Operator::I32GtS => int(IntTest::GtS, false),
        Operator::I32GtU => int(IntTest::GtU, false),
        Operator::I32LeS => int(IntTest::LeS, false),
        Operator::I32LeU => int(IntTest::LeU, false),
        Operator::I32GeS => int(IntTest::GeS, false),
        Operator::I32GeU => int(IntTest::GeU, false),
        Operator::I64Eq => int(IntTest::Eq, true),
        Operator::I64Ne => int(IntTest::Ne, true),
        Operator::I64LtS => int(IntTest::LtS, true),
        Operator::I64LtU => int(IntTest::LtU, true),
        Operator::I64GtS => int(IntTest::GtS, true),
        Operator::I64GtU => int(IntTest::GtU, true),
        Operator::I64LeS => int(IntTest::LeS, true),
        Operator::I64LeU => int(IntTest::LeU, true),
        Operator::I64GeS => int(IntTest::GeS, true),
        Operator::I64GeU => int(IntTest::GeU, true),
        Operator::F32Eq => float(FloatTest::Eq, false),
        Operator::F32Ne => float(FloatTest::Ne, false),
        Operator::F32Lt => float(FloatTest::Lt, false),
        Operator::F32Gt => float(FloatTest::Gt, false),
        Operator::F32Le => float(FloatTest::Le, false),
        Operator::F32Ge => float(FloatTest::Ge, false),
        Operator::F64Eq => float(FloatTest::Eq, true),
        Operator::F64Ne => float(FloatTest::Ne, true),
        Operator::F64Lt => float(FloatTest::Lt, true),
        Operator::F64Gt => float(FloatTest::Gt, true),
        Operator::F64Le => float(FloatTest::Le, true),
        Operator::F64Ge => float(FloatTest::Ge, true),
        _ => None,
    }
}

fn float(operator: &Operator<'_>, canonical_nans: bool) -> Option<Simple> {
    match *operator {
        Operator::F32Const { value } => {
            return Some(Simple::Constant(Ty::F32, u64::from(value.bits())));
        }
        Operator::F64Const { value } => return Some(Simple::Constant(Ty::F64, value.bits())),
        Operator::V128Const { value } => {
            return Some(Simple::Vector(u128::from_le_bytes(*value.bytes())));
        }
        Operator::I32ReinterpretF32 => return Some(Simple::Reinterpret(Ty::I32)),
        Operator::I64ReinterpretF64 => return Some(Simple::Reinterpret(Ty::I64)),
        Operator::F32ReinterpretI32 => return Some(Simple::Reinterpret(Ty::F32)),
        Operator::F64ReinterpretI64 => return Some(Simple::Reinterpret(Ty::F64)),
        _ if canonical_nans => return None,
        _ => {}
    }
    Some(match operator {
        Operator::F32Add => Simple::Float(FloatOp::Add, false),
        Operator::F32Sub => Simple::Float(FloatOp::Sub, false),
        Operator::F32Mul => Simple::Float(FloatOp::Mul, false),
        Operator::F32Div => Simple::Float(FloatOp::Div, false),
        Operator::F64Add => Simple::Float(FloatOp::Add, true),
        Operator::F64Sub => Simple::Float(FloatOp::Sub, true),
        Operator::F64Mul => Simple::Float(FloatOp::Mul, true),
        Operator::F64Div => Simple::Float(FloatOp::Div, true),
        Operator::F32Sqrt => Simple::FloatSqrt(false),
        Operator::F64Sqrt => Simple::FloatSqrt(true),
        _ => return None,
    })
}
