//! The table of stencils of CLIF operations: each is the instruction itself.

use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    AtomicRmwOp, InstBuilder, MemFlagsData, Opcode, TrapCode, Type, Value, types,
};
use cranelift_frontend::FunctionBuilder;
use std::fmt::Write as _;
use upshift::embed::StencilMaker;
use upshift::embed::stencil::{
    OPERANDS_MAX, StencilBuf, Ty, is_encoded_operation, operation_key, shuffle_masks,
};

/// The file, from the workspace's root.
pub const FILE: &str = "crates/stencil/src/clif/table/generated/x64.rs";

/// An operation that tier 0 has no encoder for.
struct Operation {
    opcode: Opcode,
    choice: Choice,
    operands: Vec<Type>,
    result: Type,
}

/// What an instruction says besides its operands.
#[derive(Clone, Copy)]
enum Choice {
    Nothing,
    Lane(u8),
    Int(IntCC),
    Float(FloatCC),
    /// What an atomic operation makes of a word in memory.
    Atomic(AtomicRmwOp),
    /// A shuffle's mask, which is filled in.
    Mask([u8; 16]),
}

const INTEGERS: [Type; 4] = [types::I8, types::I16, types::I32, types::I64];
const FLOATS: [Type; 2] = [types::F32, types::F64];
const INTEGER_VECTORS: [Type; 4] = [types::I8X16, types::I16X8, types::I32X4, types::I64X2];
const FLOAT_VECTORS: [Type; 2] = [types::F32X4, types::F64X2];

/// Collects operations.
struct Operations(Vec<Operation>);

impl Operations {
    /// Operations of `count` operands and a result of one type.
    fn add(&mut self, count: usize, types: &[Type], opcodes: &[Opcode]) {
        for &opcode in opcodes {
            for &ty in types {
                self.convert(&vec![ty; count], ty, opcode);
            }
        }
    }

    fn convert(&mut self, operands: &[Type], result: Type, opcode: Opcode) {
        self.choose(operands, result, (opcode, Choice::Nothing));
    }

    fn choose(&mut self, operands: &[Type], result: Type, (opcode, choice): (Opcode, Choice)) {
        let operands = operands.to_vec();
        self.0.push(Operation {
            opcode,
            choice,
            operands,
            result,
        });
    }
}

fn integers(all: &mut Operations) {
    use Opcode::*;
    all.add(
        2,
        &INTEGERS,
        &[Udiv, Sdiv, Urem, Srem, Smin, Umin, Smax, Umax],
    );
    all.add(2, &INTEGERS, &[Umulhi, Smulhi]);
    all.add(2, &INTEGERS[..2], &[Rotl, Rotr]);
    all.add(1, &INTEGERS, &[Iabs, Clz, Cls, Ctz, Popcnt, Bitrev]);
    all.add(1, &INTEGERS[1..], &[Bswap]);
    all.add(3, &INTEGERS, &[Bitselect]);
    for from in INTEGERS {
        for to in INTEGERS {
            all.convert(&[from], to, Bmask);
        }
    }
}

fn floats(all: &mut Operations) {
    use Opcode::*;
    all.add(2, &FLOATS, &[Fadd, Fsub, Fmul, Fdiv, Fmin, Fmax, Fcopysign]);
    all.add(1, &FLOATS, &[Sqrt, Fneg, Fabs, Ceil, Floor, Trunc, Nearest]);
    all.add(2, &FLOATS, &[Band, Bor, Bxor]);
    all.add(1, &FLOATS, &[Bnot]);
    all.add(3, &FLOATS, &[Bitselect]);
    all.convert(&[types::F32], types::F64, Fpromote);
    all.convert(&[types::F64], types::F32, Fdemote);
    for float in FLOATS {
        for integer in INTEGERS {
            for opcode in [FcvtFromUint, FcvtFromSint] {
                all.convert(&[integer], float, opcode);
            }
            if integer.bits() >= 32 {
                for opcode in [FcvtToUint, FcvtToSint, FcvtToUintSat, FcvtToSintSat] {
                    all.convert(&[float], integer, opcode);
                }
            }
        }
    }
}

