//! Edges: what a jump to a block takes along, and what registers hold where blocks begin.
//!
//! Before a jump the frame is made canonical: all live values are in their home slots. A block's parameters are locals,
//! whose homes the edge fills, all at once, whatever the arguments are. The first edge to a block decides what
//! registers hold there; a later one puts the parameters where they are expected, and what else it cannot offer is
//! forgotten. A jump back to a loop brings everything that the loop counts on. An argument that dies on its first way
//! into a block gives its local to the parameter, and nothing is moved.

use super::scan::UNREACHED;
use super::state::{BlockState, Driver, Held, bailout, kept_as};
use super::values::{Local, Place};
use crate::arch::x64::{Condition, FRAME, Mem};
use crate::assembler::{Assembler, Loc, NO_LOCAL, Val, members};
use crate::code::Label;
use crate::moves::{Move, Source};
use crate::plan::SAVED_BYTES;
use cranelift_codegen::ir::{Block, BlockCall, Value};
use upshift_codegen::CompileError;

/// A parameter that gets a value: the parameter's local, and where the value is.
#[derive(Clone, Copy, Debug)]
struct Pass {
    param: u32,
    from: Val,
}

/// A jump to a block.
#[derive(Debug)]
pub(super) struct Edge {
    block: Block,
    passes: Vec<Pass>,
}

