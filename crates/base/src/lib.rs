//! The words every other crate of Upshift speaks: function ids, tiers, worlds, owners, guards and the reasons for
//! a trap.
//!
//! Nothing here does anything. A crate that needs one of these words depends on this crate and on no mechanism.
#![forbid(unsafe_code)]

mod guard;
mod tier;
mod trap;

pub use guard::{Guard, GuardReason};
pub use tier::Tier;
pub use trap::TrapKind;

use std::fmt;

/// A function known to a runtime: the index of its entry slot, its profile cell and its jump stub.
///
/// Ids are handed out in contiguous groups and are reused after the group they belong to was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FuncId(pub u32);

impl FuncId {
    /// The id as an index into a table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for FuncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fn{}", self.0)
    }
}

/// A world age: a counter that each redefinition bumps. A code instance is valid in a range of worlds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct World(pub u64);

impl World {
    /// The world before any redefinition.
    pub const FIRST: World = World(0);
    /// Later than every world: the upper end of an instance that nothing has invalidated.
    pub const MAX: World = World(u64::MAX);
}

/// Which compiler a code instance belongs to: the built-in ones, or a plug-in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner(pub u32);

impl Owner {
    /// The compilers that Upshift itself brings.
    pub const BUILT_IN: Owner = Owner(0);
}
