//! Loops in two versions: one whose bounds checks were all made by a *guard* ahead of it, and the loop as it is.
//!
//! ```text
//! before ─▶ guard ──holds──▶ fast version: unchecked, counts its iterations ─┐
//!             └──fails──▶ the loop as it is: each check where it belongs ────┴─▶ behind
//! ```
//!
//! If the guard fails nothing has happened yet, so every trap comes where it should, with all stores before it done and
//! none behind it. In the fast version an index is `first + step * number` in 64 bits, without wrapping around, and the loop
//! ends when the iteration's number is the last: that is what LLVM's vectorizer understands best.

use super::affine::Affine;
use super::counted::{Counted, End, Group};
use super::emitter::{Emitter, LIKELY, Phis};
use super::memory;
use super::plan::{Fast, fast_label, guard_label, label};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, Inst, InstructionData, Value, ValueDef};
use std::rc::Rc;
use upshift_codegen::CompileError;

/// So many iterations may pass by without a look at whether the program is interrupted, which would keep LLVM from
/// vectorizing. Whatever is around the loop looks: a loop by itself, or the function when it is called.
const UNPOLLED_MAX: u32 = 1 << 16;

/// Whether `inst` was replaced by something else, or nothing: a check that is left out, or something that is different in
/// the faster version of a loop.
pub fn replaces(e: &mut Emitter<'_>, inst: Inst) -> Result<bool, CompileError> {
    if e.faulting.is_dropped(inst) {
        return Ok(true);
    }
    let Some(fast) = &e.fast else {
        return Ok(false);
    };
    let counted = &e.versions.loops[fast.index];
    if counted.checks.contains(&inst) || counted.polls.contains(&inst) {
        return Ok(true);
    }
    let Some(&(group, distance)) = counted.indices.get(&inst) else {
        return Ok(false);
    };
    let (first, step) = fast.groups[group].clone();
    let number = number(counted.header);
    let way = e.op(format!("mul nsw i64 {number}, {step}"));
    let mut index = e.op(format!("add nsw i64 {first}, {way}"));
    if distance != 0 {
        index = e.op(format!("add nuw nsw i64 {index}, {distance}"));
    }
    e.define(e.func.dfg.first_result(inst), index);
    Ok(true)
}

/// What a branch that ends a loop depends on in the faster version, instead of what the program compares.
pub fn end_condition(e: &mut Emitter<'_>, branch: Inst) -> Option<String> {
    let fast = e.fast.clone()?;
    let counted = &e.versions.loops[fast.index];
    let end = &counted.end;
    if end.branch != branch {
        return None;
    }
    let compare = if end.on_true { "ult" } else { "uge" };
    let number = number(counted.header);
    Some(e.op(format!("icmp {compare} i64 {number}, {}", fast.last)))
}

/// The number of the iteration.
pub fn number(header: Block) -> String {
    format!("%number{}", header.as_u32())
}

/// Its number and one.
pub fn next_number(header: Block) -> String {
    format!("%next{}", header.as_u32())
}

/// The phi of the iteration's number, for a block that begins with these phis.
pub fn number_phi(e: &Emitter<'_>, phis: Phis, edges: &[(String, Vec<String>)]) -> Option<String> {
    let is_fast_header = phis.prefix == FAST && e.versions.headers.contains_key(&phis.block);
    let guard = guard_label(phis.block);
    let sources: Vec<String> = edges
        .iter()
        .map(|(from, _)| match *from == guard {
            true => format!("[ 0, %{from} ]"),
            false => format!("[ {}, %{from} ]", next_number(phis.block)),
        })
        .collect();
    let number = number(phis.block);
    is_fast_header.then(|| format!("  {number} = phi i64 {}\n", sources.join(", ")))
}

/// What the names of the faster version's phis begin with.
pub const FAST: &str = "vf";
const GUARD: &str = "vg";

