//! The runtime as its users hold it.

use crate::activation::{self, Left, Outcome};
use crate::backtrace::{Backtrace, Counters, FRAMES_MAX, Frame};
use crate::call_profile;
use crate::config::{CompileMode, RuntimeConfig};
use crate::deopt;
use crate::frame_log::FrameLogReport;
use crate::frame_points;
use crate::lazy;
use crate::osr;
use crate::pipeline::{self, Circumstances, WORKER_STACK_BYTES, compile_and_publish};
use crate::signal;
use crate::source::FunctionSource;
use crate::stats::{HotFunction, ProfileStatistics};
use crate::table::{FunctionState, Group, Shared, lock};
use crate::tiering;
use crate::trampoline::{self, Glue};
use crate::trap::{HostError, Trap, Unwind};
use crate::value::RawValue;
use crate::{arch, builtins};
use cranelift_codegen::ir::Signature;
use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use upshift_base::{FuncId, Tier};
use upshift_codegen::{CompileError, CompileKind, CompiledCode};
use upshift_codemem::{
    BUILTIN_CONTEXT, BUILTIN_LAZY_COMPILE, CodeMemory, CodeMemoryConfig, CodeMemoryError, Usage,
};

/// What can go wrong with the runtime itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Code memory could not be had.
    #[error(transparent)]
    CodeMemory(#[from] CodeMemoryError),
    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    System {
        /// What was being done.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// There is no code.
    #[error("compiling {name}: {error}")]
    Compile {
        /// The function's name.
        name: String,
        /// Why.
        error: CompileError,
    },
    /// No tier has a compiler.
    #[error("no tier has a compiler; configure at least one")]
    NoCompiler,
}

/// A tiered runtime: functions go in, code that gets better while it runs comes out.
///
/// Dropping it joins the worker threads. Functions that are still alive keep running in the code they have.
#[derive(Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    glue: Mutex<HashMap<Glue, FunctionGroup>>,
}

/// Functions that were defined together; dropping the last clone frees their code.
///
/// Whoever can still call one of them, or runs in one, must hold a clone.
#[derive(Clone, Debug)]
pub struct FunctionGroup(Arc<Group>);

/// The address of the cell that holds a function's current code. Valid as long as its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntrySlot(*const AtomicPtr<u8>);

// SAFETY: it is an address; using it is unsafe elsewhere.
unsafe impl Send for EntrySlot {}
// SAFETY: as above.
unsafe impl Sync for EntrySlot {}

impl EntrySlot {
    /// The slot at an address that [`EntrySlot::as_ptr`] gave.
    ///
    /// # Safety
    /// `address` must be that of a function's entry slot.
    pub unsafe fn from_ptr(address: *const AtomicPtr<u8>) -> EntrySlot {
        EntrySlot(address)
    }

    /// The address.
    pub fn as_ptr(self) -> *const AtomicPtr<u8> {
        self.0
    }
}

/// A way from the host into guest functions of one signature.
#[derive(Clone, Debug)]
pub struct Trampoline {
    shared: Arc<Shared>,
    group: FunctionGroup,
    buffer_len: usize,
}

/// A guest function that calls host code, for one signature; see [`HostEntry`](crate::HostEntry).
#[derive(Clone, Debug)]
pub struct HostStub(FunctionGroup);

impl HostStub {
    /// The stub's slot, to be called with a pointer to the context as its first argument.
    pub fn entry_slot(&self) -> EntrySlot {
        self.0.entry_slot(0)
    }
}

impl FunctionGroup {
    /// The id of function `index`.
    pub fn id(&self, index: u32) -> FuncId {
        self.0.id(index)
    }

    /// How many functions there are.
    pub fn len(&self) -> u32 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Function `index`'s entry slot.
    pub fn entry_slot(&self, index: u32) -> EntrySlot {
        EntrySlot(self.0.entry_slot(index))
    }

    /// The tier that new calls of function `index` run in; `None` if it has never been called.
    pub fn tier_of(&self, index: u32) -> Option<Tier> {
        self.0.state(index).and_then(|state| state.versions.tier())
    }

