//! x86-64: which registers a function writes, and whether it keeps to itself.

use crate::arch::x64::{
    CALLEE_SAVED, FRAME as FRAME_POINTER, GENERAL_ARGUMENTS, Reg, STACK, STENCIL_PROLOGUE,
    VECTOR_ARGUMENTS,
};
use crate::shape::survey::{Frame, ShapeError, Survey};
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
};

/// The bytes that a stencil's function returns with: `mov rsp, rbp; pop rbp; ret`.
const STENCIL_EPILOGUE: [u8; 5] = [0x48, 0x89, 0xec, 0x5d, 0xc3];

pub(in crate::shape) const FRAME: Frame = Frame {
    prologue: &STENCIL_PROLOGUE,
    epilogue: &STENCIL_EPILOGUE,
    general_arguments: GENERAL_ARGUMENTS.len(),
    vector_arguments: VECTOR_ARGUMENTS.len(),
    survey: Survey::of,
    jump,
};

/// A jump takes as many bytes as the epilogue.
fn jump(code: &mut [u8], at: usize, behind: usize) {
    code[at] = 0xe9;
    code[at + 1..at + 5].copy_from_slice(&(behind as u32).to_le_bytes());
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
                survey.note(&mut factory, &instruction)?;
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

    fn note(
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
            if reg == STACK || reg == FRAME_POINTER || (kept && writes) {
                return Err(wrong);
            }
            if writes {
                self.writes |= u64::from(reg.bit());
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
