//! What differs between machines: the code of thunks and stubs, the fields that relocations fill in, and what it takes
//! for written code to be executed.
//!
//! Everything that only computes bytes is compiled, and tested, on every machine.

mod aarch64;
mod machine;
mod x64;

pub(crate) use machine::{Addresses, Machine, TRAP_THUNK};

use crate::error::RelocationError;
use upshift_codegen::RelocKind;

/// The machine that this was compiled for.
pub(crate) const HOST: &dyn Machine = if aarch64::IS_HOST {
    &aarch64::Aarch64
} else {
    &x64::X64
};

const _: () = assert!(
    aarch64::IS_HOST || x64::IS_HOST,
    "only x86-64 and aarch64 are supported"
);

/// Bytes of the field that a relocation of kind `kind` fills in.
pub(crate) fn field_bytes(kind: RelocKind) -> usize {
    if kind == RelocKind::Abs8 { 8 } else { 4 }
}

/// Whether a relocation of kind `kind` wants the address of the target's address cell, not the target's own.
pub(crate) fn wants_cell(kind: RelocKind) -> bool {
    matches!(
        kind,
        RelocKind::GotPcRel4 | RelocKind::Aarch64AdrGotPage21 | RelocKind::Aarch64LdGotLo12
    )
}

/// Fills in `field`, which is at address `place`, for a relocation to `value`.
pub(crate) fn relocate(
    kind: RelocKind,
    field: &mut [u8],
    value: u64,
    place: u64,
) -> Result<(), RelocationError> {
    match kind {
        RelocKind::Abs4 => x64::write_abs4(field, value),
        RelocKind::Abs8 => x64::write_abs8(field, value),
        RelocKind::PcRel4 | RelocKind::GotPcRel4 => x64::write_rel4(field, value, place),
        RelocKind::Aarch64Call => aarch64::write_call(field, value, place),
        RelocKind::Aarch64AdrPage21 | RelocKind::Aarch64AdrGotPage21 => {
            aarch64::write_page21(field, value, place)
        }
        RelocKind::Aarch64AddLo12 => aarch64::write_add_lo12(field, value),
        RelocKind::Aarch64LdGotLo12 => aarch64::write_load_lo12(field, value),
    }
}
