//! A table of stencils as arrays of numbers, made of its rows by the compiler.

use super::row::{OPERATIONS, Row, VARIANTS};
use upshift::embed::stencil::{Hole, HoleKind, Stencil, StencilTrap, Ty};

/// The most operands that an operation has.
const OPERANDS_MAX: usize = 3;
/// No slot, no entry.
const NONE: u16 = u16::MAX;

/// All stencils for one architecture.
pub struct Table {
    /// Each operation's slot.
    pub operations: &'static [u16; OPERATIONS],
    /// For each slot and variant the entry.
    pub slots: &'static [[u16; VARIANTS]],
    /// What is known of each stencil.
    pub entries: &'static [Entry],
    /// All code.
    pub code: &'static [u8],
    /// All places that trap.
    pub traps: &'static [StencilTrap],
    /// All holes.
    pub holes: &'static [Hole],
}

/// One stencil, with where its parts are in the other arrays.
#[derive(Clone, Copy)]
pub struct Entry {
    code: u32,
    code_len: u16,
    traps: u16,
    holes: u16,
    traps_len: u8,
    holes_len: u8,
    operands: [Ty; OPERANDS_MAX],
    operands_len: u8,
    result: Option<Ty>,
    aligned: bool,
    clobbers: u64,
}

impl Table {
    /// The stencil of an operation, if there is one.
    pub fn find(&self, operation: usize, variant: usize) -> Option<Stencil<'static>> {
        let slot = *self.operations.get(operation)?;
        let entry = *self.slots.get(usize::from(slot))?.get(variant)?;
        let entry = self.entries.get(usize::from(entry))?;
        Some(self.stencil(entry))
    }

    fn stencil(&self, entry: &'static Entry) -> Stencil<'static> {
        let (code, traps, holes) = (
            entry.code as usize,
            entry.traps as usize,
            entry.holes as usize,
        );
        Stencil {
            code: &self.code[code..code + entry.code_len as usize],
            operands: &entry.operands[..entry.operands_len as usize],
            result: entry.result,
            clobbers: entry.clobbers,
            aligned: entry.aligned,
            traps: &self.traps[traps..traps + entry.traps_len as usize],
            holes: &self.holes[holes..holes + entry.holes_len as usize],
        }
    }
}

/// Packs a constant slice of rows.
macro_rules! packed {
    ($rows:expr) => {
        $crate::baseline::table::packed::Table {
            operations: &const { $crate::baseline::table::packed::operations($rows) },
            slots: &const {
                use $crate::baseline::table::packed::{sizes, slots};
                slots::<{ sizes($rows).slots }>($rows)
            },
            entries: &const { $crate::baseline::table::packed::entries::<{ $rows.len() }>($rows) },
            code: &const {
                use $crate::baseline::table::packed::{code, sizes};
                code::<{ sizes($rows).code }>($rows)
            },
            traps: &const {
                use $crate::baseline::table::packed::{sizes, traps};
                traps::<{ sizes($rows).traps }>($rows)
            },
            holes: &const {
                use $crate::baseline::table::packed::{holes, sizes};
                holes::<{ sizes($rows).holes }>($rows)
            },
        }
    };
}
pub(in crate::baseline) use packed;

/// How large the arrays are.
pub struct Sizes {
    pub slots: usize,
    pub code: usize,
    pub traps: usize,
    pub holes: usize,
}

/// Whether row `index` is of another operation than the one before.
const fn opens_slot(rows: &[Row], index: usize) -> bool {
    index == 0 || rows[index - 1].operation != rows[index].operation
}

pub const fn sizes(rows: &[Row]) -> Sizes {
    let mut sizes = Sizes {
        slots: 0,
        code: 0,
        traps: 0,
        holes: 0,
    };
    let mut index = 0;
    while index < rows.len() {
        sizes.slots += opens_slot(rows, index) as usize;
        sizes.code += rows[index].code.len() / 2;
        sizes.traps += rows[index].fixups.0.len();
        sizes.holes += rows[index].fixups.1.len();
        index += 1;
    }
    sizes
}

