//! The state of a function that is being compiled in one pass.

use crate::info::ModuleInfo;
use crate::types::ValType;
use crate::vmctx::{MEMORY_GUARD_BYTES, offset};
use upshift::embed::stencil::{Assembler, Destination, Memory, Ty};
use upshift::embed::{BaselineRequest, CompileError, FuncId, TrapKind};
use wasmparser::{BinaryReaderError, MemArg, MemArgTarget, Operator, OperatorsReader};

/// A function that is being compiled.
pub(super) struct Driver<'m, 'r> {
    pub(super) info: &'m ModuleInfo,
    pub(super) first: FuncId,
    pub(super) request: &'r BaselineRequest<'r>,
    pub(super) asm: Assembler,
    pub(super) operators: OperatorsReader<'m>,
    /// The blocks that are open, the function's own first.
    pub(super) control: Vec<Frame<'m>>,
    /// Whether the code at this point can be reached. If not, only the nesting is looked at.
    pub(super) reachable: bool,
    /// The blocks that were opened where the code cannot be reached; they are not in `control`.
    pub(super) skipped: u32,
    /// Loops that began so far, those in code that cannot be reached counted.
    pub(super) loops: u32,
}

/// An open block.
pub(super) struct Frame<'m> {
    pub(super) kind: Kind,
    pub(super) params: &'m [ValType],
    pub(super) results: &'m [ValType],
    /// Behind the block.
    pub(super) end: Destination,
}

/// What a block was opened by.
pub(super) enum Kind {
    /// The function itself.
    Function,
    /// `block`.
    Block,
    /// `loop`, with its header and its index.
    Loop(Destination, u32),
    /// `if`, with where to go if the condition is false.
    If(Destination),
    /// `else`.
    Else,
}

impl<'m> Driver<'m, '_> {
    /// Where the next operator is in the module.
    pub(super) fn position(&self) -> u32 {
        self.operators.original_position() as u32
    }

    /// The first byte of the next operator, which says what it is. Cheaper than to read it and keep it.
    pub(super) fn next_opcode(&self) -> u8 {
        let at = self.position() as usize;
        self.info.bytes.get(at).copied().unwrap_or(0)
    }

    /// Reads the next operator.
    pub(super) fn read(&mut self) -> Result<Operator<'m>, CompileError> {
        self.operators.read().map_err(failed)
    }

    /// Where the memory of an access is.
    pub(super) fn memory_of(&self, access: &MemArg) -> Result<Memory, CompileError> {
        let MemArgTarget::Memory(index) = access.target else {
            return Err(bailout("an access to something other than a memory"));
        };
        Ok(Memory {
            base: self.info.layout.memory(index) + offset::MEMORY_ENTRY_BASE,
            is_first: index == 0,
            guard_bytes: MEMORY_GUARD_BYTES,
        })
    }

    /// Traps if the program is to stop.
    pub(super) fn check_interrupt(&mut self) {
        self.asm.trap_if_set(
            TrapKind::Interrupted,
            offset::VMCONTEXT_LIMITS,
            offset::LIMITS_INTERRUPT,
        );
    }
}

/// An error that validation leaves no room for.
pub(super) fn failed(error: BinaryReaderError) -> CompileError {
    CompileError::Failed(error.to_string())
}

/// How values of a type are kept.
pub(super) fn ty(ty: ValType) -> Ty {
    match ty {
        ValType::I32 => Ty::I32,
        ValType::I64 | ValType::FuncRef | ValType::ExternRef => Ty::I64,
        ValType::F32 => Ty::F32,
        ValType::F64 => Ty::F64,
        ValType::V128 => Ty::V128,
    }
}

/// The same for a list.
pub(super) fn types(types: &[ValType]) -> impl Iterator<Item = Ty> {
    types.iter().copied().map(ty)
}

/// A function that this compiler leaves to others.
pub(super) fn bailout(reason: &str) -> CompileError {
    CompileError::Bailout(reason.to_owned())
}