    /// Function `index`'s name.
    pub fn name(&self, index: u32) -> String {
        self.0.name(index)
    }
}

/// Tells generated code where the runtime is.
fn set_builtins(memory: &CodeMemory, shared: &Arc<Shared>) {
    let compile = lazy::compile_on_first_call as *const () as *mut ();
    arch::COMPILE_ON_FIRST_CALL.store(compile, Ordering::Relaxed);
    let tripped = tiering::counter_tripped as *const () as *mut ();
    arch::COUNTER_TRIPPED.store(tripped, Ordering::Relaxed);
    let osr_tripped = osr::osr_tripped as *const () as *mut ();
    arch::OSR_TRIPPED.store(osr_tripped, Ordering::Relaxed);
    let guard_failed = deopt::guard_failed as *const () as *mut ();
    arch::GUARD_FAILED.store(guard_failed, Ordering::Relaxed);
    let guard_failed = arch::guard_failed_entry as *const ();
    let record_target = arch::record_target_entry as *const ();
    let count_target = call_profile::count_target as *const ();
    let entries: [(u32, *const ()); 8] = [
        (BUILTIN_LAZY_COMPILE, arch::lazy_compile_entry as *const ()),
        (builtins::COUNTER_TRIPPED, arch::counter_entry as *const ()),
        (builtins::OSR_TRIPPED, arch::osr_entry as *const ()),
        (builtins::RECORD_TARGET, record_target),
        (builtins::COUNT_TARGET, count_target),
        (builtins::GUARD_FAILED, guard_failed),
        (
            builtins::FRAME_BUFFER,
            frame_points::frame_buffer as *const (),
        ),
        (
            builtins::FRAME_LOGGED,
            frame_points::frame_logged as *const (),
        ),
    ];
    memory.set_builtin(BUILTIN_CONTEXT, Arc::as_ptr(shared) as usize);
    for (builtin, entry) in entries {
        memory.set_builtin(builtin, entry as usize);
    }
}

impl Runtime {
    /// Starts a runtime and its worker threads.
    ///
    /// # Errors
    /// If there is no compiler, no memory for code, or the operating system refuses threads or signal handlers.
    pub fn new(config: RuntimeConfig) -> Result<Runtime, RuntimeError> {
        if config.lowest_tier().is_none() {
            return Err(RuntimeError::NoCompiler);
        }
        signal::install().map_err(|source| RuntimeError::System {
            action: "install signal handlers",
            source,
        })?;
        let memory = CodeMemory::new(CodeMemoryConfig {
            reserve_bytes: config.code_memory_bytes,
            ..CodeMemoryConfig::default()
        })?;
        let mode = config.mode;
        let shared = Arc::new(Shared::new(config, memory));
        let memory = &shared.memory;
        set_builtins(memory, &shared);
        let runtime = Runtime {
            shared,
            workers: Mutex::default(),
            glue: Mutex::default(),
        };
        if let CompileMode::Background { workers } = mode {
            let remote_jobs = Tier::ALL.map(|tier| runtime.config().remote_jobs(tier));
            let remote_jobs = remote_jobs.into_iter().flatten().max();
            let counts = [workers.max(1), remote_jobs.map_or(0, NonZeroUsize::get)];
            for (number, (name, count)) in
                ["upshift", "upshift-remote"].iter().zip(counts).enumerate()
            {
                runtime.start_workers(number, name, count)?;
            }
        }
        Ok(runtime)
    }

    /// Starts threads that serve one of the queues.
    fn start_workers(&self, queue: usize, name: &str, count: usize) -> Result<(), RuntimeError> {
        for number in 0..count {
            let shared = Arc::clone(&self.shared);
            let worker = thread::Builder::new()
                .name(format!("{name}-{number}"))
                .stack_size(WORKER_STACK_BYTES)
                .spawn(move || tiering::work(&shared, shared.queues()[queue]))
                .map_err(|source| RuntimeError::System {
                    action: "start a worker thread",
                    source,
                })?;
            lock(&self.workers).push(worker);
        }
        Ok(())
    }

