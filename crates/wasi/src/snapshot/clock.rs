//! Clocks. The host's are passed on as they are.

use crate::abi::timestamp;
use crate::context::WasiCtx;
use crate::errno::Errno;
use crate::memory;
use rustix::time::{ClockId, Timespec};

/// Stores a clock's resolution in nanoseconds.
pub fn clock_res_get(
    _ctx: &mut WasiCtx,
    mem: &mut [u8],
    id: u32,
    resolution: u32,
) -> Result<(), Errno> {
    memory::write_u64(
        mem,
        resolution,
        nanoseconds(rustix::time::clock_getres(clock(id)?)),
    )
}

/// Stores a clock's time in nanoseconds. How precise the guest wants it makes no difference.
pub fn clock_time_get(
    _ctx: &mut WasiCtx,
    mem: &mut [u8],
    id: u32,
    _precision: u64,
    time: u32,
) -> Result<(), Errno> {
    memory::write_u64(mem, time, now(clock(id)?))
}

/// The host's clock for a `clockid`.
pub(super) fn clock(id: u32) -> Result<ClockId, Errno> {
    match id {
        0 => Ok(ClockId::Realtime),
        1 => Ok(ClockId::Monotonic),
        2 => Ok(ClockId::ProcessCPUTime),
        3 => Ok(ClockId::ThreadCPUTime),
        _ => Err(Errno::Inval),
    }
}

/// A clock's time in nanoseconds.
pub(super) fn now(clock: ClockId) -> u64 {
    nanoseconds(rustix::time::clock_gettime(clock))
}

fn nanoseconds(time: Timespec) -> u64 {
    timestamp(time.tv_sec, u64::try_from(time.tv_nsec).unwrap_or(0))
}
