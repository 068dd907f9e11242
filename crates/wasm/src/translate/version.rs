//! The versions of a function's body for on-stack replacement and deoptimization, and what a translation keeps in mind to
//! make one.
//!
//! In a version that is entered in the middle, each slot of the operand stack below an open block is a variable: written
//! when a block opens, and read again wherever paths meet.

use super::liveness::Liveness;
use cranelift_codegen::ir::{Block, Type, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use std::collections::HashMap;
use std::ops::Range;
use upshift::embed::deopt::{FrameLayout, FramePoint};
use upshift::embed::{BodyEntry, BodyRequest};
use wasmparser::Operator;

/// What a translation has to do for the version that it makes.
pub(super) struct Osr<'v> {
    pub(super) version: BodyRequest<'v>,
    pub(super) liveness: Liveness,
    /// Loops that began so far, those in code that cannot be reached counted.
    pub(super) loops: u32,
    /// The operation that is being translated.
    pub(super) position: u32,
    /// How long the body is.
    pub(super) body_bytes: u32,
    /// The ways in, by their number, that have not led anywhere yet.
    pub(super) ways_in: Vec<Option<WayIn>>,
    /// The frame that each way in expects.
    pub(super) frames: Vec<FrameLayout>,
    /// The variables of the operand stack's slots.
    slots: HashMap<(usize, Type), Variable>,
}

/// The block that loads the values, and the address that it loads them from.
pub(super) struct WayIn {
    pub(super) block: Block,
    pub(super) record: Value,
}

impl<'v> Osr<'v> {
    pub(super) fn new(version: BodyRequest<'v>, liveness: Liveness, body_bytes: u32) -> Osr<'v> {
        Osr {
            version,
            liveness,
            loops: 0,
            position: 0,
            body_bytes,
            ways_in: Vec::new(),
            frames: Vec::new(),
            slots: HashMap::new(),
        }
    }

    /// Takes note of an operator that is skipped.
    pub(super) fn skip(&mut self, operator: &Operator<'_>) {
        if let Operator::Loop { .. } = operator {
            self.loops += 1;
        }
    }

    /// Whether it is worth its while to look for what the module never changes: not in code that runs for a short time.
    pub(super) fn takes_facts(&self) -> bool {
        self.version.speculation.is_some()
    }

    /// Whether the version begins where the function does.
    pub(super) fn starts_at_start(&self) -> bool {
        self.version.entry == BodyEntry::Start
    }

    /// Whether all ways in have led somewhere.
    pub(super) fn is_entered(&self) -> bool {
        self.ways_in.iter().all(Option::is_none)
    }

    /// The number of the way in before the present operation, if there is one.
    pub(super) fn way_in_here(&self) -> Option<usize> {
        self.way_in(FramePoint::before(self.position))
    }

    /// The number of the way in inside the present operation, which is a call, if there is one.
    pub(super) fn way_in_inside(&self) -> Option<usize> {
        self.way_in(FramePoint::inside(self.position))
    }

    fn way_in(&self, point: FramePoint) -> Option<usize> {
        match self.version.entry {
            BodyEntry::Points(points) => points.binary_search(&point).ok(),
            _ => None,
        }
    }

    /// Keeps the values at these positions of the operand stack for where paths meet.
    pub(super) fn keep_slots(
        &mut self,
        b: &mut FunctionBuilder<'_>,
        stack: &[Value],
        positions: Range<usize>,
    ) {
        if !self.starts_at_start() {
            for position in positions {
                self.define_slot(b, position, stack[position]);
            }
        }
    }

    /// Paths meet: each of these values, the lowest of the operand stack, may have come by any of them.
    pub(super) fn reload_slots(&mut self, b: &mut FunctionBuilder<'_>, values: &mut [Value]) {
        if !self.starts_at_start() {
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
