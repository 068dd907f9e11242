//! Globals.

use super::env::{Env, Region, trusted, trusted_private_global};
use crate::types::ValType;
use crate::vmctx::GlobalPlace;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use cranelift_frontend::FunctionBuilder;

/// `global.get`: the value of global `index`. With `looks_far`, a mutable one that nothing sets is known, too.
pub fn global_get(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    index: u32,
    looks_far: bool,
) -> Value {
    let ty = env.info().globals[index as usize];
    let known = match looks_far {
        true => env.info().unchanged_global(index),
        false => env.info().constant_global(index),
    };
    if let Some(bits) = known
        && let Some(value) = constant(b, ty.content, bits)
    {
        return value;
    }
    let (address, offset) = place(b, env, index);
    if !ty.mutable {
        return env.load_fixed(b, ty.content.clif_type(), address, offset);
    }
    let flags = flags(b, env, index);
    b.ins().load(ty.content.clif_type(), flags, address, offset)
}

/// `global.set`: makes the value of global `index` `value`.
pub fn global_set(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, index: u32, value: Value) {
    let (address, offset) = place(b, env, index);
    let flags = flags(b, env, index);
    b.ins().store(flags, value, address, offset);
}

/// Address and offset of the value.
fn place(b: &mut FunctionBuilder<'_>, env: &Env<'_>, index: u32) -> (Value, i32) {
    match env.info().layout.global(index) {
        GlobalPlace::Inline(offset) => (env.vmctx(), offset),
        GlobalPlace::Pointer(offset) => (env.load_fixed(b, I64, env.vmctx(), offset), 0),
    }
}

fn flags(b: &mut FunctionBuilder<'_>, env: &Env<'_>, index: u32) -> MemFlagsData {
    match env.info().is_private_global(index) {
        true => trusted_private_global(b, index - env.info().imported_globals),
        false => trusted(b, Region::Globals),
    }
}

/// A number or the null reference. `None` for a vector, which is as well loaded from its global.
fn constant(b: &mut FunctionBuilder<'_>, ty: ValType, bits: u128) -> Option<Value> {
    let bits = bits as u64;
    Some(match ty {
        ValType::I32 => b.ins().iconst(I32, i64::from(bits as u32)),
        ValType::I64 | ValType::FuncRef | ValType::ExternRef => {
            b.ins().iconst(I64, bits.cast_signed())
        }
        ValType::F32 => b.ins().f32const(Ieee32::with_bits(bits as u32)),
        ValType::F64 => b.ins().f64const(Ieee64::with_bits(bits)),
        ValType::V128 => return None,
    })
}
