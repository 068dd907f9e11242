//! What a compiler is asked, and what it may answer.

use crate::CompiledCode;
use cranelift_codegen::ir;
use std::fmt;
use upshift_base::{FuncId, Owner, Tier, World};

/// What entry of a function is to be compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CompileKind {
    /// The function as its callers see it.
    Entry,
    /// The function from the header of its loop with that index on, entered in the middle of an activation; see
    /// [`crate::osr`].
    Osr(u32),
    /// Code of the runtime's own around a function: a host-to-guest trampoline or a guest-to-host stub.
    Trampoline,
}

/// One compilation job: a body, already lowered to the optimizer's IR, and what it is for.
#[derive(Clone, Debug)]
pub struct CompileRequest {
    /// The function that the code is for.
    pub function: FuncId,
    /// The tier that asked; a compiler may serve several.
    pub tier: Tier,
    /// Which entry.
    pub kind: CompileKind,
    /// The world that the body was read in.
    pub world: World,
    /// Who will own the code.
    pub owner: Owner,
    /// The body. Names in it follow [`crate::symbol`].
    pub body: ir::Function,
}

/// A compiler: a pure function from a request to code.
pub trait Compiler: Send + Sync + fmt::Debug {
    /// The compiler's name in events and reports, for example `cranelift-speed`.
    fn name(&self) -> &str;

    /// Compiles one body.
    ///
    /// # Errors
    /// [`CompileError::Bailout`] if this compiler declines the body, which is not a fault: the function keeps running
    /// in the tier below. [`CompileError::Failed`] if the body is wrong or the compiler broke.
    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError>;
}

/// Why there is no code.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler declines: it cannot do some operation exactly, or the body is beyond its limits.
    #[error("the compiler declined: {0}")]
    Bailout(String),
    /// The body is invalid, or the compiler failed on it.
    #[error("{0}")]
    Failed(String),
}
