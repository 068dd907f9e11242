//! The code table: which functions there are, what code each has, and what was counted for it.
//!
//! A *group* is a range of functions from one source, defined and dropped together. A function costs nothing but its
//! slot, stub and cell until it is first called; then it gets a [`FunctionState`], which its profile cell points to.
//! Code refers to functions by id, so a group must live as long as anything that can call into it; its owner sees to
//! that. Requests for compilation hold groups weakly: dropping one while its code is being made loses only that work.

use crate::assumptions::{Assumptions, FunctionGuard};
use crate::config::RuntimeConfig;
use crate::frame_log::FrameLogger;
use crate::loops::Loops;
use crate::policy::Counts;
use crate::profile::LOOP_ITERATIONS_PER_CALL;
use crate::queue::Queue;
use crate::registry::Registry;
use crate::source::FunctionSource;
use crate::stats::Totals;
use crate::versions::{Version, Versions};
use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use upshift_base::{FuncId, Tier};
use upshift_codegen::CompileKind;
use upshift_codegen::call_site::CallSite;
use upshift_codegen::deopt::{fold, scramble};
use upshift_codemem::{CodeBlock, CodeMemory, FuncRange, ProfileCell};
use upshift_event::{Event, EventKind};

/// What all parts of one runtime share.
pub(crate) struct Shared {
    pub(crate) config: RuntimeConfig,
    pub(crate) memory: Arc<CodeMemory>,
    queue: Queue<Request>,
    /// Requests to compilers that work elsewhere. Threads that wait for an answer keep no other request waiting.
    remote_queue: Queue<Request>,
    pub(crate) started: Instant,
    pub(crate) totals: Totals,
    pub(crate) frame_log: FrameLogger,
    /// How many transitions stress tests may still make.
    stress_transitions: AtomicU64,
    pub(crate) groups: Registry<Group>,
}

/// A request for better code of a function.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) group: Weak<Group>,
    pub(crate) index: u32,
    pub(crate) tier: Tier,
    /// The entry, or the OSR version of a loop.
    pub(crate) kind: CompileKind,
    pub(crate) counts: Counts,
    pub(crate) queued: Instant,
}

/// A range of functions from one source.
pub(crate) struct Group {
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: Arc<dyn FunctionSource>,
    pub(crate) kind: CompileKind,
    ids: FuncRange,
}

/// What is known of a function that was called.
pub(crate) struct FunctionState {
    /// The shared part of the runtime. Valid because the group that owns this state holds it too.
    pub(crate) shared: *const Shared,
    pub(crate) group: Weak<Group>,
    pub(crate) index: u32,
    pub(crate) function: FuncId,
    /// Its code.
    pub(crate) versions: Versions<CodeInstance>,
    /// Budgets spent in full so far.
    calls: AtomicU64,
    loops: AtomicU64,
    granted_calls: AtomicI32,
    granted_loops: AtomicI32,
    /// When the function was first compiled.
    pub(crate) since: Instant,
    /// What is counted at the function's indirect calls; the last is the one in use.
    pub(crate) call_sites: Mutex<Vec<Box<[CallSite]>>>,
    /// What is known of the loops that activations may move to better code in.
    pub(crate) osr_loops: Mutex<Loops>,
    /// What optimized code takes for granted.
    pub(crate) assumptions: Mutex<Assumptions>,
    /// How many guards hold until the next one fails, in a stress test. Counted down by generated code.
    pub(crate) stress_budget: AtomicI32,
    stress_failures: AtomicU32,
    /// Held while the function's first code is made.
    pub(crate) first_compilation: Mutex<()>,
}

// SAFETY: `shared` points to data that is itself shared between threads and outlives the state.
unsafe impl Send for FunctionState {}
// SAFETY: as above.
unsafe impl Sync for FunctionState {}

/// One piece of code of a function.
#[derive(Debug)]
pub(crate) struct CodeInstance {
    pub(crate) tier: Tier,
    /// The guards in the code, with the indices of the functions whose they are.
    pub(crate) relies_on: Vec<FunctionGuard>,
    pub(crate) code: CodeBlock,
}

impl Version for CodeInstance {
    fn tier(&self) -> Tier {
        self.tier
    }

    fn entry(&self) -> *mut u8 {
        self.code.entry().cast_mut()
    }

    fn takes_calls(&self) -> bool {
        self.code.info().label().kind == CompileKind::Entry
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("first", &self.first())
            .field("len", &self.len())
            .finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A budget trips when it falls below zero, at the first event after the last one that was granted.
fn budget(events: u32) -> i32 {
    i32::try_from(events.saturating_sub(1)).unwrap_or(i32::MAX)
}

/// Takes a lock whose data is consistent whenever it is not held, panics or not.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(config: RuntimeConfig, memory: Arc<CodeMemory>) -> Shared {
        Shared {
            stress_transitions: AtomicU64::new(config.stress_transitions),
            config,
            memory,
            queue: Queue::new(),
            remote_queue: Queue::new(),
            started: Instant::now(),
            totals: Totals::default(),
            frame_log: FrameLogger::default(),
            groups: Registry::new(),
        }
    }

