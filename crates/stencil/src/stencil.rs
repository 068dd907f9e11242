//! Stencils: machine code of one operation, made by an optimizing compiler, to be copied into a function.
//!
//! A stencil comes from a function in the `tail` convention that takes the operands and returns the result. Its frame
//! code, which is the same bytes each time, is cut off. What is left must be self-contained: no spills, no calls, and
//! nothing to relocate. Its inputs and its output are where the convention has them; which registers it changes is read
//! off the instructions.

use crate::abi::{Assignment, Place};
use crate::arch::x64::{CALLEE_SAVED, FRAME, Reg, STACK, STENCIL_EPILOGUE, STENCIL_PROLOGUE};
use crate::assembler::Assembler;
use crate::moves::Move;
use crate::value::Ty;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
};
use upshift_codegen::{CompiledCode, TrapSite};

/// Machine code of one operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stencil {
    bytes: Vec<u8>,
    inputs: Vec<Reg>,
    output: Option<(Ty, Reg)>,
    /// Registers that it changes.
    clobbers: u32,
    traps: Vec<TrapSite>,
    /// Whether it reads constants of its own, which are aligned if it starts [`STENCIL_PROLOGUE`] bytes behind a
    /// multiple of 16.
    aligned: bool,
}

/// Why code is no stencil.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShapeError {
    /// The operands or the result do not all fit in registers.
    #[error("an operand or the result is not in a register")]
    Signature,
    /// The code depends on where something else is.
    #[error("there is something to relocate")]
    Relocation,
    /// The function does not begin and end as it should.
    #[error("the frame code is not the usual one")]
    Frame,
    /// An instruction that does not belong into a stencil.
    #[error("there is an instruction at {0:#x} that uses the stack, calls, or is unknown")]
    Instruction(u64),
}

