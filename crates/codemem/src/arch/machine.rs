//! What there is to know about a machine, as the parts of this crate that run on every machine see it.

use crate::layout::HEADER_BYTES;
use std::fmt::Debug;

/// Offset in the header of the thunk that leads into the lazy-compile routine.
pub(crate) const LAZY_THUNK: usize = 0;
/// Offset in the header of the thunk that jumps to what a slot holds, on machines whose stubs cannot do it themselves.
pub(crate) const JUMP_THUNK: usize = 16;
/// Offset in the header of an instruction that traps.
pub(crate) const TRAP_THUNK: usize = 48;

/// The addresses that thunks and stubs are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// The address cell of the first builtin.
    pub cells: usize,
    /// The entry slot of function 0.
    pub slots: usize,
    /// The jump stub of function 0.
    pub stubs: usize,
    /// The header.
    pub header: usize,
}

/// A machine's way of doing it.
pub(crate) trait Machine: Debug + Sync {
    /// Writes the thunks.
    fn write_header(&self, header: &mut [u8; HEADER_BYTES], at: &Addresses);

    /// Writes the jump stubs of the functions from `first` on, as many as fit.
    fn write_stubs(&self, stubs: &mut [u8], first: usize, at: &Addresses);

    /// Where in a stub the part is that leads into the lazy-compile routine.
    fn lazy_offset(&self) -> usize;

    /// Fills `bytes` with instructions that trap.
    fn fill(&self, bytes: &mut [u8]);

    /// Makes what was written through `written` what is executed at `address`. `reused` if other instructions have
    /// been there.
    fn publish(&self, written: &[u8], address: usize, reused: bool);

    /// The address of the routine behind the library call `X86Pshufb`.
    fn pshufb_address(&self) -> Option<usize>;
}
