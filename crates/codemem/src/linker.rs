//! The linker: checks what a compiler made, and fills in the addresses that it left open.

use crate::arch;
use crate::error::{CodeMemoryError, RelocationError};
use crate::libcalls;
use crate::table::FunctionTable;
use std::sync::atomic::Ordering;
use upshift_codegen::{CompiledCode, Relocation, Target};

/// Checks what lookups rely on: sorted tables.
pub(crate) fn check(code: &CompiledCode) -> Result<(), CodeMemoryError> {
    let reason = if code.bytes.is_empty() {
        "there are no instructions"
    } else if !code.traps.is_sorted_by(|a, b| a.offset < b.offset) {
        "the trap sites are not sorted"
    } else if !code.accesses.is_sorted_by(|a, b| a.offset < b.offset) {
        "the accesses are not sorted"
    } else if !code.positions.is_sorted_by_key(|position| position.offset) {
        "the source positions are not sorted"
    } else {
        return Ok(());
    };
    Err(CodeMemoryError::Malformed(reason))
}

/// Applies `relocations` to `code`, which is to be executed at `start`.
pub(crate) fn link(
    code: &mut [u8],
    start: usize,
    relocations: &[Relocation],
    table: &FunctionTable,
) -> Result<(), CodeMemoryError> {
    for relocation in relocations {
        apply(code, start, relocation, table).map_err(|reason| CodeMemoryError::Relocation {
            offset: relocation.offset,
            kind: relocation.kind,
            target: relocation.target,
            reason,
        })?;
    }
    Ok(())
}

fn apply(
    code: &mut [u8],
    start: usize,
    relocation: &Relocation,
    table: &FunctionTable,
) -> Result<(), RelocationError> {
    let code_bytes = code.len();
    let offset = relocation.offset as usize;
    let field = code
        .get_mut(offset..)
        .and_then(|rest| rest.get_mut(..arch::field_bytes(relocation.kind)))
        .ok_or(RelocationError::FieldOutside)?;
    let base = if arch::wants_cell(relocation.kind) {
        cell_address(relocation.target, table)?
    } else {
        match relocation.target {
            Target::Local(offset) if offset as usize <= code_bytes => start + offset as usize,
            Target::Local(_) => return Err(RelocationError::LocalOutside),
            target => address(target, table)?,
        }
    };
    let value = (base as u64)
        .checked_add_signed(relocation.addend)
        .ok_or(RelocationError::Overflow)?;
    arch::relocate(relocation.kind, field, value, (start + offset) as u64)
}

/// The address of a target outside the code.
fn address(target: Target, table: &FunctionTable) -> Result<usize, RelocationError> {
    match target {
        Target::Function(function) if table.is_allocated(function) => {
            Ok(table.stub_address(function))
        }
        Target::ProfileCell(function) if table.is_allocated(function) => {
            Ok(table.profile_cell(function).addr().get())
        }
        Target::Function(_) | Target::ProfileCell(_) => Err(RelocationError::UnknownFunction),
        Target::Builtin(number) => {
            let cell = table.builtin_cell(number);
            let cell = cell.ok_or(RelocationError::UnknownBuiltin)?;
            Ok(cell.load(Ordering::Acquire))
        }
        Target::LibCall(libcall) => {
            let number = libcalls::number(libcall).ok_or(RelocationError::UnknownLibCall)?;
            match table.libcall_cell(number).load(Ordering::Relaxed) {
                0 => Err(RelocationError::UnknownLibCall),
                address => Ok(address),
            }
        }
        Target::Local(_) => Err(RelocationError::LocalOutside),
    }
}

/// The address of the cell that holds a target's address.
fn cell_address(target: Target, table: &FunctionTable) -> Result<usize, RelocationError> {
    match target {
        Target::Function(function) if table.is_allocated(function) => {
            Ok(table.slot_address(function))
        }
        Target::Function(_) => Err(RelocationError::UnknownFunction),
        Target::Builtin(number) => {
            let cell = table.builtin_cell(number);
            let cell = cell.ok_or(RelocationError::UnknownBuiltin)?;
            Ok(std::ptr::from_ref(cell) as usize)
        }
        Target::LibCall(libcall) => {
            // The address is not wanted, but that there is one.
            address(target, table)?;
            let number = libcalls::number(libcall).ok_or(RelocationError::UnknownLibCall)?;
            Ok(std::ptr::from_ref(table.libcall_cell(number)) as usize)
        }
        Target::ProfileCell(_) | Target::Local(_) => Err(RelocationError::NoAddressCell),
    }
}
