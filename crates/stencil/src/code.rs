//! The code that is being made: bytes, labels and what is left for the linker.

use upshift_base::TrapKind;
use upshift_codegen::{AccessSite, RelocKind, Relocation, SourcePosition, Target, TrapSite};

/// A place in the code that can be jumped to before it is known where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Label(u32);

/// The position of code that has none, which is the number that CLIF has for that.
pub(crate) const NO_POSITION: u32 = u32::MAX;

/// Where a label is that is not bound yet.
const UNBOUND: u32 = u32::MAX;

/// Bytes that are written in pieces of a fixed size, of which only the first few count: that takes one store and no
/// branch where a copy of the right length would take a call.
#[derive(Debug)]
pub(crate) struct Bytes {
    /// What lies behind the first `len` bytes is of no meaning. There is always room for [`WINDOW_BYTES_MAX`] more: it is
    /// made when the last ones were written, so that what writes has nothing left to do after it and keeps nothing.
    memory: Vec<u8>,
    len: usize,
}

/// No piece is larger.
const WINDOW_BYTES_MAX: usize = 32;
/// What there is room for at first.
const FIRST_BYTES: usize = 4096;

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes {
            memory: vec![0; FIRST_BYTES],
            len: 0,
        }
    }
}

impl Bytes {
    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    /// The next `N` bytes; [`Bytes::advance`] says how many of them count.
    #[inline(always)]
    pub(crate) fn window<const N: usize>(&mut self) -> &mut [u8; N] {
        const { assert!(N <= WINDOW_BYTES_MAX) };
        let window = self.memory[self.len..].first_chunk_mut();
        window.expect("there is always room")
    }

    /// The first `count` bytes of what was last asked for count.
    #[inline(always)]
    pub(crate) fn advance(&mut self, count: usize) {
        self.len += count;
        if self.len + WINDOW_BYTES_MAX > self.memory.len() {
            self.grow();
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let len = (self.memory.len() * 2).max(self.len + FIRST_BYTES);
        self.memory.resize(len, 0);
    }

    #[inline(always)]
    pub(crate) fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        *self.window::<N>() = bytes;
        self.advance(N);
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let start = self.len;
        self.skip(bytes.len());
        self.memory[start..self.len].copy_from_slice(bytes);
    }

    /// Leaves room for `count` bytes.
    pub(crate) fn skip(&mut self, count: usize) {
        self.advance(count);
    }

    /// Moves what is behind `from` to where it ends at `end`, and returns where it begins there.
    pub(crate) fn move_last(&mut self, from: usize, end: usize) -> usize {
        let start = end - (self.len - from);
        self.memory.copy_within(from..self.len, start);
        self.len = from;
        start
    }

    /// Writes 4 bytes over those at `at`.
    #[inline]
    pub(crate) fn patch(&mut self, at: u32, value: u32) {
        let at = at as usize;
        self.memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}

/// Code under construction. Encoders of one architecture add their instructions.
#[derive(Debug, Default)]
pub struct Code {
    pub(crate) bytes: Bytes,
    labels: Vec<u32>,
    /// Displacements of 4 bytes, relative to their own end.
    jumps: Vec<(u32, Label)>,
    /// Entries of jump tables: 4 bytes, relative to the table's start.
    entries: Vec<(u32, u32, Label)>,
    pub(crate) relocations: Vec<Relocation>,
    pub(crate) traps: Vec<TrapSite>,
    pub(crate) accesses: Vec<AccessSite>,
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
        self.accesses.clear();
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

    /// The last 4 bytes are to become the displacement to `label`.
    #[inline]
    pub(crate) fn displacement_before(&mut self, label: Label) {
        self.jumps.push((self.bytes.len() as u32 - 4, label));
    }

    /// An entry of the jump table that starts at `table`.
    pub(crate) fn table_entry(&mut self, table: u32, label: Label) {
        self.entries.push((self.bytes.len() as u32, table, label));
        self.bytes.push([0; 4]);
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

    /// The next instruction comes from `position` and accesses a linear memory.
    #[inline(always)]
    pub(crate) fn access_site(&mut self, position: u32) {
        let offset = self.bytes.len() as u32;
        self.accesses.push(AccessSite { offset, position });
    }

    /// What follows comes from `position`.
    pub(crate) fn position(&mut self, position: u32) {
        let offset = self.bytes.len() as u32;
        let position = (position != NO_POSITION).then_some(position);
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
            self.bytes.patch(at, distance);
        }
        for &(at, table, label) in &self.entries {
            let distance = self.labels[label.0 as usize].wrapping_sub(table);
            self.bytes.patch(at, distance);
        }
    }
}