    /// Defines `count` functions. Nothing is compiled until one is called.
    ///
    /// # Errors
    /// If code memory has no room for as many.
    pub fn define(
        &self,
        source: Arc<dyn FunctionSource>,
        count: u32,
    ) -> Result<FunctionGroup, RuntimeError> {
        self.define_kind(source, count, CompileKind::Entry)
    }

    fn define_kind(
        &self,
        source: Arc<dyn FunctionSource>,
        count: u32,
        kind: CompileKind,
    ) -> Result<FunctionGroup, RuntimeError> {
        let ids = self.shared.memory.allocate_functions(count)?;
        Ok(FunctionGroup(self.shared.add_group(ids, source, kind)))
    }

    /// Defines the functions through which a module reaches the host: compiled once, never counted or promoted, and
    /// left out of backtraces. Where `addresses` has one, the function is host code already.
    ///
    /// # Errors
    /// As [`Runtime::define`].
    ///
    /// # Safety
    /// Each address must be a function of the signature and calling convention that its callers use.
    pub unsafe fn define_host(
        &self,
        source: Arc<dyn FunctionSource>,
        addresses: &[Option<*const u8>],
    ) -> Result<FunctionGroup, RuntimeError> {
        let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let group = self.define_kind(source, count, CompileKind::Trampoline)?;
        for (index, address) in (0..).zip(addresses) {
            if let Some(address) = address {
                group
                    .0
                    .entry_slot(index)
                    .store(address.cast_mut(), Ordering::Release);
            }
        }
        Ok(group)
    }

    /// The trampoline for a guest signature, made at the first request.
    ///
    /// # Errors
    /// If it cannot be compiled.
    pub fn trampoline(&self, signature: &Signature) -> Result<Trampoline, RuntimeError> {
        let group = self.glue(Glue::HostToGuest(signature.clone()))?;
        let buffer_len = trampoline::buffer_len(signature);
        Ok(Trampoline {
            shared: Arc::clone(&self.shared),
            group,
            buffer_len,
        })
    }

    /// The host stub for a guest signature, made at the first request.
    ///
    /// # Errors
    /// If it cannot be compiled, for example because its first parameter is no pointer.
    pub fn host_stub(&self, signature: &Signature) -> Result<HostStub, RuntimeError> {
        Ok(HostStub(self.glue(Glue::GuestToHost(signature.clone()))?))
    }

    fn glue(&self, glue: Glue) -> Result<FunctionGroup, RuntimeError> {
        let mut known = lock(&self.glue);
        if let Some(group) = known.get(&glue) {
            return Ok(group.clone());
        }
        let group = self.define_kind(Arc::new(glue.clone()), 1, CompileKind::Trampoline)?;
        lazy::ensure_compiled(&group.0, 0).map_err(|error| RuntimeError::Compile {
            name: group.name(0),
            error,
        })?;
        known.insert(glue, group.clone());
        Ok(group)
    }

    /// The tier that new calls of `function` run in; `None` if it has never been called or does not exist.
    pub fn tier_of(&self, function: FuncId) -> Option<Tier> {
        lazy::tier_of(&self.shared, function)
    }

    /// Compiles a function for `tier` on this thread and publishes the code, unless it has code at least as good.
    ///
    /// # Errors
    /// If the tier's compilers decline it or fail, or code memory is full.
    pub fn optimize(
        &self,
        group: &FunctionGroup,
        index: u32,
        tier: Tier,
    ) -> Result<(), RuntimeError> {
        let state = group.0.state_or_new(index);
        if !state.versions.may_use(Tier::Top) {
            deopt::raise(state);
        }
        if state
            .versions
            .tier()
            .is_some_and(|published| published >= tier)
        {
            return Ok(());
        }
        compile_and_publish(&group.0, index, tier, Circumstances::AT_ONCE).map_err(|error| {
            RuntimeError::Compile {
                name: group.name(index),
                error,
            }
        })
    }

