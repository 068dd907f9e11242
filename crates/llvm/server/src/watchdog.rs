//! The limit on a job's time that a server has of its own: a client may have none, or not be there any more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How long a job or batch may take. A client gives up long before.
pub const JOB_TIME_MAX: Duration = Duration::from_secs(600);

/// What each thread is at, and since when.
#[derive(Default)]
pub struct Watchdog {
    since: Mutex<HashMap<ThreadId, Instant>>,
}

impl Watchdog {
    /// Does `work`, which counts as this thread's job for as long.
    pub fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        let thread = thread::current().id();
        self.lock().insert(thread, Instant::now());
        let result = work();
        self.lock().remove(&thread);
        result
    }

    /// Whether a thread has been at its job for longer than `limit`.
    pub fn is_overdue(&self, limit: Duration) -> bool {
        self.lock().values().any(|since| since.elapsed() > limit)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_that_lasts_is_overdue() {
        let watchdog = Watchdog::default();
        assert!(!watchdog.is_overdue(Duration::ZERO));
        watchdog.watch(|| {
            assert!(!watchdog.is_overdue(JOB_TIME_MAX));
            // Until the clock has gone on.
            while !watchdog.is_overdue(Duration::ZERO) {
                thread::yield_now();
            }
        });
        assert!(!watchdog.is_overdue(Duration::ZERO), "it is done");
    }
}
