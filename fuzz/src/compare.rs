//! Runs a module in both engines and compares.

use crate::case::WasmCase;
use crate::record::{Difference, Record, differences};
use crate::value::{Outcome, Stop};
use crate::verdict::{Counts, Verdict};
use crate::{oracle, subject};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an engine makes of a case, or what it says against the module.
type Run = fn(&WasmCase) -> Result<Record, String>;

/// Runs a case in Upshift and in wasmi, and in wasmtime if that is built in.
pub fn run(case: &WasmCase, counts: &mut Counts) -> Verdict {
    let verdict = match oracle::unfit(&case.module) {
        Some(reason) => Verdict::Skipped(reason.to_owned()),
        None => against(case, counts, oracle::newer::run, Some(oracle::older::run)),
    };
    #[cfg(feature = "wasmtime")]
    if !matches!(verdict, Verdict::Mismatch(_)) {
        let other = against(case, counts, oracle::wasmtime::run, None);
        return match (verdict, other) {
            (Verdict::Skipped(_), other) => other,
            (agreed, Verdict::Skipped(_)) => agreed,
            (_, other) => other,
        };
    }
    verdict
}

/// Runs a case in Upshift and in another engine, with a second opinion where they differ.
fn against(case: &WasmCase, counts: &mut Counts, other: Run, second: Option<Run>) -> Verdict {
    // A panic of the other engine is no fault of ours.
    let expected = match catch_unwind(AssertUnwindSafe(|| other(case))) {
        Ok(expected) => expected,
        Err(_) => return Verdict::Skipped("the other engine panicked".to_owned()),
    };
    let mut expected = match expected {
        Ok(expected) => expected,
        Err(reason) => {
            return Verdict::Skipped(format!("the other engine refuses the module: {reason}"));
        }
    };
    if let Outcome::Failed(reason) = &expected.instantiated {
        return Verdict::Skipped(format!("the other engine cannot instantiate: {reason}"));
    }
    counts.calls += expected.calls.len() as u64;
    counts.host_calls += expected.log.count();
    for outcome in &expected.calls {
        if let Outcome::Stopped(stop) = outcome {
            counts.add_trap(stop);
        }
    }
    for (index, schedule) in case.schedules.iter().enumerate() {
        counts.runs += 1;
        let (mut actual, effort) = match subject::run(case, schedule) {
            Ok(record) => record,
            Err(reason) => {
                return Verdict::Mismatch(format!("schedule {index}: refused: {reason}"));
            }
        };
        for (sum, count) in counts.compiled.iter_mut().zip(effort.compiled) {
            *sum += count;
        }
        counts.moves += effort.moves;
        counts.deoptimizations += effort.deoptimizations;
        counts.inlined += effort.inlined;
        cut_at_overflow(&mut expected, &mut actual);
        let found = differences(&expected, &actual);
        if let Some(first) = found.first() {
            if second.is_some_and(|second| is_seconded(case, second, &mut actual, &found)) {
                let reason =
                    "the other engine's versions differ, and the older one says what Upshift does";
                return Verdict::Skipped(reason.to_owned());
            }
            return Verdict::Mismatch(format!("schedule {index}: {}", first.text));
        }
    }
    Verdict::Agreed
}

/// Where the stack ends differs between engines, and so does what was done before it did: from the first overflow on,
/// nothing can be compared. That both overflow in the same call is.
fn cut_at_overflow(expected: &mut Record, actual: &mut Record) {
    let overflow = |outcome: &Outcome| *outcome == Outcome::Stopped(Stop::Stack);
    let Some(at) = expected.calls.iter().position(overflow) else {
        return;
    };
    for record in [expected, actual] {
        record.calls.truncate(at + 1);
        record.state = Default::default();
        record.log = Default::default();
    }
}

/// Whether the second engine does what Upshift did in all those places. It may differ in others: the NaNs of the one
/// that is asked are not canonical.
fn is_seconded(case: &WasmCase, second: Run, actual: &mut Record, found: &[Difference]) -> bool {
    let second = catch_unwind(AssertUnwindSafe(|| second(case)));
    let Ok(Ok(mut second)) = second else {
        return false;
    };
    cut_at_overflow(&mut second, actual);
    let others = differences(&second, actual);
    let same_place =
        |difference: &Difference| others.iter().any(|other| other.place == difference.place);
    !found.iter().any(same_place)
}
