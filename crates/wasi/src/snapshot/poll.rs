//! `poll_oneoff`: waiting for a time to come or a descriptor to become ready, whichever is first.

use super::clock::clock;
use crate::abi::{Rights, file_type, known_bits};
use crate::chance::{Chance, host_now};
use crate::context::WasiCtx;
use crate::errno::Errno;
use crate::interrupt::Interrupts;
use crate::memory;
use crate::table::{Descriptor, Object};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::FileType;
use rustix::time::ClockId;
use std::os::fd::BorrowedFd;

const SUBSCRIPTION_SIZE: u32 = 48;
const EVENT_SIZE: u32 = 32;

/// Subscriptions in one call. More than a guest can have descriptors and clocks for, and still little to allocate.
const SUBSCRIPTIONS_MAX: u32 = 16 * 1024;

const TAG_CLOCK: u8 = 0;
const TAG_FD_READ: u8 = 1;
const TAG_FD_WRITE: u8 = 2;

/// The time is a point, not a distance from now.
const CLOCK_ABSOLUTE: u32 = 1;

/// The other end of a descriptor is closed.
const EVENT_HANGUP: u16 = 1;

/// Waits until at least one of the subscriptions at `subscriptions` comes true, and stores an event for each that has.
pub fn poll_oneoff(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    subscriptions: u32,
    events: u32,
    count: u32,
    nevents: u32,
) -> Result<(), Errno> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(Errno::Inval);
    }
    memory::check(mem, subscriptions, count * SUBSCRIPTION_SIZE)?;
    memory::check(mem, events, count * EVENT_SIZE)?;
    memory::check(mem, nevents, 4)?;

    let mut happened = Vec::new();
    let mut timers = Vec::new();
    let mut watches = Vec::new();
    for entry in memory::bytes(mem, subscriptions, count * SUBSCRIPTION_SIZE)?.chunks_exact(48) {
        let subscription = Subscription::read(entry)?;
        match prepare(ctx, entry, &subscription) {
            Ok(Pending::Timer(timer)) => timers.push((subscription, timer)),
            Ok(Pending::Watch(watch)) => watches.push((subscription, watch)),
            Ok(Pending::Ready) => happened.push(subscription.event(Ok(Readiness::default()))),
            Err(error) => happened.push(subscription.event(Err(error))),
        }
    }
    wait(&ctx.interrupts, &timers, &watches, &mut happened)?;
    let expired = timers.iter().filter(|(_, timer)| timer.remaining() == 0);
    let waited = expired.map(|(_, timer)| timer.distance).max();
    ctx.chance.pass(waited.unwrap_or(0));
    for (index, event) in happened.iter().enumerate() {
        memory::write(mem, events + index as u32 * EVENT_SIZE, event)?;
    }
    memory::write_u32(mem, nevents, happened.len() as u32)
}

/// What every subscription has.
struct Subscription {
    userdata: u64,
    tag: u8,
}

/// How ready a descriptor is.
#[derive(Default)]
struct Readiness {
    bytes: u64,
    hangup: bool,
}

impl Subscription {
    fn read(entry: &[u8]) -> Result<Subscription, Errno> {
        Ok(Subscription {
            userdata: memory::read_u64(entry, 0)?,
            tag: memory::read_u8(entry, 8)?,
        })
    }

    fn event(&self, outcome: Result<Readiness, Errno>) -> [u8; 32] {
        let mut out = [0; EVENT_SIZE as usize];
        out[0..8].copy_from_slice(&self.userdata.to_le_bytes());
        out[10] = self.tag;
        match outcome {
            Ok(Readiness { bytes, hangup }) => {
                out[16..24].copy_from_slice(&bytes.to_le_bytes());
                let flags = if hangup { EVENT_HANGUP } else { 0 };
                out[24..26].copy_from_slice(&flags.to_le_bytes());
            }
            Err(error) => out[8..10].copy_from_slice(&(error as u16).to_le_bytes()),
        }
        out
    }
}

/// What a subscription waits for.
enum Pending<'ctx> {
    Timer(Timer),
    Watch(Watch<'ctx>),
    /// Nothing.
    Ready,
}

/// A clock and the time on it.
struct Timer {
    clock: ClockId,
    deadline: u64,
    /// How far away that is for the guest, if it knows no other clock.
    distance: u64,
}

impl Timer {
    fn remaining(&self) -> u64 {
        self.deadline.saturating_sub(host_now(self.clock))
    }
}

/// A descriptor of the host's and what it should become ready for.
struct Watch<'ctx> {
    fd: BorrowedFd<'ctx>,
    interest: PollFlags,
}

