//! What differs from one run of a program to the next although it and its files are the same: times, random numbers and the
//! numbers of files. They are the host's, or made up so that every run has the same.

use crate::abi::{self, FILESTAT_SIZE, timestamp};
use crate::errno::Errno;
use rustix::fs::Stat;
use rustix::rand::GetRandomFlags;
use rustix::time::{ClockId, Timespec};
use std::collections::HashMap;

/// Where they come from.
pub(crate) enum Chance {
    Host,
    Repeatable(Repeatable),
}

/// A world in which nothing is left to chance.
pub(crate) struct Repeatable {
    /// The state of the random generator.
    random: u64,
    /// Nanoseconds since the program's start.
    elapsed: u64,
    /// The numbers of files, in the order in which the program saw them, by the host's numbers of their file systems and of
    /// themselves.
    files: HashMap<(u64, u64), u64>,
}

/// When every program starts: the year 2000, in nanoseconds since the epoch. All files are as old.
const START: u64 = 946_684_800 * 1_000_000_000;
/// So many files have numbers of the program's own; any more keep the host's. A program can make files without end.
const FILES_MAX: usize = 1 << 20;
/// How much time passes from one look at a clock to the next.
const STEP: u64 = 1_000;

impl Chance {
    /// The same in every run with the same seed.
    pub(crate) fn repeatable(seed: u64) -> Chance {
        Chance::Repeatable(Repeatable {
            random: seed,
            elapsed: 0,
            files: HashMap::new(),
        })
    }

    /// A clock's time in nanoseconds.
    pub(crate) fn now(&mut self, clock: ClockId) -> u64 {
        match self {
            Chance::Host => host_now(clock),
            Chance::Repeatable(world) => {
                world.elapsed = world.elapsed.saturating_add(STEP);
                world.time(clock)
            }
        }
    }

    /// A clock's resolution in nanoseconds.
    pub(crate) fn resolution(&self, clock: ClockId) -> u64 {
        match self {
            Chance::Host => nanoseconds(rustix::time::clock_getres(clock)),
            Chance::Repeatable(_) => STEP,
        }
    }

    /// How far away a point of a clock's time is, in nanoseconds; none if that is the host's, which somebody may set.
    pub(crate) fn distance(&self, clock: ClockId, time: u64) -> Option<u64> {
        match self {
            Chance::Host => None,
            Chance::Repeatable(world) => Some(time.saturating_sub(world.time(clock))),
        }
    }

    /// The program has waited for so many nanoseconds.
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        if let Chance::Repeatable(world) = self {
            world.elapsed = world.elapsed.saturating_add(nanoseconds);
        }
    }

    /// Fills a buffer with random bytes.
    pub(crate) fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), Errno> {
        if let Chance::Repeatable(world) = self {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&world.next_random().to_le_bytes()[..chunk.len()]);
            }
            return Ok(());
        }
        while !bytes.is_empty() {
            match rustix::rand::getrandom(&mut *bytes, GetRandomFlags::empty()) {
                Ok(0) => return Err(Errno::Io),
                Ok(len) => bytes = bytes.get_mut(len..).ok_or(Errno::Io)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The guest's number of a file.
    pub(crate) fn inode(&mut self, device: u64, inode: u64) -> u64 {
        match self {
            Chance::Host => inode,
            Chance::Repeatable(world) => {
                let known = world.files.len();
                match world.files.get(&(device, inode)) {
                    Some(number) => *number,
                    None if known < FILES_MAX => {
                        let number = known as u64 + 1;
                        world.files.insert((device, inode), number);
                        number
                    }
                    None => inode,
                }
            }
        }
    }

    /// Lays out what the guest gets to know of a file.
    pub(crate) fn filestat(&mut self, stat: &Stat) -> [u8; FILESTAT_SIZE as usize] {
        let mut shown = *stat;
        if let Chance::Repeatable(_) = self {
            shown.st_ino = self.inode(stat.st_dev, stat.st_ino);
            shown.st_dev = 1;
        }
        let mut layout = abi::filestat(&shown);
        if let Chance::Repeatable(_) = self {
            for time in layout[40..].chunks_exact_mut(8) {
                time.copy_from_slice(&START.to_le_bytes());
            }
        }
        layout
    }
}

impl Repeatable {
    fn time(&self, clock: ClockId) -> u64 {
        match clock {
            ClockId::Realtime => START.saturating_add(self.elapsed),
            _ => self.elapsed,
        }
    }

    /// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The time of one of the host's clocks in nanoseconds.
pub(crate) fn host_now(clock: ClockId) -> u64 {
    nanoseconds(rustix::time::clock_gettime(clock))
}

fn nanoseconds(time: Timespec) -> u64 {
    timestamp(time.tv_sec, u64::try_from(time.tv_nsec).unwrap_or(0))
}
