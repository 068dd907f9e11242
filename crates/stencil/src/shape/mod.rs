//! The making of stencils: from a compiled function to bytes that can be copied, if its shape allows it.
//!
//! A stencil comes from a function in the `tail` convention that takes the operands and returns the result. Its frame
//! code, which is the same bytes each time, is cut off. What is left must be self-contained: no spills, no calls, and
//! nothing to relocate. Which registers it changes is read off the instructions. Where immediates are is found by
//! compiling the operation with several and comparing.
//!
//! Nothing of this is needed to copy stencils: a front end with a table of them does without.

mod arch;
mod survey;
mod text;

pub use survey::ShapeError;
pub use text::TextError;

use crate::stencil::{Hole, HoleKind, Stencil, StencilTrap};
use crate::value::Ty;
use survey::Frame;
use upshift_codegen::CompiledCode;

/// The processor that a stencil is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Architecture {
    /// x86-64.
    X64,
    /// AArch64.
    Aarch64,
}

/// Machine code of one operation, and all that there is to know of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StencilBuf {
    code: Vec<u8>,
    operands: Vec<Ty>,
    result: Option<Ty>,
    clobbers: u64,
    aligned: bool,
    traps: Vec<StencilTrap>,
    holes: Vec<Hole>,
}

impl Architecture {
    fn frame(self) -> &'static Frame {
        match self {
            Architecture::X64 => &arch::x64::FRAME,
            Architecture::Aarch64 => &arch::aarch64::FRAME,
        }
    }
}

/// How many masks a shuffle's code is compared with.
const SHUFFLES: usize = 12;

/// Masks of shuffles of two vectors of 16 lanes, without any regularity, for [`StencilBuf::with_holes`].
pub fn shuffle_masks() -> impl Iterator<Item = [u8; 16]> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut byte = move || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u8 % 32
    };
    (0..SHUFFLES).map(move |_| std::array::from_fn(|_| byte()))
}

impl StencilBuf {
    /// Makes a stencil of a function from `operands` to `result`.
    ///
    /// # Errors
    /// If the code is of another shape.
    pub fn new(
        architecture: Architecture,
        code: &CompiledCode,
        operands: &[Ty],
        result: Option<Ty>,
    ) -> Result<StencilBuf, ShapeError> {
        let frame = architecture.frame();
        if !code.relocations.is_empty() {
            return Err(ShapeError::Relocation);
        }
        let vectors = operands.iter().filter(|ty| ty.is_vector()).count();
        let general = operands.len() - vectors;
        if general > frame.general_arguments || vectors > frame.vector_arguments {
            return Err(ShapeError::Signature);
        }
        if !code.bytes.starts_with(frame.prologue) {
            return Err(ShapeError::Frame);
        }
        let survey = (frame.survey)(&code.bytes)?;
        let mut bytes = code.bytes[frame.prologue.len()..].to_vec();
        let end = survey.epilogue - frame.prologue.len();
        match bytes.len() - end - frame.epilogue.len() {
            0 => bytes.truncate(end),
            behind => (frame.jump)(&mut bytes, end, behind),
        }
        let traps = code.traps.iter().map(|trap| {
            let offset = (trap.offset as usize).checked_sub(frame.prologue.len());
            let offset = offset.and_then(|offset| u16::try_from(offset).ok());
            Ok(StencilTrap {
                offset: offset.ok_or(ShapeError::Length)?,
                kind: trap.kind.code(),
            })
        });
        u16::try_from(bytes.len()).map_err(|_| ShapeError::Length)?;
        Ok(StencilBuf {
            traps: traps.collect::<Result<_, _>>()?,
            code: bytes,
            operands: operands.to_vec(),
            result,
            clobbers: survey.writes,
            aligned: survey.reads_constants,
            holes: Vec::new(),
        })
    }

    /// Makes one stencil, with holes, of several of one operation that were compiled with these immediates.
    ///
    /// Each byte that differs must be what one byte of the immediate becomes in one of the known ways, in all of them.
    /// The more immediates there are, and the less they have in common, the surer it is that it is the right one.
    ///
    /// # Errors
    /// If there is none, or the code differs in anything else.
    pub fn with_holes(samples: &[(Vec<u8>, StencilBuf)]) -> Result<StencilBuf, ShapeError> {
        let [(_, first), others @ ..] = samples else {
            return Err(ShapeError::Immediate(0));
        };
        let mut stencil = first.clone();
        for (_, other) in others {
            let same = StencilBuf {
                code: first.code.clone(),
                ..other.clone()
            };
            if same != *first || other.code.len() != first.code.len() {
                return Err(ShapeError::Immediate(0));
            }
        }
        for offset in 0..first.code.len() {
            if others
                .iter()
                .any(|(_, s)| s.code[offset] != first.code[offset])
            {
                stencil.holes.push(hole(samples, offset)?);
            }
        }
        Ok(stencil)
    }

    /// For an assembler to copy.
    pub fn as_stencil(&self) -> Stencil<'_> {
        Stencil {
            code: &self.code,
            operands: &self.operands,
            result: self.result,
            clobbers: self.clobbers,
            aligned: self.aligned,
            traps: &self.traps,
            holes: &self.holes,
        }
    }
}

/// What the byte at `offset` is in all samples.
fn hole(samples: &[(Vec<u8>, StencilBuf)], offset: usize) -> Result<Hole, ShapeError> {
    let bytes = samples.iter().map(|(immediate, _)| immediate.len());
    let bytes = bytes.min().unwrap_or(0);
    let holes = (0..bytes).flat_map(|byte| {
        HoleKind::ALL.map(|kind| Hole {
            offset: offset as u16,
            byte: byte as u8,
            kind,
        })
    });
    let mut fitting = holes.filter(|hole| {
        let fits = |(immediate, stencil): &(Vec<u8>, StencilBuf)| {
            hole.kind.fill(immediate[usize::from(hole.byte)]) == stencil.code[offset]
        };
        samples.iter().all(fits)
    });
    match (fitting.next(), fitting.next()) {
        (Some(hole), None) => Ok(hole),
        _ => Err(ShapeError::Immediate(offset)),
    }
}
