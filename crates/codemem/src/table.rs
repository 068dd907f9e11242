//! The functions: their ids, entry slots, profile cells and jump stubs, and the cells of the addresses outside.
//!
//! A stub's bytes depend on nothing but its function's id, so they are written when the id is first handed out, and an
//! id used again only gets its slot and its profile cell reset. A slot of an id that is not allocated is null, or leads
//! to a trap if the id was allocated before.

use crate::allocator::RangeAllocator;
use crate::arch::{Addresses, HOST, TRAP_THUNK};
use crate::error::CodeMemoryError;
use crate::layout::{
    BUILTIN_COUNT, CELL_BYTES, HEADER_BYTES, PROFILE_BYTES, SLOT_BYTES, STUB_BYTES,
};
use crate::libcalls;
use crate::mapping::Mapping;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use upshift_base::FuncId;

/// What tier 0 and tier 1 count about a function.
///
/// Generated code decrements the budgets with plain instructions, so racing threads may lose a count; the runtime reads
/// and sets them with relaxed operations. A new function's cell is zero.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct ProfileCell {
    /// Calls until the function asks for promotion.
    pub entry_budget: AtomicI32,
    /// Back edges until the function asks for promotion.
    pub loop_budget: AtomicI32,
    /// The runtime's own.
    pub state: AtomicUsize,
    /// The address of the function's array of [`CallSite`](upshift_codegen::call_site::CallSite)s, if its code has call
    /// sites.
    pub call_sites: AtomicUsize,
}

const _: () = assert!(size_of::<ProfileCell>() == PROFILE_BYTES);

/// Everything about functions but their code.
#[derive(Debug)]
pub(crate) struct FunctionTable {
    mapping: Arc<Mapping>,
    ids: Mutex<Ids>,
}

#[derive(Debug)]
struct Ids {
    free: RangeAllocator,
    /// Ids below were allocated before.
    high_water: u32,
    live: u32,
}

impl FunctionTable {
    /// No functions yet; writes the thunks and the library routines' cells.
    pub fn new(mapping: Arc<Mapping>) -> Result<FunctionTable, CodeMemoryError> {
        let layout = *mapping.layout();
        let table = FunctionTable {
            ids: Mutex::new(Ids {
                free: RangeAllocator::new(0..layout.function_capacity),
                high_water: 0,
                live: 0,
            }),
            mapping,
        };
        for (number, address) in libcalls::addresses().enumerate() {
            table.libcall_cell(number).store(address, Ordering::Release);
        }
        table
            .mapping
            .commit(layout.code..layout.code + layout.page_bytes)?;
        let header = table.mapping.writable(layout.code).cast();
        // SAFETY: the header was just given memory, and nobody else knows of it yet.
        let header: &mut [u8; HEADER_BYTES] = unsafe { &mut *header };
        HOST.write_header(header, &table.addresses());
        HOST.publish(header, table.mapping.address(layout.code), false);
        Ok(table)
    }

    /// Allocates `count` functions in a row.
    pub fn allocate(table: &Arc<FunctionTable>, count: u32) -> Result<FuncRange, CodeMemoryError> {
        table.mapping.check_owner()?;
        let first = table.allocate_ids(count)?;
        Ok(FuncRange {
            table: Arc::clone(table),
            first,
            count,
        })
    }

    fn allocate_ids(&self, count: u32) -> Result<u32, CodeMemoryError> {
        if count == 0 {
            return Ok(0);
        }
        let mut ids = self.ids();
        let full = CodeMemoryError::OutOfFunctions { count };
        let first = ids.free.allocate(count, (1, 0)).ok_or(full)?;
        let range = first..first + count;
        if let Err(error) = self.write_new_stubs(ids.high_water, range.end) {
            ids.free.free(range);
            return Err(error);
        }
        for id in first..range.end.min(ids.high_water) {
            self.reset_profile_cell(FuncId(id));
        }
        for id in range.clone() {
            let function = FuncId(id);
            let lazy = self.lazy_entry(function);
            self.entry_slot(function).store(lazy, Ordering::Release);
        }
        ids.high_water = ids.high_water.max(range.end);
        ids.live += count;
        Ok(first)
    }

