//! From the object that LLVM emits to the artefact that every tier returns.
//!
//! The object has the function in a section of its own, constants in others, and the line table that says where each
//! stretch of code comes from. Code and constants become one piece, the constants behind; what they refer to in each other is
//! filled in here. Calls that stand for traps become the instruction that traps.

use crate::translate::FUNCTION;
use crate::translate::names::{self, Symbol};
use gimli::{EndianSlice, LittleEndian};
use object::read::elf::ElfFile64;
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
    SectionIndex, SectionKind, elf,
};
use std::collections::HashMap;
use upshift_base::TrapKind;
use upshift_codegen::{
    CompileError, CompiledCode, RelocKind, Relocation, SourcePosition, Target, TrapSite,
};

/// x86-64: the first byte of a call, and what takes its place to trap: `ud2`, then breakpoints.
const CALL: u8 = 0xe8;
const TRAP: [u8; 5] = [0x0f, 0x0b, 0xcc, 0xcc, 0xcc];

type File<'a> = ElfFile64<'a, Endianness>;
type Section<'a, 'f> = object::read::elf::ElfSection64<'a, 'f, Endianness>;

/// The parts of the object that are kept, and where they are in the code.
struct Placement {
    starts: HashMap<SectionIndex, u32>,
    bytes: Vec<u8>,
    alignment: u32,
}

/// Reads the object.
pub fn read(bytes: &[u8]) -> Result<CompiledCode, CompileError> {
    let file = File::parse(bytes).map_err(failed)?;
    let text = format!(".text.{FUNCTION}");
    let text = file
        .section_by_name(&text)
        .ok_or_else(|| CompileError::Failed("the object has no code".to_owned()))?;
    let code_bytes = text.size();
    let mut placement = place(&file, &text)?;
    let mut code = CompiledCode {
        bytes: Vec::new(),
        alignment: placement.alignment,
        relocations: Vec::new(),
        traps: Vec::new(),
        positions: positions(&file, code_bytes)?,
        frame_bytes: 0,
        inlined: Vec::new(),
        call_sites: 0,
    };
    let mut kept: Vec<_> = placement
        .starts
        .iter()
        .map(|(index, start)| (*index, *start))
        .collect();
    kept.sort_by_key(|(_, start)| *start);
    for (index, start) in kept {
        let section = file.section_by_index(index).map_err(failed)?;
        for (offset, relocation) in section.relocations() {
            let place = start + u32::try_from(offset).map_err(failed)?;
            relocate(&file, &mut placement, &mut code, place, &relocation)?;
        }
    }
    code.traps.sort_by_key(|trap| trap.offset);
    code.bytes = placement.bytes;
    Ok(code)
}

fn failed(error: impl std::fmt::Display) -> CompileError {
    CompileError::Failed(format!("reading LLVM's object: {error}"))
}

fn place(file: &File<'_>, text: &Section<'_, '_>) -> Result<Placement, CompileError> {
    let mut placement = Placement {
        starts: HashMap::new(),
        bytes: Vec::new(),
        alignment: 16,
    };
    let mut add = |section: &Section<'_, '_>| -> Result<(), CompileError> {
        let align = section.align().max(1);
        while !(placement.bytes.len() as u64).is_multiple_of(align) {
            placement.bytes.push(0xcc);
        }
        let start = u32::try_from(placement.bytes.len()).map_err(failed)?;
        placement.alignment = placement
            .alignment
            .max(u32::try_from(align).map_err(failed)?);
        placement
            .bytes
            .extend_from_slice(section.data().map_err(failed)?);
        placement.starts.insert(section.index(), start);
        Ok(())
    };
    add(text)?;
    for section in file.sections() {
        if section.size() == 0 {
            continue;
        }
        match section.kind() {
            SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => add(&section)?,
            SectionKind::Data
            | SectionKind::ReadOnlyDataWithRel
            | SectionKind::UninitializedData => {
                let name = section.name().unwrap_or_default();
                return Err(CompileError::Bailout(format!("LLVM made a section {name}")));
            }
            _ => {}
        }
    }
    Ok(placement)
}

