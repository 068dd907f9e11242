//! One function, from its entry to its last block.

use super::arithmetic as int;
use super::scan::Scan;
use super::state::{BlockState, Driver, bailout, check_order, kind};
use super::values::{Place, Values};
use super::{call, condition, memory, stencils, vector};
use crate::arch::x64::{FRAME, IS_HOST, Mem};
use crate::code::NO_POSITION;
use crate::frame::Workspace;
use crate::plan::{Plan, SAVED_BYTES};
use crate::value::{FloatOp, IntOp, LoadKind, ShiftOp, Ty};
use cranelift_codegen::ir::{Block, BlockCall, Function, Inst, InstructionData, Opcode, Value};
use std::cell::Cell;
use upshift_base::FuncId;
use upshift_codegen::{CompileError, CompiledCode};

thread_local! {
    /// Memory for the thread's next function.
    static WORKSPACE: Cell<Workspace> = Cell::default();
}

/// Stack slots are aligned to no more bytes than the frame is.
const ALIGNMENT_MAX: i32 = 16;
/// Stack slots larger than this are left to other compilers.
const SLOT_BYTES_MAX: u32 = 128 << 10;
/// Instructions at the start of a loop that are looked at for the values that it uses.
const LOOP_LOOK_AHEAD: usize = 24;
/// Values that are kept in registers from one iteration to the next.
const LOOP_LOCALS_MAX: usize = 7;

/// Code of the function `id`.
///
/// # Errors
/// [`CompileError::Bailout`] for what is left to other compilers.
pub(super) fn function(
    body: &Function,
    id: FuncId,
    canonical_nans: bool,
) -> Result<CompiledCode, CompileError> {
    if !IS_HOST {
        return Err(bailout("another architecture"));
    }
    let plan = Plan {
        function: id,
        // They are in the body.
        counters: None,
        stack_limit: memory::stack_limit(body)?,
        memory_base: 0,
        every_position: false,
    };
    let results = call::own_results(&body.signature)?;
    let mut workspace = WORKSPACE.take();
    let asm = workspace.begin(plan, std::iter::empty(), results, NO_POSITION);
    let Scan {
        order,
        positions,
        cold_from,
        loop_ends,
        uses,
    } = Scan::of(body);
    let mut driver = Driver {
        body,
        asm,
        values: Values::new(uses),
        canonical_nans,
        order,
        at: 0,
        blocks: Vec::with_capacity(positions.len()),
        held: Vec::new(),
        slots: Vec::with_capacity(body.sized_stack_slots.len()),
        falls_out: false,
    };
    for position in positions {
        let label = driver.asm.code.label();
        driver.blocks.push(BlockState::new(position, label));
    }
    declare_slots(&mut driver)?;
    for (at, loop_end) in (0..).zip(loop_ends) {
        driver.at = at;
        driver.values.cold = at >= cold_from;
        block(&mut driver, loop_end)?;
    }
    let code = workspace.finish(driver.asm, driver.falls_out);
    WORKSPACE.set(workspace);
    code
}

/// Gives the stack slots their places in the frame.
fn declare_slots(d: &mut Driver<'_>) -> Result<(), CompileError> {
    if !d.body.dynamic_stack_slots.is_empty() {
        return Err(bailout("stack slots of a size that is not known"));
    }
    for slot in d.body.sized_stack_slots.values() {
        let alignment = 1 << slot.align_shift.clamp(3, 7);
        if slot.size > SLOT_BYTES_MAX || alignment > ALIGNMENT_MAX {
            return Err(bailout("a stack slot that is too large"));
        }
        let below = SAVED_BYTES + d.asm.local_bytes.saturating_add(slot.size as i32);
        let offset = (below + alignment - 1) & !(alignment - 1);
        d.asm.local_bytes = offset - SAVED_BYTES;
        d.asm.lowest_home = d.asm.lowest_home.min(-offset);
        d.slots.push(-offset);
    }
    Ok(())
}

