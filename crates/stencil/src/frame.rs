//! The frame: how a function begins and ends.
//!
//! ```text
//! [rbp + 16 ..]     stack arguments
//! [rbp + 8]         return address
//! [rbp]             the caller's frame pointer
//! [rbp - 40 ..]     the callee-saved registers that the function uses, each in a place of its own
//!                   home slots of the locals, then of the operands, downwards
//! [rsp ..]          stack arguments of calls
//! ```
//!
//! The prologue is made last, when everything that it depends on is known, and put before the rest.

use crate::abi::{Assignment, Place};
use crate::arch::x64::{
    CALLEE_SAVED, CONTEXT, Condition, FRAME, GENERAL_ARGUMENTS, MEMORY_BASE, Mem, R10, RAX,
    SCRATCH, STACK,
};
use crate::assembler::{Assembler, Loc, Val, members};
use crate::code::{Code, Label};
use crate::moves::Move;
use crate::plan::{ColdCall, Loop, Plan, SAVED_BYTES, TrapStub};
use crate::value::Ty;
use upshift_base::{Tier, TrapKind};
use upshift_codegen::osr::{self, FrameValue};
use upshift_codegen::{CompileError, CompiledCode, RelocKind, SourcePosition, Target};

/// Frames larger than this are left to other compilers.
const FRAME_BYTES_MAX: i32 = 256 << 10;
/// Frames larger than this count towards the stack limit.
const UNCOUNTED_FRAME_BYTES: i32 = 1 << 10;
/// More locals than this are zeroed in a loop.
const LOCALS_TRACKED_AS_ZERO_MAX: usize = 16;

/// Makes one function after the other, with the same memory.
#[derive(Debug, Default)]
pub struct Workspace {
    code: Code,
    vals: Vec<Val>,
    moves: Vec<Move>,
}

impl Workspace {
    /// Begins a function of these parameters, behind the context, and results.
    pub fn begin(
        &mut self,
        plan: Plan,
        params: impl Iterator<Item = Ty>,
        results: &[Ty],
        position: u32,
    ) -> Assembler {
        let mut assembler = Assembler::with_code(plan, std::mem::take(&mut self.code), results);
        assembler.vals = std::mem::take(&mut self.vals);
        assembler.vals.clear();
        assembler.moves = std::mem::take(&mut self.moves);
        assembler.begin(position);
        assembler.code.position(position);
        assembler.take_params(params);
        assembler
    }

    /// Ends it. The results are on the operand stack if the end can be reached.
    ///
    /// # Errors
    /// If the frame is too large.
    pub fn finish(
        &mut self,
        mut assembler: Assembler,
        reachable: bool,
    ) -> Result<CompiledCode, CompileError> {
        if reachable {
            assembler.place_results();
        }
        let code = assembler.finish();
        self.code = assembler.code;
        self.vals = assembler.vals;
        self.moves = assembler.moves;
        code
    }
}

impl Assembler {
    fn take_params(&mut self, params: impl Iterator<Item = Ty>) {
        let mut assignment = Assignment::arguments();
        for (index, ty) in params.enumerate() {
            match assignment.next(ty) {
                Place::Reg(reg) => {
                    self.declare(ty, Loc::Home, false);
                    self.attach_local(index as u32, reg, false);
                    if ty == Ty::I32 {
                        self.code.clear_upper_half(reg);
                    }
                }
                Place::Stack(offset) => {
                    self.declare(ty, Loc::Home, true);
                    self.vals[index].home = 16 + offset;
                }
            }
        }
        self.incoming_bytes = assignment.stack_bytes();
    }

    fn declare(&mut self, ty: Ty, loc: Loc, saved: bool) {
        self.push(ty, loc, saved);
        self.local_bytes += ty.slot_bytes();
        self.operand_bytes = 0;
        self.locals += 1;
    }

    /// Declares the locals behind the parameters, all zero, and counts the call.
    pub fn declare_locals(&mut self, locals: impl Iterator<Item = (u32, Ty)>) {
        let (first, top) = (self.locals, self.local_bytes);
        for (count, ty) in locals {
            for _ in 0..count {
                self.declare(ty, Loc::Home, true);
            }
        }
        let declared = self.locals - first;
        self.operand_bytes_max = 0;
        if declared > LOCALS_TRACKED_AS_ZERO_MAX {
            let from = -(SAVED_BYTES + self.local_bytes);
            self.zeroed = Some((from, -(SAVED_BYTES + top)));
        } else {
            for local in first..self.locals {
                self.vals[local].loc = Loc::Const(0);
                self.vals[local].saved = false;
                self.constants.push(local as u32);
                self.unsaved_constants.push(local as u32);
            }
        }
        self.saved_below = self.locals;
        self.count(None);
    }

