//! Control flow: labels, what is in registers where paths join, and jumps.
//!
//! Before every jump the frame is made canonical, so that a join needs no code: what is known there is that all values
//! are in their homes. Registers that held the same local on every path that led there go on holding it. At a loop's
//! header, those that held a local on entry do, and a jump back loads what is missing.

use crate::abi::{Assignment, Place};
use crate::arch::x64::{Condition, FRAME, Mem, Reg, SCRATCH};
use crate::assembler::{Assembler, Loc, NO_LOCAL, members};
use crate::code::Label;
use crate::moves::Move;
use crate::plan::Loop;
use crate::value::Ty;
use std::ops::Range;

/// The locals that registers hold, all of them saved: a part of a list of the whole function's.
#[derive(Clone, Copy, Debug)]
struct Cache {
    first: u32,
    len: u32,
}

impl Cache {
    #[inline(always)]
    fn range(self) -> Range<usize> {
        self.first as usize..(self.first + self.len) as usize
    }
}

/// Where a jump goes, and what it takes along.
#[derive(Debug)]
pub struct Destination {
    label: Label,
    /// Operands below those that it takes along.
    height: u32,
    /// How many operands it takes along.
    arity: u32,
    cache: Option<Cache>,
    is_loop: bool,
}

impl Destination {
    /// Whether anything jumps here.
    #[inline]
    pub fn is_used(&self) -> bool {
        self.cache.is_some()
    }

    fn height(&self) -> usize {
        self.height as usize
    }

    fn arity(&self) -> usize {
        self.arity as usize
    }
}

impl Assembler {
    /// A place further on, to which jumps take the `arity` operands on top, and where there are `params` operands less
    /// than now below them.
    pub fn destination(&mut self, params: usize, arity: usize) -> Destination {
        Destination {
            label: self.code.label(),
            height: (self.height() - params) as u32,
            arity: arity as u32,
            cache: None,
            is_loop: false,
        }
    }

    /// The header of a loop, here, whose parameters are the `params` operands on top. `wanted` are locals that the loop
    /// begins with.
    pub fn loop_header(&mut self, which: Loop, params: usize, wanted: &[u32]) -> Destination {
        self.flush();
        for index in self.locals..self.vals.len() {
            if let Loc::Reg(reg) = self.vals[index].loc() {
                self.evict(reg);
            }
        }
        let first_param = self.vals.len() - params;
        for val in &mut self.vals[first_param..] {
            val.set_loc(Loc::Home);
        }
        self.forget_constants();
        self.pinned = 0;
        for &local in wanted {
            let val = self.vals[local as usize];
            if val.loc() == Loc::Home {
                let reg = self.allocate(val.ty.is_vector());
                self.load_into(reg, val);
                self.attach_local(local, reg, true);
            } else if let Loc::Reg(reg) = val.loc() {
                self.pinned |= reg.bit();
            }
        }
        let unwanted = self.busy & !self.pinned;
        self.evict_all(unwanted);
        self.pinned = 0;
        let mut header = self.destination(params, params);
        header.is_loop = true;
        header.cache = Some(self.cache());
        self.code.bind(header.label);
        self.count(Some(which));
        header
    }

    fn cache(&mut self) -> Cache {
        let first = self.caches.len();
        for reg in members(self.busy) {
            let local = self.holders[reg.index()].local;
            if local != NO_LOCAL {
                self.caches.push((reg, local));
            }
        }
        Cache {
            first: first as u32,
            len: (self.caches.len() - first) as u32,
        }
    }

    #[inline]
    pub(crate) fn forget_constants(&mut self) {
        while let Some(local) = self.constants.pop() {
            let val = &mut self.vals[local as usize];
            if matches!(val.loc(), Loc::Const(_)) {
                val.set_loc(Loc::Home);
                val.saved = true;
            }
        }
        self.unsaved_constants.clear();
    }

    /// What is in registers here will be so at `to` too, if it is on the other paths.
    fn join(&mut self, to: &mut Destination) {
        if to.is_loop {
            return;
        }
        let Some(cache) = &mut to.cache else {
            to.cache = Some(self.cache());
            return;
        };
        let mut range = cache.range();
        while !range.is_empty() {
            let (reg, local) = self.caches[range.start];
            if self.holders[reg.index()].local == local {
                range.start += 1;
            } else {
                range.end -= 1;
                self.caches[range.start] = self.caches[range.end];
            }
        }
        cache.len = range.end as u32 - cache.first;
    }

    /// Whether a jump has something to do besides jumping.
    #[inline]
    fn needs_transfer(&self, to: &Destination) -> bool {
        if to.arity > 0 && self.height() != to.height() + to.arity() {
            return true;
        }
        match &to.cache {
            Some(cache) if to.is_loop => {
                let held = &self.caches[cache.range()];
                held.iter()
                    .any(|&(reg, local)| self.holders[reg.index()].local != local)
            }
            _ => false,
        }
    }

    /// Does it. The frame is canonical.
    fn transfer(&mut self, to: &Destination) {
        if self.height() != to.height() + to.arity() {
            let mut home = self.vals[self.locals + to.height() - 1].home;
            for index in self.vals.len() - to.arity()..self.vals.len() {
                let val = self.vals[index];
                home -= val.ty.slot_bytes();
                self.store_to(val, Mem::new(FRAME, home));
            }
        }
        if let (Some(cache), true) = (&to.cache, to.is_loop) {
            for index in cache.range() {
                let (reg, local) = self.caches[index];
                let from = self.source(self.vals[local as usize]);
                self.moves.push(Move::new(reg, from));
            }
            self.make_moves();
        }
    }

