//! [`CompiledCode`] as bytes.

use crate::wire::{Decoder, Encoder, WireError};
use upshift_base::{FuncId, TrapKind};
use upshift_codegen::cranelift_codegen::ir::LibCall;
use upshift_codegen::{CompiledCode, RelocKind, Relocation, SourcePosition, Target, TrapSite};

/// The kinds of relocation that may be sent, by their number.
const KINDS: [RelocKind; 4] = [
    RelocKind::Abs4,
    RelocKind::Abs8,
    RelocKind::PcRel4,
    RelocKind::GotPcRel4,
];

/// Stands for "no position".
const NO_POSITION: u32 = u32::MAX;

pub(crate) fn encode(e: &mut Encoder, code: &CompiledCode) -> Result<(), WireError> {
    e.bytes(&code.bytes);
    e.u32(code.alignment);
    e.u32(code.frame_bytes);
    e.u32(code.adapter_bytes);
    e.u32(code.relocations.len() as u32);
    for relocation in &code.relocations {
        let kind = KINDS.iter().position(|kind| *kind == relocation.kind);
        let kind = kind.ok_or(WireError::Malformed("a relocation of another machine"))?;
        e.u32(relocation.offset);
        e.u8(kind as u8);
        encode_target(e, relocation.target);
        e.u64(relocation.addend.cast_unsigned());
    }
    e.list(&code.traps, |e, trap| {
        e.u32(trap.offset);
        e.u8(trap.kind.code());
    });
    e.list(&code.positions, |e, position| {
        e.u32(position.offset);
        e.u32(position.position.unwrap_or(NO_POSITION));
    });
    Ok(())
}

fn encode_target(e: &mut Encoder, target: Target) {
    let libcalls = LibCall::all_libcalls();
    let (tag, number) = match target {
        Target::Function(function) => (0, function.0),
        Target::ProfileCell(function) => (1, function.0),
        Target::Builtin(number) => (2, number),
        Target::LibCall(libcall) => {
            let number = libcalls.iter().position(|known| *known == libcall);
            (3, number.map_or(u32::MAX, |number| number as u32))
        }
        Target::Local(offset) => (4, offset),
    };
    e.u8(tag);
    e.u32(number);
}

pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<CompiledCode, WireError> {
    let bytes = d.bytes()?.to_vec();
    let alignment = d.u32()?;
    if !alignment.is_power_of_two() || alignment > 4096 {
        return Err(WireError::Malformed("the alignment is not usable"));
    }
    let frame_bytes = d.u32()?;
    let adapter_bytes = d.u32()?;
    let within = |offset: u32| match (offset as usize) < bytes.len() {
        true => Ok(offset),
        false => Err(WireError::Malformed("an offset is outside of the code")),
    };
    let relocations = d.list(|d| {
        Ok(Relocation {
            offset: within(d.u32()?)?,
            kind: *KINDS
                .get(usize::from(d.u8()?))
                .ok_or(WireError::Malformed("an unknown kind of relocation"))?,
            target: decode_target(d)?,
            addend: d.u64()?.cast_signed(),
        })
    })?;
    let traps = d.list(|d| {
        Ok(TrapSite {
            offset: within(d.u32()?)?,
            kind: TrapKind::from_code(d.u8()?),
        })
    })?;
    let positions = d.list(|d| {
        Ok(SourcePosition {
            offset: within(d.u32()?)?,
            position: Some(d.u32()?).filter(|position| *position != NO_POSITION),
            inlined: None,
        })
    })?;
    Ok(CompiledCode {
        bytes,
        alignment,
        // LLVM aligns loops itself.
        placement: 0,
        relocations,
        traps,
        accesses: Vec::new(),
        positions,
        frame_bytes,
        adapter_bytes,
        inlined: Vec::new(),
        call_sites: 0,
    })
}

fn decode_target(d: &mut Decoder<'_>) -> Result<Target, WireError> {
    let tag = d.u8()?;
    let number = d.u32()?;
    Ok(match tag {
        0 => Target::Function(FuncId(number)),
        1 => Target::ProfileCell(FuncId(number)),
        2 => Target::Builtin(number),
        3 => {
            let libcall = LibCall::all_libcalls().get(number as usize);
            Target::LibCall(*libcall.ok_or(WireError::Malformed("an unknown helper"))?)
        }
        4 => Target::Local(number),
        _ => return Err(WireError::Malformed("an unknown target")),
    })
}
