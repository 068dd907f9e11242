//! Loads, stores and addresses.

use super::state::{Driver, bailout, fault, kept_as};
use super::values::Place;
use super::vector;
use crate::arch::x64::{FRAME, Mem};
use crate::lanes::VectorUnary;
use crate::operate::short;
use crate::value::{LoadKind, StoreKind, Ty};
use cranelift_codegen::ir::{
    ArgumentPurpose, Constant, GlobalValue, GlobalValueData, Inst, MemFlags, Opcode, Type,
    UserExternalName, Value, types,
};
use cranelift_codegen::ir::{ExternalName, FuncRef};
use upshift_base::TrapKind;
use upshift_codegen::{CompileError, RelocKind, Target, symbol};

/// Where an access goes. The address, if it was pushed, is popped.
fn location(d: &mut Driver<'_>, address: Option<()>, frame: i32, offset: i32) -> Mem {
    match address {
        None => Mem::new(FRAME, frame.wrapping_add(offset)),
        Some(()) => {
            let val = d.asm.pop();
            let base = d.asm.in_register(val);
            Mem::new(base, offset)
        }
    }
}

/// Pushes an address, unless it is one in the frame: then that is returned.
fn push_address(d: &mut Driver<'_>, address: Value) -> Result<(Option<()>, i32), CompileError> {
    if let Place::Frame(at) = d.place(address) {
        return Ok((None, at));
    }
    d.push(address)?;
    Ok((Some(()), 0))
}

fn note_fault(d: &mut Driver<'_>, fault: Option<TrapKind>) {
    if let Some(kind) = fault {
        let position = d.asm.position;
        d.asm.code.position(position);
        d.asm.code.trap_site(kind);
    }
}

/// How a load makes its value, and whether the bits above the type's width are zero then.
fn load_kind(opcode: Opcode, ty: Type) -> Result<(LoadKind, bool), CompileError> {
    let wide = ty == types::I64;
    Ok(match (opcode, ty) {
        (Opcode::Load | Opcode::AtomicLoad, types::I8) | (Opcode::Uload8, _) => {
            (LoadKind::Unsigned8, true)
        }
        (Opcode::Load | Opcode::AtomicLoad, types::I16) | (Opcode::Uload16, _) => {
            (LoadKind::Unsigned16, true)
        }
        (Opcode::Load | Opcode::AtomicLoad, _) => (LoadKind::Full(kept_as(ty)?), false),
        (Opcode::Uload32, _) => (LoadKind::Unsigned32, false),
        (Opcode::Sload8, _) => (LoadKind::Signed8 { wide }, false),
        (Opcode::Sload16, _) => (LoadKind::Signed16 { wide }, false),
        (Opcode::Sload32, _) => (LoadKind::Signed32, false),
        _ => return Err(bailout(format!("{opcode}.{ty}"))),
    })
}

/// A load.
pub(super) fn load(
    d: &mut Driver<'_>,
    inst: Inst,
    opcode: Opcode,
    (flags, offset): (MemFlags, i32),
) -> Result<(), CompileError> {
    let (address, result) = (d.args(inst)[0], d.result(inst));
    let ty = d.ty(result);
    let widening = widening(opcode);
    let (kind, clean) = match widening {
        // The eight bytes, to be widened in the register.
        Some(_) => (LoadKind::Full(Ty::F64), false),
        None => load_kind(opcode, ty)?,
    };
    let kept = match widening {
        Some(_) => Ty::V128,
        None => kept_as(ty)?,
    };
    let fault = fault(d, flags)?;
    let (pushed, frame) = push_address(d, address)?;
    d.consume(address);
    let from = location(d, pushed, frame, offset);
    let reuses = !kept.is_vector() && pushed.is_some() && d.asm.is_unshared(from.base);
    let to = match reuses {
        true => from.base,
        false => d.asm.allocate(kept.is_vector()),
    };
    note_fault(d, fault);
    d.asm.code.load_kind(kind, to, from);
    d.asm.push_register(kept, to);
    if let Some(operation) = widening {
        vector::widen(d, operation)?;
    }
    d.define(result, clean);
    Ok(())
}

/// How the lanes of a load that widens are widened.
fn widening(opcode: Opcode) -> Option<VectorUnary> {
    Some(match opcode {
        Opcode::Sload8x8 => VectorUnary::I16x8ExtendLowS,
        Opcode::Uload8x8 => VectorUnary::I16x8ExtendLowU,
        Opcode::Sload16x4 => VectorUnary::I32x4ExtendLowS,
        Opcode::Uload16x4 => VectorUnary::I32x4ExtendLowU,
        Opcode::Sload32x2 => VectorUnary::I64x2ExtendLowS,
        Opcode::Uload32x2 => VectorUnary::I64x2ExtendLowU,
        _ => return None,
    })
}

fn store_kind(opcode: Opcode, ty: Type) -> Result<StoreKind, CompileError> {
    Ok(match (opcode, ty) {
        (Opcode::Store | Opcode::AtomicStore, types::I8) | (Opcode::Istore8, _) => StoreKind::Low8,
        (Opcode::Store | Opcode::AtomicStore, types::I16) | (Opcode::Istore16, _) => {
            StoreKind::Low16
        }
        (Opcode::Store | Opcode::AtomicStore, _) => StoreKind::Full(kept_as(ty)?),
        (Opcode::Istore32, _) => StoreKind::Low32,
        _ => return Err(bailout(format!("{opcode}.{ty}"))),
    })
}

