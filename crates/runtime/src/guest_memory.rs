//! The address ranges that belong to guests: a fault in one of them is the guest's, not the host's.

use crate::ranges::{Cell, Ranges};
use crate::sync::{AtomicPtr, Mutex};
use std::ops::Range;
use std::ptr;

static RANGES: Ranges = Ranges {
    head: AtomicPtr::new(ptr::null_mut()),
    free: Mutex::new(Vec::new()),
};

/// A registered range of guest addresses; forgotten when dropped.
#[derive(Debug)]
pub struct GuestMemoryRange {
    cell: &'static Cell,
}

/// Registers a range: a fault of guest code at an address in it is a trap.
pub fn register(range: Range<usize>) -> GuestMemoryRange {
    GuestMemoryRange {
        cell: RANGES.add(range),
    }
}

impl Drop for GuestMemoryRange {
    fn drop(&mut self) {
        RANGES.remove(self.cell);
    }
}

/// Whether `address` lies in a registered range. Takes no lock.
pub(crate) fn contains(address: usize) -> bool {
    RANGES.contains(address)
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
