//! One function, from its first byte to its last.

use super::call::{call, call_indirect};
use super::condition::{select, test};
use super::control::{self, block, loop_};
use super::opcode::Op;
use super::reader::Reader;
use super::resource::{global_get, global_set, resource};
use super::state::{Driver, Frame, Kind, Logged, WaysIn, bailout, memory, ty, types};
use super::stencils;
use super::vector::vector;
use crate::info::ModuleInfo;
use crate::translate::{count_locals, frames_logged, is_chosen, is_logged, liveness};
use crate::vmctx::offset;
use std::cell::Cell;
use upshift::embed::deopt::{FrameLayout, FramePoint};
use upshift::embed::osr::FrameValue;
use upshift::embed::stencil::{
    Assembler, IS_SUPPORTED, LoadIndex, Plan, StoreIndex, Ty, Workspace, results_fit,
};
use upshift::embed::{BaselineRequest, CompileError, CompiledCode, FuncId};
use wasmparser::{FunctionBody, Operator, OperatorsReaderAllocations};

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
    request: &BaselineRequest,
) -> Result<CompiledCode, CompileError> {
    compile(info, own, first, request, WaysIn::default()).map(|(code, _)| code)
}

/// A continuation of the function at these places, in ascending order and at least one, and what is live at each.
///
/// # Errors
/// As [`function`].
pub fn continuation(
    info: &ModuleInfo,
    own: u32,
    first: FuncId,
    points: &[FramePoint],
    request: &BaselineRequest,
) -> Result<(CompiledCode, Vec<FrameLayout>), CompileError> {
    let body = info.body(own)?;
    let params = info.func_type(info.imported_functions + own).params();
    let locals = count_locals(&body, params.len())?;
    let wanted = |at, _: &Operator<'_>| {
        let search = points.binary_search_by(|point| point.position.cmp(&at));
        search.is_ok()
    };
    let ways_in = WaysIn {
        points,
        liveness: liveness(&body, locals, wanted)?,
        frames: Vec::with_capacity(points.len()),
        inside: None,
    };
    compile(info, own, first, request, ways_in)
}

