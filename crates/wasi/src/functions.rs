//! The one list of the interface's functions, with the WebAssembly signature of each, made from the signatures in
//! [`crate::snapshot`]. An engine imports the interface by going through it.

use crate::context::WasiCtx;
use crate::errno::Errno;
use crate::snapshot::{self, Exit};

/// The name of the module that guests import the functions from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
}

/// A function of the interface in a form that is the same for all.
pub type Call = fn(&mut WasiCtx, &mut [u8], &[u64]) -> Result<i32, Exit>;

/// One function of the interface.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The types of its parameters.
    pub params: &'static [ValueType],
    /// Whether it returns an `i32`, the error number. Only `proc_exit` does not.
    pub has_result: bool,
    /// Calls it with the guest's memory and the arguments, each zero-extended to 64 bits, and returns the error number, zero
    /// for success. An argument that is missing counts as zero.
    pub call: Call,
}

/// An argument as the functions take it, out of one as WebAssembly passes it.
trait Argument {
    const TYPE: ValueType;
    fn from_raw(raw: u64) -> Self;
}

impl Argument for u32 {
    const TYPE: ValueType = ValueType::I32;
    fn from_raw(raw: u64) -> u32 {
        raw as u32
    }
}

impl Argument for u64 {
    const TYPE: ValueType = ValueType::I64;
    fn from_raw(raw: u64) -> u64 {
        raw
    }
}

impl Argument for i64 {
    const TYPE: ValueType = ValueType::I64;
    fn from_raw(raw: u64) -> i64 {
        raw as i64
    }
}

/// What a function returns, as WebAssembly is told.
trait Outcome {
    const HAS_RESULT: bool;
    fn into_result(self) -> Result<i32, Exit>;
}

impl Outcome for Result<(), Errno> {
    const HAS_RESULT: bool = true;
    fn into_result(self) -> Result<i32, Exit> {
        Ok(self.map_or_else(|errno| errno as i32, |()| 0))
    }
}

impl Outcome for Exit {
    const HAS_RESULT: bool = false;
    fn into_result(self) -> Result<i32, Exit> {
        Err(self)
    }
}

macro_rules! functions {
    ($($name:ident($($arg:ident: $type:ty),*) -> $outcome:ty;)*) => {
        /// All functions of the interface.
        pub static FUNCTIONS: &[Function] = &[$(
            Function {
                name: stringify!($name),
                params: &[$(<$type as Argument>::TYPE),*],
                has_result: <$outcome as Outcome>::HAS_RESULT,
                call: |ctx, mem, args| {
                    let mut args = args.iter().copied();
                    $(let $arg = <$type>::from_raw(args.next().unwrap_or(0));)*
                    // A function without parameters takes nothing from the arguments.
                    let _ = &mut args;
                    let outcome: $outcome = snapshot::$name(ctx, mem, $($arg),*);
                    outcome.into_result()
                },
            },
        )*];
    };
}

type Status = Result<(), Errno>;

functions! {
    args_get(argv: u32, argv_buf: u32) -> Status;
    args_sizes_get(argc: u32, argv_buf_size: u32) -> Status;
    environ_get(environ: u32, environ_buf: u32) -> Status;
    environ_sizes_get(count: u32, buf_size: u32) -> Status;
    clock_res_get(id: u32, resolution: u32) -> Status;
    clock_time_get(id: u32, precision: u64, time: u32) -> Status;
    fd_advise(fd: u32, offset: u64, len: u64, advice: u32) -> Status;
    fd_allocate(fd: u32, offset: u64, len: u64) -> Status;
    fd_close(fd: u32) -> Status;
    fd_datasync(fd: u32) -> Status;
    fd_fdstat_get(fd: u32, stat: u32) -> Status;
    fd_fdstat_set_flags(fd: u32, flags: u32) -> Status;
    fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) -> Status;
    fd_filestat_get(fd: u32, stat: u32) -> Status;
    fd_filestat_set_size(fd: u32, size: u64) -> Status;
    fd_filestat_set_times(fd: u32, access: u64, modification: u64, flags: u32) -> Status;
    fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32) -> Status;
    fd_prestat_get(fd: u32, prestat: u32) -> Status;
    fd_prestat_dir_name(fd: u32, path: u32, path_len: u32) -> Status;
    fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32) -> Status;
    fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32) -> Status;
    fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, used: u32) -> Status;
    fd_renumber(from: u32, to: u32) -> Status;
    fd_seek(fd: u32, offset: i64, whence: u32, position: u32) -> Status;
    fd_sync(fd: u32) -> Status;
    fd_tell(fd: u32, position: u32) -> Status;
    fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32) -> Status;
    path_create_directory(fd: u32, path: u32, path_len: u32) -> Status;
    path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32) -> Status;
    path_filestat_set_times(
        fd: u32, flags: u32, path: u32, path_len: u32, access: u64, modification: u64, time_flags: u32
    ) -> Status;
    path_link(
        old_fd: u32, old_flags: u32, old_path: u32, old_path_len: u32,
        new_fd: u32, new_path: u32, new_path_len: u32
    ) -> Status;
    path_open(
        fd: u32, dirflags: u32, path: u32, path_len: u32, oflags: u32,
        rights_base: u64, rights_inheriting: u64, fdflags: u32, opened_fd: u32
    ) -> Status;
    path_readlink(fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, used: u32) -> Status;
    path_remove_directory(fd: u32, path: u32, path_len: u32) -> Status;
    path_rename(
        old_fd: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32
    ) -> Status;
    path_symlink(target: u32, target_len: u32, fd: u32, path: u32, path_len: u32) -> Status;
    path_unlink_file(fd: u32, path: u32, path_len: u32) -> Status;
    poll_oneoff(subscriptions: u32, events: u32, count: u32, nevents: u32) -> Status;
    proc_exit(code: u32) -> Exit;
    proc_raise(signal: u32) -> Status;
    random_get(buf: u32, buf_len: u32) -> Status;
    sched_yield() -> Status;
    sock_accept(fd: u32, flags: u32, new_fd: u32) -> Status;
    sock_recv(
        fd: u32, ri_data: u32, ri_data_len: u32, ri_flags: u32, ro_data_len: u32, ro_flags: u32
    ) -> Status;
    sock_send(fd: u32, si_data: u32, si_data_len: u32, si_flags: u32, so_data_len: u32) -> Status;
    sock_shutdown(fd: u32, how: u32) -> Status;
}
