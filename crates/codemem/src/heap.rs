//! The part that code is placed in: which of its bytes are taken, and which of its pages have memory behind them.
//!
//! Memory is put behind pages before they are written, so that having none left is an error and not a signal. Pages
//! that no block touches any more are given back, not at once but when enough bytes were freed since the last time, in
//! proportion to those in use: so the cost of freeing stays in proportion too. Where many of them are free in a row they
//! also become inaccessible: pages that were given back hold zeros, which are instructions too.

use crate::allocator::RangeAllocator;
use crate::arch::HOST;
use crate::error::CodeMemoryError;
use crate::layout::HEADER_BYTES;
use crate::mapping::Mapping;
use crate::pages::PageSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of the unit that code is allocated in; the alignment that every block has.
const GRANULE_BYTES: usize = 16;
/// Pages that memory is put behind together, if one of them needs it and the others have none.
const COMMIT_PAGES: usize = 8;
/// Bytes that may be freed before pages are given back, beyond an eighth of those in use.
const RELEASE_SLACK_BYTES: usize = 64 << 10;

/// Pages in a row that become inaccessible when they are free: so many that a process does not run out of mappings.
const SEALED_PAGES_MIN: usize = 16;

/// Where blocks of code are allocated.
#[derive(Debug)]
pub(crate) struct CodeHeap {
    mapping: Arc<Mapping>,
    state: Mutex<State>,
}

/// Granules and pages are counted from the start of the code part, header included.
#[derive(Debug)]
struct State {
    free: RangeAllocator,
    /// The pages that have memory behind them.
    committed: PageSet,
    /// The pages that cannot be accessed where code is executed; none of them has memory behind it.
    sealed: PageSet,
    /// Granules from here on were never allocated.
    high_water: u32,
    used_bytes: usize,
    blocks: usize,
    freed_since_release_bytes: usize,
}

/// How full a heap is.
#[derive(Debug)]
pub(crate) struct HeapUsage {
    /// Bytes that can be allocated together.
    pub capacity_bytes: usize,
    /// Bytes that are allocated.
    pub used_bytes: usize,
    /// Allocations.
    pub blocks: usize,
}

impl CodeHeap {
    /// Everything free but the header, whose page has memory.
    pub fn new(mapping: Arc<Mapping>) -> CodeHeap {
        let layout = mapping.layout();
        let code_bytes = layout.reserved_bytes - layout.code;
        let header = HEADER_BYTES / GRANULE_BYTES;
        let granules = code_bytes / GRANULE_BYTES;
        let pages = code_bytes / layout.page_bytes;
        let mut committed = PageSet::new(pages);
        committed.insert(0..1);
        CodeHeap {
            state: Mutex::new(State {
                free: RangeAllocator::new(header as u32..granules as u32),
                committed,
                sealed: PageSet::new(pages),
                high_water: header as u32,
                used_bytes: 0,
                blocks: 0,
                freed_since_release_bytes: 0,
            }),
            mapping,
        }
    }

    /// Allocates `bytes` bytes, `placement` bytes behind an address that is aligned to `alignment`.
    pub fn allocate(
        heap: &Arc<CodeHeap>,
        bytes: usize,
        (alignment, placement): (u32, u32),
    ) -> Result<Extent, CodeMemoryError> {
        heap.mapping.check_owner()?;
        let page_bytes = heap.mapping.layout().page_bytes;
        if !alignment.is_power_of_two() || alignment as usize > page_bytes {
            let reason = "the alignment is not a power of two up to a page";
            return Err(CodeMemoryError::Malformed(reason));
        }
        if placement >= alignment || !(placement as usize).is_multiple_of(GRANULE_BYTES) {
            let reason = "the placement is not a multiple of 16 below the alignment";
            return Err(CodeMemoryError::Malformed(reason));
        }
        let placement = placement / GRANULE_BYTES as u32;
        let alignment = (alignment as usize).div_ceil(GRANULE_BYTES) as u32;
        let full = || CodeMemoryError::OutOfCode { bytes };
        let granules = u32::try_from(bytes.max(1).div_ceil(GRANULE_BYTES)).map_err(|_| full())?;
        let mut state = heap.state();
        let start = state
            .free
            .allocate(granules, (alignment, placement))
            .ok_or_else(full)?;
        let taken = start..start + granules;
        let pages = heap.pages_touched(&taken);
        if let Err(error) = state.commit(&heap.mapping, pages) {
            state.free.free(taken);
            return Err(error);
        }
        let reused = start < state.high_water;
        state.high_water = state.high_water.max(taken.end);
        state.used_bytes += taken.len() * GRANULE_BYTES;
        state.blocks += 1;
        Ok(Extent {
            heap: Arc::clone(heap),
            granules: taken,
            bytes,
            reused,
        })
    }

    fn free(&self, granules: Range<u32>) {
        let mut state = self.state();
        let bytes = granules.len() * GRANULE_BYTES;
        state.free.free(granules);
        state.used_bytes -= bytes;
        state.blocks -= 1;
        state.freed_since_release_bytes += bytes;
        let enough = RELEASE_SLACK_BYTES + state.used_bytes / 8;
        if state.used_bytes == 0 || state.freed_since_release_bytes >= enough {
            state.freed_since_release_bytes = 0;
            state.release(&self.mapping);
        }
    }

