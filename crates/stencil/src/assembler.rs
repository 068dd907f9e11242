//! Where each value is: the part of the assembler that tracks registers and home slots.
//!
//! A function's values are its locals and, behind them, its operand stack. Each has a *home slot* in the frame, and is
//! at any time in its home, in a register, or a known constant; a value outside its home is *saved* if its home holds it
//! too. Several operands and one local may share a register: what is in a shared register is never changed. An operation
//! pops its operands, which pins their registers until the next operation begins.

use crate::arch::x64::{
    CLOBBERED_BY_CALLS, FRAME, GENERAL, Mem, REGISTERS, Reg, SCRATCH, VECTOR, VECTOR_SCRATCH,
};
use crate::code::{Code, Label};
use crate::moves::{Move, Source};
use crate::plan::{ColdCall, Kept, OtherTarget, Plan, SAVED_BYTES, TrapStub, WayIn};
use crate::value::Ty;

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loc {
    /// In its home slot only.
    Home,
    /// In a register.
    Reg(Reg),
    /// Nowhere: it is known. A vector is only ever zero.
    Const(u64),
}

/// A value: 16 bytes, because values are copied all the time.
#[derive(Clone, Copy, Debug)]
pub struct Val {
    /// The value, if it is known.
    bits: u64,
    /// The home's distance from the frame pointer.
    pub(crate) home: i32,
    pub(crate) ty: Ty,
    /// A register's number, or one of the two numbers below.
    place: u8,
    /// Whether the home holds the value.
    pub(crate) saved: bool,
}

const PLACE_HOME: u8 = REGISTERS as u8;
const PLACE_KNOWN: u8 = PLACE_HOME + 1;

impl Val {
    #[inline(always)]
    pub(crate) fn new(ty: Ty, loc: Loc, saved: bool, home: i32) -> Val {
        let mut val = Val {
            bits: 0,
            home,
            ty,
            place: PLACE_HOME,
            saved,
        };
        val.set_loc(loc);
        val
    }

    /// Where it is.
    #[inline(always)]
    pub(crate) fn loc(&self) -> Loc {
        match self.place {
            PLACE_HOME => Loc::Home,
            PLACE_KNOWN => Loc::Const(self.bits),
            reg => Loc::Reg(Reg(reg)),
        }
    }

    #[inline(always)]
    pub(crate) fn set_loc(&mut self, loc: Loc) {
        self.place = match loc {
            Loc::Home => PLACE_HOME,
            Loc::Reg(reg) => reg.0,
            Loc::Const(bits) => {
                self.bits = bits;
                PLACE_KNOWN
            }
        };
    }

    /// The register that it is in.
    #[inline(always)]
    pub(crate) fn register(&self) -> Option<Reg> {
        (self.place < PLACE_HOME).then_some(Reg(self.place))
    }

    /// The type.
    pub fn ty(&self) -> Ty {
        self.ty
    }

