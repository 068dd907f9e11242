//! What a store owns, as data: memories, tables, globals, instances and host functions.
//!
//! Each object sits in an allocation of its own whose address is stable, because generated code has pointers into it. The
//! operations on memories and tables that both the embedder and generated code ask for are written here once.

use crate::error::{Error, Result};
use crate::limits::SharedLimits;
use crate::module::Module;
use crate::owned::Owned;
use crate::region::Region;
use crate::types::{FuncType, GlobalType, MemoryType, PAGE_BYTES, PAGES_MAX, TableType};
use crate::vmctx::{MEMORY_RESERVATION_BYTES, VMContext, VMFuncRef, VMGlobal, VMMemory, VMTable};
use std::alloc::Layout;
use std::any::Any;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use upshift::Engine;
use upshift::embed::{EntrySlot, GuestMemoryRange, HostEntry};

/// An access outside a memory, table or segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfBounds;

/// A range of `len` items from `start` on, if it lies within `limit` items.
pub(crate) fn in_bounds(start: u64, len: u64, limit: usize) -> Result<usize, OutOfBounds> {
    match start.checked_add(len) {
        Some(end) if end <= limit as u64 => Ok(start as usize),
        _ => Err(OutOfBounds),
    }
}

/// A linear memory.
pub(crate) struct MemoryData {
    pub(crate) index: u32,
    pub(crate) ty: MemoryType,
    pub(crate) vm: VMMemory,
    shared: Arc<SharedLimits>,
    // Dropped before the region: no fault in the range is the memory's once its addresses may be someone else's.
    _registration: GuestMemoryRange,
    region: Region,
}

