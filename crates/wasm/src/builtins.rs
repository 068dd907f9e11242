//! The helper functions that compiled code calls for operations on memories, tables and segments.
//!
//! They get the VM context of the instance whose code calls, and indices that validation has checked. They return a
//! status and never unwind; trapping is up to the code that called.

use crate::objects::{InstanceData, MemoryData, OutOfBounds, TableData};
use crate::vmctx::{STATUS_DONE, STATUS_OUT_OF_BOUNDS, VMBuiltins, VMContext};
use std::ptr::NonNull;

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
    let memory = object(unsafe { &instance(vmctx).memories }, memory);
    // SAFETY: see above.
    status(memory.and_then(|memory| unsafe { memory.as_ref() }.fill(start, value as u8, len)))
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
    let memories = unsafe { &instance(vmctx).memories };
    let both = object(memories, to_memory).and_then(|to| Ok((to, object(memories, from_memory)?)));
    // SAFETY: see above.
    status(both.and_then(|(target, source)| unsafe {
        target.as_ref().copy(to, source.as_ref(), from, len)
    }))
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
    let instance = unsafe { instance(vmctx) };
    let bytes = instance.data_segment(segment);
    let memory = object(&instance.memories, memory);
    // SAFETY: see above.
    status(
        memory
            .and_then(|memory| unsafe { memory.as_ref() }.init(to, bytes, from.into(), len.into())),
    )
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
    let table = object(unsafe { &instance(vmctx).tables }, table);
    // SAFETY: see above.
    status(table.and_then(|table| unsafe { table.as_ref() }.fill(start, value, len)))
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
    let tables = unsafe { &instance(vmctx).tables };
    let both = object(tables, to_table).and_then(|to| Ok((to, object(tables, from_table)?)));
    // SAFETY: see above.
    status(both.and_then(|(target, source)| unsafe {
        target.as_ref().copy(to, source.as_ref(), from, len)
    }))
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
    let instance = unsafe { instance(vmctx) };
    let elements = instance
        .elements
        .get(segment as usize)
        .map_or(&[][..], Vec::as_slice);
    let table = object(&instance.tables, table);
    let init = |table: NonNull<TableData>| {
        // SAFETY: see above.
        unsafe { table.as_ref() }.init(to, elements, from.into(), len.into())
    };
    status(table.and_then(init))
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
