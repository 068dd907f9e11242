//! Where arguments and results are, in Cranelift's `tail` calling convention.

use crate::arch::x64::{
    GENERAL_ARGUMENTS, GENERAL_RESULTS, Reg, SYSTEM_V_RESULTS, VECTOR_ARGUMENTS,
};
use crate::value::Ty;

/// Where an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Reg(Reg),
    /// At this distance from the first stack argument.
    Stack(i32),
}

/// Gives out registers and stack slots in the order of the parameters.
#[derive(Debug)]
pub(crate) struct Assignment {
    general: &'static [Reg],
    vector: &'static [Reg],
    stack: i32,
}

impl Assignment {
    /// For arguments, the context aside, which has the first register.
    pub(crate) fn arguments() -> Assignment {
        Assignment {
            general: &GENERAL_ARGUMENTS[1..],
            vector: &VECTOR_ARGUMENTS,
            stack: 0,
        }
    }

    /// For the operands of a stencil, which gets no context.
    pub(crate) fn operands() -> Assignment {
        Assignment {
            general: &GENERAL_ARGUMENTS,
            vector: &VECTOR_ARGUMENTS,
            stack: 0,
        }
    }

    /// For results.
    pub(crate) fn results() -> Assignment {
        Assignment {
            general: &GENERAL_RESULTS,
            vector: &VECTOR_ARGUMENTS,
            stack: 0,
        }
    }

    /// For results of the System V convention.
    pub(crate) fn system_v_results() -> Assignment {
        Assignment {
            general: &SYSTEM_V_RESULTS,
            vector: &VECTOR_ARGUMENTS[..2],
            stack: 0,
        }
    }

    pub(crate) fn next(&mut self, ty: Ty) -> Place {
        let registers = if ty.is_vector() {
            &mut self.vector
        } else {
            &mut self.general
        };
        if let Some((&first, rest)) = registers.split_first() {
            *registers = rest;
            return Place::Reg(first);
        }
        let size = ty.slot_bytes();
        let offset = (self.stack + size - 1) & !(size - 1);
        self.stack = offset + size;
        Place::Stack(offset)
    }

    /// Bytes of all stack slots.
    pub(crate) fn stack_bytes(&self) -> i32 {
        (self.stack + 15) & !15
    }
}

/// Whether all results of these types come back in registers. If not, the caller passes a place for them, which this
/// assembler does not do.
pub fn results_fit(mut results: impl Iterator<Item = Ty>) -> bool {
    let mut assignment = Assignment::results();
    results.all(|ty| matches!(assignment.next(ty), Place::Reg(_)))
}
