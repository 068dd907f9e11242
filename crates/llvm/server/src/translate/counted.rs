//! Loops that are known to end, and the bounds checks in them that can be made before they begin.
//!
//! A value of an innermost loop that grows by the same number in each iteration (an induction variable) is known for
//! iteration k without running the loop, and so is an address that is a sum of such values. Where the loop ends by
//! comparing one of them, the last k is known as well. An address that moves by a constant step is in bounds in all iterations
//! if it is in the first and in the last, so the checks of a whole loop become one condition ahead of it: what HotSpot
//! calls loop predication and LLVM inductive range check elimination. Here only facts are collected; `versions` makes
//! code of them.
//! What an access's end is compared to never shrinks, as `BodyRequest::checked_accesses` says.

use super::affine::{self, Affine};
use super::checks::{self, Check, Faulting};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::{CondCode as _, IntCC};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, Function, Inst, InstructionData, Opcode, Value, ValueDef,
};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use std::collections::{BTreeMap, HashMap, HashSet};
use upshift_base::TrapKind;

/// A loop of more instructions is left as it is: it would be there twice.
const INSTS_MAX: usize = 1000;

/// A loop whose checks can be made before it.
#[derive(Debug)]
pub struct Counted {
    pub header: Block,
    /// In reverse postorder.
    pub blocks: Vec<Block>,
    pub end: End,
    pub groups: Vec<Group>,
    /// Indices that are extended to 64 bits: the group that they belong to, and how far they are from its start.
    pub indices: HashMap<Inst, (usize, u32)>,
    /// The checks that are made before the loop.
    pub checks: HashSet<Inst>,
    /// Looks at whether the program is interrupted: loads and what traps by them.
    pub polls: HashSet<Inst>,
    /// Whether no access may fault if those checks are good.
    pub is_free_of_faults: bool,
}

impl Counted {
    /// The accesses that may fault though the checks ahead of the loop are good.
    pub fn faults<'c>(
        &'c self,
        func: &'c Function,
        faulting: &'c Faulting,
    ) -> impl Iterator<Item = Inst> + 'c {
        let blocks = self.blocks.iter();
        let insts = blocks.flat_map(|block| func.layout.block_insts(*block));
        let is_checked = |inst: &Inst| {
            let check = faulting.check_of(*inst);
            check.is_some_and(|check| self.checks.contains(&check))
        };
        insts.filter(move |inst| checks::may_fault(func, *inst) && !is_checked(inst))
    }
}

/// How a loop ends: it goes on while `left` compares so to `right`.
#[derive(Debug)]
pub struct End {
    /// The branch that leaves the loop.
    pub branch: Inst,
    /// Whether the loop goes on if the branch's condition is true.
    pub on_true: bool,
    pub cond: IntCC,
    /// As it is in the first iteration.
    pub left: Affine,
    /// By how much `left - right` grows with each iteration, which is not 0.
    pub step: i32,
    /// As it is in the first iteration; always, unless `cond` is `NotEqual`.
    pub right: Affine,
}

/// Indices that keep their distances.
#[derive(Debug)]
pub struct Group {
    /// The smallest of them in the first iteration.
    pub first: Affine,
    /// By how much they grow with each iteration.
    pub step: Affine,
    /// What the ends of accesses are compared to.
    pub size: Value,
    /// How many bytes from the smallest index on must be there.
    pub reach: u64,
}

/// The loops of a function whose checks can be made before them.
pub fn find(func: &Function, cfg: &ControlFlowGraph, domtree: &DominatorTree) -> Vec<Counted> {
    let mut loops = LoopAnalysis::new();
    loops.compute(func, cfg, domtree);
    let headers: HashSet<Block> = loops.loops().map(|l| loops.loop_header(l)).collect();
    let counted = |header: &Block| {
        let latches: Vec<Block> = cfg
            .pred_iter(*header)
            .map(|pred| pred.block)
            .filter(|block| domtree.block_dominates(*header, *block))
            .collect();
        // A body that is entered in an inner loop has one header for that and for the loops around it, which are told apart
        // by where they come back from.
        let apart = latches.iter().map(std::slice::from_ref);
        let ways = std::iter::once(&latches[..]).chain(apart.filter(|_| latches.len() > 1));
        let mut sets: Vec<HashSet<Block>> = ways
            .map(|latches| natural_loop(cfg, *header, latches))
            .filter(|set| headers.iter().all(|h| h == header || !set.contains(h)))
            .collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
        sets.into_iter().find_map(|set| {
            let in_order = domtree.cfg_rpo().copied();
            let context = Context {
                func,
                domtree,
                header: *header,
                blocks: in_order.filter(|block| set.contains(block)).collect(),
                set,
            };
            context.counted()
        })
    };
    loops
        .loops()
        .map(|l| loops.loop_header(l))
        .filter_map(|header| counted(&header))
        .collect()
}

