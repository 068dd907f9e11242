//! The frame log ([`upshift_codegen::frame_log`]), as it is kept.
//!
//! What is kept of a long run is its length and a digest of everything, and of the beginning one number an entry, by which
//! the first entry that differs from another log's is found.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries of which something is kept; those behind only count.
const ENTRIES_KEPT_MAX: usize = 1 << 20;
/// Entries after which a log ends: what comes then is not looked at.
const ENTRIES_MAX: u64 = 20_000_000;

/// A log of frames.
#[derive(Debug, Default)]
pub(crate) struct FrameLogger(Mutex<FrameLogReport>);

/// What is known of the frames of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FrameLogReport {
    /// How many were logged.
    pub frames: u64,
    /// A hash of all of them, in their order.
    pub digest: u64,
    /// For each of the first, its position, and a hash of its values.
    pub entries: Vec<(u32, u32)>,
}

impl FrameLogReport {
    /// The number of the first entry, and where it is, at which `other` differs, if it does.
    pub fn first_difference(&self, other: &FrameLogReport) -> Option<(u64, Option<u32>)> {
        let mut entries = (0..).zip(self.entries.iter().zip(&other.entries));
        let found = entries.find_map(|(number, (mine, others))| {
            (mine != others).then_some((number, Some(mine.0)))
        });
        let same = (self.frames, self.digest) == (other.frames, other.digest);
        found.or_else(|| (!same).then_some((self.frames.min(other.frames), None)))
    }

    fn add(&mut self, position: u32, values: &[u128]) {
        if self.frames == ENTRIES_MAX {
            return;
        }
        let mut hash = mix(u64::from(position), values.len() as u64);
        for value in values {
            hash = mix(mix(hash, *value as u64), (*value >> 64) as u64);
        }
        self.frames += 1;
        self.digest = mix(self.digest, hash);
        if self.entries.len() < ENTRIES_KEPT_MAX {
            self.entries.push((position, (hash >> 32) as u32));
        }
    }
}

/// Both numbers and their order matter; Steele, Lea and Flood's SplitMix64.
fn mix(state: u64, number: u64) -> u64 {
    let mut bits = state.rotate_left(5) ^ number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl FrameLogger {
    pub(crate) fn report(&self) -> FrameLogReport {
        self.lock().clone()
    }

    pub(crate) fn add(&self, position: u32, values: &[u128]) {
        self.lock().add(position, values);
    }

    fn lock(&self) -> MutexGuard<'_, FrameLogReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u32, &[u128])]) -> FrameLogReport {
        let mut log = FrameLogReport::default();
        for (position, values) in entries {
            log.add(*position, values);
        }
        log
    }

    #[test]
    fn the_first_difference_is_found() {
        let one = log(&[(1, &[1, 2]), (2, &[]), (3, &[7])]);
        assert_eq!(one.first_difference(&one.clone()), None);
        let value = log(&[(1, &[1, 2]), (2, &[]), (3, &[7 | 1 << 64])]);
        assert_eq!(one.first_difference(&value), Some((2, Some(3))));
        let order = log(&[(1, &[2, 1]), (2, &[]), (3, &[7])]);
        assert_eq!(one.first_difference(&order), Some((0, Some(1))));
        let shorter = log(&[(1, &[1, 2]), (2, &[])]);
        assert_eq!(one.first_difference(&shorter), Some((2, None)));
    }
}
