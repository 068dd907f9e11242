//! The encoders of instructions on vectors. What an instruction does is tested by running it, in all operations; here, that
//! each is the same instruction whatever its registers are, and has those.

use super::{assert_registers, general, number, one, vector};
use crate::arch::x64::{Reg, xmm};
use crate::code::Code;
use crate::lanes::{Shuffle, VectorOp, VectorShift, VectorUnary};
use iced_x86::{Instruction, Mnemonic};

/// An encoder of an instruction of two registers, the written one first.
type Encoder = Box<dyn Fn(&mut Code, Reg, Reg)>;

/// Checks an encoder with all registers of two kinds against the instruction that it makes of the first of each.
fn check(encoder: &Encoder, first: &[Reg], second: &[Reg]) -> Instruction {
    let model = one(|code| encoder(code, first[0], second[0]));
    for &to in first {
        for &from in second {
            let instruction = one(|code| encoder(code, to, from));
            assert_eq!(instruction.mnemonic(), model.mnemonic());
            assert_eq!(instruction.code(), model.code());
            assert_registers(&instruction, to, from);
            for operand in 2..model.op_count() {
                assert_eq!(instruction.immediate(operand), model.immediate(operand));
            }
        }
    }
    model
}

#[test]
fn operations_of_all_registers() {
    let vectors: Vec<Reg> = vector().collect();
    let mut seen = Vec::new();
    for op in VectorOp::all() {
        let encoder: Encoder = Box::new(move |code, to, from| code.vector_op(op, to, from));
        let made = check(&encoder, &vectors, &vectors);
        let immediate = (made.op_count() > 2).then(|| made.immediate(2));
        seen.push((made.code(), immediate, crate::arch::x64::order(op)));
    }
    for (index, one) in seen.iter().enumerate() {
        assert!(!seen[..index].contains(one), "twice: {one:?}");
    }
    let unary = [
        (VectorUnary::I8x16Abs, Mnemonic::Pabsb),
        (VectorUnary::I64x2ExtendLowU, Mnemonic::Pmovzxdq),
        (VectorUnary::F64x2ConvertLowI32x4S, Mnemonic::Cvtdq2pd),
        (VectorUnary::F32x4Trunc, Mnemonic::Roundps),
        (VectorUnary::F64x2Trunc, Mnemonic::Roundpd),
    ];
    for (op, mnemonic) in unary {
        let encoder: Encoder = Box::new(move |code, to, from| code.vector_unary(op, to, from));
        assert_eq!(check(&encoder, &vectors, &vectors).mnemonic(), mnemonic);
    }
}

#[test]
fn shifts_and_lanes_of_all_registers() {
    let vectors: Vec<Reg> = vector().collect();
    let general: Vec<Reg> = general().collect();
    for reg in &vectors {
        let op = VectorShift::I64x2ShrU;
        let instruction = one(|code| code.vector_shift_constant(op, *reg, 33));
        assert_eq!(instruction.mnemonic(), Mnemonic::Psrlq);
        assert_eq!(number(instruction.op0_register()), reg.0);
        assert_eq!(instruction.immediate8(), 33);
    }
    let encoder: Encoder =
        Box::new(|code, to, from| code.vector_shift(VectorShift::I16x8ShrS, to, from));
    let shift = check(&encoder, &vectors, &vectors);
    assert_eq!(shift.mnemonic(), Mnemonic::Psraw);
    let lanes = [
        (8, Mnemonic::Pinsrb, Mnemonic::Pextrb),
        (16, Mnemonic::Pinsrw, Mnemonic::Pextrw),
        (32, Mnemonic::Pinsrd, Mnemonic::Pextrd),
        (64, Mnemonic::Pinsrq, Mnemonic::Pextrq),
    ];
    for (bits, insert, extract) in lanes {
        let encoder: Encoder = Box::new(move |code, to, from| code.insert_lane(bits, to, from, 1));
        let made = check(&encoder, &vectors, &general);
        assert_eq!((made.mnemonic(), made.immediate8()), (insert, 1));
        let encoder: Encoder = Box::new(move |code, to, from| code.extract_lane(bits, to, from, 1));
        let made = check(&encoder, &general, &vectors);
        assert_eq!((made.mnemonic(), made.immediate8()), (extract, 1));
    }
    for (bits, mnemonic) in [
        (8, Mnemonic::Pmovmskb),
        (32, Mnemonic::Movmskps),
        (64, Mnemonic::Movmskpd),
    ] {
        let encoder: Encoder = Box::new(move |code, to, from| code.sign_bits(bits, to, from));
        let made = check(&encoder, &general, &vectors);
        assert_eq!(made.mnemonic(), mnemonic);
    }
    let made = one(|code| code.test_vector(xmm(9)));
    assert_eq!(made.mnemonic(), Mnemonic::Ptest);
    assert_registers(&made, xmm(9), xmm(9));
}

#[test]
fn masks_are_recognized() {
    let mask = |byte: &dyn Fn(u8) -> u8| std::array::from_fn(|at| byte(at as u8));
    let cases = [
        (mask(&|at| at), Some(Shuffle::Same(0))),
        (mask(&|at| at + 16), Some(Shuffle::Same(1))),
        (
            mask(&|at| at / 2 + 16 * (1 - at % 2)),
            Some(Shuffle::Interleave(VectorOp::InterleaveLow8, 1)),
        ),
        (
            mask(&|at| at / 2 + 8),
            Some(Shuffle::InterleaveSame(VectorOp::InterleaveHigh8, 0)),
        ),
        (mask(&|at| 12 + at % 4), Some(Shuffle::Words(0, 0xff))),
        (mask(&|at| at + at / 8 * 8), {
            Some(Shuffle::Interleave(VectorOp::InterleaveLow64, 0))
        }),
        (
            mask(&|at| 16 * (at / 8) + 4 + at % 8),
            Some(Shuffle::TwoAndTwo(0, 0b1001_1001)),
        ),
        (mask(&|at| at + 5), Some(Shuffle::Concatenation(0, 5))),
        (
            mask(&|at| (at + 21) % 32),
            Some(Shuffle::Concatenation(1, 5)),
        ),
        (mask(&|at| (at + 5) % 16), Some(Shuffle::Rotation(0, 5))),
        (mask(&|at| 31 - at), Some(Shuffle::Bytes(1))),
        (mask(&|at| 31 - 2 * at), None),
        (mask(&|_| 255), None),
    ];
    for (mask, shuffle) in cases {
        assert_eq!(Shuffle::of(&mask), shuffle, "{mask:?}");
    }
}
