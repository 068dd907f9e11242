//! A list of address ranges that a signal handler may read.
//!
//! Reading takes no lock, and cells are never freed: they are reused. Only adding and removing take a lock, around the
//! list of cells that are free.

use crate::sync::{AtomicPtr, AtomicUsize, Mutex, Ordering, PoisonError};
use std::ops::Range;
use std::ptr;

/// The list.
pub(crate) struct Ranges {
    pub(crate) head: AtomicPtr<Cell>,
    /// The cells that hold no range.
    pub(crate) free: Mutex<Vec<&'static Cell>>,
}

/// A cell of the list. `end` is zero while the cell is free.
pub(crate) struct Cell {
    start: AtomicUsize,
    end: AtomicUsize,
    next: *const Cell,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, end) = (
            self.start.load(Ordering::Relaxed),
            self.end.load(Ordering::Relaxed),
        );
        write!(f, "{start:#x}..{end:#x}")
    }
}

// SAFETY: a cell is immutable but for its atomics, and lives for ever.
unsafe impl Sync for Cell {}
// SAFETY: as above.
unsafe impl Send for Cell {}

impl Ranges {
    fn cells(&self) -> impl Iterator<Item = &'static Cell> {
        let mut next: *const Cell = self.head.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: cells are leaked boxes, and `next` is set before a cell is published.
            let cell = unsafe { next.as_ref() }?;
            next = cell.next;
            Some(cell)
        })
    }

    /// Adds a range and tells the cell that holds it.
    pub(crate) fn add(&self, range: Range<usize>) -> &'static Cell {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let cell = free.unwrap_or_else(|| self.add_cell());
        // Whoever sees the new start sees that the old end is gone, too.
        cell.start.store(range.start, Ordering::Release);
        cell.end.store(range.end, Ordering::Release);
        cell
    }

    /// Leaks a cell that holds no range yet.
    fn add_cell(&self) -> &'static Cell {
        let cell = Box::leak(Box::new(Cell {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            next: ptr::null(),
        }));
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            cell.next = head;
            match self
                .head
                .compare_exchange(head, cell, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return cell,
                Err(current) => head = current,
            }
        }
    }

    /// Removes the range in `cell`, which was added here.
    pub(crate) fn remove(&self, cell: &'static Cell) {
        cell.end.store(0, Ordering::Release);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(cell);
    }

    /// Whether `address` lies in one of the ranges. Takes no lock.
    pub(crate) fn contains(&self, address: usize) -> bool {
        self.cells().any(|cell| {
            let end = cell.end.load(Ordering::Acquire);
            let start = cell.start.load(Ordering::Acquire);
            // If the end is another one now, the two may be of different ranges.
            (start..end).contains(&address) && cell.end.load(Ordering::Relaxed) == end
        })
    }
}
