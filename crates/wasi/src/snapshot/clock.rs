//! Clocks.

use crate::context::WasiCtx;
use crate::errno::Errno;
use crate::memory;
use rustix::time::ClockId;

/// Stores a clock's resolution in nanoseconds.
pub fn clock_res_get(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    id: u32,
    resolution: u32,
) -> Result<(), Errno> {
    memory::write_u64(mem, resolution, ctx.chance.resolution(clock(id)?))
}

/// Stores a clock's time in nanoseconds. How precise the guest wants it makes no difference.
pub fn clock_time_get(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    id: u32,
    _precision: u64,
    time: u32,
) -> Result<(), Errno> {
    memory::write_u64(mem, time, ctx.chance.now(clock(id)?))
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
