//! Places in a module's bytes.

use std::ops::Range;

/// A part of the module's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Where it starts.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

impl Span {
    /// From offsets that lie in a module, which is smaller than 4 GiB.
    pub(super) fn new(range: Range<u64>) -> Span {
        Span {
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    /// Where `part`, which points into `whole`, is in it.
    pub(super) fn of_part(whole: &[u8], part: &[u8]) -> Option<Span> {
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        let end = start + part.len();
        (end <= whole.len()).then(|| Span::new(start as u64..end as u64))
    }

    /// The same, counted from further ahead.
    pub(super) fn behind(self, base: u32) -> Span {
        Span {
            start: base + self.start,
            end: base + self.end,
        }
    }

    /// The bytes.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or(&[])
    }

    /// How many bytes.
    pub fn byte_count(self) -> u32 {
        self.end - self.start
    }
}