fn compile<'r>(
    info: &ModuleInfo,
    own: u32,
    first: FuncId,
    request: &'r BaselineRequest,
    ways_in: WaysIn<'r>,
) -> Result<(CompiledCode, Vec<FrameLayout>), CompileError> {
    let mut workspace = WORKSPACE.take();
    let mut driver = begin(&mut workspace, info, own, first, request, ways_in)?;
    run(&mut driver)?;
    let reachable = driver.reachable;
    let code = workspace.finish(driver.asm, reachable);
    WORKSPACE.set(workspace);
    Ok((code?, driver.ways_in.frames))
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
    request: &BaselineRequest,
    loop_index: u32,
    live: &[u32],
) -> Result<Vec<FrameValue>, CompileError> {
    let mut workspace = Workspace::default();
    let ways_in = WaysIn::default();
    let mut driver = begin(&mut workspace, info, own, first, request, ways_in)?;
    driver.last_loop = loop_index;
    run(&mut driver)?;
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
    request: &'r BaselineRequest,
    ways_in: WaysIn<'r>,
) -> Result<Driver<'m, 'r>, CompileError> {
    if !IS_SUPPORTED {
        return Err(bailout("another architecture"));
    }
    let body = info.body(own)?;
    let ty = info.func_type(info.imported_functions + own);
    if !results_fit(types(ty.results())) {
        return Err(bailout("more results than registers"));
    }
    let first_memory = memory(info, 0);
    let plan = Plan {
        function: request.function,
        counters: request.counters,
        stack_limit: Some((offset::VMCONTEXT_LIMITS, offset::LIMITS_STACK_LIMIT)),
        memory_base: first_memory.base,
        every_position: request.every_position,
    };
    let (params, results) = (types(ty.params()), types(ty.results()));
    let start = body.range().start as u32;
    let mut asm = match ways_in.points.len() {
        0 => workspace.begin(plan, params, results, start),
        count => workspace.begin_continuation(plan, params, results, start, count)?,
    };
    let mut reader = Reader::new(body.as_bytes(), start);
    declare_locals(&mut asm, &mut reader)?;
    let end = asm.destination(0, ty.results().len());
    let mut driver = Driver {
        info,
        first,
        request,
        asm,
        reader,
        allocations: OperatorsReaderAllocations::default(),
        first_memory,
        control: Vec::with_capacity(8),
        reachable: true,
        next_stop: usize::MAX,
        ways_in,
        logged: logged(info, own, &body, request)?,
        skipped: 0,
        loops: 0,
        last_loop: u32::MAX,
    };
    driver.next_stop = driver.find_next_stop();
    driver.reader.stop_at(driver.next_stop);
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

/// Which frames are logged.
fn logged(
    info: &ModuleInfo,
    own: u32,
    body: &FunctionBody<'_>,
    request: &BaselineRequest,
) -> Result<Logged, CompileError> {
    let log = request.frame_log.map(|plan| plan.log);
    let Some(log) = frames_logged(info, own, body, log)? else {
        return Ok(Logged::default());
    };
    let params = info.func_type(info.imported_functions + own).params();
    let locals = count_locals(body, params.len())?;
    let body_bytes = body.as_bytes().len() as u32;
    let mut positions = Vec::new();
    for operator in body
        .get_operators_reader()
        .and_then(|operators| {
            operators
                .into_iter_with_offsets()
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| CompileError::Failed(error.to_string()))?
    {
        if is_chosen(log, operator.1 as u32, body_bytes, &operator.0) {
            positions.push(operator.1 as u32);
        }
    }
    positions.reverse();
    let wanted = |at, operator: &Operator<'_>| is_logged(log, at, body_bytes, operator);
    Ok(Logged {
        plan: request.frame_log,
        positions,
        liveness: liveness(body, locals, wanted)?,
    })
}

/// Reads and declares the locals.
fn declare_locals(asm: &mut Assembler, reader: &mut Reader<'_>) -> Result<(), CompileError> {
    let mut declared = 0u32;
    for _ in 0..reader.u32() {
        let (count, declared_ty) = (reader.u32(), reader.value_type()?);
        declared = declared.saturating_add(count);
        if declared > LOCALS_MAX {
            return Err(bailout("too many locals"));
        }
        asm.declare_locals(count, ty(declared_ty));
    }
    asm.locals_declared(declared as usize);
    Ok(())
}

/// Reads operators, to the last one or just past the header of the last loop that is wanted.
fn run(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    loop {
        if let Some(byte) = d.reader.byte_ahead() {
            step(d, byte)?;
            continue;
        }
        if d.control.is_empty() || d.loops > d.last_loop {
            return d.ways_in.check();
        }
        if d.reader.is_at_end() {
            return Err(CompileError::Failed("the function has no end".to_owned()));
        }
        if d.reader.position() == d.next_stop {
            d.stop()?;
        }
        match d.reachable {
            true => {
                let byte = d.reader.byte();
                step(d, byte)?;
            }
            false => control::skip_on(d)?,
        }
    }
}

/// The operator that begins with `byte`, which was just read, and can be reached. There is one jump to what it is, which is hard enough to foresee for the processor.
#[inline(always)]
fn step(d: &mut Driver<'_, '_>, byte: u8) -> Result<(), CompileError> {
    let at = d.reader.position() - 1;
    let op = Op::of(byte);
    d.asm.begin(at as u32);
    match op {
        Op::LocalGet => d.asm.local_get(d.reader.u32()),
        Op::LocalSet => d.asm.local_set(d.reader.u32()),
        Op::LocalTee => d.asm.local_tee(d.reader.u32()),
        Op::GlobalGet => global_get(d),
        Op::GlobalSet => global_set(d),
        Op::I32Const => i32_const(d),
        Op::I64Const => i64_const(d),
        Op::F32Const => d.asm.push_constant(Ty::F32, d.reader.bits32().into()),
        Op::F64Const => d.asm.push_constant(Ty::F64, d.reader.bits64()),
        Op::Load(kind, ty) => load(d, kind, ty),
        Op::Store(kind) => store(d, kind),
        Op::Int(op, wide) => d.asm.int_binary(op, wide),
        Op::Shift(op, wide) => d.asm.shift(op, wide),
        Op::Float(..) | Op::FloatSqrt(_) if d.request.canonical_nans => return other(d, at),
        Op::Float(op, double) => d.asm.float_binary(op, double),
        Op::FloatSqrt(double) => d.asm.float_sqrt(double),
        Op::Wrap => d.asm.wrap(),
        Op::ZeroExtend => d.asm.zero_extend(),
        Op::SignExtend(bits, wide) => d.asm.sign_extend(bits, wide),
        Op::Reinterpret(ty) => d.asm.reinterpret(ty),
        Op::IntTest(..) | Op::IsZero(_) | Op::FloatTest(..) => return test(d, op),
        Op::Select | Op::TypedSelect => return select(d, op),
        Op::Drop => drop(d.asm.pop()),
        Op::Nop => {}
        Op::Block => return block(d),
        Op::Loop => return loop_(d),
        Op::If => return control::if_true(d),
        Op::Else => control::else_(d),
        Op::End => control::end(d),
        Op::Br => return control::br(d),
        Op::BrIf => control::br_if_true(d),
        Op::BrTable => return control::br_table(d),
        Op::Return => return control::return_(d),
        Op::Call => return call(d, false),
        Op::ReturnCall => return call(d, true),
        Op::CallIndirect => return call_indirect(d, false),
        Op::ReturnCallIndirect => return call_indirect(d, true),
        Op::Unreachable => return control::unreachable(d),
        Op::Vector => {
            if !vector(d)? {
                return other(d, at);
            }
        }
        Op::Other => return other(d, at),
    }
    Ok(())
}

/// `i32.const`, with the operation behind it if that takes a constant.
#[inline(always)]
fn i32_const(d: &mut Driver<'_, '_>) {
    let value = d.reader.i32();
    if let Op::Int(op, false) = d.peek() {
        let at = d.reader.position();
        d.reader.byte();
        d.asm.begin(at as u32);
        return d.asm.int_with_constant(op, value);
    }
    let value = value.cast_unsigned();
    d.asm.push_constant(Ty::I32, value.into());
}

fn i64_const(d: &mut Driver<'_, '_>) {
    let value = d.reader.i64().cast_unsigned();
    d.asm.push_constant(Ty::I64, value);
}

#[inline(always)]
fn load(d: &mut Driver<'_, '_>, kind: LoadIndex, ty: Ty) {
    let access = d.reader.access();
    let memory = d.memory(access.memory);
    d.asm.load(kind, ty, memory, access.offset);
}

#[inline(always)]
fn store(d: &mut Driver<'_, '_>, kind: StoreIndex) {
    let access = d.reader.access();
    let memory = d.memory(access.memory);
    d.asm.store(kind, memory, access.offset);
}

/// An operator that takes more to be read than its first byte, or has no encoder of its own.
fn other(d: &mut Driver<'_, '_>, at: usize) -> Result<(), CompileError> {
    let operator = d.read_operator(at)?;
    match operator {
        _ if resource(d, &operator)? => {}
        _ => stencils::operation(d, &operator)?,
    }
    Ok(())
}
