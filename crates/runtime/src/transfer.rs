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

/// Where one frame goes: to place `entry` of `code`, with so many values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Transfer {
    pub(crate) code: usize,
    pub(crate) entry: u32,
    pub(crate) values: u32,
}

/// Whether a transfer record has room for frames of so many values.
pub(crate) fn has_room(values: impl Iterator<Item = usize>) -> bool {
    let slots: usize = values.map(|values| 1 + values).sum();
    slots <= 1 + osr::TRANSFER_VALUES_MAX
}

/// This thread's transfer record, for frames that are to be one inside the other from the first on: behind the values of
/// each is the record of the next. Null if that is more than it has room for.
pub(crate) fn nested_record(frames: &[Transfer]) -> *mut u128 {
    if !has_room(frames.iter().map(|frame| frame.values as usize)) {
        return ptr::null_mut();
    }
    TRANSFER.with(|record| {
        let record: *mut u128 = record.get().cast();
        let mut slot = 0;
        for frame in frames {
            // SAFETY: only this thread uses the record, and no reference to it exists. A header takes the place of a value,
            // and there is room for all of them.
            unsafe {
                let header: *mut u8 = record.add(slot).cast();
                header
                    .add(osr::TRANSFER_CODE as usize)
                    .cast::<usize>()
                    .write(frame.code);
                header
                    .add(osr::TRANSFER_ENTRY as usize)
                    .cast::<u32>()
                    .write(frame.entry);
            }
            slot += 1 + frame.values as usize;
        }
        record
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

    /// Stores the live values of each frame to the transfer record, and leaves for the code that it names.
    pub(crate) fn leave<'a>(
        &self,
        cursor: &mut FuncCursor<'_>,
        record: Value,
        frames: impl IntoIterator<Item = &'a [Value]>,
    ) {
        let flags = MemFlagsData::trusted();
        let mut before = 0;
        for values in frames {
            for (index, value) in values.iter().enumerate() {
                let offset = osr::transfer_value(before + index);
                cursor.ins().store(flags, *value, record, offset);
            }
            before += 1 + values.len();
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

    #[test]
    fn frames_are_one_behind_the_other() {
        let frame = |code, values| Transfer {
            code,
            entry: 5,
            values,
        };
        let found = nested_record(&[frame(4096, 2), frame(8192, 0), frame(16384, 250)]);
        for (slot, code) in [(0, 4096), (3, 8192), (4, 16384)] {
            // SAFETY: it is this thread's record, which nothing else uses now.
            let header = unsafe {
                let header = found.add(slot).cast::<Record>();
                ((*header).code, (*header).entry)
            };
            assert_eq!(header, (code, 5));
        }
        let max = osr::TRANSFER_VALUES_MAX as u32;
        assert!(!nested_record(&[frame(1, max)]).is_null());
        assert!(nested_record(&[frame(1, max - 1), frame(1, 0), frame(1, 0)]).is_null());
    }
}
