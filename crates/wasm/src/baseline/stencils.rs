//! Stencils of the operations that have no encoder of their own: made from the lowering that the optimizing tiers use,
//! each when it is first wanted, and kept for the life of the process.

use super::state::{Driver, bailout};
use crate::lower::{self, Access, Location, Operation};
use cranelift_codegen::ir::types::{F32, F64, I32, I64};
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, TrapCode, Type, UserFuncName,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use upshift::embed::stencil::{Stencil, Ty};
use upshift::embed::{
    CompileError, CompileKind, CompileRequest, Compiler, FuncId, Owner, Tier, World, symbol,
};
use wasmparser::Operator;

/// What tells one stencil from another: its operation's name and immediates, and whether it makes NaNs canonical.
type Key = (&'static str, u128, bool);
/// All that were made so far, and those that could not be made, with the reason.
type Library = RwLock<HashMap<Key, Result<Arc<Stencil>, String>>>;

/// Stencils that are kept. There are fewer operations, but one of them takes a mask of 16 lanes.
const LIBRARY_MAX: usize = 8192;

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(Library::default)
}

/// Compiles an operation by its stencil.
///
/// # Errors
/// If it is no operation of this kind, or has no stencil.
pub(super) fn operation(
    d: &mut Driver<'_, '_>,
    operator: &Operator<'_>,
) -> Result<(), CompileError> {
    let stencil = match lower::operation(operator) {
        Some(operation) => {
            let key = (
                operation.name,
                immediates(operator),
                d.request.canonical_nans,
            );
            find(key, d.request.stencils, || Template::of(&operation))?
        }
        None => {
            let Some(access) = lower::access(operator) else {
                return Err(CompileError::Bailout(format!("{operator:?}")));
            };
            let memory = d.memory_of(&access.memarg)?;
            let (offset, bytes) = (access.memarg.offset, u64::from(access.bytes));
            d.asm
                .native_address(memory, offset, bytes, access.operands.len());
            let key = (access.name, immediates(operator), d.request.canonical_nans);
            find(key, d.request.stencils, || Template::of_access(&access))?
        }
    };
    d.asm.stencil(&stencil);
    Ok(())
}

/// The stencil of that key, made by `compiler` if it is not there yet.
fn find(
    key: Key,
    compiler: &dyn Compiler,
    template: impl FnOnce() -> Template,
) -> Result<Arc<Stencil>, CompileError> {
    let known = library()
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&key)
        .cloned();
    let stencil = known.unwrap_or_else(|| {
        let made = template().compile(compiler).map(Arc::new);
        let made = made.map_err(|reason| format!("no stencil of {}: {reason}", key.0));
        let mut library = library().write().unwrap_or_else(PoisonError::into_inner);
        if library.len() >= LIBRARY_MAX {
            return made;
        }
        library.entry(key).or_insert(made).clone()
    });
    stencil.map_err(|reason| bailout(&reason))
}

/// A function that does one operation and nothing else.
struct Template {
    body: Function,
    operands: Vec<Ty>,
    result: Option<Ty>,
}

impl Template {
    fn of(operation: &Operation<'_>) -> Template {
        template(operation.operands, Some(operation.result), |b, operands| {
            Some(operation.lower(b, operands))
        })
    }

    /// Takes the native address as its first operand.
    fn of_access(access: &Access<'_>) -> Template {
        let operands = [&[I64], access.operands].concat();
        template(&operands, access.result, |b, operands| {
            let location = Location {
                base: operands[0],
                offset: 0,
                flags: MemFlagsData::new().with_trap_code(Some(TrapCode::HEAP_OUT_OF_BOUNDS)),
            };
            access.lower(b, location, &operands[1..])
        })
    }

    fn compile(self, compiler: &dyn Compiler) -> Result<Stencil, String> {
        let request = CompileRequest {
            function: FuncId(0),
            tier: Tier::Baseline,
            kind: CompileKind::Entry,
            world: World::FIRST,
            owner: Owner::BUILT_IN,
            body: self.body,
        };
        let code = compiler.compile(&request).map_err(|e| e.to_string())?;
        Stencil::new(&code, &self.operands, self.result).map_err(|e| e.to_string())
    }
}

fn template(
    operands: &[Type],
    result: Option<Type>,
    lower: impl FnOnce(
        &mut FunctionBuilder<'_>,
        &[cranelift_codegen::ir::Value],
    ) -> Option<cranelift_codegen::ir::Value>,
) -> Template {
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
    Template {
        body,
        operands: operands.iter().copied().map(kept_as).collect(),
        result: result.map(kept_as),
    }
}

fn kept_as(ty: Type) -> Ty {
    match ty {
        I32 => Ty::I32,
        I64 => Ty::I64,
        F32 => Ty::F32,
        F64 => Ty::F64,
        _ => Ty::V128,
    }
}

/// The immediates that the code of an operation depends on: lanes.
fn immediates(operator: &Operator<'_>) -> u128 {
    match *operator {
        Operator::I8x16Shuffle { lanes } => u128::from_le_bytes(lanes),
        Operator::I8x16ExtractLaneS { lane }
        | Operator::I8x16ExtractLaneU { lane }
        | Operator::I8x16ReplaceLane { lane }
        | Operator::I16x8ExtractLaneS { lane }
        | Operator::I16x8ExtractLaneU { lane }
        | Operator::I16x8ReplaceLane { lane }
        | Operator::I32x4ExtractLane { lane }
        | Operator::I32x4ReplaceLane { lane }
        | Operator::I64x2ExtractLane { lane }
        | Operator::I64x2ReplaceLane { lane }
        | Operator::F32x4ExtractLane { lane }
        | Operator::F32x4ReplaceLane { lane }
        | Operator::F64x2ExtractLane { lane }
        | Operator::F64x2ReplaceLane { lane }
        | Operator::V128Load8Lane { lane, .. }
        | Operator::V128Load16Lane { lane, .. }
        | Operator::V128Load32Lane { lane, .. }
        | Operator::V128Load64Lane { lane, .. }
        | Operator::V128Store8Lane { lane, .. }
        | Operator::V128Store16Lane { lane, .. }
        | Operator::V128Store32Lane { lane, .. }
        | Operator::V128Store64Lane { lane, .. } => u128::from(lane),
        _ => 0,
    }
}
