//! The helper functions that compiled code calls for operations on memories, tables and segments.
//!
//! They get the VM context of the instance whose code calls, and indices that validation has checked. They return a
//! status and never unwind; trapping is up to the code that called.

use crate::objects::{InstanceData, MemoryData, OutOfBounds, TableData, in_bounds};
use crate::vmctx::{STATUS_DONE, STATUS_INTERRUPTED, STATUS_OUT_OF_BOUNDS, VMBuiltins, VMContext};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

/// Bytes of a memory that are worked on between two looks at the interrupt flag: far less than a millisecond's work.
const PIECE_BYTES: u64 = 1 << 20;
/// Elements of a table, likewise.
const PIECE_ELEMENTS: u64 = PIECE_BYTES / 8;

/// The helper functions, for all instances.
pub(crate) static BUILTINS: VMBuiltins = VMBuiltins {
    memory_grow,
    memory_fill,
    memory_copy,
    memory_init,
    data_drop,
    table_grow,
    table_fill,
    table_copy,
    table_init,
    elem_drop,
};

/// The instance whose code calls.
///
/// # Safety
/// `vmctx` must be the context of a live instance, and the result the only borrow of it.
unsafe fn instance<'a>(vmctx: *mut VMContext) -> &'a mut InstanceData {
    // SAFETY: instantiation sets the field to the instance, which lives as long as its context.
    unsafe { &mut *(*vmctx).instance.cast::<InstanceData>() }
}

/// The object at `index` of an instance's list.
fn object<T>(list: &[NonNull<T>], index: u32) -> Result<NonNull<T>, OutOfBounds> {
    list.get(index as usize).copied().ok_or(OutOfBounds)
}

fn status(result: Result<(), OutOfBounds>) -> u32 {
    match result {
        Ok(()) => STATUS_DONE,
        Err(OutOfBounds) => STATUS_OUT_OF_BOUNDS,
    }
}

/// An operation on a range of items, which interruptible code does in pieces.
struct Pieces {
    /// Items in the whole range.
    len: u64,
    /// Items in a piece.
    piece: u64,
    /// Whether the last piece comes first, because a range is copied to higher places of itself.
    backwards: bool,
    /// Whether the whole range is in bounds: if it is not, no piece is worked on.
    bounds: Result<(), OutOfBounds>,
}

impl Pieces {
    /// Calls `work` with the start and length of each piece, and says how it went.
    fn run(
        &self,
        instance: &InstanceData,
        mut work: impl FnMut(u64, u64) -> Result<(), OutOfBounds>,
    ) -> u32 {
        if self.bounds.is_err() {
            return STATUS_OUT_OF_BOUNDS;
        }
        if self.len <= self.piece || !instance.module.info().options.interruptible {
            return status(work(0, self.len));
        }
        let count = self.len.div_ceil(self.piece);
        for number in 0..count {
            if is_interrupted(instance) {
                return STATUS_INTERRUPTED;
            }
            let number = match self.backwards {
                true => count - 1 - number,
                false => number,
            };
            let start = number * self.piece;
            if work(start, self.piece.min(self.len - start)).is_err() {
                return STATUS_OUT_OF_BOUNDS;
            }
        }
        STATUS_DONE
    }
}

fn is_interrupted(instance: &InstanceData) -> bool {
    // SAFETY: instantiation sets the field to what the store shares with its instances, and the store lives while its
    // code runs. The flag is atomic.
    let limits = unsafe { &*(*instance.context.context().as_ptr()).limits };
    limits.interrupt.load(Ordering::Relaxed) != 0
}

fn size_or_failure(before: Option<u64>) -> i64 {
    before.map_or(-1, |before| before as i64)
}

// SAFETY, for all functions below: compiled code passes the context of the instance that it runs for. While it runs
// nothing else uses the instance, its memories and its tables, and the references made here are gone when it goes on.
// Two shared references to the same memory or table may exist; an exclusive one never beside another.

unsafe extern "C" fn memory_grow(vmctx: *mut VMContext, memory: u32, delta: u64) -> i64 {
    // SAFETY: see above.
    let memory = object::<MemoryData>(unsafe { &instance(vmctx).memories }, memory);
    // SAFETY: see above.
    size_or_failure(
        memory
            .ok()
            .and_then(|mut memory| unsafe { memory.as_mut() }.grow(delta)),
    )
}

unsafe extern "C" fn memory_fill(
    vmctx: *mut VMContext,
    memory: u32,
    start: u64,
    value: u32,
    len: u64,
) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { &*instance(vmctx) };
    let Ok(memory) = object(&instance.memories, memory) else {
        return STATUS_OUT_OF_BOUNDS;
    };
    // SAFETY: see above.
    let memory = unsafe { memory.as_ref() };
    let pieces = Pieces {
        len,
        piece: PIECE_BYTES,
        backwards: false,
        bounds: in_bounds(start, len, memory.len()).map(drop),
    };
    pieces.run(instance, |at, len| {
        memory.fill(start + at, value as u8, len)
    })
}

