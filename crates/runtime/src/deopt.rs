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
use crate::pipeline;
use crate::table::{FunctionState, Group, lock};
use crate::tiering;
use crate::transfer;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_base::{Guard, GuardReason};
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

/// Takes all code of a function out of use that takes something for granted, and asks for other code of the same tier.
fn replace(group: &Arc<Group>, state: &FunctionState, reason: GuardReason) {
    lock(&state.osr_loops).forget_code();
    let Some(tier) = pipeline::retract(group, state) else {
        return;
    };
    group.emit(state.index, EventKind::Invalidated { tier, reason });
    tiering::promote_again(&group.shared, group, state, tier);
}
