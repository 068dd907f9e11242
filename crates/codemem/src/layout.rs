//! Where in the reserved range everything is. Nothing but arithmetic.

use crate::error::CodeMemoryError;
use std::ops::Range;

/// The builtin whose cell holds an opaque pointer of the runtime's, handed to the lazy-compile routine.
pub const BUILTIN_CONTEXT: u32 = 0;
/// The builtin that is jumped to when a function without code is called.
pub const BUILTIN_LAZY_COMPILE: u32 = 1;
/// How many builtins there are; their numbers are below this.
pub const BUILTIN_COUNT: u32 = 64;

/// Bytes of an address cell.
pub(crate) const CELL_BYTES: usize = 8;
/// Bytes of an entry slot.
pub(crate) const SLOT_BYTES: usize = 8;
/// Bytes of a profile cell.
pub(crate) const PROFILE_BYTES: usize = 24;
/// Bytes of a jump stub.
pub(crate) const STUB_BYTES: usize = 16;
/// Bytes of thunks before the first block of code.
pub(crate) const HEADER_BYTES: usize = 64;

/// Address space that a function takes at the least, all its parts together.
const BYTES_PER_FUNCTION: usize = 256;
/// Everything is a multiple of this, the largest page size of the supported machines.
const ROUNDING: usize = 64 << 10;

/// Offsets of the parts from the start of the reserved range; each part begins on a page and ends where the next begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Bytes of everything.
    pub reserved_bytes: usize,
    /// How many functions there can be.
    pub function_capacity: u32,
    /// The entry slots; the address cells are before them.
    pub slots: usize,
    /// The profile cells.
    pub profile: usize,
    /// The jump stubs: the first of the executable part.
    pub stubs: usize,
    /// The code, up to the end.
    pub code: usize,
}

impl Layout {
    /// Lays out `bytes` bytes.
    pub fn new(bytes: usize, page_bytes: usize) -> Result<Layout, CodeMemoryError> {
        if !(1 << 20..=1 << 31).contains(&bytes) {
            return Err(CodeMemoryError::ReserveSize { bytes });
        }
        let reserved_bytes = bytes.next_multiple_of(ROUNDING);
        let functions = reserved_bytes / BYTES_PER_FUNCTION;
        let slots = page_bytes;
        let profile = slots + (functions * SLOT_BYTES).next_multiple_of(page_bytes);
        let stubs = profile + (functions * PROFILE_BYTES).next_multiple_of(page_bytes);
        let code = stubs + (functions * STUB_BYTES).next_multiple_of(page_bytes);
        Ok(Layout {
            page_bytes,
            reserved_bytes,
            function_capacity: functions as u32,
            slots,
            profile,
            stubs,
            code,
        })
    }

    /// The part that is executed.
    pub fn executable(&self) -> Range<usize> {
        self.stubs..self.reserved_bytes
    }

    /// The part that blocks of code are placed in.
    pub fn blocks(&self) -> Range<usize> {
        self.code + HEADER_BYTES..self.reserved_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_on_pages() {
        for bytes in [1 << 20, (1 << 20) + 1, 100 << 20, 1 << 30, 1 << 31] {
            for page_bytes in [4096, 16384, 65536] {
                let layout = Layout::new(bytes, page_bytes).unwrap();
                let functions = layout.function_capacity as usize;
                assert!(layout.reserved_bytes >= bytes);
                assert_eq!(functions, layout.reserved_bytes / 256);
                let starts = [
                    layout.slots,
                    layout.profile,
                    layout.stubs,
                    layout.code,
                    layout.reserved_bytes,
                ];
                assert!(starts.iter().all(|start| start % page_bytes == 0));
                assert!(layout.slots + functions * SLOT_BYTES <= layout.profile);
                assert!(layout.profile + functions * PROFILE_BYTES <= layout.stubs);
                assert!(layout.stubs + functions * STUB_BYTES <= layout.code);
                assert!(layout.code + layout.reserved_bytes / 2 < layout.reserved_bytes);
            }
        }
    }

    #[test]
    fn sizes_out_of_range_are_declined() {
        for bytes in [0, 1, (1 << 20) - 1, (1 << 31) + 1, usize::MAX] {
            assert!(Layout::new(bytes, 4096).is_err());
        }
    }
}
