//! Where the bodies of a code section are.
//!
//! Each body's size says where the next one is, and is in another line of the cache: who goes from one to the next waits for
//! memory each time, and in a large module that is most of what there is to wait for before a program starts. So several
//! walks go in turns, and wait at the same time. All but the first begin somewhere, and most likely not at a body. But two walks
//! that come to the same place go on alike, and one that takes other bytes for sizes, small numbers mostly, comes to where
//! a body is before long (as in Pollard's method of kangaroos, 1978). Where the walk before it, which is right, comes to a
//! place where this one was, what this one found from there on is right as well.

use super::span::Span;

/// No function is larger; the validator's own limit.
pub(super) const FUNCTION_BYTES_MAX: u32 = 7_654_321;

/// Walks that go in turns.
const WALKS: usize = 8;
/// A walk that began somewhere takes larger sizes for wrong, until it has made so many steps: it would leap over the bodies that
/// it is to find.
const LEAP_BYTES_MAX: u32 = 64 << 10;
const STEPS_UNCERTAIN: usize = 4096;
/// Bytes that a walk is worth beginning for.
const WALK_BYTES_MIN: usize = 256 << 10;

/// The `count` bodies that fill `section`, which begins at `base` in its module. `None` if there is anything wrong with it.
pub(super) fn bodies(section: &[u8], base: u32, count: usize) -> Option<Vec<Span>> {
    let walks = (section.len() / WALK_BYTES_MIN).clamp(1, WALKS);
    let mut walks: Vec<Walk> = (0..walks)
        .map(|number| {
            let place = |number| section.len() / walks * number;
            let last = number + 1 == walks;
            Walk {
                begin: place(number),
                at: place(number),
                end: if last {
                    section.len()
                } else {
                    place(number + 1)
                },
                found: Vec::with_capacity(count / walks * 5 / 4),
            }
        })
        .collect();
    let mut going = true;
    while going {
        going = false;
        for (number, walk) in walks.iter_mut().enumerate() {
            if walk.at < walk.end {
                going = true;
                let uncertain = number > 0 && walk.found.len() < STEPS_UNCERTAIN;
                let size_max = [FUNCTION_BYTES_MAX, LEAP_BYTES_MAX][usize::from(uncertain)];
                if !walk.step(section, size_max) || walk.found.len() > count {
                    // A guess was wrong, unless it was none.
                    (number > 0).then(|| walk.begin_again())?;
                }
            }
        }
    }
    let all = joined(walks, section)?;
    (all.len() == count).then(|| all.iter().map(|body| body.behind(base)).collect())
}

/// What is right of what walks found: all of the first, and of each other one from where the one before meets it.
fn joined(walks: Vec<Walk>, section: &[u8]) -> Option<Vec<Span>> {
    let mut walks = walks.into_iter();
    let mut right = walks.next()?;
    for other in walks {
        right.end = other.end;
        while right.at < right.end {
            if let Some(met) = other.visit(right.at) {
                right.found.extend_from_slice(&other.found[met..]);
                right.at = other.at;
                break;
            }
            right.step(section, FUNCTION_BYTES_MAX).then_some(())?;
        }
    }
    (right.at == section.len()).then_some(right.found)
}

/// A walk from body to body.
struct Walk {
    begin: usize,
    /// Where the next body's size is.
    at: usize,
    /// It goes no further than the first body from here on.
    end: usize,
    found: Vec<Span>,
}

