//! Loads, stores and stack slots.
//!
//! LLVM is free to drop, move and combine accesses that cannot fault; others are volatile. CLIF's alias regions become
//! types of type-based alias analysis, one for each region.

use super::emitter::{Emitter, REGIONS_ROOT};
use super::types::{self, bailout};
use cranelift_codegen::ir::{
    Endianness, Inst, InstructionData, MemFlags, Opcode, TrapCode, Type, Value, types as clif,
};
use upshift_codegen::CompileError;

/// The attachments of an access to a value of `ty`, its alignment included.
fn attachments(e: &mut Emitter<'_>, ty: Type, flags: MemFlags) -> Result<String, CompileError> {
    let flags = e.func.dfg.mem_flags[flags];
    if !matches!(flags.trap_code(), None | Some(TrapCode::HEAP_OUT_OF_BOUNDS)) {
        return bailout("an access that may fault for another reason");
    }
    if flags.explicit_endianness() == Some(Endianness::Big) {
        return bailout("a big-endian access");
    }
    // What x86-64 compilers call aligned is only so for scalars.
    let align = match flags.aligned() && !ty.is_vector() {
        true => ty.bytes(),
        false => 1,
    };
    let mut text = format!(", align {align}");
    if let Some(region) = flags.alias_region() {
        let id = e.func.dfg.alias_regions[region].user_id;
        let parent = format!("!{{!\"region {id}\", !{REGIONS_ROOT}, i64 0}}");
        let region = e.metadata.number(parent);
        let tag = e
            .metadata
            .number(format!("!{{!{region}, !{region}, i64 0}}"));
        text.push_str(&format!(", !tbaa !{tag}"));
    }
    if flags.readonly() && flags.can_move() {
        text.push_str(", !invariant.load !6");
    }
    Ok(text)
}

/// `base + offset` as a pointer.
fn pointer(e: &mut Emitter<'_>, base: &str, offset: i64) -> String {
    let pointer = e.op(format!("inttoptr i64 {base} to ptr"));
    offset_by(e, pointer, &offset.to_string())
}

fn offset_by(e: &mut Emitter<'_>, pointer: String, offset: &str) -> String {
    match offset {
        "0" => pointer,
        _ => e.op(format!("getelementptr i8, ptr {pointer}, i64 {offset}")),
    }
}

/// The address of an access as a pointer: sums become offsets from a base, which LLVM understands better.
fn address(e: &mut Emitter<'_>, value: Value, offset: i32) -> Result<String, CompileError> {
    let offset = offset.to_string();
    if let Some(&InstructionData::Binary {
        opcode: Opcode::Iadd,
        args: [base, index],
    }) = e.definition(value)
        && e.ty(value) == clif::I64
    {
        let (base, index) = (e.value(base)?, e.value(index)?);
        let base = e.op(format!("inttoptr i64 {base} to ptr"));
        let place = offset_by(e, base, &index);
        return Ok(offset_by(e, place, &offset));
    }
    let base = e.value(value)?;
    let base = e.op(format!("inttoptr i64 {base} to ptr"));
    Ok(offset_by(e, base, &offset))
}

/// A load from an address that is known by its text.
pub fn load_at(
    e: &mut Emitter<'_>,
    base: &str,
    offset: i64,
    ty: Type,
    flags: MemFlags,
) -> Result<String, CompileError> {
    let attachments = attachments(e, ty, flags)?;
    let pointer = pointer(e, base, offset);
    Ok(e.op(format!(
        "load {}, ptr {pointer}{attachments}",
        types::name(ty)?
    )))
}

/// The type in memory of what an instruction accesses, and whether it is extended with its sign.
fn in_memory(opcode: Opcode, ty: Type) -> (Type, bool) {
    match opcode {
        Opcode::Uload8 | Opcode::Istore8 => (clif::I8, false),
        Opcode::Sload8 => (clif::I8, true),
        Opcode::Uload16 | Opcode::Istore16 => (clif::I16, false),
        Opcode::Sload16 => (clif::I16, true),
        Opcode::Uload32 | Opcode::Istore32 => (clif::I32, false),
        Opcode::Sload32 => (clif::I32, true),
        Opcode::Uload8x8 => (clif::I8X8, false),
        Opcode::Sload8x8 => (clif::I8X8, true),
        Opcode::Uload16x4 => (clif::I16X4, false),
        Opcode::Sload16x4 => (clif::I16X4, true),
        Opcode::Uload32x2 => (clif::I32X2, false),
        Opcode::Sload32x2 => (clif::I32X2, true),
        _ => (ty, false),
    }
}

/// The keyword for an access that is volatile, and the attachment by which a fault's place is known.
fn volatile(e: &Emitter<'_>, inst: Inst) -> (&'static str, String) {
    match e.is_volatile(inst) {
        true => ("volatile ", e.position.clone()),
        false => ("", String::new()),
    }
}

/// All loads.
pub fn load(
    e: &mut Emitter<'_>,
    inst: Inst,
    (opcode, from, offset, flags): (Opcode, Value, i32, MemFlags),
) -> Result<(), CompileError> {
    let result = e.func.dfg.first_result(inst);
    let ty = e.ty(result);
    let (memory, signed) = in_memory(opcode, ty);
    let attachments = attachments(e, memory, flags)?;
    let (volatile, position) = volatile(e, inst);
    let pointer = address(e, from, offset)?;
    let memory_name = types::name(memory)?;
    let mut value = e.op(format!(
        "load {volatile}{memory_name}, ptr {pointer}{attachments}{position}"
    ));
    if memory != ty {
        let extend = if signed { "sext" } else { "zext" };
        let to = types::name(ty)?;
        value = e.op(format!("{extend} {memory_name} {value} to {to}"));
    }
    e.define(result, value);
    Ok(())
}

/// All stores.
pub fn store(
    e: &mut Emitter<'_>,
    (inst, value): (Inst, Value),
    (opcode, to, offset, flags): (Opcode, Value, i32, MemFlags),
) -> Result<(), CompileError> {
    let (memory, _) = in_memory(opcode, e.ty(value));
    let attachments = attachments(e, memory, flags)?;
    let (volatile, position) = volatile(e, inst);
    let pointer = address(e, to, offset)?;
    let memory_name = types::name(memory)?;
    let operand = match memory == e.ty(value) {
        true => e.value(value)?,
        false => {
            let typed = e.typed(value)?;
            e.op(format!("trunc {typed} to {memory_name}"))
        }
    };
    e.line(format!(
        "store {volatile}{memory_name} {operand}, ptr {pointer}{attachments}{position}"
    ));
    Ok(())
}

/// `atomic_load`: sequentially consistent.
pub fn atomic_load(
    e: &mut Emitter<'_>,
    result: Value,
    from: Value,
    flags: MemFlags,
) -> Result<(), CompileError> {
    if !e.func.dfg.mem_flags[flags].notrap() {
        return bailout("an access that may fault");
    }
    let ty = e.ty(result);
    let (name, bytes) = (types::name(ty)?, ty.bytes());
    let pointer = address(e, from, 0)?;
    let value = e.op(format!(
        "load atomic {name}, ptr {pointer} seq_cst, align {bytes}"
    ));
    e.define(result, value);
    Ok(())
}
