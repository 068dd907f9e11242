//! Deoptimization: what happens when a guard fails.
//!
//! A failed guard is booked, the thread's transfer record is given the continuation's address, and that is all the
//! activation waits for, unless the assumption is refuted: then the code that relied on it is taken out of use. New calls
//! enter the best code below it at once, and the tier is asked for again, without the assumption.
//!
//! Leaving cannot fail: continuations are made before the code that needs them is published ([`crate::continuation`]),
//! the record has room for all values, and a continuation's frame is so small that it fits below the stack limit, in the
//! share of the stack that host code can count on.

use crate::assumptions::{Verdict, WayBack};
use crate::backend::Failure;
use crate::continuation;
use crate::loops::Point;
use crate::pipeline;
use crate::table::{FunctionState, Group, lock};
use crate::tiering;
use crate::transfer;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_base::{GuardReason, Tier};
use upshift_codegen::CompileError;
use upshift_codegen::deopt::FramePoint;
use upshift_codemem::ProfileCell;
use upshift_event::EventKind;

/// Called by generated code when a guard fails, in code of the function whose cell this is that returns to
/// `return_address`; the guard is known by the number of its way back. Returns the transfer record.
pub(crate) unsafe extern "C" fn guard_failed(
    cell: *const ProfileCell,
    number: u32,
    return_address: usize,
) -> *mut u128 {
    // SAFETY: planted code passes its own function's cell, whose state is set before the code is published and lives
    // as long as the function's group.
    let state = unsafe { ((*cell).state.load(Ordering::Acquire) as *const FunctionState).as_ref() };
    let Some(state) = state else {
        process::abort();
    };
    // `continuation::prepare` has made sure that there is one before the code could run.
    let Some(way_back) = lock(&state.assumptions).way_back(number) else {
        process::abort();
    };
    book(state, &way_back, return_address);
    transfer::nested_record(&way_back.frames)
}

/// Books a failure, in the code around `return_address`, and draws the consequences.
fn book(state: &FunctionState, way_back: &WayBack, return_address: usize) {
    // SAFETY: the group that owns the state holds the shared part too.
    let shared = unsafe { &*state.shared };
    let Some(group) = state.group.upgrade() else {
        return;
    };
    let block = shared.memory.lookup(return_address);
    let Some(label) = block.map(|block| block.label()) else {
        return;
    };
    let guard = way_back.guard;
    group.emit(
        state.index,
        EventKind::Deoptimized {
            tier: label.tier,
            reason: guard.reason,
            position: guard.position,
            inlined: way_back.inlined.clone(),
        },
    );
    if state.next_stress_failure() {
        return;
    }
    let Some(owner) = group.state(way_back.function) else {
        return;
    };
    let users = {
        let mut assumptions = lock(&owner.assumptions);
        if assumptions.failed(guard) != Verdict::Refuted {
            return;
        }
        assumptions.users()
    };
    for user in users {
        if let Some(user) = group.state(user) {
            replace(&group, user, guard.reason);
        }
    }
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
    state.versions.set_ceiling(tier);
    lock(&state.osr_loops).forget_code();
    pipeline::retract(group, state, |instance| instance.tier <= tier);
    for index in 0..group.len() {
        let Some(caller) = group.state(index) else {
            continue;
        };
        if pipeline::retract(group, caller, |_| true).is_some() {
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
        let points = positions.iter().map(|at| FramePoint::before(*at));
        continuation::prepare_points(group, state, points)?;
        lock(&state.osr_loops).positions = positions;
        state.grant_iterations(1);
    }
    Ok(())
}

/// Lets a function run in any tier again.
pub(crate) fn raise(state: &FunctionState) {
    state.versions.set_ceiling(Tier::Top);
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
        let place = assumptions.place(FramePoint::before(position))?;
        (place.frame.len() == values).then_some((place.code, place.entry))
    };
    let kind = EventKind::Deoptimized {
        tier: point.tier,
        reason: GuardReason::Requested,
        position,
        inlined: Vec::new(),
    };
    place.inspect(|_| group.emit(state.index, kind))
}

/// Takes all code of a function out of use that relies on what is refuted, and asks for other code of the same tier.
fn replace(group: &Arc<Group>, state: &FunctionState, reason: GuardReason) {
    lock(&state.osr_loops).forget_code();
    let Some(tier) = pipeline::retract(group, state, |_| true) else {
        return;
    };
    lock(&state.assumptions).invalidated();
    group.emit(state.index, EventKind::Invalidated { tier, reason });
    tiering::promote_again(&group.shared, group, state, tier);
}
