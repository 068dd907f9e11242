//! The table of stencils of CLIF operations: each is the instruction itself.

use anyhow::{Context as _, Result};
use cranelift_codegen::ir::{InstBuilder, Opcode, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use std::fmt::Write as _;
use upshift::embed::StencilMaker;
use upshift::embed::stencil::{OPERANDS_MAX, StencilBuf, Ty, operation_key};

/// The file, from the workspace's root.
pub const FILE: &str = "crates/stencil/src/clif/table/generated/x64.rs";

/// An operation that tier 0 has no encoder for.
struct Operation {
    opcode: Opcode,
    operands: Vec<Type>,
    result: Type,
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
        let operands = operands.to_vec();
        self.0.push(Operation {
            opcode,
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
    all.add(3, &INTEGER_VECTORS, &[Bitselect]);
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
    all.convert(&[types::I32X4], types::F32X4, FcvtFromSint);
    all.convert(&[types::I32X4], types::F32X4, FcvtFromUint);
    all.convert(&[types::F32X4], types::I32X4, FcvtToSintSat);
    all.convert(&[types::F32X4], types::I32X4, FcvtToUintSat);
    all.convert(&[types::F64X2], types::F32X4, Fvdemote);
    all.convert(&[types::F32X4], types::F64X2, FvpromoteLow);
}

impl Operation {
    fn name(&self) -> String {
        let operands: Vec<String> = self.operands.iter().map(Type::to_string).collect();
        format!("{}.{} of {}", self.opcode, self.result, operands.join(", "))
    }

    fn lower(&self, b: &mut FunctionBuilder<'_>, values: &[Value]) -> Option<Value> {
        let by_operand = self.opcode.constraints().use_typevar_operand();
        let ty = if by_operand {
            self.operands[0]
        } else {
            self.result
        };
        let (inst, dfg) = match *values {
            [value] => b.ins().Unary(self.opcode, ty, value),
            [left, right] => b.ins().Binary(self.opcode, ty, left, right),
            [first, second, third] => b.ins().Ternary(self.opcode, ty, first, second, third),
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
    let mut rows: Vec<Made> = Vec::new();
    for operation in &all.0 {
        let name = operation.name();
        let key = operation_key(operation.opcode, operation.operands[0], operation.result);
        let key = key.with_context(|| format!("{name} has no number"))?;
        let first = rows.len();
        for (number, maker) in makers.iter().flatten().enumerate() {
            let (operands, result) = (&operation.operands, Some(operation.result));
            let made = maker.make(&name, operands, result, |b, values| {
                operation.lower(b, values)
            });
            let stencil = made.with_context(|| name.clone())?;
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
         use crate::clif::table::row::{Row, row, trap};\n\
         use crate::stencil::StencilTrap;\n\
         use crate::value::Ty::*;\n\n\
         /// All of them, sorted by their operations.\n\
         #[rustfmt::skip]\npub(in crate::clif::table) const ROWS: &[Row] = &[\n",
    );
    let (mut traps, mut code) = (String::new(), String::new());
    let (mut traps_len, mut code_len) = (0, 0);
    for row in rows {
        let stencil = row.stencil.as_stencil();
        let mut operands = [Ty::I32; OPERANDS_MAX];
        operands[..stencil.operands.len()].copy_from_slice(stencil.operands);
        let (count, bytes) = (stencil.traps.len(), stencil.code.len());
        let _ = writeln!(
            text,
            "    row(({:#x}, {:#06b}), ({operands:?}, {}), {:?}, ({:#x}, {}), ({traps_len}, {count}), ({code_len}, {bytes})), // {}",
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
        let line: Vec<String> = stencil
            .code
            .iter()
            .map(|byte| format!("{byte:#04x},"))
            .collect();
        let _ = writeln!(code, "    {} // {}", line.join(" "), row.name);
        traps_len += count;
        code_len += bytes;
    }
    let _ = write!(
        text,
        "];\n\n/// Where they trap.\n#[rustfmt::skip]\npub(in crate::clif::table) const TRAPS: &[StencilTrap] = &[\n{traps}];\n\n\
         /// The code of all of them.\n#[rustfmt::skip]\npub(in crate::clif::table) const CODE: &[u8] = &[\n{code}];\n"
    );
    text
}
