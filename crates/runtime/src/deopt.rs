//! Deoptimization: what happens when a guard fails.
//!
//! A failed guard is booked, the thread's transfer record is given the continuation's address, and that is all the
//! activation waits for, unless the assumption is refuted: then the code that relied on it is taken out of use. New calls
//! enter the best code below it at once, and the tier is asked for again, without the assumption.
//!
//! Leaving cannot fail: continuations are made before the code that needs them is published ([`crate::continuation`]),
//! the record has room for all values, and a continuation's frame is so small that it fits below the stack limit, in the
//! share of the stack that host code can count on.

use crate::assumptions::Verdict;
use crate::backend::Failure;
use crate::continuation;
use crate::loops::Point;
use crate::pipeline;
use crate::table::{CodeInstance, FunctionState, Group, lock};
use crate::tiering;
use crate::transfer;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_base::{Guard, GuardReason, Tier};
use upshift_codegen::CompileError;
use upshift_codemem::ProfileCell;
use upshift_event::EventKind;

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
    // `continuation::prepare` has made sure that there is one before the code could run.
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
    replace(&group, state, guard.reason);
}

/// Makes new calls of a function use no better tier than `tier`, and lets activations in better code leave it at the next
/// loop header where they look for something else to do.
///
/// # Errors
/// If there is no code of so low a tier, or no way back from the loops. New calls are where they ought to be then.
pub(crate) fn lower(group: &Arc<Group>, state: &FunctionState, tier: Tier) -> Result<(), Failure> {
    let config = &group.shared.config;
    if config.lowest_tier().is_none_or(|lowest| lowest > tier) {
        let reason = format!("there is no tier as low as {tier}");
        return Err(CompileError::Failed(reason).into());
    }
    state.set_ceiling(tier);
    lock(&state.osr_loops).forget_code();
    pipeline::retract_for(group, state, |instance| instance.tier <= tier);
    for index in 0..group.len() {
        let Some(caller) = group.state(index) else {
            continue;
        };
        let with_its_own =
            |instance: &CodeInstance| !instance.code.info().has_inlined(state.function);
        if pipeline::retract_for(group, caller, with_its_own) {
            lock(&caller.osr_loops).forget_code();
            caller.allow_again();
        }
    }
    let positions = match group.source.loop_positions(state.index) {
        Err(CompileError::Bailout(_)) => return Ok(()),
        found => found?,
    };
    // A continuation is tier 0's.
    if config.has(Tier::Baseline) && !positions.is_empty() {
        continuation::prepare_positions(group, state, positions.iter().copied())?;
        lock(&state.osr_loops).positions = positions;
        state.grant_iterations(1);
    }
    Ok(())
}

/// Lets a function run in any tier again.
pub(crate) fn raise(state: &FunctionState) {
    state.set_ceiling(Tier::Top);
    state.allow_again();
}

/// Where an activation goes on that has to leave code of a tier that is too good, with so many values.
pub(crate) fn leave_at_loop(
    state: &FunctionState,
    point: Point,
    values: usize,
) -> Option<(usize, u32)> {
    let group = state.group.upgrade()?;
    let position = {
        let loops = lock(&state.osr_loops);
        *loops.positions.get(point.loop_index as usize)?
    };
    let place = {
        let assumptions = lock(&state.assumptions);
        let place = assumptions.place(position)?;
        (place.frame.len() == values).then_some((place.code, place.entry))
    };
    let kind = EventKind::Deoptimized {
        tier: point.tier,
        reason: GuardReason::Requested,
        position,
    };
    place.inspect(|_| group.emit(state.index, kind))
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