impl Walk {
    /// Goes on to the next body. Returns false if there is none or it is larger than that.
    #[inline(always)]
    fn step(&mut self, section: &[u8], size_max: u32) -> bool {
        let rest = section.get(self.at..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => {
                let mut bytes = [0xff; 8];
                bytes[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(bytes)
            }
        };
        // How many bytes the size has is not branched on: it cannot be foreseen, and a wrong guess would be waited for.
        let last = !word & 0x0080_8080_8080;
        let bits = (last.trailing_zeros() + 1) & 63;
        let size = sevens(word & ((1 << bits) - 1));
        let start = self.at + bits as usize / 8;
        let end = start + size as usize;
        if last == 0 || size > size_max.into() || end > section.len() {
            return false;
        }
        self.found.push(Span {
            start: start as u32,
            end: end as u32,
        });
        self.at = end;
        true
    }

    /// From the byte behind where this one began.
    #[cold]
    fn begin_again(&mut self) {
        self.found.clear();
        self.begin = self.at.max(self.begin) + 1;
        self.at = self.begin;
    }

    /// The number of the body whose size is at `place`, if this walk came there.
    fn visit(&self, place: usize) -> Option<usize> {
        let next = self
            .found
            .partition_point(|body| (body.start as usize) <= place);
        let came_from = match next.checked_sub(1) {
            Some(before) => self.found[before].end as usize,
            None => self.begin,
        };
        (came_from == place).then_some(next)
    }
}

/// The low seven bits of five bytes, put together.
fn sevens(word: u64) -> u64 {
    let two = (word & 0x007f_007f_007f) | ((word & 0x7f00_7f00_7f00) >> 1);
    (two & 0x3fff) | (two >> 2 & 0x0fff_c000) | (two >> 4 & 0x7_f000_0000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::BinaryReader;

    /// One walk, by another reader.
    fn one_by_one(section: &[u8], base: u32) -> Option<Vec<Span>> {
        let mut reader = BinaryReader::new(section, base.into());
        let mut bodies = Vec::new();
        while !reader.eof() {
            let size = reader.read_var_u32().ok()?;
            let start = reader.original_position() as u32;
            reader.read_bytes(size as usize).ok()?;
            bodies.push(Span {
                start,
                end: start + size,
            });
        }
        Some(bodies)
    }

    fn random_section(random: &mut impl FnMut(u32) -> u32, bytes: usize) -> Vec<u8> {
        let mut section = Vec::new();
        while section.len() < bytes {
            let size = match random(20) {
                0 => random(40_000),
                1..=4 => random(2_000),
                _ => random(300),
            };
            // Some sizes take more bytes than they have to.
            let len = (1..=5).find(|len| size >> (7 * len) == 0).unwrap_or(5);
            let len = if random(30) == 0 { 5 } else { len };
            for index in 0..len {
                let more = if index + 1 < len { 0x80 } else { 0 };
                section.push((size.checked_shr(7 * index).unwrap_or(0) as u8 & 0x7f) | more);
            }
            for _ in 0..size {
                let byte = random(256) as u8;
                section.push(if random(3) == 0 { byte } else { byte & 0x7f });
            }
        }
        section
    }

    #[test]
    fn many_walks_find_what_one_finds() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u32| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as u32 % below
        };
        for bytes in [0, 1, 5_000, 300_000, 700_000, 1_500_000, 3_000_000] {
            let mut section = random_section(&mut random, bytes);
            let expected = one_by_one(&section, 70_000).unwrap();
            let count = expected.len();
            assert_eq!(bodies(&section, 70_000, count), Some(expected));
            assert_eq!(bodies(&section, 70_000, count + 1), None);
            // Without its end, and with something behind it.
            if let Some(last) = section.pop() {
                assert_eq!(bodies(&section, 0, count), None);
                section.extend([last, 0x80]);
                assert_eq!(bodies(&section, 0, count), None);
            }
        }
    }

    /// Bytes that lead no walk but the first to a body.
    #[test]
    fn walks_that_meet_nothing_are_of_no_harm() {
        let size = 100_000u32;
        let mut section = Vec::new();
        for filler in [0xff, 0x80, 0x00, 0x7f].repeat(8) {
            section.extend([0xa0, 0x8d, 0x06]);
            section.resize(section.len() + size as usize, filler);
        }
        let expected = one_by_one(&section, 0).unwrap();
        assert_eq!(expected.len(), 32);
        assert_eq!(bodies(&section, 0, 32), Some(expected));
    }
}