/// Writes the guard of the loop with this header, if that has two versions.
pub fn guard(e: &mut Emitter<'_>, header: Block) -> Result<(), CompileError> {
    let Some(&index) = e.versions.headers.get(&header) else {
        return Ok(());
    };
    let loops = Rc::clone(&e.versions.loops);
    let counted = &loops[index];
    let phis = Phis {
        block: header,
        prefix: GUARD,
    };
    e.begin_with(guard_label(header), None, phis);
    e.forget();
    e.position.clear();
    let mut guard = Guard {
        e,
        counted,
        phis,
        conditions: Vec::new(),
    };
    let last = guard.last(&counted.end)?;
    if !counted.polls.is_empty() {
        guard.demand(format!("ult i64 {last}, {UNPOLLED_MAX}"));
    }
    let mut groups = Vec::new();
    for group in &counted.groups {
        groups.push(guard.group(group, &last)?);
    }
    let holds = guard.holds();
    e.fence();
    let (fast, plain) = (fast_label(header), label(header));
    e.line(format!(
        "br i1 {holds}, label %{fast}, label %{plain}{LIKELY}"
    ));
    let params = e.func.dfg.block_params(header).iter();
    let args: Vec<String> = params
        .map(|param| format!("%{}", phis.name(*param)))
        .collect();
    for to in [fast, plain] {
        let edge = (guard_label(header), args.clone());
        e.edges.entry(to).or_default().push(edge);
    }
    let fast = Fast {
        index,
        last,
        groups,
    };
    e.versions.guarded.insert(index, fast);
    Ok(())
}

/// The guard of a loop as it grows.
struct Guard<'e, 'f, 'c> {
    e: &'e mut Emitter<'f>,
    counted: &'c Counted,
    phis: Phis,
    conditions: Vec<String>,
}

