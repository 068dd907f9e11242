//! Instructions on vectors: those of SSE4.2 and below, which every processor has that there are stencils for.

use super::{Imm, NO_IMM, Op, Reg, Rm, imm1, two};
use crate::code::Code;
use crate::lanes::{VectorOp, VectorShift, VectorUnary};
use Order::*;

/// How an instruction's operands are those of the operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// The first one is the one that is written over.
    Kept,
    /// Either may be.
    Any,
    /// The second one is.
    Swapped,
}

/// How an operation is encoded.
#[derive(Clone, Copy)]
struct Encoding {
    op: Op,
    imm: Imm,
    order: Order,
}

const fn encoding(op: Op, order: Order) -> Encoding {
    let imm = NO_IMM;
    Encoding { op, imm, order }
}

/// An opcode behind the bytes `0f 38`.
const fn three(byte: u8) -> Op {
    behind(0x38, byte)
}

const fn behind(map: u8, byte: u8) -> Op {
    Op {
        prefix: 0x66,
        len: 3,
        bytes: 0x0f | ((map as u32) << 8) | ((byte as u32) << 16),
    }
}

const fn int(byte: u8, order: Order) -> Encoding {
    encoding(two(0x66, byte), order)
}

const fn int3(byte: u8, order: Order) -> Encoding {
    encoding(three(byte), order)
}

const fn single(byte: u8, order: Order) -> Encoding {
    encoding(two(0, byte), order)
}

const fn double(byte: u8, order: Order) -> Encoding {
    encoding(two(0x66, byte), order)
}

/// A comparison of floats, by its number.
const fn compare(prefix: u8, number: u8, order: Order) -> Encoding {
    Encoding {
        op: two(prefix, 0xc2),
        imm: imm1(number),
        order,
    }
}

/// A rounding, by its number.
const fn round(byte: u8, number: u8) -> Encoding {
    Encoding {
        op: behind(0x3a, byte),
        // Without an exception if the result is not exact.
        imm: imm1(8 | number),
        order: Kept,
    }
}

