//! The three tiers, from code that is there at once to code that is worth waiting for.

use std::fmt;

/// How much work went into a piece of code. Tiers are ordered: a later one runs faster and takes longer to make.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Tier {
    /// Tier 0: compiled at the first call, on the calling thread, as quickly as can be.
    Baseline = 0,
    /// Tier 1: compiled in the background once a function is hot.
    Optimizing = 1,
    /// Tier 2: compiled in the background, with the profile, for the functions that earn it.
    Top = 2,
}

impl Tier {
    /// All tiers, lowest first.
    pub const ALL: [Tier; 3] = [Tier::Baseline, Tier::Optimizing, Tier::Top];

    /// The tier's number, 0 to 2.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The tier with that number, if there is one.
    pub fn from_index(index: usize) -> Option<Tier> {
        Tier::ALL.get(index).copied()
    }

    /// The next better tier.
    pub fn next(self) -> Option<Tier> {
        Tier::from_index(self.index() + 1)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for tier in Tier::ALL {
            assert_eq!(Tier::from_index(tier.index()), Some(tier));
        }
        assert_eq!(Tier::from_index(3), None);
        assert_eq!(Tier::Baseline.next(), Some(Tier::Optimizing));
        assert_eq!(Tier::Top.next(), None);
    }
}
