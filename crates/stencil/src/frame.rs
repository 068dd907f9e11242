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
use crate::code::{Code, Label, NO_POSITION};
use crate::continuation;
use crate::plan::{ColdCall, Kept, Loop, Plan, SAVED_BYTES, TrapStub};
use crate::value::Ty;
use std::ops::Range;
use upshift_base::{Tier, TrapKind};
use upshift_codegen::osr::{self, FrameValue};
use upshift_codegen::{
    AccessSite, CompileError, CompiledCode, RelocKind, Relocation, Target, TrapSite,
};

/// Frames larger than this are left to other compilers.
const FRAME_BYTES_MAX: i32 = 256 << 10;
/// Frames larger than this count towards the stack limit.
const UNCOUNTED_FRAME_BYTES: i32 = 1 << 10;
/// Bytes of the guard page at the end of a stack, at least.
const PAGE_BYTES: i32 = 4 << 10;
/// More locals than this are zeroed in a loop.
const LOCALS_TRACKED_AS_ZERO_MAX: usize = 16;

/// The prologue is put in front of the code that was made before it, into room of this many bytes, a multiple of 16.
const PROLOGUE_BYTES_MAX: usize = 256;

/// Makes one function after the other, with the same memory.
#[derive(Debug, Default)]
pub struct Workspace {
    spare: Option<Box<Assembler>>,
}

impl Workspace {
    /// Begins a function of these parameters, behind the context, and results.
    pub fn begin(
        &mut self,
        plan: Plan,
        params: impl Iterator<Item = Ty>,
        results: impl Iterator<Item = Ty>,
        position: u32,
    ) -> Box<Assembler> {
        let mut assembler = match self.spare.take() {
            Some(mut spare) => {
                spare.reset(plan);
                spare
            }
            None => Box::new(Assembler::new(plan)),
        };
        assembler.results.extend(results);
        assembler.epilogue = assembler.code.label();
        assembler.code.bytes.skip(PROLOGUE_BYTES_MAX);
        assembler.begin(position);
        assembler.code.position(position);
        assembler.take_params(params);
        assembler
    }

    /// Begins a continuation of such a function, of `ways_in` places, at least one; see [`Assembler::way_in`].
    ///
    /// # Errors
    /// If the function takes arguments on the stack.
    pub fn begin_continuation(
        &mut self,
        plan: Plan,
        params: impl Iterator<Item = Ty> + Clone,
        results: impl Iterator<Item = Ty>,
        position: u32,
        ways_in: usize,
    ) -> Result<Box<Assembler>, CompileError> {
        let mut assignment = Assignment::arguments();
        for ty in params.clone() {
            assignment.next(ty);
        }
        if assignment.stack_bytes() > 0 {
            let reason = "a continuation of a function with arguments on the stack";
            return Err(CompileError::Bailout(reason.to_owned()));
        }
        let mut assembler = self.begin(plan, std::iter::empty(), results, position);
        assembler.begin_ways_in(ways_in);
        params.for_each(|ty| assembler.declare(ty, Loc::Home, true));
        Ok(assembler)
    }

