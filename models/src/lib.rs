//! Upshift's protocols between threads, run in every order that the memory model allows.
//!
//! The model checker is `loom` (after CDSChecker: Norris and Demsky, 2013). The files under test are those of the
//! runtime, compiled here a second time with the checker's locks and atomics. Each model is a function that runs a few
//! threads and asserts what must hold in every order; a deadlock fails it too. All orders are tried, but in one model that
//! has too many: there, all that interrupt a thread at most [`INTERRUPTIONS`] times.

#[path = "../../crates/runtime/src/queue.rs"]
mod queue;
#[path = "../../crates/runtime/src/ranges.rs"]
mod ranges;
#[path = "../../crates/runtime/src/registry.rs"]
mod registry;
#[allow(
    dead_code,
    reason = "no model has all that the runtime does with versions"
)]
#[path = "../../crates/runtime/src/versions.rs"]
mod versions;

mod groups;
mod publishing;

pub use groups::*;
pub use publishing::*;

mod sync {
    //! What `sync` of the runtime is, but of the checker.
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use std::sync::PoisonError;
    use std::sync::{self, Arc};

    loom::lazy_static! {
        /// What all handles have to do with: the checker does not see them, and this it does.
        static ref HANDLES: AtomicUsize = AtomicUsize::new(0);
    }

    /// The checker has no handles of this kind. Other threads have a turn after each attempt to keep what it is of.
    #[derive(Debug)]
    pub(crate) struct Weak<T>(sync::Weak<T>);

    impl<T> Weak<T> {
        pub(crate) fn upgrade(&self) -> Option<Arc<T>> {
            let kept = self.0.upgrade();
            HANDLES.fetch_add(1, Ordering::Relaxed);
            kept
        }
    }

    /// Drops a handle; other threads have a turn before.
    pub(crate) fn release<T>(shared: Arc<T>) {
        HANDLES.fetch_add(1, Ordering::Relaxed);
        drop(shared);
    }

    pub(crate) fn downgrade<T>(shared: &Arc<T>) -> Weak<T> {
        Weak(Arc::downgrade(shared))
    }
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use queue::Queue;
use ranges::Ranges;
use std::ptr;

/// How often threads are interrupted in the largest model: few bugs need more (Musuvathi and Qadeer, 2007).
const INTERRUPTIONS: usize = 3;

/// Runs a model in every order.
fn check(model: impl Fn() + Sync + Send + 'static) {
    loom::model::Builder::new().check(model);
}

/// Runs a model in every order with few interruptions.
fn check_interrupting_little(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(INTERRUPTIONS);
    builder.check(model);
}

/// A worker takes what two threads put into the queue: each job once, and nobody sleeps over one.
pub fn each_job_is_taken_once() {
    check(|| {
        let queue = Arc::new(Queue::new());
        let pushing = [1, 2].map(|job| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || assert!(queue.push(0, job)))
        });
        let taken = [queue.pop(), queue.pop()];
        assert!(taken == [Some(1), Some(2)] || taken == [Some(2), Some(1)]);
        assert_eq!(queue.len(), 0);
        pushing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

/// Closing wakes all workers. A job is taken, turned away or thrown away, and never taken twice.
pub fn closing_ends_all_workers() {
    check_interrupting_little(|| {
        let queue = Arc::new(Queue::new());
        let taken = Arc::new(AtomicUsize::new(0));
        let workers = [(), ()].map(|()| {
            let (queue, taken) = (Arc::clone(&queue), Arc::clone(&taken));
            thread::spawn(move || {
                while queue.pop().is_some() {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let accepted = queue.push(0, ());
        queue.close();
        assert!(!queue.push(0, ()), "the queue is closed");
        workers
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert!(taken.load(Ordering::Relaxed) <= usize::from(accepted));
    });
}

/// What a request holds is dropped, also if the queue is closed while it is put in.
pub fn no_job_is_leaked() {
    check(|| {
        let queue = Arc::new(Queue::new());
        let held = Arc::new(());
        let pushing = {
            let (queue, held) = (Arc::clone(&queue), Arc::clone(&held));
            thread::spawn(move || queue.push(0, held))
        };
        queue.close();
        pushing.join().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

fn no_ranges() -> Arc<Ranges> {
    Arc::new(Ranges {
        head: loom::sync::atomic::AtomicPtr::new(ptr::null_mut()),
        free: loom::sync::Mutex::new(Vec::new()),
    })
}

/// Two threads add ranges at once: both are found, by their own thread at once.
pub fn ranges_added_at_once_are_all_found() {
    check(|| {
        let ranges = no_ranges();
        let adding = [0x1000, 0x5000].map(|start| {
            let ranges = Arc::clone(&ranges);
            thread::spawn(move || {
                ranges.add(start..start + 0x100);
                assert!(ranges.contains(start));
            })
        });
        assert!(!ranges.contains(0x3000));
        adding.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(ranges.contains(0x1000) && ranges.contains(0x5000));
    });
}

/// A cell is used for another range while somebody reads: never is an address found that was in neither, and a range
/// that stays is found throughout.
pub fn a_cell_used_again_mixes_no_ranges() {
    check(|| {
        let ranges = no_ranges();
        ranges.add(0x9000..0x9100);
        let first = ranges.add(0x1000..0x2000);
        let changing = {
            let ranges = Arc::clone(&ranges);
            thread::spawn(move || {
                ranges.remove(first);
                ranges.add(0x100..0x200)
            })
        };
        assert!(!ranges.contains(0x500), "between the two ranges");
        assert!(ranges.contains(0x9000));
        changing.join().unwrap();
        assert!(ranges.contains(0x100) && !ranges.contains(0x1000));
    });
}
