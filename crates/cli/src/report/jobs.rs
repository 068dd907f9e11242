//! What compile servers did, for `--stats`: how long jobs took, how large they were, and which were lost.

use crate::report::format::{bytes, counted, duration};
use crate::report::table::{Align, Table};
use std::collections::BTreeMap;
use std::time::Duration;
use upshift::EventKind;

/// All jobs so far.
#[derive(Clone, Default)]
pub struct Jobs {
    latency: Vec<Duration>,
    sent: Vec<u64>,
    received: Vec<u64>,
    /// Jobs without an answer, by the reason.
    lost: BTreeMap<String, u64>,
    server: String,
    starts: u64,
}

impl Jobs {
    /// Takes note of an event.
    pub fn book(&mut self, event: &EventKind) {
        match event {
            EventKind::ServerStarted { server, .. } => {
                self.server.clone_from(server);
                self.starts += 1;
            }
            EventKind::JobDone {
                latency,
                sent_bytes,
                received_bytes,
            } => {
                self.latency.push(*latency);
                self.sent.push(*sent_bytes as u64);
                self.received.push(*received_bytes as u64);
            }
            EventKind::JobLost { reason, .. } => {
                *self.lost.entry(reason.to_string()).or_default() += 1;
            }
            _ => {}
        }
    }

    /// The table; nothing if no server was asked for anything.
    pub fn describe(mut self) -> String {
        if self.latency.is_empty() && self.lost.is_empty() {
            return String::new();
        }
        let jobs = counted(self.latency.len() as u64, "job");
        let starts = counted(self.starts, "start");
        let mut text = match self.starts {
            0 => "\n  no compile server\n".to_owned(),
            _ => format!("\n  {}, {starts}: {jobs} answered\n", self.server),
        };
        for (reason, count) in &self.lost {
            text += &format!("  {} lost: {reason}\n", counted(*count, "job"));
        }
        let mut table = Table::new([Align::Left, Align::Right, Align::Right, Align::Right]);
        table.row(["of a job", "least", "median", "most"]);
        for (what, figures) in [
            ("latency", spread(&mut self.latency, duration)),
            ("bytes sent", spread(&mut self.sent, bytes)),
            ("bytes received", spread(&mut self.received, bytes)),
        ] {
            if let Some([least, median, most]) = figures {
                table.row([what, &least, &median, &most]);
            }
        }
        if !self.latency.is_empty() {
            text += &table.render("  ");
        }
        text
    }
}

/// The least, the one in the middle and the greatest. Sorts them.
fn spread<T: Ord + Copy>(values: &mut [T], show: impl Fn(T) -> String) -> Option<[String; 3]> {
    values.sort_unstable();
    let (least, most) = (values.first()?, values.last()?);
    Some([*least, values[values.len() / 2], *most].map(show))
}

#[cfg(test)]
mod tests {
    use super::*;
    use upshift::JobLoss;

    #[test]
    fn jobs_are_summed_up() {
        let mut jobs = Jobs::default();
        assert_eq!(jobs.clone().describe(), "");
        jobs.book(&EventKind::ServerStarted {
            server: "a server".to_owned(),
            failures: 0,
            paused: Duration::ZERO,
        });
        for (milliseconds, size) in [(3, 700), (1, 500), (20, 100)] {
            jobs.book(&EventKind::JobDone {
                latency: Duration::from_millis(milliseconds),
                sent_bytes: size,
                received_bytes: 10 * size,
            });
        }
        for reason in [JobLoss::Died, JobLoss::TimedOut, JobLoss::Died] {
            jobs.book(&EventKind::JobLost {
                reason,
                again: false,
            });
        }
        let text = jobs.describe();
        let row = |name: &str| {
            let line = text.lines().find(|line| line.trim().starts_with(name));
            line.unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(row("latency").ends_with("1.0 ms 3.0 ms 20.0 ms"), "{text}");
        assert!(row("bytes sent").contains("100"), "{text}");
        assert!(
            text.contains("a server, 1 start: 3 jobs answered"),
            "{text}"
        );
        assert!(text.contains("2 jobs lost: the server died"), "{text}");
        assert!(text.contains("1 job lost: it took too long"), "{text}");
    }
}
