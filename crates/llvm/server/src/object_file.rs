//! From the object that LLVM emits to the artefact that every tier returns.
//!
//! The object has each function of a batch in a section of its own, constants in others, which functions may share, and the
//! line tables that say where each stretch of code comes from. A function and its constants become one piece, the constants
//! behind; what they refer to in each other is filled in here. Calls that stand for traps become the instruction that traps.
//! In front of a function that takes arguments on the stack stands its adapter.

use crate::adapter;
use crate::prologue;
use crate::translate::FUNCTION;
use crate::translate::names::{self, Symbol};
use gimli::{EndianSlice, LittleEndian};
use object::read::elf::ElfFile64;
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
    SectionIndex, SectionKind, elf,
};
use upshift_base::TrapKind;
use upshift_codegen::{
    CompileError, CompiledCode, RelocKind, Relocation, SourcePosition, Target, TrapSite,
};

/// x86-64: the first byte of a call, and what takes its place to trap: `ud2`, then breakpoints.
const CALL: u8 = 0xe8;
const TRAP: [u8; 5] = [0x0f, 0x0b, 0xcc, 0xcc, 0xcc];

/// DWARF's 32-bit form: the length that stands before what it is the length of.
const LENGTH_BYTES: usize = 4;

type File<'a> = ElfFile64<'a, Endianness>;
type Section<'a, 'f> = object::read::elf::ElfSection64<'a, 'f, Endianness>;

/// The parts of the object that are kept, and where they are in the code.
struct Placement {
    starts: Vec<(SectionIndex, u32)>,
    bytes: Vec<u8>,
    alignment: u32,
}

/// The name of the function at that place of a batch.
pub fn symbol(index: usize) -> String {
    format!("{FUNCTION}_{index}")
}

/// The name of that function's section.
pub fn section(index: usize) -> String {
    format!(".text.{}", symbol(index))
}

/// Reads the function at that place of a batch, which takes so many bytes of arguments on the stack.
pub fn read(bytes: &[u8], index: usize, stack_bytes: u16) -> Result<CompiledCode, CompileError> {
    let file = File::parse(bytes).map_err(failed)?;
    let text = file
        .section_by_name(&section(index))
        .ok_or_else(|| CompileError::Failed("the object has no code".to_owned()))?;
    let adapter = adapter::code(stack_bytes);
    let adapter_bytes = adapter.len() as u32;
    let mut placement = place(&file, &text, adapter)?;
    let mut code = CompiledCode {
        bytes: Vec::new(),
        alignment: placement.alignment,
        placement: 0,
        relocations: Vec::new(),
        traps: Vec::new(),
        accesses: Vec::new(),
        positions: positions(&file, &text, adapter_bytes)?,
        frame_bytes: prologue::frame_bytes(text.data().map_err(failed)?)
            + adapter::frame_bytes(stack_bytes),
        adapter_bytes,
        inlined: Vec::new(),
        call_sites: 0,
    };
    for (index, start) in placement.starts.clone() {
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

/// The adapter, the code, and behind it the constants that it and they refer to.
fn place(
    file: &File<'_>,
    text: &Section<'_, '_>,
    adapter: Vec<u8>,
) -> Result<Placement, CompileError> {
    let mut placement = Placement {
        starts: Vec::new(),
        bytes: adapter,
        alignment: 16,
    };
    placement.add(text)?;
    let mut done = 0;
    while let Some(&(index, _)) = placement.starts.get(done) {
        done += 1;
        let section = file.section_by_index(index).map_err(failed)?;
        for (_, relocation) in section.relocations() {
            let Some(target) = target_section(file, &relocation)? else {
                continue;
            };
            if placement.start(target).is_none() {
                placement.add_constants(&file.section_by_index(target).map_err(failed)?)?;
            }
        }
    }
    Ok(placement)
}

/// The section of the object that a relocation refers to, if it is one.
fn target_section(
    file: &File<'_>,
    relocation: &object::Relocation,
) -> Result<Option<SectionIndex>, CompileError> {
    let RelocationTarget::Symbol(symbol) = relocation.target() else {
        return Err(failed("a relocation without a symbol"));
    };
    let symbol = file.symbol_by_index(symbol).map_err(failed)?;
    Ok(symbol.section_index())
}

impl Placement {
    fn start(&self, section: SectionIndex) -> Option<u32> {
        let mut starts = self.starts.iter();
        starts.find_map(|(index, start)| (*index == section).then_some(*start))
    }

    fn add(&mut self, section: &Section<'_, '_>) -> Result<(), CompileError> {
        let align = section.align().max(1);
        while !(self.bytes.len() as u64).is_multiple_of(align) {
            self.bytes.push(0xcc);
        }
        let start = u32::try_from(self.bytes.len()).map_err(failed)?;
        self.alignment = self.alignment.max(u32::try_from(align).map_err(failed)?);
        let data = section.data().map_err(failed)?;
        self.bytes.extend_from_slice(data);
        self.starts.push((section.index(), start));
        Ok(())
    }

    fn add_constants(&mut self, section: &Section<'_, '_>) -> Result<(), CompileError> {
        match section.kind() {
            SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => self.add(section),
            _ => {
                let name = section.name().unwrap_or_default();
                Err(CompileError::Bailout(format!("LLVM made a section {name}")))
            }
        }
    }
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
        let start = placement.start(section);
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

/// The part of the line table about this section, which is at `start` in the code; a line is a source position plus one.
fn positions(
    file: &File<'_>,
    text: &Section<'_, '_>,
    start: u32,
) -> Result<Vec<SourcePosition>, CompileError> {
    let mut positions: Vec<SourcePosition> = vec![SourcePosition {
        offset: 0,
        position: None,
        inlined: None,
    }];
    let Some(section) = file.section_by_name(".debug_line") else {
        return Ok(positions);
    };
    let data = line_table(file, &section)?;
    let lines = gimli::DebugLine::from(EndianSlice::new(&data, LittleEndian));
    // One table a function, one behind the other.
    let mut table = 0;
    while table < data.len() {
        let program = lines.program(gimli::DebugLineOffset(table), 8, None, None);
        let program = program.map_err(failed)?;
        table += program.header().unit_length() + LENGTH_BYTES;
        let mut rows = program.rows();
        while let Some((_, row)) = rows.next_row().map_err(failed)? {
            let offset = row.address() as u32;
            let section = (row.address() >> 32) as usize;
            if section != text.index().0 || u64::from(offset) >= text.size() || row.end_sequence() {
                continue;
            }
            let offset = start + offset;
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
    }
    Ok(positions)
}

/// The section of line tables, with each address as its section's index in the upper half and the offset there in the
/// lower.
fn line_table(file: &File<'_>, section: &Section<'_, '_>) -> Result<Vec<u8>, CompileError> {
    let mut data = section.data().map_err(failed)?.to_vec();
    for (offset, relocation) in section.relocations() {
        let flags = relocation.flags();
        let (
            RelocationFlags::Elf {
                r_type: elf::R_X86_64_64,
            },
            Some(target),
        ) = (flags, target_section(file, &relocation)?)
        else {
            return Err(failed("the line table refers to something else than code"));
        };
        let value = ((target.0 as u64) << 32).wrapping_add_signed(relocation.addend());
        let place = u32::try_from(offset).map_err(failed)?;
        write(&mut data, place, &value.to_le_bytes())?;
    }
    Ok(data)
}
