//! The transfer record: what travels when an activation goes on in other code.
//!
//! The record belongs to the thread, so it survives the frame that is left. It has room for the most values that may
//! travel from the start: leaving code in the middle takes no memory.

use cranelift_codegen::cursor::FuncCursor;
use cranelift_codegen::ir::{
    ArgumentPurpose, Block, Function, InstBuilder, MemFlagsData, SigRef, Value, types,
};
use std::cell::UnsafeCell;
use std::ptr;
use upshift_codegen::osr;

/// A header, then the values.
#[repr(C, align(16))]
struct Record {
    code: usize,
    entry: u32,
    values: [u128; osr::TRANSFER_VALUES_MAX],
}

const _: () = {
    assert!(std::mem::offset_of!(Record, code) == osr::TRANSFER_CODE as usize);
    assert!(std::mem::offset_of!(Record, entry) == osr::TRANSFER_ENTRY as usize);
    assert!(std::mem::offset_of!(Record, values) == osr::TRANSFER_VALUE_BYTES as usize);
};

thread_local! {
    /// Has no destructor and is made without memory, so that it is always there.
    static TRANSFER: UnsafeCell<Record> = const {
        UnsafeCell::new(Record {
            code: 0,
            entry: 0,
            values: [0; osr::TRANSFER_VALUES_MAX],
        })
    };
}

/// This thread's transfer record, for `values` values that travel to place `entry` of `code`. Null if that is more than
/// it has room for.
pub(crate) fn record(code: usize, entry: u32, values: usize) -> *mut u128 {
    if values > osr::TRANSFER_VALUES_MAX {
        return ptr::null_mut();
    }
    TRANSFER.with(|record| {
        let record = record.get();
        // SAFETY: only this thread uses the record, and no reference to it exists.
        unsafe {
            (*record).code = code;
            (*record).entry = entry;
        }
        record.cast()
    })
}

/// The place of the first `values` values of this thread's transfer record, all zero. Null if that is more than it has
/// room for.
pub(crate) fn empty_values(values: usize) -> *mut u128 {
    with_values(values, |values| {
        values.fill(0);
        values.as_mut_ptr()
    })
    .unwrap_or(ptr::null_mut())
}

/// Gives access to the first `values` values of this thread's transfer record, if it has room for as many.
pub(crate) fn with_values<T>(values: usize, f: impl FnOnce(&mut [u128]) -> T) -> Option<T> {
    TRANSFER.with(|record| {
        // SAFETY: only this thread uses the record, and `f` is the only one that does so now.
        let record = unsafe { &mut *record.get() };
        record.values.get_mut(..values).map(f)
    })
}

/// How a function's activations leave it for other code.
pub(crate) struct Exit {
    signature: SigRef,
    context: Option<Value>,
}

impl Exit {
    pub(crate) fn new(body: &mut Function, entry: Block) -> Exit {
        let context = body
            .signature
            .special_param_index(ArgumentPurpose::VMContext);
        let signature = osr::signature(&body.signature);
        Exit {
            signature: body.import_signature(signature),
            context: context.map(|index| body.dfg.block_params(entry)[index]),
        }
    }

    /// Stores the live values to the transfer record, and leaves for the code that it names.
    pub(crate) fn leave(&self, cursor: &mut FuncCursor<'_>, record: Value, values: &[Value]) {
        let flags = MemFlagsData::trusted();
        for (index, value) in values.iter().enumerate() {
            let offset = osr::transfer_value(index);
            cursor.ins().store(flags, *value, record, offset);
        }
        let code = cursor
            .ins()
            .load(types::I64, flags, record, osr::TRANSFER_CODE);
        let args: Vec<Value> = self.context.into_iter().chain([record]).collect();
        cursor
            .ins()
            .return_call_indirect(self.signature, code, &args);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_room_for_the_code_and_all_values() {
        let max = osr::TRANSFER_VALUES_MAX;
        let last = osr::transfer_value(max - 1) as usize;
        assert_eq!(
            last + osr::TRANSFER_VALUE_BYTES as usize,
            size_of::<Record>()
        );
        for values in [0, 1, max] {
            let found = record(4096, 7, values).cast::<Record>();
            assert!(!found.is_null(), "{values}");
            // SAFETY: it is this thread's record, which nothing else uses now.
            let header = unsafe { ((*found).code, (*found).entry) };
            assert_eq!(header, (4096, 7));
        }
        assert!(record(4096, 0, max + 1).is_null());
    }
}
