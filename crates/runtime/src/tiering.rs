//! Promotion: from a counter that tripped to a request, and from a request to better code.

use crate::activation;
use crate::config::{CompileMode, Stress};
use crate::pipeline::{Circumstances, compile_and_publish, compile_osr};
use crate::policy::{self, Decision, Load};
use crate::queue::Queue;
use crate::table::{FunctionState, Group, Request, Shared, lock};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use upshift_base::Tier;
use upshift_codegen::CompileKind;
use upshift_codemem::ProfileCell;
use upshift_event::EventKind;

/// How much sooner an OSR version is made than a function's next version of the same heat.
const OSR_PRIORITY: u64 = 4;

/// Called by generated code when one of its budgets is used up.
pub(crate) unsafe extern "C" fn counter_tripped(cell: *const ProfileCell) {
    // SAFETY: planted code passes its own function's cell, whose state is set before the code is published and lives
    // as long as the function's group.
    let state = unsafe { ((*cell).state.load(Ordering::Acquire) as *const FunctionState).as_ref() };
    if let Some(state) = state {
        timed(state, || consider(state));
    }
}

/// Runs what running code waits for, and books how long it has waited if there is somebody who wants to know such things:
/// loops come by often.
pub(crate) fn timed<T>(state: &FunctionState, f: impl FnOnce() -> T) -> T {
    // SAFETY: the group that owns the state holds the shared part too.
    let shared = unsafe { &*state.shared };
    let start = shared.config.subscriber.is_some().then(Instant::now);
    let result = f();
    if let Some(start) = start {
        shared.totals.book_visit(start.elapsed());
    }
    result
}

/// Decides whether `state`'s function deserves better code, and grants the next budget.
pub(crate) fn consider(state: &FunctionState) {
    // SAFETY: the group that owns the state holds the shared part too.
    let shared = unsafe { &*state.shared };
    let next = state
        .versions
        .tier()
        .and_then(|tier| shared.config.tier_above(tier));
    if next.is_some_and(|next| !state.versions.may_use(next)) {
        state.grant(u32::MAX);
        return;
    }
    if let Some(stress) = shared.config.stress() {
        match stress.flip {
            true => flip(shared, state, stress),
            false => drop(state.grant(u32::MAX)),
        }
        return;
    }
    let Some((next, group)) = next
        .filter(|next| !state.versions.has_failed(*next))
        .and_then(|next| Some((next, state.group.upgrade()?)))
    else {
        state.grant(u32::MAX);
        return;
    };
    match decide(shared, &group, state, next) {
        Decision::Wait { calls } => {
            state.grant(calls);
        }
        Decision::Promote => promote(shared, &group, state, next),
    }
}

/// Chooses the code that the next call of the function runs in: that of the lowest tier, or of the one above it.
fn flip(shared: &Shared, state: &FunctionState, stress: Stress) {
    state.grant(1);
    let Some(group) = state.group.upgrade() else {
        return;
    };
    let next = shared.config.lowest_tier();
    let next = next.and_then(|lowest| shared.config.tier_above(lowest));
    let Some(next) = next.filter(|next| !state.versions.has_failed(*next)) else {
        return;
    };
    if state.versions.tier() < Some(next) {
        if !activation::stack_is_low() {
            // A failure is told to the subscriber, and is not tried again.
            let _ = compile_and_publish(&group, state.index, next, Circumstances::AT_ONCE);
        }
        return;
    }
    let event = state.counts().calls as u32;
    let upper = stress.chooses(event, 2);
    if !shared.take_stress_transition() {
        return;
    }
    let slot = group.entry_slot(state.index);
    state
        .versions
        .choose(slot, |version| (version.tier == next) == upper);
}

/// Whether what was counted is enough for code of `next`.
pub(crate) fn decide(
    shared: &Shared,
    group: &Group,
    state: &FunctionState,
    next: Tier,
) -> Decision {
    let load = Load {
        queued: shared.queue_of(next).len(),
        workers: workers(shared),
    };
    let threshold = shared.config.thresholds.of(next);
    let source_bytes = group.source.source_bytes(state.index);
    policy::decide(state.counts(), threshold, source_bytes, load)
}

fn workers(shared: &Shared) -> usize {
    match shared.config.mode {
        CompileMode::Background { workers } => workers,
        CompileMode::Synchronous => 1,
    }
}