/// Adding and multiplying floats is in order, because of two NaNs the first is the result.
#[rustfmt::skip]
const BINARY: &[(VectorOp, Encoding)] = &[
    (VectorOp::And, int(0xdb, Any)),
    (VectorOp::AndNot, int(0xdf, Swapped)),
    (VectorOp::Or, int(0xeb, Any)),
    (VectorOp::Xor, int(0xef, Any)),
    (VectorOp::I8x16Add, int(0xfc, Any)),
    (VectorOp::I8x16Sub, int(0xf8, Kept)),
    (VectorOp::I8x16AddSatS, int(0xec, Any)),
    (VectorOp::I8x16AddSatU, int(0xdc, Any)),
    (VectorOp::I8x16SubSatS, int(0xe8, Kept)),
    (VectorOp::I8x16SubSatU, int(0xd8, Kept)),
    (VectorOp::I8x16MinS, int3(0x38, Any)),
    (VectorOp::I8x16MinU, int(0xda, Any)),
    (VectorOp::I8x16MaxS, int3(0x3c, Any)),
    (VectorOp::I8x16MaxU, int(0xde, Any)),
    (VectorOp::I8x16AvgrU, int(0xe0, Any)),
    (VectorOp::I8x16Eq, int(0x74, Any)),
    (VectorOp::I8x16GtS, int(0x64, Kept)),
    (VectorOp::I8x16LtS, int(0x64, Swapped)),
    (VectorOp::I8x16NarrowI16x8S, int(0x63, Kept)),
    (VectorOp::I8x16NarrowI16x8U, int(0x67, Kept)),
    (VectorOp::I16x8Add, int(0xfd, Any)),
    (VectorOp::I16x8Sub, int(0xf9, Kept)),
    (VectorOp::I16x8AddSatS, int(0xed, Any)),
    (VectorOp::I16x8AddSatU, int(0xdd, Any)),
    (VectorOp::I16x8SubSatS, int(0xe9, Kept)),
    (VectorOp::I16x8SubSatU, int(0xd9, Kept)),
    (VectorOp::I16x8Mul, int(0xd5, Any)),
    (VectorOp::I16x8MinS, int(0xea, Any)),
    (VectorOp::I16x8MinU, int3(0x3a, Any)),
    (VectorOp::I16x8MaxS, int(0xee, Any)),
    (VectorOp::I16x8MaxU, int3(0x3e, Any)),
    (VectorOp::I16x8AvgrU, int(0xe3, Any)),
    (VectorOp::I16x8Eq, int(0x75, Any)),
    (VectorOp::I16x8GtS, int(0x65, Kept)),
    (VectorOp::I16x8LtS, int(0x65, Swapped)),
    (VectorOp::I16x8NarrowI32x4S, int(0x6b, Kept)),
    (VectorOp::I16x8NarrowI32x4U, int3(0x2b, Kept)),
    (VectorOp::I32x4Add, int(0xfe, Any)),
    (VectorOp::I32x4Sub, int(0xfa, Kept)),
    (VectorOp::I32x4Mul, int3(0x40, Any)),
    (VectorOp::I32x4MinS, int3(0x39, Any)),
    (VectorOp::I32x4MinU, int3(0x3b, Any)),
    (VectorOp::I32x4MaxS, int3(0x3d, Any)),
    (VectorOp::I32x4MaxU, int3(0x3f, Any)),
    (VectorOp::I32x4Eq, int(0x76, Any)),
    (VectorOp::I32x4GtS, int(0x66, Kept)),
    (VectorOp::I32x4LtS, int(0x66, Swapped)),
    (VectorOp::I32x4DotI16x8S, int(0xf5, Any)),
    (VectorOp::I64x2Add, int(0xd4, Any)),
    (VectorOp::I64x2Sub, int(0xfb, Kept)),
    (VectorOp::I64x2Eq, int3(0x29, Any)),
    (VectorOp::I64x2GtS, int3(0x37, Kept)),
    (VectorOp::I64x2LtS, int3(0x37, Swapped)),
    (VectorOp::I64x2MulEvenS, int3(0x28, Any)),
    (VectorOp::I64x2MulEvenU, int(0xf4, Any)),
    (VectorOp::F32x4Add, single(0x58, Kept)),
    (VectorOp::F32x4Sub, single(0x5c, Kept)),
    (VectorOp::F32x4Mul, single(0x59, Kept)),
    (VectorOp::F32x4Div, single(0x5e, Kept)),
    (VectorOp::F32x4PMin, single(0x5d, Swapped)),
    (VectorOp::F32x4PMax, single(0x5f, Swapped)),
    (VectorOp::F32x4Eq, compare(0, 0, Any)),
    (VectorOp::F32x4Ne, compare(0, 4, Any)),
    (VectorOp::F32x4Lt, compare(0, 1, Kept)),
    (VectorOp::F32x4Gt, compare(0, 1, Swapped)),
    (VectorOp::F32x4Le, compare(0, 2, Kept)),
    (VectorOp::F32x4Ge, compare(0, 2, Swapped)),
    (VectorOp::F64x2Add, double(0x58, Kept)),
    (VectorOp::F64x2Sub, double(0x5c, Kept)),
    (VectorOp::F64x2Mul, double(0x59, Kept)),
    (VectorOp::F64x2Div, double(0x5e, Kept)),
    (VectorOp::F64x2PMin, double(0x5d, Swapped)),
    (VectorOp::F64x2PMax, double(0x5f, Swapped)),
    (VectorOp::F64x2Eq, compare(0x66, 0, Any)),
    (VectorOp::F64x2Ne, compare(0x66, 4, Any)),
    (VectorOp::F64x2Lt, compare(0x66, 1, Kept)),
    (VectorOp::F64x2Gt, compare(0x66, 1, Swapped)),
    (VectorOp::F64x2Le, compare(0x66, 2, Kept)),
    (VectorOp::F64x2Ge, compare(0x66, 2, Swapped)),
    (VectorOp::InterleaveLow8, int(0x60, Kept)),
    (VectorOp::InterleaveLow16, int(0x61, Kept)),
    (VectorOp::InterleaveLow32, int(0x62, Kept)),
    (VectorOp::InterleaveLow64, int(0x6c, Kept)),
    (VectorOp::InterleaveHigh8, int(0x68, Kept)),
    (VectorOp::InterleaveHigh16, int(0x69, Kept)),
    (VectorOp::InterleaveHigh32, int(0x6a, Kept)),
    (VectorOp::InterleaveHigh64, int(0x6d, Kept)),
];