/// A store.
pub(super) fn store(
    d: &mut Driver<'_>,
    inst: Inst,
    opcode: Opcode,
    (flags, offset): (MemFlags, i32),
) -> Result<(), CompileError> {
    let &[value, address] = d.args(inst) else {
        return Err(bailout("a store of something else than one value"));
    };
    let kind = store_kind(opcode, d.ty(value))?;
    let fault = fault(d, flags)?;
    let (pushed, frame) = push_address(d, address)?;
    d.push(value)?;
    d.consume_all(&[value, address]);
    let val = d.asm.pop();
    if let (StoreKind::Full(ty), Some(constant)) = (kind, short(val)) {
        let to = location(d, pushed, frame, offset);
        note_fault(d, fault);
        d.asm.code.store_constant(ty == Ty::I64, constant, to);
        return Ok(());
    }
    let from = d.asm.in_register(val);
    let to = location(d, pushed, frame, offset);
    note_fault(d, fault);
    d.asm.code.store_kind(kind, from, to);
    Ok(())
}

/// `stack_addr`: an address that is made where it is used.
pub(super) fn stack_addr(d: &mut Driver<'_>, inst: Inst, at: i32) {
    let index = d.index(d.result(inst));
    d.values.places[index] = Place::Frame(at);
}

/// `vconst`.
pub(super) fn vector_constant(
    d: &mut Driver<'_>,
    inst: Inst,
    constant: Constant,
) -> Result<(), CompileError> {
    let data = d.body.dfg.constants.get(constant).as_slice();
    let bytes = <[u8; 16]>::try_from(data);
    let bytes = bytes.map_err(|_| bailout("a constant of another size than 16 bytes"))?;
    d.asm.push_vector(u128::from_le_bytes(bytes));
    d.define(d.result(inst), false);
    Ok(())
}

/// `symbol_value` and what it needs.
pub(super) fn global(
    d: &mut Driver<'_>,
    inst: Inst,
    global: GlobalValue,
) -> Result<(), CompileError> {
    push_global(d, global)?;
    d.define(d.result(inst), false);
    Ok(())
}

fn push_global(d: &mut Driver<'_>, global: GlobalValue) -> Result<(), CompileError> {
    match &d.body.global_values[global] {
        GlobalValueData::Symbol {
            name,
            offset,
            colocated,
            tls: false,
        } => {
            let (target, offset) = (named(d, name)?, offset.bits());
            let near = *colocated || matches!(target, Target::ProfileCell(_));
            push_symbol(d, target, near);
            if offset != 0 {
                d.asm.push_constant(Ty::I64, offset.cast_unsigned());
                d.asm.int_binary(crate::value::IntOp::Add, true);
            }
            Ok(())
        }
        _ => Err(bailout("a global value that is no symbol")),
    }
}

fn push_symbol(d: &mut Driver<'_>, target: Target, near: bool) {
    let to = d.asm.allocate(false);
    let kind = match near {
        true => {
            d.asm.code.address_relative(to);
            RelocKind::PcRel4
        }
        false => {
            d.asm.code.load_relative(to);
            RelocKind::GotPcRel4
        }
    };
    d.asm.code.relocate(kind, target, 0);
    d.asm.push_register(Ty::I64, to);
}

/// What a name refers to.
///
/// # Errors
/// If it is none that code can refer to.
pub(super) fn named(d: &Driver<'_>, name: &ExternalName) -> Result<Target, CompileError> {
    match name {
        ExternalName::LibCall(libcall) => Ok(Target::LibCall(*libcall)),
        ExternalName::User(user) => {
            let name: &UserExternalName = &d.body.params.user_named_funcs()[*user];
            symbol::target(name).ok_or_else(|| bailout(format!("a reference to {name}")))
        }
        _ => Err(bailout("a name that is not the front end's")),
    }
}

/// `func_addr`.
pub(super) fn func_addr(
    d: &mut Driver<'_>,
    inst: Inst,
    callee: FuncRef,
) -> Result<(), CompileError> {
    let target = named(d, &d.body.dfg.ext_funcs[callee].name)?;
    push_symbol(d, target, false);
    d.define(d.result(inst), false);
    Ok(())
}

/// Where the stack limit is, from the first argument on, if the function has one.
///
/// # Errors
/// If it is elsewhere.
pub(super) fn stack_limit(
    body: &cranelift_codegen::ir::Function,
) -> Result<Option<(i32, i32)>, CompileError> {
    let Some(limit) = body.stack_limit else {
        return Ok(None);
    };
    let elsewhere = || bailout("a stack limit that the context does not lead to");
    let pointer = |global: GlobalValue| match body.global_values[global] {
        GlobalValueData::Load { base, offset, .. } => Ok((base, i32::from(offset))),
        _ => Err(elsewhere()),
    };
    let (limits, limit_offset) = pointer(limit)?;
    let (context, limits_offset) = pointer(limits)?;
    let is_context = matches!(body.global_values[context], GlobalValueData::VMContext);
    let first = body
        .signature
        .special_param_index(ArgumentPurpose::VMContext);
    match is_context && first == Some(0) {
        true => Ok(Some((limits_offset, limit_offset))),
        false => Err(elsewhere()),
    }
}
