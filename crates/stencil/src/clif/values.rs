//! Where the values of a function are: constants are made where they are used, all others are locals of the assembler.
//!
//! A local, and with it its home slot, is given to the next value when the one that has it is dead. A value is dead
//! behind its last use, but in a loop that began after it was defined, it lives to the loop's end. That follows from
//! the order of the blocks ([`super::scan`]): whatever leads from behind the last use back to it goes through a jump
//! back, and not to a place that the definition dominates and that comes before it, for there is none. Cold blocks,
//! which come last and go back without that being a loop, have locals of their own.

use crate::assembler::{Assembler, Loc};
use crate::value::Ty;
use cranelift_codegen::ir::Inst;

/// Where a value is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Nowhere yet.
    Undefined,
    /// A constant.
    Known(Ty, u64),
    /// A distance from the frame pointer.
    Frame(i32),
    /// The result of a comparison, which the next instruction makes.
    Pending(Inst),
    /// A local.
    Local(Local),
}

/// A value that is a local.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    /// Its number in the assembler.
    pub(super) number: u32,
    /// The place in the order of the block that defines it.
    pub(super) defined: u32,
    /// Whether the bits above the type's width are zero.
    pub(super) clean: bool,
}

/// A loop that has begun and not ended: all blocks from the one that is jumped back to on, to the last that does.
struct OpenLoop {
    start: u32,
    end: u32,
    /// What dies with it.
    dying: Vec<Local>,
}

/// The values of a function.
pub(super) struct Values {
    /// Of each value.
    pub(super) places: Vec<Place>,
    /// Uses of each value that are still to come.
    pub(super) uses: Vec<u32>,
    /// The loops around, the outermost first.
    loops: Vec<OpenLoop>,
    /// Locals with slots of 8 and of 16 bytes that hold nothing; then the same of cold blocks.
    free: [Vec<u32>; 4],
    /// For each local whether it is one of them.
    is_free: Vec<bool>,
    /// For each local whether it is a cold block's.
    is_cold: Vec<bool>,
    /// Whether cold blocks are being made.
    pub(super) cold: bool,
}

/// Which list of free locals one belongs to.
fn class(ty: Ty, cold: bool) -> usize {
    usize::from(ty == Ty::V128) + 2 * usize::from(cold)
}

impl Values {
    pub(super) fn new(uses: Vec<u32>) -> Values {
        Values {
            places: vec![Place::Undefined; uses.len()],
            uses,
            loops: Vec::new(),
            free: Default::default(),
            is_free: Vec::new(),
            is_cold: Vec::new(),
            cold: false,
        }
    }

    /// A local that holds nothing. There are no operands.
    pub(super) fn allocate(&mut self, asm: &mut Assembler, ty: Ty) -> u32 {
        let number = self.free[class(ty, self.cold)].pop().unwrap_or_else(|| {
            asm.declare(ty, Loc::Home, true);
            self.is_free.push(false);
            self.is_cold.push(self.cold);
            asm.locals as u32 - 1
        });
        self.is_free[number as usize] = false;
        asm.vals[number as usize].ty = ty;
        number
    }

    /// Takes note of a local that was declared for a parameter.
    pub(super) fn declared(&mut self) {
        self.is_free.push(false);
        self.is_cold.push(false);
    }

    /// Whether a local holds nothing.
    pub(super) fn is_free(&self, number: u32) -> bool {
        self.is_free[number as usize]
    }

    /// Whether a value that has no use to come gives its local to another one that is defined here: no loop began after it
    /// was defined, and both are cold blocks' or neither is. Cold blocks are made when all loops have ended, but may be
    /// in one, through which the value lives.
    pub(super) fn gives_local(&self, local: Local) -> bool {
        self.loops.last().is_none_or(|l| l.start <= local.defined)
            && self.is_cold[local.number as usize] == self.cold
    }

    /// A value has no use to come.
    pub(super) fn release(&mut self, asm: &mut Assembler, local: Local) {
        let mut loops = self.loops.iter_mut();
        if let Some(around) = loops.find(|l| l.start > local.defined) {
            around.dying.push(local);
            return;
        }
        asm.detach_local(local.number);
        let val = &mut asm.vals[local.number as usize];
        val.set_loc(Loc::Home);
        val.saved = true;
        let cold = self.is_cold[local.number as usize];
        self.free[class(val.ty, cold)].push(local.number);
        self.is_free[local.number as usize] = true;
    }

    /// A loop begins.
    pub(super) fn open_loop(&mut self, start: u32, end: u32) {
        self.loops.push(OpenLoop {
            start,
            end,
            dying: Vec::new(),
        });
    }

    /// The block at `at` ends, and with it loops.
    pub(super) fn close_loops(&mut self, asm: &mut Assembler, at: u32) {
        if !self.loops.iter().any(|l| l.end == at) {
            return;
        }
        let mut dying = Vec::new();
        self.loops.retain_mut(|l| {
            if l.end == at {
                dying.append(&mut l.dying);
            }
            l.end != at
        });
        for local in dying {
            self.release(asm, local);
        }
    }
}
