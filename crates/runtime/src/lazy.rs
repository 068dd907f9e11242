//! Tier 0 on demand: what happens when a function is called that has no code yet.

use crate::activation::{self, Outcome};
use crate::pipeline::{Circumstances, compile_and_publish};
use crate::table::{Group, Shared, lock};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_base::{FuncId, Tier, TrapKind};
use upshift_codegen::{CompileError, CompileKind};

/// Makes a function's first code, called by [`crate::arch::lazy_compile_entry`] with the runtime's context, the return
/// address in the function's stub, and the frame pointer to unwind from. Returns where to continue.
pub(crate) unsafe extern "C" fn compile_on_first_call(
    context: *const c_void,
    stub: usize,
    frame: usize,
) -> *const u8 {
    // SAFETY: the context is the `Shared` that every group holds, and code of a group is about to run.
    let shared = unsafe { &*context.cast::<Shared>() };
    match first_code(shared, stub) {
        Ok(entry) => entry,
        // SAFETY: nothing in this frame needs dropping.
        Err(outcome) => unsafe { activation::leave(frame, outcome) },
    }
}

fn first_code(shared: &Shared, stub: usize) -> Result<*const u8, Outcome> {
    if activation::stack_is_low() {
        return Err(Outcome::Trap {
            kind: TrapKind::StackOverflow,
            message: None,
        });
    }
    let failed = |message: String| Outcome::Trap {
        kind: TrapKind::CompilationFailed,
        message: Some(message),
    };
    let function = shared.memory.function_of_stub(stub);
    let Some((function, group)) = function.and_then(|f| Some((f, shared.group_of(f)?))) else {
        return Err(failed("the function called has been dropped".to_owned()));
    };
    let index = function.0 - group.first().0;
    ensure_compiled(&group, index)
        .map_err(|error| failed(format!("{} ({function}): {error}", group.name(index))))?;
    Ok(group.entry_slot(index).load(Ordering::Acquire))
}

/// Makes sure that a function has code of some tier, the lowest that can be had. Threads that come at the same time
/// wait for the first of them.
pub(crate) fn ensure_compiled(group: &Arc<Group>, index: u32) -> Result<(), CompileError> {
    let state = group.state_or_new(index);
    let _guard = lock(&state.first_compilation);
    if state.versions.tier().is_some() {
        return Ok(());
    }
    let mut error = CompileError::Failed("no tier has a compiler".to_owned());
    let config = &group.shared.config;
    let mut tiers: Vec<Tier> = Tier::ALL.into_iter().filter(|t| config.has(*t)).collect();
    // The stress test is about what is above tier 0, unless another one leads there.
    let optimizes = config.deopt_stress.is_some() && config.stress().is_none();
    if optimizes && group.kind == CompileKind::Entry {
        tiers.sort_by_key(|tier| *tier == Tier::Baseline);
    }
    for tier in tiers {
        match compile_and_publish(group, index, tier, Circumstances::AT_ONCE) {
            Ok(()) => return Ok(()),
            Err(reason) => error = reason,
        }
    }
    Err(error)
}

/// The tier that a function's new calls run in.
pub(crate) fn tier_of(shared: &Shared, function: FuncId) -> Option<Tier> {
    let group = shared.group_of(function)?;
    group.state(function.0 - group.first().0)?.versions.tier()
}
