//! Moves that happen all at once, whatever order they are made in.

use crate::arch::x64::{Mem, Reg, SCRATCH, VECTOR_SCRATCH};
use crate::assembler::Assembler;
use crate::value::Ty;

/// Where a moved value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Reg(Ty, Reg),
    Const(Ty, u64),
    Home(Ty, Mem),
}

/// One of the moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    to: Reg,
    from: Source,
}

impl Move {
    pub(crate) fn new(to: Reg, from: Source) -> Move {
        Move { to, from }
    }

    fn from_register(&self) -> Option<(Ty, Reg)> {
        match self.from {
            Source::Reg(ty, reg) => Some((ty, reg)),
            _ => None,
        }
    }
}

impl Assembler {
    /// Makes the moves. Uses the scratch registers for cycles.
    pub(crate) fn move_all(&mut self, moves: &mut Vec<Move>) {
        moves.retain(|m| m.from_register().is_none_or(|(_, from)| from != m.to));
        let mut reads = [0u8; 32];
        let mut waiting = 0;
        for (_, from) in moves.iter().filter_map(Move::from_register) {
            reads[from.index()] += 1;
            waiting += 1;
        }
        let mut done = vec![false; moves.len()];
        while waiting > 0 {
            let mut progress = false;
            for index in 0..moves.len() {
                let Some((ty, from)) = moves[index].from_register() else {
                    continue;
                };
                if done[index] || reads[moves[index].to.index()] > 0 {
                    continue;
                }
                self.code.move_register(ty, moves[index].to, from);
                reads[from.index()] -= 1;
                done[index] = true;
                waiting -= 1;
                progress = true;
            }
            if !progress {
                break_cycle(self, moves, &done, &mut reads);
            }
        }
        for m in moves.iter() {
            match m.from {
                Source::Reg(..) => {}
                Source::Const(ty, value) => self.load_constant(ty, m.to, value),
                Source::Home(ty, home) => self.code.load(ty, m.to, home),
            }
        }
    }
}

/// Every move that is left waits for another: takes one source out of the way.
fn break_cycle(assembler: &mut Assembler, moves: &mut [Move], done: &[bool], reads: &mut [u8; 32]) {
    let first = (0..moves.len()).find(|&index| !done[index] && moves[index].from_register().is_some());
    let Some((_, from)) = first.and_then(|index| moves[index].from_register()) else {
        return;
    };
    let scratch = if from.is_vector() {
        VECTOR_SCRATCH
    } else {
        SCRATCH
    };
    let whole = if from.is_vector() { Ty::V128 } else { Ty::I64 };
    assembler.code.move_register(whole, scratch, from);
    for (index, m) in moves.iter_mut().enumerate() {
        if let (Source::Reg(ty, reg), false) = (m.from, done[index])
            && reg == from
        {
            m.from = Source::Reg(ty, scratch);
        }
    }
    reads[scratch.index()] = std::mem::take(&mut reads[from.index()]);
}
