//! The seam for front ends: sources of functions, the ways between host and guest, and how generated code names things.
//!
//! A front end implements [`FunctionSource`] and gives it to [`Engine::define`](crate::Engine::define). It enters guest
//! code through [`Engine::trampoline`](crate::Engine::trampoline), and lets guest code call the host through
//! [`Engine::host_stub`](crate::Engine::host_stub) and [`host_call`]. Its CLIF names functions as [`symbol`] says.

#[cfg(feature = "stencil-generator")]
pub use crate::template::StencilMaker;
pub use upshift_base::{FuncId, Guard, GuardReason, Owner, Tier, TrapKind, World};
pub use upshift_codegen::{
    AccessSite, BaselineRequest, BodyEntry, BodyRequest, CompileError, CompileKind, CompileRequest,
    CompiledCode, Compiler, RelocKind, Relocation, SourcePosition, Target, TrapSite, call_site,
    deopt, frame_log, loops, osr, symbol,
};
pub use upshift_runtime::{
    Backtrace, EntrySlot, Frame, FunctionGroup, FunctionSource, GuestMemoryRange, HostEntry,
    HostError, HostFailure, HostStub, RawValue, Trampoline, Trap, Unwind, host_call,
    register_guest_memory,
};
pub use upshift_stencil as stencil;