impl MemoryData {
    pub(crate) fn new(
        engine: &Engine,
        index: u32,
        ty: MemoryType,
        shared: Arc<SharedLimits>,
    ) -> Result<MemoryData> {
        let bytes = ty.min as usize * PAGE_BYTES as usize;
        let max = shared.memory_bytes_max();
        if bytes > max {
            return Err(Error::new(format!(
                "a memory of {bytes} bytes is larger than the store's limit of {max} bytes"
            )));
        }
        let reserved = MEMORY_RESERVATION_BYTES as usize;
        let failed = |error: std::io::Error| {
            Error::host(error).context(format!(
                "cannot reserve {reserved} bytes of addresses for a memory; is the address space limited (`ulimit -v`)?"
            ))
        };
        let mut region = Region::reserve(reserved).map_err(failed)?;
        region.grow_to(bytes).map_err(failed)?;
        let vm = VMMemory {
            base: region.base().as_ptr(),
            bytes: AtomicUsize::new(bytes),
        };
        let registration = engine.register_guest_memory(region.addresses());
        Ok(MemoryData {
            index,
            ty,
            vm,
            shared,
            _registration: registration,
            region,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.vm.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn pages(&self) -> u64 {
        (self.len() / PAGE_BYTES as usize) as u64
    }

    /// All accessible bytes.
    pub(crate) fn bytes(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.region.base(), self.len())
    }

    /// The type as it is now: its minimum is the present size.
    pub(crate) fn current_type(&self) -> MemoryType {
        MemoryType {
            min: self.pages() as u32,
            max: self.ty.max,
        }
    }

    /// Grows by `delta` pages and says how many there were, unless that is more than the type, the store or the machine
    /// allows.
    pub(crate) fn grow(&mut self, delta: u64) -> Option<u64> {
        let before = self.pages();
        let max = u64::from(self.ty.max.unwrap_or(PAGES_MAX).min(PAGES_MAX));
        let after = before.checked_add(delta).filter(|&pages| pages <= max)?;
        let bytes = after as usize * PAGE_BYTES as usize;
        if delta > 0 {
            if bytes > self.shared.memory_bytes_max() {
                return None;
            }
            self.region.grow_to(bytes).ok()?;
            self.vm.bytes.store(bytes, Ordering::Relaxed);
        }
        Some(before)
    }

    fn range(&self, start: u64, len: u64) -> Result<*mut u8, OutOfBounds> {
        let start = in_bounds(start, len, self.len())?;
        // SAFETY: `start` is within the memory or one past its end.
        Ok(unsafe { self.vm.base.add(start) })
    }

    /// Sets `len` bytes from `start` on to `value`.
    pub(crate) fn fill(&self, start: u64, value: u8, len: u64) -> Result<(), OutOfBounds> {
        let start = self.range(start, len)?;
        // SAFETY: the range is in bounds, hence accessible; nobody borrows the store's memory while its code runs.
        unsafe { start.write_bytes(value, len as usize) };
        Ok(())
    }

    /// Copies `len` bytes from `from` in another memory, or this one, to `to` here.
    pub(crate) fn copy(
        &self,
        to: u64,
        source: &MemoryData,
        from: u64,
        len: u64,
    ) -> Result<(), OutOfBounds> {
        let (to, from) = (self.range(to, len)?, source.range(from, len)?);
        // SAFETY: both ranges are in bounds, hence accessible, and may overlap.
        unsafe { std::ptr::copy(from, to, len as usize) };
        Ok(())
    }

    /// Copies `len` bytes from offset `from` of `segment` to `to`.
    pub(crate) fn init(
        &self,
        to: u64,
        segment: &[u8],
        from: u64,
        len: u64,
    ) -> Result<(), OutOfBounds> {
        let start = in_bounds(to, len, self.len())?;
        let to = self.range(to, len)?;
        let from = in_bounds(from, len, segment.len())?;
        self.region.expect_writes(start..start + len as usize);
        // SAFETY: both ranges are in bounds; a segment is part of a module, never of a memory.
        unsafe { std::ptr::copy_nonoverlapping(segment.as_ptr().add(from), to, len as usize) };
        Ok(())
    }
}

/// A table.
pub(crate) struct TableData {
    pub(crate) index: u32,
    pub(crate) ty: TableType,
    pub(crate) vm: VMTable,
    elements: Vec<u64>,
    shared: Arc<SharedLimits>,
}

impl TableData {
    pub(crate) fn new(
        index: u32,
        ty: TableType,
        init: u64,
        shared: Arc<SharedLimits>,
    ) -> Result<TableData> {
        let max = shared.table_elements_max();
        if ty.min as usize > max {
            return Err(Error::new(format!(
                "a table of {} elements is larger than the store's limit of {max}; raise it with \
                 StoreLimits::table_elements",
                ty.min
            )));
        }
        // For the null reference the elements come zeroed, untouched until used.
        let mut elements = vec![init; ty.min as usize];
        let vm = VMTable {
            elements: elements.as_mut_ptr(),
            len: u64::from(ty.min),
        };
        Ok(TableData {
            index,
            ty,
            vm,
            elements,
            shared,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.vm.len as usize
    }

    /// The type as it is now: its minimum is the present size.
    pub(crate) fn current_type(&self) -> TableType {
        TableType {
            min: self.vm.len as u32,
            ..self.ty
        }
    }

    /// Grows by `delta` elements that are `value` and says how many there were, unless that is more than the type, the
    /// store or the machine allows.
    pub(crate) fn grow(&mut self, delta: u64, value: u64) -> Option<u64> {
        let before = self.vm.len;
        let max = u64::from(self.ty.max.unwrap_or(u32::MAX));
        let after = before.checked_add(delta).filter(|&len| len <= max)?;
        if delta > 0 {
            if after > self.shared.table_elements_max() as u64 {
                return None;
            }
            self.elements.try_reserve(delta as usize).ok()?;
            self.elements.resize(after as usize, value);
            self.vm = VMTable {
                elements: self.elements.as_mut_ptr(),
                len: after,
            };
        }
        Some(before)
    }

    fn range(&self, start: u64, len: u64) -> Result<*mut u64, OutOfBounds> {
        let start = in_bounds(start, len, self.len())?;
        // SAFETY: `start` is within the table or one past its end.
        Ok(unsafe { self.vm.elements.add(start) })
    }

    pub(crate) fn get(&self, index: u64) -> Option<u64> {
        let element = self.range(index, 1).ok()?;
        // SAFETY: the element is in bounds.
        Some(unsafe { element.read() })
    }

    /// Sets `len` elements from `start` on to `value`.
    pub(crate) fn fill(&self, start: u64, value: u64, len: u64) -> Result<(), OutOfBounds> {
        let start = self.range(start, len)?;
        for index in 0..len as usize {
            // SAFETY: the range is in bounds.
            unsafe { start.add(index).write(value) };
        }
        Ok(())
    }

    /// Copies `len` elements from `from` in another table, or this one, to `to` here.
    pub(crate) fn copy(
        &self,
        to: u64,
        source: &TableData,
        from: u64,
        len: u64,
    ) -> Result<(), OutOfBounds> {
        let (to, from) = (self.range(to, len)?, source.range(from, len)?);
        // SAFETY: both ranges are in bounds, and may overlap.
        unsafe { std::ptr::copy(from, to, len as usize) };
        Ok(())
    }

    /// Copies `len` elements from index `from` of `segment` to `to`.
    pub(crate) fn init(
        &self,
        to: u64,
        segment: &[u64],
        from: u64,
        len: u64,
    ) -> Result<(), OutOfBounds> {
        let to = self.range(to, len)?;
        let from = in_bounds(from, len, segment.len())?;
        // SAFETY: both ranges are in bounds; a segment's elements are never a table's.
        unsafe { std::ptr::copy_nonoverlapping(segment.as_ptr().add(from), to, len as usize) };
        Ok(())
    }
}

/// A global: an instance's own, whose value is in the VM context, or the host's.
pub(crate) struct GlobalData {
    pub(crate) index: u32,
    pub(crate) ty: GlobalType,
    pub(crate) value: NonNull<VMGlobal>,
    _own: Option<Owned<VMGlobal>>,
}

impl GlobalData {
    /// A global of the host's.
    pub(crate) fn new(index: u32, ty: GlobalType, init: VMGlobal) -> GlobalData {
        let own = Owned::new(init);
        GlobalData {
            index,
            ty,
            value: own.as_non_null(),
            _own: Some(own),
        }
    }

    /// A global whose value is at `value`, in the context of an instance of the same store.
    pub(crate) fn of_instance(index: u32, ty: GlobalType, value: NonNull<VMGlobal>) -> GlobalData {
        GlobalData {
            index,
            ty,
            value,
            _own: None,
        }
    }
}

/// The memory of a VM context: zeroed, aligned to 16 bytes, of the size that the module's layout says.
pub(crate) struct ContextBlock {
    start: NonNull<u8>,
    layout: Layout,
}

impl ContextBlock {
    pub(crate) fn new(bytes: usize) -> Result<ContextBlock> {
        let bytes = bytes.max(size_of::<VMContext>());
        let layout = Layout::from_size_align(bytes, align_of::<VMContext>())
            .map_err(|_| Error::new("the module needs too large a context"))?;
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })
            .ok_or_else(|| Error::new(format!("no memory for a context of {bytes} bytes")))?;
        Ok(ContextBlock { start, layout })
    }

    pub(crate) fn context(&self) -> NonNull<VMContext> {
        self.start.cast()
    }

    /// The `T` at `offset`.
    pub(crate) fn at<T>(&self, offset: i32) -> NonNull<T> {
        debug_assert!(offset as usize + size_of::<T>() <= self.layout.size());
        // SAFETY: offsets come from the layout that the block was made for, so they lie within it.
        unsafe { self.start.byte_add(offset as usize).cast() }
    }
}

impl Drop for ContextBlock {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, freed only here.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// An instantiated module.
pub(crate) struct InstanceData {
    /// Keeps the code alive.
    pub(crate) module: Module,
    pub(crate) context: ContextBlock,
    /// All memories, tables and globals, imported ones first. They belong to the same store.
    pub(crate) memories: Vec<NonNull<MemoryData>>,
    pub(crate) tables: Vec<NonNull<TableData>>,
    pub(crate) globals: Vec<NonNull<GlobalData>>,
    /// The references of each element segment; empty once it was dropped.
    pub(crate) elements: Vec<Vec<u64>>,
    /// Which data segments were dropped.
    pub(crate) dropped_data: Vec<bool>,
}

impl InstanceData {
    /// The bytes of a data segment; none once it was dropped.
    pub(crate) fn data_segment(&self, index: u32) -> &[u8] {
        let info = self.module.info();
        match (
            info.data.get(index as usize),
            self.dropped_data.get(index as usize),
        ) {
            (Some(segment), Some(false)) => info.segment_bytes(segment),
            _ => &[],
        }
    }

    pub(crate) fn drop_data(&mut self, index: u32) {
        if let Some(dropped) = self.dropped_data.get_mut(index as usize) {
            *dropped = true;
        }
    }
}

/// A function of the host's, before it belongs to a store.
pub(crate) struct HostFunc {
    pub(crate) ty: FuncType,
    /// Runs `closure`.
    pub(crate) entry: HostEntry,
    pub(crate) closure: Box<dyn Any + Send + Sync>,
}

/// What a host function gets as its context: the first field is what the runtime calls.
#[repr(C)]
pub(crate) struct HostFuncContext {
    entry: HostEntry,
    /// The store that this context belongs to.
    pub(crate) store: NonNull<c_void>,
    /// The instance that imports the function, if it was made for one.
    pub(crate) instance: Option<NonNull<InstanceData>>,
    pub(crate) function: Arc<HostFunc>,
    pub(crate) funcref: VMFuncRef,
}

impl HostFuncContext {
    /// A context at a stable address, its function reference pointing to it.
    pub(crate) fn new(
        function: Arc<HostFunc>,
        store: NonNull<c_void>,
        instance: Option<NonNull<InstanceData>>,
        slot: EntrySlot,
    ) -> Owned<HostFuncContext> {
        let funcref = VMFuncRef {
            slot: slot.as_ptr(),
            vmctx: std::ptr::null_mut(),
            type_id: function.ty.id(),
            padding: 0,
        };
        let context = Owned::new(HostFuncContext {
            entry: function.entry,
            store,
            instance,
            function,
            funcref,
        });
        let pointer = context.as_non_null();
        // SAFETY: just allocated, and nobody else knows it yet.
        unsafe { (*pointer.as_ptr()).funcref.vmctx = pointer.as_ptr().cast() };
        context
    }

    pub(crate) fn funcref(context: NonNull<HostFuncContext>) -> NonNull<VMFuncRef> {
        // SAFETY: a field of an allocation is at an address within it.
        unsafe { NonNull::new_unchecked(&raw mut (*context.as_ptr()).funcref) }
    }
}
