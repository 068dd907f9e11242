//! The LLVM compile server that [`Backend::Llvm`](crate::Backend::Llvm) uses: where it is, and what it says of itself.

pub use upshift_llvm::{find_server, places, server_version};
