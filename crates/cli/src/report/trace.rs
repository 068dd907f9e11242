//! `--trace`: every event as a line of JSON.

use crate::args::Trace;
use crate::report;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use upshift::{Event, EventKind, Subscriber, Tier};

/// Writes events to a file or standard error.
pub struct TraceEvents {
    file: Option<File>,
    tier: bool,
    osr: bool,
    deopt: bool,
}

impl TraceEvents {
    /// A trace in the file that `trace` says, which is made or emptied, or on standard error.
    pub fn new(trace: &Trace) -> Result<TraceEvents> {
        let create = |path: &Path| {
            File::create(path)
                .with_context(|| format!("cannot write the trace to {}", path.display()))
        };
        Ok(TraceEvents {
            file: trace.file.as_deref().map(create).transpose()?,
            tier: trace.tier,
            osr: trace.osr,
            deopt: trace.deopt,
        })
    }

    fn wants(&self, kind: &EventKind) -> bool {
        match kind {
            EventKind::OsrRequested { .. }
            | EventKind::OsrReady { .. }
            | EventKind::OsrEntered { .. }
            | EventKind::OsrFailed { .. } => self.osr,
            EventKind::ContinuationReady { .. }
            | EventKind::SpeculationOff { .. }
            | EventKind::Deoptimized { .. }
            | EventKind::Invalidated { .. } => self.deopt,
            EventKind::Compiled(c) if c.osr.is_some() => self.osr,
            _ => self.tier,
        }
    }
}

impl Subscriber for TraceEvents {
    fn event(&self, event: &Event) {
        if !self.wants(&event.kind) {
            return;
        }
        let line = line(event);
        match &self.file {
            // A line is one write, so that lines of different threads do not mix and none is lost at the end.
            Some(file) => {
                let mut file: &File = file;
                let _ = file.write_all(line.as_bytes());
            }
            None => report::stderr(&line),
        }
    }
}

/// One line of the trace. Times are in microseconds, `time_us` counted from the start of the engine.
#[derive(Serialize)]
struct Line<'a> {
    time_us: f64,
    event: &'static str,
    function: u32,
    name: &'a str,
    #[serde(flatten)]
    details: Details<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Promoted {
        from: usize,
        tier: usize,
        calls: u64,
        loop_iterations: u64,
    },
    Compiled {
        id: u64,
        tier: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        osr_loop: Option<u32>,
        compiler: &'a str,
        source_bytes: u32,
        code_bytes: usize,
        duration_us: f64,
        queued_us: f64,
        on_program_thread: bool,
        #[serde(skip_serializing_if = "is_zero")]
        devirtualized: usize,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        inlined: Vec<&'a str>,
    },
    Code {
        tier: usize,
        code_bytes: usize,
    },
    Failed {
        tier: usize,
        declined: bool,
        reason: &'a str,
    },
    Discarded {
        tier: usize,
    },
    OsrRequested {
        from: usize,
        tier: usize,
        osr_loop: u32,
        loop_iterations: u64,
    },
    OsrReady {
        tier: usize,
        osr_loop: u32,
        code_bytes: usize,
    },
    OsrEntered {
        from: usize,
        tier: usize,
        osr_loop: u32,
    },
    OsrFailed {
        tier: usize,
        osr_loop: u32,
        declined: bool,
        reason: &'a str,
    },
    ContinuationReady {
        positions: usize,
        compiler: &'a str,
        code_bytes: usize,
        duration_us: f64,
    },
    SpeculationOff {
        tier: usize,
        reason: &'a str,
    },
    Deoptimized {
        from: usize,
        tier: usize,
        reason: String,
        position: u32,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        inlined: Vec<InlinedAt<'a>>,
    },
    Invalidated {
        tier: usize,
        reason: String,
    },
    ServerStarted {
        server: &'a str,
        failures: u32,
        paused_us: f64,
    },
    ServerFailed {
        reason: &'a str,
    },
    JobDone {
        latency_us: f64,
        sent_bytes: usize,
        received_bytes: usize,
    },
    JobLost {
        reason: String,
        again: bool,
    },
    Other {
        details: String,
    },
}

