//! Operations on vectors that the assembler encodes directly.

use super::state::{Driver, bailout};
use super::{condition, stencils, table};
use crate::lanes::{Lane, VectorOp, VectorOperation, VectorShift, VectorUnary, is_encoded_shuffle};
use crate::value::IntTest;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{Immediate, Inst, InstructionData, Opcode, Type, types};
use upshift_codegen::CompileError;

/// What an operation is encoded as, and whether that is so only if any NaN will do.
type Encoded = (VectorOperation, bool);

/// What the lanes of a vector type are.
fn lane(ty: Type) -> Option<Lane> {
    Some(match ty {
        types::I8X16 => Lane::I8,
        types::I16X8 => Lane::I16,
        types::I32X4 => Lane::I32,
        types::I64X2 => Lane::I64,
        types::F32X4 => Lane::F32,
        types::F64X2 => Lane::F64,
        _ => return None,
    })
}

/// Operations of two vectors by their lanes: of 8, 16, 32 and 64 bits.
#[rustfmt::skip]
const BINARY: &[(Opcode, [Option<VectorOp>; 4])] = {
    use VectorOp::*;
    &[
        (Opcode::Iadd, [Some(I8x16Add), Some(I16x8Add), Some(I32x4Add), Some(I64x2Add)]),
        (Opcode::Isub, [Some(I8x16Sub), Some(I16x8Sub), Some(I32x4Sub), Some(I64x2Sub)]),
        (Opcode::Imul, [None, Some(I16x8Mul), Some(I32x4Mul), None]),
        (Opcode::Smin, [Some(I8x16MinS), Some(I16x8MinS), Some(I32x4MinS), None]),
        (Opcode::Umin, [Some(I8x16MinU), Some(I16x8MinU), Some(I32x4MinU), None]),
        (Opcode::Smax, [Some(I8x16MaxS), Some(I16x8MaxS), Some(I32x4MaxS), None]),
        (Opcode::Umax, [Some(I8x16MaxU), Some(I16x8MaxU), Some(I32x4MaxU), None]),
        (Opcode::SaddSat, [Some(I8x16AddSatS), Some(I16x8AddSatS), None, None]),
        (Opcode::UaddSat, [Some(I8x16AddSatU), Some(I16x8AddSatU), None, None]),
        (Opcode::SsubSat, [Some(I8x16SubSatS), Some(I16x8SubSatS), None, None]),
        (Opcode::UsubSat, [Some(I8x16SubSatU), Some(I16x8SubSatU), None, None]),
        (Opcode::AvgRound, [Some(I8x16AvgrU), Some(I16x8AvgrU), None, None]),
        // By the lanes that are made narrow.
        (Opcode::Snarrow, [None, Some(I8x16NarrowI16x8S), Some(I16x8NarrowI32x4S), None]),
        (Opcode::Unarrow, [None, Some(I8x16NarrowI16x8U), Some(I16x8NarrowI32x4U), None]),
    ]
};

/// Operations of two vectors of floats, of 32 and 64 bits.
#[rustfmt::skip]
const FLOATS: &[(Opcode, [VectorOp; 2])] = {
    use VectorOp::*;
    &[
        (Opcode::Fadd, [F32x4Add, F64x2Add]),
        (Opcode::Fsub, [F32x4Sub, F64x2Sub]),
        (Opcode::Fmul, [F32x4Mul, F64x2Mul]),
        (Opcode::Fdiv, [F32x4Div, F64x2Div]),
    ]
};

/// Operations of one vector of floats.
#[rustfmt::skip]
const FLOATS_UNARY: &[(Opcode, [VectorUnary; 2])] = {
    use VectorUnary::*;
    &[
        (Opcode::Sqrt, [F32x4Sqrt, F64x2Sqrt]),
        (Opcode::Nearest, [F32x4Nearest, F64x2Nearest]),
        (Opcode::Floor, [F32x4Floor, F64x2Floor]),
        (Opcode::Ceil, [F32x4Ceil, F64x2Ceil]),
        (Opcode::Trunc, [F32x4Trunc, F64x2Trunc]),
    ]
};

/// Comparisons of floats.
#[rustfmt::skip]
const COMPARISONS: &[(FloatCC, [VectorOp; 2])] = {
    use VectorOp::*;
    &[
        (FloatCC::Equal, [F32x4Eq, F64x2Eq]),
        (FloatCC::NotEqual, [F32x4Ne, F64x2Ne]),
        (FloatCC::LessThan, [F32x4Lt, F64x2Lt]),
        (FloatCC::GreaterThan, [F32x4Gt, F64x2Gt]),
        (FloatCC::LessThanOrEqual, [F32x4Le, F64x2Le]),
        (FloatCC::GreaterThanOrEqual, [F32x4Ge, F64x2Ge]),
    ]
};

