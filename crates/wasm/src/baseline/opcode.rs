//! The operators that are looked up by their first byte: what they are to the assembler.

use LoadKind::*;
use upshift::embed::stencil::{
    FloatOp, FloatTest, IntOp, IntTest, LoadIndex, LoadKind, ShiftOp, StoreIndex, StoreKind, Ty,
};

/// An operator that is known by its first byte. The flag of an operation says that it is on 64 bits, not 32.
///
/// Its tag is a byte of its own, so that the jump to what it is needs no arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub(super) enum Op {
    /// One that takes more to be read, or has no encoder of its own.
    Other,
    /// One behind the prefix of those on vectors.
    Vector,
    Unreachable,
    Nop,
    Block,
    Loop,
    If,
    Else,
    End,
    Br,
    BrIf,
    BrTable,
    Return,
    Call,
    CallIndirect,
    ReturnCall,
    ReturnCallIndirect,
    Drop,
    Select,
    TypedSelect,
    LocalGet,
    LocalSet,
    LocalTee,
    GlobalGet,
    GlobalSet,
    I32Const,
    I64Const,
    F32Const,
    F64Const,
    Int(IntOp, bool),
    Shift(ShiftOp, bool),
    IntTest(IntTest, bool),
    IsZero(bool),
    /// Encoded directly only if any NaN will do.
    Float(FloatOp, bool),
    /// The same.
    FloatSqrt(bool),
    FloatTest(FloatTest, bool),
    Wrap,
    ZeroExtend,
    SignExtend(u8, bool),
    Reinterpret(Ty),
    Load(LoadIndex, Ty),
    Store(StoreIndex),
}

impl Op {
    /// The operator that begins with `byte`.
    #[inline(always)]
    pub(super) fn of(byte: u8) -> Op {
        OPERATORS[usize::from(byte)]
    }
}

/// The first byte of operators on vectors.
pub(super) const VECTOR_PREFIX: u8 = 0xfd;

static OPERATORS: [Op; 256] = {
    let mut operators = [Op::Other; 256];
    let mut index = 0;
    while index < LIST.len() {
        operators[LIST[index].0 as usize] = LIST[index].2;
        index += 1;
    }
    operators
};

const fn load(kind: LoadKind, ty: Ty) -> Op {
    Op::Load(LoadIndex::of(kind), ty)
}

const fn store(kind: StoreKind) -> Op {
    Op::Store(StoreIndex::of(kind))
}

