//! The functions of `wasi_snapshot_preview1` as plain functions over a guest's [`WasiCtx`](crate::WasiCtx) and its memory,
//! whatever engine runs it. Arguments are as in the interface: pointers and lengths are offsets into `mem`, results are stored
//! where the guest asks. Each function checks all it was given; none panics, and none allocates or loops in proportion to
//! a number that the guest merely named.
//!
//! [`crate::FUNCTIONS`] lists them with their WebAssembly signatures, for an engine to import.

mod clock;
mod descriptor;
mod environment;
mod path;
mod poll;
mod socket;
mod transfer;

pub use clock::{clock_res_get, clock_time_get};
pub use descriptor::{
    fd_close, fd_fdstat_get, fd_fdstat_set_flags, fd_fdstat_set_rights, fd_filestat_get,
    fd_filestat_set_size, fd_filestat_set_times, fd_prestat_dir_name, fd_prestat_get, fd_readdir,
    fd_renumber,
};
pub use environment::{
    Exit, args_get, args_sizes_get, environ_get, environ_sizes_get, proc_exit, proc_raise,
    random_get, sched_yield,
};
pub use path::{
    path_create_directory, path_filestat_get, path_filestat_set_times, path_link, path_open,
    path_readlink, path_remove_directory, path_rename, path_symlink, path_unlink_file,
};
pub use poll::poll_oneoff;
pub use socket::{sock_accept, sock_recv, sock_send, sock_shutdown};
pub use transfer::{
    fd_advise, fd_allocate, fd_datasync, fd_pread, fd_pwrite, fd_read, fd_seek, fd_sync, fd_tell,
    fd_write,
};