    /// Ends it. The results are on the operand stack if the end can be reached.
    ///
    /// # Errors
    /// If the frame is too large.
    pub fn finish(
        &mut self,
        mut assembler: Box<Assembler>,
        reachable: bool,
    ) -> Result<CompiledCode, CompileError> {
        if reachable {
            assembler.place_results();
        }
        let code = assembler.finish();
        self.spare = Some(assembler);
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

    /// Declares one more local. There are no operands.
    pub(crate) fn declare(&mut self, ty: Ty, loc: Loc, saved: bool) {
        self.local_bytes += ty.slot_bytes();
        let home = -(SAVED_BYTES + self.local_bytes);
        self.lowest_home = self.lowest_home.min(home);
        self.vals.push(Val::new(ty, loc, saved, home));
        self.locals += 1;
    }

    /// Declares locals behind the parameters, all zero.
    pub fn declare_locals(&mut self, count: u32, ty: Ty) {
        for _ in 0..count {
            self.declare(ty, Loc::Home, true);
        }
    }

    /// Begins the code behind the declarations of `declared` locals that are no parameters; counts the call.
    pub fn locals_declared(&mut self, declared: usize) {
        let first = self.locals - declared;
        if declared > LOCALS_TRACKED_AS_ZERO_MAX {
            let last = self.vals[first];
            let from = -(SAVED_BYTES + self.local_bytes);
            self.zeroed = Some((from, last.home + last.ty.slot_bytes()));
        } else {
            for local in first..self.locals {
                self.vals[local].set_loc(Loc::Const(0));
                self.vals[local].saved = false;
                self.constants.push(local as u32);
                self.unsaved_constants.push(local as u32);
            }
        }
        // What the operands' homes are counted from.
        self.lowest_home = -(SAVED_BYTES + self.local_bytes);
        let none = Val::new(Ty::I64, Loc::Home, true, self.lowest_home);
        self.vals.push(none);
        self.locals += 1;
        self.saved_below = self.locals;
        if !self.is_continuation() {
            self.count(None);
        }
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
        let first = self.kept.len();
        for reg in members(self.busy) {
            let val = self.vals[self.holders[reg.index()].local as usize];
            self.kept.push(Kept {
                reg,
                ty: val.ty,
                home: val.home,
                dirty: self.dirty & reg.bit() != 0,
            });
        }
        self.cold_calls.push(ColdCall {
            label,
            back,
            position: self.position,
            at,
            kept: first..self.kept.len(),
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
        if self.out_of_registers {
            let why = "an operation that wants more registers than there are";
            return Err(CompileError::Bailout(why.to_owned()));
        }
        let outgoing = self.outgoing_bytes;
        let frame_bytes = (outgoing - self.lowest_home + 15) & !15;
        let continues = self.is_continuation();
        let bytes_max = match continues {
            true => continuation::FRAME_BYTES_MAX,
            false => FRAME_BYTES_MAX,
        };
        if frame_bytes > bytes_max || self.incoming_bytes > i32::from(u16::MAX) {
            return Err(CompileError::Bailout(format!(
                "a frame of {frame_bytes} bytes is too large"
            )));
        }
        let epilogue = self.epilogue;
        self.code.bind(epilogue);
        self.leave();
        self.code.ret(self.incoming_bytes as u16);
        self.finish_ways_in()?;
        let way_out = self.code.label();
        let moves = self.cold_calls.iter().any(|call| call.at.is_some());
        while let Some(call) = self.cold_calls.pop() {
            self.cold_call(call, way_out);
        }
        self.code.bind(way_out);
        if moves {
            self.move_out();
        }
        while let Some(other) = self.other_targets.pop() {
            self.other_target(&other);
        }
        while let Some(stub) = self.trap_stubs.pop() {
            self.code.bind(stub.label);
            self.trap_at(stub.kind, stub.position);
        }
        let start = self.code.positions.first().and_then(|p| p.position);
        let overflow = self.code.offset();
        let limit = self.plan.stack_limit.filter(|_| !continues);
        if limit.is_some() {
            self.trap_at(TrapKind::StackOverflow, start.unwrap_or(NO_POSITION));
        }
        let body = PROLOGUE_BYTES_MAX..self.code.bytes.len();
        let jump = self.prologue(frame_bytes, limit);
        self.code.resolve();
        let start = self.code.bytes.move_last(body.end, body.start);
        if let Some(jump) = jump {
            let from = start + (jump as usize - body.end) + 4;
            let jump = (from - 4) as u32;
            self.code
                .bytes
                .patch(jump, overflow.wrapping_sub(from as u32));
        }
        Ok(self.assemble(start..body.end, frame_bytes))
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
        let kept = self.kept.get(call.kept).unwrap_or_default();
        for kept in kept.iter().filter(|kept| kept.dirty) {
            self.code.store_home(kept.ty, kept.reg, kept.home);
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
        for kept in kept {
            self.code.load_home(kept.ty, kept.reg, kept.home);
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
                self.code.load_home(Ty::I64, reg, saved_place(index));
            }
        }
        self.code.leave_frame();
    }

    /// Compares the stack with its limit. Returns the place of the displacement to the code that reports an overflow.
    fn check_stack(&mut self, frame_bytes: i32, limit: (i32, i32)) -> u32 {
        let code = &mut self.code;
        let context = GENERAL_ARGUMENTS[0];
        code.load(Ty::I64, R10, Mem::new(context, limit.0));
        let limit = Mem::new(R10, limit.1);
        if frame_bytes > UNCOUNTED_FRAME_BYTES {
            code.address(true, SCRATCH, Mem::new(STACK, -frame_bytes));
            code.compare_memory(true, SCRATCH, limit);
        } else {
            code.compare_memory(true, STACK, limit);
        }
        code.jump_if_elsewhere(Condition::BELOW)
    }

    /// The prologue, behind everything else. If it checks the stack, returns the place of the displacement to the code
    /// that reports an overflow.
    fn prologue(&mut self, frame_bytes: i32, limit: Option<(i32, i32)>) -> Option<u32> {
        let context = GENERAL_ARGUMENTS[0];
        let first = self.code.bytes.len();
        self.code.enter_frame();
        let jump = limit.map(|limit| self.check_stack(frame_bytes, limit));
        let (used, code) = (self.used, &mut self.code);
        if self.plan.stack_limit.is_none() && frame_bytes > PAGE_BYTES {
            touch_pages(code, frame_bytes);
        }
        code.adjust_stack(-frame_bytes);
        for (index, &reg) in CALLEE_SAVED.iter().enumerate() {
            if used & reg.bit() != 0 {
                code.store_home(Ty::I64, reg, saved_place(index));
            }
        }
        if used & CONTEXT.bit() != 0 {
            code.move_register(Ty::I64, CONTEXT, context);
        }
        if used & MEMORY_BASE.bit() != 0 {
            let base = Mem::new(context, self.plan.memory_base);
            code.load(Ty::I64, MEMORY_BASE, base);
        }
        if let Some((from, to)) = self.zeroed {
            zero(code, from, to);
        }
        if self.aligned {
            // What a stencil's constants are aligned to holds for the function as a whole.
            let bytes = code.bytes.len() - first;
            code.pad((16 - bytes % 16) % 16);
        }
        jump
    }

    /// What was made, which is at `place` in the code.
    fn assemble(&self, place: Range<usize>, frame_bytes: i32) -> CompiledCode {
        let (code, start) = (&self.code, place.start as u32);
        let relocations = code.relocations.iter().map(|r| Relocation {
            offset: r.offset - start,
            ..*r
        });
        let traps = code.traps.iter().map(|t| TrapSite {
            offset: t.offset - start,
            ..*t
        });
        let accesses = code.accesses.iter().map(|a| AccessSite {
            offset: a.offset - start,
            ..*a
        });
        let mut positions = code.positions.to_vec();
        for position in &mut positions {
            position.offset -= start;
        }
        // The first one is that of the function's start.
        if let Some(first) = positions.first_mut() {
            first.offset = 0;
        }
        CompiledCode {
            bytes: code.bytes.as_slice()[place].to_vec(),
            alignment: 16,
            placement: 0,
            relocations: relocations.collect(),
            traps: traps.collect(),
            accesses: accesses.collect(),
            positions,
            frame_bytes: frame_bytes as u32,
            inlined: Vec::new(),
            call_sites: self.call_sites,
            adapter_bytes: 0,
        }
    }
}

/// Where a callee-saved register is kept, as a distance from the frame pointer.
fn saved_place(index: usize) -> i32 {
    -8 * (index as i32 + 1)
}

/// Touches each page of a frame, so that none of them is behind the guard page. Calls make sure of the first.
fn touch_pages(code: &mut Code, frame_bytes: i32) {
    code.address(true, R10, Mem::new(STACK, -PAGE_BYTES));
    code.address(true, SCRATCH, Mem::new(STACK, -frame_bytes));
    let again = code.label();
    code.bind(again);
    code.store_constant(false, 0, Mem::new(R10, 0));
    code.address(true, R10, Mem::new(R10, -PAGE_BYTES));
    code.compare(true, R10, SCRATCH);
    code.jump_if(Condition::NOT_BELOW, again);
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
