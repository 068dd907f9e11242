//! The seam between the runtime and its compilers: plain data in, plain data out.
//!
//! A [`Compiler`] turns a [`CompileRequest`] into [`CompiledCode`] and touches nothing else: no code memory, no code
//! table, no profile. So a compiler may run on any thread, in any order, in another process, and its result may be
//! thrown away or kept on disk. Every tier returns the same kind of artefact, which one linker places.
#![forbid(unsafe_code)]

pub mod call_site;
pub mod deopt;
pub mod frame_log;
pub mod loops;
pub mod osr;
pub mod symbol;

mod code;
mod compiler;

pub use code::{
    AccessSite, CompiledCode, InlinedCall, RelocKind, Relocation, SourcePosition, Target, TrapSite,
};
pub use compiler::{
    BaselineRequest, BodyEntry, BodyRequest, CallSitePlan, CompileError, CompileKind,
    CompileRequest, Compiler, CounterPlan,
};
pub use cranelift_codegen;