#[rustfmt::skip]
const UNARY: &[(VectorUnary, Encoding)] = &[
    (VectorUnary::I8x16Abs, int3(0x1c, Kept)),
    (VectorUnary::I16x8Abs, int3(0x1d, Kept)),
    (VectorUnary::I32x4Abs, int3(0x1e, Kept)),
    (VectorUnary::I16x8ExtendLowS, int3(0x20, Kept)),
    (VectorUnary::I16x8ExtendLowU, int3(0x30, Kept)),
    (VectorUnary::I32x4ExtendLowS, int3(0x23, Kept)),
    (VectorUnary::I32x4ExtendLowU, int3(0x33, Kept)),
    (VectorUnary::I64x2ExtendLowS, int3(0x25, Kept)),
    (VectorUnary::I64x2ExtendLowU, int3(0x35, Kept)),
    (VectorUnary::F32x4ConvertI32x4S, single(0x5b, Kept)),
    (VectorUnary::F64x2ConvertLowI32x4S, encoding(two(0xf3, 0xe6), Kept)),
    (VectorUnary::F64x2PromoteLowF32x4, single(0x5a, Kept)),
    (VectorUnary::F32x4DemoteF64x2Zero, double(0x5a, Kept)),
    (VectorUnary::F32x4Sqrt, single(0x51, Kept)),
    (VectorUnary::F32x4Nearest, round(0x08, 0)),
    (VectorUnary::F32x4Floor, round(0x08, 1)),
    (VectorUnary::F32x4Ceil, round(0x08, 2)),
    (VectorUnary::F32x4Trunc, round(0x08, 3)),
    (VectorUnary::F64x2Sqrt, double(0x51, Kept)),
    (VectorUnary::F64x2Nearest, round(0x09, 0)),
    (VectorUnary::F64x2Floor, round(0x09, 1)),
    (VectorUnary::F64x2Ceil, round(0x09, 2)),
    (VectorUnary::F64x2Trunc, round(0x09, 3)),
];

/// Opcode with the amount in a vector register; opcode and extension with a constant one.
#[rustfmt::skip]
const SHIFTS: &[(VectorShift, (u8, u8, u8))] = &[
    (VectorShift::I16x8Shl, (0xf1, 0x71, 6)),
    (VectorShift::I16x8ShrS, (0xe1, 0x71, 4)),
    (VectorShift::I16x8ShrU, (0xd1, 0x71, 2)),
    (VectorShift::I32x4Shl, (0xf2, 0x72, 6)),
    (VectorShift::I32x4ShrS, (0xe2, 0x72, 4)),
    (VectorShift::I32x4ShrU, (0xd2, 0x72, 2)),
    (VectorShift::I64x2Shl, (0xf3, 0x73, 6)),
    (VectorShift::I64x2ShrU, (0xd3, 0x73, 2)),
];

// The tables are in the order of the operations' numbers.
const _: () = {
    let mut index = 0;
    while index < BINARY.len() {
        assert!(BINARY[index].0 as usize == index);
        index += 1;
    }
    index = 0;
    while index < UNARY.len() {
        assert!(UNARY[index].0 as usize == index);
        index += 1;
    }
    index = 0;
    while index < SHIFTS.len() {
        assert!(SHIFTS[index].0 as usize == index);
        index += 1;
    }
};

#[cfg(test)]
impl VectorOp {
    pub(crate) fn all() -> impl Iterator<Item = VectorOp> {
        BINARY.iter().map(|(op, _)| *op)
    }
}

/// Which of the two operands may be written over.
pub(crate) fn order(op: VectorOp) -> Order {
    BINARY[op as usize].1.order
}

impl Code {
    #[inline(always)]
    fn vectors(&mut self, op: Op, to: Reg, from: Reg, imm: Imm) {
        self.instruction(op, false, to.0 & 15, Rm::Reg(from), false, imm);
    }

    /// `to = to op from`, or `to = from op to` if the order is [`Order::Swapped`].
    pub fn vector_op(&mut self, op: VectorOp, to: Reg, from: Reg) {
        let Encoding { op, imm, .. } = BINARY[op as usize].1;
        self.vectors(op, to, from, imm);
    }

    /// `to = op from`.
    pub fn vector_unary(&mut self, op: VectorUnary, to: Reg, from: Reg) {
        let Encoding { op, imm, .. } = UNARY[op as usize].1;
        self.vectors(op, to, from, imm);
    }