impl Driver<'_> {
    fn block(&mut self, block: Block) -> &mut BlockState {
        &mut self.blocks[block.as_u32() as usize]
    }

    /// Takes a block's arguments along: their last uses are behind us, and the frame is canonical.
    ///
    /// # Errors
    /// If a jump leads to the function's entry.
    pub(super) fn edges(&mut self, calls: &[BlockCall]) -> Result<Vec<Edge>, CompileError> {
        let mut dying: Vec<(usize, Local)> = Vec::new();
        for call in calls {
            self.count_arguments(call, &mut dying)?;
        }
        for call in calls {
            self.allocate_params(call, &mut dying)?;
        }
        let mut temporaries = Vec::new();
        for call in calls {
            self.make_temporaries(call, &mut temporaries)?;
        }
        let edges = calls
            .iter()
            .map(|call| self.edge(call, &temporaries, &dying));
        let edges = edges.collect();
        let dying = dying.iter().chain(&temporaries);
        for (_, local) in dying {
            self.values.release(&mut self.asm, *local);
        }
        self.asm.flush();
        Ok(edges)
    }

    fn arguments(&self, call: &BlockCall) -> impl Iterator<Item = (Value, Option<Value>)> {
        let dfg = &self.body.dfg;
        let params = dfg.block_params(call.block(&dfg.value_lists));
        let args = call.args(&dfg.value_lists).map(|arg| arg.as_value());
        params.iter().copied().zip(args)
    }

    /// Counts the uses of the arguments, and lists those that were the last.
    fn count_arguments(
        &mut self,
        call: &BlockCall,
        dying: &mut Vec<(usize, Local)>,
    ) -> Result<(), CompileError> {
        let block = call.block(&self.body.dfg.value_lists);
        if self.block(block).position == 0 {
            return Err(bailout("a jump to the entry"));
        }
        let args: Vec<Option<Value>> = self.arguments(call).map(|(_, arg)| arg).collect();
        for arg in args {
            let Some(arg) = arg else {
                return Err(bailout("an argument that a call makes"));
            };
            let index = self.index(arg);
            let uses = &mut self.values.uses[index];
            *uses -= 1;
            if let (0, Place::Local(local)) = (*uses, self.values.places[index]) {
                dying.push((index, local));
            }
        }
        Ok(())
    }

    /// Gives the block's parameters their locals, if they have none yet.
    fn allocate_params(
        &mut self,
        call: &BlockCall,
        dying: &mut Vec<(usize, Local)>,
    ) -> Result<(), CompileError> {
        let block = call.block(&self.body.dfg.value_lists);
        let (is_seen, defined) = (self.block(block).is_seen, self.block(block).position);
        if is_seen {
            return Ok(());
        }
        // Edges of one jump may have the same target.
        let pairs: Vec<(Value, Option<Value>)> = self.arguments(call).collect();
        for (param, arg) in pairs {
            let index = param.as_u32() as usize;
            let is_placed = matches!(self.values.places[index], Place::Local(_));
            if self.values.uses[index] == 0 || is_placed {
                continue;
            }
            let ty = kept_as(self.ty(param))?;
            let arg = arg.map(|arg| self.index(arg));
            let values = &self.values;
            let same =
                |&(value, local): &(usize, Local)| Some(value) == arg && values.gives_local(local);
            let number = match dying.iter().position(same) {
                Some(at) => dying.swap_remove(at).1.number,
                None => self.values.allocate(&mut self.asm, ty),
            };
            self.values.places[index] = Place::Local(Local {
                number,
                defined,
                clean: false,
            });
        }
        Ok(())
    }

    /// Makes the arguments that are made where they are used, in homes.
    fn make_temporaries(
        &mut self,
        call: &BlockCall,
        temporaries: &mut Vec<(usize, Local)>,
    ) -> Result<(), CompileError> {
        let args = call.args(&self.body.dfg.value_lists);
        for arg in args.filter_map(|arg| arg.as_value()) {
            let index = self.index(arg);
            let is_made = temporaries.iter().any(|(made, _)| *made == index);
            if is_made || !matches!(self.place(arg), Place::Frame(_)) {
                continue;
            }
            let pinned = self.asm.pinned;
            self.push(arg)?;
            let val = self.asm.pop();
            let number = self.values.allocate(&mut self.asm, val.ty);
            self.asm.assign(number, val);
            self.asm.flush();
            self.asm.detach_local(number);
            self.asm.vals[number as usize].set_loc(Loc::Home);
            self.asm.pinned = pinned;
            let local = Local {
                number,
                defined: self.at,
                clean: false,
            };
            temporaries.push((index, local));
        }
        Ok(())
    }

    fn edge(
        &self,
        call: &BlockCall,
        temporaries: &[(usize, Local)],
        dying: &[(usize, Local)],
    ) -> Edge {
        let mut passes = Vec::new();
        for (param, arg) in self.arguments(call) {
            let (Place::Local(param), Some(arg)) = (self.place(param), arg) else {
                continue;
            };
            let index = self.index(arg);
            let made = temporaries.iter().copied().find(|(made, _)| *made == index);
            let from = match (self.place(arg), made) {
                (Place::Local(local), _) if local.number == param.number => {
                    // It got the local of a parameter that was dead. What dies is not saved otherwise.
                    let val = self.asm.vals[local.number as usize];
                    let dies = dying.iter().any(|(dying, _)| *dying == index);
                    if !dies || val.loc() == Loc::Home {
                        continue;
                    }
                    val
                }
                (Place::Known(ty, bits), _) => Val::new(ty, Loc::Const(bits), false, 0),
                (Place::Local(local), _) | (_, Some((_, local))) => {
                    self.asm.vals[local.number as usize]
                }
                _ => continue,
            };
            passes.push(Pass {
                param: param.number,
                from,
            });
        }
        Edge {
            block: call.block(&self.body.dfg.value_lists),
            passes,
        }
    }

    /// Makes or updates what registers hold at the edge's target.
    fn join(&mut self, edge: &Edge) {
        let state = &mut self.blocks[edge.block.as_u32() as usize];
        if state.has_begun {
            return;
        }
        let (asm, held) = (&self.asm, &mut self.held);
        let is_param = |local: u32| edge.passes.iter().any(|pass| pass.param == local);
        if state.is_seen {
            let (first, len) = state.held;
            let mut kept = first;
            for index in first..first + len {
                let each = held[index];
                if is_param(each.local) || asm.holders[each.reg.index()].local == each.local {
                    held[kept] = each;
                    kept += 1;
                }
            }
            state.held = (first, kept - first);
            return;
        }
        let first = held.len();
        let mut taken = 0;
        for pass in &edge.passes {
            if let Loc::Reg(reg) = pass.from.loc()
                && taken & reg.bit() == 0
            {
                taken |= reg.bit();
                held.push(Held {
                    reg,
                    local: pass.param,
                    ty: pass.from.ty,
                });
            }
        }
        for reg in members(asm.busy & !taken) {
            let local = asm.holders[reg.index()].local;
            if local != NO_LOCAL && !is_param(local) {
                let ty = asm.vals[local as usize].ty;
                held.push(Held { reg, local, ty });
            }
        }
        state.is_seen = true;
        state.held = (first, held.len() - first);
    }

    /// Whether an edge is a jump and nothing else.
    fn is_plain(&self, edge: &Edge) -> bool {
        let state = &self.blocks[edge.block.as_u32() as usize];
        let (first, len) = state.held;
        let holds = |held: &Held| self.asm.holders[held.reg.index()].local == held.local;
        edge.passes.is_empty()
            && (!state.has_begun || self.held[first..first + len].iter().all(holds))
    }

    /// Does what an edge has to do besides jumping.
    fn pass(&mut self, edge: &Edge) {
        let mut passes = edge.passes.clone();
        self.asm.save_overwritten(&mut passes);
        for pass in &passes {
            let home = self.asm.vals[pass.param as usize].home();
            self.asm.store_to(pass.from, home);
        }
        let state = &self.blocks[edge.block.as_u32() as usize];
        let (first, len) = state.held;
        for &Held { reg, local, ty } in &self.held[first..first + len] {
            let val = self.asm.vals[local as usize];
            let place = match passes.iter().find(|pass| pass.param == local) {
                Some(pass) => pass.from.loc(),
                None if self.asm.holders[reg.index()].local == local => continue,
                None => val.loc(),
            };
            let from = match place {
                Loc::Home => Source::Home(ty, val.home),
                Loc::Reg(from) => Source::Reg(ty, from),
                Loc::Const(bits) => Source::Const(ty, bits),
            };
            self.asm.moves.push(Move::new(reg, from));
        }
        self.asm.make_moves();
    }

    fn is_next(&self, edge: &Edge) -> bool {
        self.blocks[edge.block.as_u32() as usize].position == self.at + 1
    }

    /// Jumps.
    pub(super) fn jump(&mut self, edge: &Edge) {
        self.join(edge);
        if !self.is_plain(edge) {
            self.pass(edge);
        }
        if !self.is_next(edge) {
            let label = self.block(edge.block).label;
            self.asm.code.jump(label);
        }
    }

    /// Jumps along `then` if the condition holds, else along `other`.
    pub(super) fn branch(&mut self, condition: Condition, then: &Edge, other: &Edge) {
        let (condition, then, other) = match self.is_next(then) {
            true => (condition.inverted(), other, then),
            false => (condition, then, other),
        };
        self.join(then);
        self.join(other);
        if self.is_plain(then) {
            let label = self.block(then.block).label;
            self.asm.code.jump_if(condition, label);
        } else {
            let skip = self.asm.code.label();
            self.asm.code.jump_if(condition.inverted(), skip);
            self.pass(then);
            let label = self.block(then.block).label;
            self.asm.code.jump(label);
            self.asm.code.bind(skip);
        }
        self.jump(other);
    }

    /// The label to jump to for an edge: that of the block, or one of code that has yet to be made.
    pub(super) fn table_label(
        &mut self,
        edge: &Edge,
        relays: &mut Vec<(Label, usize)>,
        number: usize,
    ) -> Label {
        self.join(edge);
        if self.is_plain(edge) {
            return self.block(edge.block).label;
        }
        let label = self.asm.code.label();
        relays.push((label, number));
        label
    }

    /// That code.
    pub(super) fn relay(&mut self, label: Label, edge: &Edge) {
        self.asm.code.bind(label);
        self.pass(edge);
        let label = self.block(edge.block).label;
        self.asm.code.jump(label);
    }

    /// A block begins. `false` if nothing leads there.
    pub(super) fn begin_block(&mut self, block: Block) -> bool {
        let state = self.block(block).clone();
        if !state.is_seen || state.position == UNREACHED {
            return false;
        }
        self.asm.code.bind(state.label);
        self.asm.forget_registers();
        let (first, len) = state.held;
        let mut kept = first;
        for index in first..first + len {
            let held = self.held[index];
            if !self.values.is_free(held.local) {
                self.asm.attach_local(held.local, held.reg, true);
                self.held[kept] = held;
                kept += 1;
            }
        }
        let state = self.block(block);
        state.held = (first, kept - first);
        state.has_begun = true;
        true
    }

    /// The block that has just begun is a loop's: it goes on holding `wanted` in registers, from here on.
    pub(super) fn begin_loop(&mut self, block: Block, wanted: &[u32]) {
        self.asm.keep_only(wanted);
        let (label, first) = (self.asm.code.label(), self.held.len());
        for reg in members(self.asm.busy) {
            let local = self.asm.holders[reg.index()].local;
            let ty = self.asm.vals[local as usize].ty;
            self.held.push(Held { reg, local, ty });
        }
        let held = (first, self.held.len() - first);
        self.asm.code.bind(label);
        let state = self.block(block);
        state.label = label;
        state.held = held;
    }
}

