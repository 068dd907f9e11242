//! Guards in CLIF: the front end's marks become branches that are never taken.
//!
//! See [`upshift_codegen::deopt`] for what a mark is. The way out is a cold block, which calls the runtime, stores what
//! is live to the transfer record and leaves for the continuation. A value that only the way out needs is computed there:
//! the optimizer moves it to where it is used.

use crate::builtins;
use crate::table::FunctionState;
use crate::transfer::Exit;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, ExternalName, FuncRef, Function, GlobalValue, Inst, InstBuilder, InstructionData,
    MemFlagsData, Opcode, Signature, Value, types,
};
use cranelift_codegen::isa::CallConv;
use std::collections::HashMap;
use upshift_base::{FuncId, Guard};
use upshift_codegen::deopt::FrameLayout;
use upshift_codegen::symbol;

/// Where in a function's profile cell the address of its state is.
const STATE: i32 = std::mem::offset_of!(upshift_codemem::ProfileCell, state) as i32;
/// Where in its state the number of guards is that hold until the next one fails in a stress test.
const STRESS_BUDGET: i32 = std::mem::offset_of!(FunctionState, stress_budget) as i32;

/// A guard that was planted, and the types of the values that travel from it.
#[derive(Debug)]
pub(crate) struct Planted {
    pub(crate) guard: Guard,
    pub(crate) frame: FrameLayout,
}

/// Makes branches of the guards in a body of `function`. Under `stress` they fail from time to time though they hold.
pub(crate) fn plant_guards(body: &mut Function, function: FuncId, stress: bool) -> Vec<Planted> {
    let marks = find_marks(body);
    let Some(entry) = body.layout.entry_block() else {
        return Vec::new();
    };
    if marks.is_empty() {
        return Vec::new();
    }
    let mut failed = Signature::new(CallConv::SystemV);
    failed.params.push(symbol::pointer_param());
    failed.params.extend([AbiParam::new(types::I32); 3]);
    failed.returns.push(symbol::pointer_param());
    let failed = body.import_signature(failed);
    let planter = Planter {
        cell: symbol::import_profile_cell(body, function),
        failed: symbol::import_builtin(body, builtins::GUARD_FAILED, failed),
        exit: Exit::new(body, entry),
        stress,
    };
    let plant = |(inst, guard)| planter.plant(body, inst, guard);
    marks.into_iter().map(plant).collect()
}

fn find_marks(body: &Function) -> Vec<(Inst, Guard)> {
    let mut functions: HashMap<FuncRef, Guard> = HashMap::new();
    for (function, data) in &body.dfg.ext_funcs {
        if let ExternalName::User(name) = data.name
            && let Some(guard) = symbol::guard(&body.params.user_named_funcs()[name])
        {
            functions.insert(function, guard);
        }
    }
    let mut marks = Vec::new();
    if functions.is_empty() {
        return marks;
    }
    for block in body.layout.blocks() {
        for inst in body.layout.block_insts(block) {
            if let InstructionData::Call {
                opcode: Opcode::Call,
                func_ref,
                ..
            } = body.dfg.insts[inst]
                && let Some(&guard) = functions.get(&func_ref)
            {
                marks.push((inst, guard));
            }
        }
    }
    marks
}

struct Planter {
    cell: GlobalValue,
    failed: FuncRef,
    exit: Exit,
    stress: bool,
}

impl Planter {
    /// Splits the block at the mark, and puts the branch in its place.
    fn plant(&self, body: &mut Function, mark: Inst, guard: Guard) -> Planted {
        let args = body.dfg.inst_args(mark).to_vec();
        let (condition, values) = match args.split_first() {
            Some((condition, values)) => (*condition, values),
            // A mark without a condition never fails.
            None => {
                body.layout.remove_inst(mark);
                return Planted {
                    guard,
                    frame: FrameLayout::new(),
                };
            }
        };
        let frame = values.iter().map(|v| body.dfg.value_type(*v)).collect();
        let position = body.srcloc(mark);
        let (rest, cold) = (body.dfg.make_block(), body.dfg.make_block());
        if let (Some(block), Some(next)) =
            (body.layout.inst_block(mark), body.layout.next_inst(mark))
        {
            body.layout.split_block(rest, next);
            body.layout.append_block(cold);
            body.layout.set_cold(cold);
            body.layout.remove_inst(mark);
            let mut cursor = FuncCursor::new(body).at_bottom(block);
            cursor.set_srcloc(position);
            let holds = self.condition(&mut cursor, condition);
            cursor.ins().brif(holds, rest, [], cold, []);
            cursor.goto_bottom(cold);
            self.leave(&mut cursor, guard, values);
        }
        Planted { guard, frame }
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

    fn leave(&self, cursor: &mut FuncCursor<'_>, guard: Guard, values: &[Value]) {
        let cell = cursor.ins().symbol_value(types::I64, self.cell);
        let numbers = [guard.position, guard.reason as u32, values.len() as u32];
        let [position, reason, len] =
            numbers.map(|number| cursor.ins().iconst(types::I32, i64::from(number)));
        let call = cursor
            .ins()
            .call(self.failed, &[cell, position, reason, len]);
        let record = cursor.func.dfg.inst_results(call)[0];
        self.exit.leave(cursor, record, values);
    }
}