impl Guard<'_, '_, '_> {
    fn op(&mut self, instruction: impl AsRef<str>) -> String {
        self.e.op(instruction)
    }

    /// Makes the guard fail unless this comparison is true.
    fn demand(&mut self, comparison: impl AsRef<str>) {
        let condition = self.e.op(format!("icmp {}", comparison.as_ref()));
        self.conditions.push(condition);
    }

    /// All of it as one condition.
    fn holds(&mut self) -> String {
        let conditions = std::mem::take(&mut self.conditions);
        let all = conditions.into_iter();
        let both = |x: String, y: String| self.e.op(format!("and i1 {x}, {y}"));
        all.reduce(both).unwrap_or_else(|| "true".to_owned())
    }

    /// A value as it is before the loop.
    fn before(&mut self, value: Value) -> Result<String, CompileError> {
        let func = self.e.func;
        let value = func.dfg.resolve_aliases(value);
        let (block, inst) = match func.dfg.value_def(value) {
            ValueDef::Result(inst, _) => (func.layout.inst_block(inst), Some(inst)),
            ValueDef::Param(block, _) => (Some(block), None),
            ValueDef::Union(..) => (None, None),
        };
        let inside = block.is_some_and(|block| self.counted.blocks.contains(&block));
        match inst.filter(|_| inside).map(|inst| &func.dfg.insts[inst]) {
            Some(&InstructionData::Load {
                arg, flags, offset, ..
            }) => {
                let ty = func.dfg.value_type(value);
                let base = self.before(arg)?;
                return memory::load_at(self.e, &base, i32::from(offset).into(), ty, flags);
            }
            Some(&InstructionData::Binary { args: [x, y], .. }) => {
                let (x, y, ty) = (self.before(x)?, self.before(y)?, "i64");
                return Ok(self.e.intrinsic(ty, "llvm.umax.i64", &[(ty, &x), (ty, &y)]));
            }
            Some(InstructionData::UnaryImm { imm, .. }) => return Ok(imm.bits().to_string()),
            _ if inside => return Ok(format!("%{}", self.phis.name(value))),
            _ => {}
        }
        match self.e.load_slot(value) {
            Some(loaded) => Ok(loaded),
            None => self.e.value(value),
        }
    }

    /// A sum in 32 bits as it is in the first iteration.
    fn sum(&mut self, sum: &Affine) -> Result<String, CompileError> {
        let mut total = sum.constant.cast_signed().to_string();
        for (&value, &factor) in &sum.terms {
            let mut term = self.before(value)?;
            if factor != 1 {
                term = self.op(format!("mul i32 {term}, {}", factor.cast_signed()));
            }
            total = self.op(format!("add i32 {total}, {term}"));
        }
        Ok(total)
    }

    /// The number of the iteration in which the loop ends, if it does not end before. An `i64` below 2^32.
    fn last(&mut self, end: &End) -> Result<String, CompileError> {
        if end.cond == IntCC::NotEqual {
            return self.last_before_equal(end);
        }
        let (extend, least, greatest) = match is_signed(end.cond) {
            true => ("sext", i64::from(i32::MIN), i64::from(i32::MAX)),
            false => ("zext", 0, i64::from(u32::MAX)),
        };
        let (left, right) = (self.sum(&end.left)?, self.sum(&end.right)?);
        let left = self.op(format!("{extend} i32 {left} to i64"));
        let right = self.op(format!("{extend} i32 {right} to i64"));
        let (high, low) = match end.step > 0 {
            true => (&right, &left),
            false => (&left, &right),
        };
        let size = i64::from(end.step).abs();
        let is_strict = end.cond.without_equal() == end.cond;
        let mut way = self.op(format!("sub nsw i64 {high}, {low}"));
        if !is_strict {
            way = self.op(format!("add nsw i64 {way}, 1"));
        }
        let (ty, name) = ("i64", "llvm.smax.i64");
        let way = self.e.intrinsic(ty, name, &[(ty, &way), (ty, "0")]);
        let way = self.op(format!("add nuw nsw i64 {way}, {}", size - 1));
        let last = self.op(format!("udiv i64 {way}, {size}"));
        if size != 1 || !is_strict {
            // The number that ends it must be one.
            let way = self.op(format!("mul nsw i64 {last}, {}", end.step));
            let ends = self.op(format!("add nsw i64 {left}, {way}"));
            match end.step > 0 {
                true => self.demand(format!("sle i64 {ends}, {greatest}")),
                false => self.demand(format!("sge i64 {ends}, {least}")),
            }
        }
        Ok(last)
    }

    /// The same for a loop that ends when two numbers are equal, which must not step over each other.
    fn last_before_equal(&mut self, end: &End) -> Result<String, CompileError> {
        let difference = end.left.clone().plus(&end.right, 1u32.wrapping_neg());
        let mut way = self.sum(&difference)?;
        if end.step > 0 {
            way = self.op(format!("sub i32 0, {way}"));
        }
        let size = end.step.unsigned_abs();
        if size != 1 {
            let rest = self.op(format!("urem i32 {way}, {size}"));
            self.demand(format!("eq i32 {rest}, 0"));
            way = self.op(format!("udiv i32 {way}, {size}"));
        }
        Ok(self.op(format!("zext i32 {way} to i64")))
    }

    /// The first index of a group and its step, as `i64`; makes sure that all indices up to the last are in bounds.
    fn group(&mut self, group: &Group, last: &str) -> Result<(String, String), CompileError> {
        let size = self.before(group.size)?;
        let first = self.sum(&group.first)?;
        let first = self.op(format!("zext i32 {first} to i64"));
        let step = match group.step.as_constant() {
            Some(step) => step.cast_signed().to_string(),
            None => {
                let step = self.sum(&group.step)?;
                self.op(format!("sext i32 {step} to i64"))
            }
        };
        // Exact if there are fewer than 2^32 iterations, as the conditions on the last one demand, because a step is at most
        // 2^31 in size.
        let way = self.op(format!("mul i64 {last}, {step}"));
        let end = self.op(format!("add i64 {first}, {way}"));
        let sign = group.step.as_constant().map(|step| step.cast_signed() < 0);
        if sign != Some(true) {
            if sign.is_none() {
                self.demand(format!("ult i64 {end}, {size}"));
            }
            let reach = self.op(format!("add i64 {end}, {}", group.reach));
            self.demand(format!("ule i64 {reach}, {size}"));
        }
        if sign != Some(false) {
            if sign == Some(true) {
                self.demand(format!("sge i64 {end}, 0"));
            }
            let reach = self.op(format!("add i64 {first}, {}", group.reach));
            self.demand(format!("ule i64 {reach}, {size}"));
        }
        Ok((first, step))
    }
}

fn is_signed(cond: IntCC) -> bool {
    matches!(
        cond,
        IntCC::SignedLessThan
            | IntCC::SignedLessThanOrEqual
            | IntCC::SignedGreaterThan
            | IntCC::SignedGreaterThanOrEqual
    )
}