unsafe extern "C" fn memory_copy(
    vmctx: *mut VMContext,
    to_memory: u32,
    from_memory: u32,
    to: u64,
    from: u64,
    len: u64,
) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { &*instance(vmctx) };
    let memories = &instance.memories;
    let (Ok(target), Ok(source)) = (object(memories, to_memory), object(memories, from_memory))
    else {
        return STATUS_OUT_OF_BOUNDS;
    };
    // SAFETY: see above.
    let (target, source) = unsafe { (target.as_ref(), source.as_ref()) };
    let pieces = Pieces {
        len,
        piece: PIECE_BYTES,
        backwards: ptr::eq(target, source) && to > from,
        bounds: in_bounds(to, len, target.len())
            .and_then(|_| in_bounds(from, len, source.len()))
            .map(drop),
    };
    pieces.run(instance, |at, len| {
        target.copy(to + at, source, from + at, len)
    })
}

unsafe extern "C" fn memory_init(
    vmctx: *mut VMContext,
    memory: u32,
    segment: u32,
    to: u64,
    from: u32,
    len: u32,
) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { &*instance(vmctx) };
    let bytes = instance.data_segment(segment);
    let Ok(memory) = object(&instance.memories, memory) else {
        return STATUS_OUT_OF_BOUNDS;
    };
    // SAFETY: see above.
    let memory = unsafe { memory.as_ref() };
    let (from, len) = (u64::from(from), u64::from(len));
    let pieces = Pieces {
        len,
        piece: PIECE_BYTES,
        backwards: false,
        bounds: in_bounds(to, len, memory.len())
            .and_then(|_| in_bounds(from, len, bytes.len()))
            .map(drop),
    };
    pieces.run(instance, |at, len| {
        memory.init(to + at, bytes, from + at, len)
    })
}

unsafe extern "C" fn data_drop(vmctx: *mut VMContext, segment: u32) {
    // SAFETY: see above.
    unsafe { instance(vmctx) }.drop_data(segment);
}

unsafe extern "C" fn table_grow(vmctx: *mut VMContext, table: u32, delta: u64, value: u64) -> i64 {
    // SAFETY: see above.
    let table = object::<TableData>(unsafe { &instance(vmctx).tables }, table);
    // SAFETY: see above.
    size_or_failure(
        table
            .ok()
            .and_then(|mut table| unsafe { table.as_mut() }.grow(delta, value)),
    )
}

unsafe extern "C" fn table_fill(
    vmctx: *mut VMContext,
    table: u32,
    start: u64,
    value: u64,
    len: u64,
) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { &*instance(vmctx) };
    let Ok(table) = object(&instance.tables, table) else {
        return STATUS_OUT_OF_BOUNDS;
    };
    // SAFETY: see above.
    let table = unsafe { table.as_ref() };
    let pieces = Pieces {
        len,
        piece: PIECE_ELEMENTS,
        backwards: false,
        bounds: in_bounds(start, len, table.len()).map(drop),
    };
    pieces.run(instance, |at, len| table.fill(start + at, value, len))
}

unsafe extern "C" fn table_copy(
    vmctx: *mut VMContext,
    to_table: u32,
    from_table: u32,
    to: u64,
    from: u64,
    len: u64,
) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { &*instance(vmctx) };
    let tables = &instance.tables;
    let (Ok(target), Ok(source)) = (object(tables, to_table), object(tables, from_table)) else {
        return STATUS_OUT_OF_BOUNDS;
    };
    // SAFETY: see above.
    let (target, source) = unsafe { (target.as_ref(), source.as_ref()) };
    let pieces = Pieces {
        len,
        piece: PIECE_ELEMENTS,
        backwards: ptr::eq(target, source) && to > from,
        bounds: in_bounds(to, len, target.len())
            .and_then(|_| in_bounds(from, len, source.len()))
            .map(drop),
    };
    pieces.run(instance, |at, len| {
        target.copy(to + at, source, from + at, len)
    })
}

unsafe extern "C" fn table_init(
    vmctx: *mut VMContext,
    table: u32,
    segment: u32,
    to: u64,
    from: u32,
    len: u32,
) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { &*instance(vmctx) };
    let elements = &instance.elements;
    let elements = elements
        .get(segment as usize)
        .map_or(&[][..], Vec::as_slice);
    let Ok(table) = object(&instance.tables, table) else {
        return STATUS_OUT_OF_BOUNDS;
    };
    // SAFETY: see above.
    let table = unsafe { table.as_ref() };
    let (from, len) = (u64::from(from), u64::from(len));
    let pieces = Pieces {
        len,
        piece: PIECE_ELEMENTS,
        backwards: false,
        bounds: in_bounds(to, len, table.len())
            .and_then(|_| in_bounds(from, len, elements.len()))
            .map(drop),
    };
    pieces.run(instance, |at, len| {
        table.init(to + at, elements, from + at, len)
    })
}

unsafe extern "C" fn elem_drop(vmctx: *mut VMContext, segment: u32) {
    // SAFETY: see above.
    if let Some(elements) = unsafe { instance(vmctx) }
        .elements
        .get_mut(segment as usize)
    {
        *elements = Vec::new();
    }
}