fn prepare<'ctx>(
    ctx: &'ctx WasiCtx,
    entry: &[u8],
    subscription: &Subscription,
) -> Result<Pending<'ctx>, Errno> {
    match subscription.tag {
        TAG_CLOCK => Ok(Pending::Timer(timer(entry, &ctx.chance)?)),
        TAG_FD_READ => watch(
            ctx.table.get(memory::read_u32(entry, 16)?)?,
            PollFlags::IN,
            Rights::FD_READ,
        ),
        TAG_FD_WRITE => watch(
            ctx.table.get(memory::read_u32(entry, 16)?)?,
            PollFlags::OUT,
            Rights::FD_WRITE,
        ),
        _ => Err(Errno::Inval),
    }
}

fn timer(entry: &[u8], chance: &Chance) -> Result<Timer, Errno> {
    let clock = clock(memory::read_u32(entry, 16)?)?;
    let timeout = memory::read_u64(entry, 24)?;
    let flags = known_bits(u32::from(memory::read_u16(entry, 40)?), CLOCK_ABSOLUTE)?;
    match clock {
        ClockId::Realtime | ClockId::Monotonic => {}
        // Time on these stands still while we wait.
        _ => return Err(Errno::NotSup),
    }
    let distance = match flags {
        CLOCK_ABSOLUTE => chance.distance(clock, timeout),
        _ => Some(timeout),
    };
    let Some(distance) = distance else {
        return Ok(Timer {
            clock,
            deadline: timeout,
            distance: 0,
        });
    };
    // A distance from now does not change when somebody sets the clock.
    let clock = ClockId::Monotonic;
    Ok(Timer {
        clock,
        deadline: host_now(clock).saturating_add(distance),
        distance,
    })
}

fn watch(
    descriptor: &Descriptor,
    interest: PollFlags,
    right: Rights,
) -> Result<Pending<'_>, Errno> {
    match &descriptor.object {
        Object::Directory(_) => return Err(Errno::BadF),
        Object::Reader(_) if interest == PollFlags::OUT => return Err(Errno::BadF),
        Object::Writer(_) if interest == PollFlags::IN => return Err(Errno::BadF),
        _ => {}
    }
    descriptor.require(Rights::POLL_FD_READWRITE | right)?;
    match descriptor.host_fd() {
        Some(fd) => Ok(Pending::Watch(Watch { fd, interest })),
        None => Ok(Pending::Ready),
    }
}

type Waiting<T> = [(Subscription, T)];

/// Waits until `happened` is not empty, adding events for what has come true. If it is not empty to begin with, only looks.
fn wait(
    interrupts: &Interrupts,
    timers: &Waiting<Timer>,
    watches: &Waiting<Watch<'_>>,
    happened: &mut Vec<[u8; 32]>,
) -> Result<(), Errno> {
    loop {
        let mut fds: Vec<PollFd<'_>> = watches
            .iter()
            .map(|(_, watch)| PollFd::from_borrowed_fd(watch.fd, watch.interest))
            .collect();
        let nearest = timers.iter().map(|(_, timer)| timer.remaining()).min();
        let timeout = if happened.is_empty() {
            nearest
        } else {
            Some(0)
        };
        interrupts.poll(&mut fds, timeout)?;
        for (fd, (subscription, watch)) in fds.iter().zip(watches) {
            if !fd.revents().is_empty() {
                happened.push(subscription.event(readiness(watch, fd.revents())));
            }
        }
        let expired = timers.iter().filter(|(_, timer)| timer.remaining() == 0);
        happened
            .extend(expired.map(|(subscription, _)| subscription.event(Ok(Readiness::default()))));
        if !happened.is_empty() {
            return Ok(());
        }
    }
}

fn readiness(watch: &Watch<'_>, revents: PollFlags) -> Result<Readiness, Errno> {
    if revents.contains(PollFlags::NVAL) {
        return Err(Errno::BadF);
    }
    let hangup = revents.contains(PollFlags::HUP);
    if revents.contains(PollFlags::ERR) && !hangup && !revents.contains(watch.interest) {
        return Err(Errno::Io);
    }
    let bytes = if watch.interest == PollFlags::IN {
        readable_bytes(watch.fd)
    } else {
        0
    };
    Ok(Readiness { bytes, hangup })
}

/// Bytes that a read would find: a hint, zero where the host has none to give.
fn readable_bytes(fd: BorrowedFd<'_>) -> u64 {
    match rustix::fs::fstat(fd) {
        Ok(stat) if file_type(&stat) == FileType::RegularFile => {
            let position = rustix::fs::tell(fd).unwrap_or(0);
            u64::try_from(stat.st_size)
                .unwrap_or(0)
                .saturating_sub(position)
        }
        _ => rustix::io::ioctl_fionread(fd).unwrap_or(0),
    }
}
