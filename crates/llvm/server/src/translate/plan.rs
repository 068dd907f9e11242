//! Which loops of a function get two versions, and what is kept of them while they are written; see `versions`.
//!
//! Values of such a loop that are used outside of it come from either version, so both store them to a slot on the stack,
//! which LLVM makes a register again.

use super::checks::Faulting;
use super::counted::{self, Counted};
use super::types;
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Value, ValueDef};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use upshift_codegen::CompileError;

/// Where a value is kept that is used outside of its loop.
pub struct Slot {
    pub name: String,
    pub ty: String,
}

/// The loops of one function that get two versions.
pub struct Versions {
    pub loops: Rc<[Counted]>,
    pub headers: HashMap<Block, usize>,
    /// The loop that a block is in.
    pub loop_of: HashMap<Block, usize>,
    slots: BTreeMap<Value, Slot>,
    /// The values that a block uses and that are in slots.
    pub imports: HashMap<Block, BTreeSet<Value>>,
    /// What the guards have computed, by the loop.
    pub guarded: HashMap<usize, Fast>,
}

/// The faster version of a loop, as its guard has prepared it.
#[derive(Clone)]
pub struct Fast {
    pub index: usize,
    /// The number of the last iteration, an `i64`.
    pub last: String,
    /// For each group of indices the first and the step, as `i64`.
    pub groups: Vec<(String, String)>,
}

impl Versions {
    pub fn new(
        func: &Function,
        cfg: &ControlFlowGraph,
        domtree: &DominatorTree,
        faulting: &Faulting,
    ) -> Result<Versions, CompileError> {
        let mut loops = counted::find(func, cfg, domtree);
        for counted in &mut loops {
            let faults = counted.faults(func, faulting).count();
            counted.is_free_of_faults = faults == 0;
        }
        let loops: Rc<[Counted]> = loops.into();
        let mut versions = Versions {
            headers: HashMap::new(),
            loop_of: HashMap::new(),
            slots: BTreeMap::new(),
            imports: HashMap::new(),
            guarded: HashMap::new(),
            loops: Rc::clone(&loops),
        };
        for (index, counted) in loops.iter().enumerate() {
            versions.headers.insert(counted.header, index);
            let blocks = counted.blocks.iter();
            versions.loop_of.extend(blocks.map(|block| (*block, index)));
        }
        if !loops.is_empty() {
            for &block in domtree.cfg_rpo() {
                versions.find_imports(func, block)?;
            }
        }
        Ok(versions)
    }

    fn find_imports(&mut self, func: &Function, block: Block) -> Result<(), CompileError> {
        for inst in func.layout.block_insts(block) {
            for value in func.dfg.inst_values(inst) {
                let value = func.dfg.resolve_aliases(value);
                let defined_in = match func.dfg.value_def(value) {
                    ValueDef::Result(inst, _) if is_constant(func, inst) => None,
                    ValueDef::Result(inst, _) => func.layout.inst_block(inst),
                    ValueDef::Param(block, _) => Some(block),
                    ValueDef::Union(..) => None,
                };
                let home = defined_in.and_then(|block| self.loop_of.get(&block));
                if home.is_none() || home == self.loop_of.get(&block) {
                    continue;
                }
                self.imports.entry(block).or_default().insert(value);
                let slot = Slot {
                    name: format!("slot{}", value.as_u32()),
                    ty: types::name(func.dfg.value_type(value))?,
                };
                self.slots.insert(value, slot);
            }
        }
        Ok(())
    }

    /// Where a value is kept, if it is used outside of its loop.
    pub fn slot(&self, value: Value) -> Option<&Slot> {
        self.slots.get(&value)
    }

    /// What makes room for the slots.
    pub fn slot_lines(&self) -> Vec<String> {
        let line = |slot: &Slot| format!("%{} = alloca {}", slot.name, slot.ty);
        self.slots.values().map(line).collect()
    }
}

/// Constants are written where they are used.
fn is_constant(func: &Function, inst: Inst) -> bool {
    matches!(
        func.dfg.insts[inst],
        InstructionData::UnaryImm { .. }
            | InstructionData::UnaryIeee32 { .. }
            | InstructionData::UnaryIeee64 { .. }
            | InstructionData::UnaryConst { .. }
    )
}

/// The label of a block.
pub fn label(block: Block) -> String {
    format!("b{}", block.as_u32())
}

/// The label of the guard of a loop with this header.
pub fn guard_label(header: Block) -> String {
    format!("guard{}", header.as_u32())
}

/// The label of a block in the faster version of its loop.
pub fn fast_label(block: Block) -> String {
    format!("fast{}", block.as_u32())
}
