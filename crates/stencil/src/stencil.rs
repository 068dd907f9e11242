//! Stencils: machine code of one operation, made by an optimizing compiler, to be copied into a function.
//!
//! A stencil is what is left of a function in the `tail` convention, which takes the operands and returns the result,
//! once its frame code is cut off. Its inputs and its output are where the convention has them. The bytes that depend
//! on an operation's immediates are its holes. Who makes one and checks its shape is in `shape`; to copy one takes
//! nothing but what is here.

use crate::abi::{Assignment, Place};
use crate::arch::x64::STENCIL_PROLOGUE;
use crate::assembler::Assembler;
use crate::moves::Move;
use crate::value::Ty;
use upshift_base::TrapKind;
use upshift_codegen::TrapSite;

/// Machine code of one operation, wherever it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stencil<'a> {
    /// Instructions, and the constants that they read.
    pub code: &'a [u8],
    /// What it pops, in the order that it was pushed.
    pub operands: &'a [Ty],
    /// What it pushes.
    pub result: Option<Ty>,
    /// Registers that it changes, as bits: the general ones, then the vector ones.
    pub clobbers: u64,
    /// Whether it reads constants of its own, which are aligned if it starts as far behind a multiple of 16 as its
    /// function's frame code was long.
    pub aligned: bool,
    /// Where it may trap.
    pub traps: &'a [StencilTrap],
    /// What is to be filled in.
    pub holes: &'a [Hole],
}

/// A place in a stencil that may trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StencilTrap {
    /// Where.
    pub offset: u16,
    /// The [`TrapKind`]'s code.
    pub kind: u8,
}

/// A byte of a stencil that depends on a byte of the operation's immediate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hole {
    /// Where it is.
    pub offset: u16,
    /// Which byte of the immediate.
    pub byte: u8,
    /// What becomes of it.
    pub kind: HoleKind,
}

/// How a hole is filled from a byte of an immediate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum HoleKind {
    /// With the byte itself.
    Same,
    /// With a lane's number in the first of two vectors of 16 lanes, or 128 if it is in the second.
    FirstOfTwo,
    /// With a lane's number in the second of two vectors of 16 lanes, or 128 if it is in the first.
    SecondOfTwo,
}

impl HoleKind {
    /// All of them.
    pub const ALL: [HoleKind; 3] = [HoleKind::Same, HoleKind::FirstOfTwo, HoleKind::SecondOfTwo];

    /// What a byte of an immediate becomes.
    pub const fn fill(self, byte: u8) -> u8 {
        match self {
            HoleKind::Same => byte,
            HoleKind::FirstOfTwo if byte < 16 => byte,
            HoleKind::SecondOfTwo if byte >= 16 => byte - 16,
            _ => 128,
        }
    }
}

impl Stencil<'_> {
    /// Fills the holes of a copy of the code.
    pub fn fill(&self, code: &mut [u8], immediate: &[u8]) {
        for hole in self.holes {
            let byte = immediate.get(usize::from(hole.byte));
            let place = code.get_mut(usize::from(hole.offset));
            if let (Some(place), Some(&byte)) = (place, byte) {
                *place = hole.kind.fill(byte);
            }
        }
    }
}

impl Assembler {
    /// Copies a stencil here: pops its operands and pushes its result.
    pub fn stencil(&mut self, stencil: &Stencil<'_>, immediate: &[u8]) {
        let mut assignment = Assignment::operands();
        let mut inputs = 0;
        let bottom = self.vals.len() - stencil.operands.len();
        for index in 0..stencil.operands.len() {
            // What a stencil is made of has all its operands in registers.
            if let Place::Reg(input) = assignment.next(stencil.operands[index]) {
                let from = self.source(self.vals[bottom + index]);
                self.moves.push(Move::new(input, from));
                inputs |= input.bit();
            }
        }
        for _ in stencil.operands {
            self.pop();
        }
        let output = stencil
            .result
            .map(|ty| (ty, Assignment::results().next(ty)));
        let clobbers = stencil.clobbers as u32;
        let written = match output {
            Some((_, Place::Reg(reg))) => reg.bit() | clobbers,
            _ => clobbers,
        };
        self.evict_all(inputs | written);
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
        for trap in stencil.traps {
            self.code.traps.push(TrapSite {
                offset: start + u32::from(trap.offset),
                kind: TrapKind::from_code(trap.kind),
            });
        }
        self.code.bytes.extend(stencil.code);
        let copy = &mut self.code.bytes.as_mut_slice()[start as usize..];
        stencil.fill(copy, immediate);
        self.used |= inputs | written;
        self.pinned = 0;
        if let Some((ty, Place::Reg(reg))) = output {
            self.push_result(ty, reg);
        }
    }
}
