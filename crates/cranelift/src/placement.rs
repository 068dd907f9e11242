//! Where a function is best placed, for the sake of the loops in it.
//!
//! Processors fetch instructions, decoded or not, in lines of 64 bytes. A loop that is shorter than a line and lies in two
//! takes a cycle more for each iteration, which is twice the time for the shortest ones; and which loops do is decided by
//! what happens to come before them. Cranelift has no way to align a block in a function. But code goes where there is
//! room for it, so its start is chosen such that as few of its short loops as possible lie in two lines.

use crate::arch::x64;
use std::ops::Range;

/// Bytes of a line.
pub(crate) const LINE_BYTES: u32 = 64;
/// The places in a line where a function may begin.
const STEP_BYTES: usize = 16;

/// How many bytes behind the beginning of a line `code` is to begin, if that matters. `blocks`: where its basic blocks
/// begin, sorted.
pub(crate) fn placement(code: &[u8], blocks: &[u32]) -> Option<u32> {
    let loops = innermost(x64::loops(code, blocks));
    let short = |l: &Range<u32>| l.len() <= LINE_BYTES as usize;
    let short: Vec<Range<u32>> = loops.into_iter().filter(short).collect();
    let cost = |placement: u32| -> f64 {
        let in_two = |l: &&Range<u32>| {
            (l.start + placement) / LINE_BYTES != (l.end - 1 + placement) / LINE_BYTES
        };
        // What a cycle more is to an iteration.
        short
            .iter()
            .filter(in_two)
            .map(|l| 1.0 / l.len() as f64)
            .sum()
    };
    let placements = (0..LINE_BYTES).step_by(STEP_BYTES);
    let costs: Vec<(u32, f64)> = placements.map(|at| (at, cost(at))).collect();
    let best = costs.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
    costs.iter().any(|other| other.1 > best.1).then_some(best.0)
}

/// The loops that have no other in them.
fn innermost(loops: Vec<Range<u32>>) -> Vec<Range<u32>> {
    let within = |inner: &Range<u32>, outer: &Range<u32>| {
        inner != outer && outer.start <= inner.start && inner.end <= outer.end
    };
    let is_innermost = |outer: &&Range<u32>| !loops.iter().any(|inner| within(inner, outer));
    loops.iter().filter(is_innermost).cloned().collect()
}
