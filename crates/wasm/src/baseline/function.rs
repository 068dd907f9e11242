//! One function, from its first byte to its last.

use super::call::call;
use super::control::{block, end_of_unreachable, loop_, unreachable_operator};
use super::resource::resource;
use super::simple::{Simple, simple};
use super::state::{Driver, Frame, Kind, bailout, failed, types};
use super::stencils;
use super::{control, state};
use crate::info::ModuleInfo;
use crate::types::ValType;
use crate::vmctx::offset;
use std::cell::Cell;
use upshift::embed::osr::FrameValue;
use upshift::embed::stencil::{Assembler, Condition, IS_SUPPORTED, Plan, Workspace, results_fit};
use upshift::embed::{BaselineRequest, CompileError, CompiledCode, FuncId, TrapKind};
use wasmparser::{FunctionBody, Operator, OperatorsReader};

thread_local! {
    /// Memory for the thread's next function.
    static WORKSPACE: Cell<Workspace> = Cell::default();
}

/// More locals than this are left to other compilers.
const LOCALS_MAX: u32 = 10_000;

/// Code of function `own` of a module, not counting imported ones; `first` is function 0.
///
/// # Errors
/// [`CompileError::Bailout`] for what is left to other compilers.
pub fn function(
    info: &ModuleInfo,
    own: u32,
    first: FuncId,
    request: &BaselineRequest<'_>,
) -> Result<CompiledCode, CompileError> {
    let mut workspace = WORKSPACE.take();
    let mut driver = begin(&mut workspace, info, own, first, request)?;
    run(&mut driver, u32::MAX)?;
    let reachable = driver.reachable;
    let code = workspace.finish(driver.asm, reachable);
    WORKSPACE.set(workspace);
    code
}

/// Where the values that travel from the header of loop `loop_index` are in the frame of that code: the locals `live`,
/// then all operands.
///
/// # Errors
/// As [`function`], and if the loop cannot be reached.
pub fn frame(
    info: &ModuleInfo,
    own: u32,
    first: FuncId,
    request: &BaselineRequest<'_>,
    loop_index: u32,
    live: &[u32],
) -> Result<Vec<FrameValue>, CompileError> {
    let mut workspace = Workspace::default();
    let mut driver = begin(&mut workspace, info, own, first, request)?;
    run(&mut driver, loop_index)?;
    if driver.loops <= loop_index || !driver.reachable {
        return Err(bailout("a loop that cannot be reached"));
    }
    Ok(driver.asm.frame_values(live))
}

/// Begins a function, up to its first operator.
fn begin<'m, 'r>(
    workspace: &mut Workspace,
    info: &'m ModuleInfo,
    own: u32,
    first: FuncId,
    request: &'r BaselineRequest<'r>,
) -> Result<Driver<'m, 'r>, CompileError> {
    if !IS_SUPPORTED {
        return Err(bailout("another architecture"));
    }
    let body = info.body(own);
    let body = body.ok_or_else(|| CompileError::Failed(format!("there is no function {own}")))?;
    let ty = info.func_type(info.imported_functions + own);
    let results: Vec<_> = types(ty.results()).collect();
    if !results_fit(types(ty.results())) {
        return Err(bailout("more results than registers"));
    }
    let plan = Plan {
        function: request.function,
        counters: request.counters,
        stack_limit: (offset::VMCONTEXT_LIMITS, offset::LIMITS_STACK_LIMIT),
        memory_base: match info.memories.is_empty() {
            true => 0,
            false => info.layout.memory(0) + offset::MEMORY_ENTRY_BASE,
        },
    };
    let mut asm = workspace.begin(
        plan,
        types(ty.params()),
        &results,
        body.range().start as u32,
    );

    let operators = declare_locals(&mut asm, &body)?;
    let end = asm.destination(0, results.len());
    let mut driver = Driver {
        info,
        first,
        request,
        asm,
        operators,
        control: Vec::with_capacity(8),
        reachable: true,
        skipped: 0,
        loops: 0,
    };
    driver.control.push(Frame {
        kind: Kind::Function,
        params: &[],
        results: ty.results(),
        end,
    });
    if info.options.interruptible {
        driver.check_interrupt();
    }
    Ok(driver)
}

/// Declares the locals, and returns what is behind them.
fn declare_locals<'m>(
    asm: &mut Assembler,
    body: &FunctionBody<'m>,
) -> Result<OperatorsReader<'m>, CompileError> {
    let mut locals = body.get_locals_reader().map_err(failed)?;
    let mut declared = Vec::new();
    let mut count = 0u32;
    for _ in 0..locals.get_count() {
        let (n, ty) = locals.read().map_err(failed)?;
        let ty = ValType::from_wasmparser(ty).ok_or_else(|| bailout("a type of local"))?;
        count = count.saturating_add(n);
        declared.push((n, state::ty(ty)));
    }
    if count > LOCALS_MAX {
        return Err(bailout("too many locals"));
    }
    asm.declare_locals(declared.into_iter());
    Ok(OperatorsReader::new(locals.get_binary_reader()))
}

/// Reads operators, to the last one or just past the header of loop number `until`.
fn run(d: &mut Driver<'_, '_>, until: u32) -> Result<(), CompileError> {
    while !d.control.is_empty() && d.loops <= until {
        let at = d.position();
        let operator = d.read()?;
        step(d, &operator, at)?;
    }
    Ok(())
}

