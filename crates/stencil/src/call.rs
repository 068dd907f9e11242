//! Calls.

use crate::abi::{Assignment, Place};
use crate::arch::x64::{
    CALLEE_SAVED, CLOBBERED_BY_CALLS, Condition, GENERAL_ARGUMENTS, Mem, RAX, SCRATCH, STACK,
};
use crate::assembler::Assembler;
use crate::moves::{Move, Source};
use crate::plan::OtherTarget;
use crate::value::Ty;
use std::mem::offset_of;
use upshift_base::FuncId;
use upshift_codegen::call_site::CallSite;
use upshift_codegen::{CompileError, RelocKind, Target};

/// What is called.
#[derive(Clone, Copy, Debug)]
pub enum Callee {
    /// A function, with the context of this one, through its entry slot.
    Function(FuncId),
    /// The function that the record at an offset of the context describes: at these offsets it has the address of the
    /// entry slot, and the context.
    Import(i32, i32),
    /// The same for the record whose address is on top of the arguments.
    Record(i32, i32),
}

/// An argument of a helper function behind the context.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// A constant.
    Constant(u32),
    /// The next of the operands.
    Operand,
}

impl Assembler {
    /// Pops `count` arguments and puts all but the context where the callee looks for them; everything else is saved.
    fn place_arguments(&mut self, callee: Callee, count: usize) -> i32 {
        let record = matches!(callee, Callee::Record(..)).then(|| self.pop());
        let first = self.vals.len() - count;
        let mut assignment = Assignment::arguments();
        for index in first..self.vals.len() {
            let val = self.vals[index];
            match assignment.next(val.ty) {
                Place::Reg(to) => {
                    let from = self.source(val);
                    self.moves.push(Move::new(to, from));
                }
                Place::Stack(offset) => self.store_to(val, Mem::new(STACK, offset)),
            }
        }
        if let Some(record) = record {
            let from = self.source(record);
            self.moves.push(Move::new(RAX, from));
        }
        self.drop_operands(first);
        self.flush();
        self.forget_saved(CLOBBERED_BY_CALLS);
        self.make_moves();
        assignment.stack_bytes()
    }

    /// Loads the callee's context, and what is needed to find its code.
    fn place_context(&mut self, callee: Callee) {
        let to = GENERAL_ARGUMENTS[0];
        let context = self.context();
        match callee {
            Callee::Function(_) => self.code.move_register(Ty::I64, to, context),
            Callee::Import(slot, vmctx) => {
                self.code.load(Ty::I64, RAX, Mem::new(context, slot));
                self.code.load(Ty::I64, to, Mem::new(context, vmctx));
            }
            Callee::Record(slot, vmctx) => {
                self.code.load(Ty::I64, to, Mem::new(RAX, vmctx));
                self.code.load(Ty::I64, RAX, Mem::new(RAX, slot));
            }
        }
    }

    /// A call site: counts which function is called, whose entry slot's address is in `rax`.
    ///
    /// The scratch register and `r10`, which passes no argument, are free here.
    fn count_target(&mut self, callee: Callee) {
        if !matches!(callee, Callee::Record(..)) {
            return;
        }
        let number = self.call_sites;
        self.call_sites += 1;
        let Some(plan) = self.plan.counters.and_then(|counters| counters.call_sites) else {
            return;
        };
        let site = size_of::<CallSite>() as i32 * number as i32;
        let (label, back) = (self.code.label(), self.code.label());
        self.code.load_relative(SCRATCH);
        let cell = Target::ProfileCell(self.plan.function);
        self.code
            .relocate(RelocKind::PcRel4, cell, i64::from(plan.array));
        let first = offset_of!(CallSite, slots) as i32;
        self.code
            .compare_memory(true, RAX, Mem::new(SCRATCH, site + first));
        self.code.jump_if(Condition::NOT_EQUAL, label);
        let count = offset_of!(CallSite, counts) as i32;
        self.code.increment_memory(Mem::new(SCRATCH, site + count));
        self.code.bind(back);
        self.other_targets.push(OtherTarget {
            label,
            back,
            site,
            record: plan.record,
        });
    }

    /// Leaves a call site out whose code cannot be reached: sites are numbered in the order of the source.
    pub fn skip_call_site(&mut self) {
        self.call_sites += 1;
    }

    /// Counts a call of a function that is not the first one seen at its call site.
    pub(crate) fn other_target(&mut self, other: &OtherTarget) {
        self.code.bind(other.label);
        if other.site != 0 {
            self.code
                .address(true, SCRATCH, Mem::new(SCRATCH, other.site));
        }
        self.code.call_cell();
        let record = Target::Builtin(other.record);
        self.code.relocate(RelocKind::GotPcRel4, record, 0);
        self.code.jump(other.back);
    }

