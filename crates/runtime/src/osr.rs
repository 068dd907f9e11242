//! On-stack replacement: what happens when the loop budget has run out at a place where an activation could move to
//! better code.
//!
//! Generated code asks here; see [`upshift_codegen::osr`] for what it does with the answer. The record that the live
//! values travel in belongs to the thread, so it survives the frame that is left and may have any size.

use crate::activation;
use crate::config::Stress;
use crate::deopt;
use crate::loops::{Point, Step};
use crate::pipeline::{Circumstances, compile_osr};
use crate::policy::Decision;
use crate::profile::LOOP_ITERATIONS_PER_CALL;
use crate::table::{FunctionState, Group, Shared, lock};
use crate::tiering;
use crate::transfer;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_base::Tier;
use upshift_codegen::osr::{FrameValue, NO_PARENT, VALUES_IN_FRAME};
use upshift_codemem::ProfileCell;
use upshift_event::EventKind;

/// Loop iterations between two looks for code that is being made, at the least.
const POLL_ITERATIONS: u32 = 1000;
/// Loop iterations until a function whose loops have no OSR versions is looked at again.
const GIVEN_UP_ITERATIONS: u32 = 1_000_000;

/// Called by generated code of tier `tier` at the OSR point of a loop, when the loop budget is used up. Returns a
/// transfer record with room for `values` values, or null if the activation stays where it is. If `values` is
/// [`VALUES_IN_FRAME`], the values are taken from the frame at `frame`.
pub(crate) unsafe extern "C" fn osr_tripped(
    cell: *const ProfileCell,
    loop_index: u32,
    parent: u32,
    tier: u32,
    values: u32,
    frame: *const u8,
) -> *mut u128 {
    // SAFETY: planted code passes its own function's cell, whose state is set before the code is published and lives
    // as long as the function's group.
    let state = unsafe { ((*cell).state.load(Ordering::Acquire) as *const FunctionState).as_ref() };
    let (Some(state), Some(tier)) = (state, Tier::from_index(tier as usize)) else {
        return ptr::null_mut();
    };
    let point = Point {
        loop_index,
        parent: (parent != NO_PARENT).then_some(parent),
        tier,
    };
    if !state.versions.may_use(tier) {
        let place = deopt::leave_at_loop(state, point, values as usize);
        return place.map_or(ptr::null_mut(), |(code, entry)| {
            transfer::record(code, entry, values as usize)
        });
    }
    let Some(code) = tiering::timed(state, || arrive(state, point)) else {
        return ptr::null_mut();
    };
    if values != VALUES_IN_FRAME {
        return transfer::record(code, 0, values as usize);
    }
    let Some(places) = lock(&state.osr_loops).frame(loop_index) else {
        return ptr::null_mut();
    };
    let record = transfer::record(code, 0, places.len());
    if !record.is_null() {
        // SAFETY: the caller is baseline code of this function at the header of this loop, which is what the places
        // were asked for, and `frame` is its frame pointer. The record has room for so many values.
        unsafe { gather(frame, &places, record) };
    }
    record
}

/// Copies the values at `places` to a transfer record.
///
/// # Safety
/// The places must be in the frame at `frame`, and the record must have room for them.
unsafe fn gather(frame: *const u8, places: &[FrameValue], record: *mut u128) {
    for (index, place) in places.iter().enumerate() {
        // SAFETY: the caller vouches for both ends, and a value has at most the bytes that it gets.
        unsafe {
            let from = frame.offset(place.offset as isize);
            let to = record.add(1 + index).cast::<u8>();
            ptr::copy_nonoverlapping(from, to, usize::from(place.bytes));
        }
    }
}

