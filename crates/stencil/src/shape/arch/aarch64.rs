//! AArch64: which registers a function writes, and whether it keeps to itself.
//!
//! There is no decoder for this architecture here, and none is needed: the classes of instructions are told apart by
//! four bits (Arm's manual, "A64 instruction set encoding", C4.1), the destination is in the lowest five of all but
//! those that are refused, and to take a register for written that is not only costs a move.

use crate::shape::survey::{Frame, ShapeError, Survey};

/// `stp x29, x30, [sp, #-16]!; mov x29, sp`.
const PROLOGUE: [u8; 8] = [0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91];
/// `ldp x29, x30, [sp], #16; ret`.
const EPILOGUE: [u8; 8] = [0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f, 0xd6];

/// The first register that is not an operand's nor a temporary's: x18 and above are kept, or the platform's.
const FIRST_KEPT: u32 = 18;
/// The number that stands for the stack pointer or for zero.
const ZERO_OR_STACK: u32 = 31;

pub(in crate::shape) const FRAME: Frame = Frame {
    prologue: &PROLOGUE,
    epilogue: &EPILOGUE,
    // x2 to x7, and v0 to v7.
    general_arguments: 6,
    vector_arguments: 8,
    survey,
    jump,
};

/// An unconditional branch over the other half of the epilogue and what is behind.
fn jump(code: &mut [u8], at: usize, behind: usize) {
    let words = ((EPILOGUE.len() + behind) / 4) as u32;
    code[at..at + 4].copy_from_slice(&(0x1400_0000 | words).to_le_bytes());
}

/// Follows all paths from the end of the prologue.
fn survey(bytes: &[u8]) -> Result<Survey, ShapeError> {
    let mut survey = Survey {
        writes: 0,
        epilogue: 0,
        reads_constants: false,
    };
    let mut seen = vec![false; bytes.len() / 4];
    let mut paths = vec![PROLOGUE.len()];
    while let Some(mut at) = paths.pop() {
        while let Some(false) = seen.get(at / 4).copied() {
            seen[at / 4] = true;
            if bytes[at..].starts_with(&EPILOGUE) {
                if survey.epilogue != 0 {
                    return Err(ShapeError::Frame);
                }
                survey.epilogue = at;
                break;
            }
            let word = bytes[at..at + 4].try_into().map(u32::from_le_bytes);
            let word = word.map_err(|_| ShapeError::Instruction(at as u64))?;
            let target = survey.add(word, at)?;
            paths.extend(target);
            // A branch without a condition, and what is undefined.
            if word >> 26 == 0b000101 || word >> 16 == 0 {
                break;
            }
            at += 4;
        }
    }
    match survey.epilogue {
        0 => Err(ShapeError::Frame),
        _ => Ok(survey),
    }
}

impl Survey {
    /// Notes what an instruction does. Returns where it may branch to.
    fn add(&mut self, word: u32, at: usize) -> Result<Option<usize>, ShapeError> {
        let wrong = ShapeError::Instruction(at as u64);
        let field = |low: u32, bits: u32| (word >> low) & ((1 << bits) - 1);
        let relative = |low: u32, bits: u32| {
            let words = (field(low, bits) << (32 - bits)).cast_signed() >> (32 - bits);
            at.checked_add_signed(words as isize * 4)
        };
        match field(25, 4) {
            // Undefined.
            0b0000 if word >> 16 == 0 => Ok(None),
            // Branches: with a condition, on a register, on a bit, without a condition.
            0b1010 | 0b1011 => match word >> 24 {
                0x54 | 0x34 | 0x35 | 0xb4 | 0xb5 => Ok(relative(5, 19)),
                0x36 | 0x37 | 0xb6 | 0xb7 => Ok(relative(5, 14)),
                0x14..=0x17 => Ok(relative(0, 26)),
                _ => Err(wrong),
            },
            // Data processing with an immediate, and with registers.
            // Among the former, sums without flags can be written to the stack pointer.
            0b1000 | 0b1001
                if field(23, 6) == 0b100010
                    && field(29, 1) == 0
                    && field(0, 5) == ZERO_OR_STACK =>
            {
                Err(wrong)
            }
            0b1000 | 0b1001 | 0b0101 | 0b1101 => {
                // An address relative to the program counter is one of constants.
                self.reads_constants |= field(24, 5) == 0b10000;
                self.write(field(0, 5), false, wrong)
            }
            // The same with vectors; some have general registers as destinations.
            0b0111 | 0b1111 => {
                self.writes |= 1 << (32 + field(0, 5));
                self.write(field(0, 5), true, wrong)
            }
            0b0100 | 0b0110 | 0b1100 | 0b1110 => self.access(word, wrong),
            _ => Err(wrong),
        }
    }

    /// Loads and stores of one register, with an unsigned offset, from the program counter, of one structure's lane.
    fn access(&mut self, word: u32, wrong: ShapeError) -> Result<Option<usize>, ShapeError> {
        let field = |low: u32, bits: u32| (word >> low) & ((1 << bits) - 1);
        let literal = field(27, 3) == 0b011 && field(24, 2) == 0;
        let single = field(27, 3) == 0b111;
        // Unscaled, by a register, or scaled; the others write their base.
        let plain = field(24, 2) == 1
            || (field(24, 2) == 0 && field(21, 1) == 0 && field(10, 2) == 0)
            || (field(24, 2) == 0 && field(21, 1) == 1 && field(10, 2) == 2);
        // Lanes and replication without a change of the base.
        let lane = field(23, 8) & 0x7f == 0b0011010;
        self.reads_constants |= literal;
        if !(literal || single && plain || lane) {
            return Err(wrong);
        }
        if !literal && field(5, 5) == ZERO_OR_STACK {
            return Err(wrong);
        }
        if lane || field(26, 1) == 1 {
            self.writes |= 1 << (32 + field(0, 5));
            return Ok(None);
        }
        self.write(field(0, 5), false, wrong)
    }

    /// A general register is written; for vector instructions perhaps only, and then it must not be one that is kept.
    fn write(
        &mut self,
        register: u32,
        perhaps: bool,
        wrong: ShapeError,
    ) -> Result<Option<usize>, ShapeError> {
        match register {
            ZERO_OR_STACK => {}
            FIRST_KEPT.. if perhaps => {}
            FIRST_KEPT.. => return Err(wrong),
            _ => self.writes |= 1 << register,
        }
        Ok(None)
    }
}
