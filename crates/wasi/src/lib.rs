//! WASI preview 1 for Upshift: arguments, environment, standard streams, clocks, randomness, files in preopened directories.
//!
//! The interface is small, about forty-five functions over a memory, and they are written here, straight on the host's
//! system calls through `rustix`. `wasi-common` would bring its own memory model, is no longer developed, and pulls in
//! parts of another engine. `cap-std` resolves paths well, but hands out files through an interface made for programs
//! rather than for guests, from which WASI's rights and error numbers would have to be recovered; and the escapes found
//! in it on Linux came of giving the host a path's last component together with the slash that follows it. Here the host
//! never sees that: the module `resolve` opens a path's parent with `openat2(RESOLVE_BENEATH)`, or one component at a
//! time where that is missing, and acts on a single name.
//!
//! Four layers, each knowing only those before it: the vocabulary (`errno`, `abi`, `memory`), what a guest has
//! (`resolve`, `directory`, `stdio`, `interrupt`, `table`, `chance`, `context`), the functions ([`snapshot`], and their list, [`FUNCTIONS`]), and
//! their import into an instance ([`add_to_linker`]). Only the last knows the engine: to the others a guest is a
//! [`WasiCtx`] and some bytes.
//!
//! What a guest names is never trusted: pointers and lengths are checked, paths cannot leave their directory, nothing is
//! allocated in proportion to a number the guest merely made up, and nothing here panics.
#![forbid(unsafe_code)]

mod abi;
mod chance;
mod context;
mod directory;
mod errno;
mod functions;
mod interrupt;
mod linker;
mod memory;
mod resolve;
pub mod snapshot;
mod stdio;
mod table;
#[cfg(test)]
mod tests;
mod times;

pub use context::{Error, WasiCtx, WasiCtxBuilder};
pub use errno::Errno;
pub use functions::{Call, FUNCTIONS, Function, MODULE, ValueType};
pub use linker::add_to_linker;
pub use snapshot::Exit;
pub use stdio::{Capture, Input, Output};
pub use table::Access;
