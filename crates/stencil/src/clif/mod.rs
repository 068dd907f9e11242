//! Tier 0 for functions that come as CLIF: the assembler driven by one pass over the instructions.
//!
//! What a value is says where it is: constants and addresses in the frame are made where they are used, all others are
//! locals of the assembler, in registers as long as there are any, with a home slot each. [`scan`] finds the order of
//! the blocks, where loops end and how often values are used; `values` tells from that when one is dead. `state`
//! translates between values and the assembler's operands, `edge` is what happens at jumps, `condition` at comparisons
//! and what looks at them, `arithmetic`, `memory` and `call` are the other instructions, [`stencils`] those that are
//! copied. `function` is the pass.

mod arithmetic;
mod call;
mod condition;
mod edge;
mod function;
mod memory;
mod scan;
mod state;
mod stencils;
mod table;
mod values;
mod vector;

pub use table::{OPERANDS_MAX, operation_key};
pub use vector::is_encoded_operation;

use upshift_codegen::{CompileError, CompileRequest, CompiledCode, Compiler};

/// Copy-and-patch as a compiler of CLIF, for functions whose counters are planted already.
#[derive(Clone, Copy, Debug)]
pub struct ClifCompiler {
    canonical_nans: bool,
}

impl ClifCompiler {
    /// Makes one; `canonical_nans` says whether operations that produce a NaN must produce the canonical one.
    pub fn new(canonical_nans: bool) -> ClifCompiler {
        ClifCompiler { canonical_nans }
    }
}

impl Compiler for ClifCompiler {
    fn name(&self) -> &str {
        "copy-and-patch"
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        function::function(&request.body, request.function, self.canonical_nans)
    }
}