    /// The value, if it is known.
    pub fn constant(&self) -> Option<u64> {
        match self.loc() {
            Loc::Const(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn home(&self) -> Mem {
        Mem::new(FRAME, self.home)
    }
}

/// No local.
pub(crate) const NO_LOCAL: u32 = u32::MAX;

/// What a register holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) local: u32,
    pub(crate) operands: u32,
}

const FREE: Holder = Holder {
    local: NO_LOCAL,
    operands: 0,
};

const GENERAL_SET: u32 = set(&GENERAL);
const VECTOR_SET: u32 = set(&VECTOR);

const fn set(registers: &[Reg]) -> u32 {
    let mut all = 0;
    let mut index = 0;
    while index < registers.len() {
        all |= registers[index].bit();
        index += 1;
    }
    all
}

/// The registers of a set.
#[inline(always)]
pub(crate) fn members(mut registers: u32) -> impl Iterator<Item = Reg> {
    std::iter::from_fn(move || {
        if registers == 0 {
            return None;
        }
        let reg = Reg(registers.trailing_zeros() as u8);
        registers &= registers - 1;
        Some(reg)
    })
}

/// A function under construction.
#[derive(Debug)]
pub struct Assembler {
    pub(crate) code: Code,
    pub(crate) plan: Plan,
    /// The locals, one value that has no name, and the operands. Each operand's home is below that of the value before
    /// it.
    pub(crate) vals: Vec<Val>,
    /// How many there are before the operands.
    pub(crate) locals: usize,
    pub(crate) holders: [Holder; REGISTERS],
    /// Registers that hold something.
    pub(crate) busy: u32,
    /// Registers that hold a local that is not saved.
    pub(crate) dirty: u32,
    /// Registers that the current operation uses.
    pub(crate) pinned: u32,
    /// Whether an operation wanted more registers than there are. The code is of no use then.
    pub(crate) out_of_registers: bool,
    /// Registers that were ever used.
    pub(crate) used: u32,
    next_victim: u8,
    /// Operands below this index are saved.
    pub(crate) saved_below: usize,
    /// Locals that may be known constants.
    pub(crate) constants: Vec<u32>,
    /// Those of them that may not be saved.
    pub(crate) unsaved_constants: Vec<u32>,
    pub(crate) local_bytes: i32,
    /// The lowest home that is written, as a distance from the frame pointer.
    pub(crate) lowest_home: i32,
    pub(crate) outgoing_bytes: i32,
    pub(crate) incoming_bytes: i32,
    pub(crate) results: Vec<Ty>,
    /// Home slots to be zeroed at entry, as distances from the frame pointer.
    pub(crate) zeroed: Option<(i32, i32)>,
    pub(crate) position: u32,
    /// Call sites so far.
    pub(crate) call_sites: u32,
    /// Whether something in the code counts on being aligned to 16 bytes.
    pub(crate) aligned: bool,
    pub(crate) epilogue: Label,
    pub(crate) trap_stubs: Vec<TrapStub>,
    pub(crate) cold_calls: Vec<ColdCall>,
    pub(crate) other_targets: Vec<OtherTarget>,
    /// What the cold calls save and load again.
    pub(crate) kept: Vec<Kept>,
    /// What registers hold at destinations.
    pub(crate) caches: Vec<(Reg, u32)>,
    /// The ways in, if this is a continuation.
    pub(crate) ways_in: Vec<WayIn>,
    /// Memory for moves, empty between operations.
    pub(crate) moves: Vec<Move>,
}

impl Assembler {
    pub(crate) fn new(plan: Plan) -> Assembler {
        Assembler {
            code: Code::default(),
            plan,
            vals: Vec::new(),
            locals: 0,
            holders: [FREE; REGISTERS],
            busy: 0,
            dirty: 0,
            pinned: 0,
            out_of_registers: false,
            used: 0,
            next_victim: 0,
            saved_below: 0,
            constants: Vec::new(),
            unsaved_constants: Vec::new(),
            local_bytes: 0,
            lowest_home: -SAVED_BYTES,
            outgoing_bytes: 0,
            incoming_bytes: 0,
            results: Vec::new(),
            zeroed: None,
            position: 0,
            call_sites: 0,
            aligned: false,
            epilogue: Label::default(),
            trap_stubs: Vec::new(),
            cold_calls: Vec::new(),
            other_targets: Vec::new(),
            kept: Vec::new(),
            caches: Vec::new(),
            ways_in: Vec::new(),
            moves: Vec::new(),
        }
    }

    /// Forgets everything but the memory taken.
    pub(crate) fn reset(&mut self, plan: Plan) {
        self.code.clear();
        self.plan = plan;
        self.vals.clear();
        self.locals = 0;
        self.holders = [FREE; REGISTERS];
        (self.busy, self.dirty, self.pinned, self.used) = (0, 0, 0, 0);
        self.out_of_registers = false;
        self.next_victim = 0;
        self.saved_below = 0;
        self.constants.clear();
        self.unsaved_constants.clear();
        (self.local_bytes, self.lowest_home) = (0, -SAVED_BYTES);
        (self.outgoing_bytes, self.incoming_bytes) = (0, 0);
        self.results.clear();
        self.zeroed = None;
        (self.position, self.call_sites) = (0, 0);
        self.aligned = false;
        self.trap_stubs.clear();
        self.cold_calls.clear();
        self.other_targets.clear();
        self.kept.clear();
        self.caches.clear();
        self.ways_in.clear();
        self.moves.clear();
    }

    /// Begins an operation that comes from `position`.
    #[inline]
    pub fn begin(&mut self, position: u32) {
        self.pinned = 0;
        self.position = position;
        if self.plan.every_position {
            self.code.position(position);
        }
    }

    /// Where the current operation comes from.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// How many operands there are.
    pub fn height(&self) -> usize {
        self.vals.len() - self.locals
    }

    /// The type of a local.
    pub fn local_type(&self, local: u32) -> Ty {
        self.vals[local as usize].ty
    }

    /// The operand on top, which stays there.
    pub fn top(&self) -> Option<&Val> {
        self.vals[self.locals..].last()
    }

    // Registers.

    /// Whether nothing but popped operands uses a register.
    #[inline]
    pub(crate) fn is_unshared(&self, reg: Reg) -> bool {
        self.busy & reg.bit() == 0
    }

    /// A register for a new value, pinned.
    pub(crate) fn allocate(&mut self, vector: bool) -> Reg {
        let all = if vector { VECTOR_SET } else { GENERAL_SET };
        let free = all & !self.busy & !self.pinned;
        let preferred = free & CLOBBERED_BY_CALLS;
        let choice = if preferred != 0 { preferred } else { free };
        let reg = match choice {
            0 => self.make_room(all),
            set => Reg(set.trailing_zeros() as u8),
        };
        self.pinned |= reg.bit();
        self.used |= reg.bit();
        reg
    }

    /// Empties a register that is not pinned: one that holds only a saved local if there is one, else one that holds
    /// only a local, else any.
    #[cold]
    fn make_room(&mut self, all: u32) -> Reg {
        let candidates = all & !self.pinned;
        let start = u32::from(self.next_victim) & 31;
        let ahead = candidates & (u32::MAX << start);
        let ordered = members(ahead).chain(members(candidates & !ahead));
        let cost = |reg: &Reg| {
            let holder = self.holders[reg.index()];
            (holder.operands > 0, self.dirty & reg.bit() != 0)
        };
        // An operation pins four registers at most, and there are more.
        let Some(reg) = ordered.min_by_key(cost) else {
            self.out_of_registers = true;
            return SCRATCH;
        };
        self.next_victim = reg.0 + 1;
        self.evict(reg);
        reg
    }

    /// Makes what a register holds be in its home, and only there. The register's content stays as it is.
    pub(crate) fn evict(&mut self, reg: Reg) {
        if self.busy & reg.bit() == 0 {
            return;
        }
        let holder = std::mem::replace(&mut self.holders[reg.index()], FREE);
        self.busy &= !reg.bit();
        self.dirty &= !reg.bit();
        if holder.local != NO_LOCAL {
            self.move_home(holder.local as usize, reg);
        }
        let mut left = holder.operands;
        let mut index = self.vals.len();
        while left > 0 && index > self.locals {
            index -= 1;
            if self.vals[index].loc() == Loc::Reg(reg) {
                self.move_home(index, reg);
                left -= 1;
            }
        }
    }

    fn move_home(&mut self, index: usize, reg: Reg) {
        let val = &mut self.vals[index];
        val.set_loc(Loc::Home);
        if !val.saved {
            val.saved = true;
            let (ty, home) = (val.ty, val.home);
            self.lowest_home = self.lowest_home.min(home);
            self.code.store_home(ty, reg, home);
        }
    }

    /// The same for all registers of a set whose contents are saved, behind a [`Assembler::flush`].
    pub(crate) fn forget_saved(&mut self, registers: u32) {
        for reg in members(registers & self.busy) {
            let holder = std::mem::replace(&mut self.holders[reg.index()], FREE);
            if holder.local != NO_LOCAL {
                self.vals[holder.local as usize].set_loc(Loc::Home);
            }
            let mut left = holder.operands;
            for val in self.vals[self.locals..].iter_mut().rev() {
                if left == 0 {
                    break;
                }
                if val.register() == Some(reg) {
                    val.set_loc(Loc::Home);
                    left -= 1;
                }
            }
        }
        self.busy &= !registers;
    }

    /// Evicts all registers of a set.
    pub(crate) fn evict_all(&mut self, registers: u32) {
        for reg in members(registers & self.busy) {
            self.evict(reg);
        }
    }

    #[inline]
    pub(crate) fn attach_local(&mut self, local: u32, reg: Reg, saved: bool) {
        self.holders[reg.index()].local = local;
        self.busy |= reg.bit();
        match saved {
            true => self.dirty &= !reg.bit(),
            false => self.dirty |= reg.bit(),
        }
        let val = &mut self.vals[local as usize];
        val.set_loc(Loc::Reg(reg));
        val.saved = saved;
    }

    /// Takes a local out of its register, whose value is of no use any more or saved.
    #[inline]
    pub(crate) fn detach_local(&mut self, local: u32) {
        if let Loc::Reg(reg) = self.vals[local as usize].loc() {
            self.forget_local_of(reg);
        }
    }

    #[inline]
    pub(crate) fn forget_local_of(&mut self, reg: Reg) {
        let holder = &mut self.holders[reg.index()];
        holder.local = NO_LOCAL;
        self.dirty &= !reg.bit();
        if holder.operands == 0 {
            self.busy &= !reg.bit();
        }
    }

    // Operands.

    #[inline]
    pub(crate) fn push(&mut self, ty: Ty, loc: Loc, saved: bool) {
        // The last local may have a home among the arguments, and is not what operands are counted from.
        let above = match self.vals.last() {
            Some(val) if self.vals.len() > self.locals => val.home,
            _ => -(SAVED_BYTES + self.local_bytes),
        };
        let home = above - ty.slot_bytes();
        self.vals.push(Val::new(ty, loc, saved, home));
    }

    /// Pushes what a register holds.
    #[inline]
    pub(crate) fn push_register(&mut self, ty: Ty, reg: Reg) {
        self.holders[reg.index()].operands += 1;
        self.busy |= reg.bit();
        self.push(ty, Loc::Reg(reg), false);
    }

    /// Pushes a constant.
    #[inline]
    pub fn push_constant(&mut self, ty: Ty, value: u64) {
        self.push(ty, Loc::Const(value), false);
    }

    /// Pushes a value that is in the home that it gets.
    pub fn push_home(&mut self, ty: Ty) {
        self.push(ty, Loc::Home, true);
        let home = self.vals.last().map_or(0, |val| val.home);
        self.lowest_home = self.lowest_home.min(home);
    }

    /// Pushes the same bits as another type, in the register or as the constant that `val`, just popped, is.
    pub(crate) fn push_as(&mut self, ty: Ty, val: Val) {
        match val.loc() {
            Loc::Const(value) => self.push_constant(ty, value),
            _ => {
                let reg = self.in_register(val);
                self.push_register(ty, reg);
            }
        }
    }

    /// Pops an operand; validation has made sure that there is one.
    #[inline]
    pub fn pop(&mut self) -> Val {
        let val = self.vals.pop().expect("validated: there is an operand");
        self.saved_below = self.saved_below.min(self.vals.len());
        if let Some(reg) = val.register() {
            let holder = &mut self.holders[reg.index()];
            holder.operands -= 1;
            let is_free = (holder.operands == 0) & (holder.local == NO_LOCAL);
            self.busy &= !(u32::from(is_free) << reg.index());
            self.pinned |= reg.bit();
        }
        val
    }

    /// Drops the operands from value number `first` on. Their registers may be given to others at once.
    pub(crate) fn drop_operands(&mut self, first: usize) {
        for val in &self.vals[first..] {
            if let Some(reg) = val.register() {
                let holder = &mut self.holders[reg.index()];
                holder.operands -= 1;
                let is_free = (holder.operands == 0) & (holder.local == NO_LOCAL);
                self.busy &= !(u32::from(is_free) << reg.index());
            }
        }
        self.vals.truncate(first);
        self.saved_below = self.saved_below.min(first);
    }

    /// Puts a value into a register.
    #[inline]
    pub(crate) fn load_into(&mut self, to: Reg, val: Val) {
        match val.loc() {
            Loc::Home => self.code.load_home(val.ty, to, val.home),
            Loc::Reg(from) if from == to => {}
            Loc::Reg(from) => self.code.move_register(val.ty, to, from),
            Loc::Const(value) => self.load_constant(val.ty, to, value),
        }
    }

    /// Puts a constant into a register. Leaves the flags alone.
    pub(crate) fn load_constant(&mut self, ty: Ty, to: Reg, value: u64) {
        if !to.is_vector() {
            self.code.move_constant(to, value);
        } else if value == 0 {
            self.code.zero_vector(to);
        } else {
            self.code.move_constant(SCRATCH, value);
            self.code.move_to_vector(ty != Ty::F32, to, SCRATCH);
        }
    }

    /// A register that holds a popped value; not to be changed.
    #[inline]
    pub(crate) fn in_register(&mut self, val: Val) -> Reg {
        match val.register() {
            Some(reg) => reg,
            None => self.load_new(val),
        }
    }

    /// A register of its own for a popped value.
    #[inline(never)]
    fn load_new(&mut self, val: Val) -> Reg {
        let reg = self.allocate(val.ty.is_vector());
        self.load_into(reg, val);
        reg
    }

    #[inline]
    pub(crate) fn source(&self, val: Val) -> Source {
        match val.loc() {
            Loc::Reg(reg) => Source::Reg(val.ty, reg),
            Loc::Const(value) => Source::Const(val.ty, value),
            Loc::Home => Source::Home(val.ty, val.home),
        }
    }

    /// Whether a popped value is in a register that may be changed.
    #[inline]
    pub(crate) fn is_owned(&self, val: Val) -> bool {
        val.register().is_some_and(|reg| self.is_unshared(reg))
    }

    /// A register that holds a popped value and may be changed.
    #[inline]
    pub(crate) fn own(&mut self, val: Val) -> Reg {
        match val.register() {
            Some(reg) if self.is_unshared(reg) => reg,
            _ => self.load_new(val),
        }
    }

    // Homes.

    /// Stores a value that is not in memory.
    pub(crate) fn store_to(&mut self, val: Val, to: Mem) {
        match val.loc() {
            Loc::Reg(reg) => self.code.store(val.ty, reg, to),
            Loc::Const(value) => self.store_constant(val.ty, value, to),
            Loc::Home => {
                let scratch = if val.ty.is_vector() {
                    VECTOR_SCRATCH
                } else {
                    SCRATCH
                };
                self.code.load_home(val.ty, scratch, val.home);
                self.code.store(val.ty, scratch, to);
            }
        }
    }

    fn store_constant(&mut self, ty: Ty, value: u64, to: Mem) {
        if matches!(ty, Ty::I32 | Ty::F32) {
            self.code.store_constant(false, value as i32, to);
        } else if let Ok(short) = i32::try_from(value.cast_signed()) {
            self.code.store_constant(true, short, to);
            if ty == Ty::V128 {
                let upper = Mem {
                    displacement: to.displacement + 8,
                    ..to
                };
                self.code.store_constant(true, short, upper);
            }
        } else {
            self.code.move_constant(SCRATCH, value);
            self.code.store(Ty::I64, SCRATCH, to);
        }
    }

    /// Saves all locals and operands, so that the frame is canonical. Leaves the flags and all registers alone, the
    /// scratch ones aside.
    #[inline]
    pub fn flush(&mut self) {
        let saved = self.dirty == 0 && self.unsaved_constants.is_empty();
        if !saved || self.saved_below < self.vals.len() {
            self.save_all();
        }
    }

    #[inline(never)]
    fn save_all(&mut self) {
        for reg in members(std::mem::take(&mut self.dirty)) {
            let val = &mut self.vals[self.holders[reg.index()].local as usize];
            val.saved = true;
            let (ty, home) = (val.ty, val.home);
            self.code.store_home(ty, reg, home);
        }
        while let Some(local) = self.unsaved_constants.pop() {
            self.save(local as usize, true);
        }
        for index in self.saved_below.max(self.locals)..self.vals.len() {
            self.save(index, false);
        }
        self.saved_below = self.vals.len();
    }

    fn save(&mut self, index: usize, only_constant: bool) {
        let val = self.vals[index];
        if !val.saved && (!only_constant || matches!(val.loc(), Loc::Const(_))) {
            self.vals[index].saved = true;
            self.lowest_home = self.lowest_home.min(val.home);
            match val.register() {
                Some(reg) => self.code.store_home(val.ty, reg, val.home),
                None => self.store_to(val, val.home()),
            }
        }
    }
}
