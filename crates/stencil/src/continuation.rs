//! Continuations: functions that are entered in the middle, with the values that are live there in a transfer record.
//!
//! A continuation is the whole function, made as always, with another beginning: it looks up in the record which of its
//! ways in is meant, and each way in copies the values to their home slots and jumps to its place, where the frame is
//! canonical. The home slots are where they are in the function itself.

use crate::arch::x64::{
    CLOBBERED_BY_CALLS, GENERAL_ARGUMENTS, Mem, R10, RAX, SCRATCH, VECTOR_SCRATCH,
};
use crate::assembler::{Assembler, Loc, Val, members};
use crate::code::Label;
use crate::flow::JumpTable;
use crate::plan::{Place, WayIn};
use crate::value::Ty;
use upshift_codegen::frame_log::FrameLogPlan;
use upshift_codegen::{CompileError, RelocKind, Target, osr};

/// Frames of continuations are no larger: they take the place of others without a look at the stack limit.
pub(crate) const FRAME_BYTES_MAX: i32 = 16 << 10;

impl Assembler {
    /// Whether this is a continuation.
    pub(crate) fn is_continuation(&self) -> bool {
        !self.ways_in.is_empty()
    }

    /// Begins a continuation of so many ways in.
    pub(crate) fn begin_ways_in(&mut self, count: usize) {
        let copies: Vec<Label> = (0..count).map(|_| self.code.label()).collect();
        match copies[..] {
            [only] => self.code.jump(only),
            _ => {
                let number = Mem::new(GENERAL_ARGUMENTS[1], osr::TRANSFER_ENTRY);
                self.code.load(Ty::I32, R10, number);
                self.jump_table(JumpTable::new(R10, RAX), &copies);
            }
        }
        let way_in = |copies| WayIn {
            copies,
            place: None,
        };
        self.ways_in = copies.into_iter().map(way_in).collect();
    }

    /// Way in `number` leads here, with these locals and all operands. Returns their types, in that order.
    pub fn way_in(&mut self, number: usize, locals: &[u32]) -> Vec<Ty> {
        self.keep_in_homes();
        self.lead_here(number, locals, None)
    }

    /// Way in `number` leads here, behind a call whose results are not pushed yet, by way of the continuation of the callee
    /// that the next record is for. The rest is as with [`Assembler::way_in`].
    pub(crate) fn way_in_behind_call(&mut self, number: usize, locals: &[u32]) -> Vec<Ty> {
        self.keep_in_homes();
        self.lead_here(number, locals, Some(self.position))
    }

    fn lead_here(&mut self, number: usize, locals: &[u32], inside: Option<u32>) -> Vec<Ty> {
        let label = self.code.label();
        self.code.bind(label);
        let locals = locals.iter().map(|local| &self.vals[*local as usize]);
        let values = locals.chain(&self.vals[self.locals..]);
        let values: Vec<(Ty, i32)> = values.map(|val| (val.ty, val.home)).collect();
        let types = values.iter().map(|(ty, _)| *ty).collect();
        if let Some(way_in) = self.ways_in.get_mut(number) {
            way_in.place = Some(Place {
                label,
                values,
                inside,
            });
        }
        types
    }

    /// Makes the frame canonical, and forgets what is in registers too.
    pub fn keep_in_homes(&mut self) {
        self.flush();
        self.evict_all(self.busy);
        self.forget_constants();
        self.pinned = 0;
        let in_home = |val: &mut Val| {
            val.set_loc(Loc::Home);
            val.saved = true;
        };
        self.vals.iter_mut().for_each(in_home);
    }

    /// Logs these locals and all operands, as the frame before the present operation. Each is in its home, and no operand
    /// in a register.
    pub fn log_frame(&mut self, plan: FrameLogPlan, locals: &[u32]) {
        let locals = locals.iter().map(|local| &self.vals[*local as usize]);
        let values = locals.chain(&self.vals[self.locals..]);
        let values: Vec<(Ty, i32)> = values.map(|val| (val.ty, val.home)).collect();
        let count = values.len() as u64;
        if values.len() > osr::TRANSFER_VALUES_MAX {
            return;
        }
        self.code.position(self.position);
        self.code.move_constant(GENERAL_ARGUMENTS[0], count);
        self.call_builtin(plan.buffer);
        for (index, (ty, home)) in values.into_iter().enumerate() {
            let scratch = if ty.is_vector() {
                VECTOR_SCRATCH
            } else {
                SCRATCH
            };
            self.code.load_home(ty, scratch, home);
            let to = Mem::new(RAX, osr::TRANSFER_VALUE_BYTES as i32 * index as i32);
            self.code.store(ty, scratch, to);
        }
        self.code.address_relative(GENERAL_ARGUMENTS[0]);
        let cell = Target::ProfileCell(self.plan.function);
        self.code.relocate(RelocKind::PcRel4, cell, 0);
        let position = u64::from(self.position);
        self.code.move_constant(GENERAL_ARGUMENTS[1], position);
        self.code.move_constant(GENERAL_ARGUMENTS[2], count);
        self.call_builtin(plan.logged);
        for reg in members(self.busy & CLOBBERED_BY_CALLS) {
            let val = self.vals[self.holders[reg.index()].local as usize];
            self.code.load_home(val.ty, reg, val.home);
        }
    }

    fn call_builtin(&mut self, number: u32) {
        self.code.call_cell();
        let builtin = Target::Builtin(number);
        self.code.relocate(RelocKind::GotPcRel4, builtin, 0);
    }

    /// Makes the code of the ways in.
    ///
    /// # Errors
    /// If one of them leads nowhere.
    pub(crate) fn finish_ways_in(&mut self) -> Result<(), CompileError> {
        for way_in in std::mem::take(&mut self.ways_in) {
            let Some(Place {
                label,
                values,
                inside,
            }) = way_in.place
            else {
                let reason = "a place to go on at cannot be reached";
                return Err(CompileError::Bailout(reason.to_owned()));
            };
            self.code.bind(way_in.copies);
            let next = osr::transfer_value(values.len());
            for (index, (ty, home)) in values.into_iter().enumerate() {
                let scratch = if ty.is_vector() {
                    VECTOR_SCRATCH
                } else {
                    SCRATCH
                };
                let from = Mem::new(GENERAL_ARGUMENTS[1], osr::transfer_value(index));
                self.code.load(ty, scratch, from);
                self.code.store_home(ty, scratch, home);
            }
            if let Some(position) = inside {
                let record = GENERAL_ARGUMENTS[1];
                self.code.address(true, record, Mem::new(record, next));
                let context = self.context();
                self.code
                    .move_register(Ty::I64, GENERAL_ARGUMENTS[0], context);
                self.code.position(position);
                self.code.call_memory(Mem::new(record, osr::TRANSFER_CODE));
            }
            self.code.jump(label);
        }
        Ok(())
    }
}
