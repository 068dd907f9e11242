//! Guards in CLIF: the front end's marks become branches that are never taken.
//!
//! See [`upshift_codegen::deopt`] for what a mark is. The way out is a cold block, which calls the runtime, stores what
//! is live to the transfer record and leaves for the continuation. A value that only the way out needs is computed there:
//! the optimizer moves it to where it is used.
//!
//! What the way out does with registers must not be felt in the hot code beside it, where the register allocator would move
//! what is live to other registers and back. So the call preserves all registers (otherwise what is live would be kept in
//! callee-saved ones), and has no argument in an integer register (otherwise what is live there would have to leave it
//! before the branch): what it is told and what it answers is a message on the stack, whose address travels in a
//! floating-point register, as the loops that a move delays are those of integers.
//!
//! A guard of an inlined body takes along the frames of the functions around it, which the marks of the inlined calls
//! give. A caller whose call is a tail call has no frame any more.

use crate::builtins;
use crate::inline::Inlining;
use crate::marks::{find_guards, find_marks};
use crate::table::{FunctionState, lock};
use crate::transfer::Exit;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, FuncRef, Function, GlobalValue, Inst, InstBuilder, MemFlagsData, Signature,
    StackSlot, StackSlotData, StackSlotKind, Value, types,
};
use cranelift_codegen::isa::CallConv;
use upshift_base::{FuncId, Guard};
use upshift_codegen::deopt::{FrameLayout, FramePoint};
use upshift_codegen::symbol;

/// Where in a function's profile cell the address of its state is.
const STATE: i32 = std::mem::offset_of!(upshift_codemem::ProfileCell, state) as i32;
/// Where in its state the number of guards is that hold until the next one fails in a stress test.
const STRESS_BUDGET: i32 = std::mem::offset_of!(FunctionState, stress_budget) as i32;

/// What a failed guard tells the runtime, and what it is told.
#[repr(C)]
pub(crate) struct GuardMessage {
    /// The profile cell of the function whose code the guard is in.
    pub(crate) cell: usize,
    /// The number of the way back.
    pub(crate) number: u32,
    /// The answer: the address of a transfer record with room for what the way back takes.
    pub(crate) record: usize,
}

const CELL: i32 = std::mem::offset_of!(GuardMessage, cell) as i32;
const NUMBER: i32 = std::mem::offset_of!(GuardMessage, number) as i32;
const RECORD: i32 = std::mem::offset_of!(GuardMessage, record) as i32;

/// A guard that was planted, and what travels from it.
#[derive(Debug)]
pub(crate) struct Planted {
    /// The number of the way back.
    pub(crate) number: u32,
    pub(crate) guard: Guard,
    /// The frames to rebuild, the outermost first; the guard is in the last.
    pub(crate) frames: Vec<PlantedFrame>,
    /// The inlined call that it came with, if it is not the function's own.
    pub(crate) inlined: Option<u32>,
}

/// A frame to rebuild: whose it is, where that goes on, and the types of the values that travel.
#[derive(Debug)]
pub(crate) struct PlantedFrame {
    pub(crate) function: FuncId,
    pub(crate) point: FramePoint,
    pub(crate) layout: FrameLayout,
}

/// Makes branches of the guards in a body of `state`'s function, in which these calls were inlined, and removes the marks
/// of calls. Under `stress` guards fail from time to time though they hold.
pub(crate) fn plant_guards(
    body: &mut Function,
    state: &FunctionState,
    inlining: &Inlining,
    stress: bool,
) -> Vec<Planted> {
    let marks = find_guards(body);
    let planted = match body.layout.entry_block() {
        Some(entry) if !marks.is_empty() => {
            let mut failed = Signature::new(CallConv::PreserveAll);
            failed.params.push(AbiParam::new(types::F64));
            let bytes = std::mem::size_of::<GuardMessage>() as u32;
            let message = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
            let failed = body.import_signature(failed);
            let planter = Planter {
                function: state.function,
                inlining,
                cell: symbol::import_profile_cell(body, state.function),
                failed: symbol::import_builtin(body, builtins::GUARD_FAILED, failed),
                message: body.create_sized_stack_slot(message),
                exit: Exit::new(body, entry),
                stress,
            };
            let first = lock(&state.assumptions).reserve_ways_back(marks.len());
            let plant = |(number, (mark, guard))| planter.plant(body, mark, guard, first + number);
            (0..).zip(marks).map(plant).collect()
        }
        _ => Vec::new(),
    };
    for (mark, _) in find_marks(body, symbol::CALL_FRAME) {
        body.layout.remove_inst(mark);
    }
    planted
}

