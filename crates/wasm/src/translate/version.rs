//! The versions of a function's body for on-stack replacement, and what a translation keeps in mind to make one.
//!
//! In a version that is entered in a loop, each slot of the operand stack below an open block is a variable: written when a
//! block opens, and read again wherever paths meet.

use super::liveness::Liveness;
use cranelift_codegen::ir::{Block, Type, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use std::collections::HashMap;
use std::ops::Range;
use wasmparser::Operator;

/// Which version of a function's body is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Version {
    /// The loop that it is entered in, if not at its start.
    pub(super) entered_in: Option<u32>,
    /// Whether its loops have marks.
    pub(super) points: bool,
    /// Whether the bounds of each access to a linear memory are checked before it, instead of by the fault it would cause.
    pub(super) checked: bool,
}

/// What a translation has to do for on-stack replacement.
#[derive(Default)]
pub(super) struct Osr {
    pub(super) version: Version,
    pub(super) liveness: Liveness,
    /// Loops that began so far, those in code that cannot be reached counted.
    pub(super) loops: u32,
    /// The way in that has not led anywhere yet.
    pub(super) way_in: Option<WayIn>,
    /// The variables of the operand stack's slots.
    slots: HashMap<(usize, Type), Variable>,
}

/// The block that loads the values, and the address that it loads them from.
pub(super) struct WayIn {
    pub(super) block: Block,
    pub(super) record: Value,
}

impl Osr {
    pub(super) fn new(version: Version, liveness: Liveness) -> Osr {
        Osr {
            version,
            liveness,
            ..Osr::default()
        }
    }

    /// Takes note of an operator that is skipped.
    pub(super) fn skip(&mut self, operator: &Operator<'_>) {
        if let Operator::Loop { .. } = operator {
            self.loops += 1;
        }
    }

    /// Whether an OSR version was made of the loop that it is for.
    pub(super) fn is_entered(&self) -> bool {
        self.way_in.is_none()
    }

    /// Keeps the values at these positions of the operand stack for where paths meet.
    pub(super) fn keep_slots(
        &mut self,
        b: &mut FunctionBuilder<'_>,
        stack: &[Value],
        positions: Range<usize>,
    ) {
        if self.version.entered_in.is_some() {
            for position in positions {
                self.define_slot(b, position, stack[position]);
            }
        }
    }

    /// Paths meet: each of these values, the lowest of the operand stack, may have come by any of them.
    pub(super) fn reload_slots(&mut self, b: &mut FunctionBuilder<'_>, values: &mut [Value]) {
        if self.version.entered_in.is_some() {
            for (position, value) in values.iter_mut().enumerate() {
                let ty = b.func.dfg.value_type(*value);
                let variable = self.slot(b, position, ty);
                *value = b.use_var(variable);
            }
        }
    }

    pub(super) fn define_slot(
        &mut self,
        b: &mut FunctionBuilder<'_>,
        position: usize,
        value: Value,
    ) {
        let ty = b.func.dfg.value_type(value);
        let variable = self.slot(b, position, ty);
        b.def_var(variable, value);
    }

    fn slot(&mut self, b: &mut FunctionBuilder<'_>, position: usize, ty: Type) -> Variable {
        let declare = || b.declare_var(ty);
        *self.slots.entry((position, ty)).or_insert_with(declare)
    }
}