    /// Counts an iteration of a loop, or a call.
    pub(crate) fn count(&mut self, iteration: Option<Loop>) {
        let Some(counters) = self.plan.counters else {
            return;
        };
        let budget = match iteration {
            Some(_) => counters.loop_budget,
            None => counters.entry_budget,
        };
        let at = iteration.filter(|_| counters.osr_tripped.is_some());
        if at.is_some() {
            // What the activation moves to wants it.
            self.context();
        }
        let (label, back) = (self.code.label(), self.code.label());
        self.code.decrement_relative();
        let cell = Target::ProfileCell(self.plan.function);
        self.code
            .relocate(RelocKind::PcRel4, cell, i64::from(budget));
        self.code.jump_if(Condition::SIGN, label);
        self.code.bind(back);
        let mut saved = Vec::new();
        let mut loaded = Vec::new();
        for reg in members(self.busy) {
            let val = self.vals[self.holders[reg.index()].local as usize];
            let held = (reg, val.ty, val.home());
            if self.dirty & reg.bit() != 0 {
                saved.push(held);
            }
            loaded.push(held);
        }
        self.cold_calls.push(ColdCall {
            label,
            back,
            position: self.position,
            at,
            saved,
            loaded,
        });
    }

    /// A label of code that traps.
    pub(crate) fn trap_label(&mut self, kind: TrapKind) -> Label {
        let label = self.code.label();
        self.trap_stubs.push(TrapStub {
            label,
            kind,
            position: self.position,
        });
        label
    }

    fn finish(&mut self) -> Result<CompiledCode, CompileError> {
        let outgoing = self.outgoing_bytes;
        let homes = SAVED_BYTES + self.local_bytes + self.operand_bytes_max;
        let frame_bytes = (homes + outgoing + 15) & !15;
        if frame_bytes > FRAME_BYTES_MAX || self.incoming_bytes > i32::from(u16::MAX) {
            return Err(CompileError::Bailout(format!(
                "a frame of {frame_bytes} bytes is too large"
            )));
        }
        let epilogue = self.epilogue;
        self.code.bind(epilogue);
        self.leave();
        self.code.ret(self.incoming_bytes as u16);
        let way_out = self.code.label();
        let calls = std::mem::take(&mut self.cold_calls);
        let moves = calls.iter().any(|call| call.at.is_some());
        for call in calls {
            self.cold_call(call, way_out);
        }
        self.code.bind(way_out);
        if moves {
            self.move_out();
        }
        for other in std::mem::take(&mut self.other_targets) {
            self.other_target(&other);
        }
        for stub in std::mem::take(&mut self.trap_stubs) {
            self.code.bind(stub.label);
            self.trap_at(stub.kind, stub.position);
        }
        let start = self.code.positions.first().and_then(|p| p.position);
        let overflow = self.code.offset();
        self.trap_at(TrapKind::StackOverflow, start.unwrap_or(0));
        self.code.resolve();
        let (prologue, jump) = self.prologue(frame_bytes);
        Ok(self.assemble(prologue, jump, overflow, frame_bytes))
    }

    fn trap_at(&mut self, kind: TrapKind, position: u32) {
        self.code.position(position);
        self.code.trap_site(kind);
        self.code.trap();
    }

    /// Asks the runtime, which answers at loops with a transfer record if the activation is to move.
    fn cold_call(&mut self, call: ColdCall, way_out: Label) {
        let Some(counters) = self.plan.counters else {
            return;
        };
        self.code.bind(call.label);
        self.code.position(call.position);
        for (reg, ty, home) in call.saved {
            self.code.store(ty, reg, home);
        }
        self.code.address_relative(GENERAL_ARGUMENTS[0]);
        let cell = Target::ProfileCell(self.plan.function);
        self.code.relocate(RelocKind::PcRel4, cell, 0);
        let osr = call.at.zip(counters.osr_tripped);
        if let Some((at, _)) = osr {
            let parent = at.parent.unwrap_or(osr::NO_PARENT);
            let numbers = [
                at.index,
                parent,
                Tier::Baseline as u32,
                osr::VALUES_IN_FRAME,
            ];
            for (to, number) in GENERAL_ARGUMENTS[1..].iter().zip(numbers) {
                self.code.move_constant(*to, u64::from(number));
            }
        }
        self.code.call_cell();
        let tripped = osr.map_or(counters.tripped, |(_, tripped)| tripped);
        let tripped = Target::Builtin(tripped);
        self.code.relocate(RelocKind::GotPcRel4, tripped, 0);
        if osr.is_some() {
            self.code.compare_constant(true, RAX, 0);
            self.code.jump_if(Condition::NOT_EQUAL, way_out);
        }
        for (reg, ty, home) in call.loaded {
            self.code.load(ty, reg, home);
        }
        self.code.jump(call.back);
    }

    /// Leaves for the code that the transfer record names, which the runtime has returned.
    fn move_out(&mut self) {
        let context = self.context();
        self.code
            .move_register(Ty::I64, GENERAL_ARGUMENTS[0], context);
        self.code.move_register(Ty::I64, GENERAL_ARGUMENTS[1], RAX);
        let code = Mem::new(RAX, osr::TRANSFER_CODE);
        self.code.load(Ty::I64, RAX, code);
        self.leave_for_good();
        self.code.jump_register(RAX);
    }