/// One operator.
fn step<'m>(d: &mut Driver<'m, '_>, operator: &Operator<'m>, at: u32) -> Result<(), CompileError> {
    if !d.reachable {
        unreachable_operator(d, operator);
        return Ok(());
    }
    d.asm.begin(at);
    match *operator {
        Operator::LocalGet { local_index } => d.asm.local_get(local_index),
        Operator::LocalSet { local_index } => d.asm.local_set(local_index),
        Operator::LocalTee { local_index } => d.asm.local_tee(local_index),
        Operator::Drop => drop(d.asm.pop()),
        Operator::Nop => {}
        Operator::Unreachable => {
            d.asm.trap(TrapKind::Unreachable);
            d.reachable = false;
            end_of_unreachable(d);
        }
        Operator::Block { blockty } => block(d, blockty)?,
        Operator::Loop { blockty } => loop_(d, blockty)?,
        Operator::If { blockty } => {
            let condition = d.asm.int_test(false, true);
            control::if_(d, blockty, condition)?;
        }
        Operator::Else => control::else_(d),
        Operator::End => control::end(d),
        Operator::Br { relative_depth } => control::br(d, relative_depth),
        Operator::BrIf { relative_depth } => {
            let condition = d.asm.int_test(false, true);
            control::br_if(d, relative_depth, condition);
        }
        Operator::BrTable { ref targets } => control::br_table(d, targets)?,
        Operator::Return => control::return_(d),
        Operator::Select | Operator::TypedSelect { .. } => {
            let condition = d.asm.int_test(false, false);
            d.asm.select(condition);
        }
        Operator::Call { .. }
        | Operator::CallIndirect { .. }
        | Operator::ReturnCall { .. }
        | Operator::ReturnCallIndirect { .. } => call(d, operator)?,
        _ => operation(d, operator)?,
    }
    Ok(())
}

/// An operation that is neither control flow nor a call nor on a local.
fn operation(d: &mut Driver<'_, '_>, operator: &Operator<'_>) -> Result<(), CompileError> {
    let Some(simple) = simple(operator, d.request.canonical_nans) else {
        if !resource(d, operator)? {
            stencils::operation(d, operator)?;
        }
        return Ok(());
    };
    match simple {
        Simple::Constant(ty, value) => d.asm.push_constant(ty, value),
        Simple::Vector(value) => d.asm.push_vector(value),
        Simple::Int(op, wide) => d.asm.int_binary(op, wide),
        Simple::Shift(op, wide) => d.asm.shift(op, wide),
        Simple::FloatSqrt(double) => d.asm.float_sqrt(double),
        Simple::Float(op, double) => d.asm.float_binary(op, double),
        Simple::Wrap => d.asm.wrap(),
        Simple::ZeroExtend => d.asm.zero_extend(),
        Simple::SignExtend(bits, wide) => d.asm.sign_extend(bits, wide),
        Simple::Reinterpret(ty) => d.asm.reinterpret(ty),
        Simple::Load(kind, ty, bytes, memarg) => {
            let memory = d.memory_of(&memarg)?;
            d.asm.load(kind, ty, bytes, memory, memarg.offset);
        }
        Simple::Store(kind, bytes, memarg) => {
            let memory = d.memory_of(&memarg)?;
            d.asm.store(kind, bytes, memory, memarg.offset);
        }
        Simple::IntTest(test, wide) => {
            let flush = branches(d);
            let condition = d.asm.int_compare(test, wide, flush);
            use_condition(d, condition)?;
        }
        Simple::IsZero(wide) => {
            let flush = branches(d);
            let condition = d.asm.int_test(wide, flush).inverted();
            use_condition(d, condition)?;
        }
        Simple::FloatTest(test, double) => {
            let flush = branches(d);
            let condition = d.asm.float_compare(test, double, flush);
            use_condition(d, condition)?;
        }
    }
    Ok(())
}

/// The first bytes of operators that look at a condition, as the binary format has them.
mod opcode {
    pub(super) const IF: u8 = 0x04;
    pub(super) const BR_IF: u8 = 0x0d;
    pub(super) const SELECT: u8 = 0x1b;
    pub(super) const TYPED_SELECT: u8 = 0x1c;
    pub(super) const I32_EQZ: u8 = 0x45;
}

/// Whether the next operator branches on what the current one computes.
fn branches(d: &Driver<'_, '_>) -> bool {
    matches!(d.next_opcode(), opcode::IF | opcode::BR_IF)
}

/// What becomes of a condition: the next operator looks at the flags, if it can, else it is made a number.
fn use_condition(d: &mut Driver<'_, '_>, mut condition: Condition) -> Result<(), CompileError> {
    while d.next_opcode() == opcode::I32_EQZ {
        d.read()?;
        condition = condition.inverted();
    }
    let looks = matches!(
        d.next_opcode(),
        opcode::IF | opcode::BR_IF | opcode::SELECT | opcode::TYPED_SELECT
    );
    if !looks {
        d.asm.push_condition(condition);
        return Ok(());
    }
    match d.read()? {
        Operator::BrIf { relative_depth } => {
            d.asm.flush();
            control::br_if(d, relative_depth, condition);
        }
        Operator::If { blockty } => {
            d.asm.flush();
            control::if_(d, blockty, condition)?;
        }
        _ => d.asm.select(condition),
    }
    Ok(())
}
