//! Operations on vectors that take an instruction or two, and what the mask of a shuffle says.

use crate::value::{IntTest, Ty};

/// What a vector is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Lane {
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Lane {
    /// Whether it is a float, which as a value of its own is in a vector register.
    pub const fn is_float(self) -> bool {
        matches!(self, Lane::F32 | Lane::F64)
    }

    /// How wide it is.
    pub(crate) const fn bits(self) -> u8 {
        match self {
            Lane::I8 => 8,
            Lane::I16 => 16,
            Lane::I32 | Lane::F32 => 32,
            Lane::I64 | Lane::F64 => 64,
        }
    }

    /// The type that it has as a value of its own.
    pub(crate) const fn ty(self) -> Ty {
        match self {
            Lane::I8 | Lane::I16 | Lane::I32 => Ty::I32,
            Lane::I64 => Ty::I64,
            Lane::F32 => Ty::F32,
            Lane::F64 => Ty::F64,
        }
    }
}

/// Operations of two vectors that are one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum VectorOp {
    And,
    /// The first without the bits of the second.
    AndNot,
    Or,
    Xor,
    I8x16Add,
    I8x16Sub,
    I8x16AddSatS,
    I8x16AddSatU,
    I8x16SubSatS,
    I8x16SubSatU,
    I8x16MinS,
    I8x16MinU,
    I8x16MaxS,
    I8x16MaxU,
    I8x16AvgrU,
    I8x16Eq,
    I8x16GtS,
    I8x16LtS,
    I8x16NarrowI16x8S,
    I8x16NarrowI16x8U,
    I16x8Add,
    I16x8Sub,
    I16x8AddSatS,
    I16x8AddSatU,
    I16x8SubSatS,
    I16x8SubSatU,
    I16x8Mul,
    I16x8MinS,
    I16x8MinU,
    I16x8MaxS,
    I16x8MaxU,
    I16x8AvgrU,
    I16x8Eq,
    I16x8GtS,
    I16x8LtS,
    I16x8NarrowI32x4S,
    I16x8NarrowI32x4U,
    I32x4Add,
    I32x4Sub,
    I32x4Mul,
    I32x4MinS,
    I32x4MinU,
    I32x4MaxS,
    I32x4MaxU,
    I32x4Eq,
    I32x4GtS,
    I32x4LtS,
    I32x4DotI16x8S,
    I64x2Add,
    I64x2Sub,
    I64x2Eq,
    I64x2GtS,
    I64x2LtS,
    /// The products of the even lanes of four, signed.
    I64x2MulEvenS,
    /// The same, unsigned.
    I64x2MulEvenU,
    F32x4Add,
    F32x4Sub,
    F32x4Mul,
    F32x4Div,
    F32x4PMin,
    F32x4PMax,
    F32x4Eq,
    F32x4Ne,
    F32x4Lt,
    F32x4Gt,
    F32x4Le,
    F32x4Ge,
    F64x2Add,
    F64x2Sub,
    F64x2Mul,
    F64x2Div,
    F64x2PMin,
    F64x2PMax,
    F64x2Eq,
    F64x2Ne,
    F64x2Lt,
    F64x2Gt,
    F64x2Le,
    F64x2Ge,
    /// The lower halves' bytes in turns, beginning with the first vector's.
    InterleaveLow8,
    InterleaveLow16,
    InterleaveLow32,
    InterleaveLow64,
    /// The upper halves' bytes.
    InterleaveHigh8,
    InterleaveHigh16,
    InterleaveHigh32,
    InterleaveHigh64,
}

/// Operations of one vector that are one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum VectorUnary {
    I8x16Abs,
    I16x8Abs,
    I32x4Abs,
    /// The lower half's lanes, each twice as wide.
    I16x8ExtendLowS,
    I16x8ExtendLowU,
    I32x4ExtendLowS,
    I32x4ExtendLowU,
    I64x2ExtendLowS,
    I64x2ExtendLowU,
    F32x4ConvertI32x4S,
    F64x2ConvertLowI32x4S,
    F64x2PromoteLowF32x4,
    F32x4DemoteF64x2Zero,
    F32x4Sqrt,
    F32x4Nearest,
    F32x4Floor,
    F32x4Ceil,
    F32x4Trunc,
    F64x2Sqrt,
    F64x2Nearest,
    F64x2Floor,
    F64x2Ceil,
    F64x2Trunc,
}

