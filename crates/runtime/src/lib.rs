//! The tiered runtime: it runs functions at once, counts, compiles what is hot again in the background, and swaps the
//! better code in.
//!
//! A function goes round like this:
//!
//! ```text
//!  define ──▶ slot leads to a lazy stub ──first call──▶ lazy ──▶ pipeline ──▶ published: tier 0
//!                                                                   ▲
//!  planted counter trips ──▶ tiering ──▶ policy ──▶ queue ──worker──┘      published: tier 1, 2
//! ```
//!
//! [`Runtime`] is what users hold. `pipeline` is the way from a source to published code, `table` what is known of each
//! function, `tiering` the way back from running code. `activation` and `signal` enter and leave guest code. The
//! runtime knows no compiler and no sink: it is given both.

mod activation;
mod arch;
mod assumptions;
mod backend;
mod backtrace;
mod builtins;
mod call_profile;
mod config;
mod continuation;
mod deopt;
mod frame_log;
mod frame_points;
mod guards;
mod guest_memory;
mod inline;
mod lazy;
mod loops;
mod marks;
mod osr;
mod pipeline;
mod policy;
mod profile;
mod queue;
mod ranges;
mod registry;
mod runtime;
mod signal;
mod source;
mod speculation;
mod stats;
mod sync;
mod table;
mod tail_duplication;
mod tiering;
mod trampoline;
mod transfer;
mod trap;
mod value;
mod versions;

pub use activation::host_call;
pub use backtrace::{Backtrace, Frame};
pub use config::{
    Baseline, CompileMode, DeoptStress, InliningMode, OsrMode, RuntimeConfig, Stress, Thresholds,
};
pub use frame_log::FrameLogReport;
pub use guest_memory::{GuestMemoryRange, register as register_guest_memory};
pub use profile::LOOP_ITERATIONS_PER_CALL;
pub use runtime::{EntrySlot, FunctionGroup, HostStub, Runtime, RuntimeError, Trampoline};
pub use source::FunctionSource;
pub use stats::{DurationCounts, HotFunction, ProfileStatistics, TierStatistics};
pub use trampoline::{HostEntry, host_function_body};
pub use trap::{HostError, HostFailure, Trap, Unwind};
pub use value::RawValue;