    /// Lets a function run in no better tier than `tier` until [`Runtime::optimize`] is asked for it again. New calls do so
    /// at once, in the functions that had inlined it too. An activation in better code that counts its iterations goes on
    /// in tier 0 at its next loop header; any other stays where it is until it returns.
    ///
    /// # Errors
    /// If there is no code of so low a tier, or no way back from the function's loops.
    pub fn deoptimize(
        &self,
        group: &FunctionGroup,
        index: u32,
        tier: Tier,
    ) -> Result<(), RuntimeError> {
        let state = group.0.state_or_new(index);
        deopt::lower(&group.0, state, tier).map_err(|failure| RuntimeError::Compile {
            name: group.name(index),
            error: failure.error,
        })
    }

    /// The code that `tier` makes of a function, not linked and not published, and the name of the compiler that made it.
    /// Its positions are as many as the compiler knows.
    ///
    /// # Errors
    /// If the tier has no compiler, or none that makes code of this function.
    pub fn inspect(
        &self,
        group: &FunctionGroup,
        index: u32,
        tier: Tier,
    ) -> Result<(CompiledCode, String), RuntimeError> {
        pipeline::inspect(&group.0, index, tier).map_err(|error| RuntimeError::Compile {
            name: group.name(index),
            error,
        })
    }

    /// Counts a call that the host dispatched without going through guest code's counters.
    pub fn record_call(&self, group: &FunctionGroup, index: u32) {
        let state = group.0.state_or_new(index);
        if state.count_call() {
            tiering::consider(state);
        }
    }

    /// Whether a function has reached the threshold of tier 1.
    pub fn is_hot(&self, group: &FunctionGroup, index: u32) -> bool {
        group
            .0
            .state(index)
            .is_some_and(|state| self.state_is_hot(state))
    }

    fn state_is_hot(&self, state: &FunctionState) -> bool {
        state.counts().score() >= u64::from(self.shared.config.thresholds.optimizing)
    }

    /// The functions that are hot, hottest first.
    pub fn hot_functions(&self) -> Vec<HotFunction> {
        let mut hot = Vec::new();
        self.each_called(|group, state| {
            if let Some(tier) = state.versions.tier().filter(|_| self.state_is_hot(state)) {
                let counts = state.counts();
                hot.push(HotFunction {
                    function: state.function,
                    name: group.name(state.index),
                    tier,
                    calls: counts.calls,
                    loop_iterations: counts.loops,
                });
            }
        });
        hot.sort_by_key(|f| {
            std::cmp::Reverse((f.calls.saturating_add(f.loop_iterations / 10), f.calls))
        });
        hot
    }

    fn each_called(&self, mut visit: impl FnMut(&Group, &FunctionState)) -> u64 {
        let mut defined = 0;
        for group in self.shared.groups.all() {
            if group.kind == CompileKind::Trampoline {
                continue;
            }
            defined += u64::from(group.len());
            for index in 0..group.len() {
                if let Some(state) = group.state(index) {
                    visit(&group, state);
                }
            }
        }
        defined
    }

    /// The numbers of functions, calls and compilations up to now.
    pub fn profile_statistics(&self) -> ProfileStatistics {
        let mut report = self.shared.totals.report();
        let mut by_tier = [0; 3];
        let (mut hot, mut executions, mut loops) = (0, 0, 0);
        report.total_functions = self.each_called(|_, state| {
            let Some(tier) = state.versions.tier() else {
                return;
            };
            by_tier[tier.index()] += 1;
            let counts = state.counts();
            executions += counts.calls;
            loops += counts.loops;
            hot += u64::from(self.state_is_hot(state));
        });
        for (tier, functions) in report.tiers.iter_mut().zip(by_tier) {
            tier.functions = functions;
        }
        report.compiled_functions = by_tier.iter().sum();
        report.hot_functions = hot;
        report.executions = executions;
        report.loop_iterations = loops;
        let waiting = self.shared.queues().map(|queue| queue.len() as u64);
        report.queued = waiting.iter().sum();
        report
    }

    /// What was logged of frames up to now, if [`RuntimeConfig::frame_log`] says so.
    pub fn frame_log(&self) -> FrameLogReport {
        self.shared.frame_log.report()
    }

    /// How full the code memory is.
    pub fn code_memory_usage(&self) -> Usage {
        self.shared.memory.usage()
    }

    /// The configuration that the runtime was made with.
    pub fn config(&self) -> &RuntimeConfig {
        &self.shared.config
    }