    /// Pops `count` arguments, calls, and pushes the results.
    pub fn call(&mut self, callee: Callee, count: usize, results: impl Iterator<Item = Ty>) {
        self.emit_call(callee, count);
        self.push_results(results);
    }

    /// The same with a way into a continuation inside the call: while the callee runs, these locals and what is left of the
    /// operands are live. Returns their types; see [`Assembler::way_in`].
    pub fn call_with_way_in(
        &mut self,
        (callee, count): (Callee, usize),
        results: impl Iterator<Item = Ty>,
        (number, locals): (usize, &[u32]),
    ) -> Vec<Ty> {
        self.emit_call(callee, count);
        let types = self.way_in_behind_call(number, locals);
        self.push_results(results);
        types
    }

    fn emit_call(&mut self, callee: Callee, count: usize) {
        let stack_bytes = self.place_arguments(callee, count);
        self.outgoing_bytes = self.outgoing_bytes.max(stack_bytes);
        self.place_context(callee);
        self.code.position(self.position);
        self.count_target(callee);
        match callee {
            Callee::Function(function) => {
                self.code.call_cell();
                self.code
                    .relocate(RelocKind::GotPcRel4, Target::Function(function), 0);
            }
            Callee::Import(..) | Callee::Record(..) => self.code.call_memory(Mem::new(RAX, 0)),
        }
        if stack_bytes > 0 {
            // The callee has popped them.
            self.code.adjust_stack(-stack_bytes);
        }
        self.pinned = 0;
    }

    fn push_results(&mut self, results: impl Iterator<Item = Ty>) {
        let mut assignment = Assignment::results();
        for ty in results {
            if let Place::Reg(reg) = assignment.next(ty) {
                self.push_result(ty, reg);
            }
        }
    }

    /// Pushes a value that came from elsewhere, with its upper half undefined if it has one.
    pub(crate) fn push_result(&mut self, ty: Ty, reg: crate::arch::x64::Reg) {
        if ty == Ty::I32 {
            self.code.clear_upper_half(reg);
        }
        self.used |= reg.bit();
        self.push_register(ty, reg);
    }

    /// Calls in the place of this function.
    ///
    /// # Errors
    /// If the callee takes arguments on the stack.
    pub fn tail_call(&mut self, callee: Callee, count: usize) -> Result<(), CompileError> {
        if self.place_arguments(callee, count) > 0 {
            let reason = "a tail call with arguments on the stack";
            return Err(CompileError::Bailout(reason.to_owned()));
        }
        self.place_context(callee);
        self.code.position(self.position);
        self.count_target(callee);
        // What follows may use registers that nothing has used yet, which the prologue then saves: they are all put back.
        for reg in CALLEE_SAVED {
            self.used |= reg.bit();
        }
        self.leave_for_good();
        match callee {
            Callee::Function(function) => {
                self.code.jump_cell();
                self.code
                    .relocate(RelocKind::GotPcRel4, Target::Function(function), 0);
            }
            Callee::Import(..) | Callee::Record(..) => self.code.jump_memory(Mem::new(RAX, 0)),
        }
        Ok(())
    }

    /// Calls a helper function of the System V convention, whose address is at `helper` in the table that the context
    /// has at `table`. Its first argument is the context. The operands among the arguments are popped.
    pub fn call_helper(
        &mut self,
        table: i32,
        helper: i32,
        arguments: &[Argument],
        result: Option<Ty>,
    ) {
        let operands = arguments
            .iter()
            .filter(|argument| matches!(argument, Argument::Operand))
            .count();
        let mut next = self.vals.len() - operands;
        for (argument, &to) in arguments.iter().zip(&GENERAL_ARGUMENTS[1..]) {
            let from = match argument {
                Argument::Constant(value) => Source::Const(Ty::I32, u64::from(*value)),
                Argument::Operand => {
                    next += 1;
                    self.source(self.vals[next - 1])
                }
            };
            self.moves.push(Move::new(to, from));
        }
        for _ in 0..operands {
            self.pop();
        }
        self.flush();
        self.forget_saved(CLOBBERED_BY_CALLS);
        self.make_moves();
        let context = self.context();
        self.code.load(Ty::I64, RAX, Mem::new(context, table));
        self.code
            .move_register(Ty::I64, GENERAL_ARGUMENTS[0], context);
        self.code.position(self.position);
        self.code.call_memory(Mem::new(RAX, helper));
        self.pinned = 0;
        if let Some(ty) = result {
            self.push_result(ty, RAX);
        }
    }
}
