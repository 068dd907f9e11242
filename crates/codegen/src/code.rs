//! The artefact that every tier produces.

use cranelift_codegen::ir::LibCall;
use upshift_base::{FuncId, TrapKind};

/// Machine code of one function, position-independent until its relocations are applied.
///
/// All offsets are in bytes from the start of [`CompiledCode::bytes`].
#[derive(Clone, PartialEq, Debug)]
pub struct CompiledCode {
    /// The instructions, followed by the constants they read.
    pub bytes: Vec<u8>,
    /// The alignment that the first byte needs, in bytes, a power of two.
    pub alignment: u32,
    /// How many bytes behind an address with that alignment the first byte is best, for the sake of a loop further on; less
    /// than the alignment, and a multiple of 16.
    pub placement: u32,
    /// What the linker has to fill in.
    pub relocations: Vec<Relocation>,
    /// Where the code may trap, sorted by offset.
    pub traps: Vec<TrapSite>,
    /// More places where it may trap: accesses of linear memory, sorted by offset. There are so many of them in code that
    /// is not optimized that they have a table of their own, which is all there is to be said of them.
    pub accesses: Vec<AccessSite>,
    /// Which source position each stretch of code comes from, sorted by offset; each entry holds up to the next one.
    pub positions: Vec<SourcePosition>,
    /// The calls that were replaced by the callee's body. Each is an assumption too: that the callee is what it was.
    pub inlined: Vec<InlinedCall>,
    /// How many call sites the code counts the targets of; see [`crate::call_site`].
    pub call_sites: u32,
    /// Bytes of stack that an activation takes, beyond its return address and saved frame pointer.
    pub frame_bytes: u32,
    /// Bytes at the start that only call the function's own code, which is compiled for another calling convention. A frame
    /// that returns there is no activation of the function, so backtraces leave it out.
    pub adapter_bytes: u32,
}

/// A place in the code that depends on where something else is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Relocation {
    /// Where the field is.
    pub offset: u32,
    /// How the field is computed and written.
    pub kind: RelocKind,
    /// What it refers to.
    pub target: Target,
    /// Added to the target's address.
    pub addend: i64,
}

/// How a relocation's field is computed (`S` the target's address, `A` the addend, `P` the field's own address, `G` the
/// address of an 8-byte cell that holds the target's address), after the psABIs' names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RelocKind {
    /// 4 bytes, `S + A`, unsigned.
    Abs4,
    /// 8 bytes, `S + A`.
    Abs8,
    /// 4 bytes, `S + A - P`, signed. Also x86-64 calls, direct or through a procedure linkage table.
    PcRel4,
    /// 4 bytes, `G + A - P`, signed.
    GotPcRel4,
    /// aarch64 `bl`/`b`: 26 bits of `(S + A - P) / 4`.
    Aarch64Call,
    /// aarch64 `adrp`: 21 bits of `page(S + A) - page(P)`.
    Aarch64AdrPage21,
    /// aarch64 `add`: the low 12 bits of `S + A`.
    Aarch64AddLo12,
    /// aarch64 `adrp`: 21 bits of `page(G + A) - page(P)`.
    Aarch64AdrGotPage21,
    /// aarch64 `ldr`: bits 3 to 11 of `G + A`.
    Aarch64LdGotLo12,
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A function. Its address cell is its entry slot; its address is its jump stub, which never changes.
    Function(FuncId),
    /// A function's profile cell.
    ProfileCell(FuncId),
    /// An entry point of the runtime, by its number.
    Builtin(u32),
    /// A helper that a compiler calls for an operation that the machine lacks.
    LibCall(LibCall),
    /// An offset in the same code.
    Local(u32),
}

/// An instruction that may trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapSite {
    /// The instruction's first byte.
    pub offset: u32,
    /// What a fault there means.
    pub kind: TrapKind,
}

/// An instruction that accesses a linear memory, and traps if it faults there: [`TrapKind::MemoryOutOfBounds`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessSite {
    /// The instruction's first byte.
    pub offset: u32,
    /// The front end's position of this instruction alone.
    pub position: u32,
}

/// The start of a stretch of code that comes from one source position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourcePosition {
    /// The first byte of the stretch.
    pub offset: u32,
    /// The front end's position, for WebAssembly a byte offset in the module; `None` if it has none.
    pub position: Option<u32>,
    /// The call in [`CompiledCode::inlined`] whose callee the stretch is of; `None` for the function's own.
    pub inlined: Option<u32>,
}

/// A call that was replaced by the callee's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InlinedCall {
    /// The callee.
    pub callee: FuncId,
    /// Where the call is in its caller.
    pub position: Option<u32>,
    /// The caller, if that is an inlined callee itself: its index in the same list, below this one's.
    pub caller: Option<u32>,
}
