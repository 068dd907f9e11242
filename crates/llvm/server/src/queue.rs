//! Jobs that wait for a thread, which takes as many at a time as it can do in one go.

use crate::backend;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use upshift_llvm::protocol::Job;

/// Functions that are compiled in one module at most: the last of them waits for the first.
const BATCH_JOBS_MAX: usize = 4;
/// Bytes of CLIF of a batch, unless it is one function: long functions gain nothing, and others would wait for them.
const BATCH_BYTES_MAX: usize = 16 << 10;

/// Jobs, the oldest first, until there will be no more.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// Adds a job.
    pub fn push(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.ready.notify_one();
    }

    /// There will be no more jobs.
    pub fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }

    /// Waits for a job; with it come those behind it that can be done with it. `None` if there will be no more.
    pub fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            let woken = self.ready.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let mut batch: Vec<Job> = state.jobs.pop_front().into_iter().collect();
        let mut bytes = batch.iter().map(|job| job.clif.len()).sum::<usize>();
        while batch.len() < BATCH_JOBS_MAX
            && let Some(next) = state.jobs.front()
            && batch.iter().all(|job| backend::go_together(job, next))
            && bytes + next.clif.len() <= BATCH_BYTES_MAX
        {
            bytes += next.clif.len();
            batch.extend(state.jobs.pop_front());
        }
        Some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
