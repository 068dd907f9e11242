//! Waiting.

use super::{CREATE, DIR, Guest, RESULT, guest};
use crate::{Capture, Errno, Input, Output, WasiCtxBuilder, snapshot};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) const REALTIME: u32 = 0;
pub(super) const MONOTONIC: u32 = 1;

/// An event: user data, error, type, bytes, flags.
pub(super) type Event = (u64, u16, u8, u64, u16);

pub(super) fn clock(userdata: u64, id: u32, timeout: u64, absolute: u16) -> [u8; 48] {
    let mut out = [0; 48];
    out[0..8].copy_from_slice(&userdata.to_le_bytes());
    out[16..20].copy_from_slice(&id.to_le_bytes());
    out[24..32].copy_from_slice(&timeout.to_le_bytes());
    out[40..42].copy_from_slice(&absolute.to_le_bytes());
    out
}

fn descriptor(userdata: u64, tag: u8, fd: u32) -> [u8; 48] {
    let mut out = [0; 48];
    out[0..8].copy_from_slice(&userdata.to_le_bytes());
    out[8] = tag;
    out[16..20].copy_from_slice(&fd.to_le_bytes());
    out
}

pub(super) fn poll(guest: &mut Guest, subscriptions: &[[u8; 48]]) -> Result<Vec<Event>, Errno> {
    let at = 4096;
    let bytes = subscriptions.concat();
    guest.mem[at..at + bytes.len()].copy_from_slice(&bytes);
    let count = subscriptions.len() as u32;
    snapshot::poll_oneoff(
        &mut guest.ctx,
        &mut guest.mem,
        at as u32,
        65536,
        count,
        RESULT,
    )?;
    let u16_at = |guest: &Guest, at: u32| {
        u16::from_le_bytes([guest.mem[at as usize], guest.mem[at as usize + 1]])
    };
    let events = (0..guest.u32_at(RESULT)).map(|index| {
        let at = 65536 + index * 32;
        let kind = guest.mem[at as usize + 10];
        (
            guest.u64_at(at),
            u16_at(guest, at + 8),
            kind,
            guest.u64_at(at + 16),
            u16_at(guest, at + 24),
        )
    });
    Ok(events.collect())
}

#[test]
fn sleeping_takes_its_time() {
    let (_dir, mut guest) = guest();
    let start = Instant::now();
    assert_eq!(
        poll(&mut guest, &[clock(7, MONOTONIC, 20_000_000, 0)]).unwrap(),
        [(7, 0, 0, 0, 0)]
    );
    assert!(start.elapsed() >= Duration::from_millis(20));
    // The nearest of several is enough.
    let start = Instant::now();
    let events = poll(
        &mut guest,
        &[
            clock(1, MONOTONIC, u64::MAX, 0),
            clock(2, REALTIME, 10_000_000, 0),
        ],
    );
    assert_eq!(events.unwrap(), [(2, 0, 0, 0, 0)]);
    assert!(
        start.elapsed() >= Duration::from_millis(10) && start.elapsed() < Duration::from_secs(10)
    );
}

#[test]
fn times_may_be_absolute() {
    let (_dir, mut guest) = guest();
    for id in [REALTIME, MONOTONIC] {
        assert_eq!(
            poll(&mut guest, &[clock(1, id, 0, 1)]).unwrap(),
            [(1, 0, 0, 0, 0)]
        );
        snapshot::clock_time_get(&mut guest.ctx, &mut guest.mem, id, 0, RESULT).unwrap();
        let deadline = guest.u64_at(RESULT) + 15_000_000;
        let start = Instant::now();
        assert_eq!(
            poll(&mut guest, &[clock(1, id, deadline, 1)])
                .unwrap()
                .len(),
            1
        );
        assert!(start.elapsed() >= Duration::from_millis(10));
    }
}

#[test]
fn bad_subscriptions_are_told_by_event() {
    let (_dir, mut guest) = guest();
    let capture = Capture::new(10);
    guest.ctx = WasiCtxBuilder::new()
        .stdout(capture.output())
        .build()
        .unwrap();
    let events = poll(
        &mut guest,
        &[
            clock(1, 2, 0, 0),
            clock(2, 9, 0, 0),
            clock(3, MONOTONIC, 0, 2),
            descriptor(4, 1, 99),
            descriptor(5, 1, 1),
            descriptor(6, 2, 0),
            descriptor(7, 3, 0),
            clock(8, MONOTONIC, u64::MAX, 0),
        ],
    );
    let (notsup, inval, badf) = (
        Errno::NotSup as u16,
        Errno::Inval as u16,
        Errno::BadF as u16,
    );
    let errors: Vec<_> = events
        .unwrap()
        .iter()
        .map(|event| (event.0, event.1))
        .collect();
    assert_eq!(
        errors,
        [
            (1, notsup),
            (2, inval),
            (3, inval),
            (4, badf),
            (5, badf),
            (6, badf),
            (7, inval)
        ]
    );
}