impl Stencil {
    /// Makes a stencil of a function from `operands` to `result`.
    ///
    /// # Errors
    /// If the code is of another shape.
    pub fn new(
        code: &CompiledCode,
        operands: &[Ty],
        result: Option<Ty>,
    ) -> Result<Stencil, ShapeError> {
        if !code.relocations.is_empty() {
            return Err(ShapeError::Relocation);
        }
        let mut assignment = Assignment::operands();
        let inputs = operands.iter().map(|&ty| match assignment.next(ty) {
            Place::Reg(reg) => Ok(reg),
            Place::Stack(_) => Err(ShapeError::Signature),
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let output = match result.map(|ty| (ty, Assignment::results().next(ty))) {
            None => None,
            Some((ty, Place::Reg(reg))) => Some((ty, reg)),
            Some(_) => return Err(ShapeError::Signature),
        };
        if !code.bytes.starts_with(&STENCIL_PROLOGUE) {
            return Err(ShapeError::Frame);
        }
        let survey = Survey::of(&code.bytes)?;
        let mut bytes = code.bytes[STENCIL_PROLOGUE.len()..].to_vec();
        let end = survey.epilogue - STENCIL_PROLOGUE.len();
        let behind = bytes.len() - end - STENCIL_EPILOGUE.len();
        if behind == 0 {
            bytes.truncate(end);
        } else {
            // A jump over what is behind takes as many bytes.
            bytes[end] = 0xe9;
            bytes[end + 1..end + 5].copy_from_slice(&(behind as u32).to_le_bytes());
        }
        let shift = STENCIL_PROLOGUE.len() as u32;
        let traps = code.traps.iter().map(|trap| TrapSite {
            offset: trap.offset - shift,
            ..*trap
        });
        Ok(Stencil {
            bytes,
            inputs,
            output,
            clobbers: survey.writes,
            traps: traps.collect(),
            aligned: survey.reads_constants,
        })
    }

    /// Bytes of code.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// What the instructions of a function do.
struct Survey {
    writes: u32,
    /// Where the epilogue starts.
    epilogue: usize,
    reads_constants: bool,
}

impl Survey {
    /// Follows all paths from the end of the prologue.
    fn of(bytes: &[u8]) -> Result<Survey, ShapeError> {
        let mut survey = Survey {
            writes: 0,
            epilogue: 0,
            reads_constants: false,
        };
        let mut factory = InstructionInfoFactory::new();
        let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
        let mut seen = vec![false; bytes.len()];
        let mut paths = vec![STENCIL_PROLOGUE.len()];
        while let Some(mut at) = paths.pop() {
            while at < bytes.len() && !std::mem::replace(&mut seen[at], true) {
                if bytes[at..].starts_with(&STENCIL_EPILOGUE) {
                    if survey.epilogue != 0 {
                        return Err(ShapeError::Frame);
                    }
                    survey.epilogue = at;
                    break;
                }
                decoder
                    .set_position(at)
                    .map_err(|_| ShapeError::Instruction(at as u64))?;
                decoder.set_ip(at as u64);
                let instruction = decoder.decode();
                survey.add(&mut factory, &instruction)?;
                match instruction.flow_control() {
                    FlowControl::Next => {}
                    FlowControl::ConditionalBranch => {
                        paths.push(instruction.near_branch_target() as usize);
                    }
                    FlowControl::UnconditionalBranch => {
                        paths.push(instruction.near_branch_target() as usize);
                        break;
                    }
                    // The undefined instruction.
                    FlowControl::Exception => break,
                    _ => return Err(ShapeError::Instruction(at as u64)),
                }
                at += instruction.len();
            }
        }
        match survey.epilogue {
            0 => Err(ShapeError::Frame),
            _ => Ok(survey),
        }
    }

    fn add(
        &mut self,
        factory: &mut InstructionInfoFactory,
        instruction: &Instruction,
    ) -> Result<(), ShapeError> {
        let wrong = ShapeError::Instruction(instruction.ip());
        if instruction.is_invalid() {
            return Err(wrong);
        }
        self.reads_constants |= instruction.is_ip_rel_memory_operand();
        for used in factory.info(instruction).used_registers() {
            let Some(reg) = register(used.register()) else {
                continue;
            };
            let writes = !matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
            let kept = CALLEE_SAVED.contains(&reg);
            if reg == STACK || reg == FRAME || (kept && writes) {
                return Err(wrong);
            }
            if writes {
                self.writes |= reg.bit();
            }
        }
        Ok(())
    }
}

/// The register that a value would be in.
fn register(register: Register) -> Option<Reg> {
    let full = register.full_register();
    if full.is_gpr() {
        return Some(Reg(full.number() as u8));
    }
    let vector = full.is_xmm() || full.is_ymm() || full.is_zmm();
    vector.then(|| Reg(16 + (full.number() & 15) as u8))
}

impl Assembler {
    /// Copies a stencil here: pops its operands and pushes its result.
    pub fn stencil(&mut self, stencil: &Stencil) {
        for &input in stencil.inputs.iter().rev() {
            let val = self.pop();
            let from = self.source(val);
            self.moves.push(Move::new(input, from));
        }
        let inputs = stencil.inputs.iter().fold(0, |set, reg| set | reg.bit());
        let output = stencil.output.map_or(0, |(_, reg)| reg.bit());
        self.evict_all(inputs | output | stencil.clobbers);
        self.make_moves();
        if stencil.aligned {
            self.aligned = true;
            let behind = self.code.bytes.len() % 16;
            self.code.pad((16 + STENCIL_PROLOGUE.len() - behind) % 16);
        }
        if !stencil.traps.is_empty() {
            self.code.position(self.position);
        }
        let start = self.code.offset();
        for trap in &stencil.traps {
            self.code.traps.push(TrapSite {
                offset: start + trap.offset,
                ..*trap
            });
        }
        self.code.bytes.extend(&stencil.bytes);
        self.used |= stencil.clobbers | inputs | output;
        self.pinned = 0;
        if let Some((ty, reg)) = stencil.output {
            self.push_result(ty, reg);
        }
    }
}