fn vectors(all: &mut Operations) {
    use Opcode::*;
    all.add(2, &INTEGER_VECTORS, &[Iadd, Isub, Band, Bor, Bxor]);
    all.add(2, &INTEGER_VECTORS[1..], &[Imul]);
    all.add(2, &INTEGER_VECTORS[..3], &[Smin, Umin, Smax, Umax]);
    all.add(
        2,
        &INTEGER_VECTORS[..2],
        &[UaddSat, SaddSat, UsubSat, SsubSat, AvgRound],
    );
    all.add(1, &INTEGER_VECTORS, &[Ineg, Iabs, Bnot]);
    all.add(1, &INTEGER_VECTORS[..1], &[Popcnt]);
    all.add(2, &FLOAT_VECTORS, &[Fadd, Fsub, Fmul, Fdiv, Fmin, Fmax]);
    all.add(
        1,
        &FLOAT_VECTORS,
        &[Sqrt, Fneg, Fabs, Ceil, Floor, Trunc, Nearest],
    );
    all.add(2, &FLOAT_VECTORS, &[Band, Bor, Bxor]);
    all.add(1, &FLOAT_VECTORS, &[Bnot]);
    all.add(3, &INTEGER_VECTORS, &[Bitselect]);
    all.add(3, &FLOAT_VECTORS, &[Bitselect]);
    for vector in INTEGER_VECTORS {
        for opcode in [Ishl, Ushr, Sshr] {
            all.convert(&[vector, types::I32], vector, opcode);
        }
        for opcode in [VanyTrue, VallTrue] {
            all.convert(&[vector], types::I8, opcode);
        }
        all.convert(&[vector], types::I32, VhighBits);
    }
    for vector in INTEGER_VECTORS.into_iter().chain(FLOAT_VECTORS) {
        all.convert(&[vector.lane_type()], vector, Splat);
    }
    for [narrow, wide] in [[0, 1], [1, 2], [2, 3]] {
        let (narrow, wide) = (INTEGER_VECTORS[narrow], INTEGER_VECTORS[wide]);
        for opcode in [SwidenLow, SwidenHigh, UwidenLow, UwidenHigh] {
            all.convert(&[narrow], wide, opcode);
        }
        if wide != types::I64X2 {
            for opcode in [Snarrow, Unarrow] {
                all.convert(&[wide, wide], narrow, opcode);
            }
        }
    }
    let bytes = types::I8X16;
    all.add(2, &[bytes], &[Swizzle, X86Pshufb]);
    all.add(2, &INTEGER_VECTORS[1..2], &[X86Pmulhrsw]);
    all.convert(&[bytes, bytes], types::I16X8, X86Pmaddubsw);
    all.add(3, &[bytes, types::I32X4, types::I64X2], &[Blendv]);
    all.add(2, &INTEGER_VECTORS[1..3], &[IaddPairwise]);
    all.add(2, &INTEGER_VECTORS[1..2], &[SqmulRoundSat]);
    all.convert(&[types::I32X4], types::F32X4, FcvtFromSint);
    all.convert(&[types::I32X4], types::F32X4, FcvtFromUint);
    all.convert(&[types::F32X4], types::I32X4, FcvtToSintSat);
    all.convert(&[types::F32X4], types::I32X4, FcvtToUintSat);
    all.convert(&[types::F64X2], types::F32X4, Fvdemote);
    all.convert(&[types::F32X4], types::F64X2, FvpromoteLow);
}

fn lanes_and_comparisons(all: &mut Operations) {
    use Opcode::*;
    for vector in INTEGER_VECTORS.into_iter().chain(FLOAT_VECTORS) {
        let lane_type = vector.lane_type();
        for lane in 0..vector.lane_count() as u8 {
            let lane = Choice::Lane(lane);
            all.choose(&[vector], lane_type, (Extractlane, lane));
            all.choose(&[vector, lane_type], vector, (Insertlane, lane));
        }
        if matches!(lane_type.bits(), 32 | 64) {
            all.convert(&[lane_type], vector, ScalarToVector);
        }
    }
    for vector in INTEGER_VECTORS {
        for &condition in IntCC::all() {
            let choice = Choice::Int(condition);
            all.choose(&[vector, vector], vector, (Icmp, choice));
        }
    }
    // Cranelift has no code for the other two.
    let has_code =
        |c: &&FloatCC| !matches!(**c, FloatCC::OrderedNotEqual | FloatCC::UnorderedOrEqual);
    for vector in FLOAT_VECTORS {
        for &condition in FloatCC::all().iter().filter(has_code) {
            let choice = Choice::Float(condition);
            all.choose(&[vector, vector], vector.as_truthy(), (Fcmp, choice));
        }
    }
    let mask = Choice::Mask([0; 16]);
    let bytes = types::I8X16;
    all.choose(&[bytes, bytes], bytes, (Shuffle, mask));
}

