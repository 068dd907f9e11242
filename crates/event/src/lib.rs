//! What the runtime tells about itself: typed events, and the one seam that receives them.
//!
//! This crate knows no sink. A log, a trace file, a statistics page or a test's expectation is a [`Subscriber`]; the
//! runtime that emits the events does not know which, and builds none of them when there is no subscriber.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;
use upshift_base::{FuncId, GuardReason, Tier};

/// Something that happened to one function.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// When, counted from the start of the runtime.
    pub time: Duration,
    /// The function's id, unique while it lives.
    pub function: FuncId,
    /// The function's name as its front end gives it.
    pub name: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a function.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The policy asked for better code.
    Promoted {
        /// The tier it runs in.
        from: Tier,
        /// The tier that was asked for.
        to: Tier,
        /// Calls counted so far.
        calls: u64,
        /// Loop iterations counted so far.
        loops: u64,
    },
    /// A compiler made code. It is not in use yet.
    Compiled(Compilation),
    /// New calls use this code from now on.
    Published {
        /// The code's tier.
        tier: Tier,
        /// Its size in bytes.
        code_bytes: usize,
    },
    /// There is no code: the compiler declined or failed, or code memory is full.
    Failed {
        /// The tier that was asked for.
        tier: Tier,
        /// Whether the compiler declined, which is not an error.
        declined: bool,
        /// What was wrong.
        reason: String,
    },
    /// Code that nobody waits for any more was thrown away: its function was dropped, or better code is there already.
    Discarded {
        /// The code's tier.
        tier: Tier,
    },
    /// A loop of a running activation is worth better code before the function is called again.
    OsrRequested {
        /// The tier that the activation runs in.
        from: Tier,
        /// The tier that was asked for.
        to: Tier,
        /// The loop, counted from 0 in the order of the source.
        loop_index: u32,
        /// Loop iterations of the function counted so far.
        loops: u64,
    },
    /// Activations that are in the loop may move to this code from now on.
    OsrReady {
        /// The code's tier.
        tier: Tier,
        /// The loop.
        loop_index: u32,
        /// The code's size in bytes.
        code_bytes: usize,
    },
    /// An activation has moved to better code.
    OsrEntered {
        /// The tier that it was in.
        from: Tier,
        /// The tier that it is in now.
        to: Tier,
        /// The loop.
        loop_index: u32,
    },
    /// There is no OSR version of the loop: the front end or the compiler declined or failed, or code memory is full.
    OsrFailed {
        /// The tier that was asked for.
        tier: Tier,
        /// The loop.
        loop_index: u32,
        /// Whether it was declined, which is not an error.
        declined: bool,
        /// What was wrong.
        reason: String,
    },
    /// Code that takes something for granted has somewhere to go on when it turns out otherwise.
    ContinuationReady {
        /// The places that the code can be entered at.
        positions: usize,
        /// Who made it.
        compiler: String,
        /// The code's size in bytes.
        code_bytes: usize,
        /// How long it took.
        duration: Duration,
    },
    /// Nothing is taken for granted about the function any more: there is nowhere to go on if it turned out otherwise.
    SpeculationOff {
        /// The tier that code is made for.
        tier: Tier,
        /// Why there is nowhere to go.
        reason: String,
    },
    /// An activation has left for tier 0, because something that its code takes for granted does not hold.
    Deoptimized {
        /// The tier of the code.
        tier: Tier,
        /// What was taken for granted.
        reason: GuardReason,
        /// The operation that it goes on with, by the front end's position.
        position: u32,
        /// The inlined calls that the operation is in, the outermost first: it is one of the last one's callee, or of the
        /// function's own if there are none. The functions around go on when their callees return.
        inlined: Vec<InlinedFunction>,
    },
    /// Code is not used for new calls any more, because something that it takes for granted too often does not hold.
    Invalidated {
        /// The code's tier.
        tier: Tier,
        /// What was taken for granted.
        reason: GuardReason,
    },
    /// A compile server was started, or connected to, because there was work for it and none that lived.
    ServerStarted {
        /// The server's name for itself.
        server: String,
        /// How often in a row there had been no answer but a server's end, before this one.
        failures: u32,
        /// How long the start was put off for that.
        paused: Duration,
    },
    /// A compile server could not be started, or connected to, or is not one that fits.
    ServerFailed {
        /// Why not.
        reason: String,
    },
    /// A compile server has answered.
    JobDone {
        /// From sending the job to having the answer.
        latency: Duration,
        /// The size of the job as it was sent.
        sent_bytes: usize,
        /// The size of the answer.
        received_bytes: usize,
    },
    /// A compile server was given a job, or should have been, and has not answered.
    JobLost {
        /// Why not.
        reason: JobLoss,
        /// Whether the job is tried once more. If not, the function stays in the tier that it is in.
        again: bool,
    },
    /// The function was dropped and its code memory given back.
    Freed {
        /// The tier of the code.
        tier: Tier,
        /// Its size in bytes.
        code_bytes: usize,
    },
}

/// Why a compile server has not answered a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JobLoss {
    /// The server is gone, by this job's fault or another's.
    Died,
    /// The job took longer than a job may, and the server was ended.
    TimedOut,
    /// What came is no answer.
    BadAnswer,
    /// There is no server that would take the job.
    Refused,
}

impl fmt::Display for JobLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            JobLoss::Died => "the server died",
            JobLoss::TimedOut => "it took too long",
            JobLoss::BadAnswer => "the answer made no sense",
            JobLoss::Refused => "there is no server",
        })
    }
}

/// One successful compilation.
#[derive(Clone, PartialEq, Debug)]
pub struct Compilation {
    /// The compilation's number, counted from 1 in each runtime.
    pub id: u64,
    /// For which tier.
    pub tier: Tier,
    /// The loop that the code is entered in, if it is an OSR version.
    pub osr: Option<u32>,
    /// The compiler's name.
    pub compiler: String,
    /// The compilers of the tier that were asked before and declined: their names and why.
    pub declined: Vec<(String, String)>,
    /// The size of the source in bytes, as the front end counts it.
    pub source_bytes: u32,
    /// The size of the code in bytes.
    pub code_bytes: usize,
    /// How long lowering, compiling and linking took together.
    pub duration: Duration,
    /// How long the request waited before.
    pub queued: Duration,
    /// Whether the program's own thread did the work.
    pub on_program_thread: bool,
    /// Indirect calls of the function for which the code first looks for targets that were counted.
    pub devirtualized: usize,
    /// The calls that were replaced by the callee's body: each followed by those inside of it.
    pub inlined: Vec<InlinedFunction>,
}

/// A call that was replaced by the callee's body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InlinedFunction {
    /// The callee.
    pub function: FuncId,
    /// Its name.
    pub name: String,
    /// Where the call is in its caller, as the front end counts positions.
    pub position: Option<u32>,
    /// The size of the callee's source in bytes.
    pub source_bytes: u32,
    /// The inlined calls around this one.
    pub depth: u32,
}

/// Receives events. Called on whichever thread the event happens, so it must be quick and must not call back into the
/// runtime.
pub trait Subscriber: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: &Event);
}

/// A subscriber that keeps all events in memory, for tests and small tools.
#[derive(Default, Debug)]
pub struct Recorder {
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// All events so far, oldest first.
    pub fn events(&self) -> Vec<Event> {
        match self.events.lock() {
            Ok(events) => events.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }
}

impl Subscriber for Recorder {
    fn event(&self, event: &Event) {
        let mut events = match self.events.lock() {
            Ok(events) => events,
            Err(poisoned) => poisoned.into_inner(),
        };
        events.push(event.clone());
    }
}