fn relocate(
    file: &File<'_>,
    placement: &mut Placement,
    code: &mut CompiledCode,
    place: u32,
    relocation: &object::Relocation,
) -> Result<(), CompileError> {
    let RelocationFlags::Elf { r_type } = relocation.flags() else {
        return Err(failed("a relocation that is not ELF's"));
    };
    let RelocationTarget::Symbol(symbol) = relocation.target() else {
        return Err(failed("a relocation without a symbol"));
    };
    let symbol = file.symbol_by_index(symbol).map_err(failed)?;
    let relative = matches!(r_type, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32);
    if let Some(section) = symbol.section_index() {
        let start = placement.starts.get(&section).copied();
        let start = start.ok_or_else(|| failed("a reference to a section that is not kept"))?;
        if !relative {
            return Err(failed(format!("a local relocation of type {r_type}")));
        }
        let target = i64::from(start) + symbol.address().cast_signed() + relocation.addend();
        let value = i32::try_from(target - i64::from(place)).map_err(failed)?;
        return write(&mut placement.bytes, place, &value.to_le_bytes());
    }
    let name = symbol.name().map_err(failed)?;
    let through_cell = matches!(
        r_type,
        elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX
    );
    let (kind, target) = match names::parse(name) {
        Some(Symbol::Trap(trap)) if relative => return plant_trap(placement, code, place, trap),
        Some(Symbol::Cell(target)) if relative => (RelocKind::GotPcRel4, target),
        Some(Symbol::Itself(target)) if relative => (RelocKind::PcRel4, target),
        Some(Symbol::Itself(target @ Target::LibCall(_))) if through_cell => {
            (RelocKind::GotPcRel4, target)
        }
        _ => {
            return Err(CompileError::Bailout(format!(
                "LLVM needs {name} (relocation {r_type})"
            )));
        }
    };
    code.relocations.push(Relocation {
        offset: place,
        kind,
        target,
        addend: relocation.addend(),
    });
    Ok(())
}

fn write(bytes: &mut [u8], place: u32, value: &[u8]) -> Result<(), CompileError> {
    let place = place as usize;
    let field = bytes.get_mut(place..place + value.len());
    field
        .ok_or_else(|| failed("a relocation outside of the code"))?
        .copy_from_slice(value);
    Ok(())
}

/// Makes the call whose displacement is at `place` a trap.
fn plant_trap(
    placement: &mut Placement,
    code: &mut CompiledCode,
    place: u32,
    kind: TrapKind,
) -> Result<(), CompileError> {
    let call = place
        .checked_sub(1)
        .filter(|call| placement.bytes.get(*call as usize) == Some(&CALL));
    let offset = call.ok_or_else(|| failed("a trap that is not called"))?;
    code.traps.push(TrapSite { offset, kind });
    write(&mut placement.bytes, offset, &TRAP)
}

/// The line table; a line is a source position plus one.
fn positions(file: &File<'_>, code_bytes: u64) -> Result<Vec<SourcePosition>, CompileError> {
    let mut positions: Vec<SourcePosition> = vec![SourcePosition {
        offset: 0,
        position: None,
        inlined: None,
    }];
    let Some(section) = file.section_by_name(".debug_line") else {
        return Ok(positions);
    };
    // The one address in it is the start of the code, 0 as it stands.
    let data = section.data().map_err(failed)?;
    let lines = gimli::DebugLine::from(EndianSlice::new(data, LittleEndian));
    let program = lines
        .program(gimli::DebugLineOffset(0), 8, None, None)
        .map_err(failed)?;
    let mut rows = program.rows();
    while let Some((_, row)) = rows.next_row().map_err(failed)? {
        if row.address() >= code_bytes || row.end_sequence() {
            continue;
        }
        let offset = u32::try_from(row.address()).map_err(failed)?;
        let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
        let position = line.map(|line| line - 1);
        match positions.last_mut() {
            Some(last) if last.offset == offset => last.position = position,
            Some(last) if last.position == position => {}
            _ => positions.push(SourcePosition {
                offset,
                position,
                inlined: None,
            }),
        }
    }
    Ok(positions)
}
