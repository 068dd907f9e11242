//! Arguments, environment, randomness, and the guest's end.

use crate::context::WasiCtx;
use crate::errno::Errno;
use crate::memory;

/// The guest called `proc_exit`. Not an error of ours, but it ends the guest's run like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest exited with code {code}")]
pub struct Exit {
    /// Its exit code; zero means success.
    pub code: u32,
}

/// Stores the pointers to the arguments, and the arguments.
pub fn args_get(ctx: &mut WasiCtx, mem: &mut [u8], argv: u32, argv_buf: u32) -> Result<(), Errno> {
    store_strings(&ctx.args, mem, argv, argv_buf)
}

/// Stores the number of arguments and the bytes they take.
pub fn args_sizes_get(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    argc: u32,
    argv_buf_size: u32,
) -> Result<(), Errno> {
    store_sizes(&ctx.args, mem, argc, argv_buf_size)
}

/// Stores the pointers to the environment variables, and the variables.
pub fn environ_get(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    environ: u32,
    environ_buf: u32,
) -> Result<(), Errno> {
    store_strings(&ctx.env, mem, environ, environ_buf)
}

/// Stores the number of environment variables and the bytes they take.
pub fn environ_sizes_get(
    ctx: &mut WasiCtx,
    mem: &mut [u8],
    count: u32,
    buf_size: u32,
) -> Result<(), Errno> {
    store_sizes(&ctx.env, mem, count, buf_size)
}

/// Fills a buffer with random bytes.
pub fn random_get(ctx: &mut WasiCtx, mem: &mut [u8], buf: u32, buf_len: u32) -> Result<(), Errno> {
    ctx.chance.fill(memory::bytes_mut(mem, buf, buf_len)?)
}

/// Lets other threads of the host run.
pub fn sched_yield(_ctx: &mut WasiCtx, _mem: &mut [u8]) -> Result<(), Errno> {
    rustix::thread::sched_yield();
    Ok(())
}

/// Ends the guest.
pub fn proc_exit(_ctx: &mut WasiCtx, _mem: &mut [u8], code: u32) -> Exit {
    Exit { code }
}

/// There are no signals here.
pub fn proc_raise(_ctx: &mut WasiCtx, _mem: &mut [u8], _signal: u32) -> Result<(), Errno> {
    Err(Errno::NotSup)
}

fn store_sizes(strings: &[Vec<u8>], mem: &mut [u8], count: u32, size: u32) -> Result<(), Errno> {
    let bytes = strings
        .iter()
        .map(|string| string.len() as u64 + 1)
        .sum::<u64>();
    memory::write_u32(
        mem,
        count,
        u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?,
    )?;
    memory::write_u32(
        mem,
        size,
        u32::try_from(bytes).map_err(|_| Errno::Overflow)?,
    )
}

fn store_strings(
    strings: &[Vec<u8>],
    mem: &mut [u8],
    pointers: u32,
    buf: u32,
) -> Result<(), Errno> {
    let mut pointer = pointers;
    let mut at = buf;
    for string in strings {
        memory::write_u32(mem, pointer, at)?;
        memory::write(mem, at, string)?;
        at = at.checked_add(string.len() as u32).ok_or(Errno::Fault)?;
        memory::write(mem, at, &[0])?;
        at = at.checked_add(1).ok_or(Errno::Fault)?;
        pointer = pointer.checked_add(4).ok_or(Errno::Fault)?;
    }
    Ok(())
}
