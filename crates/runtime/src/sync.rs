//! The locks and atomics of protocols that are checked by models.
//!
//! The package in `models/` compiles the files that use them a second time, with those of a model checker in this
//! module's place. So what is checked is the code that runs.

use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};

/// A handle of `shared` that does not keep it.
pub(crate) fn downgrade<T>(shared: &Arc<T>) -> Weak<T> {
    Arc::downgrade(shared)
}
