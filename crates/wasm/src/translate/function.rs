//! The translation of one function, from its first instruction to its last.

use super::call_site::is_call;
use super::env::Env;
use super::frame_log::{frames_logged, is_chosen, is_logged};
use super::liveness::{Liveness, count_locals, liveness};
use super::memory::check_interrupt;
use super::operator::operator;
use super::osr;
use super::state::{Frame, FrameKind, Translator, not_supported};
use super::targets::CallSites;
use super::version::Osr;
use crate::info::ModuleInfo;
use crate::types::ValType;
use crate::vmctx::offset;
use cranelift_codegen::ir::immediates::Offset32;
use cranelift_codegen::ir::types::{F32, F64, I8X16, I64};
use cranelift_codegen::ir::{
    Block, Function, GlobalValue, GlobalValueData, InstBuilder, MemFlagsData, SourceLoc, Type,
    UserFuncName, Value,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::cell::Cell;
use upshift::embed::deopt::{FrameLayout, FramePoint};
use upshift::embed::{BodyEntry, BodyRequest, CompileError, FuncId, symbol};
use wasmparser::{BinaryReaderError, FunctionBody, OperatorsReader};

thread_local! {
    /// What the builder can use again for the thread's next function.
    static CONTEXT: Cell<Option<FunctionBuilderContext>> = const { Cell::new(None) };
}

/// The CLIF of function `own` of a module, not counting imported ones; `first` is function 0.
///
/// # Errors
/// If the module has no such function, or its body is not valid after all.
pub fn function(info: &ModuleInfo, own: u32, first: FuncId) -> Result<Function, CompileError> {
    Ok(function_version(info, &BodyRequest::plain(own, first))?.0)
}

/// The CLIF that `request` asks for: entered at the function's start or elsewhere, with marks or without. Also what each
/// way in expects. See [`upshift::embed::osr`] and [`upshift::embed::deopt`].
///
/// # Errors
/// As [`function`]. [`CompileError::Bailout`] if it cannot be entered there.
pub fn function_version<'m>(
    info: &'m ModuleInfo,
    request: &BodyRequest<'m>,
) -> Result<(Function, Vec<FrameLayout>), CompileError> {
    let (own, first) = (request.index, request.first);
    let body = info.body(own)?;
    let ty = info.func_type(info.imported_functions + own);
    let name = UserFuncName::user(symbol::FUNCTION, first.0 + own);
    let mut signature = ty.signature();
    if request.entry != BodyEntry::Start {
        signature = upshift::embed::osr::signature(&signature);
    }
    let request = &BodyRequest {
        frame_log: frames_logged(info, own, &body, request.frame_log)?,
        ..*request
    };
    let liveness = live_locals(&body, ty.params().len(), request)?;
    let mut osr = Osr::new(*request, liveness, body.as_bytes().len() as u32);
    let mut function = Function::with_name_signature(name, signature);
    // A continuation takes the place of a frame that was checked; see `upshift::embed::deopt`.
    if !matches!(request.entry, BodyEntry::Points(_)) {
        function.stack_limit = Some(stack_limit(&mut function));
    }

    let mut context = CONTEXT.take().unwrap_or_default();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let vmctx = b.block_params(entry)[0];
    osr::ways_in(&mut b, &mut osr, entry);
    let function_frame = Frame {
        kind: FrameKind::Function,
        params: &[],
        results: ty.results(),
        height: 0,
        end: None,
    };
    let mut t = Translator {
        b,
        env: Env::new(info, first, vmctx).with_checked_accesses(request.checked_accesses),
        stack: Vec::with_capacity(16),
        control: vec![function_frame],
        reachable: true,
        skipped: 0,
        osr,
        call_sites: CallSites::new(request),
        local_types: Vec::new(),
    };
    translate_body(&mut t, &body, ty.params(), entry)?;
    if !t.osr.is_entered() {
        return Err(CompileError::Bailout(
            "that place cannot be reached".to_owned(),
        ));
    }
    let frames = std::mem::take(&mut t.osr.frames);
    t.b.finalize(symbol::frontend_config());
    // Only a context whose function was finished is empty again.
    CONTEXT.set(Some(context));
    let function = match request.entry {
        BodyEntry::Start => function,
        _ => upshift::embed::loops::remove_unreachable(function)?,
    };
    Ok((function, frames))
}

