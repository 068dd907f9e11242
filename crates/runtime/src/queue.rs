//! The compile queue: bounded, served by priority, closed once.

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::BinaryHeap;

/// Requests waiting at most. A flood beyond it is turned away, and asks again after the next budget.
pub(crate) const CAPACITY: usize = 8192;

/// A queue of jobs that worker threads take from, the highest priority first and among equals the oldest.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

#[derive(Debug)]
struct State<T> {
    heap: BinaryHeap<Entry<T>>,
    pushed: u64,
    closed: bool,
}

#[derive(Debug)]
struct Entry<T> {
    priority: u64,
    sequence: u64,
    job: T,
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.priority, other.sequence).cmp(&(other.priority, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        let state = State {
            heap: BinaryHeap::new(),
            pushed: 0,
            closed: false,
        };
        Queue {
            state: Mutex::new(state),
            ready: Condvar::new(),
        }
    }

    /// Adds a job. `false` if the queue is full or closed; the job is then gone.
    pub(crate) fn push(&self, priority: u64, job: T) -> bool {
        let mut state = self.lock();
        if state.closed || state.heap.len() >= CAPACITY {
            return false;
        }
        state.pushed += 1;
        let sequence = state.pushed;
        state.heap.push(Entry {
            priority,
            sequence,
            job,
        });
        drop(state);
        self.ready.notify_one();
        true
    }

    /// Waits for a job. `None` once the queue is closed.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(entry) = state.heap.pop() {
                return Some(entry.job);
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Jobs waiting.
    pub(crate) fn len(&self) -> usize {
        self.lock().heap.len()
    }

    /// Turns all waiting and all later jobs away.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.heap);
        drop(state);
        drop(waiting);
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_priority_first_then_oldest() {
        let queue = Queue::new();
        for (priority, job) in [(1, 'a'), (3, 'b'), (3, 'c'), (2, 'd')] {
            assert!(queue.push(priority, job));
        }
        let order: String =
            std::iter::from_fn(|| (queue.len() > 0).then(|| queue.pop()).flatten()).collect();
        assert_eq!(order, "bcda");
    }

    #[test]
    fn a_flood_is_turned_away_and_closing_wakes_everyone() {
        let queue = Queue::new();
        for job in 0..CAPACITY {
            assert!(queue.push(0, job));
        }
        assert!(!queue.push(9, 0));
        let empty = Queue::<u8>::new();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| empty.pop());
            empty.close();
            assert_eq!(waiting.join().unwrap(), None);
        });
        queue.close();
        assert_eq!(queue.len(), 0);
        assert_eq!(queue.pop(), None);
        assert!(!queue.push(0, 1));
    }
}
