//! `select`, the one value operation that works on values of any type.

use super::operation::{ANY, operations};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::I32;

operations! {
    fn operation;

    /// `x` if `condition` is not zero, else `y`. Both are evaluated in any case.
    ///
    /// `condition` may be an integer of any width, so the `i8` of a comparison can be passed
    /// without extending it.
    Select => select(b, x: ANY, y: ANY, condition: I32) -> ANY { b.ins().select(condition, x, y) }

    /// [`select`] on values whose type the module spells out, as it must for references.
    TypedSelect => typed_select(b, x: ANY, y: ANY, condition: I32) -> ANY {
        b.ins().select(condition, x, y)
    }
}