/// The live locals at each place where they matter.
fn live_locals(
    body: &FunctionBody<'_>,
    params: usize,
    request: &BodyRequest<'_>,
) -> Result<Liveness, CompileError> {
    let travels = request.speculation.is_some() || request.frame_log.is_some();
    if request.entry == BodyEntry::Start && !request.osr_points && !travels {
        return Ok(Liveness::default());
    }
    let locals = count_locals(body, params)?;
    let stress = request.speculation.and_then(|s| s.stress);
    let log = request.frame_log;
    let body_bytes = body.as_bytes().len() as u32;
    let is_stressed = |position| stress.is_some_and(|s| s.chooses(position, body_bytes));
    liveness(body, locals, |position, operator| {
        log.is_some_and(|log| is_logged(log, position, body_bytes, operator))
            || match request.entry {
                BodyEntry::Points(points) => {
                    let at = |point: &FramePoint| point.position.cmp(&position);
                    points.binary_search_by(at).is_ok()
                }
                _ if request.speculation.is_none() => false,
                _ => is_call(operator) || is_stressed(position),
            }
    })
}

fn translate_body(
    t: &mut Translator<'_, '_>,
    body: &FunctionBody<'_>,
    params: &[ValType],
    entry: Block,
) -> Result<(), CompileError> {
    let failed = |error: BinaryReaderError| CompileError::Failed(error.to_string());
    t.b.set_srcloc(position(body.range().start));
    declare_params(t, params, entry);
    let mut locals = body.get_locals_reader().map_err(failed)?;
    for _ in 0..locals.get_count() {
        let (count, ty) = locals.read().map_err(failed)?;
        let ty = ValType::from_wasmparser(ty).ok_or_else(|| not_supported(ty))?;
        declare_locals(t, count, ty);
    }
    if t.env.info().options.interruptible {
        check_interrupt(&mut t.b, &t.env);
    }
    let mut operators = OperatorsReader::new(locals.get_binary_reader());
    while !t.control.is_empty() {
        let (op, offset) = operators.read_with_offset().map_err(failed)?;
        t.b.set_srcloc(position(offset));
        t.osr.position = offset as u32;
        osr::enter_position(t)?;
        osr::stress_guard(t);
        if t.osr
            .version
            .frame_log
            .is_some_and(|log| is_chosen(log, t.osr.position, t.osr.body_bytes, &op))
        {
            osr::log_frame(t);
        }
        operator(t, &op)?;
    }
    Ok(())
}

/// Modules are smaller than 4 GiB.
fn position(offset: u64) -> SourceLoc {
    SourceLoc::new(offset as u32)
}

/// Makes the parameters the first variables. In a body that is entered in the middle they have no value at the start,
/// from where that place cannot be reached.
fn declare_params(t: &mut Translator<'_, '_>, params: &[ValType], entry: Block) {
    for (index, ty) in params.iter().enumerate() {
        let ty = ty.clif_type();
        let variable = t.b.declare_var(ty);
        let value = match t.osr.starts_at_start() {
            true => t.b.block_params(entry)[1 + index],
            false => zero(&mut t.b, ty),
        };
        t.b.def_var(variable, value);
        t.local_types.push(ty);
    }
}

/// Makes `count` more variables, with the value that locals start with: zero or null.
fn declare_locals(t: &mut Translator<'_, '_>, count: u32, ty: ValType) {
    if count == 0 {
        return;
    }
    let ty = ty.clif_type();
    let zero = zero(&mut t.b, ty);
    for _ in 0..count {
        let variable = t.b.declare_var(ty);
        t.b.def_var(variable, zero);
        t.local_types.push(ty);
    }
}

fn zero(b: &mut FunctionBuilder<'_>, ty: Type) -> Value {
    match ty {
        F32 => b.ins().f32const(0.0),
        F64 => b.ins().f64const(0.0),
        I8X16 => {
            let zeros = b.func.dfg.constants.insert([0; 16].as_slice().into());
            b.ins().vconst(I8X16, zeros)
        }
        ty => b.ins().iconst(ty, 0),
    }
}

/// Where the function's prologue finds how far down the stack may reach.
fn stack_limit(function: &mut Function) -> GlobalValue {
    let flags = MemFlagsData::trusted();
    let fixed = function
        .dfg
        .mem_flags
        .insert_unchecked(flags.with_readonly().with_can_move());
    let flags = function.dfg.mem_flags.insert_unchecked(flags);
    let vmctx = function.create_global_value(GlobalValueData::VMContext);
    let limits = function.create_global_value(GlobalValueData::Load {
        base: vmctx,
        offset: Offset32::new(offset::VMCONTEXT_LIMITS),
        global_type: I64,
        flags: fixed,
    });
    function.create_global_value(GlobalValueData::Load {
        base: limits,
        offset: Offset32::new(offset::LIMITS_STACK_LIMIT),
        global_type: I64,
        flags,
    })
}