/// The code that an activation at `point` moves to, if it is time. Grants the next loop budget.
fn arrive(state: &FunctionState, point: Point) -> Option<usize> {
    // SAFETY: the group that owns the state holds the shared part too.
    let shared = unsafe { &*state.shared };
    let group = state.group.upgrade()?;
    let next = shared.config.tier_above(point.tier);
    if next.is_some_and(|next| !state.versions.may_use(next)) {
        state.grant_iterations(GIVEN_UP_ITERATIONS);
        return None;
    }
    if let Some(stress) = shared.config.stress() {
        return stressed(shared, &group, state, point, stress);
    }
    let (entry, underway) = {
        let mut loops = lock(&state.osr_loops);
        loops.arrive(point);
        (
            loops.entry(point.loop_index, point.tier),
            loops.is_underway(),
        )
    };
    if entry.is_some() {
        return enter(&group, state, point);
    }
    if !underway && !is_hot(shared, &group, state, point) {
        return None;
    }
    for target in targets(shared, state, point.tier) {
        let step = lock(&state.osr_loops).advance(point, target);
        match step {
            Step::Never => continue,
            Step::Soon => state.grant_iterations(1),
            Step::Later => state.grant_iterations(poll_iterations(shared, target)),
            Step::Compile(loop_index) => {
                let tiers = (point.tier, target);
                if tiering::request_osr(shared, &group, state, tiers, loop_index) {
                    // If it failed, the next arrival looks for another loop.
                    state.grant_iterations(1);
                    return enter(&group, state, point);
                }
                state.grant_iterations(poll_iterations(shared, target));
            }
        }
        return None;
    }
    tiering::consider(state);
    state.grant_iterations(GIVEN_UP_ITERATIONS);
    None
}

/// Whether the function has run so much that moving pays. If not, grants what is left to that.
///
/// A function that is hot and was called only once is not promoted itself yet: its next version would be of use to
/// nobody. Its second call will do that. A function that was called more often is promoted first: most activations are
/// over before they could move, and those that are still here when the new version is there do.
fn is_hot(shared: &Shared, group: &Group, state: &FunctionState, point: Point) -> bool {
    let Some(next) = shared.config.tier_above(point.tier) else {
        return true;
    };
    if state.versions.tier().is_some_and(|tier| tier >= next) {
        return true;
    }
    if let Decision::Wait { calls } = tiering::decide(shared, group, state, next) {
        state.grant(calls);
        return false;
    }
    if state.counts().calls > 1 && !state.versions.has_failed(next) {
        tiering::consider(state);
        return false;
    }
    state.grant_calls(1);
    true
}

/// The tiers to move to from `tier`, the first choice first.
fn targets(shared: &Shared, state: &FunctionState, tier: Tier) -> impl Iterator<Item = Tier> {
    let published = state.versions.tier().filter(|published| *published > tier);
    let next = shared
        .config
        .tier_above(tier)
        .filter(|next| published != Some(*next));
    published.into_iter().chain(next)
}

fn poll_iterations(shared: &Shared, target: Tier) -> u32 {
    let threshold = shared.config.thresholds.of(target);
    threshold
        .saturating_mul(LOOP_ITERATIONS_PER_CALL)
        .max(POLL_ITERATIONS)
}

/// Moves: the best code there is for the loop, if any.
fn enter(group: &Group, state: &FunctionState, point: Point) -> Option<usize> {
    let (to, code) = {
        let mut loops = lock(&state.osr_loops);
        let entry = loops.entry(point.loop_index, point.tier)?;
        loops.entered(point.loop_index);
        entry
    };
    state.grant_iterations(POLL_ITERATIONS);
    group.emit(
        state.index,
        EventKind::OsrEntered {
            from: point.tier,
            to,
            loop_index: point.loop_index,
        },
    );
    Some(code)
}

/// Moves at the arrivals that the stress test chooses, with code made there and then.
fn stressed(
    shared: &Shared,
    group: &Arc<Group>,
    state: &FunctionState,
    point: Point,
    stress: Stress,
) -> Option<usize> {
    state.grant_iterations(1);
    let target = shared.config.tier_above(point.tier)?;
    let compile = {
        let mut loops = lock(&state.osr_loops);
        loops.arrive(point);
        loops.arrivals = loops.arrivals.wrapping_add(1);
        if !stress.chooses(loops.arrivals, stress.period) || !shared.take_stress_transition() {
            return None;
        }
        let none = loops.entry(point.loop_index, point.tier).is_none();
        none && !loops.has_failed(point.loop_index, target)
    };
    if compile {
        if activation::stack_is_low() {
            return None;
        }
        compile_osr(
            group,
            state.index,
            (target, point.loop_index),
            Circumstances::AT_ONCE,
        );
    }
    let entry = enter(group, state, point);
    state.grant_iterations(1);
    entry
}