/// First byte, name, meaning.
#[rustfmt::skip]
const LIST: &[(u8, &str, Op)] = &[
    (0x00, "Unreachable", Op::Unreachable),
    (0x01, "Nop", Op::Nop),
    (0x02, "Block", Op::Block),
    (0x03, "Loop", Op::Loop),
    (0x04, "If", Op::If),
    (0x05, "Else", Op::Else),
    (0x0b, "End", Op::End),
    (0x0c, "Br", Op::Br),
    (0x0d, "BrIf", Op::BrIf),
    (0x0e, "BrTable", Op::BrTable),
    (0x0f, "Return", Op::Return),
    (0x10, "Call", Op::Call),
    (0x11, "CallIndirect", Op::CallIndirect),
    (0x12, "ReturnCall", Op::ReturnCall),
    (0x13, "ReturnCallIndirect", Op::ReturnCallIndirect),
    (0x1a, "Drop", Op::Drop),
    (0x1b, "Select", Op::Select),
    (0x1c, "TypedSelect", Op::TypedSelect),
    (0x20, "LocalGet", Op::LocalGet),
    (0x21, "LocalSet", Op::LocalSet),
    (0x22, "LocalTee", Op::LocalTee),
    (0x23, "GlobalGet", Op::GlobalGet),
    (0x24, "GlobalSet", Op::GlobalSet),
    (0x28, "I32Load", load(Full(Ty::I32), Ty::I32)),
    (0x29, "I64Load", load(Full(Ty::I64), Ty::I64)),
    (0x2a, "F32Load", load(Full(Ty::F32), Ty::F32)),
    (0x2b, "F64Load", load(Full(Ty::F64), Ty::F64)),
    (0x2c, "I32Load8S", load(Signed8 { wide: false }, Ty::I32)),
    (0x2d, "I32Load8U", load(Unsigned8, Ty::I32)),
    (0x2e, "I32Load16S", load(Signed16 { wide: false }, Ty::I32)),
    (0x2f, "I32Load16U", load(Unsigned16, Ty::I32)),
    (0x30, "I64Load8S", load(Signed8 { wide: true }, Ty::I64)),
    (0x31, "I64Load8U", load(Unsigned8, Ty::I64)),
    (0x32, "I64Load16S", load(Signed16 { wide: true }, Ty::I64)),
    (0x33, "I64Load16U", load(Unsigned16, Ty::I64)),
    (0x34, "I64Load32S", load(Signed32, Ty::I64)),
    (0x35, "I64Load32U", load(Unsigned32, Ty::I64)),
    (0x36, "I32Store", store(StoreKind::Full(Ty::I32))),
    (0x37, "I64Store", store(StoreKind::Full(Ty::I64))),
    (0x38, "F32Store", store(StoreKind::Full(Ty::F32))),
    (0x39, "F64Store", store(StoreKind::Full(Ty::F64))),
    (0x3a, "I32Store8", store(StoreKind::Low8)),
    (0x3b, "I32Store16", store(StoreKind::Low16)),
    (0x3c, "I64Store8", store(StoreKind::Low8)),
    (0x3d, "I64Store16", store(StoreKind::Low16)),
    (0x3e, "I64Store32", store(StoreKind::Low32)),
    (0x41, "I32Const", Op::I32Const),
    (0x42, "I64Const", Op::I64Const),
    (0x43, "F32Const", Op::F32Const),
    (0x44, "F64Const", Op::F64Const),
    (0x45, "I32Eqz", Op::IsZero(false)),
    (0x46, "I32Eq", Op::IntTest(IntTest::Eq, false)),
    (0x47, "I32Ne", Op::IntTest(IntTest::Ne, false)),
    (0x48, "I32LtS", Op::IntTest(IntTest::LtS, false)),
    (0x49, "I32LtU", Op::IntTest(IntTest::LtU, false)),
    (0x4a, "I32GtS", Op::IntTest(IntTest::GtS, false)),
    (0x4b, "I32GtU", Op::IntTest(IntTest::GtU, false)),
    (0x4c, "I32LeS", Op::IntTest(IntTest::LeS, false)),
    (0x4d, "I32LeU", Op::IntTest(IntTest::LeU, false)),
    (0x4e, "I32GeS", Op::IntTest(IntTest::GeS, false)),
    (0x4f, "I32GeU", Op::IntTest(IntTest::GeU, false)),
    (0x50, "I64Eqz", Op::IsZero(true)),
    (0x51, "I64Eq", Op::IntTest(IntTest::Eq, true)),
    (0x52, "I64Ne", Op::IntTest(IntTest::Ne, true)),
    (0x53, "I64LtS", Op::IntTest(IntTest::LtS, true)),
    (0x54, "I64LtU", Op::IntTest(IntTest::LtU, true)),
    (0x55, "I64GtS", Op::IntTest(IntTest::GtS, true)),
    (0x56, "I64GtU", Op::IntTest(IntTest::GtU, true)),
    (0x57, "I64LeS", Op::IntTest(IntTest::LeS, true)),
    (0x58, "I64LeU", Op::IntTest(IntTest::LeU, true)),
    (0x59, "I64GeS", Op::IntTest(IntTest::GeS, true)),
    (0x5a, "I64GeU", Op::IntTest(IntTest::GeU, true)),
    (0x5b, "F32Eq", Op::FloatTest(FloatTest::Eq, false)),
    (0x5c, "F32Ne", Op::FloatTest(FloatTest::Ne, false)),
    (0x5d, "F32Lt", Op::FloatTest(FloatTest::Lt, false)),
    (0x5e, "F32Gt", Op::FloatTest(FloatTest::Gt, false)),
    (0x5f, "F32Le", Op::FloatTest(FloatTest::Le, false)),
    (0x60, "F32Ge", Op::FloatTest(FloatTest::Ge, false)),
    (0x61, "F64Eq", Op::FloatTest(FloatTest::Eq, true)),
    (0x62, "F64Ne", Op::FloatTest(FloatTest::Ne, true)),
    (0x63, "F64Lt", Op::FloatTest(FloatTest::Lt, true)),
    (0x64, "F64Gt", Op::FloatTest(FloatTest::Gt, true)),
    (0x65, "F64Le", Op::FloatTest(FloatTest::Le, true)),
    (0x66, "F64Ge", Op::FloatTest(FloatTest::Ge, true)),
    (0x6a, "I32Add", Op::Int(IntOp::Add, false)),
    (0x6b, "I32Sub", Op::Int(IntOp::Sub, false)),
    (0x6c, "I32Mul", Op::Int(IntOp::Mul, false)),
    (0x71, "I32And", Op::Int(IntOp::And, false)),
    (0x72, "I32Or", Op::Int(IntOp::Or, false)),
    (0x73, "I32Xor", Op::Int(IntOp::Xor, false)),
    (0x74, "I32Shl", Op::Shift(ShiftOp::Shl, false)),
    (0x75, "I32ShrS", Op::Shift(ShiftOp::ShrS, false)),
    (0x76, "I32ShrU", Op::Shift(ShiftOp::ShrU, false)),
    (0x77, "I32Rotl", Op::Shift(ShiftOp::Rotl, false)),
    (0x78, "I32Rotr", Op::Shift(ShiftOp::Rotr, false)),
    (0x7c, "I64Add", Op::Int(IntOp::Add, true)),
    (0x7d, "I64Sub", Op::Int(IntOp::Sub, true)),
    (0x7e, "I64Mul", Op::Int(IntOp::Mul, true)),
    (0x83, "I64And", Op::Int(IntOp::And, true)),
    (0x84, "I64Or", Op::Int(IntOp::Or, true)),
    (0x85, "I64Xor", Op::Int(IntOp::Xor, true)),
    (0x86, "I64Shl", Op::Shift(ShiftOp::Shl, true)),
    (0x87, "I64ShrS", Op::Shift(ShiftOp::ShrS, true)),
    (0x88, "I64ShrU", Op::Shift(ShiftOp::ShrU, true)),
    (0x89, "I64Rotl", Op::Shift(ShiftOp::Rotl, true)),
    (0x8a, "I64Rotr", Op::Shift(ShiftOp::Rotr, true)),
    (0x91, "F32Sqrt", Op::FloatSqrt(false)),
    (0x92, "F32Add", Op::Float(FloatOp::Add, false)),
    (0x93, "F32Sub", Op::Float(FloatOp::Sub, false)),
    (0x94, "F32Mul", Op::Float(FloatOp::Mul, false)),
    (0x95, "F32Div", Op::Float(FloatOp::Div, false)),
    (0x9f, "F64Sqrt", Op::FloatSqrt(true)),
    (0xa0, "F64Add", Op::Float(FloatOp::Add, true)),
    (0xa1, "F64Sub", Op::Float(FloatOp::Sub, true)),
    (0xa2, "F64Mul", Op::Float(FloatOp::Mul, true)),
    (0xa3, "F64Div", Op::Float(FloatOp::Div, true)),
    (0xa7, "I32WrapI64", Op::Wrap),
    (0xac, "I64ExtendI32S", Op::SignExtend(32, true)),
    (0xad, "I64ExtendI32U", Op::ZeroExtend),
    (0xbc, "I32ReinterpretF32", Op::Reinterpret(Ty::I32)),
    (0xbd, "I64ReinterpretF64", Op::Reinterpret(Ty::I64)),
    (0xbe, "F32ReinterpretI32", Op::Reinterpret(Ty::F32)),
    (0xbf, "F64ReinterpretI64", Op::Reinterpret(Ty::F64)),
    (0xc0, "I32Extend8S", Op::SignExtend(8, false)),
    (0xc1, "I32Extend16S", Op::SignExtend(16, false)),
    (0xc2, "I64Extend8S", Op::SignExtend(8, true)),
    (0xc3, "I64Extend16S", Op::SignExtend(16, true)),
    (0xc4, "I64Extend32S", Op::SignExtend(32, true)),
    (VECTOR_PREFIX, "V128Load8x8S", Op::Vector),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::FEATURES;
    use wasmparser::{BinaryReader, OperatorsReader};

    #[test]
    fn every_operator_has_the_name_that_another_reader_gives_it() {
        for (byte, name, _) in LIST {
            let block = matches!(*name, "Block" | "Loop" | "If");
            let bytes = [
                *byte,
                if block { 0x40 } else { 1 },
                0x7f,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ];
            let reader = BinaryReader::new_features(&bytes, 0, FEATURES);
            let mut operators = OperatorsReader::new(reader);
            if *name == "Else" {
                // Nothing but an `if` has one.
                continue;
            }
            let operator = format!("{:?}", operators.read().unwrap());
            let found = operator.split(' ').next().unwrap_or_default();
            assert_eq!(found, *name);
        }
    }

    #[test]
    fn an_operator_is_what_its_name_says() {
        for (_, name, op) in LIST {
            let said = format!("{op:?}");
            let wide = name.starts_with("I64") || name.starts_with("F64");
            match op {
                Op::Int(..)
                | Op::Shift(..)
                | Op::IntTest(..)
                | Op::Float(..)
                | Op::FloatTest(..) => {
                    let what = said.split(['(', ',']).nth(1).unwrap_or_default();
                    assert_eq!(*what, name[3..]);
                    assert_eq!(said.contains("true"), wide, "{name}");
                }
                Op::Load(kind, ty) => {
                    assert_eq!(format!("{ty:?}"), name[..3]);
                    let bits: String = said.chars().filter(char::is_ascii_digit).collect();
                    let full = kind.kind() == Full(*ty);
                    assert_eq!(name["I64Load".len()..].is_empty(), full, "{name}");
                    // What is loaded, before the type that it becomes.
                    assert!(full || bits.starts_with(&name[7..name.len() - 1]), "{name}");
                    assert_eq!(said.contains("Signed"), name.ends_with('S'), "{name}");
                    assert_eq!(said.contains("Unsigned"), name.ends_with('U'), "{name}");
                }
                Op::Store(kind) => {
                    let bits: String = said.chars().filter(char::is_ascii_digit).collect();
                    let full = matches!(kind.kind(), StoreKind::Full(_));
                    assert!(full || name.ends_with(&bits), "{name}");
                    assert!(!full || said.contains(&name[..3]), "{name}");
                }
                _ => {}
            }
        }
    }
}