    /// The values that travel from the header of a loop, which has just been made: these locals, and all operands.
    pub fn frame_values(&self, locals: &[u32]) -> Vec<FrameValue> {
        let locals = locals.iter().map(|local| &self.vals[*local as usize]);
        let values = locals.chain(&self.vals[self.locals..]);
        let place = |val: &Val| FrameValue {
            offset: val.home,
            bytes: val.ty.slot_bytes() as u8,
        };
        values.map(place).collect()
    }

    /// Leaves as for a tail call of something that takes no arguments on the stack.
    pub(crate) fn leave_for_good(&mut self) {
        self.leave();
        if self.incoming_bytes > 0 {
            // The callee pops nothing, so our own arguments go now.
            let up = self.incoming_bytes;
            self.code.load(Ty::I64, SCRATCH, Mem::new(STACK, 0));
            self.code.adjust_stack(up);
            self.code.store(Ty::I64, SCRATCH, Mem::new(STACK, 0));
        }
    }

    /// Restores the caller's registers and stack. Leaves all registers that pass arguments and results alone.
    pub(crate) fn leave(&mut self) {
        for (index, &reg) in CALLEE_SAVED.iter().enumerate() {
            if self.used & reg.bit() != 0 {
                self.code.load(Ty::I64, reg, saved_place(index));
            }
        }
        self.code.leave_frame();
    }

    /// The prologue, and the place in it of the displacement to the code that reports a stack overflow.
    fn prologue(&self, frame_bytes: i32) -> (Code, u32) {
        let context = GENERAL_ARGUMENTS[0];
        let mut code = Code::default();
        code.enter_frame();
        code.load(Ty::I64, R10, Mem::new(context, self.plan.stack_limit.0));
        let limit = Mem::new(R10, self.plan.stack_limit.1);
        if frame_bytes > UNCOUNTED_FRAME_BYTES {
            code.address(true, SCRATCH, Mem::new(STACK, -frame_bytes));
            code.compare_memory(true, SCRATCH, limit);
        } else {
            code.compare_memory(true, STACK, limit);
        }
        let overflow = code.label();
        code.jump_if(Condition::BELOW, overflow);
        let jump = code.offset() - 4;
        code.adjust_stack(-frame_bytes);
        for (index, &reg) in CALLEE_SAVED.iter().enumerate() {
            if self.used & reg.bit() != 0 {
                code.store(Ty::I64, reg, saved_place(index));
            }
        }
        if self.used & CONTEXT.bit() != 0 {
            code.move_register(Ty::I64, CONTEXT, context);
        }
        if self.used & MEMORY_BASE.bit() != 0 {
            code.load(
                Ty::I64,
                MEMORY_BASE,
                Mem::new(context, self.plan.memory_base),
            );
        }
        if let Some((from, to)) = self.zeroed {
            zero(&mut code, from, to);
        }
        if self.aligned {
            // What a stencil's constants are aligned to holds for the function as a whole.
            code.pad((16 - code.bytes.len() % 16) % 16);
        }
        code.bind(overflow);
        code.resolve();
        (code, jump)
    }

    fn assemble(
        &mut self,
        prologue: Code,
        jump: u32,
        overflow: u32,
        frame_bytes: i32,
    ) -> CompiledCode {
        let shift = prologue.offset();
        let mut bytes = prologue.bytes;
        bytes.reserve(self.code.bytes.len());
        bytes.extend_from_slice(&self.code.bytes);
        let distance = (shift + overflow).wrapping_sub(jump + 4);
        bytes[jump as usize..jump as usize + 4].copy_from_slice(&distance.to_le_bytes());
        let code = &mut self.code;
        let mut relocations = code.relocations.clone();
        relocations.iter_mut().for_each(|r| r.offset += shift);
        let mut traps = code.traps.clone();
        traps.iter_mut().for_each(|t| t.offset += shift);
        let start = SourcePosition {
            offset: 0,
            position: code.positions.first().and_then(|first| first.position),
            inlined: None,
        };
        let shifted = code.positions.iter().map(|p| SourcePosition {
            offset: p.offset + shift,
            ..*p
        });
        CompiledCode {
            positions: std::iter::once(start).chain(shifted).collect(),
            bytes,
            alignment: 16,
            relocations,
            traps,
            frame_bytes: frame_bytes as u32,
            inlined: Vec::new(),
            call_sites: self.call_sites,
        }
    }
}

/// Where a callee-saved register is kept.
fn saved_place(index: usize) -> Mem {
    Mem::new(FRAME, -8 * (index as i32 + 1))
}

/// Sets the words between two distances from the frame pointer to 0.
fn zero(code: &mut Code, from: i32, to: i32) {
    code.address(true, R10, Mem::new(FRAME, from));
    code.address(true, SCRATCH, Mem::new(FRAME, to));
    let again = code.label();
    code.bind(again);
    code.store_constant(true, 0, Mem::new(R10, 0));
    code.address(true, R10, Mem::new(R10, 8));
    code.compare(true, R10, SCRATCH);
    code.jump_if(Condition::BELOW, again);
}
