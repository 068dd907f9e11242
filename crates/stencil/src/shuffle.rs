//! Moves that happen all at once, whatever order they are made in.

use crate::arch::x64::{REGISTERS, SCRATCH, VECTOR_SCRATCH};
use crate::assembler::Assembler;
use crate::moves::{Move, Source};
use crate::value::Ty;

impl Assembler {
    /// Makes the moves that have been gathered.
    pub(crate) fn make_moves(&mut self) {
        if self.moves.is_empty() {
            return;
        }
        let mut moves = std::mem::take(&mut self.moves);
        self.move_all(&mut moves);
        moves.clear();
        self.moves = moves;
    }

    /// Makes moves. Uses the scratch registers for cycles.
    fn move_all(&mut self, moves: &mut [Move]) {
        let mut reads = [0u8; REGISTERS];
        // One bit for each move from a register that is left to be made. There are fewer than 32 registers to move to.
        let mut waiting = 0u32;
        for (index, m) in moves.iter().enumerate() {
            if let Some((_, from)) = m.register()
                && from != m.to
            {
                reads[from.index()] += 1;
                waiting |= 1 << index;
            }
        }
        while waiting != 0 {
            let before = waiting;
            for index in bits(before) {
                let Some((ty, from)) = moves[index].register() else {
                    continue;
                };
                if reads[moves[index].to.index()] == 0 {
                    self.code.move_register(ty, moves[index].to, from);
                    reads[from.index()] -= 1;
                    waiting &= !(1 << index);
                }
            }
            if waiting == before {
                break_cycle(self, moves, waiting, &mut reads);
            }
        }
        for m in moves.iter() {
            match m.from {
                Source::Reg(..) => {}
                Source::Const(ty, value) => self.load_constant(ty, m.to, value),
                Source::Home(ty, home) => self.code.load_home(ty, m.to, home),
            }
        }
    }
}

/// The positions of the bits that are set.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let first = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(first)
    })
}

/// Every move that is left waits for another: takes one source out of the way.
fn break_cycle(
    assembler: &mut Assembler,
    moves: &mut [Move],
    waiting: u32,
    reads: &mut [u8; REGISTERS],
) {
    let first = bits(waiting)
        .next()
        .and_then(|index| moves[index].register());
    let Some((_, from)) = first else {
        return;
    };
    let scratch = if from.is_vector() {
        VECTOR_SCRATCH
    } else {
        SCRATCH
    };
    let whole = if from.is_vector() { Ty::V128 } else { Ty::I64 };
    assembler.code.move_register(whole, scratch, from);
    for index in bits(waiting) {
        if let Source::Reg(ty, reg) = moves[index].from
            && reg == from
        {
            moves[index].from = Source::Reg(ty, scratch);
        }
    }
    reads[scratch.index()] = std::mem::take(&mut reads[from.index()]);
}