/// Shifts of all lanes by the same amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum VectorShift {
    I16x8Shl,
    I16x8ShrS,
    I16x8ShrU,
    I32x4Shl,
    I32x4ShrS,
    I32x4ShrU,
    I64x2Shl,
    I64x2ShrU,
}

impl VectorShift {
    /// An amount counts modulo the lanes' width: the bits of it that count.
    pub const fn amount_mask(self) -> u8 {
        match self {
            VectorShift::I16x8Shl | VectorShift::I16x8ShrS | VectorShift::I16x8ShrU => 15,
            VectorShift::I32x4Shl | VectorShift::I32x4ShrS | VectorShift::I32x4ShrU => 31,
            VectorShift::I64x2Shl | VectorShift::I64x2ShrU => 63,
        }
    }
}

/// An operation on vectors that the assembler encodes: it takes what is on top, and has no immediates but those here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VectorOperation {
    /// Of two vectors.
    Binary(VectorOp),
    /// Of two vectors, the result's bits inverted.
    Inverted(VectorOp),
    /// A comparison: whether the first is the less or the greater one, as the first operation says, or both are the same,
    /// which the second compares; or the opposite of that.
    Extreme(VectorOp, VectorOp, bool),
    /// Of one vector.
    Unary(VectorUnary),
    /// Of one vector's upper half.
    UnaryHigh(VectorUnary),
    /// 0 minus the lanes, by their subtraction.
    Negate(VectorOp),
    /// All bits inverted.
    Not,
    /// The bits of the first vector where those of the third are set, else those of the second.
    Bitselect,
    /// The signs of floats, of 64 bits or not, removed or inverted.
    Sign(bool, bool),
    /// The products of a half's lanes, by those of the even lanes; of the upper half or not.
    MultiplyHalf(VectorOp, bool),
    /// A shift of a vector by an integer, modulo the lanes' width.
    Shift(VectorShift),
    /// A vector of which each lane is the value.
    Splat(Lane),
    /// The lanes' highest bits, as an `i32`.
    Bitmask(Lane),
}

impl VectorOperation {
    /// A comparison of integers, lane by lane; `None` if it has no encoder.
    pub const fn compare(lane: Lane, test: IntTest) -> Option<VectorOperation> {
        use VectorOp::*;
        let [eq, gt, lt] = match lane {
            Lane::I8 => [I8x16Eq, I8x16GtS, I8x16LtS],
            Lane::I16 => [I16x8Eq, I16x8GtS, I16x8LtS],
            Lane::I32 => [I32x4Eq, I32x4GtS, I32x4LtS],
            Lane::I64 => [I64x2Eq, I64x2GtS, I64x2LtS],
            Lane::F32 | Lane::F64 => return None,
        };
        let extremes = match lane {
            Lane::I8 => [I8x16MinS, I8x16MaxS, I8x16MinU, I8x16MaxU],
            Lane::I16 => [I16x8MinS, I16x8MaxS, I16x8MinU, I16x8MaxU],
            Lane::I32 => [I32x4MinS, I32x4MaxS, I32x4MinU, I32x4MaxU],
            _ => return VectorOperation::compare_wide([eq, gt, lt], test),
        };
        let (extreme, inverted) = match test {
            IntTest::Eq | IntTest::Ne | IntTest::GtS | IntTest::LtS => {
                return VectorOperation::compare_wide([eq, gt, lt], test);
            }
            IntTest::LeS => (0, false),
            IntTest::GeS => (1, false),
            IntTest::LeU => (2, false),
            IntTest::GeU => (3, false),
            IntTest::GtU => (2, true),
            IntTest::LtU => (3, true),
        };
        Some(VectorOperation::Extreme(extremes[extreme], eq, inverted))
    }

    /// The same for lanes that there is no least or greatest of.
    const fn compare_wide([eq, gt, lt]: [VectorOp; 3], test: IntTest) -> Option<VectorOperation> {
        match test {
            IntTest::Eq => Some(VectorOperation::Binary(eq)),
            IntTest::Ne => Some(VectorOperation::Inverted(eq)),
            IntTest::GtS => Some(VectorOperation::Binary(gt)),
            IntTest::LtS => Some(VectorOperation::Binary(lt)),
            IntTest::LeS => Some(VectorOperation::Inverted(gt)),
            IntTest::GeS => Some(VectorOperation::Inverted(lt)),
            _ => None,
        }
    }
}