#[test]
fn files_and_streams_in_memory_are_always_ready() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    guest.write(fd, b"0123456789").unwrap();
    guest.seek(fd, 4, 0).unwrap();
    let subscriptions = [
        descriptor(1, 1, fd),
        descriptor(2, 2, fd),
        descriptor(3, 1, 0),
        descriptor(4, 2, 1),
        clock(5, MONOTONIC, u64::MAX, 0),
    ];
    let mut events = poll(&mut guest, &subscriptions).unwrap();
    events.sort_unstable();
    assert_eq!(
        events,
        [
            (1, 0, 1, 6, 0),
            (2, 0, 2, 0, 0),
            (3, 0, 1, 0, 0),
            (4, 0, 2, 0, 0)
        ]
    );
    assert_eq!(
        poll(&mut guest, &[descriptor(1, 1, DIR)]).unwrap()[0].1,
        Errno::BadF as u16
    );
}

#[test]
fn pipes_become_ready() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (_out_reader, out_writer) = io::pipe().unwrap();
    let builder = WasiCtxBuilder::new()
        .stdin(Input::host(OwnedFd::from(reader)))
        .stdout(Output::host(OwnedFd::from(out_writer)));
    let mut guest = Guest::new(builder.build().unwrap());
    let input = descriptor(1, 1, 0);
    // Not yet: the clock comes first.
    assert_eq!(
        poll(&mut guest, &[input, clock(2, MONOTONIC, 1_000_000, 0)]).unwrap(),
        [(2, 0, 0, 0, 0)]
    );
    assert_eq!(
        poll(&mut guest, &[input, descriptor(3, 2, 1)]).unwrap(),
        [(3, 0, 2, 0, 0)]
    );
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        writer.write_all(b"12345").unwrap();
        writer
    });
    let forever = clock(2, MONOTONIC, u64::MAX, 0);
    assert_eq!(
        poll(&mut guest, &[input, forever]).unwrap(),
        [(1, 0, 1, 5, 0)]
    );
    guest.read(0, 10).unwrap();
    drop(late.join().unwrap());
    assert_eq!(
        poll(&mut guest, &[input, forever]).unwrap(),
        [(1, 0, 1, 0, 1)]
    );
}

#[test]
fn sizes_and_pointers_are_checked() {
    let (_dir, mut guest) = guest();
    let end = guest.mem.len() as u32;
    let mut poll = |subscriptions, events, count, nevents| {
        snapshot::poll_oneoff(
            &mut guest.ctx,
            &mut guest.mem,
            subscriptions,
            events,
            count,
            nevents,
        )
    };
    assert_eq!(poll(0, 0, 0, 0), Err(Errno::Inval));
    assert_eq!(poll(0, 0, u32::MAX, 0), Err(Errno::Inval));
    assert_eq!(poll(0, 0, 16_000, 0), Err(Errno::Fault));
    assert_eq!(poll(end - 47, 0, 1, 0), Err(Errno::Fault));
    assert_eq!(poll(0, end - 31, 1, 0), Err(Errno::Fault));
    assert_eq!(poll(0, 0, 1, end - 3), Err(Errno::Fault));
    assert_eq!(poll(u32::MAX, u32::MAX, 1, u32::MAX), Err(Errno::Fault));
}

#[test]
fn a_guest_that_waits_can_be_interrupted() {
    let (reader, _writer) = io::pipe().unwrap();
    let builder = WasiCtxBuilder::new().stdin(Input::host(OwnedFd::from(reader)));
    let mut guest = Guest::new(builder.build().unwrap());
    let interrupted = Arc::new(AtomicBool::new(false));
    let seen = interrupted.clone();
    guest
        .ctx
        .set_interrupted_by(move || seen.load(Ordering::Relaxed));
    // Until then, everything is as without.
    assert_eq!(
        poll(&mut guest, &[clock(1, MONOTONIC, 50_000_000, 0)])
            .unwrap()
            .len(),
        1
    );
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        interrupted.store(true, Ordering::Relaxed);
    });
    assert_eq!(guest.read(0, 10), Err(Errno::Intr));
    late.join().unwrap();
    let forever = clock(1, MONOTONIC, u64::MAX, 0);
    assert_eq!(poll(&mut guest, &[forever]), Err(Errno::Intr));
    assert_eq!(
        poll(&mut guest, &[descriptor(1, 1, 0), forever]),
        Err(Errno::Intr)
    );
    // What does not have to wait is not kept from happening.
    assert_eq!(guest.write(1, b"x"), Ok(1));
    assert_eq!(
        poll(&mut guest, &[clock(1, MONOTONIC, 0, 0)])
            .unwrap()
            .len(),
        1
    );
}