struct Planter<'a> {
    function: FuncId,
    inlining: &'a Inlining,
    cell: GlobalValue,
    failed: FuncRef,
    /// Where a [`GuardMessage`] is made.
    message: StackSlot,
    exit: Exit,
    stress: bool,
}

impl Planter<'_> {
    /// Splits the block at the mark, and puts the branch in its place.
    fn plant(&self, body: &mut Function, mark: Inst, guard: Guard, number: u32) -> Planted {
        let inlined = self.inlining.call_of(body, mark);
        let arguments = body.dfg.inst_args(mark).to_vec();
        // A mark without a condition never fails.
        let (condition, own) = match arguments.split_first() {
            Some((condition, own)) => (Some(*condition), own),
            None => (None, &[][..]),
        };
        let (frames, values) = self.frames(body, (guard, own), inlined);
        let position = body.srcloc(mark);
        let (rest, cold) = (body.dfg.make_block(), body.dfg.make_block());
        if let (Some(condition), Some(block), Some(next)) = (
            condition,
            body.layout.inst_block(mark),
            body.layout.next_inst(mark),
        ) {
            body.layout.split_block(rest, next);
            body.layout.append_block(cold);
            body.layout.set_cold(cold);
            let mut cursor = FuncCursor::new(body).at_bottom(block);
            cursor.set_srcloc(position);
            let holds = self.condition(&mut cursor, condition);
            cursor.ins().brif(holds, rest, [], cold, []);
            cursor.goto_bottom(cold);
            self.leave(&mut cursor, number, &values);
        }
        body.layout.remove_inst(mark);
        Planted {
            number,
            guard,
            frames,
            inlined,
        }
    }

    /// The frames to rebuild, and their values, the outermost first.
    fn frames(
        &self,
        body: &Function,
        (guard, own): (Guard, &[Value]),
        inlined: Option<u32>,
    ) -> (Vec<PlantedFrame>, Vec<Vec<Value>>) {
        let types = |values: &[Value]| values.iter().map(|v| body.dfg.value_type(*v)).collect();
        let mut frames = vec![PlantedFrame {
            function: self.inlining.callee(inlined).unwrap_or(self.function),
            point: FramePoint::before(guard.position),
            layout: types(own),
        }];
        let mut values = vec![own.to_vec()];
        for call in self.inlining.callers(inlined) {
            // Whoever makes a tail call is gone.
            let Some(mark) = call.mark.filter(|_| !call.is_tail) else {
                continue;
            };
            let live = body.dfg.inst_args(mark);
            frames.push(PlantedFrame {
                function: call.caller.unwrap_or(self.function),
                point: FramePoint::inside(call.position),
                layout: types(live),
            });
            values.push(live.to_vec());
        }
        frames.reverse();
        values.reverse();
        (frames, values)
    }

    /// What the branch depends on.
    fn condition(&self, cursor: &mut FuncCursor<'_>, condition: Value) -> Value {
        if !self.stress {
            return condition;
        }
        let flags = MemFlagsData::trusted();
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        let state = cursor.ins().load(types::I64, flags, cell, STATE);
        let left = cursor.ins().load(types::I32, flags, state, STRESS_BUDGET);
        let left = cursor.ins().iadd_imm_s(left, -1);
        cursor.ins().store(flags, left, state, STRESS_BUDGET);
        let lasts = cursor
            .ins()
            .icmp_imm_s(IntCC::SignedGreaterThanOrEqual, left, 0);
        let holds = cursor.ins().icmp_imm_s(IntCC::NotEqual, condition, 0);
        cursor.ins().band(lasts, holds)
    }

    fn leave(&self, cursor: &mut FuncCursor<'_>, number: u32, values: &[Vec<Value>]) {
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        let number = cursor.ins().iconst(types::I32, i64::from(number));
        let message = cursor.ins().stack_addr(types::I64, self.message, 0);
        let flags = MemFlagsData::trusted();
        cursor.ins().store(flags, cell, message, CELL);
        cursor.ins().store(flags, number, message, NUMBER);
        let bits = MemFlagsData::new();
        let address = cursor.ins().bitcast(types::F64, bits, message);
        cursor.ins().call(self.failed, &[address]);
        let record = cursor.ins().load(types::I64, flags, message, RECORD);
        let values = values.iter().map(Vec::as_slice);
        self.exit.leave(cursor, record, values);
    }
}
