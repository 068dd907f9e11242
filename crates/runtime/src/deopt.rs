//! Deoptimization: what happens when a guard fails, and what code with guards needs before it may run.
//!
//! A failed guard is booked, the thread's transfer record is given the continuation's address, and that is all the
//! activation waits for, unless the assumption is refuted: then the code that relied on it is taken out of use. New calls
//! enter the best code below it at once, and the tier is asked for again, without the assumption.
//!
//! Leaving cannot fail: continuations are made before the code that needs them is published ([`prepare`]), the record
//! has room for all values, and a continuation's frame is so small that it fits below the stack limit, in the share of
//! the stack that host code can count on.

use crate::assumptions::{Place, Verdict};
use crate::config::OsrMode;
use crate::guards::Planted;
use crate::pipeline::{self, Failure};
use crate::table::{CodeInstance, FunctionState, Group, lock};
use crate::tiering;
use crate::transfer;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use upshift_base::{Guard, GuardReason, Tier};
use upshift_codegen::deopt::{FrameLayout, Speculation, StressGuards};
use upshift_codegen::{CompileError, CompileKind, CompiledCode};
use upshift_codemem::{BlockLabel, ProfileCell};
use upshift_event::EventKind;

/// Bytes of a continuation's frame at the most.
const FRAME_BYTES_MAX: u32 = 16 << 10;

/// What code of `tier` may take for granted; `None` if nothing, for example because there is no tier to fall back to.
pub(crate) fn speculation(group: &Group, state: &FunctionState, tier: Tier) -> Option<Speculation> {
    let config = &group.shared.config;
    let falls_back = tier > Tier::Baseline && config.has(Tier::Baseline);
    let stressed = matches!(config.osr, OsrMode::Stress { .. });
    if !falls_back || stressed || !config.speculation || group.kind != CompileKind::Entry {
        return None;
    }
    let mut speculation = lock(&state.assumptions).speculation()?;
    let stress = |stress: crate::DeoptStress| StressGuards { seed: stress.seed };
    speculation.stress = config.deopt_stress.map(stress);
    Some(speculation)
}

/// Makes sure that there are continuations for all of these guards, whose code is going to be published, and that they
/// expect what the guards have to give.
///
/// # Errors
/// If a continuation cannot be had. Then the code must not be used.
pub(crate) fn prepare(
    group: &Arc<Group>,
    state: &FunctionState,
    planted: &[Planted],
) -> Result<(), Failure> {
    let mut missing: Vec<u32> = {
        let assumptions = lock(&state.assumptions);
        let positions = planted.iter().map(|planted| planted.guard.position);
        positions
            .filter(|position| assumptions.place(*position).is_none())
            .collect()
    };
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        make_continuation(group, state, &missing)?;
    }
    let mut assumptions = lock(&state.assumptions);
    for Planted { guard, frame } in planted {
        let expected = assumptions.place(guard.position).map(|place| &place.frame);
        if expected != Some(frame) {
            let position = guard.position;
            return Err(Failure::from(CompileError::Failed(format!(
                "the guard at {position} gives {frame:?}, its continuation expects {expected:?}"
            ))));
        }
        assumptions.rely_on(*guard);
    }
    Ok(())
}

/// Makes the code that goes on at any of `positions`.
fn make_continuation(
    group: &Arc<Group>,
    state: &FunctionState,
    positions: &[u32],
) -> Result<(), Failure> {
    let started = Instant::now();
    let (code, frames, compiler) = pipeline::continuation(group, state, positions)?;
    check_continuation(&code, &frames, positions)?;
    let label = BlockLabel {
        function: state.function,
        tier: Tier::Baseline,
        kind: CompileKind::Continuation,
    };
    let code = pipeline::install(group, label, &code)?;
    let address = code.entry() as usize;
    let kind = EventKind::ContinuationReady {
        positions: positions.len(),
        compiler,
        code_bytes: code.info().len(),
        duration: started.elapsed(),
    };
    lock(&state.instances).push(CodeInstance {
        tier: Tier::Baseline,
        speculative: None,
        code,
    });
    let mut assumptions = lock(&state.assumptions);
    for ((entry, position), frame) in (0..).zip(positions).zip(frames) {
        let place = Place {
            code: address,
            entry,
            frame,
        };
        assumptions.add_place(*position, place);
    }
    drop(assumptions);
    group.emit(state.index, kind);
    Ok(())
}

fn check_continuation(
    code: &CompiledCode,
    frames: &[FrameLayout],
    positions: &[u32],
) -> Result<(), CompileError> {
    if frames.len() != positions.len() {
        let reason = "a continuation does not say what it expects";
        return Err(CompileError::Failed(reason.to_owned()));
    }
    if code.frame_bytes > FRAME_BYTES_MAX {
        let bytes = code.frame_bytes;
        let reason = format!("a continuation has a frame of {bytes} bytes, which is too large");
        return Err(CompileError::Bailout(reason));
    }
    Ok(())
}

/// Called by generated code when a guard fails: of the function whose cell this is, by code that returns to
/// `return_address`. Returns the transfer record.
pub(crate) unsafe extern "C" fn guard_failed(
    cell: *const ProfileCell,
    position: u32,
    reason: u32,
    values: u32,
    return_address: usize,
) -> *mut u128 {
    // SAFETY: planted code passes its own function's cell, whose state is set before the code is published and lives
    // as long as the function's group.
    let state = unsafe { ((*cell).state.load(Ordering::Acquire) as *const FunctionState).as_ref() };
    let reason = GuardReason::from_index(reason as usize);
    let (Some(state), Some(reason)) = (state, reason) else {
        process::abort();
    };
    let place = {
        let assumptions = lock(&state.assumptions);
        let place = assumptions.place(position);
        place.map(|place| (place.code, place.entry))
    };
    // `prepare` has made sure that there is one before the code could run.
    let Some((code, entry)) = place else {
        process::abort();
    };
    book(state, Guard { position, reason }, return_address);
    transfer::record(code, entry, values as usize)
}

/// Books a failure, in the code around `return_address`, and draws the consequences.
fn book(state: &FunctionState, guard: Guard, return_address: usize) {
    // SAFETY: the group that owns the state holds the shared part too.
    let shared = unsafe { &*state.shared };
    let Some(group) = state.group.upgrade() else {
        return;
    };
    let block = shared.memory.lookup(return_address);
    let Some(label) = block.map(|block| block.label()) else {
        return;
    };
    group.emit(
        state.index,
        EventKind::Deoptimized {
            tier: label.tier,
            reason: guard.reason,
            position: guard.position,
        },
    );
    if state.next_stress_failure() {
        return;
    }
    if lock(&state.assumptions).failed(guard) != Verdict::Refuted {
        return;
    }
    // The code may be another function's, which this one was inlined into.
    let Some(owner) = shared.group_of(label.function) else {
        return;
    };
    let index = label.function.0 - owner.first().0;
    if let Some(state) = owner.state(index) {
        replace(&owner, state, guard.reason);
    }
}

/// Takes all code of a function out of use that takes something for granted, and asks for other code of the same tier.
fn replace(group: &Arc<Group>, state: &FunctionState, reason: GuardReason) {
    lock(&state.osr_loops).forget_code();
    let Some(tier) = pipeline::retract(group, state) else {
        return;
    };
    group.emit(state.index, EventKind::Invalidated { tier, reason });
    tiering::promote_again(&group.shared, group, state, tier);
}
