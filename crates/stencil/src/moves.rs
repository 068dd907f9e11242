//! A move of a value to a register.

use crate::arch::x64::Reg;
use crate::value::Ty;

/// Where a moved value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Reg(Ty, Reg),
    Const(Ty, u64),
    /// The home's distance from the frame pointer.
    Home(Ty, i32),
}

/// One of the moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) to: Reg,
    pub(crate) from: Source,
}

impl Move {
    pub(crate) fn new(to: Reg, from: Source) -> Move {
        Move { to, from }
    }

    pub(crate) fn register(&self) -> Option<(Ty, Reg)> {
        match self.from {
            Source::Reg(ty, reg) => Some((ty, reg)),
            _ => None,
        }
    }
}
