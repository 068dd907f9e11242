//! Setting a file's times: the guest's two timestamps and four flags, in the host's terms.

use crate::abi::known_bits;
use crate::errno::Errno;
use rustix::fs::{Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::time::Timespec;

const ACCESS: u32 = 1 << 0;
const ACCESS_NOW: u32 = 1 << 1;
const MODIFICATION: u32 = 1 << 2;
const MODIFICATION_NOW: u32 = 1 << 3;

/// The host's times for `fstflags`. Both a time and "now" for the same time is a contradiction.
pub(crate) fn timestamps(access: u64, modification: u64, flags: u32) -> Result<Timestamps, Errno> {
    let flags = known_bits(flags, 0xf)?;
    Ok(Timestamps {
        last_access: time(access, flags & ACCESS != 0, flags & ACCESS_NOW != 0)?,
        last_modification: time(
            modification,
            flags & MODIFICATION != 0,
            flags & MODIFICATION_NOW != 0,
        )?,
    })
}

fn time(nanoseconds: u64, set: bool, set_now: bool) -> Result<Timespec, Errno> {
    match (set, set_now) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(timespec(nanoseconds)),
        (false, true) => Ok(Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        }),
        (false, false) => Ok(Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        }),
    }
}

/// A `timestamp`, or a duration, in the host's terms.
pub(crate) fn timespec(nanoseconds: u64) -> Timespec {
    // Both quotient and remainder fit: 2^64 nanoseconds are 584 years.
    Timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as _,
    }
}