fn find<K: PartialEq, V: Copy>(list: &[(K, V)], key: &K) -> Option<V> {
    list.iter()
        .find(|(known, _)| known == key)
        .map(|(_, value)| *value)
}

/// Whether an operation, on operands of which the first has the type `operand`, has an encoder. Shuffles, of which some have
/// one, do not count.
pub fn is_encoded_operation(
    data: &InstructionData,
    operand: Type,
    result: Type,
    canonical_nans: bool,
) -> bool {
    let lane = lane(operand);
    match data.opcode() {
        Opcode::Extractlane | Opcode::Insertlane | Opcode::VanyTrue => lane.is_some(),
        Opcode::VallTrue => lane.is_some_and(|lane| !lane.is_float()),
        _ => encoded(data, operand, result)
            .is_some_and(|(_, needs_any_nan)| !needs_any_nan || !canonical_nans),
    }
}

/// What an operation without immediates is encoded as.
fn encoded(data: &InstructionData, operand: Type, result: Type) -> Option<Encoded> {
    let always = |operation: VectorOperation| Some((operation, false));
    let opcode = data.opcode();
    match *data {
        InstructionData::Unary { .. } => unary(opcode, operand, result),
        InstructionData::Binary { .. } => binary(opcode, lane(operand)?),
        InstructionData::Ternary { .. } if opcode == Opcode::Bitselect => {
            lane(operand).and(always(VectorOperation::Bitselect))
        }
        InstructionData::IntCompare { cond, .. } => {
            VectorOperation::compare(lane(operand)?, condition::int_test(cond)).and_then(always)
        }
        InstructionData::FloatCompare { cond, .. } => {
            let ops = find(COMPARISONS, &cond)?;
            always(VectorOperation::Binary(ops[float(lane(operand)?)?]))
        }
        _ => None,
    }
}

/// 0 for floats of 32 bits, 1 for those of 64.
fn float(lane: Lane) -> Option<usize> {
    match lane {
        Lane::F32 => Some(0),
        Lane::F64 => Some(1),
        _ => None,
    }
}

fn binary(opcode: Opcode, lane: Lane) -> Option<Encoded> {
    let bits = match opcode {
        Opcode::Band => Some(VectorOp::And),
        Opcode::Bor => Some(VectorOp::Or),
        Opcode::Bxor => Some(VectorOp::Xor),
        _ => None,
    };
    if let Some(op) = bits {
        return Some((VectorOperation::Binary(op), false));
    }
    if let Some(number) = float(lane) {
        let ops = find(FLOATS, &opcode)?;
        return Some((VectorOperation::Binary(ops[number]), true));
    }
    if let Some(ops) = find(BINARY, &opcode) {
        return Some((VectorOperation::Binary(ops[lane as usize]?), false));
    }
    let shift = match (opcode, lane) {
        (Opcode::Ishl, Lane::I16) => VectorShift::I16x8Shl,
        (Opcode::Ishl, Lane::I32) => VectorShift::I32x4Shl,
        (Opcode::Ishl, Lane::I64) => VectorShift::I64x2Shl,
        (Opcode::Ushr, Lane::I16) => VectorShift::I16x8ShrU,
        (Opcode::Ushr, Lane::I32) => VectorShift::I32x4ShrU,
        (Opcode::Ushr, Lane::I64) => VectorShift::I64x2ShrU,
        (Opcode::Sshr, Lane::I16) => VectorShift::I16x8ShrS,
        (Opcode::Sshr, Lane::I32) => VectorShift::I32x4ShrS,
        _ => return None,
    };
    Some((VectorOperation::Shift(shift), false))
}