    /// Jumps.
    pub fn jump(&mut self, to: &mut Destination) {
        self.flush();
        if self.needs_transfer(to) {
            self.transfer(to);
        }
        self.code.jump(to.label);
        self.join(to);
    }

    /// Jumps if the condition holds. The frame has been made canonical before the condition was tested.
    #[inline]
    pub fn jump_if(&mut self, condition: Condition, to: &mut Destination) {
        if self.needs_transfer(to) {
            let skip = self.code.label();
            self.code.jump_if(condition.inverted(), skip);
            self.transfer(to);
            self.code.jump(to.label);
            self.code.bind(skip);
        } else {
            self.code.jump_if(condition, to.label);
        }
        self.join(to);
    }

    /// The destination is here. `reachable` says whether the code before it goes on.
    pub fn arrive(
        &mut self,
        mut at: Destination,
        types: impl Iterator<Item = Ty>,
        reachable: bool,
    ) {
        if reachable {
            if !at.is_used() {
                return;
            }
            self.flush();
            if self.needs_transfer(&at) {
                self.transfer(&at);
            }
            self.join(&mut at);
        }
        self.code.bind(at.label);
        self.restore(&at, types);
    }

    /// Makes the tracked state that at a destination: operands of `types` above its height, in their homes.
    fn restore(&mut self, at: &Destination, types: impl Iterator<Item = Ty>) {
        for reg in members(self.busy) {
            let holder = &mut self.holders[reg.index()];
            holder.operands = 0;
            if holder.local != NO_LOCAL {
                let val = &mut self.vals[holder.local as usize];
                val.set_loc(Loc::Home);
                val.saved = true;
                holder.local = NO_LOCAL;
            }
        }
        (self.busy, self.dirty, self.pinned) = (0, 0, 0);
        self.forget_constants();
        self.vals.truncate(self.locals + at.height());
        for val in &mut self.vals[self.locals..] {
            val.set_loc(Loc::Home);
            val.saved = true;
        }
        if let Some(cache) = &at.cache {
            for index in cache.range() {
                let (reg, local) = self.caches[index];
                self.attach_local(local, reg, true);
            }
            if cache.range().end == self.caches.len() {
                // Destinations are left in the opposite order, mostly, so that this keeps the list short.
                self.caches.truncate(cache.first as usize);
            }
        }
        for ty in types {
            self.push_home(ty);
        }
        self.saved_below = self.vals.len();
    }

    /// Drops the operands above those that were there when `to` was made, behind a jump.
    pub fn truncate(&mut self, to: &Destination) {
        while self.height() > to.height() {
            self.pop();
        }
    }

    // Returns.

    /// Puts the results, on top, where callers look for them, and leaves the tracked state alone.
    pub(crate) fn place_results(&mut self) {
        let mut assignment = Assignment::results();
        let first = self.vals.len() - self.results.len();
        for index in 0..self.results.len() {
            // Functions with more results than registers are not compiled here.
            if let Place::Reg(to) = assignment.next(self.results[index]) {
                let from = self.source(self.vals[first + index]);
                self.moves.push(Move::new(to, from));
            }
        }
        self.make_moves();
    }

    /// Returns the operands on top.
    pub fn return_(&mut self) {
        self.place_results();
        self.code.jump(self.epilogue);
    }

    /// Returns if the condition holds.
    pub fn return_if(&mut self, condition: Condition) {
        if self.results.is_empty() {
            self.code.jump_if(condition, self.epilogue);
            return;
        }
        let skip = self.code.label();
        self.code.jump_if(condition.inverted(), skip);
        self.return_();
        self.code.bind(skip);
    }

    // Tables.

    /// Pops the index of a jump table and makes the frame canonical.
    pub fn begin_jump_table(&mut self) -> JumpTable {
        let index = self.pop();
        self.flush();
        JumpTable {
            index: self.in_register(index),
            target: self.allocate(false),
        }
    }

    /// The label to use in a jump table for `to`; `None` if a jump there has something else to do first.
    pub fn direct_label(&mut self, to: &mut Destination) -> Option<Label> {
        if self.needs_transfer(to) {
            return None;
        }
        self.join(to);
        Some(to.label)
    }

    /// Jumps to the entry of that index in `choices`, or to the last one if there are not as many.
    pub fn jump_table(&mut self, table: JumpTable, choices: &[Label]) {
        let Some((&default, entries)) = choices.split_last() else {
            return;
        };
        let JumpTable { index, target } = table;
        self.code
            .compare_constant(false, index, entries.len() as i32);
        self.code.jump_if(Condition::NOT_BELOW, default);
        let start = self.code.label();
        self.code.address_of(SCRATCH, start);
        let entry = Mem::scaled(SCRATCH, index, 2, 0);
        self.code.load_signed32(target, entry);
        self.code.add_three(true, target, target, SCRATCH);
        self.code.jump_register(target);
        self.code.bind(start);
        let start = self.code.offset();
        for &entry in entries {
            self.code.table_entry(start, entry);
        }
    }

    /// A label for code that a jump table leads to.
    pub fn new_label(&mut self) -> Label {
        self.code.label()
    }

    /// That code.
    pub fn bind(&mut self, label: Label) {
        self.code.bind(label);
    }
}

/// The registers of a jump through a table.
#[derive(Clone, Copy, Debug)]
pub struct JumpTable {
    index: Reg,
    target: Reg,
}

impl JumpTable {
    /// Takes the index from `index`, and changes `target`.
    pub(crate) fn new(index: Reg, target: Reg) -> JumpTable {
        JumpTable { index, target }
    }
}