fn atomics(all: &mut Operations) {
    for ty in INTEGERS {
        for &op in AtomicRmwOp::all() {
            let choice = Choice::Atomic(op);
            all.choose(&[types::I64, ty], ty, (Opcode::AtomicRmw, choice));
        }
        all.convert(&[types::I64, ty, ty], ty, Opcode::AtomicCas);
    }
}

impl Operation {
    fn name(&self) -> String {
        let operands: Vec<String> = self.operands.iter().map(Type::to_string).collect();
        let choice = match self.choice {
            Choice::Nothing | Choice::Mask(_) => String::new(),
            Choice::Lane(lane) => format!(" {lane}"),
            Choice::Int(condition) => format!(" {condition}"),
            Choice::Float(condition) => format!(" {condition}"),
            Choice::Atomic(op) => format!(" {op}"),
        };
        let (opcode, result) = (self.opcode, self.result);
        format!("{opcode}.{result}{choice} of {}", operands.join(", "))
    }

    /// Makes it, and finds out its number. Nothing if tier 0 has an encoder for it, with canonical NaNs or not.
    fn make(
        &self,
        maker: &StencilMaker,
        canonical_nans: bool,
    ) -> Result<Option<(u32, StencilBuf)>> {
        let name = self.name();
        let (mut key, mut is_encoded) = (None, false);
        let lower = |b: &mut FunctionBuilder<'_>, values: &[Value]| {
            let value = self.lower(b, values)?;
            let inst = b.func.dfg.value_def(value).inst()?;
            let data = &b.func.dfg.insts[inst];
            let (operand, result) = (self.operands[0], self.result);
            key = operation_key(data, operand, result);
            is_encoded = is_encoded_operation(data, operand, result, canonical_nans);
            Some(value)
        };
        let made = maker.make(&name, &self.operands, Some(self.result), lower);
        let made = made.with_context(|| name.clone())?;
        let key = key.with_context(|| format!("{name} has no number"))?;
        Ok((!is_encoded).then_some((key, made)))
    }

    /// The same for a shuffle whose mask is filled in: the one that Cranelift makes if a mask has no regularity.
    fn make_with_holes(&self, maker: &StencilMaker) -> Result<(u32, StencilBuf)> {
        let mut samples = Vec::new();
        let mut number = 0;
        for mask in shuffle_masks() {
            let sample = Operation {
                choice: Choice::Mask(mask),
                operands: self.operands.clone(),
                ..*self
            };
            if let Some((key, stencil)) = sample.make(maker, false)? {
                number = key;
                samples.push((mask.to_vec(), stencil));
            }
        }
        let stencil = StencilBuf::with_holes(&samples).with_context(|| self.name())?;
        Ok((number, stencil))
    }

    fn lower(&self, b: &mut FunctionBuilder<'_>, values: &[Value]) -> Option<Value> {
        if let Choice::Mask(mask) = self.choice {
            let mask = b.func.dfg.immediates.push(mask[..].into());
            return Some(b.ins().shuffle(*values.first()?, *values.get(1)?, mask));
        }
        // The trap is another one where the stencil is copied.
        let flags = MemFlagsData::new().with_trap_code(Some(TrapCode::HEAP_OUT_OF_BOUNDS));
        match (self.choice, values) {
            (Choice::Atomic(op), &[address, value]) => {
                return Some(b.ins().atomic_rmw(self.result, flags, op, address, value));
            }
            (Choice::Nothing, &[address, expected, value]) if self.opcode == Opcode::AtomicCas => {
                return Some(b.ins().atomic_cas(flags, address, expected, value));
            }
            _ => {}
        }
        let by_operand = self.opcode.constraints().use_typevar_operand();
        let ty = if by_operand {
            self.operands[0]
        } else {
            self.result
        };
        let (inst, dfg) = match (self.choice, values) {
            (Choice::Nothing, &[value]) => b.ins().Unary(self.opcode, ty, value),
            (Choice::Nothing, &[left, right]) => b.ins().Binary(self.opcode, ty, left, right),
            (Choice::Nothing, &[first, second, third]) => {
                b.ins().Ternary(self.opcode, ty, first, second, third)
            }
            (Choice::Lane(lane), &[vector]) => b.ins().BinaryImm8(self.opcode, ty, lane, vector),
            (Choice::Lane(lane), &[vector, value]) => {
                b.ins().TernaryImm8(self.opcode, ty, lane, vector, value)
            }
            (Choice::Int(condition), &[left, right]) => {
                b.ins().IntCompare(self.opcode, ty, condition, left, right)
            }
            (Choice::Float(condition), &[left, right]) => {
                b.ins()
                    .FloatCompare(self.opcode, ty, condition, left, right)
            }
            _ => return None,
        };
        Some(dfg.first_result(inst))
    }
}