fn unary(opcode: Opcode, operand: Type, result: Type) -> Option<Encoded> {
    use VectorOperation::{Bitmask, Negate, Not, Sign, Splat, Unary, UnaryHigh};
    if opcode == Opcode::Splat {
        return Some((Splat(lane(result)?), false));
    }
    let lane = lane(operand)?;
    if let (Some(ops), Some(number)) = (find(FLOATS_UNARY, &opcode), float(lane)) {
        return Some((Unary(ops[number]), true));
    }
    let narrow = match lane {
        Lane::I8 => [VectorUnary::I16x8ExtendLowS, VectorUnary::I16x8ExtendLowU],
        Lane::I16 => [VectorUnary::I32x4ExtendLowS, VectorUnary::I32x4ExtendLowU],
        _ => [VectorUnary::I64x2ExtendLowS, VectorUnary::I64x2ExtendLowU],
    };
    let widens = matches!(lane, Lane::I8 | Lane::I16 | Lane::I32);
    let operation = match (opcode, lane) {
        (Opcode::Bnot, _) => Not,
        (Opcode::Ineg, Lane::I8) => Negate(VectorOp::I8x16Sub),
        (Opcode::Ineg, Lane::I16) => Negate(VectorOp::I16x8Sub),
        (Opcode::Ineg, Lane::I32) => Negate(VectorOp::I32x4Sub),
        (Opcode::Ineg, Lane::I64) => Negate(VectorOp::I64x2Sub),
        (Opcode::Iabs, Lane::I8) => Unary(VectorUnary::I8x16Abs),
        (Opcode::Iabs, Lane::I16) => Unary(VectorUnary::I16x8Abs),
        (Opcode::Iabs, Lane::I32) => Unary(VectorUnary::I32x4Abs),
        (Opcode::Fabs, _) => Sign(lane == Lane::F64, true),
        (Opcode::Fneg, _) => Sign(lane == Lane::F64, false),
        (Opcode::SwidenLow, _) if widens => Unary(narrow[0]),
        (Opcode::UwidenLow, _) if widens => Unary(narrow[1]),
        (Opcode::SwidenHigh, _) if widens => UnaryHigh(narrow[0]),
        (Opcode::UwidenHigh, _) if widens => UnaryHigh(narrow[1]),
        (Opcode::FcvtFromSint, Lane::I32) => Unary(VectorUnary::F32x4ConvertI32x4S),
        (Opcode::VhighBits, _) if result == types::I32 => Bitmask(lane),
        (Opcode::FvpromoteLow, _) => return Some((Unary(VectorUnary::F64x2PromoteLowF32x4), true)),
        (Opcode::Fvdemote, _) => return Some((Unary(VectorUnary::F32x4DemoteF64x2Zero), true)),
        _ => return None,
    };
    Some((operation, false))
}

/// Compiles an operation that may be one on vectors; by its stencil if it has no encoder.
///
/// # Errors
/// If it has none either.
pub(super) fn operation(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let data = &d.body.dfg.insts[inst];
    let (&[first, ..], &[result]) = (d.args(inst), d.body.dfg.inst_results(inst)) else {
        return stencils::operation(d, inst);
    };
    let (operand, result) = (d.ty(first), d.ty(result));
    if let (InstructionData::Shuffle { imm, .. }, true) = (data, table::is_supported()) {
        return shuffle(d, inst, *imm);
    }
    let is_encoded = is_encoded_operation(data, operand, result, d.canonical_nans);
    if !is_encoded || !table::is_supported() {
        return stencils::operation(d, inst);
    }
    push_operands(d, inst)?;
    let mut clean = false;
    match (*data, lane(operand)) {
        (InstructionData::BinaryImm8 { imm, .. }, Some(lane)) => {
            d.asm.vector_extract(lane, imm, false);
            clean = true;
        }
        (InstructionData::TernaryImm8 { imm, .. }, Some(lane)) => d.asm.vector_replace(lane, imm),
        _ => match encoded(data, operand, result) {
            Some((operation, _)) => d.asm.vector(operation),
            None => {
                test(d, data.opcode(), operand);
                clean = true;
            }
        },
    }
    d.define(d.result(inst), clean);
    Ok(())
}

/// Pushes whether any bit is set, or no lane is zero.
fn test(d: &mut Driver<'_>, opcode: Opcode, operand: Type) {
    let equal = lane(operand).and_then(|lane| VectorOperation::compare(lane, IntTest::Eq));
    let condition = match (opcode, equal) {
        (Opcode::VallTrue, Some(VectorOperation::Binary(equal))) => {
            d.asm.vector_all_true(equal, false)
        }
        _ => d.asm.vector_any_true(false),
    };
    d.asm.push_condition(condition);
}

fn shuffle(d: &mut Driver<'_>, inst: Inst, mask: Immediate) -> Result<(), CompileError> {
    let mask = <[u8; 16]>::try_from(d.body.dfg.immediates[mask].as_slice());
    match mask {
        Ok(mask) if is_encoded_shuffle(&mask) => {
            push_operands(d, inst)?;
            if !d.asm.vector_shuffle(&mask) {
                return Err(bailout("a shuffle of this mask"));
            }
            d.define(d.result(inst), false);
            Ok(())
        }
        _ => stencils::operation(d, inst),
    }
}

fn push_operands(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let args = d.args(inst);
    // Of a `bitselect` the mask comes first, where the assembler has it last.
    let last = usize::from(d.body.dfg.insts[inst].opcode() == Opcode::Bitselect);
    for &arg in args[last..].iter().chain(&args[..last]) {
        d.push(arg)?;
    }
    d.consume_all(args);
    Ok(())
}

/// Makes the lanes of the lower half of the vector on top twice as wide.
///
/// # Errors
/// If the processor cannot.
pub(super) fn widen(d: &mut Driver<'_>, operation: VectorUnary) -> Result<(), CompileError> {
    if !table::is_supported() {
        return Err(bailout("a load that widens"));
    }
    d.asm.vector(VectorOperation::Unary(operation));
    Ok(())
}
