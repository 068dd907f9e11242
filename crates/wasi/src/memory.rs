//! Bounds-checked, little-endian access to a guest's linear memory. Every pointer and length comes from the guest, so
//! each access is checked against the memory's real size, in 64-bit arithmetic that 32-bit operands cannot overflow,
//! and anything outside is [`Errno::Fault`]. Nothing here allocates in proportion to a number the guest chose.

use crate::errno::Errno;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

/// Buffers handed to the host in one call. The host's own limit, and the bound on what a call allocates.
const IOVECS_MAX: usize = 1024;

/// Entries of a guest's iovec array that one call looks at, counting empty ones, so that an array of millions of empty
/// buffers costs no more than a short one.
const IOVECS_SCANNED_MAX: usize = 64 * 1024;

/// The bytes `[ptr, ptr + len)`, if the memory (of `size` bytes) has them.
pub(crate) fn range(size: usize, ptr: u32, len: u64) -> Result<Range<usize>, Errno> {
    let end = u64::from(ptr).checked_add(len).ok_or(Errno::Fault)?;
    if end > size as u64 {
        return Err(Errno::Fault);
    }
    Ok(ptr as usize..end as usize)
}

/// The guest's buffer, to read from.
pub(crate) fn bytes(mem: &[u8], ptr: u32, len: u32) -> Result<&[u8], Errno> {
    let range = range(mem.len(), ptr, u64::from(len))?;
    mem.get(range).ok_or(Errno::Fault)
}

/// The guest's buffer, to write to.
pub(crate) fn bytes_mut(mem: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Errno> {
    let range = range(mem.len(), ptr, u64::from(len))?;
    mem.get_mut(range).ok_or(Errno::Fault)
}

/// Fails if a result of `len` bytes could not be stored at `ptr`. Called before an operation with effects, so that a bad
/// result pointer does not leave the effect behind.
pub(crate) fn check(mem: &[u8], ptr: u32, len: u32) -> Result<(), Errno> {
    range(mem.len(), ptr, u64::from(len)).map(drop)
}

fn array<const N: usize>(mem: &[u8], ptr: u32) -> Result<[u8; N], Errno> {
    let range = range(mem.len(), ptr, N as u64)?;
    mem.get(range)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Errno::Fault)
}

/// Reads one byte.
pub(crate) fn read_u8(mem: &[u8], ptr: u32) -> Result<u8, Errno> {
    array::<1>(mem, ptr).map(|[byte]| byte)
}

/// Reads a `u16`.
pub(crate) fn read_u16(mem: &[u8], ptr: u32) -> Result<u16, Errno> {
    array(mem, ptr).map(u16::from_le_bytes)
}

/// Reads a `u32`.
pub(crate) fn read_u32(mem: &[u8], ptr: u32) -> Result<u32, Errno> {
    array(mem, ptr).map(u32::from_le_bytes)
}

/// Reads a `u64`.
pub(crate) fn read_u64(mem: &[u8], ptr: u32) -> Result<u64, Errno> {
    array(mem, ptr).map(u64::from_le_bytes)
}

/// Stores bytes.
pub(crate) fn write(mem: &mut [u8], ptr: u32, value: &[u8]) -> Result<(), Errno> {
    let range = range(mem.len(), ptr, value.len() as u64)?;
    mem.get_mut(range)
        .ok_or(Errno::Fault)?
        .copy_from_slice(value);
    Ok(())
}

/// Stores a `u32`.
pub(crate) fn write_u32(mem: &mut [u8], ptr: u32, value: u32) -> Result<(), Errno> {
    write(mem, ptr, &value.to_le_bytes())
}

/// Stores a `u64`.
pub(crate) fn write_u64(mem: &mut [u8], ptr: u32, value: u64) -> Result<(), Errno> {
    write(mem, ptr, &value.to_le_bytes())
}

/// The non-empty buffers that an array of `iovec`/`ciovec` names, in order, at most [`IOVECS_MAX`]: reading and writing
/// less than was asked for is always allowed. The whole array must lie in memory, and so must each buffer taken.
fn iovecs(mem: &[u8], iovs: u32, iovs_len: u32) -> Result<Vec<Range<usize>>, Errno> {
    let entries = range(mem.len(), iovs, u64::from(iovs_len) * 8)?;
    let entries = mem.get(entries).ok_or(Errno::Fault)?;
    let mut ranges = Vec::with_capacity((iovs_len as usize).min(IOVECS_MAX));
    for entry in entries.chunks_exact(8).take(IOVECS_SCANNED_MAX) {
        let ptr = read_u32(entry, 0)?;
        let len = read_u32(entry, 4)?;
        let range = range(mem.len(), ptr, u64::from(len))?;
        if !range.is_empty() {
            ranges.push(range);
        }
        if ranges.len() == IOVECS_MAX {
            break;
        }
    }
    Ok(ranges)
}

/// The buffers to write from. They may overlap.
pub(crate) fn gather(mem: &[u8], iovs: u32, iovs_len: u32) -> Result<Vec<IoSlice<'_>>, Errno> {
    let ranges = iovecs(mem, iovs, iovs_len)?;
    ranges
        .into_iter()
        .map(|range| mem.get(range).map(IoSlice::new).ok_or(Errno::Fault))
        .collect()
}

/// The buffers to read into, in order. If two of them overlap, only the first is returned: a short read, which the guest
/// must be ready for, in place of two mutable views of the same bytes.
pub(crate) fn scatter(
    mem: &mut [u8],
    iovs: u32,
    iovs_len: u32,
) -> Result<Vec<IoSliceMut<'_>>, Errno> {
    let ranges = iovecs(mem, iovs, iovs_len)?;
    let mut by_address: Vec<usize> = (0..ranges.len()).collect();
    by_address.sort_unstable_by_key(|&index| ranges[index].start);
    let overlap = by_address
        .windows(2)
        .any(|pair| ranges[pair[0]].end > ranges[pair[1]].start);
    if overlap {
        let first = ranges.into_iter().next().ok_or(Errno::Fault)?;
        return Ok(vec![IoSliceMut::new(
            mem.get_mut(first).ok_or(Errno::Fault)?,
        )]);
    }
    let mut slices: Vec<(usize, IoSliceMut<'_>)> = Vec::with_capacity(ranges.len());
    let mut rest = mem;
    let mut rest_start = 0;
    for index in by_address {
        let range = &ranges[index];
        let (_, tail) = rest
            .split_at_mut_checked(range.start - rest_start)
            .ok_or(Errno::Fault)?;
        let (slice, tail) = tail.split_at_mut_checked(range.len()).ok_or(Errno::Fault)?;
        slices.push((index, IoSliceMut::new(slice)));
        rest = tail;
        rest_start = range.end;
    }
    slices.sort_unstable_by_key(|&(index, _)| index);
    Ok(slices.into_iter().map(|(_, slice)| slice).collect())
}
