//! What a store may use, and how it is stopped from outside: the parts of a store that its objects and other threads
//! share.

use crate::vmctx::VMLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Limits on what the programs in a store may allocate. Growing past one is refused as WebAssembly says (`memory.grow`
/// and `table.grow` return -1); instantiation past one is an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreLimits {
    memory_bytes_max: usize,
    table_elements_max: usize,
    instances_max: usize,
    memories_max: usize,
    tables_max: usize,
}

impl Default for StoreLimits {
    /// No limit on memories other than WebAssembly's own 4 GiB; ten million elements a table; 10,000 each of instances,
    /// memories and tables.
    fn default() -> StoreLimits {
        StoreLimits {
            memory_bytes_max: usize::MAX,
            table_elements_max: 10_000_000,
            instances_max: 10_000,
            memories_max: 10_000,
            tables_max: 10_000,
        }
    }
}

impl StoreLimits {
    /// The default limits.
    pub fn new() -> StoreLimits {
        StoreLimits::default()
    }

    /// Lets each memory have at most that many bytes.
    #[must_use]
    pub fn memory_size(mut self, bytes: usize) -> StoreLimits {
        self.memory_bytes_max = bytes;
        self
    }

    /// Lets each table have at most that many elements.
    #[must_use]
    pub fn table_elements(mut self, elements: usize) -> StoreLimits {
        self.table_elements_max = elements;
        self
    }

    /// Lets the store have at most that many instances.
    #[must_use]
    pub fn instances(mut self, count: usize) -> StoreLimits {
        self.instances_max = count;
        self
    }

    /// Lets the store have at most that many memories.
    #[must_use]
    pub fn memories(mut self, count: usize) -> StoreLimits {
        self.memories_max = count;
        self
    }

    /// Lets the store have at most that many tables.
    #[must_use]
    pub fn tables(mut self, count: usize) -> StoreLimits {
        self.tables_max = count;
        self
    }

    pub(crate) fn instances_max(&self) -> usize {
        self.instances_max
    }

    pub(crate) fn memories_max(&self) -> usize {
        self.memories_max
    }

    pub(crate) fn tables_max(&self) -> usize {
        self.tables_max
    }
}

/// What a store, its memories and tables, and interrupt handles share.
pub(crate) struct SharedLimits {
    /// What generated code reads.
    pub(crate) vm: VMLimits,
    memory_bytes_max: AtomicUsize,
    table_elements_max: AtomicUsize,
}

impl SharedLimits {
    pub(crate) fn new(limits: &StoreLimits) -> Arc<SharedLimits> {
        let shared = SharedLimits {
            vm: VMLimits::default(),
            memory_bytes_max: AtomicUsize::new(0),
            table_elements_max: AtomicUsize::new(0),
        };
        shared.set(limits);
        Arc::new(shared)
    }

    pub(crate) fn set(&self, limits: &StoreLimits) {
        self.memory_bytes_max
            .store(limits.memory_bytes_max, Ordering::Relaxed);
        self.table_elements_max
            .store(limits.table_elements_max, Ordering::Relaxed);
    }

    pub(crate) fn memory_bytes_max(&self) -> usize {
        self.memory_bytes_max.load(Ordering::Relaxed)
    }

    pub(crate) fn table_elements_max(&self) -> usize {
        self.table_elements_max.load(Ordering::Relaxed)
    }
}

/// Stops the programs of a store from any thread: see [`crate::Store::interrupt_handle`].
#[derive(Clone)]
pub struct InterruptHandle {
    pub(crate) shared: Arc<SharedLimits>,
}

impl InterruptHandle {
    /// Makes whatever runs in the store trap with [`upshift::embed::TrapKind::Interrupted`] at its next function entry or loop
    /// iteration, and everything that is called later too, until [`InterruptHandle::reset`].
    ///
    /// Only modules compiled to be interruptible look; others run on.
    pub fn interrupt(&self) {
        self.shared.vm.interrupt.store(1, Ordering::SeqCst);
    }

    /// Lets the store run again.
    pub fn reset(&self) {
        self.shared.vm.interrupt.store(0, Ordering::SeqCst);
    }

    /// Whether the store has been told to stop.
    pub fn is_interrupted(&self) -> bool {
        self.shared.vm.interrupt.load(Ordering::SeqCst) != 0
    }
}

impl std::fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InterruptHandle")
            .field("interrupted", &self.is_interrupted())
            .finish()
    }
}
