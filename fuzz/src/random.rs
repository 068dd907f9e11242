//! The source of all choices: a small generator whose whole state is a seed, so that a case is known by two numbers.

use std::collections::VecDeque;

/// The generator SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    /// Choices that were given come first.
    choices: VecDeque<u8>,
}

impl Random {
    /// The choices that belong to number `index` of a run with that seed.
    pub fn new(seed: u64, index: u64) -> Random {
        let mut random = Random {
            state: seed ^ index.wrapping_mul(0xd134_2543_de82_ef95),
            choices: VecDeque::new(),
        };
        random.bits();
        random
    }

    /// These choices, and behind their end always the same ones.
    pub fn from_choices(choices: &[u8]) -> Random {
        Random {
            state: 0,
            choices: choices.iter().copied().collect(),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        if self.choices.len() >= 8 {
            let given: Vec<u8> = self.choices.drain(..8).collect();
            return given
                .iter()
                .rev()
                .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        match bound {
            0 => 0,
            _ => (self.bits() % bound as u64) as usize,
        }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of the items.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let given = count.min(self.choices.len());
        let mut bytes: Vec<u8> = self.choices.drain(..given).collect();
        bytes.extend((given..count).map(|_| self.bits() as u8));
        bytes
    }

    /// An integer of the kind that finds bugs: small, at a boundary, a power of two, or anything.
    pub fn integer(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(4) as u64,
            1 => self.below(200) as u64,
            2 => (1_u64 << self.below(64)).wrapping_sub(self.below(2) as u64),
            3 => (self.below(8) as u64).wrapping_neg(),
            4 => *self.pick(&[
                0x7fff_ffff,
                0x8000_0000,
                i64::MAX as u64,
                i64::MIN as u64,
                0xffff,
            ]),
            _ => self.bits(),
        }
    }

    /// The bits of a 32-bit float of the kind that finds bugs.
    pub fn float32(&mut self) -> u32 {
        const SPECIAL: [u32; 10] = [
            0,
            0x8000_0000,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0x7fa1_2345,
            0xffc0_0001,
            1,
            0x4f00_0000,
            0xcf00_0001,
        ];
        match self.below(4) {
            0 => *self.pick(&SPECIAL),
            1 => (self.below(1000) as f32 - 500.0).to_bits(),
            2 => (self.below(1000) as f32 * 0.37).to_bits(),
            _ => self.bits() as u32,
        }
    }

    /// The bits of a 64-bit float of the kind that finds bugs.
    pub fn float64(&mut self) -> u64 {
        const SPECIAL: [u64; 10] = [
            0,
            1 << 63,
            0x7ff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
            0x7ff8_0000_0000_0000,
            0x7ff4_1234_5678_9abc,
            0xfff8_0000_0000_0001,
            1,
            0x43e0_0000_0000_0000,
            0xc1e0_0000_0020_0000,
        ];
        match self.below(4) {
            0 => *self.pick(&SPECIAL),
            1 => (self.below(1000) as f64 - 500.0).to_bits(),
            2 => (self.below(1000) as f64 * 0.37).to_bits(),
            _ => self.bits(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_give_the_same_choices() {
        let mut a = Random::new(1, 2);
        let mut b = Random::new(1, 2);
        let mut c = Random::new(1, 3);
        let first = a.bits();
        assert_eq!(first, b.bits());
        assert_ne!(first, c.bits());
    }
}
