//! Which pages of the code have memory behind them: a bit a page.

use std::ops::Range;

/// A set of page numbers.
#[derive(Debug)]
pub(crate) struct PageSet {
    words: Vec<u64>,
    pages: usize,
}

impl PageSet {
    /// The empty set of numbers below `pages`.
    pub fn new(pages: usize) -> PageSet {
        PageSet {
            words: vec![0; pages.div_ceil(64)],
            pages,
        }
    }

    /// All numbers are below this.
    pub fn len(&self) -> usize {
        self.pages
    }

    /// Adds `pages`.
    pub fn insert(&mut self, pages: Range<usize>) {
        for page in pages {
            self.words[page / 64] |= 1 << (page % 64);
        }
    }

    /// Takes `pages` out.
    pub fn remove(&mut self, pages: Range<usize>) {
        for page in pages {
            self.words[page / 64] &= !(1 << (page % 64));
        }
    }

    /// The first run of pages within `pages` that are in the set.
    pub fn first_run(&self, pages: Range<usize>) -> Option<Range<usize>> {
        self.run(pages, true)
    }

    /// The first run of pages within `pages` that are not in the set.
    pub fn first_gap(&self, pages: Range<usize>) -> Option<Range<usize>> {
        self.run(pages, false)
    }

    fn run(&self, pages: Range<usize>, member: bool) -> Option<Range<usize>> {
        let start = self.next(pages.clone(), member);
        let end = self.next(start..pages.end, !member);
        (start < end).then_some(start..end)
    }

    /// The first page in `pages` whose membership is `member`, or the end.
    fn next(&self, pages: Range<usize>, member: bool) -> usize {
        debug_assert!(pages.end <= self.pages);
        let flip = if member { 0 } else { u64::MAX };
        let mut page = pages.start;
        while page < pages.end {
            let rest = (self.words[page / 64] ^ flip) >> (page % 64);
            if rest != 0 {
                return (page + rest.trailing_zeros() as usize).min(pages.end);
            }
            page = (page / 64 + 1) * 64;
        }
        pages.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_gaps() {
        let mut set = PageSet::new(300);
        assert_eq!(set.first_run(0..300), None);
        assert_eq!(set.first_gap(0..300), Some(0..300));
        set.insert(60..70);
        set.insert(128..256);
        assert_eq!(set.first_run(0..300), Some(60..70));
        assert_eq!(set.first_run(65..300), Some(65..70));
        assert_eq!(set.first_run(70..300), Some(128..256));
        assert_eq!(set.first_run(130..200), Some(130..200));
        assert_eq!(set.first_run(256..300), None);
        assert_eq!(set.first_gap(60..300), Some(70..128));
        assert_eq!(set.first_gap(130..200), None);
        assert_eq!(set.first_run(10..10), None);
        set.remove(60..300);
        assert_eq!(set.first_run(0..300), None);
    }
}