/// A shuffle of two vectors' bytes that takes an instruction or two. Vectors are numbered 0 and 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shuffle {
    /// The vector itself.
    Same(u8),
    /// The lanes of both in turns, beginning with this vector's.
    Interleave(VectorOp, u8),
    /// The same with one vector for both.
    InterleaveSame(VectorOp, u8),
    /// The four lanes of 32 bits of a vector in this order, two bits a lane.
    Words(u8, u8),
    /// Two such lanes of this vector, then two of the other.
    TwoAndTwo(u8, u8),
    /// Bytes on from this one of this vector, then those of the other.
    Concatenation(u8, u8),
    /// The same, then those of the same vector.
    Rotation(u8, u8),
    /// Any bytes of this vector.
    Bytes(u8),
}

/// What lanes of so many bytes are interleaved with: their lower halves, and their upper ones.
const INTERLEAVED: [(usize, VectorOp, VectorOp); 4] = [
    (8, VectorOp::InterleaveLow64, VectorOp::InterleaveHigh64),
    (4, VectorOp::InterleaveLow32, VectorOp::InterleaveHigh32),
    (2, VectorOp::InterleaveLow16, VectorOp::InterleaveHigh16),
    (1, VectorOp::InterleaveLow8, VectorOp::InterleaveHigh8),
];

impl Shuffle {
    /// What the shuffle of this mask is, if it is one of these. Bytes are numbered as if one vector lay behind the other.
    pub(crate) fn of(mask: &[u8; 16]) -> Option<Shuffle> {
        (0..2)
            .find_map(|first| Shuffle::beginning_with(mask, first))
            .or_else(|| one_vector(mask).map(Shuffle::Bytes))
    }

    fn beginning_with(mask: &[u8; 16], first: u8) -> Option<Shuffle> {
        let second = first ^ 1;
        let is = |byte: &dyn Fn(usize) -> u8| (0..16).all(|at| mask[at] == byte(at));
        if is(&|at| 16 * first + at as u8) {
            return Some(Shuffle::Same(first));
        }
        for (bytes, low, high) in INTERLEAVED {
            for (op, start) in [(low, 0), (high, 8)] {
                let turns = |other: u8| {
                    move |at: usize| {
                        let (lane, byte) = (at / bytes, at % bytes);
                        let vector = if lane % 2 == 0 { first } else { other };
                        16 * vector + (start + lane / 2 * bytes + byte) as u8
                    }
                };
                if is(&turns(second)) {
                    return Some(Shuffle::Interleave(op, first));
                }
                if is(&turns(first)) && bytes < 4 {
                    return Some(Shuffle::InterleaveSame(op, first));
                }
            }
        }
        if let Some(words) = words(mask) {
            let order = (0..4).fold(0, |order, lane| order | ((words[lane] & 3) << (2 * lane)));
            match words.map(|word| word / 4) {
                vectors if vectors == [first; 4] => return Some(Shuffle::Words(first, order)),
                vectors if vectors == [first, first, second, second] => {
                    return Some(Shuffle::TwoAndTwo(first, order));
                }
                _ => {}
            }
        }
        let start = mask[0] % 16;
        if is(&|at| (16 * first + start + at as u8) % 32) {
            return Some(Shuffle::Concatenation(first, start));
        }
        is(&|at| 16 * first + (start + at as u8) % 16).then_some(Shuffle::Rotation(first, start))
    }
}

/// Whether the assembler encodes a shuffle of this mask.
pub fn is_encoded_shuffle(mask: &[u8; 16]) -> bool {
    Shuffle::of(mask).is_some()
}

/// The numbers of the lanes of 32 bits that a mask names, if it is about such lanes.
fn words(mask: &[u8; 16]) -> Option<[u8; 4]> {
    let lanes: [u8; 4] = std::array::from_fn(|lane| mask[4 * lane] / 4);
    let whole = (0..16).all(|at| mask[at] == 4 * lanes[at / 4] + at as u8 % 4);
    whole.then_some(lanes)
}

/// The number of the vector that all bytes are of, if there is one.
fn one_vector(mask: &[u8; 16]) -> Option<u8> {
    let vector = mask[0] / 16;
    (vector < 2 && mask.iter().all(|byte| byte / 16 == vector)).then_some(vector)
}