/// A stencil, and the variants that it is for, as bits.
struct Made {
    key: u32,
    name: String,
    variants: u8,
    stencil: StencilBuf,
}

/// The table as Rust source: `makers` are those of each level of processors, without and with canonical NaNs.
pub fn source(makers: &[[StencilMaker; 2]]) -> Result<String> {
    let mut all = Operations(Vec::new());
    integers(&mut all);
    floats(&mut all);
    vectors(&mut all);
    lanes_and_comparisons(&mut all);
    atomics(&mut all);
    let mut rows: Vec<Made> = Vec::new();
    for operation in &all.0 {
        let name = operation.name();
        let first = rows.len();
        for (number, maker) in makers.iter().flatten().enumerate() {
            let made = match operation.choice {
                Choice::Mask(_) => Some(operation.make_with_holes(maker)?),
                _ => operation.make(maker, number % 2 == 1)?,
            };
            let Some((key, stencil)) = made else {
                continue;
            };
            match rows[first..].iter_mut().find(|row| row.stencil == stencil) {
                Some(row) => row.variants |= 1 << number,
                None => rows.push(Made {
                    key,
                    name: name.clone(),
                    variants: 1 << number,
                    stencil,
                }),
            }
        }
    }
    rows.sort_by_key(|row| (row.key, row.variants.trailing_zeros()));
    Ok(text(&rows))
}

fn text(rows: &[Made]) -> String {
    let mut text = String::from(
        "//! Stencils for x86-64, generated by `cargo xtask stencils`. Not to be edited.\n\n\
         use crate::clif::table::row::{Row, hole, row, trap};\n\
         use crate::stencil::HoleKind::*;\n\
         use crate::stencil::{Hole, StencilTrap};\n\
         use crate::value::Ty::*;\n\n\
         /// All of them, sorted by their operations.\n\
         #[rustfmt::skip]\npub(in crate::clif::table) const ROWS: &[Row] = &[\n",
    );
    let (mut traps, mut holes, mut code) = (String::new(), String::new(), String::new());
    let (mut traps_len, mut holes_len, mut code_len) = (0, 0, 0);
    for row in rows {
        let stencil = row.stencil.as_stencil();
        let mut operands = [Ty::I32; OPERANDS_MAX];
        operands[..stencil.operands.len()].copy_from_slice(stencil.operands);
        let (count, bytes) = (stencil.traps.len(), stencil.code.len());
        let hole_count = stencil.holes.len();
        let _ = writeln!(
            text,
            "    row(({:#x}, {:#06b}), ({operands:?}, {}), {:?}, ({:#x}, {}), (({traps_len}, {count}), ({holes_len}, {hole_count})), ({code_len}, {bytes})), // {}",
            row.key,
            row.variants,
            stencil.operands.len(),
            stencil.result.unwrap_or(Ty::I32),
            stencil.clobbers,
            stencil.aligned,
            row.name,
        );
        for trap in stencil.traps {
            let _ = writeln!(
                traps,
                "    trap({}, {}), // {}",
                trap.offset, trap.kind, row.name
            );
        }
        for hole in stencil.holes {
            let _ = writeln!(
                holes,
                "    hole({}, {}, {:?}), // {}",
                hole.offset, hole.byte, hole.kind, row.name
            );
        }
        let line: Vec<String> = stencil
            .code
            .iter()
            .map(|byte| format!("{byte:#04x},"))
            .collect();
        let _ = writeln!(code, "    {} // {}", line.join(" "), row.name);
        traps_len += count;
        holes_len += hole_count;
        code_len += bytes;
    }
    let _ = write!(
        text,
        "];\n\n/// Where they trap.\n#[rustfmt::skip]\npub(in crate::clif::table) const TRAPS: &[StencilTrap] = &[\n{traps}];\n\n\
         /// What depends on immediates.\n#[rustfmt::skip]\npub(in crate::clif::table) const HOLES: &[Hole] = &[\n{holes}];\n\n\
         /// The code of all of them.\n#[rustfmt::skip]\npub(in crate::clif::table) const CODE: &[u8] = &[\n{code}];\n"
    );
    text
}