    /// Which of the next allocations in code memory fail, counted from 0 at this call; for tests of what happens then.
    #[doc(hidden)]
    pub fn set_failing_allocations(&self, numbers: std::ops::Range<u64>) {
        self.shared.memory.set_failing_allocations(numbers);
    }

    /// Stops background compilation and waits for the worker threads. Requests that wait are dropped; the one that a
    /// worker is at is finished. Functions keep running, and are still compiled at their first call.
    pub fn shutdown(&self) {
        for queue in self.shared.queues() {
            queue.close();
        }
        for compiler in self.shared.config.compilers.iter().flatten() {
            compiler.shut_down();
        }
        for worker in lock(&self.workers).drain(..) {
            // A worker may be the one that drops the runtime, having dropped the last function's owner.
            if worker.thread().id() != thread::current().id() {
                let _ = worker.join();
            }
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Trampoline {
    /// How many values the buffer of [`Trampoline::call`] must hold.
    pub fn buffer_len(&self) -> usize {
        self.buffer_len
    }

    /// Calls the function that `slot` leads to. `values` holds the arguments and receives the results, both in the
    /// signature's order.
    ///
    /// `stack_limit` is a cell that the guest's prologues compare the stack pointer with. The thread's outermost call
    /// that uses it sets it; it is put back afterwards.
    ///
    /// # Errors
    /// If the guest traps or a host function that it calls fails. A host function's panic is resumed here.
    ///
    /// # Safety
    /// The slot's function must have the trampoline's signature and stay alive during the call, and so must whatever it
    /// was compiled to use; `values` must hold [`Trampoline::buffer_len`] values with the right types.
    pub unsafe fn call(
        &self,
        slot: EntrySlot,
        values: *mut RawValue,
        stack_limit: Option<&AtomicUsize>,
    ) -> Result<(), Unwind> {
        let code = self.group.0.entry_slot(0).load(Ordering::Acquire);
        let limit = stack_limit.map(|cell| (cell, self.shared.config.stack_bytes));
        let memory = &self.shared.memory;
        // SAFETY: the code is the trampoline for this signature; the rest is as the caller promises.
        match unsafe { activation::enter(memory, code, slot.0.cast(), values.cast(), limit) } {
            Ok(None) => Ok(()),
            Ok(Some(left)) => Err(self.unwound(left)),
            Err(error) => Err(Unwind::Host(HostError {
                error: Box::new(error),
                backtrace: Backtrace::default(),
            })),
        }
    }

    #[cold]
    fn unwound(&self, left: Left) -> Unwind {
        let backtrace = || self.backtrace(&left.counters);
        match left.outcome {
            Outcome::Trap { kind, message } => Unwind::Trap(Trap {
                kind,
                message,
                backtrace: backtrace(),
            }),
            Outcome::Error(error) => Unwind::Host(HostError {
                error,
                backtrace: backtrace(),
            }),
            Outcome::Unwind(unwind) => unwind,
            Outcome::Panic(payload) => std::panic::resume_unwind(payload),
        }
    }

    fn backtrace(&self, counters: &Counters) -> Backtrace {
        let mut frames: Vec<Frame> = counters.pcs().flat_map(|pc| self.frames(pc)).collect();
        // Inlined callees are frames too.
        let truncated = counters.truncated() || frames.len() > FRAMES_MAX;
        frames.truncate(FRAMES_MAX);
        Backtrace { frames, truncated }
    }

    fn frames(&self, pc: usize) -> Vec<Frame> {
        let Some(block) = self.shared.memory.lookup(pc) else {
            return Vec::new();
        };
        let label = block.label();
        let group = self.shared.group_of(label.function);
        let Some(group) = group.filter(|_| label.kind != CompileKind::Trampoline) else {
            return Vec::new();
        };
        let frame = |(function, position): (FuncId, Option<u32>)| Frame {
            function,
            name: group.name(function.0 - group.first().0),
            position,
            tier: label.tier,
        };
        let offset = (pc - block.start()) as u32;
        block.frames_at(offset).map(frame).collect()
    }
}
