//! Descriptors as such: their status, their rights, their metadata, their numbers; and listing a directory.

use crate::abi::{self, FDSTAT_SIZE, FILESTAT_SIZE, FdFlags, GuestFileType, Rights};
use crate::context::WasiCtx;
use crate::errno::Errno;
use crate::memory;
use crate::table::{Access, Descriptor, Object};
use crate::times::timestamps;
use rustix::fs::OFlags;
use std::os::fd::AsFd;

/// Closes a descriptor.
pub fn fd_close(ctx: &mut WasiCtx, _mem: &mut [u8], fd: u32) -> Result<(), Errno> {
    ctx.table.remove(fd).map(drop)
}

/// Moves a descriptor to another number in use, closing what had that number.
pub fn fd_renumber(ctx: &mut WasiCtx, _mem: &mut [u8], from: u32, to: u32) -> Result<(), Errno> {
    ctx.table.renumber(from, to)
}

/// Stores a descriptor's type, flags and rights.
pub fn fd_fdstat_get(ctx: &mut WasiCtx, mem: &mut [u8], fd: u32, stat: u32) -> Result<(), Errno> {
    memory::check(mem, stat, FDSTAT_SIZE)?;
    let descriptor = ctx.table.get(fd)?;
    let kind = descriptor.file_type()?;
    let layout = abi::fdstat(
        kind,
        descriptor.flags,
        descriptor.rights,
        descriptor.inheriting,
    );
    memory::write(mem, stat, &layout)
}

/// Changes a descriptor's flags. How a file is synchronized is settled when it is opened.
pub fn fd_fdstat_set_flags(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    flags: u32,
) -> Result<(), Errno> {
    let flags = FdFlags::from_guest(flags)?;
    let descriptor = ctx.table.get_mut(fd)?;
    descriptor.require(Rights::FD_FDSTAT_SET_FLAGS)?;
    let changeable = FdFlags::APPEND | FdFlags::NONBLOCK;
    if (descriptor.flags.0 ^ flags.0) & !changeable != 0 {
        return Err(Errno::NotSup);
    }
    // A stream's status flags belong to everybody who shares it; non-blocking use of it is brought about at each read and
    // write instead.
    if let Object::File(file) = &descriptor.object {
        let kept = rustix::fs::fcntl_getfl(file)? - (OFlags::APPEND | OFlags::NONBLOCK);
        rustix::fs::fcntl_setfl(file, kept | FdFlags(flags.0 & changeable).to_host())?;
    }
    descriptor.flags = flags;
    Ok(())
}

/// Gives up rights.
pub fn fd_fdstat_set_rights(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    base: u64,
    inheriting: u64,
) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    let (base, inheriting) = (Rights(base), Rights(inheriting));
    if !descriptor.rights.contains(base) || !descriptor.inheriting.contains(inheriting) {
        return Err(Errno::NotCapable);
    }
    descriptor.rights = base;
    descriptor.inheriting = inheriting;
    Ok(())
}

/// Stores the metadata of what a descriptor stands for.
pub fn fd_filestat_get(ctx: &mut WasiCtx, mem: &mut [u8], fd: u32, stat: u32) -> Result<(), Errno> {
    memory::check(mem, stat, FILESTAT_SIZE)?;
    let descriptor = ctx.table.get(fd)?;
    descriptor.require(Rights::FD_FILESTAT_GET)?;
    let layout = match descriptor.host_fd() {
        Some(fd) => ctx.chance.filestat(&rustix::fs::fstat(fd)?),
        None => {
            let mut layout = [0; FILESTAT_SIZE as usize];
            layout[16] = GuestFileType::Unknown as u8;
            layout
        }
    };
    memory::write(mem, stat, &layout)
}

/// Truncates or extends a file.
pub fn fd_filestat_set_size(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    size: u64,
) -> Result<(), Errno> {
    let descriptor = ctx.table.get(fd)?;
    let file = descriptor.file()?;
    if descriptor.access == Access::ReadWrite && !descriptor.rights.contains(Rights::FD_WRITE) {
        // A file that is not open for writing: no matter of rights to `wasi-libc`, which passes this error on as it is.
        return Err(Errno::Inval);
    }
    descriptor.require_mutable(Rights::FD_FILESTAT_SET_SIZE)?;
    check_offset(size)?;
    Ok(rustix::fs::ftruncate(file, size)?)
}

/// Sets a file's or a directory's times.
pub fn fd_filestat_set_times(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    access: u64,
    modification: u64,
    flags: u32,
) -> Result<(), Errno> {
    let times = timestamps(access, modification, flags)?;
    let descriptor = ctx.table.get(fd)?;
    descriptor.require_mutable(Rights::FD_FILESTAT_SET_TIMES)?;
    let fd = descriptor.host_fd().ok_or(Errno::Inval)?;
    Ok(rustix::fs::futimens(fd, &times)?)
}

/// Stores that this is a preopened directory, and the length of its name.
pub fn fd_prestat_get(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    prestat: u32,
) -> Result<(), Errno> {
    let name_len = preopened_name(ctx.table.get(fd)?)?.len() as u32;
    let mut layout = [0; 8];
    layout[4..8].copy_from_slice(&name_len.to_le_bytes());
    memory::write(mem, prestat, &layout)
}

/// Stores a preopened directory's name, without a final zero byte.
pub fn fd_prestat_dir_name(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let name = preopened_name(ctx.table.get(fd)?)?;
    if name.len() as u64 > u64::from(path_len) {
        return Err(Errno::NameTooLong);
    }
    memory::write(mem, path, name)
}

fn preopened_name(descriptor: &Descriptor) -> Result<&[u8], Errno> {
    // `wasi-libc` finds the preopened directories by asking until it gets this error.
    let directory = descriptor.directory().map_err(|_| Errno::BadF)?;
    directory.preopened_as.as_deref().ok_or(Errno::BadF)
}

/// Stores directory entries from `cookie` on, as many as fit, the last one cut off; and the bytes used.
pub fn fd_readdir(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    used: u32,
) -> Result<(), Errno> {
    memory::check(mem, used, 4)?;
    let descriptor = ctx.table.get_mut(fd)?;
    descriptor.directory()?;
    descriptor.require(Rights::FD_READDIR)?;
    let Object::Directory(directory) = &mut descriptor.object else {
        return Err(Errno::NotDir);
    };
    let out = memory::bytes_mut(mem, buf, buf_len)?;
    let number = |device, inode| ctx.chance.inode(device, inode);
    let fd = directory.fd.as_fd();
    let out_used = directory.listing.read(fd, cookie, out, number)?;
    memory::write_u32(mem, used, out_used as u32)
}

/// Refuses sizes and offsets that the host, for which they are signed, would take for negative.
pub(super) fn check_offset(offset: u64) -> Result<(), Errno> {
    i64::try_from(offset).map(drop).map_err(|_| Errno::Inval)
}