impl Assembler {
    /// Values that are in homes which other values are about to be passed to get out of the way.
    fn save_overwritten(&mut self, passes: &mut [Pass]) {
        let mut bytes = 0;
        for index in 0..passes.len() {
            let from = passes[index].from;
            let overwrites = |pass: &Pass| self.vals[pass.param as usize].home == from.home;
            if from.loc() != Loc::Home || !passes.iter().any(overwrites) {
                continue;
            }
            bytes += from.ty.slot_bytes();
            let home = -(SAVED_BYTES + self.local_bytes + bytes);
            self.store_to(from, Mem::new(FRAME, home));
            passes[index].from.home = home;
        }
        let lowest = -(SAVED_BYTES + self.local_bytes + bytes);
        self.lowest_home = self.lowest_home.min(lowest);
    }

    /// Registers hold nothing, and all locals are in their homes.
    fn forget_registers(&mut self) {
        for reg in members(self.busy) {
            let holder = &mut self.holders[reg.index()];
            holder.operands = 0;
            let local = std::mem::replace(&mut holder.local, NO_LOCAL);
            if local != NO_LOCAL {
                let val = &mut self.vals[local as usize];
                val.set_loc(Loc::Home);
                val.saved = true;
            }
        }
        (self.busy, self.dirty, self.pinned) = (0, 0, 0);
        self.forget_constants();
    }

    /// Puts these locals into registers, and nothing else. All of them are in their homes.
    fn keep_only(&mut self, wanted: &[u32]) {
        self.pinned = 0;
        for &local in wanted {
            let val = self.vals[local as usize];
            if let Loc::Reg(reg) = val.loc() {
                self.pinned |= reg.bit();
            }
        }
        for &local in wanted {
            let val = self.vals[local as usize];
            if val.loc() == Loc::Home {
                let reg = self.allocate(val.ty.is_vector());
                self.load_into(reg, val);
                self.attach_local(local, reg, true);
            }
        }
        let unwanted = self.busy & !self.pinned;
        self.evict_all(unwanted);
        self.pinned = 0;
    }
}
