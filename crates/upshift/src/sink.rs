//! Places that events can go to.

use std::fmt;
use std::sync::Arc;
use upshift_event::{Event, EventKind, Subscriber};

/// How much an engine says on standard error by itself. Programs that want more shape attach a subscriber.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Verbosity {
    /// Nothing.
    #[default]
    Quiet,
    /// A line for each function that is promoted or fails to compile.
    Promotions,
    /// A line for each event.
    All,
}

/// Passes each event on to the [`tracing`] subscriber of the process: promotions and failures at level `INFO` and
/// `WARN`, the rest at `DEBUG`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tracing;

impl Subscriber for Tracing {
    fn event(&self, event: &Event) {
        let (function, name) = (event.function.0, event.name.as_str());
        let what = Line(event).to_string();
        match event.kind {
            EventKind::Failed {
                declined: false, ..
            } => {
                tracing::warn!(target: "upshift", function, name, "{what}");
            }
            EventKind::OsrFailed {
                declined: false, ..
            } => {
                tracing::warn!(target: "upshift", function, name, "{what}");
            }
            EventKind::JobLost { .. } => {
                tracing::warn!(target: "upshift", function, name, "{what}");
            }
            EventKind::Promoted { .. } | EventKind::OsrEntered { .. } => {
                tracing::info!(target: "upshift", function, name, "{what}")
            }
            _ => tracing::debug!(target: "upshift", function, name, "{what}"),
        }
    }
}

/// Writes a line for each event to standard error.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    verbosity: Verbosity,
}

impl Log {
    /// A log that says as much as `verbosity` allows.
    pub fn new(verbosity: Verbosity) -> Log {
        Log { verbosity }
    }
}

impl Subscriber for Log {
    fn event(&self, event: &Event) {
        let wanted = match self.verbosity {
            Verbosity::Quiet => false,
            Verbosity::Promotions => {
                matches!(
                    event.kind,
                    EventKind::Promoted { .. }
                        | EventKind::Failed { .. }
                        | EventKind::OsrEntered { .. }
                        | EventKind::OsrFailed { .. }
                        | EventKind::JobLost { .. }
                )
            }
            Verbosity::All => true,
        };
        if wanted {
            eprintln!(
                "upshift: {:.6} {} {}",
                event.time.as_secs_f64(),
                event.name,
                Line(event)
            );
        }
    }
}

/// What an event says, in a few words.
struct Line<'a>(&'a Event);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            EventKind::Promoted {
                from,
                to,
                calls,
                loops,
            } => {
                write!(
                    f,
                    "promoted from tier {from} to {to} after {calls} calls, {loops} iterations"
                )
            }
            EventKind::Compiled(c) => write!(
                f,
                "compiled{} for tier {} by {} in {:?}: {} bytes of code from {}",
                OfLoop(c.osr),
                c.tier,
                c.compiler,
                c.duration,
                c.code_bytes,
                c.source_bytes
            ),
            EventKind::Published { tier, .. } => write!(f, "runs in tier {tier}"),
            EventKind::Failed {
                tier,
                declined: true,
                reason,
            } => {
                write!(f, "stays out of tier {tier}: {reason}")
            }
            EventKind::Failed {
                tier,
                declined: false,
                reason,
            } => {
                write!(f, "failed to compile for tier {tier}: {reason}")
            }
            EventKind::Discarded { tier } => write!(f, "code for tier {tier} came too late"),
            EventKind::Freed { tier, code_bytes } => {
                write!(f, "freed, {code_bytes} bytes of tier {tier}")
            }
            other => osr_line(f, other),
        }
    }
}

/// The same for the events of loops.
fn osr_line(f: &mut fmt::Formatter<'_>, event: &EventKind) -> fmt::Result {
    match event {
        EventKind::OsrRequested {
            from,
            to,
            loop_index,
            loops,
        } => write!(
            f,
            "loop {loop_index} is worth moving from tier {from} to {to} after {loops} iterations"
        ),
        EventKind::OsrReady {
            tier, loop_index, ..
        } => {
            write!(f, "loop {loop_index} can move to tier {tier}")
        }
        EventKind::OsrEntered {
            from,
            to,
            loop_index,
        } => {
            write!(f, "moved in loop {loop_index} from tier {from} to {to}")
        }
        EventKind::OsrFailed {
            tier,
            loop_index,
            declined: true,
            reason,
        } => {
            write!(f, "loop {loop_index} cannot move to tier {tier}: {reason}")
        }
        EventKind::OsrFailed {
            tier,
            loop_index,
            declined: false,
            reason,
        } => {
            write!(
                f,
                "loop {loop_index} failed to compile for tier {tier}: {reason}"
            )
        }
        other => server_line(f, other),
    }
}

/// The same for the events of compile servers.
fn server_line(f: &mut fmt::Formatter<'_>, event: &EventKind) -> fmt::Result {
    match event {
        EventKind::ServerStarted {
            server, failures, ..
        } => write!(f, "has {server} started, after {failures} failures"),
        EventKind::ServerFailed { reason } => write!(f, "has no server: {reason}"),
        EventKind::JobDone {
            latency,
            sent_bytes,
            received_bytes,
        } => write!(
            f,
            "answered by the server in {latency:?}: {received_bytes} bytes for {sent_bytes}"
        ),
        EventKind::JobLost { reason, again } => {
            let again = if *again { "; tried again" } else { "" };
            write!(f, "job lost: {reason}{again}")
        }
        other => write!(f, "{other:?}"),
    }
}

/// Which loop an OSR version is of; nothing for a function's normal version.
struct OfLoop(Option<u32>);

impl fmt::Display for OfLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(f, " at loop {index}"),
            None => Ok(()),
        }
    }
}

/// Several subscribers as one.
pub(crate) struct Fanout(Vec<Arc<dyn Subscriber>>);

impl Fanout {
    /// The subscribers as one, or none if there are none.
    pub(crate) fn over(mut all: Vec<Arc<dyn Subscriber>>) -> Option<Arc<dyn Subscriber>> {
        match all.len() {
            0 | 1 => all.pop(),
            _ => Some(Arc::new(Fanout(all))),
        }
    }
}

impl Subscriber for Fanout {
    fn event(&self, event: &Event) {
        for subscriber in &self.0 {
            subscriber.event(event);
        }
    }
}
