//! References: null, a function's, and the test for null.

use super::env::Env;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::FunctionBuilder;

/// `ref.null`, of any type.
pub fn ref_null(b: &mut FunctionBuilder<'_>) -> Value {
    b.ins().iconst(I64, 0)
}

/// `ref.is_null`: an `i32`, 1 if `reference` is null, else 0.
pub fn ref_is_null(b: &mut FunctionBuilder<'_>, reference: Value) -> Value {
    let is_null = b.ins().icmp_imm_u(IntCC::Equal, reference, 0);
    b.ins().uextend(I32, is_null)
}

/// `ref.func`: a reference to function `index`. `None` if the module announces no reference to it, which a valid one
/// does.
pub fn ref_func(b: &mut FunctionBuilder<'_>, env: &Env<'_>, index: u32) -> Option<Value> {
    let offset = env.info().funcref_offset(index)?;
    Some(b.ins().iadd_imm_s(env.vmctx(), i64::from(offset)))
}
