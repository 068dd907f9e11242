//! Stencils of the operations of any language: from the function that lowers an operation for the optimizing tiers to
//! code that tier 0 can copy.
//!
//! The lowering is run in a function of its own, a template, with the operands as parameters and the result as what it
//! returns. A front end whose operations are known in advance makes them in advance and commits the table. One whose
//! operations are defined when a program starts makes them then, at some 30 µs each, and may keep them in a file:
//! a [`StencilBuf`] is written and read as a line of text.

use crate::Error;
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, Signature, Type, UserFuncName, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::sync::Arc;
use upshift_base::{FuncId, Owner, Tier, World};
use upshift_codegen::{CompileError, CompileKind, CompileRequest, Compiler, symbol};
use upshift_cranelift::{CraneliftCompiler, Effort, Options};
use upshift_runtime::RuntimeError;
use upshift_stencil::{Architecture, StencilBuf, Ty};

/// Makes stencils.
pub struct StencilMaker {
    architecture: Architecture,
    compiler: Arc<dyn Compiler>,
}

impl StencilMaker {
    /// For the architecture that `compiler` makes code for, with the settings that all tiers share.
    pub fn new(architecture: Architecture, compiler: Arc<dyn Compiler>) -> StencilMaker {
        StencilMaker {
            architecture,
            compiler,
        }
    }

    /// For the x86-64 machine that this runs on.
    ///
    /// # Errors
    /// If Cranelift does not support the machine.
    pub fn host(canonical_nans: bool) -> Result<StencilMaker, Error> {
        let compiler = CraneliftCompiler::new(Options {
            effort: Effort::Speed,
            canonical_nans,
            verify: false,
        });
        let compiler = compiler.map_err(|error| failed("a stencil", error))?;
        Ok(StencilMaker::new(Architecture::X64, Arc::new(compiler)))
    }

    /// The stencil of an operation: `lower` gets the operands and returns the result.
    ///
    /// # Errors
    /// If the operation cannot be compiled, or its code is not of the shape of a stencil. The error has the name.
    pub fn make(
        &self,
        name: &str,
        operands: &[Type],
        result: Option<Type>,
        lower: impl FnOnce(&mut FunctionBuilder<'_>, &[Value]) -> Option<Value>,
    ) -> Result<StencilBuf, Error> {
        let request = CompileRequest {
            function: FuncId(0),
            tier: Tier::Baseline,
            kind: CompileKind::Entry,
            world: World::FIRST,
            owner: Owner::BUILT_IN,
            body: template(operands, result, lower),
        };
        let code = self.compiler.compile(&request);
        let code = code.map_err(|error| failed(name, error))?;
        let operands: Vec<_> = operands.iter().copied().map(kept_as).collect();
        StencilBuf::new(self.architecture, &code, &operands, result.map(kept_as))
            .map_err(|error| failed(name, CompileError::Bailout(error.to_string())))
    }
}

fn failed(name: &str, error: CompileError) -> Error {
    let name = name.to_owned();
    RuntimeError::Compile { name, error }.into()
}

/// A function that does one operation and nothing else.
fn template(
    operands: &[Type],
    result: Option<Type>,
    lower: impl FnOnce(&mut FunctionBuilder<'_>, &[Value]) -> Option<Value>,
) -> Function {
    let mut signature = Signature::new(CallConv::Tail);
    let abi = |ty: &Type| AbiParam::new(*ty);
    signature.params.extend(operands.iter().map(abi));
    signature.returns.extend(result.iter().map(abi));
    let mut body = Function::with_name_signature(UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut body, &mut context);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    b.seal_block(block);
    let values = b.block_params(block).to_vec();
    let value = lower(&mut b, &values);
    b.ins().return_(value.as_slice());
    b.finalize(symbol::frontend_config());
    body
}

fn kept_as(ty: Type) -> Ty {
    match ty {
        types::I64 => Ty::I64,
        types::F32 => Ty::F32,
        types::F64 => Ty::F64,
        _ if ty.is_vector() => Ty::V128,
        _ => Ty::I32,
    }
}
