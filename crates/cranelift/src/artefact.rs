//! From what Cranelift emits to the artefact that every tier returns.

use crate::arch;
use crate::placement::{LINE_BYTES, placement};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, Function, SourceLoc};
use cranelift_codegen::isa::FunctionAlignment;
use cranelift_codegen::{CompiledCode as Emitted, FinalizedMachReloc, FinalizedRelocTarget};
use upshift_base::TrapKind;
use upshift_codegen::{
    CompileError, CompiledCode, RelocKind, Relocation, SourcePosition, Target, TrapSite, symbol,
};

pub(crate) fn from_cranelift(
    emitted: &Emitted,
    body: &Function,
    alignment: FunctionAlignment,
) -> Result<CompiledCode, CompileError> {
    let buffer = &emitted.buffer;
    let mut bytes = buffer.data().to_vec();
    let relocations = buffer
        .relocs()
        .iter()
        .map(|reloc| Ok(relax(relocation(reloc, body)?, &mut bytes)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut traps: Vec<TrapSite> = buffer
        .traps()
        .iter()
        .map(|trap| TrapSite {
            offset: trap.offset,
            kind: TrapKind::from_code(trap.code.as_raw().get()),
        })
        .collect();
    traps.sort_by_key(|trap| trap.offset);
    let alignment = alignment.preferred.max(alignment.minimum);
    let alignment = alignment.max(buffer.alignment);
    let placement = match alignment <= LINE_BYTES {
        true => placement(&bytes, &emitted.bb_starts),
        false => None,
    };
    Ok(CompiledCode {
        bytes,
        alignment: if placement.is_some() {
            LINE_BYTES
        } else {
            alignment
        },
        placement: placement.unwrap_or(0),
        relocations,
        traps,
        accesses: Vec::new(),
        positions: positions(emitted),
        frame_bytes: buffer
            .frame_layout()
            .map_or(0, |layout| layout.frame_to_fp_offset),
        adapter_bytes: 0,
        inlined: Vec::new(),
        call_sites: 0,
    })
}

/// Position-independent code loads every address from a cell. A profile cell has none: it is near, and its address is
/// computed instead.
fn relax(relocation: Relocation, bytes: &mut [u8]) -> Relocation {
    let near = matches!(relocation.target, Target::ProfileCell(_));
    let load = near && relocation.kind == RelocKind::GotPcRel4;
    if load && arch::x64::relax_address_load(bytes, relocation.offset) {
        return Relocation {
            kind: RelocKind::PcRel4,
            ..relocation
        };
    }
    relocation
}

/// Cranelift's ranges of code with a position, with the gaps between them made explicit and equal neighbours joined.
fn positions(emitted: &Emitted) -> Vec<SourcePosition> {
    let mut positions: Vec<SourcePosition> = Vec::new();
    let mut push = |offset: u32, position: Option<u32>| {
        if let Some(last) = positions.last_mut() {
            if last.position == position {
                return;
            }
            if last.offset == offset {
                last.position = position;
                return;
            }
        }
        positions.push(SourcePosition {
            offset,
            position,
            inlined: None,
        });
    };
    let mut covered = 0;
    for range in emitted.buffer.get_srclocs_sorted() {
        if range.start > covered {
            push(covered, None);
        }
        let position = (range.loc != SourceLoc::default()).then(|| range.loc.bits());
        push(range.start, position);
        covered = range.end;
    }
    if covered < emitted.buffer.total_size() {
        push(covered, None);
    }
    positions
}

fn relocation(reloc: &FinalizedMachReloc, body: &Function) -> Result<Relocation, CompileError> {
    let kind = match reloc.kind {
        Reloc::Abs4 => RelocKind::Abs4,
        Reloc::Abs8 => RelocKind::Abs8,
        Reloc::X86PCRel4 | Reloc::X86CallPCRel4 | Reloc::X86CallPLTRel4 => RelocKind::PcRel4,
        Reloc::X86GOTPCRel4 => RelocKind::GotPcRel4,
        Reloc::Arm64Call => RelocKind::Aarch64Call,
        Reloc::Aarch64AdrPrelPgHi21 => RelocKind::Aarch64AdrPage21,
        Reloc::Aarch64AddAbsLo12Nc => RelocKind::Aarch64AddLo12,
        Reloc::Aarch64AdrGotPage21 => RelocKind::Aarch64AdrGotPage21,
        Reloc::Aarch64Ld64GotLo12Nc => RelocKind::Aarch64LdGotLo12,
        other => {
            return Err(CompileError::Bailout(format!(
                "relocations of kind {other} are not linked"
            )));
        }
    };
    Ok(Relocation {
        offset: reloc.offset,
        kind,
        target: target(&reloc.target, body)?,
        addend: reloc.addend,
    })
}

fn target(target: &FinalizedRelocTarget, body: &Function) -> Result<Target, CompileError> {
    match target {
        FinalizedRelocTarget::Func(offset) => Ok(Target::Local(*offset)),
        FinalizedRelocTarget::ExternalName(ExternalName::LibCall(libcall)) => {
            Ok(Target::LibCall(*libcall))
        }
        FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => body
            .params
            .user_named_funcs()
            .get(*name)
            .and_then(symbol::target)
            .ok_or_else(|| unknown(target, body)),
        FinalizedRelocTarget::ExternalName(_) => Err(unknown(target, body)),
    }
}

fn unknown(target: &FinalizedRelocTarget, body: &Function) -> CompileError {
    CompileError::Failed(format!(
        "the body refers to {}, which is neither a function, a profile cell nor an entry point of the runtime",
        target.display(Some(&body.params))
    ))
}
