//! The state of a function that is being compiled in one pass.

use crate::info::ModuleInfo;
use crate::translate::Liveness;
use crate::types::ValType;
use crate::vmctx::{MEMORY_GUARD_BYTES, offset};
use cranelift_codegen::ir::{Type, types};
use upshift::embed::deopt::FrameLayout;
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
    /// The places that it is entered at, if it is a continuation.
    pub(super) ways_in: WaysIn<'r>,
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
    /// What was found to be there.
    pub(super) frames: Vec<FrameLayout>,
}

impl WaysIn<'_> {
    /// The number of the way in before the operator at `position`.
    fn number(&self, position: u32) -> Option<usize> {
        // Most functions are no continuations.
        if self.positions.is_empty() {
            return None;
        }
        self.positions.binary_search(&position).ok()
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
    /// Where the next operator is in the module.
    pub(super) fn position(&self) -> u32 {
        self.operators.original_position() as u32
    }

    /// The first byte of the next operator, which says what it is; 0 if it must not be made one with the present one.
    /// Cheaper than to read it and keep it.
    pub(super) fn next_opcode(&self) -> u8 {
        let at = self.position();
        if self.ways_in.number(at).is_some() {
            return 0;
        }
        self.info.bytes.get(at as usize).copied().unwrap_or(0)
    }

    /// If the function is entered before the operator at `position`, makes a place for it.
    pub(super) fn come_in(&mut self, position: u32) {
        let Some(number) = self.ways_in.number(position) else {
            return;
        };
        let locals = self.ways_in.liveness.at_position(position);
        let types = self.asm.way_in(number, &locals);
        self.ways_in.frames[number] = types.into_iter().map(clif_type).collect();
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

/// The same for a list.
pub(super) fn types(types: &[ValType]) -> impl Iterator<Item = Ty> + Clone {
    types.iter().copied().map(ty)
}

/// A function that this compiler leaves to others.
pub(super) fn bailout(reason: &str) -> CompileError {
    CompileError::Bailout(reason.to_owned())
}