    /// The queue that requests for `tier` wait in.
    pub(crate) fn queue_of(&self, tier: Tier) -> &Queue<Request> {
        match self.config.remote_jobs(tier) {
            Some(_) => &self.remote_queue,
            None => &self.queue,
        }
    }

    /// Both queues: that of the threads that compile, and that of those that have it done elsewhere.
    pub(crate) fn queues(&self) -> [&Queue<Request>; 2] {
        [&self.queue, &self.remote_queue]
    }

    /// Takes one of the transitions that stress tests may make, if there is one left.
    pub(crate) fn take_stress_transition(&self) -> bool {
        let taken = |left: u64| left.checked_sub(1);
        self.stress_transitions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    }

    /// Adds a group whose ids are allocated already.
    pub(crate) fn add_group(
        self: &Arc<Self>,
        ids: FuncRange,
        source: Arc<dyn FunctionSource>,
        kind: CompileKind,
    ) -> Arc<Group> {
        let group = Arc::new(Group {
            shared: Arc::clone(self),
            source,
            kind,
            ids,
        });
        // A group without functions has no id of its own to be found by.
        if group.len() > 0 {
            self.groups.add(group.first().0, &group);
        }
        group
    }

    /// The group that `function` belongs to, unless it is being dropped.
    pub(crate) fn group_of(&self, function: FuncId) -> Option<Arc<Group>> {
        let (group, index) = self.groups.find(function.0)?;
        (index < group.len()).then_some(group)
    }

    /// Tells the subscriber, if there is one.
    pub(crate) fn emit(&self, function: FuncId, name: impl FnOnce() -> String, kind: EventKind) {
        if let Some(subscriber) = &self.config.subscriber {
            let event = Event {
                time: self.started.elapsed(),
                function,
                name: name(),
                kind,
            };
            subscriber.event(&event);
        }
    }
}

impl Group {
    pub(crate) fn first(&self) -> FuncId {
        self.ids.first()
    }

    pub(crate) fn len(&self) -> u32 {
        self.ids.len()
    }

    pub(crate) fn id(&self, index: u32) -> FuncId {
        FuncId(self.first().0 + index)
    }

    /// The index of a function of this group.
    pub(crate) fn index(&self, function: FuncId) -> u32 {
        function.0 - self.first().0
    }

    pub(crate) fn contains(&self, function: FuncId) -> bool {
        self.ids.contains(function)
    }

    pub(crate) fn name(&self, index: u32) -> String {
        self.source.name(index)
    }

    pub(crate) fn emit(&self, index: u32, kind: EventKind) {
        if let Some(totals) = self.totals() {
            totals.book(&kind);
            self.shared.emit(self.id(index), || self.name(index), kind);
        }
    }

    /// The totals, unless the group is the runtime's own glue, which is neither counted nor told about.
    pub(crate) fn totals(&self) -> Option<&Totals> {
        (self.kind == CompileKind::Entry).then_some(&self.shared.totals)
    }

    pub(crate) fn entry_slot(&self, index: u32) -> &AtomicPtr<u8> {
        self.shared.memory.entry_slot(self.id(index))
    }

    /// The function's state, if it was ever called or compiled.
    pub(crate) fn state(&self, index: u32) -> Option<&FunctionState> {
        let state = self.cell(index).state.load(Ordering::Acquire) as *const FunctionState;
        // SAFETY: the cell holds null or a state that lives as long as the group.
        unsafe { state.as_ref() }
    }

    /// The function's state, made now if it has none.
    pub(crate) fn state_or_new(self: &Arc<Self>, index: u32) -> &FunctionState {
        if let Some(state) = self.state(index) {
            return state;
        }
        let state = Box::into_raw(Box::new(FunctionState {
            shared: Arc::as_ptr(&self.shared),
            group: Arc::downgrade(self),
            index,
            function: self.id(index),
            versions: Versions::new(),
            calls: AtomicU64::new(0),
            loops: AtomicU64::new(0),
            granted_calls: AtomicI32::new(0),
            granted_loops: AtomicI32::new(0),
            since: Instant::now(),
            call_sites: Mutex::default(),
            osr_loops: Mutex::default(),
            assumptions: Mutex::default(),
            stress_budget: AtomicI32::new(0),
            stress_failures: AtomicU32::new(0),
            first_compilation: Mutex::default(),
        }));
        // SAFETY: the state was just boxed, and nobody else has seen it.
        unsafe { (*state).grant_stress_budget() };
        let place = &self.cell(index).state;
        if place
            .compare_exchange(0, state as usize, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // SAFETY: another thread was quicker, and nobody has seen this one.
            drop(unsafe { Box::from_raw(state) });
        }
        // One of the two is there now; it is never taken away before the group goes.
        // SAFETY: as in `state`.
        unsafe { &*(place.load(Ordering::Acquire) as *const FunctionState) }
    }

