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
            EventKind::Promoted { .. } => {
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
                    EventKind::Promoted { .. } | EventKind::Failed { .. }
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
                "compiled for tier {} by {} in {:?}: {} bytes of code from {}",
                c.tier, c.compiler, c.duration, c.code_bytes, c.source_bytes
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
            other => write!(f, "{other:?}"),
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