    /// Shifts by a constant.
    pub fn vector_shift_constant(&mut self, op: VectorShift, to: Reg, amount: u8) {
        let (_, opcode, extension) = SHIFTS[op as usize].1;
        let op = two(0x66, opcode);
        self.instruction(op, false, extension, Rm::Reg(to), false, imm1(amount));
    }

    /// Shifts by the number in the lower half of a vector register, which is below the lanes' width.
    pub fn vector_shift(&mut self, op: VectorShift, to: Reg, amount: Reg) {
        let (opcode, ..) = SHIFTS[op as usize].1;
        self.vectors(two(0x66, opcode), to, amount, NO_IMM);
    }

    /// Sets all bits of a vector register to 1.
    pub fn fill_vector(&mut self, to: Reg) {
        self.vectors(two(0x66, 0x76), to, to, NO_IMM);
    }

    /// The lanes of 32 bits of `from` in an order of two bits a lane.
    pub fn shuffle_words(&mut self, to: Reg, from: Reg, order: u8) {
        self.vectors(two(0x66, 0x70), to, from, imm1(order));
    }

    /// The same for the lower half's lanes of 16 bits.
    pub fn shuffle_low_half(&mut self, to: Reg, from: Reg, order: u8) {
        self.vectors(two(0xf2, 0x70), to, from, imm1(order));
    }

    /// Two lanes of 32 bits of `to`, then two of `from`, in an order of two bits a lane.
    pub fn shuffle_two_and_two(&mut self, to: Reg, from: Reg, order: u8) {
        self.vectors(two(0, 0xc6), to, from, imm1(order));
    }

    /// The bytes of `to` in the order that `order`'s lowest bits say.
    pub fn shuffle_bytes(&mut self, to: Reg, order: Reg) {
        self.vectors(three(0x00), to, order, NO_IMM);
    }

    /// The 16 bytes from byte `start` on of `low` and, behind it, `to`.
    pub fn concatenation(&mut self, to: Reg, low: Reg, start: u8) {
        self.vectors(behind(0x3a, 0x0f), to, low, imm1(start));
    }

    /// Compares a vector with 0, both as one number.
    pub fn test_vector(&mut self, vector: Reg) {
        self.vectors(three(0x17), vector, vector, NO_IMM);
    }

    /// Copies a lane of 8, 16, 32 or 64 bits to a general register, the upper bits zero.
    pub fn extract_lane(&mut self, bits: u8, to: Reg, from: Reg, lane: u8) {
        let vector = from.0 & 15;
        match bits {
            16 => self.vectors(two(0x66, 0xc5), to, from, imm1(lane)),
            8 => {
                let op = behind(0x3a, 0x14);
                self.instruction(op, false, vector, Rm::Reg(to), false, imm1(lane));
            }
            _ if lane == 0 => self.move_from_vector(bits == 64, to, from),
            _ => {
                let op = behind(0x3a, 0x16);
                self.instruction(op, bits == 64, vector, Rm::Reg(to), false, imm1(lane));
            }
        }
    }

    /// Copies the low bits of a general register to a lane of 8, 16, 32 or 64 bits.
    pub fn insert_lane(&mut self, bits: u8, to: Reg, from: Reg, lane: u8) {
        let op = match bits {
            8 => behind(0x3a, 0x20),
            16 => two(0x66, 0xc4),
            _ => behind(0x3a, 0x22),
        };
        let to = to.0 & 15;
        self.instruction(op, bits == 64, to, Rm::Reg(from), false, imm1(lane));
    }

    /// Copies the float in the lowest 32 bits of `from` to a lane of `to`.
    pub fn insert_float(&mut self, to: Reg, from: Reg, lane: u8) {
        self.vectors(behind(0x3a, 0x21), to, from, imm1(lane << 4));
    }

    /// Copies the lower half of `from` to that of `to`.
    pub fn insert_low_half(&mut self, to: Reg, from: Reg) {
        self.vectors(two(0xf2, 0x10), to, from, NO_IMM);
    }

    /// The highest bit of each lane: of 8 or 32 bits, or of 64.
    pub fn sign_bits(&mut self, bits: u8, to: Reg, from: Reg) {
        let op = match bits {
            8 => two(0x66, 0xd7),
            32 => two(0, 0x50),
            _ => two(0x66, 0x50),
        };
        self.vectors(op, to, from, NO_IMM);
    }
}
