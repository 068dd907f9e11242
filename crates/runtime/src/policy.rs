//! When a function is worth compiling again: pure decisions over what was counted.
//!
//! A threshold is a starting point, not a rule. It rises with the length of the queue, as in HotSpot's tiered policy
//! (`Tier3LoadFeedback`): a busy compiler should get only what is hotter still. It rises with the size of the function,
//! because compiling costs in proportion to it. Requests are served by estimated gain: events per millisecond, per
//! byte to compile.

use crate::profile::LOOP_ITERATIONS_PER_CALL;
use std::time::Duration;

/// Queued requests per worker that double a threshold.
const QUEUE_LENGTH_PER_WORKER: u64 = 8;
/// Source bytes that double a threshold.
const SOURCE_BYTES_SCALE: u64 = 32 * 1024;
/// The largest factor that size alone may contribute.
const SOURCE_SCALE_MAX: u64 = 4;

/// What was counted for one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) loops: u64,
}

impl Counts {
    /// Calls, and loop iterations in units of calls.
    pub(crate) fn score(self) -> u64 {
        self.calls + self.loops / u64::from(LOOP_ITERATIONS_PER_CALL)
    }
}

/// How busy the compilers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) queued: usize,
    pub(crate) workers: usize,
}

/// What to do about a function whose budget ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Ask for better code.
    Promote,
    /// Look again after so many more calls (or the iterations that count as much).
    Wait { calls: u32 },
}

/// Decides about a function with `counts`, `source_bytes` long, whose promotion has the threshold `threshold` calls.
pub(crate) fn decide(counts: Counts, threshold: u32, source_bytes: u32, load: Load) -> Decision {
    let workers = load.workers.max(1) as u64;
    let scale_by_load = 1 + load.queued as u64 / (QUEUE_LENGTH_PER_WORKER * workers);
    let scale_by_size = (1 + u64::from(source_bytes) / SOURCE_BYTES_SCALE).min(SOURCE_SCALE_MAX);
    let needed = u64::from(threshold) * scale_by_load * scale_by_size;
    let score = counts.score();
    if score >= needed {
        return Decision::Promote;
    }
    Decision::Wait {
        calls: u32::try_from(needed - score).unwrap_or(u32::MAX),
    }
}

/// The rank of a request: counted events per millisecond and kilobyte of source, higher first.
pub(crate) fn priority(counts: Counts, over: Duration, source_bytes: u32) -> u64 {
    let microseconds = over.as_micros().clamp(1, u128::from(u64::MAX)) as u64;
    let rate = counts.score().saturating_mul(1_000_000) / microseconds;
    rate.saturating_mul(1024) / (u64::from(source_bytes) + 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Load = Load {
        queued: 0,
        workers: 1,
    };

    #[test]
    fn reaching_the_threshold_promotes() {
        let below = Counts {
            calls: 60,
            loops: 50,
        };
        assert_eq!(decide(below, 100, 10, IDLE), Decision::Wait { calls: 35 });
        let at = Counts {
            calls: 60,
            loops: 400,
        };
        assert_eq!(decide(at, 100, 10, IDLE), Decision::Promote);
    }

    #[test]
    fn load_and_size_raise_the_threshold() {
        let counts = Counts {
            calls: 100,
            loops: 0,
        };
        let busy = Load {
            queued: 16,
            workers: 1,
        };
        assert_eq!(decide(counts, 100, 10, busy), Decision::Wait { calls: 200 });
        assert_eq!(
            decide(counts, 100, 40_000, IDLE),
            Decision::Wait { calls: 100 }
        );
        let several = Load {
            queued: 16,
            workers: 4,
        };
        assert_eq!(decide(counts, 100, 10, several), Decision::Promote);
        assert!(matches!(
            decide(counts, 100, u32::MAX, IDLE),
            Decision::Wait { calls: 300 }
        ));
    }

    #[test]
    fn hotter_and_smaller_comes_first() {
        let second = Duration::from_secs(1);
        let counts = Counts {
            calls: 1000,
            loops: 0,
        };
        let slow = Counts {
            calls: 10,
            loops: 0,
        };
        assert!(priority(counts, second, 100) > priority(slow, second, 100));
        assert!(priority(counts, second, 100) > priority(counts, second, 10_000));
        assert!(priority(counts, second / 10, 100) > priority(counts, second, 100));
        assert!(priority(counts, Duration::ZERO, 0) > 0);
    }
}
