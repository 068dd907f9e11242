//! What is found out about a function's code, and what an architecture's part has to know.

/// Why code is no stencil.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShapeError {
    /// The operands or the result do not all fit in registers.
    #[error("an operand or the result is not in a register")]
    Signature,
    /// The code depends on where something else is.
    #[error("there is something to relocate")]
    Relocation,
    /// The function does not begin and end as it should.
    #[error("the frame code is not the usual one")]
    Frame,
    /// An instruction that does not belong into a stencil.
    #[error("there is an instruction at {0:#x} that uses the stack, calls, or is unknown")]
    Instruction(u64),
    /// More than 64 KiB of code.
    #[error("the code is too long")]
    Length,
    /// Code of two immediates differs in more than bytes that depend on one byte of the immediate each.
    #[error("the code at {0:#x} depends on the immediate in a way that is not known")]
    Immediate(usize),
}

/// What the instructions of a function do.
pub(super) struct Survey {
    /// Registers written: the general ones, then the vector ones.
    pub(super) writes: u64,
    /// Where the epilogue starts.
    pub(super) epilogue: usize,
    pub(super) reads_constants: bool,
}

/// What the survey needs to know of an architecture.
pub(super) struct Frame {
    pub(super) prologue: &'static [u8],
    pub(super) epilogue: &'static [u8],
    pub(super) general_arguments: usize,
    pub(super) vector_arguments: usize,
    pub(super) survey: fn(&[u8]) -> Result<Survey, ShapeError>,
    /// Writes a jump over `behind` bytes, that start after the epilogue, to where the epilogue was.
    pub(super) jump: fn(&mut [u8], epilogue: usize, behind: usize),
}