    /// Writes the stubs of the ids from `high_water` to `end`, which were never allocated.
    fn write_new_stubs(&self, high_water: u32, end: u32) -> Result<(), CodeMemoryError> {
        if end <= high_water {
            return Ok(());
        }
        let layout = self.mapping.layout();
        let start = layout.stubs + high_water as usize * STUB_BYTES;
        let end = layout.stubs + end as usize * STUB_BYTES;
        let fresh =
            start.next_multiple_of(layout.page_bytes)..end.next_multiple_of(layout.page_bytes);
        if !fresh.is_empty() {
            self.mapping.commit(fresh)?;
        }
        // SAFETY: the stubs have memory behind them, nobody executes those of ids that were never allocated, and the
        // lock on the ids is held.
        let stubs =
            unsafe { std::slice::from_raw_parts_mut(self.mapping.writable(start), end - start) };
        HOST.write_stubs(stubs, high_water as usize, &self.addresses());
        HOST.publish(stubs, self.mapping.address(start), false);
        Ok(())
    }

    fn free(&self, range: Range<u32>) {
        if range.is_empty() || self.mapping.check_owner().is_err() {
            return;
        }
        let trap = self.trap_entry();
        for id in range.clone() {
            self.entry_slot(FuncId(id)).store(trap, Ordering::Release);
        }
        let mut ids = self.ids();
        ids.live -= range.end - range.start;
        ids.free.free(range);
    }

