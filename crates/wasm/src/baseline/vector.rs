//! Operators on vectors.

use super::condition::use_condition;
use super::opcode::Op;
use super::state::Driver;
use super::stencils;
use super::vector_opcode::Vector;
use upshift::embed::CompileError;
use upshift::embed::stencil::{
    LoadIndex, LoadKind, StoreIndex, StoreKind, Ty, VectorOperation, VectorUnary,
};

/// An operator behind the prefix 0xfd, which was just read. False if it has no encoder; nothing has happened then.
pub(super) fn vector(d: &mut Driver<'_, '_>) -> Result<bool, CompileError> {
    let op = Vector::of(d.reader.u32());
    let unsupported = !stencils::is_supported() || op == Vector::Other;
    if unsupported || !op.is_encoded(d.request.canonical_nans) && op != Vector::Shuffle {
        return Ok(false);
    }
    match op {
        Vector::Other => {}
        Vector::Load(kind) => load(d, kind, Ty::V128),
        Vector::LoadExtend(extension) => load_extend(d, extension),
        Vector::LoadSplat(kind, lane) => {
            let ty = if lane.is_float() { Ty::V128 } else { Ty::I32 };
            load(d, kind, ty);
            d.asm.vector(VectorOperation::Splat(lane));
        }
        Vector::LoadLane(kind, lane) => {
            let access = d.reader.access();
            let (memory, index) = (d.memory(access.memory), d.reader.byte());
            d.asm
                .vector_load_lane(kind, (lane, index), memory, access.offset);
        }
        Vector::Store => {
            let access = d.reader.access();
            let (memory, kind) = (d.memory(access.memory), StoreKind::Full(Ty::V128));
            d.asm.store(StoreIndex::of(kind), memory, access.offset);
        }
        Vector::StoreLane(kind, lane) => {
            let access = d.reader.access();
            let (memory, index) = (d.memory(access.memory), d.reader.byte());
            d.asm
                .vector_store_lane(kind, (lane, index), memory, access.offset);
        }
        Vector::Const => {
            let bytes = d.reader.bits128();
            d.asm.push_vector(bytes);
        }
        Vector::Shuffle => {
            let mask = d.reader.bits128().to_le_bytes();
            return Ok(d.asm.vector_shuffle(&mask));
        }
        Vector::Extract(lane, signed) => {
            let index = d.reader.byte();
            d.asm.vector_extract(lane, index, signed);
        }
        Vector::Replace(lane) => {
            let index = d.reader.byte();
            d.asm.vector_replace(lane, index);
        }
        Vector::AnyTrue | Vector::AllTrue(_) => test(d, op)?,
        Vector::Operation(operation) | Vector::Float(operation) => d.asm.vector(operation),
    }
    Ok(true)
}

fn load(d: &mut Driver<'_, '_>, kind: LoadIndex, ty: Ty) {
    let access = d.reader.access();
    let memory = d.memory(access.memory);
    d.asm.load(kind, ty, memory, access.offset);
}

fn load_extend(d: &mut Driver<'_, '_>, extension: VectorUnary) {
    load(d, LoadIndex::of(LoadKind::Full(Ty::F64)), Ty::V128);
    d.asm.vector(VectorOperation::Unary(extension));
}

/// A test, whose result the next operator may branch on.
fn test(d: &mut Driver<'_, '_>, op: Vector) -> Result<(), CompileError> {
    let flush = matches!(d.peek(), Op::If | Op::BrIf);
    let condition = match op {
        Vector::AllTrue(equal) => d.asm.vector_all_true(equal, flush),
        _ => d.asm.vector_any_true(flush),
    };
    use_condition(d, condition, flush)
}
