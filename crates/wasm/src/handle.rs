//! The handles that an embedder holds: small `Copy` values that name something a store owns.
//!
//! A handle says which store it belongs to and where in it; it keeps nothing alive and is checked at every use. Here are
//! only the handles themselves; what can be done with each is in the module of its name.

use crate::vmctx::VMFuncRef;
use std::num::NonZeroU64;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which store a handle belongs to. Never reused in a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct StoreId(NonZeroU64);

impl StoreId {
    /// An id that no other store has.
    pub(crate) fn unique() -> StoreId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        // 2^64 stores cannot be made, so the counter never wraps to zero.
        StoreId(NonZeroU64::new(id).unwrap_or(NonZeroU64::MAX))
    }
}

/// A function: one of an instance's, or the host's. Belongs to one store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Func {
    pub(crate) store: StoreId,
    pub(crate) funcref: NonNull<VMFuncRef>,
}

// SAFETY: the pointer is only followed together with the store that owns what it points to, which is checked to be the
// one that `store` names; the handle itself is plain data.
unsafe impl Send for Func {}
// SAFETY: as above.
unsafe impl Sync for Func {}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct $name {
            pub(crate) store: StoreId,
            pub(crate) index: u32,
        }
    };
}

handle! {
    /// A linear memory. Belongs to one store.
    Memory
}
handle! {
    /// A table of references. Belongs to one store.
    Table
}
handle! {
    /// A global variable. Belongs to one store.
    Global
}
handle! {
    /// An instantiated module. Belongs to one store.
    Instance
}
handle! {
    /// A value of the host's that WebAssembly code can hold but not look into. Belongs to one store.
    ///
    /// The value lives as long as its store: a program that makes new ones all the time should reuse its store's old
    /// ones or use a store for a bounded piece of work.
    ExternRef
}