    /// How many functions are allocated.
    pub fn live(&self) -> u32 {
        self.ids().live
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry slot of a function below the capacity.
    pub fn entry_slot(&self, function: FuncId) -> &AtomicPtr<u8> {
        let address = self.slot_address(function);
        // SAFETY: the slot is in the mapping's data part, which lives as long as this and is only ever accessed
        // atomically.
        unsafe { AtomicPtr::from_ptr(ptr::with_exposed_provenance_mut(address)) }
    }

    /// The address of `function`'s entry slot.
    pub fn slot_address(&self, function: FuncId) -> usize {
        let index = self.checked_index(function);
        self.mapping
            .address(self.mapping.layout().slots + index * SLOT_BYTES)
    }

    /// The address of `function`'s jump stub.
    pub fn stub_address(&self, function: FuncId) -> usize {
        let index = self.checked_index(function);
        self.mapping
            .address(self.mapping.layout().stubs + index * STUB_BYTES)
    }

    /// What `function`'s slot holds while it has no code.
    pub fn lazy_entry(&self, function: FuncId) -> *mut u8 {
        let address = self.stub_address(function) + HOST.lazy_offset();
        ptr::with_exposed_provenance_mut(address)
    }

    /// What the slots of functions hold that are no more.
    fn trap_entry(&self) -> *mut u8 {
        let address = self
            .mapping
            .address(self.mapping.layout().code + TRAP_THUNK);
        ptr::with_exposed_provenance_mut(address)
    }

    /// The function in whose stub `address` lies.
    pub fn function_of_stub(&self, address: usize) -> Option<FuncId> {
        let layout = self.mapping.layout();
        let offset = address.checked_sub(self.mapping.address(layout.stubs))?;
        let index = u32::try_from(offset / STUB_BYTES).ok()?;
        (index < layout.function_capacity).then_some(FuncId(index))
    }

    /// The function whose entry slot is at `address`.
    pub fn function_of_slot(&self, address: usize) -> Option<FuncId> {
        let layout = self.mapping.layout();
        let offset = address.checked_sub(self.mapping.address(layout.slots))?;
        let index = u32::try_from(offset / SLOT_BYTES).ok()?;
        (index < layout.function_capacity).then_some(FuncId(index))
    }

    /// `function`'s profile cell.
    pub fn profile_cell(&self, function: FuncId) -> NonNull<ProfileCell> {
        let index = self.checked_index(function);
        let offset = self.mapping.layout().profile + index * PROFILE_BYTES;
        let cell: *mut ProfileCell = ptr::with_exposed_provenance_mut(self.mapping.address(offset));
        // SAFETY: no address of a mapping is null.
        unsafe { NonNull::new_unchecked(cell) }
    }

    fn reset_profile_cell(&self, function: FuncId) {
        // SAFETY: the cell is in the mapping's data part, and everybody on this side accesses it atomically.
        let cell = unsafe { self.profile_cell(function).as_ref() };
        cell.entry_budget.store(0, Ordering::Relaxed);
        cell.loop_budget.store(0, Ordering::Relaxed);
        cell.state.store(0, Ordering::Relaxed);
        cell.call_sites.store(0, Ordering::Relaxed);
    }

    /// Whether `function` is allocated; takes no lock.
    pub fn is_allocated(&self, function: FuncId) -> bool {
        function.0 < self.mapping.layout().function_capacity && {
            let entry = self.entry_slot(function).load(Ordering::Relaxed);
            !entry.is_null() && entry != self.trap_entry()
        }
    }

    /// Sets a builtin's address.
    pub fn set_builtin(&self, number: u32, address: usize) {
        assert!(
            number < BUILTIN_COUNT,
            "builtin {number} of {BUILTIN_COUNT}"
        );
        self.cell(number as usize).store(address, Ordering::Release);
    }

    /// The cell of a builtin that has an address.
    pub fn builtin_cell(&self, number: u32) -> Option<&AtomicUsize> {
        let cell = (number < BUILTIN_COUNT).then(|| self.cell(number as usize))?;
        (cell.load(Ordering::Relaxed) != 0).then_some(cell)
    }

    /// The cell of the library routine with that number.
    pub fn libcall_cell(&self, number: usize) -> &AtomicUsize {
        self.cell(BUILTIN_COUNT as usize + number)
    }

    fn cell(&self, number: usize) -> &AtomicUsize {
        let offset = number * CELL_BYTES;
        assert!(offset < self.mapping.layout().slots);
        let address = self.mapping.address(offset);
        // SAFETY: the cell is in the mapping's data part, which lives as long as this and is only ever accessed
        // atomically.
        unsafe { AtomicUsize::from_ptr(ptr::with_exposed_provenance_mut(address)) }
    }

    fn checked_index(&self, function: FuncId) -> usize {
        let capacity = self.mapping.layout().function_capacity;
        assert!(function.0 < capacity, "{function} of {capacity}");
        function.index()
    }

    fn addresses(&self) -> Addresses {
        let layout = self.mapping.layout();
        Addresses {
            cells: self.mapping.address(0),
            slots: self.mapping.address(layout.slots),
            stubs: self.mapping.address(layout.stubs),
            header: self.mapping.address(layout.code),
        }
    }
}

/// Functions with contiguous ids, which are free again when this is dropped.
///
/// By then no code may refer to them that can still run: their slots lead to a trap, and their ids will be other
/// functions'.
#[derive(Debug)]
pub struct FuncRange {
    table: Arc<FunctionTable>,
    first: u32,
    count: u32,
}

impl FuncRange {
    /// The first id; of no meaning if there are none.
    pub fn first(&self) -> FuncId {
        FuncId(self.first)
    }

    /// How many functions there are.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are no functions.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The function at `index`, counted from the first.
    pub fn get(&self, index: u32) -> Option<FuncId> {
        (index < self.count).then(|| FuncId(self.first + index))
    }

    /// Whether `function` is one of them.
    pub fn contains(&self, function: FuncId) -> bool {
        self.ids().contains(&function.0)
    }

    /// The functions, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = FuncId> + use<> {
        self.ids().map(FuncId)
    }

    fn ids(&self) -> Range<u32> {
        self.first..self.first + self.count
    }
}

impl Drop for FuncRange {
    fn drop(&mut self) {
        self.table.free(self.ids());
    }
}