fn block(d: &mut Driver<'_>, loop_end: u32) -> Result<(), CompileError> {
    let block = d.order[d.at as usize];
    let first = d.body.layout.first_inst(block);
    d.asm
        .begin(first.map_or(NO_POSITION, |inst| d.body.srcloc(inst).bits()));
    if d.at == 0 {
        call::take_params(d, d.body.dfg.block_params(block))?;
        d.asm.saved_below = d.asm.locals;
        // The entry has no end of a loop, for nothing jumps there.
    } else if !d.begin_block(block) {
        return Err(bailout("a block that comes before all that lead to it"));
    }
    if loop_end != 0 && d.at != 0 {
        d.values.open_loop(d.at, loop_end);
        let wanted = wanted(d, block);
        d.begin_loop(block, &wanted);
    }
    for inst in d.body.layout.block_insts(block) {
        let position = d.body.srcloc(inst).bits();
        d.asm.begin(position);
        instruction(d, inst)?;
    }
    d.values.close_loops(&mut d.asm, d.at);
    Ok(())
}

/// The locals that a loop begins with.
fn wanted(d: &Driver<'_>, header: Block) -> Vec<u32> {
    let mut wanted = Vec::new();
    let mut vectors = 0;
    let mut want = |value: Value| {
        if let Place::Local(local) = d.place(value)
            && !wanted.contains(&local.number)
        {
            let is_vector = d.asm.vals[local.number as usize].ty.is_vector();
            let general = wanted.len() - vectors;
            if is_vector && vectors < LOOP_LOCALS_MAX || !is_vector && general < LOOP_LOCALS_MAX {
                wanted.push(local.number);
                vectors += usize::from(is_vector);
            }
        }
    };
    d.body
        .dfg
        .block_params(header)
        .iter()
        .copied()
        .for_each(&mut want);
    // The next block too: the first may do nothing but count.
    let blocks = [Some(&header), d.order.get(d.at as usize + 1)];
    let insts = blocks.into_iter().flatten();
    let insts = insts.flat_map(|block| d.body.layout.block_insts(*block));
    for inst in insts.take(LOOP_LOOK_AHEAD) {
        d.args(inst).iter().copied().for_each(&mut want);
    }
    wanted
}

/// One instruction.
fn instruction(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let data = &d.body.dfg.insts[inst];
    let opcode = data.opcode();
    if is_useless(d, inst, opcode) {
        d.consume_all(d.args(inst));
        return Ok(());
    }
    match *data {
        InstructionData::UnaryImm { imm, .. } => {
            return d.define_known(d.result(inst), imm.bits().cast_unsigned());
        }
        InstructionData::UnaryIeee32 { imm, .. } => {
            return d.define_known(d.result(inst), imm.bits().into());
        }
        InstructionData::UnaryIeee64 { imm, .. } => {
            return d.define_known(d.result(inst), imm.bits());
        }
        InstructionData::Binary { .. } => return binary(d, inst, opcode),
        InstructionData::Unary { .. } => return unary(d, inst, opcode),
        InstructionData::IntCompare { .. } | InstructionData::FloatCompare { .. } => {
            return match d.ty(d.args(inst)[0]).is_vector() {
                true => vector::operation(d, inst),
                false => condition::compare(d, inst),
            };
        }
        InstructionData::Load { flags, offset, .. } => {
            return memory::load(d, inst, opcode, (flags, offset.into()));
        }
        InstructionData::Store { flags, offset, .. } => {
            return memory::store(d, inst, opcode, (flags, offset.into()));
        }
        InstructionData::LoadNoOffset { flags, .. } if opcode == Opcode::AtomicLoad => {
            return memory::load(d, inst, opcode, (flags, 0));
        }
        InstructionData::StoreNoOffset { flags, .. } if opcode == Opcode::AtomicStore => {
            memory::store(d, inst, opcode, (flags, 0))?;
            // Loads that follow must not be done before it.
            d.asm.code.fence();
            return Ok(());
        }
        InstructionData::AtomicRmw { flags, .. } | InstructionData::AtomicCas { flags, .. } => {
            return stencils::access(d, inst, flags);
        }
        InstructionData::LoadNoOffset { flags, .. } if opcode == Opcode::Bitcast => {
            check_order(d, flags)?;
            return int::bitcast(d, inst);
        }
        InstructionData::UnaryConst {
            constant_handle,
            opcode: Opcode::Vconst,
        } => {
            return memory::vector_constant(d, inst, constant_handle);
        }
        InstructionData::Jump { destination, .. } => return jump(d, destination),
        InstructionData::Brif { arg, blocks, .. } => return brif(d, arg, &blocks),
        InstructionData::BranchTable { .. } => return br_table(d, inst),
        _ => {}
    }
    other(d, inst, data)
}

