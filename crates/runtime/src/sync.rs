//! The locks and atomics of protocols that are checked by models.
//!
//! The package in `models/` compiles the files that use them a second time, with those of a model checker in this
//! module's place. So what is checked is the code that runs.

pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};
