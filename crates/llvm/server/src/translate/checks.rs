//! Bounds checks, and the accesses that would fault by themselves if there were none.
//!
//! A check is `trapnz (index + constant > size)`, as front ends write it that were asked for checked accesses. An access
//! whose flags say that it may fault needs its check only if LLVM may move or drop it, and a volatile access it may not. So
//! such an access is volatile, and the check left out: the guard pages do it, as in the tiers below.

use super::affine;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Function, Inst, InstructionData, Opcode, TrapCode, Value, ValueDef, types as clif,
};
use std::collections::{HashMap, HashSet};

/// A check.
pub struct Check {
    pub trap: Inst,
    /// What extends the index to 64 bits, and the index.
    pub extend: Inst,
    pub index: Value,
    /// What is added to the index.
    pub reach: u64,
    /// What that is compared to.
    pub size: Value,
}

/// The check that this instruction is, if it is one.
pub fn check(func: &Function, trap: Inst) -> Option<Check> {
    let dfg = &func.dfg;
    let InstructionData::CondTrap {
        opcode: Opcode::Trapnz,
        arg,
        code: TrapCode::HEAP_OUT_OF_BOUNDS,
    } = dfg.insts[trap]
    else {
        return None;
    };
    let InstructionData::IntCompare {
        cond: IntCC::UnsignedGreaterThan,
        args: [end, size],
        ..
    } = dfg.insts[definition(func, arg)?]
    else {
        return None;
    };
    let InstructionData::Binary {
        opcode: Opcode::Iadd,
        args: [start, reach],
    } = dfg.insts[definition(func, end)?]
    else {
        return None;
    };
    let extend = definition(func, start)?;
    let index = extended(func, extend)?;
    Some(Check {
        trap,
        extend,
        index,
        reach: u64::try_from(affine::constant(func, reach)?).ok()?,
        size: dfg.resolve_aliases(size),
    })
}

fn definition(func: &Function, value: Value) -> Option<Inst> {
    match func.dfg.value_def(func.dfg.resolve_aliases(value)) {
        ValueDef::Result(inst, 0) => Some(inst),
        _ => None,
    }
}

/// What this instruction extends to 64 bits.
fn extended(func: &Function, extend: Inst) -> Option<Value> {
    match func.dfg.insts[extend] {
        InstructionData::Unary {
            opcode: Opcode::Uextend,
            arg,
        } if func.dfg.value_type(func.dfg.first_result(extend)) == clif::I64 => Some(arg),
        _ => None,
    }
}

/// The accesses of a function that may fault.
#[derive(Default)]
pub struct Faulting {
    /// The check that an access may do without.
    check_of: HashMap<Inst, Inst>,
    /// Checks whose accesses can all do without them.
    dropped: HashSet<Inst>,
    any: bool,
}

impl Faulting {
    pub fn new(func: &Function) -> Faulting {
        let mut faulting = Faulting::default();
        for block in func.layout.blocks() {
            // The last check, and what it has checked, as long as nothing has happened since that could be observed.
            let mut open: Option<(Inst, Inst)> = None;
            for inst in func.layout.block_insts(block) {
                if let Some(check) = check(func, inst) {
                    open = Some((check.trap, check.extend));
                    continue;
                }
                if may_fault(func, inst) {
                    faulting.any = true;
                    let base = func.dfg.inst_args(inst).last();
                    let index = base.and_then(|address| index(func, *address));
                    if let Some((trap, _)) = open.filter(|(_, extend)| index == Some(*extend)) {
                        faulting.check_of.insert(inst, trap);
                        faulting.dropped.insert(trap);
                    }
                }
                let opcode = func.dfg.insts[inst].opcode();
                if opcode.can_store() || opcode.can_trap() || opcode.is_call() {
                    open = None;
                }
            }
        }
        faulting
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.any
    }

    /// The check that this access could do without.
    pub fn check_of(&self, access: Inst) -> Option<Inst> {
        self.check_of.get(&access).copied()
    }

    /// Whether a check is left out.
    pub fn is_dropped(&self, check: Inst) -> bool {
        self.dropped.contains(&check)
    }
}

/// Whether a load or store may fault.
pub fn may_fault(func: &Function, inst: Inst) -> bool {
    match func.dfg.insts[inst] {
        InstructionData::Load { flags, .. } | InstructionData::Store { flags, .. } => {
            !func.dfg.mem_flags[flags].notrap()
        }
        _ => false,
    }
}

/// The extended index that is added to a base to make this address.
fn index(func: &Function, address: Value) -> Option<Inst> {
    match func.dfg.insts[definition(func, address)?] {
        InstructionData::Binary {
            opcode: Opcode::Iadd,
            args: [_, index],
        } => definition(func, index),
        _ => None,
    }
}
