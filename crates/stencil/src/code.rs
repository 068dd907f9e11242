//! The code that is being made: bytes, labels and what is left for the linker.

use upshift_base::TrapKind;
use upshift_codegen::{RelocKind, Relocation, SourcePosition, Target, TrapSite};

/// A place in the code that can be jumped to before it is known where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(u32);

/// Where a label is that is not bound yet.
const UNBOUND: u32 = u32::MAX;

/// Code under construction. Encoders of one architecture add their instructions.
#[derive(Debug, Default)]
pub struct Code {
    pub(crate) bytes: Vec<u8>,
    labels: Vec<u32>,
    /// Displacements of 4 bytes, relative to their own end.
    jumps: Vec<(u32, Label)>,
    /// Entries of jump tables: 4 bytes, relative to the table's start.
    entries: Vec<(u32, u32, Label)>,
    pub(crate) relocations: Vec<Relocation>,
    pub(crate) traps: Vec<TrapSite>,
    pub(crate) positions: Vec<SourcePosition>,
}

impl Code {
    /// Forgets everything but the memory taken.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.labels.clear();
        self.jumps.clear();
        self.entries.clear();
        self.relocations.clear();
        self.traps.clear();
        self.positions.clear();
    }

    /// Where the next instruction goes.
    pub fn offset(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// A label for a place yet to come.
    pub fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// Puts a label here.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.bytes.len() as u32;
    }

    /// A displacement to `label`, 4 bytes.
    pub(crate) fn displacement(&mut self, label: Label) {
        self.jumps.push((self.bytes.len() as u32, label));
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// An entry of the jump table that starts at `table`.
    pub(crate) fn table_entry(&mut self, table: u32, label: Label) {
        self.entries.push((self.bytes.len() as u32, table, label));
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// The last 4 bytes are to become the distance to `target`, or to its address cell.
    pub(crate) fn relocate(&mut self, kind: RelocKind, target: Target, offset: i64) {
        self.relocations.push(Relocation {
            offset: self.bytes.len() as u32 - 4,
            kind,
            target,
            // The processor counts from the end of the field.
            addend: offset - 4,
        });
    }

    /// The next instruction may trap.
    pub(crate) fn trap_site(&mut self, kind: TrapKind) {
        self.traps.push(TrapSite {
            offset: self.bytes.len() as u32,
            kind,
        });
    }

    /// What follows comes from `position`.
    pub(crate) fn position(&mut self, position: u32) {
        let offset = self.bytes.len() as u32;
        let position = Some(position);
        match self.positions.last_mut() {
            Some(last) if last.position == position => {}
            Some(last) if last.offset == offset => last.position = position,
            _ => self.positions.push(SourcePosition {
                offset,
                position,
                inlined: None,
            }),
        }
    }

    /// Fills in what depends on labels, all of which are bound by now.
    pub(crate) fn resolve(&mut self) {
        for &(at, label) in &self.jumps {
            let distance = self.labels[label.0 as usize].wrapping_sub(at + 4);
            self.bytes[at as usize..at as usize + 4].copy_from_slice(&distance.to_le_bytes());
        }
        for &(at, table, label) in &self.entries {
            let distance = self.labels[label.0 as usize].wrapping_sub(table);
            self.bytes[at as usize..at as usize + 4].copy_from_slice(&distance.to_le_bytes());
        }
    }
}