    /// How full the heap is.
    pub fn usage(&self) -> HeapUsage {
        let state = self.state();
        HeapUsage {
            capacity_bytes: self.mapping.layout().blocks().len(),
            used_bytes: state.used_bytes,
            blocks: state.blocks,
        }
    }

    fn pages_touched(&self, granules: &Range<u32>) -> Range<usize> {
        let page_bytes = self.mapping.layout().page_bytes;
        let bytes = granule_bytes(granules);
        bytes.start / page_bytes..bytes.end.div_ceil(page_bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sees to it that all of `pages` have memory behind them, and perhaps some behind those.
    fn commit(&mut self, mapping: &Mapping, pages: Range<usize>) -> Result<(), CodeMemoryError> {
        while let Some(gap) = self.committed.first_gap(pages.clone()) {
            let wide = self.widened(&gap);
            if wide == gap || self.commit_gap(mapping, wide).is_err() {
                self.commit_gap(mapping, gap)?;
            }
        }
        Ok(())
    }

    /// The same gap with the pages behind it that have no memory either and are accessible.
    fn widened(&self, gap: &Range<usize>) -> Range<usize> {
        let end = (gap.start + COMMIT_PAGES).min(self.committed.len());
        let wide = gap.start..gap.end.max(end);
        let wide = self.committed.first_gap(wide).unwrap_or(gap.clone());
        match self.sealed.first_run(gap.end..wide.end) {
            Some(sealed) => gap.start..sealed.start,
            None => wide,
        }
    }

    fn commit_gap(&mut self, mapping: &Mapping, gap: Range<usize>) -> Result<(), CodeMemoryError> {
        let mut pages = gap.clone();
        while let Some(sealed) = self.sealed.first_run(pages.clone()) {
            mapping.seal(page_offsets(mapping, &sealed), false)?;
            pages.start = sealed.end;
            self.sealed.remove(sealed);
        }
        mapping.commit(page_offsets(mapping, &gap))?;
        self.committed.insert(gap);
        Ok(())
    }

    /// Gives back the memory behind pages that are free as a whole, and makes them inaccessible where they are many.
    fn release(&mut self, mapping: &Mapping) {
        let page_bytes = mapping.layout().page_bytes;
        let used_before = (self.high_water as usize * GRANULE_BYTES).div_ceil(page_bytes);
        for run in self.free.free_runs((page_bytes / GRANULE_BYTES) as u32) {
            let bytes = granule_bytes(&run);
            let mut pages = bytes.start.div_ceil(page_bytes)..bytes.end / page_bytes;
            while let Some(idle) = self.committed.first_run(pages.clone()) {
                pages.start = idle.end;
                if mapping.release(page_offsets(mapping, &idle)) {
                    self.committed.remove(idle);
                }
            }
            let mut pages =
                bytes.start.div_ceil(page_bytes)..(bytes.end / page_bytes).min(used_before);
            if pages.len() < SEALED_PAGES_MIN {
                continue;
            }
            while let Some(open) = self.sealed.first_gap(pages.clone()) {
                pages.start = open.end;
                // Without memory behind them only: what could not be given back can be used again as it is.
                let idle = self.committed.first_run(open.clone()).is_none();
                if idle && mapping.seal(page_offsets(mapping, &open), true).is_ok() {
                    self.sealed.insert(open);
                }
            }
        }
    }
}

fn granule_bytes(granules: &Range<u32>) -> Range<usize> {
    granules.start as usize * GRANULE_BYTES..granules.end as usize * GRANULE_BYTES
}

fn page_offsets(mapping: &Mapping, pages: &Range<usize>) -> Range<usize> {
    let layout = mapping.layout();
    layout.code + pages.start * layout.page_bytes..layout.code + pages.end * layout.page_bytes
}

/// A place for one block of code, free again when dropped. By then nobody may be executing it.
#[derive(Debug)]
pub(crate) struct Extent {
    heap: Arc<CodeHeap>,
    granules: Range<u32>,
    bytes: usize,
    reused: bool,
}

impl Extent {
    /// The address that the code is executed at.
    pub fn address(&self) -> usize {
        self.heap.mapping.address(self.offset())
    }

    /// The bytes that were asked for, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.writable(self.bytes)
    }

    /// Makes what was written executable.
    pub fn publish(&mut self) {
        let address = self.address();
        let reused = self.reused;
        HOST.publish(self.bytes_mut(), address, reused);
    }

    /// Whether this process made it, and not one that forked this one.
    pub fn is_own(&self) -> bool {
        self.heap.mapping.check_owner().is_ok()
    }

    fn offset(&self) -> usize {
        self.heap.mapping.layout().code + granule_bytes(&self.granules).start
    }

    fn writable(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.heap.mapping.writable(self.offset());
        // SAFETY: the bytes are this extent's own and have memory behind them, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(start, bytes) }
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        if !self.is_own() {
            return;
        }
        let all = granule_bytes(&self.granules).len();
        // Whoever runs what is gone is stopped, at least until the page is given back.
        HOST.fill(self.writable(all));
        self.heap.free(self.granules.clone());
    }
}
