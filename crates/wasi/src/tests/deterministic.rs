//! A world that is the same in every run.

use super::poll::{MONOTONIC, REALTIME, clock, poll};
use super::{CREATE, DIR, Guest, RESULT};
use crate::{Access, WasiCtxBuilder, snapshot};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The year 2000, in nanoseconds since the epoch.
const START: u64 = 946_684_800_000_000_000;

fn guest_in(path: &Path, seed: u64) -> Guest {
    let builder = WasiCtxBuilder::new().preopened_dir(path, "/box", Access::ReadWrite);
    Guest::new(builder.deterministic(seed).build().unwrap())
}

fn time(guest: &mut Guest, id: u32) -> u64 {
    snapshot::clock_time_get(&mut guest.ctx, &mut guest.mem, id, 1, RESULT).unwrap();
    guest.u64_at(RESULT)
}

fn random(guest: &mut Guest, len: u32) -> Vec<u8> {
    snapshot::random_get(&mut guest.ctx, &mut guest.mem, 1024, len).unwrap();
    guest.mem[1024..1024 + len as usize].to_vec()
}

#[test]
fn clocks_move_when_they_are_looked_at() {
    let dir = TempDir::new().unwrap();
    let mut guest = guest_in(dir.path(), 0);
    assert_eq!(time(&mut guest, REALTIME), START + 1_000);
    assert_eq!(time(&mut guest, MONOTONIC), 2_000);
    for (id, expected) in [(2, 3_000), (3, 4_000)] {
        assert_eq!(time(&mut guest, id), expected);
    }
    assert_eq!(time(&mut guest, REALTIME), START + 5_000);
    for id in 0..4 {
        snapshot::clock_res_get(&mut guest.ctx, &mut guest.mem, id, RESULT).unwrap();
        assert_eq!(guest.u64_at(RESULT), 1_000);
    }
}

#[test]
fn waiting_moves_clocks_too() {
    let dir = TempDir::new().unwrap();
    let mut guest = guest_in(dir.path(), 0);
    let start = Instant::now();
    let wait = 15_000_000;
    for subscription in [clock(1, MONOTONIC, wait, 0), clock(1, REALTIME, wait, 0)] {
        assert_eq!(poll(&mut guest, &[subscription]).unwrap().len(), 1);
    }
    assert_eq!(time(&mut guest, MONOTONIC), 2 * wait + 1_000);
    // A point on the guest's clock, which is long past on the host's.
    let until = START + 3 * wait;
    let subscription = clock(1, REALTIME, until, 1);
    assert_eq!(poll(&mut guest, &[subscription]).unwrap().len(), 1);
    assert_eq!(time(&mut guest, REALTIME), until + 1_000);
    assert!(start.elapsed() >= Duration::from_millis(40));
    // One that is past for the guest, too.
    let subscription = clock(1, REALTIME, START, 1);
    assert_eq!(poll(&mut guest, &[subscription]).unwrap().len(), 1);
    assert_eq!(time(&mut guest, REALTIME), until + 2_000);
}

#[test]
fn random_numbers_come_from_the_seed() {
    let dir = TempDir::new().unwrap();
    let numbers = |seed| {
        let mut guest = guest_in(dir.path(), seed);
        (random(&mut guest, 21), random(&mut guest, 8))
    };
    let (first, second) = numbers(7);
    assert_eq!(numbers(7), (first.clone(), second.clone()));
    assert_ne!(numbers(8).0, first);
    assert_ne!(first[..8], second[..]);
    // What the generator's authors publish for the seed 1234567.
    let known = 6_457_827_717_110_365_317_u64;
    assert_eq!(numbers(1_234_567).0[..8], known.to_le_bytes());
}

/// The number that a listing has for a file.
fn listed_inode(guest: &mut Guest, name: &str) -> u64 {
    snapshot::fd_readdir(&mut guest.ctx, &mut guest.mem, DIR, 4096, 4096, 0, RESULT).unwrap();
    let used = guest.u32_at(RESULT) as usize;
    let mut at = 4096;
    while at < 4096 + used {
        let len = guest.u32_at(at as u32 + 16) as usize;
        if guest.mem[at + 24..at + 24 + len] == *name.as_bytes() {
            return guest.u64_at(at as u32 + 8);
        }
        at += 24 + len;
    }
    panic!("{name} is not listed");
}

#[test]
fn files_are_told_apart_and_no_more() {
    let observe = |names: [&str; 2]| {
        let dir = TempDir::new().unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), "text").unwrap();
        }
        let mut guest = guest_in(dir.path(), 0);
        let a = guest.stat("a", 0).unwrap();
        let b = guest.stat("b", 0).unwrap();
        let created = guest.open("c", CREATE).unwrap();
        let c = guest.fd_stat(created).unwrap();
        assert_eq!(guest.stat("c", 0).unwrap(), c);
        assert_eq!(listed_inode(&mut guest, "b"), b.inode);
        [a, b, c]
    };
    let files = observe(["a", "b"]);
    // Other files of the same names, made in the opposite order.
    assert_eq!(observe(["b", "a"]), files);
    assert_eq!(files.each_ref().map(|file| file.inode), [1, 2, 3]);
    assert_eq!(files.each_ref().map(|file| file.size), [4, 4, 0]);
    for file in &files {
        assert_eq!((file.accessed, file.modified), (START, START));
    }
}
