//! `--print-compilation`: a line for each compilation, in the columns that HotSpot's `-XX:+PrintCompilation` has.

use crate::report;
use crate::report::format::milliseconds;
use std::fmt;
use std::sync::Once;
use upshift::{Event, EventKind, Subscriber};

const HEADER: &str = concat!(
    "   time/ms     id     tier    wasm/B   code/B   took/ms",
    "  function  (% OSR, b the program waited)\n"
);

/// The column in which the inlined calls of a function begin, one a line.
const INLINED_AT: usize = 59;

/// Prints compilations as they are reported.
pub struct PrintCompilations {
    header: Once,
}

impl PrintCompilations {
    pub fn new() -> PrintCompilations {
        PrintCompilations {
            header: Once::new(),
        }
    }
}

impl Subscriber for PrintCompilations {
    fn event(&self, event: &Event) {
        if let Some(line) = line(event) {
            self.header.call_once(|| report::stderr(HEADER));
            report::stderr(&line);
        }
    }
}

fn line(event: &Event) -> Option<String> {
    let time = milliseconds(event.time);
    let name = &event.name;
    match &event.kind {
        EventKind::Compiled(c) => {
            let osr = if c.osr.is_some() { '%' } else { ' ' };
            let waited = if c.on_program_thread { 'b' } else { ' ' };
            let at = AtLoop(c.osr);
            let mut lines = format!(
                "{time:>10.3} {:>6}  {osr}{waited} {:>4} {:>9} {:>8} {:>9.3}  {name}{at}\n",
                c.id,
                c.tier.index(),
                c.source_bytes,
                c.code_bytes,
                milliseconds(c.duration),
            );
            for inlined in &c.inlined {
                let indent = INLINED_AT + 2 * inlined.depth as usize;
                let at = inlined.position.unwrap_or(0);
                let (name, bytes) = (&inlined.name, inlined.source_bytes);
                lines += &format!("{:indent$}@ {at:#x}  {name} ({bytes} bytes)  inline\n", "");
            }
            Some(lines)
        }
        EventKind::Failed {
            tier,
            declined,
            reason,
        } => {
            let what = if *declined { "declined" } else { "failed" };
            let tier = tier.index();
            Some(format!(
                "{time:>10.3} {:>6}     {tier:>4} {:>9} {:>8} {:>9}  {name}   {what}: {reason}\n",
                "-", "-", "-", "-"
            ))
        }
        EventKind::OsrFailed {
            tier,
            loop_index,
            declined,
            reason,
        } => {
            let what = if *declined { "declined" } else { "failed" };
            let (tier, at) = (tier.index(), AtLoop(Some(*loop_index)));
            Some(format!(
                "{time:>10.3} {:>6}  %  {tier:>4} {:>9} {:>8} {:>9}  {name}{at}   {what}: {reason}\n",
                "-", "-", "-", "-"
            ))
        }
        EventKind::Discarded { tier } => Some(format!(
            "{time:>10.3} {:>6}     {:>4} {:>9} {:>8} {:>9}  {name}   came too late\n",
            "-",
            tier.index(),
            "-",
            "-",
            "-"
        )),
        _ => None,
    }
}

/// Where an OSR version is entered; nothing for other code.
struct AtLoop(Option<u32>);

impl fmt::Display for AtLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(f, " @ loop {index}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use upshift::{Compilation, FuncId, InlinedFunction, Tier};

    fn event(kind: EventKind) -> Event {
        let time = Duration::from_micros(12_345);
        Event {
            time,
            function: FuncId(7),
            name: "f".to_owned(),
            kind,
        }
    }

    #[test]
    fn columns_stay_in_place() {
        let compiled = Compilation {
            id: 3,
            tier: Tier::Optimizing,
            osr: None,
            compiler: "c".to_owned(),
            declined: Vec::new(),
            source_bytes: 55,
            code_bytes: 120,
            duration: Duration::from_micros(1500),
            queued: Duration::ZERO,
            on_program_thread: true,
            devirtualized: 0,
            inlined: Vec::new(),
        };
        let osr = Compilation {
            osr: Some(2),
            ..compiled.clone()
        };
        let osr = line(&event(EventKind::Compiled(osr))).unwrap();
        assert_eq!(
            osr,
            "    12.345      3  %b    1        55      120     1.500  f @ loop 2\n"
        );
        let callee = |depth| InlinedFunction {
            function: FuncId(8),
            name: "g".to_owned(),
            position: Some(0x1f),
            source_bytes: 12,
            depth,
        };
        let inlined = Compilation {
            inlined: vec![callee(0), callee(1)],
            ..compiled.clone()
        };
        let ok = line(&event(EventKind::Compiled(compiled))).unwrap();
        let inlined = line(&event(EventKind::Compiled(inlined))).unwrap();
        let tree = inlined.strip_prefix(&ok).unwrap();
        let name_at = ok.find(" f\n").unwrap() + 1;
        assert_eq!(tree.find('@'), Some(name_at + 2));
        assert_eq!(tree.matches("@ 0x1f  g (12 bytes)  inline\n").count(), 2);

        assert_eq!(
            ok,
            "    12.345      3   b    1        55      120     1.500  f\n"
        );
        let failed = EventKind::Failed {
            tier: Tier::Top,
            declined: true,
            reason: "no".to_owned(),
        };
        let failed = line(&event(failed)).unwrap();
        assert_eq!(failed.find(" f "), ok.find(" f\n"));
        assert!(failed.ends_with("declined: no\n"), "{failed}");
        let promoted = EventKind::Published {
            tier: Tier::Top,
            code_bytes: 1,
        };
        assert_eq!(line(&event(promoted)), None);
    }
}
