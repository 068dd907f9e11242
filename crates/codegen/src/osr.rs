//! On-stack replacement: how a running activation leaves its code in the middle of a loop and goes on in better code.
//!
//! A front end marks a loop by a call in its header, before anything else: of the function that
//! [`crate::symbol::import_osr_point`] declares, with all values that are live there as
//! arguments. The runtime turns the mark into a count and, in a cold block, the way out: the values are stored to a
//! *transfer record* and the frame is left by a tail call of the loop's *OSR version*. That is a function of its own,
//! made by the front end too, whose parameters are the VM context, if the function has one, and the address of the
//! record; it starts with loading the values, in the same order, and then is in the loop header. It returns what the
//! function returns, to the function's caller.
//!
//! The record is only valid until the OSR version has loaded the values: nothing else may come before that.
//!
//! Baseline code has no marks and does not store the values itself: they are in home slots of its frame, whose places
//! follow from the function alone. It passes [`VALUES_IN_FRAME`], and the runtime asks the front end, not before a loop
//! is worth it, which values at which [`FrameValue`]s travel. So code that never moves pays neither for finding out
//! what is live nor for a way out of each loop.

use crate::symbol;
use cranelift_codegen::ir::{ArgumentPurpose, Signature};

/// The parent of a loop that is in no other.
pub const NO_PARENT: u32 = u32::MAX;

/// In the place of the number of values: the runtime takes them from the frame.
pub const VALUES_IN_FRAME: u32 = u32::MAX;

/// Where a value is in the frame of baseline code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameValue {
    /// Its distance from the frame pointer.
    pub offset: i32,
    /// How many bytes of it there are, at most [`TRANSFER_VALUE_BYTES`].
    pub bytes: u8,
}

/// Where in a transfer record the address of the OSR version is.
pub const TRANSFER_CODE: i32 = 0;

/// Bytes that each value has in a transfer record.
pub const TRANSFER_VALUE_BYTES: u32 = 16;

/// Where in a transfer record value number `index` is.
pub fn transfer_value(index: usize) -> i32 {
    // The code's address takes the place of one value.
    (TRANSFER_VALUE_BYTES as usize * (index + 1)) as i32
}

/// The signature of the OSR versions of a function of signature `function`.
pub fn signature(function: &Signature) -> Signature {
    let mut signature = Signature::new(function.call_conv);
    if let Some(context) = function.special_param_index(ArgumentPurpose::VMContext) {
        signature.params.push(function.params[context]);
    }
    signature.params.push(symbol::pointer_param());
    signature.returns.clone_from(&function.returns);
    signature
}