/// Asks for code of `tier`, once.
fn promote(shared: &Shared, group: &Arc<Group>, state: &FunctionState, tier: Tier) {
    // Until the new code is there the counters stay quiet for as long as one threshold.
    let counts = state.grant(shared.config.thresholds.of(tier).max(1));
    if !state.versions.request(tier) {
        return;
    }
    let from = state.versions.tier().unwrap_or(Tier::Baseline);
    let promoted = || {
        let (calls, loops) = (counts.calls, counts.loops);
        group.emit(
            state.index,
            EventKind::Promoted {
                from,
                to: tier,
                calls,
                loops,
            },
        );
    };
    match shared.config.mode {
        CompileMode::Synchronous => {
            promoted();
            // A failure is told to the subscriber, and the function runs on in the tier it is in.
            let _ = compile_and_publish(group, state.index, tier, Circumstances::AT_ONCE);
        }
        CompileMode::Background { .. } => {
            let request = Request {
                group: Arc::downgrade(group),
                index: state.index,
                tier,
                kind: CompileKind::Entry,
                counts,
                queued: Instant::now(),
            };
            let source_bytes = group.source.source_bytes(state.index);
            let priority = policy::priority(counts, state.since.elapsed(), source_bytes);
            promoted();
            if !shared.queue_of(tier).push(priority, request) {
                state.versions.withdraw_request(tier);
            }
        }
    }
}

/// Asks for code of `tier` once more, whose last was taken out of use.
pub(crate) fn promote_again(
    shared: &Shared,
    group: &Arc<Group>,
    state: &FunctionState,
    tier: Tier,
) {
    state.versions.withdraw_request(tier);
    if !state.versions.has_failed(tier) {
        promote(shared, group, state, tier);
    }
}

/// Asks for the OSR version of a loop. Whether it is there now, or there is none to be had.
pub(crate) fn request_osr(
    shared: &Shared,
    group: &Arc<Group>,
    state: &FunctionState,
    (from, to): (Tier, Tier),
    loop_index: u32,
) -> bool {
    let counts = state.counts();
    group.emit(
        state.index,
        EventKind::OsrRequested {
            from,
            to,
            loop_index,
            loops: counts.loops,
        },
    );
    if shared.config.mode == CompileMode::Synchronous {
        compile_osr(group, state.index, (to, loop_index), Circumstances::AT_ONCE);
        return true;
    }
    let request = Request {
        group: Arc::downgrade(group),
        index: state.index,
        tier: to,
        kind: CompileKind::Osr(loop_index),
        counts,
        queued: Instant::now(),
    };
    let source_bytes = group.source.source_bytes(state.index);
    let priority = policy::priority(counts, state.since.elapsed(), source_bytes);
    // The activation runs now, and the next call may never come.
    if !shared
        .queue_of(to)
        .push(priority.saturating_mul(OSR_PRIORITY), request)
    {
        lock(&state.osr_loops).withdraw(loop_index, to);
    }
    false
}

/// What a worker thread does until its queue is closed.
pub(crate) fn work(shared: &Shared, queue: &Queue<Request>) {
    while let Some(request) = queue.pop() {
        serve(shared, &request);
    }
}

fn serve(shared: &Shared, request: &Request) {
    // Whoever drops the last handle drops the group; a request alone does not keep it.
    let Some(group) = request.group.upgrade() else {
        return;
    };
    let state = group.state_or_new(request.index);
    let queued = request.queued.elapsed();
    let stale = queued > shared.config.check_interval && state.counts() == request.counts;
    let circumstances = Circumstances {
        on_program_thread: false,
        queued,
    };
    if let CompileKind::Osr(loop_index) = request.kind {
        if stale {
            lock(&state.osr_loops).withdraw(loop_index, request.tier);
            return;
        }
        compile_osr(
            &group,
            request.index,
            (request.tier, loop_index),
            circumstances,
        );
        // Whoever is in the loop need not wait for the rest of the budget.
        state.grant_iterations(1);
        return;
    }
    let superseded = state
        .versions
        .tier()
        .is_some_and(|tier| tier >= request.tier);
    if stale || superseded {
        state.versions.withdraw_request(request.tier);
        return;
    }
    // A failure is told to the subscriber, and the function runs on in the tier it is in.
    let _ = compile_and_publish(&group, request.index, request.tier, circumstances);
}