/// The blocks from which one of `latches`, which jump to `header`, is reached without passing by there.
fn natural_loop(cfg: &ControlFlowGraph, header: Block, latches: &[Block]) -> HashSet<Block> {
    let mut set = HashSet::from([header]);
    let mut open = latches.to_vec();
    while let Some(block) = open.pop() {
        if set.insert(block) {
            open.extend(cfg.pred_iter(block).map(|pred| pred.block));
        }
    }
    set
}

struct Context<'f> {
    func: &'f Function,
    domtree: &'f DominatorTree,
    header: Block,
    /// In reverse postorder.
    blocks: Vec<Block>,
    set: HashSet<Block>,
}

impl Context<'_> {
    fn insts(&self) -> impl Iterator<Item = Inst> {
        let blocks = self.blocks.iter();
        blocks.flat_map(|block| self.func.layout.block_insts(*block))
    }

    fn contains(&self, block: Block) -> bool {
        self.set.contains(&block)
    }

    fn is_inside(&self, value: Value) -> bool {
        let block = match self.func.dfg.value_def(value) {
            ValueDef::Result(inst, _) => self.func.layout.inst_block(inst),
            ValueDef::Param(block, _) => Some(block),
            ValueDef::Union(..) => None,
        };
        block.is_none_or(|block| self.contains(block))
    }

    /// `value` by what is known before the loop and by the header's parameters.
    fn affine(&self, value: Value) -> Option<Affine> {
        let is_param = |value| match self.func.dfg.value_def(value) {
            ValueDef::Param(block, _) => block == self.header,
            _ => false,
        };
        affine::affine(self.func, value, &|value| {
            !self.is_inside(value) || is_param(value)
        })
    }

    fn counted(self) -> Option<Counted> {
        let opcodes = || self.insts().map(|inst| self.func.dfg.insts[inst].opcode());
        if opcodes().count() > INSTS_MAX || opcodes().any(|opcode| opcode.is_call()) {
            return None;
        }
        let checks: Vec<Check> = self.insts().filter_map(|inst| self.check(inst)).collect();
        if checks.is_empty() {
            return None;
        }
        let steps = self.steps()?;
        let end = self.end(&steps)?;
        let mut counted = Counted {
            header: self.header,
            blocks: self.blocks.clone(),
            end,
            groups: Vec::new(),
            indices: HashMap::new(),
            checks: HashSet::new(),
            polls: self.polls(),
            is_free_of_faults: false,
        };
        self.group(&mut counted, &checks, &steps);
        (!counted.checks.is_empty()).then_some(counted)
    }

    /// The looks at whether the program is interrupted.
    fn polls(&self) -> HashSet<Inst> {
        let dfg = &self.func.dfg;
        let mut polls = HashSet::new();
        for trap in self.insts() {
            let InstructionData::CondTrap {
                opcode: Opcode::Trapnz,
                arg,
                code,
            } = dfg.insts[trap]
            else {
                continue;
            };
            let flag = dfg.resolve_aliases(arg);
            let ValueDef::Result(load, _) = dfg.value_def(flag) else {
                continue;
            };
            let used = |inst: &Inst| {
                let mut values = dfg.inst_values(*inst);
                values.any(|value| dfg.resolve_aliases(value) == flag)
            };
            if code.as_raw().get() == TrapKind::Interrupted.code()
                && dfg.insts[load].opcode() == Opcode::AtomicLoad
                && self.is_inside(flag)
                && self.insts().filter(used).count() == 1
            {
                polls.extend([load, trap]);
            }
        }
        polls
    }

    /// By how much each parameter of the header grows, if that is the same in each iteration.
    fn steps(&self) -> Option<BTreeMap<Value, Affine>> {
        let mut calls: Vec<(Block, BlockCall)> = Vec::new();
        for &block in &self.blocks {
            let terminator = self.func.layout.last_inst(block)?;
            let destinations = self.func.dfg.insts[terminator]
                .branch_destination(&self.func.dfg.jump_tables, &self.func.dfg.exception_tables);
            let back = |call: &&BlockCall| call.block(&self.func.dfg.value_lists) == self.header;
            calls.extend(destinations.iter().filter(back).map(|call| (block, *call)));
        }
        let mut steps = BTreeMap::new();
        for (index, &param) in self.func.dfg.block_params(self.header).iter().enumerate() {
            let step = |call: &BlockCall| {
                let next = match call.args(&self.func.dfg.value_lists).nth(index)? {
                    BlockArg::Value(value) => self.affine(value)?,
                    _ => return None,
                };
                Some(next.plus(&Affine::value(param), 1u32.wrapping_neg()))
            };
            let (_, first) = calls.first()?;
            let Some(first) = step(first) else { continue };
            let is_invariant = first.terms.keys().all(|value| !self.is_inside(*value));
            if is_invariant
                && calls
                    .iter()
                    .all(|(_, call)| step(call).as_ref() == Some(&first))
            {
                steps.insert(param, first);
            }
        }
        Some(steps)
    }

    /// By how much a sum grows with each iteration.
    fn step(&self, sum: &Affine, steps: &BTreeMap<Value, Affine>) -> Option<Affine> {
        let mut total = Affine::default();
        for (value, factor) in &sum.terms {
            if self.is_inside(*value) {
                total = total.plus(steps.get(value)?, *factor);
            }
        }
        Some(total)
    }

    /// A branch that is taken in each iteration and leaves the loop after a number of iterations that is known.
    fn end(&self, steps: &BTreeMap<Value, Affine>) -> Option<End> {
        let dfg = &self.func.dfg;
        let is_latch = |block: &Block| {
            let last = self.func.layout.last_inst(*block);
            let destinations = last.map_or(&[][..], |inst| {
                dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables)
            });
            let mut blocks = destinations.iter().map(|call| call.block(&dfg.value_lists));
            blocks.any(|block| block == self.header)
        };
        let latches: Vec<Block> = self.blocks.iter().copied().filter(is_latch).collect();
        self.blocks.iter().find_map(|&block| {
            let always = |latch: &Block| self.domtree.block_dominates(block, *latch);
            let branch = self.func.layout.last_inst(block)?;
            let InstructionData::Brif { arg, blocks, .. } = dfg.insts[branch] else {
                return None;
            };
            let [then, otherwise] = blocks.map(|call| self.contains(call.block(&dfg.value_lists)));
            if then == otherwise || !latches.iter().all(always) {
                return None;
            }
            self.condition(branch, arg, then, steps)
        })
    }

    fn condition(
        &self,
        branch: Inst,
        condition: Value,
        on_true: bool,
        steps: &BTreeMap<Value, Affine>,
    ) -> Option<End> {
        let dfg = &self.func.dfg;
        let condition = dfg.resolve_aliases(condition);
        let compared = match dfg.value_def(condition) {
            ValueDef::Result(inst, 0) => match dfg.insts[inst] {
                InstructionData::IntCompare { cond, args, .. } => Some((cond, args)),
                _ => None,
            },
            _ => None,
        };
        let (mut cond, mut left, mut right) = match compared {
            Some((cond, [x, y])) => (cond, self.affine(x)?, self.affine(y)?),
            None => (IntCC::NotEqual, self.affine(condition)?, Affine::default()),
        };
        if !on_true {
            cond = cond.complement();
        }
        let step = |sum: &Affine| self.step(sum, steps)?.as_constant();
        if cond != IntCC::NotEqual && step(&left)? == 0 {
            std::mem::swap(&mut left, &mut right);
            cond = cond.swap_args();
        }
        let step_of_right = step(&right)?;
        let step = step(&left)?.wrapping_sub(step_of_right).cast_signed();
        let fits = match cond {
            IntCC::NotEqual => true,
            IntCC::SignedLessThan
            | IntCC::SignedLessThanOrEqual
            | IntCC::UnsignedLessThan
            | IntCC::UnsignedLessThanOrEqual => step > 0 && step_of_right == 0,
            IntCC::SignedGreaterThan
            | IntCC::SignedGreaterThanOrEqual
            | IntCC::UnsignedGreaterThan
            | IntCC::UnsignedGreaterThanOrEqual => step < 0 && step_of_right == 0,
            IntCC::Equal => false,
        };
        (fits && step != 0).then_some(End {
            branch,
            on_true,
            cond,
            left,
            step,
            right,
        })
    }

    /// The check that this instruction is, if it is one that can be made before the loop.
    fn check(&self, trap: Inst) -> Option<Check> {
        let check = checks::check(self.func, trap)?;
        let extended = self.func.dfg.first_result(check.extend);
        let is_usable = self.is_inside(extended) && self.is_known_before(check.size, true);
        is_usable.then_some(check)
    }

    /// Whether a value can be had before the loop: it is there, or a load of something that is fixed. If it never shrinks, a
    /// load of what it is at that time will do.
    fn is_known_before(&self, value: Value, never_shrinks: bool) -> bool {
        let dfg = &self.func.dfg;
        let value = dfg.resolve_aliases(value);
        if !self.is_inside(value) {
            return true;
        }
        let ValueDef::Result(inst, 0) = dfg.value_def(value) else {
            return false;
        };
        match dfg.insts[inst] {
            InstructionData::Load {
                opcode: Opcode::Load,
                arg,
                flags,
                ..
            } => {
                let flags = dfg.mem_flags[flags];
                let fixed = flags.readonly() && flags.can_move();
                flags.notrap() && (fixed || never_shrinks) && self.is_known_before(arg, false)
            }
            InstructionData::Binary {
                opcode: Opcode::Umax,
                args: [x, y],
            } => self.is_known_before(x, never_shrinks) && self.is_known_before(y, never_shrinks),
            InstructionData::UnaryImm { .. } => true,
            _ => false,
        }
    }

    /// Puts the checks into groups of those that keep their distance.
    fn group(&self, counted: &mut Counted, checks: &[Check], steps: &BTreeMap<Value, Affine>) {
        type Key = (BTreeMap<Value, u32>, Affine, Value);
        let mut members: BTreeMap<Key, Vec<(u32, &Check)>> = BTreeMap::new();
        // One value for all sizes that are the same.
        let mut sizes: HashMap<String, Value> = HashMap::new();
        let mut one = |size: Value| match self.description(size) {
            Some(description) => *sizes.entry(description).or_insert(size),
            None => size,
        };
        for check in checks {
            let known = self.affine(check.index).and_then(|index| {
                let step = self.step(&index, steps)?;
                Some((index, step))
            });
            if let Some((index, step)) = known {
                let key = (index.terms, step, one(check.size));
                members
                    .entry(key)
                    .or_default()
                    .push((index.constant, check));
            }
        }
        for ((terms, step, size), members) in members {
            let constants = members.iter().map(|(constant, _)| constant.cast_signed());
            let least = constants.min().unwrap_or(0).cast_unsigned();
            let mut reach = 0;
            for (constant, check) in members {
                let distance = constant.wrapping_sub(least);
                let group = counted.groups.len();
                counted.indices.insert(check.extend, (group, distance));
                counted.checks.insert(check.trap);
                reach = reach.max(u64::from(distance) + check.reach);
            }
            let first = Affine {
                constant: least,
                terms,
            };
            counted.groups.push(Group {
                first,
                step,
                size,
                reach,
            });
        }
    }

    /// A text that is the same for sizes that are loaded from the same place.
    fn description(&self, value: Value) -> Option<String> {
        let value = self.func.dfg.resolve_aliases(value);
        let definition = match self.func.dfg.value_def(value) {
            ValueDef::Result(inst, 0) if self.is_inside(value) => &self.func.dfg.insts[inst],
            _ => return Some(value.to_string()),
        };
        match *definition {
            InstructionData::Load { arg, offset, .. } => {
                Some(format!("{} at {offset}", self.description(arg)?))
            }
            InstructionData::Binary { args: [x, y], .. } => Some(format!(
                "{} or {}",
                self.description(x)?,
                self.description(y)?
            )),
            InstructionData::UnaryImm { imm, .. } => Some(imm.to_string()),
            _ => None,
        }
    }
}
