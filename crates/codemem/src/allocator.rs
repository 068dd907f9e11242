//! Hands out runs of numbered units from one range and takes them back: best fit, neighbours coalesced, O(log n).
//!
//! It serves function ids and granules of code alike, and knows nothing of the memory behind them. Best fit with the
//! lowest start among equals keeps the large run at the end of the range whole, so memory that was never used stays so
//! for as long as a used hole fits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The free runs of a range of units.
#[derive(Debug)]
pub(crate) struct RangeAllocator {
    /// Start to length; no two runs touch.
    by_start: BTreeMap<u32, u32>,
    /// The same runs as (length, start).
    by_length: BTreeSet<(u32, u32)>,
}

impl RangeAllocator {
    /// All of `range` free.
    pub fn new(range: Range<u32>) -> RangeAllocator {
        let mut allocator = RangeAllocator {
            by_start: BTreeMap::new(),
            by_length: BTreeSet::new(),
        };
        allocator.insert(range);
        allocator
    }

    /// Takes `length` units whose first is `placement` behind a multiple of `alignment`, a power of two and more than that.
    pub fn allocate(&mut self, length: u32, (alignment, placement): (u32, u32)) -> Option<u32> {
        // With small alignments the first or second candidate fits.
        let (run, start) =
            self.by_length
                .range((length, 0)..)
                .find_map(|&(run_length, run_start)| {
                    let behind = placement.wrapping_sub(run_start) % alignment;
                    let start = run_start.checked_add(behind)?;
                    let end = run_start + run_length;
                    let fits = start.checked_add(length)? <= end;
                    fits.then_some((run_start..end, start))
                })?;
        self.remove(run.start);
        self.insert(run.start..start);
        self.insert(start + length..run.end);
        Some(start)
    }

    /// Gives `units` back, which must have been allocated.
    pub fn free(&mut self, units: Range<u32>) {
        let mut merged = units.clone();
        if let Some((&start, &length)) = self.by_start.range(..units.end).next_back() {
            debug_assert!(start + length <= units.start, "units freed twice");
            if start + length == units.start {
                self.remove(start);
                merged.start = start;
            }
        }
        if let Some(&length) = self.by_start.get(&units.end) {
            self.remove(units.end);
            merged.end += length;
        }
        self.insert(merged);
    }

    /// The free runs of at least `length` units.
    pub fn free_runs(&self, length: u32) -> impl Iterator<Item = Range<u32>> {
        self.by_length
            .range((length, 0)..)
            .map(|&(length, start)| start..start + length)
    }

    fn insert(&mut self, run: Range<u32>) {
        if !run.is_empty() {
            let length = run.end - run.start;
            self.by_start.insert(run.start, length);
            self.by_length.insert((length, run.start));
        }
    }

    fn remove(&mut self, start: u32) {
        if let Some(length) = self.by_start.remove(&start) {
            self.by_length.remove(&(length, start));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(allocator: &RangeAllocator) -> Vec<Range<u32>> {
        let mut runs: Vec<_> = allocator.free_runs(0).collect();
        runs.sort_by_key(|run| run.start);
        runs
    }

    #[test]
    fn best_fit_lowest_start() {
        let mut allocator = RangeAllocator::new(0..100);
        let blocks: Vec<u32> = (0..10)
            .map(|_| allocator.allocate(10, (1, 0)).unwrap())
            .collect();
        assert_eq!(blocks, (0..10).map(|i| i * 10).collect::<Vec<_>>());
        assert_eq!(allocator.allocate(1, (1, 0)), None);
        allocator.free(10..30);
        allocator.free(50..60);
        allocator.free(80..90);
        assert_eq!(allocator.allocate(10, (1, 0)), Some(50));
        assert_eq!(allocator.allocate(5, (1, 0)), Some(80));
        assert_eq!(allocator.allocate(11, (1, 0)), Some(10));
        assert_eq!(runs(&allocator), [21..30, 85..90]);
    }

    #[test]
    fn alignment_splits_both_ends() {
        let mut allocator = RangeAllocator::new(3..100);
        assert_eq!(allocator.allocate(4, (16, 0)), Some(16));
        assert_eq!(runs(&allocator), [3..16, 20..100]);
        allocator.free(16..20);
        assert_eq!(allocator.by_start, BTreeMap::from([(3, 97)]));
    }

    #[test]
    fn the_end_of_the_number_space_is_no_wraparound() {
        let mut allocator = RangeAllocator::new(u32::MAX - 10..u32::MAX);
        assert_eq!(allocator.allocate(4, (64, 0)), None);
        assert_eq!(allocator.allocate(11, (1, 0)), None);
        assert_eq!(allocator.allocate(10, (1, 0)), Some(u32::MAX - 10));
    }

    #[test]
    fn a_long_random_run_never_overlaps_and_coalesces() {
        const UNITS: u32 = 5_000;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u32| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as u32 % below
        };
        let mut allocator = RangeAllocator::new(0..UNITS);
        let mut owner = vec![false; UNITS as usize];
        let mut live: Vec<Range<u32>> = Vec::new();
        for _ in 0..200_000 {
            if random(100) < 55 {
                let (length, alignment) = (random(40) + 1, 1 << random(5));
                let placement = random(alignment);
                if let Some(start) = allocator.allocate(length, (alignment, placement)) {
                    assert_eq!(start % alignment, placement);
                    for unit in start..start + length {
                        assert!(!std::mem::replace(&mut owner[unit as usize], true));
                    }
                    live.push(start..start + length);
                }
            } else if !live.is_empty() {
                let units = live.swap_remove(random(live.len() as u32) as usize);
                owner[units.start as usize..units.end as usize].fill(false);
                allocator.free(units);
            }
            let free: u32 = allocator.free_runs(0).map(|run| run.end - run.start).sum();
            let used: u32 = live.iter().map(|run| run.end - run.start).sum();
            assert_eq!(free + used, UNITS);
        }
        for units in live {
            allocator.free(units);
        }
        assert_eq!(allocator.by_start, BTreeMap::from([(0, UNITS)]));
    }
}
