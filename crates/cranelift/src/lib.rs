//! Cranelift as one of Upshift's compilers: a request in, relocatable code out.
//!
//! The same compiler serves several tiers with different settings: without optimization as a stand-in for tier 0,
//! at full optimization as tier 1. The ABI-relevant settings are the same for all of them, so that code of any tier can
//! call code of any other.
#![forbid(unsafe_code)]

mod arch;
mod artefact;
mod operands;
mod placement;
#[cfg(test)]
mod tests;

use cranelift_codegen::CodegenError;
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable, OptLevel, SetError};
use std::fmt;
use upshift_codegen::{CompileError, CompileRequest, CompiledCode, Compiler};

/// How hard Cranelift tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// No optimization, and a register allocator that makes one pass.
    None,
    /// All optimizations.
    Speed,
}

/// What a [`CraneliftCompiler`] is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How hard to optimize.
    pub effort: Effort,
    /// Make every NaN that an operation produces the canonical one, so that results are the same on every machine.
    pub canonical_nans: bool,
    /// Verify each function's IR before compiling it. Costs a few percent of the compile time.
    pub verify: bool,
}

/// A compiler for the host, backed by Cranelift.
pub struct CraneliftCompiler {
    isa: OwnedTargetIsa,
    name: &'static str,
}

impl fmt::Debug for CraneliftCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CraneliftCompiler")
            .field("name", &self.name)
            .field("target", &self.isa.triple().to_string())
            .finish()
    }
}

impl CraneliftCompiler {
    /// Makes a compiler for the machine it runs on, using all the CPU features that this machine has.
    ///
    /// # Errors
    /// If Cranelift does not support the machine.
    pub fn new(options: Options) -> Result<CraneliftCompiler, CompileError> {
        let builder = cranelift_native::builder()
            .map_err(|what| CompileError::Failed(format!("setting up Cranelift: {what}")))?;
        CraneliftCompiler::with_isa(builder, options)
    }

    /// Makes a compiler for another machine: `target` as in a target triple, and what its processor has beyond the
    /// architecture's baseline.
    ///
    /// # Errors
    /// If Cranelift does not know the target or a feature, or was built without it.
    pub fn for_target(
        target: &str,
        features: &[&str],
        options: Options,
    ) -> Result<CraneliftCompiler, CompileError> {
        let unsupported = |what: &dyn fmt::Display| {
            CompileError::Failed(format!("setting up Cranelift for {target}: {what}"))
        };
        let mut builder = isa::lookup_by_name(target).map_err(|e| unsupported(&e))?;
        for feature in features {
            builder.enable(feature).map_err(|e| unsupported(&e))?;
        }
        CraneliftCompiler::with_isa(builder, options)
    }

    fn with_isa(
        builder: isa::Builder,
        options: Options,
    ) -> Result<CraneliftCompiler, CompileError> {
        let unsupported =
            |what: &dyn fmt::Display| CompileError::Failed(format!("setting up Cranelift: {what}"));
        let flags = shared_flags(options).map_err(|e| unsupported(&e))?;
        let isa = builder.finish(flags).map_err(|e| unsupported(&e))?;
        let name = match options.effort {
            Effort::None => "cranelift-none",
            Effort::Speed => "cranelift-speed",
        };
        Ok(CraneliftCompiler { isa, name })
    }
}

/// The settings of one compiler; everything that decides the ABI is the same whatever the options are.
fn shared_flags(options: Options) -> Result<settings::Flags, SetError> {
    let mut flags = settings::builder();
    // Calls of functions that are not colocated go through an address cell: the function's entry slot.
    flags.enable("is_pic")?;
    // Tail calls need them, and backtraces walk them.
    flags.enable("preserve_frame_pointers")?;
    // More results than registers come back through memory.
    flags.enable("enable_multi_ret_implicit_sret")?;
    // A frame larger than the guard page touches each of its pages, so that an overflow always faults.
    flags.enable("enable_probestack")?;
    flags.set("probestack_strategy", "inline")?;
    // Backtraces come from frame pointers; nobody reads unwind tables.
    flags.set("unwind_info", "false")?;
    flags.set("libcall_call_conv", "system_v")?;
    match options.effort {
        Effort::None => {
            flags.set("opt_level", "none")?;
            flags.set("regalloc_algorithm", "single_pass")?;
        }
        Effort::Speed => {
            flags.set("opt_level", "speed")?;
            // Where blocks begin, to find the loops.
            flags.set("machine_code_cfg_info", "true")?;
        }
    }
    let set = |on: bool| if on { "true" } else { "false" };
    flags.set("enable_nan_canonicalization", set(options.canonical_nans))?;
    flags.set("enable_verifier", set(options.verify))?;
    Ok(settings::Flags::new(flags))
}

impl Compiler for CraneliftCompiler {
    fn name(&self) -> &str {
        self.name
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        let mut context = Context::for_function(request.body.clone());
        if self.isa.flags().opt_level() != OptLevel::None {
            operands::add_negated_constants(&mut context.func);
        }
        let compiled = context
            .compile(&*self.isa, &mut ControlPlane::default())
            .map_err(|error| describe(error.inner, error.func))?;
        artefact::from_cranelift(compiled, &request.body, self.isa.function_alignment())
    }
}

fn describe(error: CodegenError, body: &cranelift_codegen::ir::Function) -> CompileError {
    match error {
        CodegenError::Unsupported(what) => {
            CompileError::Bailout(format!("Cranelift does not support {what} here"))
        }
        CodegenError::ImplLimitExceeded | CodegenError::CodeTooLarge => {
            CompileError::Bailout(format!("{error}"))
        }
        CodegenError::Verifier(errors) => CompileError::Failed(format!(
            "invalid CLIF: {}",
            cranelift_codegen::print_errors::pretty_verifier_error(body, None, errors)
        )),
        other => CompileError::Failed(other.to_string()),
    }
}