    fn cell(&self, index: u32) -> &ProfileCell {
        // SAFETY: the id is allocated as long as the group lives, and the cell is accessed through atomics.
        unsafe { self.shared.memory.profile_cell(self.id(index)).as_ref() }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.len() > 0 {
            // The range of ids, which a later group may get, is freed last.
            self.shared.groups.forget(self.first().0);
        }
        for index in 0..self.len() {
            let state = self.cell(index).state.swap(0, Ordering::AcqRel) as *mut FunctionState;
            if state.is_null() {
                continue;
            }
            // SAFETY: the state was boxed by `state_or_new`, and no code or handle of the group is left to use it.
            let state = unsafe { Box::from_raw(state) };
            for instance in state.versions.take() {
                let (tier, code_bytes) = (instance.tier, instance.code.info().len());
                drop(instance);
                self.emit(index, EventKind::Freed { tier, code_bytes });
            }
        }
    }
}

impl FunctionState {
    /// Allows promotions to be asked for again, when the counters say so.
    pub(crate) fn allow_again(&self) {
        self.versions.withdraw_requests();
        self.grant(1);
    }

    pub(crate) fn cell(&self) -> &ProfileCell {
        // SAFETY: the state is owned by a group, and so is the id.
        unsafe { (*self.shared).memory.profile_cell(self.function).as_ref() }
    }

    /// Everything counted so far, what is left of the current budgets taken into account.
    pub(crate) fn counts(&self) -> Counts {
        let spent = |granted: &AtomicI32, left: &AtomicI32| {
            let (granted, left) = (
                granted.load(Ordering::Relaxed),
                left.load(Ordering::Relaxed),
            );
            u64::try_from(i64::from(granted) - i64::from(left)).unwrap_or(0)
        };
        let cell = self.cell();
        Counts {
            calls: self.calls.load(Ordering::Relaxed)
                + spent(&self.granted_calls, &cell.entry_budget),
            loops: self.loops.load(Ordering::Relaxed)
                + spent(&self.granted_loops, &cell.loop_budget),
        }
    }

    /// Books what was spent, and grants new budgets: the counters trip again after `calls` calls, or the loop
    /// iterations that count as much.
    pub(crate) fn grant(&self, calls: u32) -> Counts {
        let counts = self.grant_calls(calls);
        self.grant_iterations(calls.saturating_mul(LOOP_ITERATIONS_PER_CALL));
        counts
    }

    /// The same for calls alone.
    pub(crate) fn grant_calls(&self, calls: u32) -> Counts {
        let (counts, calls) = (self.counts(), budget(calls));
        self.calls.store(counts.calls, Ordering::Relaxed);
        self.granted_calls.store(calls, Ordering::Relaxed);
        self.cell().entry_budget.store(calls, Ordering::Relaxed);
        counts
    }

    /// The same for loop iterations alone.
    pub(crate) fn grant_iterations(&self, iterations: u32) {
        let (counts, iterations) = (self.counts(), budget(iterations));
        self.loops.store(counts.loops, Ordering::Relaxed);
        self.granted_loops.store(iterations, Ordering::Relaxed);
        self.cell().loop_budget.store(iterations, Ordering::Relaxed);
    }

    fn grant_stress_budget(&self) {
        // SAFETY: the group that owns the state holds the shared part too.
        let shared = unsafe { &*self.shared };
        let Some(stress) = shared.config.deopt_stress else {
            return;
        };
        if !shared.take_stress_transition() {
            self.stress_budget.store(i32::MAX, Ordering::Relaxed);
            return;
        }
        let number = self.stress_failures.fetch_add(1, Ordering::Relaxed);
        let guards = match stress.seed {
            0 => stress.period,
            seed => {
                let chance = scramble(self.function.0 ^ scramble(number ^ scramble(fold(seed))));
                1 + chance % (2 * stress.period - 1)
            }
        };
        self.stress_budget.store(budget(guards), Ordering::Relaxed);
    }

    /// In a stress test, whether it was the turn of a guard to fail. Says which is the next.
    pub(crate) fn next_stress_failure(&self) -> bool {
        // SAFETY: as above.
        let stressed = unsafe { (*self.shared).config.deopt_stress.is_some() };
        let failed = stressed && self.stress_budget.load(Ordering::Relaxed) < 0;
        if failed {
            self.grant_stress_budget();
        }
        failed
    }

    /// Counts a call that the host made without going through planted counters. Whether that used the budget up.
    pub(crate) fn count_call(&self) -> bool {
        self.cell().entry_budget.fetch_sub(1, Ordering::Relaxed) <= 0
    }
}