fn other(d: &mut Driver<'_>, inst: Inst, data: &InstructionData) -> Result<(), CompileError> {
    match *data {
        InstructionData::Call {
            func_ref, opcode, ..
        } => call::call(d, inst, func_ref, opcode == Opcode::ReturnCall),
        InstructionData::CallIndirect {
            sig_ref, opcode, ..
        } => call::call_indirect(d, inst, sig_ref, opcode == Opcode::ReturnCallIndirect),
        InstructionData::MultiAry {
            opcode: Opcode::Return,
            ..
        } => call::return_(d, inst),
        InstructionData::Ternary {
            opcode: Opcode::Select | Opcode::SelectSpectreGuard,
            ..
        } => condition::select(d, inst),
        InstructionData::Trap {
            opcode: Opcode::Trap,
            code,
        } => {
            d.asm.trap(kind(code));
            Ok(())
        }
        InstructionData::CondTrap { opcode, arg, code } => {
            let test = condition::test(d, arg)?;
            let condition = d.asm.make_test(test);
            let condition = match opcode {
                Opcode::Trapnz => condition,
                _ => condition.inverted(),
            };
            let label = d.asm.trap_label(kind(code));
            d.asm.code.jump_if(condition, label);
            Ok(())
        }
        InstructionData::IntAddTrap { code, .. } => int::add_or_trap(d, inst, code),
        InstructionData::StackAddr {
            stack_slot, offset, ..
        } => {
            let at = d.slot(stack_slot, offset.into());
            memory::stack_addr(d, inst, at);
            Ok(())
        }
        InstructionData::UnaryGlobalValue {
            global_value,
            opcode: Opcode::SymbolValue,
        } => memory::global(d, inst, global_value),
        InstructionData::FuncAddr { func_ref, .. } => memory::func_addr(d, inst, func_ref),
        InstructionData::NullAry {
            opcode: Opcode::Nop | Opcode::SequencePoint,
        } => Ok(()),
        InstructionData::NullAry {
            opcode: Opcode::Fence,
        } => {
            d.asm.code.fence();
            Ok(())
        }
        InstructionData::NullAry { opcode } => frame_address(d, inst, opcode),
        _ => vector::operation(d, inst),
    }
}

/// Whether an instruction does nothing but compute what is not used.
fn is_useless(d: &Driver<'_>, inst: Inst, opcode: Opcode) -> bool {
    let results = d.body.dfg.inst_results(inst);
    let unused = |result: &Value| d.values.uses[d.index(*result)] == 0;
    let acts = opcode.can_load() || opcode.can_store() || opcode.can_trap() || opcode.is_call();
    !results.is_empty() && results.iter().all(unused) && !acts && !opcode.other_side_effects()
}

/// What can be known of the frame.
fn frame_address(d: &mut Driver<'_>, inst: Inst, opcode: Opcode) -> Result<(), CompileError> {
    let to = match opcode {
        Opcode::GetFramePointer | Opcode::GetReturnAddress => d.asm.allocate(false),
        _ => return stencils::operation(d, inst),
    };
    match opcode {
        Opcode::GetFramePointer => d.asm.code.move_register(Ty::I64, to, FRAME),
        _ => {
            let from = Mem::new(FRAME, 8);
            d.asm.code.load_kind(LoadKind::Full(Ty::I64), to, from);
        }
    }
    d.asm.push_register(Ty::I64, to);
    d.define(d.result(inst), false);
    Ok(())
}

