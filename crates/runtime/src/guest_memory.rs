//! The address ranges that belong to guests: a fault in one of them is the guest's, not the host's.
//!
//! The list is read by the signal handler, so reading takes no lock, and cells are never freed: they are reused. Only
//! registering and forgetting take a lock, around the list of cells that are free.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A cell of the list. `end` is zero while the cell is free.
struct Cell {
    start: AtomicUsize,
    end: AtomicUsize,
    next: *const Cell,
}

static HEAD: AtomicPtr<Cell> = AtomicPtr::new(ptr::null_mut());

/// The cells that hold no range.
static FREE: Mutex<Vec<&'static Cell>> = Mutex::new(Vec::new());

/// A registered range of guest addresses; forgotten when dropped.
#[derive(Debug)]
pub struct GuestMemoryRange {
    cell: &'static Cell,
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

fn cells() -> impl Iterator<Item = &'static Cell> {
    let mut next: *const Cell = HEAD.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: cells are leaked boxes, and `next` is set before a cell is published.
        let cell = unsafe { next.as_ref() }?;
        next = cell.next;
        Some(cell)
    })
}

/// Registers a range: a fault of guest code at an address in it is a trap.
pub fn register(range: Range<usize>) -> GuestMemoryRange {
    let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let cell = free.unwrap_or_else(add_cell);
    cell.start.store(range.start, Ordering::Relaxed);
    cell.end.store(range.end, Ordering::Release);
    GuestMemoryRange { cell }
}

/// Leaks a cell that holds no range yet.
fn add_cell() -> &'static Cell {
    let cell = Box::leak(Box::new(Cell {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        next: ptr::null(),
    }));
    let mut head = HEAD.load(Ordering::Acquire);
    loop {
        cell.next = head;
        match HEAD.compare_exchange(head, cell, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return cell,
            Err(current) => head = current,
        }
    }
}

impl Drop for GuestMemoryRange {
    fn drop(&mut self) {
        self.cell.end.store(0, Ordering::Release);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self.cell);
    }
}

/// Whether `address` lies in a registered range. Takes no lock.
pub(crate) fn contains(address: usize) -> bool {
    cells().any(|cell| {
        let end = cell.end.load(Ordering::Acquire);
        address < end && address >= cell.start.load(Ordering::Relaxed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_and_go() {
        let range = register(0x1000..0x2000);
        let other = register(0x5000..0x6000);
        assert!(contains(0x1000) && contains(0x1fff) && !contains(0x2000) && contains(0x5000));
        drop(range);
        assert!(!contains(0x1000));
        let again = register(0x8000..0x9000);
        assert!(contains(0x8fff) && !contains(0x1800));
        drop((other, again));
        assert!(!contains(0x8000) && !contains(0x5000));
    }
}
