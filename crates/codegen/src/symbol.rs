//! How CLIF names what it refers to: [`UserExternalName`]s whose namespace says what kind of thing is meant.
//!
//! A *direct call* of a function in namespace [`FUNCTION`] that is declared not colocated compiles, with
//! position-independent code, to a call through an address cell of the linker's. Upshift's linker gives the function's
//! *entry slot* as that cell. So every direct call in CLIF is a call through the slot, a new version is published by
//! one atomic store to the slot, and transformations (inlining, devirtualization) still see a direct call.

use crate::Target;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, Function, GlobalValue, GlobalValueData, SigRef,
    Signature, UserExternalName,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use target_lexicon::PointerWidth;
use upshift_base::{FuncId, Guard, GuardReason};

/// Functions, by [`FuncId`].
pub const FUNCTION: u32 = 0;
/// Profile cells, by [`FuncId`].
pub const PROFILE_CELL: u32 = 1;
/// Entry points of the runtime, by number.
pub const BUILTIN: u32 = 2;

/// Places where a running activation may move to better code, by the index of the loop; see [`crate::osr`].
pub const OSR_POINT: u32 = 3;

/// Indirect calls whose targets are counted, by the number of the call site; see [`crate::call_site`].
pub const CALL_SITE: u32 = 4;
/// Places whose frames are logged, by their position; see [`crate::frame_log`].
pub const FRAME_POINT: u32 = 5;
/// The frames of functions that are in calls; number 1 marks a call in the place of its caller, which has none. See
/// [`crate::deopt`].
pub const CALL_FRAME: u32 = 6;
/// Guards, by their position; the reason's number is in the namespace, [`GUARD_REASON_STEP`] apart. See [`crate::deopt`].
pub const GUARD: u32 = 16;
/// What lies between the namespaces of guards of two reasons.
pub const GUARD_REASON_STEP: u32 = 1 << 16;

/// What a name refers to, if it is one of ours.
pub fn target(name: &UserExternalName) -> Option<Target> {
    match name.namespace {
        FUNCTION => Some(Target::Function(FuncId(name.index))),
        PROFILE_CELL => Some(Target::ProfileCell(FuncId(name.index))),
        BUILTIN => Some(Target::Builtin(name.index)),
        _ => None,
    }
}

/// Declares in `body` the function `callee` of signature `signature`, to be called through its entry slot.
pub fn import_function(body: &mut Function, callee: FuncId, signature: SigRef) -> FuncRef {
    import(body, FUNCTION, callee.0, signature)
}

/// Declares in `body` the runtime's entry point number `builtin`.
pub fn import_builtin(body: &mut Function, builtin: u32, signature: SigRef) -> FuncRef {
    import(body, BUILTIN, builtin, signature)
}

/// Declares in `body` the OSR point of loop `loop_index`; `signature` has a parameter for each live value.
pub fn import_osr_point(body: &mut Function, loop_index: u32, signature: SigRef) -> FuncRef {
    import(body, OSR_POINT, loop_index, signature)
}

/// Declares in `body` the mark of call site number `site`.
pub fn import_call_site(body: &mut Function, site: u32) -> FuncRef {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(pointer_param());
    let signature = body.import_signature(signature);
    import(body, CALL_SITE, site, signature)
}

/// Declares in `body` a guard; `signature` has a parameter for the condition, and one for each live value.
pub fn import_guard(body: &mut Function, guard: Guard, signature: SigRef) -> FuncRef {
    let namespace = GUARD + guard.reason as u32 * GUARD_REASON_STEP;
    import(body, namespace, guard.position, signature)
}

/// Declares in `body` a place whose frame is logged; `signature` has a parameter for each live value.
pub fn import_frame_point(body: &mut Function, position: u32, signature: SigRef) -> FuncRef {
    import(body, FRAME_POINT, position, signature)
}

/// Declares in `body` the mark of a call by name, or of a tail call; `signature` has a parameter for each value that is live
/// while the callee runs, for a tail call none.
pub fn import_call_frame(body: &mut Function, is_tail: bool, signature: SigRef) -> FuncRef {
    import(body, CALL_FRAME, u32::from(is_tail), signature)
}

/// The guard that a name refers to, if it is one.
pub fn guard(name: &UserExternalName) -> Option<Guard> {
    let number = name.namespace.checked_sub(GUARD)?;
    if !number.is_multiple_of(GUARD_REASON_STEP) {
        return None;
    }
    Some(Guard {
        position: name.index,
        reason: GuardReason::from_index((number / GUARD_REASON_STEP) as usize)?,
    })
}

fn import(body: &mut Function, namespace: u32, index: u32, signature: SigRef) -> FuncRef {
    let name = body.declare_imported_user_function(UserExternalName::new(namespace, index));
    body.import_function(ExtFuncData {
        name: ExternalName::user(name),
        signature,
        colocated: false,
        patchable: false,
    })
}

/// Declares in `body` the address of `function`'s profile cell.
pub fn import_profile_cell(body: &mut Function, function: FuncId) -> GlobalValue {
    let name = body.declare_imported_user_function(UserExternalName::new(PROFILE_CELL, function.0));
    body.create_global_value(GlobalValueData::Symbol {
        name: ExternalName::user(name),
        offset: 0.into(),
        colocated: true,
        tls: false,
    })
}

/// A parameter of the machine's pointer type.
pub fn pointer_param() -> AbiParam {
    AbiParam::new(cranelift_codegen::ir::types::I64)
}

/// What front ends need to know of the target to build CLIF: the host, 64 bits, System V.
pub fn frontend_config() -> TargetFrontendConfig {
    TargetFrontendConfig {
        default_call_conv: CallConv::SystemV,
        pointer_width: PointerWidth::U64,
        page_size_align_log2: 12,
    }
}
