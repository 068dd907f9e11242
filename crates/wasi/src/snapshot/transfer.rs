//! Reading, writing, and where in a file.

use super::descriptor::check_offset;
use crate::abi::{FdFlags, Rights};
use crate::context::WasiCtx;
use crate::errno::Errno;
use crate::interrupt::Interrupts;
use crate::memory;
use crate::table::Object;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Advice, FallocateFlags, SeekFrom};
use rustix::io::Errno as Host;
use std::io::{self, ErrorKind, IoSliceMut, Read};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd};

/// Reads from a descriptor's position.
pub fn fd_read(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Result<(), Errno> {
    memory::check(mem, nread, 4)?;
    let descriptor = ctx.table.get_mut(fd)?;
    if let Object::Directory(_) = descriptor.object {
        return Err(Errno::BadF);
    }
    descriptor.require(Rights::FD_READ)?;
    let mut bufs = memory::scatter(mem, iovs, iovs_len)?;
    let nonblocking = descriptor.flags.contains(FdFlags::NONBLOCK);
    let len = match &mut descriptor.object {
        Object::File(fd) => transfer(|| rustix::io::readv(&*fd, &mut bufs))?,
        Object::Stream(fd) => {
            let waiting = Waiting {
                direction: PollFlags::IN,
                nonblocking,
                interrupts: &ctx.interrupts,
            };
            transfer_stream(fd.as_fd(), &waiting, || rustix::io::readv(&*fd, &mut bufs))?
        }
        Object::Reader(reader) => read_some(reader, &mut bufs)?,
        Object::Writer(_) | Object::Directory(_) => return Err(Errno::BadF),
    };
    memory::write_u32(mem, nread, len as u32)
}

/// Writes at a descriptor's position, or at the end if it is open for appending.
pub fn fd_write(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Result<(), Errno> {
    memory::check(mem, nwritten, 4)?;
    let descriptor = ctx.table.get_mut(fd)?;
    if let Object::Directory(_) = descriptor.object {
        return Err(Errno::BadF);
    }
    descriptor.require(Rights::FD_WRITE)?;
    let bufs = memory::gather(mem, iovs, iovs_len)?;
    let nonblocking = descriptor.flags.contains(FdFlags::NONBLOCK);
    let len = match &mut descriptor.object {
        Object::File(fd) => transfer(|| rustix::io::writev(&*fd, &bufs))?,
        Object::Stream(fd) => {
            let waiting = Waiting {
                direction: PollFlags::OUT,
                nonblocking,
                interrupts: &ctx.interrupts,
            };
            transfer_stream(fd.as_fd(), &waiting, || rustix::io::writev(&*fd, &bufs))?
        }
        Object::Writer(writer) => {
            let wanted = bufs.iter().map(|buf| buf.len()).sum();
            let len = uninterrupted(|| writer.write_vectored(&bufs))?;
            uninterrupted(|| writer.flush())?;
            // As for a reader: never report more than there was.
            len.min(wanted)
        }
        Object::Reader(_) | Object::Directory(_) => return Err(Errno::BadF),
    };
    memory::write_u32(mem, nwritten, len as u32)
}

/// Reads from a place in a file.
pub fn fd_pread(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Result<(), Errno> {
    memory::check(mem, nread, 4)?;
    let descriptor = ctx.table.get(fd)?;
    let file = descriptor.file()?;
    descriptor.require(Rights::FD_READ)?;
    check_offset(offset)?;
    let mut bufs = memory::scatter(mem, iovs, iovs_len)?;
    let len = transfer(|| rustix::io::preadv(file, &mut bufs, offset))?;
    memory::write_u32(mem, nread, len as u32)
}

/// Writes at a place in a file.
pub fn fd_pwrite(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Result<(), Errno> {
    memory::check(mem, nwritten, 4)?;
    let descriptor = ctx.table.get(fd)?;
    let file = descriptor.file()?;
    descriptor.require(Rights::FD_WRITE)?;
    check_offset(offset)?;
    let bufs = memory::gather(mem, iovs, iovs_len)?;
    let len = transfer(|| rustix::io::pwritev(file, &bufs, offset))?;
    memory::write_u32(mem, nwritten, len as u32)
}

/// Moves a descriptor's position, and stores the new one.
pub fn fd_seek(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    offset: i64,
    whence: u32,
    position: u32,
) -> Result<(), Errno> {
    memory::check(mem, position, 8)?;
    let descriptor = ctx.table.get(fd)?;
    let file = descriptor.file()?;
    let to = match whence {
        0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::Inval),
    };
    // Asking where we are is a lesser right than going elsewhere.
    let wanted = if matches!(to, SeekFrom::Current(0)) {
        Rights::FD_TELL
    } else {
        Rights::FD_SEEK
    };
    if !descriptor.rights.intersects(wanted | Rights::FD_SEEK) {
        return Err(missing_position(&descriptor.object));
    }
    let at = rustix::fs::seek(file, to)?;
    memory::write_u64(mem, position, at)
}

/// Stores a descriptor's position.
pub fn fd_tell(ctx: &mut WasiCtx, mem: &mut [u8], fd: u32, position: u32) -> Result<(), Errno> {
    memory::check(mem, position, 8)?;
    let descriptor = ctx.table.get(fd)?;
    let file = descriptor.file()?;
    if !descriptor.rights.contains(Rights::FD_TELL) {
        return Err(missing_position(&descriptor.object));
    }
    memory::write_u64(mem, position, rustix::fs::tell(file)?)
}

/// A terminal never had the right to seek; a file's was given up.
fn missing_position(object: &Object) -> Errno {
    if let Object::Stream(_) = object {
        Errno::SPipe
    } else {
        Errno::NotCapable
    }
}

/// Tells the host how a file will be used.
pub fn fd_advise(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Result<(), Errno> {
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Inval),
    };
    let descriptor = ctx.table.get(fd)?;
    let file = descriptor.file()?;
    descriptor.require(Rights::FD_ADVISE)?;
    check_offset(offset)?;
    check_offset(len)?;
    Ok(rustix::fs::fadvise(
        file,
        offset,
        NonZeroU64::new(len),
        advice,
    )?)
}

/// Makes room in a file, extending it if need be.
pub fn fd_allocate(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    offset: u64,
    len: u64,
) -> Result<(), Errno> {
    let descriptor = ctx.table.get(fd)?;
    let file = descriptor.file()?;
    descriptor.require_mutable(Rights::FD_ALLOCATE)?;
    check_offset(offset)?;
    check_offset(len)?;
    Ok(rustix::fs::fallocate(
        file,
        FallocateFlags::empty(),
        offset,
        len,
    )?)
}

/// Waits until a file's contents are on the disk.
pub fn fd_datasync(ctx: &mut WasiCtx, _mem: &mut [u8], fd: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get(fd)?;
    if !descriptor
        .rights
        .intersects(Rights::FD_DATASYNC | Rights::FD_SYNC)
    {
        return Err(Errno::NotCapable);
    }
    Ok(descriptor.host_fd().map_or(Ok(()), rustix::fs::fdatasync)?)
}

/// Waits until a file's contents and metadata are on the disk.
pub fn fd_sync(ctx: &mut WasiCtx, _mem: &mut [u8], fd: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get(fd)?;
    descriptor.require(Rights::FD_SYNC)?;
    Ok(descriptor.host_fd().map_or(Ok(()), rustix::fs::fsync)?)
}

/// How to wait for a stream. It is shared with other processes, any of which may have made it blocking or not; to the guest
/// it is what the guest made it.
struct Waiting<'ctx> {
    direction: PollFlags,
    nonblocking: bool,
    interrupts: &'ctx Interrupts,
}

impl Waiting<'_> {
    /// Waits until the stream is ready; for a guest that does not want to wait, fails if it is not.
    fn wait(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut fds = [PollFd::from_borrowed_fd(fd, self.direction)];
        let timeout = if self.nonblocking { Some(0) } else { None };
        let ready = self.interrupts.poll(&mut fds, timeout)?;
        if ready == 0 {
            Err(Errno::Again)
        } else {
            Ok(())
        }
    }
}

/// Runs a read or write of the host's on a stream.
fn transfer_stream(
    fd: BorrowedFd<'_>,
    waiting: &Waiting<'_>,
    mut call: impl FnMut() -> Result<usize, Host>,
) -> Result<usize, Errno> {
    if waiting.nonblocking || waiting.interrupts.are_possible() {
        waiting.wait(fd)?;
    }
    loop {
        match transfer(&mut call) {
            Err(Errno::Again) if !waiting.nonblocking => waiting.wait(fd)?,
            result => return result,
        }
    }
}

/// Runs a read or write of the host's. The host's signals are not the guest's, so an interrupted call is repeated.
fn transfer(mut call: impl FnMut() -> Result<usize, Host>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Host::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Reads into the first buffer only: a second read might block although there is something to return.
fn read_some(reader: &mut impl Read, bufs: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
    let Some(buf) = bufs.first_mut() else {
        return Ok(0);
    };
    // A reader that claims more than there was room for would mislead the guest.
    Ok(uninterrupted(|| reader.read(buf))?.min(buf.len()))
}

fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return Ok(result?),
        }
    }
}
