//! Ownership of something that generated code has a raw pointer to.

use std::ops::Deref;
use std::ptr::NonNull;

/// A heap allocation with a stable address that may be reached through raw pointers while it is owned here.
///
/// Unlike a `Box` it does not claim that its owner is the only way to reach the value, so generated code and runtime
/// functions may hold pointers into it.
pub(crate) struct Owned<T>(NonNull<T>);

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Owned<T> {
        // A `Box` is never null.
        Owned(NonNull::from(Box::leak(Box::new(value))))
    }

    pub(crate) fn as_non_null(&self) -> NonNull<T> {
        self.0
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the allocation lives as long as `self`; whoever changes the value through a pointer sees to it that no
        // shared reference is in use then.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak` in `new`, and freed only here.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
