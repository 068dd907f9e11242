//! The state of a function that is being compiled in one pass.

use super::opcode::Op;
use super::reader::Reader;
use crate::info::{FEATURES, ModuleInfo};
use crate::translate::Liveness;
use crate::types::ValType;
use crate::vmctx::{MEMORY_GUARD_BYTES, offset};
use cranelift_codegen::ir::{Type, types};
use upshift::embed::deopt::FrameLayout;
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
    /// The places that it is entered at, if it is a continuation.
    pub(super) ways_in: WaysIn<'r>,
    /// Where the next of them is in the module; behind everything if there is none.
    pub(super) next_way_in: usize,
    /// The blocks that were opened where the code cannot be reached; they are not in `control`.
    pub(super) skipped: u32,
    /// Loops that began so far, those in code that cannot be reached counted.
    pub(super) loops: u32,
}

/// The places that a continuation is entered at.
#[derive(Default)]
pub(super) struct WaysIn<'p> {
    /// In ascending order.
    pub(super) positions: &'p [u32],
    pub(super) liveness: Liveness,
    /// What was found to be there, at as many of them as were come to.
    pub(super) frames: Vec<FrameLayout>,
}

impl WaysIn<'_> {
    /// The position of the first that was not come to yet.
    pub(super) fn next(&self) -> usize {
        let next = self.positions.get(self.frames.len());
        next.map_or(usize::MAX, |position| *position as usize)
    }
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

    /// Makes a place for the next way in, which leads here.
    #[cold]
    pub(super) fn come_in(&mut self) -> Result<(), CompileError> {
        if !self.reachable {
            return Err(bailout("a place to go on at that cannot be reached"));
        }
        let position = self.next_way_in as u32;
        let locals = self.ways_in.liveness.at_position(position);
        self.asm.begin(position);
        let types = self.asm.way_in(self.ways_in.frames.len(), &locals);
        let frame = types.into_iter().map(clif_type).collect();
        self.ways_in.frames.push(frame);
        self.next_way_in = self.ways_in.next();
        Ok(())
    }

    /// The next operator, if it may be made one with the present one.
    #[inline]
    pub(super) fn peek(&self) -> Op {
        match self.reader.position() == self.next_way_in {
            false => Op::of(self.reader.peek()),
            true => Op::Nop,
        }
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

/// The type of what is kept so.
fn clif_type(ty: Ty) -> Type {
    match ty {
        Ty::I32 => types::I32,
        Ty::I64 => types::I64,
        Ty::F32 => types::F32,
        Ty::F64 => types::F64,
        Ty::V128 => types::I8X16,
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
pub(super) fn types(types: &[ValType]) -> impl Iterator<Item = Ty> + Clone {
    types.iter().copied().map(ty)
}

/// A function that this compiler leaves to others.
pub(super) fn bailout(reason: &str) -> CompileError {
    CompileError::Bailout(reason.to_owned())
}