/// An inlined call that a guard was in.
#[derive(Serialize)]
struct InlinedAt<'a> {
    name: &'a str,
    called_at: Option<u32>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn line(event: &Event) -> String {
    let (what, details) = details(&event.kind);
    let line = Line {
        time_us: event.time.as_nanos() as f64 / 1e3,
        event: what,
        function: event.function.0,
        name: &event.name,
        details,
    };
    // Plain data: this cannot fail.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

fn details(kind: &EventKind) -> (&'static str, Details<'_>) {
    match kind {
        EventKind::Promoted {
            from,
            to,
            calls,
            loops,
        } => (
            "promoted",
            Details::Promoted {
                from: from.index(),
                tier: to.index(),
                calls: *calls,
                loop_iterations: *loops,
            },
        ),
        EventKind::Compiled(c) => (
            "compiled",
            Details::Compiled {
                id: c.id,
                tier: c.tier.index(),
                osr_loop: c.osr,
                compiler: &c.compiler,
                source_bytes: c.source_bytes,
                code_bytes: c.code_bytes,
                duration_us: c.duration.as_nanos() as f64 / 1e3,
                queued_us: c.queued.as_nanos() as f64 / 1e3,
                on_program_thread: c.on_program_thread,
                devirtualized: c.devirtualized,
                inlined: c.inlined.iter().map(|f| f.name.as_str()).collect(),
            },
        ),
        EventKind::Published { tier, code_bytes } => (
            "published",
            Details::Code {
                tier: tier.index(),
                code_bytes: *code_bytes,
            },
        ),
        EventKind::Freed { tier, code_bytes } => (
            "freed",
            Details::Code {
                tier: tier.index(),
                code_bytes: *code_bytes,
            },
        ),
        EventKind::Failed {
            tier,
            declined,
            reason,
        } => (
            "failed",
            Details::Failed {
                tier: tier.index(),
                declined: *declined,
                reason,
            },
        ),
        EventKind::Discarded { tier } => ("discarded", Details::Discarded { tier: tier.index() }),
        other => osr_details(other),
    }
}

fn osr_details(kind: &EventKind) -> (&'static str, Details<'_>) {
    match kind {
        EventKind::OsrRequested {
            from,
            to,
            loop_index,
            loops,
        } => (
            "osr_requested",
            Details::OsrRequested {
                from: from.index(),
                tier: to.index(),
                osr_loop: *loop_index,
                loop_iterations: *loops,
            },
        ),
        EventKind::OsrReady {
            tier,
            loop_index,
            code_bytes,
        } => (
            "osr_ready",
            Details::OsrReady {
                tier: tier.index(),
                osr_loop: *loop_index,
                code_bytes: *code_bytes,
            },
        ),
        EventKind::OsrEntered {
            from,
            to,
            loop_index,
        } => (
            "osr_entered",
            Details::OsrEntered {
                from: from.index(),
                tier: to.index(),
                osr_loop: *loop_index,
            },
        ),
        EventKind::OsrFailed {
            tier,
            loop_index,
            declined,
            reason,
        } => (
            "osr_failed",
            Details::OsrFailed {
                tier: tier.index(),
                osr_loop: *loop_index,
                declined: *declined,
                reason,
            },
        ),
        other => deopt_details(other),
    }
}

fn deopt_details(kind: &EventKind) -> (&'static str, Details<'_>) {
    match kind {
        EventKind::ContinuationReady {
            positions,
            compiler,
            code_bytes,
            duration,
        } => (
            "continuation_ready",
            Details::ContinuationReady {
                positions: *positions,
                compiler,
                code_bytes: *code_bytes,
                duration_us: duration.as_nanos() as f64 / 1e3,
            },
        ),
        EventKind::SpeculationOff { tier, reason } => (
            "speculation_off",
            Details::SpeculationOff {
                tier: tier.index(),
                reason,
            },
        ),
        EventKind::Deoptimized {
            tier,
            reason,
            position,
            inlined,
        } => (
            "deoptimized",
            Details::Deoptimized {
                from: tier.index(),
                tier: Tier::Baseline.index(),
                reason: reason.to_string(),
                position: *position,
                inlined: inlined
                    .iter()
                    .map(|call| InlinedAt {
                        name: &call.name,
                        called_at: call.position,
                    })
                    .collect(),
            },
        ),
        EventKind::Invalidated { tier, reason } => (
            "invalidated",
            Details::Invalidated {
                tier: tier.index(),
                reason: reason.to_string(),
            },
        ),
        other => server_details(other),
    }
}

fn server_details(kind: &EventKind) -> (&'static str, Details<'_>) {
    match kind {
        EventKind::ServerStarted {
            server,
            failures,
            paused,
        } => (
            "server_started",
            Details::ServerStarted {
                server,
                failures: *failures,
                paused_us: paused.as_nanos() as f64 / 1e3,
            },
        ),
        EventKind::ServerFailed { reason } => ("server_failed", Details::ServerFailed { reason }),
        EventKind::JobDone {
            latency,
            sent_bytes,
            received_bytes,
        } => (
            "job_done",
            Details::JobDone {
                latency_us: latency.as_nanos() as f64 / 1e3,
                sent_bytes: *sent_bytes,
                received_bytes: *received_bytes,
            },
        ),
        EventKind::JobLost { reason, again } => (
            "job_lost",
            Details::JobLost {
                reason: reason.to_string(),
                again: *again,
            },
        ),
        other => (
            "other",
            Details::Other {
                details: format!("{other:?}"),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use upshift::FuncId;

    #[test]
    fn a_line_is_an_object() {
        let event = Event {
            time: Duration::from_nanos(1_500),
            function: FuncId(7),
            name: "a \"name\"\n".to_owned(),
            kind: EventKind::Promoted {
                from: Tier::Baseline,
                to: Tier::Optimizing,
                calls: 100,
                loops: 3,
            },
        };
        let line = line(&event);
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({
            "time_us": 1.5, "event": "promoted", "function": 7, "name": "a \"name\"\n",
            "from": 0, "tier": 1, "calls": 100, "loop_iterations": 3,
        });
        assert_eq!(value, expected);
    }
}