fn binary(d: &mut Driver<'_>, inst: Inst, opcode: Opcode) -> Result<(), CompileError> {
    let ty = d.ty(d.args(inst)[0]);
    if ty.is_vector() || ty.bits() > 64 {
        return vector::operation(d, inst);
    }
    match opcode {
        Opcode::Iadd => int::int_binary(d, inst, IntOp::Add),
        Opcode::Isub => int::int_binary(d, inst, IntOp::Sub),
        Opcode::Imul => int::int_binary(d, inst, IntOp::Mul),
        Opcode::Band if ty.is_int() => int::int_binary(d, inst, IntOp::And),
        Opcode::Bor if ty.is_int() => int::int_binary(d, inst, IntOp::Or),
        Opcode::Bxor if ty.is_int() => int::int_binary(d, inst, IntOp::Xor),
        Opcode::Ishl => int::shift(d, inst, ShiftOp::Shl),
        Opcode::Ushr => int::shift(d, inst, ShiftOp::ShrU),
        Opcode::Sshr => int::shift(d, inst, ShiftOp::ShrS),
        Opcode::Rotl if ty.bits() >= 32 => int::shift(d, inst, ShiftOp::Rotl),
        Opcode::Rotr if ty.bits() >= 32 => int::shift(d, inst, ShiftOp::Rotr),
        Opcode::UaddOverflow
        | Opcode::SaddOverflow
        | Opcode::UsubOverflow
        | Opcode::SsubOverflow
        | Opcode::UmulOverflow
        | Opcode::SmulOverflow => int::overflow(d, inst, opcode),
        Opcode::Fadd if !d.canonical_nans => int::float_binary(d, inst, FloatOp::Add),
        Opcode::Fsub if !d.canonical_nans => int::float_binary(d, inst, FloatOp::Sub),
        Opcode::Fmul if !d.canonical_nans => int::float_binary(d, inst, FloatOp::Mul),
        Opcode::Fdiv if !d.canonical_nans => int::float_binary(d, inst, FloatOp::Div),
        _ => stencils::operation(d, inst),
    }
}

fn unary(d: &mut Driver<'_>, inst: Inst, opcode: Opcode) -> Result<(), CompileError> {
    let ty = d.ty(d.args(inst)[0]);
    if ty.is_vector() || ty.bits() > 64 || d.ty(d.result(inst)).bits() > 64 {
        return vector::operation(d, inst);
    }
    match opcode {
        Opcode::Ineg => int::int_unary(d, inst, (IntOp::Sub, 0)),
        Opcode::Bnot if ty.is_int() => int::int_unary(d, inst, (IntOp::Xor, u64::MAX)),
        Opcode::Uextend => int::zero_extend(d, inst),
        Opcode::Sextend => int::sign_extend(d, inst),
        Opcode::Ireduce => int::reduce(d, inst),
        Opcode::Sqrt if !d.canonical_nans => int::float_sqrt(d, inst),
        _ => stencils::operation(d, inst),
    }
}

fn jump(d: &mut Driver<'_>, destination: BlockCall) -> Result<(), CompileError> {
    let edges = d.edges(&[destination])?;
    d.jump(&edges[0]);
    Ok(())
}

fn brif(d: &mut Driver<'_>, arg: Value, blocks: &[BlockCall; 2]) -> Result<(), CompileError> {
    let test = condition::test(d, arg)?;
    let edges = d.edges(blocks)?;
    let condition = d.asm.make_test(test);
    d.branch(condition, &edges[0], &edges[1]);
    Ok(())
}

fn br_table(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let InstructionData::BranchTable { arg, table, .. } = d.body.dfg.insts[inst] else {
        return Err(bailout("a table of another kind"));
    };
    d.push(arg)?;
    d.consume(arg);
    let table = &d.body.dfg.jump_tables[table];
    let registers = d.asm.begin_jump_table();
    // The default is the first of them there, and the last one here.
    let edges = d.edges(table.all_branches())?;
    let mut relays = Vec::new();
    let mut choices = Vec::with_capacity(edges.len());
    for number in (1..edges.len()).chain([0]) {
        choices.push(d.table_label(&edges[number], &mut relays, number));
    }
    d.asm.jump_table(registers, &choices);
    for (label, number) in relays {
        d.relay(label, &edges[number]);
    }
    Ok(())
}
