//! LLVM as one of Upshift's compilers, in a process of its own.
//!
//! This crate is the near side: the protocol ([`protocol`]) and a [`Compiler`](upshift_codegen::Compiler) that sends
//! its requests to a compile server ([`LlvmCompiler`]). It knows nothing of LLVM. The far side, `upshift-llvm`, is a
//! package of its own outside of the workspace, which links LLVM. That process may crash, hang or use up its memory:
//! the job that it was at is lost, and the function stays in the tier that it is in.
//!
//! ```text
//! request ─▶ CLIF as text ─▶ frame ─▶ socket ─▶ upshift-llvm ─▶ socket ─▶ frame ─▶ CompiledCode | Bailout | Failed
//! ```
#![forbid(unsafe_code)]

pub mod protocol;

mod arch;
mod artefact;
mod client;
mod find;
mod server;
mod stream;
mod text;
mod wire;

pub use client::{LlvmCompiler, Options, server_threads};
pub use find::{SERVER, find_server, places, server_version};
pub use stream::limit_memory;
pub use text::clif;
