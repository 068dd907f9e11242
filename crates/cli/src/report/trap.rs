//! A trap and where it happened, for people.

use crate::report::format::counted;
use crate::report::table::{Align, Table};
use upshift_wasm::{TrapKind, WasmFrame};

/// Frames shown at either end of a long backtrace.
const LINES_MAX: usize = 20;

/// What to print of a trap: a sentence, a hint if one helps, and the frames.
pub fn describe(program: &str, what: &str, hint: Option<&str>, frames: &[WasmFrame]) -> String {
    let mut text = format!("error: {program}: {what}\n");
    text.push_str(&backtrace(frames));
    if let Some(hint) = hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}

/// What may help against a trap in a program whose stack has `stack_bytes_max`, if that was said.
pub fn hint(kind: TrapKind, stack_bytes_max: Option<usize>) -> Option<String> {
    if kind != TrapKind::StackOverflow {
        return None;
    }
    let limit = match stack_bytes_max {
        Some(limit) => format!("-W max-wasm-stack={limit} allows"),
        None => "the default of 1 MiB: try -W max-wasm-stack=8MiB".to_owned(),
    };
    Some(format!(
        "it recurses without end, or needs more stack than {limit}"
    ))
}

/// The frames, innermost first. Frames of one function at one place, as recursion leaves them, share a line.
pub fn backtrace(frames: &[WasmFrame]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        match runs.last_mut() {
            Some((first, count)) if same(&frames[*first], frame) => *count += 1,
            _ => runs.push((index, 1)),
        }
    }
    if runs.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
    ]);
    for &(first, count) in runs.iter().take(LINES_MAX) {
        let frame = &frames[first];
        let offset = frame
            .module_offset()
            .map_or(String::new(), |offset| format!("{offset:#x}"));
        let repeated = match count {
            1 => String::new(),
            _ => format!(
                "and its {} with the same place",
                counted(count as u64 - 1, "caller")
            ),
        };
        let tier = format!("tier {}", frame.tier());
        table.row([
            &format!("{first}:"),
            &offset,
            &name(frame),
            &tier,
            &repeated,
        ]);
    }
    let mut text = format!(
        "backtrace, innermost first (offsets are in the module):\n{}",
        table.render("  ")
    );
    if runs.len() > LINES_MAX {
        text.push_str("   ... and deeper frames\n");
    }
    text
}

fn same(a: &WasmFrame, b: &WasmFrame) -> bool {
    a.module_offset().is_some()
        && a.module_offset() == b.module_offset()
        && a.func_index() == b.func_index()
        && a.module_name() == b.module_name()
        && a.tier() == b.tier()
}

/// `module!function`, the module only if it says its name.
fn name(frame: &WasmFrame) -> String {
    let function = match (frame.func_name(), frame.func_index()) {
        (Some(name), _) => name.to_owned(),
        (None, Some(index)) => format!("function[{index}]"),
        (None, None) => "(unknown function)".to_owned(),
    };
    match frame.module_name() {
        Some(module) => format!("{module}!{function}"),
        None => function,
    }
}
