//! Calls: how a function is found, and how it is called once it is.
//!
//! The module's own functions are called by name, which the linker makes a call through the function's entry slot. Other
//! functions are reached through a [`VMFuncRef`](crate::vmctx::VMFuncRef): the code's address is read from the entry
//! slot that it points to, and the callee's context comes with it.

use super::env::{Env, trap_code};
use crate::vmctx::offset;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{FuncRef, Inst, InstBuilder, MemFlagsData, SigRef, Value};
use cranelift_frontend::FunctionBuilder;
use upshift::embed::TrapKind;

/// A function that can be called.
#[derive(Clone, Copy, Debug)]
pub struct Callee {
    code: Code,
    vmctx: Value,
}

#[derive(Clone, Copy, Debug)]
enum Code {
    Named(FuncRef),
    Address(SigRef, Value),
}

/// Function `index` of the module.
pub fn function(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, index: u32) -> Callee {
    if index >= env.info().imported_functions {
        return Callee {
            code: Code::Named(env.function(b, index)),
            vmctx: env.vmctx(),
        };
    }
    let signature = env.signature(b, env.info().functions[index as usize]);
    let import = env.info().layout.imported_function(index);
    let slot = env.load_fixed(b, I64, env.vmctx(), import + offset::FUNCREF_SLOT);
    let vmctx = env.load_fixed(b, I64, env.vmctx(), import + offset::FUNCREF_VMCTX);
    let code = b.ins().load(I64, MemFlagsData::trusted(), slot, 0);
    Callee {
        code: Code::Address(signature, code),
        vmctx,
    }
}

/// The function that a reference leads to, and the address of its entry slot. Traps unless the reference is not null
/// and the function is of the module's type `ty`.
pub fn reference(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    ty: u32,
    funcref: Value,
) -> (Callee, Value) {
    b.ins()
        .trapz(funcref, trap_code(TrapKind::IndirectCallToNull));

    // What a reference leads to never changes, but it may only be read behind the test for null.
    let flags = MemFlagsData::trusted().with_readonly();
    let actual = b.ins().load(I32, flags, funcref, offset::FUNCREF_TYPE_ID);
    let expected = env.load_fixed(b, I32, env.vmctx(), env.info().layout.type_id(ty));
    let same = b.ins().icmp(IntCC::Equal, actual, expected);
    b.ins().trapz(same, trap_code(TrapKind::BadSignature));

    let signature = env.signature(b, ty);
    let slot = slot(b, funcref);
    let vmctx = b.ins().load(I64, flags, funcref, offset::FUNCREF_VMCTX);
    let code = b.ins().load(I64, MemFlagsData::trusted(), slot, 0);
    let callee = Callee {
        code: Code::Address(signature, code),
        vmctx,
    };
    (callee, slot)
}

/// The address of the entry slot of the function that a reference leads to, which is not null.
pub(super) fn slot(b: &mut FunctionBuilder<'_>, funcref: Value) -> Value {
    let flags = MemFlagsData::trusted().with_readonly();
    b.ins().load(I64, flags, funcref, offset::FUNCREF_SLOT)
}

/// `call`, whatever the callee was found by. The results are those of the instruction.
pub fn call(b: &mut FunctionBuilder<'_>, callee: Callee, args: &[Value]) -> Inst {
    let args = callee.with_vmctx(args);
    match callee.code {
        Code::Named(function) => b.ins().call(function, &args),
        Code::Address(signature, code) => b.ins().call_indirect(signature, code, &args),
    }
}

/// `return_call`, which ends the block: the callee returns to the caller of this function.
pub fn return_call(b: &mut FunctionBuilder<'_>, callee: Callee, args: &[Value]) {
    let args = callee.with_vmctx(args);
    match callee.code {
        Code::Named(function) => b.ins().return_call(function, &args),
        Code::Address(signature, code) => b.ins().return_call_indirect(signature, code, &args),
    };
}

impl Callee {
    /// Whether the call is one by name, which may be inlined.
    pub(super) fn is_named(self) -> bool {
        matches!(self.code, Code::Named(_))
    }

    fn with_vmctx(self, args: &[Value]) -> Vec<Value> {
        let mut all = Vec::with_capacity(1 + args.len());
        all.push(self.vmctx);
        all.extend_from_slice(args);
        all
    }
}
