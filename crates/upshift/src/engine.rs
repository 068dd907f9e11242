//! The engine: one runtime, shared by all modules made with it.

use crate::{Config, Error};
use cranelift_codegen::ir::Signature;
use std::ops::Range;
use std::sync::Arc;
use upshift_base::{FuncId, Tier};
use upshift_codegen::CompiledCode;
use upshift_codemem::Usage;
use upshift_runtime::{
    FrameLogReport, FunctionGroup, FunctionSource, GuestMemoryRange, HostStub, HotFunction,
    ProfileStatistics, Runtime, RuntimeError, Thresholds, Trampoline, register_guest_memory,
};

/// A tiered JIT engine. Clones are handles to the same one; the last one to go stops the worker threads.
#[derive(Clone, Debug)]
pub struct Engine {
    runtime: Arc<Runtime>,
}

/// A function of an engine, kept alive by this handle.
#[derive(Clone, Debug)]
pub struct Function {
    group: FunctionGroup,
    index: u32,
}

impl Function {
    /// Function `index` of `group`, or `None` if there is none.
    pub fn new(group: FunctionGroup, index: u32) -> Option<Function> {
        (index < group.len()).then_some(Function { group, index })
    }

    /// Its id, unique while it lives.
    pub fn id(&self) -> FuncId {
        self.group.id(self.index)
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.group.name(self.index)
    }

    /// The group that it was defined with.
    pub fn group(&self) -> &FunctionGroup {
        &self.group
    }

    /// Its index in that group.
    pub fn index(&self) -> u32 {
        self.index
    }
}

/// One tier of an engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TierDescription {
    /// Which.
    pub tier: Tier,
    /// The names of its compilers, the first choice first. Empty if the tier is off.
    pub compilers: Vec<String>,
    /// Calls before a function is compiled for it.
    pub threshold: u32,
}

impl Engine {
    /// Starts an engine.
    ///
    /// # Errors
    /// If the machine is not supported, or refuses the memory, threads or signal handlers that the engine needs.
    pub fn new(config: Config) -> Result<Engine, Error> {
        let config = config
            .into_runtime()
            .map_err(|error| RuntimeError::Compile {
                name: "nothing yet".to_owned(),
                error,
            })?;
        Ok(Engine {
            runtime: Arc::new(Runtime::new(config)?),
        })
    }

    /// Whether two handles are of the same engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.runtime, &b.runtime)
    }

    /// The tier that new calls of a function run in; `None` if it has not been called yet.
    pub fn tier_of(&self, function: &Function) -> Option<Tier> {
        function.group.tier_of(function.index)
    }

    /// The tiers, lowest first, those that are off included.
    pub fn tiers(&self) -> Vec<TierDescription> {
        let config = self.runtime.config();
        let describe = |tier: Tier| TierDescription {
            tier,
            compilers: config.compilers[tier.index()]
                .iter()
                .map(|compiler| compiler.name().to_owned())
                .collect(),
            threshold: config.thresholds.of(tier),
        };
        Tier::ALL.into_iter().map(describe).collect()
    }

    /// The number of calls after which tiers 1 and 2 are asked for.
    pub fn thresholds(&self) -> Thresholds {
        self.runtime.config().thresholds
    }

    /// The functions that have reached the threshold of tier 1, hottest first.
    pub fn hot_functions(&self) -> Vec<HotFunction> {
        self.runtime.hot_functions()
    }

    /// The numbers of functions, executions, compilations and bytes up to now.
    pub fn profile_statistics(&self) -> ProfileStatistics {
        self.runtime.profile_statistics()
    }

    /// What was logged of frames up to now, if [`Config::frame_log`] says so.
    pub fn frame_log(&self) -> FrameLogReport {
        self.runtime.frame_log()
    }

    /// How full the code memory is.
    pub fn code_memory_usage(&self) -> Usage {
        self.runtime.code_memory_usage()
    }

    /// Compiles a function for `tier` now, on this thread, unless its code is at least as good already.
    ///
    /// # Errors
    /// If the tier has no compiler, or none that makes code of this function.
    pub fn optimize(&self, function: &Function, tier: Tier) -> Result<(), Error> {
        Ok(self
            .runtime
            .optimize(&function.group, function.index, tier)?)
    }

    /// Takes a function back to `tier` or below, for debugging: it stays there until [`Engine::optimize`] is called for it.
    /// New calls are there at once, also in functions that had inlined it. An activation in better code goes on in tier 0 at
    /// its next loop header if the code counts its iterations, which it does below the best tier and with
    /// [`Config::safepoints`]; otherwise it stays where it is until it returns.
    ///
    /// # Errors
    /// If there is no tier so low, or tier 0 cannot take over the function's loops. New calls are there then all the same.
    pub fn deoptimize(&self, function: &Function, tier: Tier) -> Result<(), Error> {
        Ok(self
            .runtime
            .deoptimize(&function.group, function.index, tier)?)
    }

    /// The code that `tier` makes of a function, for people to look at: not linked, not published, and not run. With it
    /// comes the name of the compiler that made it.
    ///
    /// # Errors
    /// If the tier has no compiler, or none that makes code of this function.
    pub fn inspect(
        &self,
        function: &Function,
        tier: Tier,
    ) -> Result<(CompiledCode, String), Error> {
        let inspected = self.runtime.inspect(&function.group, function.index, tier);
        Ok(inspected?)
    }

    /// Whether a function has reached the threshold of tier 1.
    pub fn is_hot(&self, function: &Function) -> bool {
        self.runtime.is_hot(&function.group, function.index)
    }

    /// Counts a call that the host dispatched itself, for example in an interpreter of its own, so that the function
    /// is promoted as if its code had counted it.
    pub fn record_call(&self, function: &Function) {
        self.runtime.record_call(&function.group, function.index);
    }

    /// Stops background compilation and waits for the worker threads. Functions go on running.
    pub fn shutdown(&self) {
        self.runtime.shutdown();
    }

    /// Defines a group of `count` functions whose bodies `source` makes on demand.
    ///
    /// # Errors
    /// If code memory has no room for as many.
    pub fn define(
        &self,
        source: Arc<dyn FunctionSource>,
        count: u32,
    ) -> Result<FunctionGroup, Error> {
        Ok(self.runtime.define(source, count)?)
    }

    /// The way into guest functions of `signature`.
    ///
    /// # Errors
    /// If it cannot be compiled.
    pub fn trampoline(&self, signature: &Signature) -> Result<Trampoline, Error> {
        Ok(self.runtime.trampoline(signature)?)
    }

    /// A guest function of `signature` that calls host code; see [`crate::embed::HostEntry`].
    ///
    /// # Errors
    /// If its first parameter is no pointer, or it cannot be compiled.
    pub fn host_stub(&self, signature: &Signature) -> Result<HostStub, Error> {
        Ok(self.runtime.host_stub(signature)?)
    }

    /// Declares a range of addresses as a guest's memory: a fault there is the guest's trap.
    pub fn register_guest_memory(&self, range: Range<usize>) -> GuestMemoryRange {
        register_guest_memory(range)
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Which of the next allocations in code memory fail; for tests of what happens then.
    #[doc(hidden)]
    pub fn set_failing_allocations(&self, numbers: Range<u64>) {
        self.runtime.set_failing_allocations(numbers);
    }
}
