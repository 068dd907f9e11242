//! What a compiler is asked, and what it may answer.

use crate::CompiledCode;
use crate::call_site::CallTargets;
use crate::deopt::{FramePoint, Speculation};
use crate::frame_log::{FrameLog, FrameLogPlan};
use cranelift_codegen::ir;
use std::fmt;
use std::num::NonZeroUsize;
use upshift_base::{FuncId, Owner, Tier, World};
use upshift_event::EventKind;

/// What entry of a function is to be compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CompileKind {
    /// The function as its callers see it.
    Entry,
    /// The function from the header of its loop with that index on, entered in the middle of an activation; see
    /// [`crate::osr`].
    Osr(u32),
    /// The function from any of several places on, for activations that leave better code; see [`crate::deopt`].
    Continuation,
    /// Code of the runtime's own around a function: a host-to-guest trampoline or a guest-to-host stub.
    Trampoline,
}

/// Which body of a function a front end is to make.
#[derive(Clone, Copy, Debug)]
pub struct BodyRequest<'a> {
    /// The function's index in its group.
    pub index: u32,
    /// The group's first function.
    pub first: FuncId,
    /// Where the body is entered.
    pub entry: BodyEntry<'a>,
    /// Whether loops are to be marked as OSR points.
    pub osr_points: bool,
    /// Whether indirect calls are to be marked as call sites; see [`crate::call_site`].
    pub call_sites: bool,
    /// Whether the bounds of each access to memory are to be checked before it, so that no access can fault: by
    /// `trapnz heap_oob` of whether the index, extended to 64 bits, and a constant are more than a size that never shrinks. An
    /// access that would fault by itself without the check, for being outside of the memory, has flags that say so.
    pub checked_accesses: bool,
    /// The functions to expect at indirect calls.
    pub targets: &'a CallTargets,
    /// What the body may take for granted; nothing if there is nobody to fall back on. See [`crate::deopt`].
    pub speculation: Option<&'a Speculation>,
    /// Where frames are logged; see [`crate::frame_log`].
    pub frame_log: Option<FrameLog>,
}

/// Where a body is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyEntry<'a> {
    /// At its start, by its callers.
    #[default]
    Start,
    /// At the header of the loop with that index, with a transfer record; see [`crate::osr`].
    Loop(u32),
    /// At any of these places, in ascending order, with a transfer record that says at which: by the place's number in this
    /// list. See [`crate::deopt`].
    Points(&'a [FramePoint]),
}

impl BodyRequest<'static> {
    /// The plain body of function `index` of the group that starts with `first`.
    pub fn plain(index: u32, first: FuncId) -> BodyRequest<'static> {
        BodyRequest {
            index,
            first,
            entry: BodyEntry::Start,
            osr_points: false,
            call_sites: false,
            checked_accesses: false,
            targets: CallTargets::NONE,
            speculation: None,
            frame_log: None,
        }
    }
}

/// One compilation job: a body, already lowered to the optimizer's IR, and what it is for.
#[derive(Clone, Debug)]
pub struct CompileRequest {
    /// The function that the code is for.
    pub function: FuncId,
    /// The tier that asked; a compiler may serve several.
    pub tier: Tier,
    /// Which entry.
    pub kind: CompileKind,
    /// The world that the body was read in.
    pub world: World,
    /// Who will own the code.
    pub owner: Owner,
    /// The body. Names in it follow [`crate::symbol`].
    pub body: ir::Function,
}

/// A compiler: a pure function from a request to code.
pub trait Compiler: Send + Sync + fmt::Debug {
    /// The compiler's name in events and reports, for example `cranelift-speed`.
    fn name(&self) -> &str;

    /// Compiles one body.
    ///
    /// # Errors
    /// [`CompileError::Bailout`] if this compiler declines the body, which is not a fault: the function keeps running
    /// in the tier below. [`CompileError::Failed`] if the body is wrong or the compiler broke.
    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError>;

    /// The same, for compilers that have more to tell than the result: `tell` takes events of the function.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    fn compile_and_tell(
        &self,
        request: &CompileRequest,
        tell: &dyn Fn(EventKind),
    ) -> Result<CompiledCode, CompileError> {
        let _ = tell;
        self.compile(request)
    }

    /// How many requests it wants at a time, if it works elsewhere and the threads that ask only wait. `None` if they do
    /// the work.
    fn remote_jobs(&self) -> Option<NonZeroUsize> {
        None
    }

    /// Ends what it is at and declines all that comes: the runtime that it belongs to is being dropped.
    fn shut_down(&self) {}

    /// Whether bodies should check the bounds of each access before it, instead of having accesses that may fault: for
    /// compilers that cannot promise to keep every fault in its place.
    fn wants_checked_accesses(&self) -> bool {
        false
    }
}

/// Where the counters are that code is to count down, as offsets in its function's profile cell, and what to call when
/// one of them falls below zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterPlan {
    /// The budget of calls, 4 bytes.
    pub entry_budget: i32,
    /// The budget of loop iterations, 4 bytes.
    pub loop_budget: i32,
    /// The number of the runtime's entry point, which takes the address of the profile cell.
    pub tripped: u32,
    /// The number of the one for loops, if activations may move to better code at their headers: it takes the address
    /// of the profile cell, the indices of the loop and of the one around it, the tier, and
    /// [`crate::osr::VALUES_IN_FRAME`], and returns null or the transfer record to leave with.
    pub osr_tripped: Option<u32>,
    /// What is counted of indirect calls; `None` if nothing is.
    pub call_sites: Option<CallSitePlan>,
}

/// How code that a baseline compiler makes counts the targets of indirect calls ([`crate::call_site`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallSitePlan {
    /// Where in the profile cell the address of the function's array of [`CallSite`](crate::call_site::CallSite)s is.
    pub array: i32,
    /// The number of the runtime's entry point that counts a call of a function that is not the site's first. It takes
    /// the address of the `CallSite` in `r11` and that of the entry slot in `rax`, and changes `r10` and the flags.
    pub record: u32,
}

/// One job for a baseline compiler, which goes from a front end's own form of a function straight to code.
#[derive(Clone, Copy, Debug)]
pub struct BaselineRequest {
    /// The function that the code is for.
    pub function: FuncId,
    /// The counters to plant, if any.
    pub counters: Option<CounterPlan>,
    /// Whether operations that produce a NaN must produce the canonical one.
    pub canonical_nans: bool,
    /// Where and how frames are logged; see [`crate::frame_log`].
    pub frame_log: Option<FrameLogPlan>,
    /// Whether the code's positions say where each instruction comes from, for people, and not only those that matter to
    /// the runtime.
    pub every_position: bool,
}

/// Why there is no code.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler declines: it cannot do some operation exactly, or the body is beyond its limits.
    #[error("the compiler declined: {0}")]
    Bailout(String),
    /// The body is invalid, or the compiler failed on it.
    #[error("{0}")]
    Failed(String),
}