pub const fn operations(rows: &[Row]) -> [u16; OPERATIONS] {
    let mut operations = [NONE; OPERATIONS];
    let (mut index, mut slots) = (0, 0);
    while index < rows.len() {
        if opens_slot(rows, index) {
            let operation = rows[index].operation;
            assert!(
                index == 0 || rows[index - 1].operation < operation,
                "the rows are sorted by operation"
            );
            operations[operation as usize] = slots;
            slots += 1;
        }
        index += 1;
    }
    operations
}

pub const fn slots<const N: usize>(rows: &[Row]) -> [[u16; VARIANTS]; N] {
    let mut slots = [[NONE; VARIANTS]; N];
    let (mut index, mut end) = (0, 0);
    while index < rows.len() {
        end += opens_slot(rows, index) as usize;
        let mut variant = 0;
        while variant < VARIANTS {
            if rows[index].variants >> variant & 1 == 1 {
                slots[end - 1][variant] = index as u16;
            }
            variant += 1;
        }
        index += 1;
    }
    slots
}

pub const fn entries<const N: usize>(rows: &[Row]) -> [Entry; N] {
    let empty = Entry {
        code: 0,
        code_len: 0,
        traps: 0,
        holes: 0,
        traps_len: 0,
        holes_len: 0,
        operands: [Ty::I32; OPERANDS_MAX],
        operands_len: 0,
        result: None,
        aligned: false,
        clobbers: 0,
    };
    let mut entries = [empty; N];
    let (mut index, mut code, mut traps, mut holes) = (0, 0, 0, 0);
    while index < N {
        let row = &rows[index];
        let mut operands = [Ty::I32; OPERANDS_MAX];
        let mut operand = 0;
        while operand < row.types.0.len() {
            operands[operand] = row.types.0[operand];
            operand += 1;
        }
        entries[index] = Entry {
            code: code as u32,
            code_len: (row.code.len() / 2) as u16,
            traps: traps as u16,
            holes: holes as u16,
            traps_len: row.fixups.0.len() as u8,
            holes_len: row.fixups.1.len() as u8,
            operands,
            operands_len: operand as u8,
            result: row.types.1,
            aligned: row.aligned,
            clobbers: row.clobbers,
        };
        code += row.code.len() / 2;
        traps += row.fixups.0.len();
        holes += row.fixups.1.len();
        index += 1;
    }
    entries
}

pub const fn code<const N: usize>(rows: &[Row]) -> [u8; N] {
    let mut code = [0; N];
    let (mut index, mut end) = (0, 0);
    while index < rows.len() {
        let digits = rows[index].code.as_bytes();
        let mut digit = 0;
        while digit < digits.len() {
            code[end] = value(digits[digit]) << 4 | value(digits[digit + 1]);
            digit += 2;
            end += 1;
        }
        index += 1;
    }
    code
}

const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("the code is in hexadecimal"),
    }
}

pub const fn traps<const N: usize>(rows: &[Row]) -> [StencilTrap; N] {
    let mut traps = [StencilTrap { offset: 0, kind: 0 }; N];
    let (mut index, mut end) = (0, 0);
    while index < rows.len() {
        let mut trap = 0;
        while trap < rows[index].fixups.0.len() {
            traps[end] = rows[index].fixups.0[trap];
            trap += 1;
            end += 1;
        }
        index += 1;
    }
    traps
}

pub const fn holes<const N: usize>(rows: &[Row]) -> [Hole; N] {
    let empty = Hole {
        offset: 0,
        byte: 0,
        kind: HoleKind::Same,
    };
    let mut holes = [empty; N];
    let (mut index, mut end) = (0, 0);
    while index < rows.len() {
        let mut hole = 0;
        while hole < rows[index].fixups.1.len() {
            holes[end] = rows[index].fixups.1[hole];
            hole += 1;
            end += 1;
        }
        index += 1;
    }
    holes
}
