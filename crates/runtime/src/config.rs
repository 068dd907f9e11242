//! What a runtime is made with.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use upshift_base::Tier;
use upshift_codegen::Compiler;
use upshift_codegen::frame_log::FrameLog;
use upshift_event::Subscriber;

/// How many calls make a function worth compiling again.
///
/// Loop iterations count too, [`crate::LOOP_ITERATIONS_PER_CALL`] of them as one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// Calls before tier 1 is asked for.
    pub optimizing: u32,
    /// Calls before tier 2 is asked for.
    pub top: u32,
}

impl Thresholds {
    /// The threshold of promotion to `tier`; tier 0 needs none.
    pub fn of(&self, tier: Tier) -> u32 {
        match tier {
            Tier::Baseline => 0,
            Tier::Optimizing => self.optimizing,
            Tier::Top => self.top,
        }
    }
}

/// When compilation for tiers 1 and 2 happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompileMode {
    /// On worker threads; the program goes on meanwhile.
    Background {
        /// How many threads, at least 1.
        workers: usize,
    },
    /// On the calling thread, at the moment the threshold is reached: the same program does the same thing each time.
    Synchronous,
}

/// Whether an activation that runs moves to better code in the middle of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OsrMode {
    /// Never.
    Off,
    /// When the loop is hot.
    On,
    /// A stress test, with code that is compiled there and then. Functions are not promoted otherwise.
    Stress(Stress),
}

/// What a stress test does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stress {
    /// At one of so many arrivals at any loop's header the activation moves; at least 1.
    pub period: u32,
    /// Which of them: 0 for every `period`-th, any other number for a random choice that this is the seed of.
    pub seed: u64,
    /// Whether each call may run in either the lowest tier or the next, as chance has it.
    pub flip: bool,
}

impl Stress {
    /// Whether event number `event` is one of those chosen, one in `period`.
    pub(crate) fn chooses(&self, event: u32, period: u32) -> bool {
        if self.seed == 0 {
            return event.is_multiple_of(period);
        }
        // Steele, Lea and Flood's SplitMix64.
        let mut bits = self
            .seed
            .wrapping_add(u64::from(event).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)).is_multiple_of(u64::from(period))
    }
}

/// What optimizing tiers make of the calls that were counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum InliningMode {
    /// Calls stay calls, and no call targets are counted.
    Off,
    /// Hot calls of small functions are replaced by their bodies; indirect calls stay as they are.
    Inline,
    /// Indirect calls that have few targets become comparisons and direct calls, which stay calls.
    Devirtualize,
    /// Both, so that what is called indirectly may be inlined too.
    #[default]
    On,
    /// A stress test: every call for which that can be done.
    Stress,
}

impl InliningMode {
    pub(crate) fn devirtualizes(self) -> bool {
        !matches!(self, InliningMode::Off | InliningMode::Inline)
    }

    pub(crate) fn inlines(self) -> bool {
        !matches!(self, InliningMode::Off | InliningMode::Devirtualize)
    }
}

/// A stress test of deoptimization: guards are planted all over optimized code, and every `period`-th guard that a function
/// comes to fails though it holds. Functions are optimized before their first call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeoptStress {
    /// At least 1.
    pub period: u32,
    /// Chooses where the guards are; if it is not 0, also how many of them hold in between, `period` on average.
    pub seed: u64,
}

/// How tier 0 makes code of a source that has a form of its own for it.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Whether operations that produce a NaN must produce the canonical one.
    pub canonical_nans: bool,
}

impl Baseline {
    /// What events and reports call it.
    pub const NAME: &'static str = "copy-and-patch";
}

/// What a runtime is made with.
#[derive(Clone)]
pub struct RuntimeConfig {
    /// When a function is promoted.
    pub thresholds: Thresholds,
    /// Where compilation happens.
    pub mode: CompileMode,
    /// How long a request may wait before it must show that its function still runs.
    pub check_interval: Duration,
    /// Bytes of address space for code and the tables around it.
    pub code_memory_bytes: usize,
    /// Bytes of stack that guest code may use, counted from the outermost call into it.
    pub stack_bytes: usize,
    /// Each tier's compilers: the first that does not decline a function compiles it. A tier without any is skipped.
    pub compilers: [Vec<Arc<dyn Compiler>>; 3],
    /// Whether running activations move to better code.
    pub osr: OsrMode,
    /// Whether calls are replaced by their callees' bodies, and indirect calls by direct ones.
    pub inlining: InliningMode,
    /// Whether optimized code may take for granted what tier 0 can do without.
    pub speculation: bool,
    /// Whether code counts its iterations that leads to no better code, so that activations may leave it at loop headers.
    pub safepoints: bool,
    /// Whether deoptimization is put to the test.
    pub deopt_stress: Option<DeoptStress>,
    /// How many transitions stress tests make; from then on everything stays in the tier that it is in.
    pub stress_transitions: u64,
    /// Where frames are logged; see [`upshift_codegen::frame_log`].
    pub frame_log: Option<FrameLog>,
    /// How tier 0 goes from a source straight to code, where the source can; else, and where it cannot, tier 0's
    /// compilers compile.
    pub baseline: Option<Baseline>,
    /// Who is told what happens.
    pub subscriber: Option<Arc<dyn Subscriber>>,
}

impl fmt::Debug for RuntimeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeConfig")
            .field("thresholds", &self.thresholds)
            .field("mode", &self.mode)
            .field("code_memory_bytes", &self.code_memory_bytes)
            .field("compilers", &self.compilers)
            .finish_non_exhaustive()
    }
}

impl RuntimeConfig {
    /// The stress test that is to be done, if any.
    pub(crate) fn stress(&self) -> Option<Stress> {
        match self.osr {
            OsrMode::Stress(stress) => Some(stress),
            _ => None,
        }
    }

    /// The lowest tier that has a compiler.
    pub(crate) fn lowest_tier(&self) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| self.has(*tier))
    }

    /// The next tier above `tier` that has a compiler.
    pub(crate) fn tier_above(&self, tier: Tier) -> Option<Tier> {
        Tier::ALL
            .into_iter()
            .find(|next| *next > tier && self.has(*next))
    }

    /// How many requests for `tier` are wanted at a time by its compiler, if that works elsewhere.
    pub(crate) fn remote_jobs(&self, tier: Tier) -> Option<NonZeroUsize> {
        self.compilers[tier.index()].first()?.remote_jobs()
    }

    pub(crate) fn has(&self, tier: Tier) -> bool {
        !self.compilers[tier.index()].is_empty()
    }
}
