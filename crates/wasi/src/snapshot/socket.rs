//! Sockets, of which a guest has none: a descriptor that is open is something else.

use crate::context::WasiCtx;
use crate::errno::Errno;

/// Fails: not a socket.
pub fn sock_accept(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    _flags: u32,
    _new_fd: u32,
) -> Result<(), Errno> {
    not_a_socket(ctx, fd)
}

/// Fails: not a socket.
#[expect(clippy::too_many_arguments, reason = "the interface's own")]
pub fn sock_recv(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    _ri_data: u32,
    _ri_data_len: u32,
    _ri_flags: u32,
    _ro_data_len: u32,
    _ro_flags: u32,
) -> Result<(), Errno> {
    not_a_socket(ctx, fd)
}

/// Fails: not a socket.
pub fn sock_send(
    ctx: &mut WasiCtx,
    _mem: &mut [u8],
    fd: u32,
    _si_data: u32,
    _si_data_len: u32,
    _si_flags: u32,
    _so_data_len: u32,
) -> Result<(), Errno> {
    not_a_socket(ctx, fd)
}

/// Fails: not a socket.
pub fn sock_shutdown(ctx: &mut WasiCtx, _mem: &mut [u8], fd: u32, _how: u32) -> Result<(), Errno> {
    not_a_socket(ctx, fd)
}

fn not_a_socket(ctx: &WasiCtx, fd: u32) -> Result<(), Errno> {
    ctx.table.get(fd)?;
    Err(Errno::NotSock)
}
