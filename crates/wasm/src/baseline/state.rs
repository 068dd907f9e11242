//! The state of a function that is being compiled in one pass.

use super::reader::Reader;
use crate::info::{FEATURES, ModuleInfo};
use crate::types::ValType;
use crate::vmctx::{MEMORY_GUARD_BYTES, offset};
use upshift::embed::stencil::{Assembler, Destination, Memory, Ty};
use upshift::embed::{BaselineRequest, CompileError, FuncId, TrapKind};
use wasmparser::{
    BinaryReader, MemArg, MemArgTarget, Operator, OperatorsReader, OperatorsReaderAllocations,
};

/// A function that is being compiled.
pub(super) struct Driver<'m, 'r> {
    pub(super) info: &'m ModuleInfo,
    pub(super) first: FuncId,
    pub(super) request: &'r BaselineRequest,
    pub(super) asm: Box<Assembler>,
    pub(super) reader: Reader<'m>,
    /// Memory for reading operators as values.
    pub(super) allocations: OperatorsReaderAllocations,
    /// Memory 0.
    pub(super) first_memory: Memory,
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
    /// Reads the operator that begins at `at` as a value.
    pub(super) fn read_operator(&mut self, at: usize) -> Result<Operator<'m>, CompileError> {
        let bytes = self.reader.bytes_from(at);
        let reader = BinaryReader::new_features(bytes, at as u64, FEATURES);
        let allocations = std::mem::take(&mut self.allocations);
        let mut operators = OperatorsReader::new_with_allocs(reader, allocations);
        let operator = operators.read();
        self.reader
            .set_position(operators.original_position() as usize);
        self.allocations = operators.into_allocations();
        operator.map_err(|error| CompileError::Failed(error.to_string()))
    }

    /// The memory of that index.
    #[inline]
    pub(super) fn memory(&self, index: u32) -> Memory {
        if index == 0 {
            return self.first_memory;
        }
        memory(self.info, index)
    }

    /// Where the memory of an access is.
    pub(super) fn memory_of(&self, access: &MemArg) -> Result<Memory, CompileError> {
        let MemArgTarget::Memory(index) = access.target else {
            return Err(bailout("an access to something other than a memory"));
        };
        Ok(self.memory(index))
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

/// The memory of that index; some place if there is none, which nothing accesses then.
pub(super) fn memory(info: &ModuleInfo, index: u32) -> Memory {
    let entry = match info.memories.is_empty() {
        true => 0,
        false => info.layout.memory(index),
    };
    Memory {
        base: entry + offset::MEMORY_ENTRY_BASE,
        is_first: index == 0,
        guard_bytes: MEMORY_GUARD_BYTES,
    }
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
