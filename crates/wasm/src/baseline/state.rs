//! The state of a function that is being compiled in one pass.

use super::opcode::Op;
use super::reader::Reader;
use crate::info::{FEATURES, ModuleInfo};
use crate::translate::Liveness;
use crate::types::ValType;
use crate::vmctx::{MEMORY_GUARD_BYTES, offset};
use cranelift_codegen::ir::{Type, types};
use upshift::embed::deopt::{FrameLayout, FramePoint};
use upshift::embed::frame_log::FrameLogPlan;
use upshift::embed::stencil::{Assembler, Callee, Destination, Memory, Ty};
use upshift::embed::{BaselineRequest, CompileError, FuncId, TrapKind};
use wasmparser::{BinaryReader, Operator, OperatorsReader, OperatorsReaderAllocations};

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
    /// The places whose frames are logged.
    pub(super) logged: Logged,
    /// Where the next place of either kind is in the module; behind everything if there is none.
    pub(super) next_stop: usize,
    /// The blocks that were opened where the code cannot be reached; they are not in `control`.
    pub(super) skipped: u32,
    /// Loops that began so far, those in code that cannot be reached counted.
    pub(super) loops: u32,
    /// What comes behind the header of this loop is of no interest.
    pub(super) last_loop: u32,
}

/// The places that a continuation is entered at.
#[derive(Default)]
pub(super) struct WaysIn<'p> {
    /// In ascending order.
    pub(super) points: &'p [FramePoint],
    pub(super) liveness: Liveness,
    /// What was found to be there, at as many of them as were come to.
    pub(super) frames: Vec<FrameLayout>,
    /// The number of the one that is inside the present operation, as long as it was not come to.
    pub(super) inside: Option<usize>,
}

impl WaysIn<'_> {
    /// The position of the first that was not come to yet.
    pub(super) fn next(&self) -> usize {
        let next = self.points.get(self.frames.len());
        next.map_or(usize::MAX, |point| point.position as usize)
    }

    /// # Errors
    /// If a place is inside a call that is none.
    pub(super) fn check(&self) -> Result<(), CompileError> {
        match self.inside {
            None => Ok(()),
            Some(number) => {
                let position = self.points[number].position;
                let reason = format!("there is no call at {position} to go on in");
                Err(CompileError::Failed(reason))
            }
        }
    }
}

/// The places whose frames are logged, besides the headers of loops.
#[derive(Default)]
pub(super) struct Logged {
    /// How; `None` if nothing is logged.
    pub(super) plan: Option<FrameLogPlan>,
    /// In descending order; those that were come to are gone.
    pub(super) positions: Vec<u32>,
    pub(super) liveness: Liveness,
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

    /// Here is a way in or a place whose frame is logged, or both.
    #[cold]
    pub(super) fn stop(&mut self) -> Result<(), CompileError> {
        let position = self.next_stop;
        self.ways_in.check()?;
        while self.ways_in.next() == position {
            self.come_in(position as u32)?;
        }
        if self.logged.positions.last() == Some(&(position as u32)) {
            self.logged.positions.pop();
            self.asm.begin(position as u32);
            self.asm.keep_in_homes();
            self.log_frame();
        }
        self.next_stop = self.find_next_stop();
        self.reader.stop_at(self.next_stop);
        Ok(())
    }

    pub(super) fn find_next_stop(&self) -> usize {
        let logged = self.logged.positions.last();
        let logged = logged.map_or(usize::MAX, |position| *position as usize);
        self.ways_in.next().min(logged)
    }

    /// Logs the frame before the present operation, or at the header of the loop that it is.
    pub(super) fn log_frame(&mut self) {
        if let Some(plan) = self.logged.plan.filter(|_| self.reachable) {
            let locals = self.logged.liveness.at_position(self.asm.position());
            self.asm.log_frame(plan, &locals);
        }
    }

    /// Makes a place for the next way in, which leads here.
    fn come_in(&mut self, position: u32) -> Result<(), CompileError> {
        if !self.reachable {
            return Err(bailout("a place to go on at that cannot be reached"));
        }
        let number = self.ways_in.frames.len();
        let frame = if self.ways_in.points[number].inside_call {
            // What is live inside is known when the call is made.
            self.ways_in.inside = Some(number);
            FrameLayout::new()
        } else {
            let locals = self.ways_in.liveness.at_position(position);
            self.asm.begin(position);
            let types = self.asm.way_in(number, &locals);
            types.into_iter().map(clif_type).collect()
        };
        self.ways_in.frames.push(frame);
        Ok(())
    }

    /// Calls, and fills in the way in that is inside the call, if there is one.
    #[inline]
    pub(super) fn call(
        &mut self,
        callee: Callee,
        params: usize,
        results: impl Iterator<Item = Ty>,
    ) {
        match self.ways_in.inside.take() {
            None => self.asm.call(callee, params, results),
            Some(number) => {
                let locals = self.ways_in.liveness.at_position(self.asm.position());
                let way_in = (number, &locals[..]);
                let types = self.asm.call_with_way_in((callee, params), results, way_in);
                self.ways_in.frames[number] = types.into_iter().map(clif_type).collect();
            }
        }
    }

    /// The next operator, if it may be made one with the present one.
    #[inline]
    pub(super) fn peek(&self) -> Op {
        self.reader.peek_ahead().map_or(Op::Nop, Op::of)
    }

    /// A loop begins: its index.
    pub(super) fn next_loop(&mut self) -> u32 {
        let index = self.loops;
        self.loops += 1;
        if index == self.last_loop {
            self.reader.stop_at(0);
        }
        index
    }

    /// The memory of that index.
    #[inline]
    pub(super) fn memory(&self, index: u32) -> Memory {
        if index == 0 {
            return self.first_memory;
        }
        memory(self.info, index)
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
