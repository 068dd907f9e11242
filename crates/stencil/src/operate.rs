//! The operations that are encoded directly.

use crate::arch::x64::{CONTEXT, Condition, MEMORY_BASE, Mem, RCX, Reg, SCRATCH, codes};
use crate::assembler::{Assembler, Loc, Val};
use crate::value::{
    FloatOp, FloatTest, IntOp, IntTest, LoadIndex, LoadKind, ShiftOp, StoreIndex, StoreKind, Ty,
};
use upshift_base::TrapKind;

/// A linear memory, or whatever else an index leads into.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Where the context has its base.
    pub base: i32,
    /// Whether the base is in the register that is there for it.
    pub is_first: bool,
    /// How far behind the base an access may go, the 4 GiB that an index reaches aside, to be sure to fault.
    pub guard_bytes: u64,
}

/// No access is longer.
const ACCESS_BYTES_MAX: u64 = 16;

impl Memory {
    /// A constant offset as a part of the instruction, if the access faults where it should then.
    #[inline(always)]
    fn displacement(&self, offset: u64) -> Option<i32> {
        let near = offset + ACCESS_BYTES_MAX <= self.guard_bytes;
        i32::try_from(offset).ok().filter(|_| near)
    }
}

fn int(wide: bool) -> Ty {
    if wide { Ty::I64 } else { Ty::I32 }
}

/// The constant as an operand of an instruction, which is sign-extended to 64 bits.
pub(crate) fn short(val: Val) -> Option<i32> {
    match (val.loc(), val.ty) {
        (Loc::Const(value), Ty::I32) => Some(value as i32),
        (Loc::Const(value), Ty::I64) => i32::try_from(value.cast_signed()).ok(),
        _ => None,
    }
}

impl Assembler {
    /// `left op right` on integers.
    pub fn int_binary(&mut self, op: IntOp, wide: bool) {
        let (mut right, mut left) = (self.pop(), self.pop());
        let swap =
            matches!(left.loc(), Loc::Const(_)) || !self.is_owned(left) && self.is_owned(right);
        if op.is_commutative() && swap {
            std::mem::swap(&mut left, &mut right);
        }
        if let Some(value) = short(right) {
            self.int_binary_constant(op, wide, left, value);
            return;
        }
        let from = self.in_register(right);
        if let (IntOp::Add, Loc::Reg(base), false) = (op, left.loc(), self.is_owned(left)) {
            let to = self.allocate(false);
            self.code.add_three(wide, to, base, from);
            self.push_register(int(wide), to);
            return;
        }
        let to = self.own(left);
        self.code.int_op(op, wide, to, from);
        self.push_register(int(wide), to);
    }

    /// `operand op value` on 32 bits, the operand on top.
    #[inline]
    pub fn int_with_constant(&mut self, op: IntOp, value: i32) {
        let left = self.pop();
        self.int_binary_constant(op, false, left, value);
    }

    #[inline]
    fn int_binary_constant(&mut self, op: IntOp, wide: bool, left: Val, value: i32) {
        let distance = match op {
            IntOp::Add => Some(value),
            IntOp::Sub => value.checked_neg(),
            _ => None,
        };
        if let (Some(distance), Loc::Reg(base), false) = (distance, left.loc(), self.is_owned(left))
        {
            let to = self.allocate(false);
            self.code.address(wide, to, Mem::new(base, distance));
            self.push_register(int(wide), to);
            return;
        }
        let to = self.own(left);
        self.code.int_op_constant(op, wide, to, value);
        self.push_register(int(wide), to);
    }

    /// A shift or rotation.
    pub fn shift(&mut self, op: ShiftOp, wide: bool) {
        let (amount, left) = (self.pop(), self.pop());
        if let Loc::Const(value) = amount.loc() {
            let to = self.own(left);
            let mask = if wide { 63 } else { 31 };
            self.code.shift_constant(op, wide, to, value as u8 & mask);
            self.push_register(int(wide), to);
            return;
        }
        // The amount goes to `rcx`, whose content waits in the scratch register meanwhile.
        self.pinned |= RCX.bit();
        self.used |= RCX.bit();
        let reusable =
            self.is_owned(left) && left.loc() != Loc::Reg(RCX) && left.loc() != amount.loc();
        let to = if reusable {
            self.own(left)
        } else {
            let to = self.allocate(false);
            self.load_into(to, left);
            to
        };
        let keep = !self.is_unshared(RCX) && amount.loc() != Loc::Reg(RCX);
        if keep {
            self.code.move_register(Ty::I64, SCRATCH, RCX);
        }
        self.load_into(RCX, amount);
        self.code.shift(op, wide, to);
        if keep {
            self.code.move_register(Ty::I64, RCX, SCRATCH);
        }
        self.push_register(int(wide), to);
    }

    /// Compares two integers. With `flush`, the frame is made canonical before.
    #[inline]
    pub fn int_compare(&mut self, test: IntTest, wide: bool, flush: bool) -> Condition {
        let (mut test, mut right, mut left) = (test, self.pop(), self.pop());
        if flush {
            self.flush();
        }
        if matches!(left.loc(), Loc::Const(_)) {
            std::mem::swap(&mut left, &mut right);
            test = test.swapped();
        }
        let first = self.in_register(left);
        match short(right) {
            Some(value) => self.code.compare_constant(wide, first, value),
            None => {
                let second = self.in_register(right);
                self.code.compare(wide, first, second);
            }
        }
        Condition::Code(code(test))
    }

    /// Tests an integer for not being zero. With `flush`, the frame is made canonical before.
    #[inline]
    pub fn int_test(&mut self, wide: bool, flush: bool) -> Condition {
        let val = self.pop();
        if flush {
            self.flush();
        }
        let reg = self.in_register(val);
        self.code.compare_constant(wide, reg, 0);
        Condition::NOT_EQUAL
    }

    /// Compares two floats. With `flush`, the frame is made canonical before.
    pub fn float_compare(&mut self, test: FloatTest, double: bool, flush: bool) -> Condition {
        let (right, left) = (self.pop(), self.pop());
        if flush {
            self.flush();
        }
        let (left, right) = (self.in_register(left), self.in_register(right));
        let (first, second, condition) = match test {
            FloatTest::Eq => (left, right, Condition::FloatEqual),
            FloatTest::Ne => (left, right, Condition::FloatNotEqual),
            FloatTest::Gt => (left, right, Condition::ABOVE),
            FloatTest::Ge => (left, right, Condition::NOT_BELOW),
            FloatTest::Lt => (right, left, Condition::ABOVE),
            FloatTest::Le => (right, left, Condition::NOT_BELOW),
        };
        self.code.compare_floats(double, first, second);
        condition
    }

    /// Pushes 1 if the condition holds, else 0.
    pub fn push_condition(&mut self, condition: Condition) {
        self.pinned = 0;
        let to = self.allocate(false);
        self.code.set_if(condition, to);
        self.push_register(Ty::I32, to);
    }

    /// `select`: of the two top operands the lower if the condition holds, else the upper.
    pub fn select(&mut self, condition: Condition) {
        let (other, value) = (self.pop(), self.pop());
        let to = self.own(value);
        let from = self.in_register(other);
        match condition {
            Condition::Code(cc) if !value.ty.is_vector() => {
                self.code.move_if(cc ^ 1, true, to, from);
            }
            _ => {
                let done = self.code.label();
                self.code.jump_if(condition, done);
                self.code.move_register(value.ty, to, from);
                self.code.bind(done);
            }
        }
        self.push_register(value.ty, to);
    }

    /// A float operation of two operands.
    pub fn float_binary(&mut self, op: FloatOp, double: bool) {
        let (right, left) = (self.pop(), self.pop());
        let from = self.in_register(right);
        let to = self.own(left);
        self.code.float_op(op, double, to, from);
        self.push_register(left.ty, to);
    }

    /// The square root.
    pub fn float_sqrt(&mut self, double: bool) {
        let val = self.pop();
        let to = self.own(val);
        self.code.float_op(FloatOp::Sqrt, double, to, to);
        self.push_register(val.ty, to);
    }

    /// The low 32 bits of 64.
    pub fn wrap(&mut self) {
        let val = self.pop();
        if let Loc::Const(value) = val.loc() {
            self.push_constant(Ty::I32, value & 0xffff_ffff);
            return;
        }
        let to = self.own(val);
        self.code.clear_upper_half(to);
        self.push_register(Ty::I32, to);
    }

    /// 32 bits zero-extended to 64, which they are already.
    pub fn zero_extend(&mut self) {
        let val = self.pop();
        self.push_as(Ty::I64, val);
    }

    /// The low `bits` bits sign-extended, to 64 bits if `wide`.
    pub fn sign_extend(&mut self, bits: u8, wide: bool) {
        let val = self.pop();
        let from = self.in_register(val);
        let to = if self.is_owned(val) {
            from
        } else {
            self.allocate(false)
        };
        self.code.sign_extend(bits, wide, to, from);
        self.push_register(int(wide), to);
    }

    /// The bits of a value as one of another type of the same size.
    pub fn reinterpret(&mut self, to: Ty) {
        let val = self.pop();
        if let Loc::Const(value) = val.loc() {
            self.push_constant(to, value);
            return;
        }
        let from = self.in_register(val);
        let reg = self.allocate(to.is_vector());
        match to {
            Ty::F32 => self.code.move_to_vector(false, reg, from),
            Ty::F64 => self.code.move_to_vector(true, reg, from),
            _ => self.code.move_from_vector(to == Ty::I64, reg, from),
        }
        self.push_register(to, reg);
    }

    // Memory.

    /// The context's register.
    pub(crate) fn context(&mut self) -> Reg {
        self.used |= CONTEXT.bit();
        CONTEXT
    }

    /// Loads a field of the context.
    pub fn push_context_field(&mut self, kind: LoadKind, ty: Ty, offset: i32) {
        self.context();
        let to = self.allocate(ty.is_vector());
        self.code.load_context(kind, to, offset);
        self.push_register(ty, to);
    }

    /// Pops into a field of the context.
    pub fn pop_context_field(&mut self, offset: i32) {
        let val = self.pop();
        let context = self.context();
        let from = self.in_register(val);
        self.code.store(val.ty, from, Mem::new(context, offset));
    }

    /// Replaces the address on top by what is `offset` behind it.
    pub fn follow(&mut self, kind: LoadKind, ty: Ty, offset: i32) {
        let val = self.pop();
        let from = self.in_register(val);
        let to = self.allocate(ty.is_vector());
        self.code.load_kind(kind, to, Mem::new(from, offset));
        self.push_register(ty, to);
    }

    /// Pops a value and stores it `offset` behind the address that is popped then.
    pub fn store_behind(&mut self, offset: i32) {
        let (val, address) = (self.pop(), self.pop());
        let (from, to) = (self.in_register(val), self.in_register(address));
        self.code.store(val.ty, from, Mem::new(to, offset));
    }

    /// Adds to the address of the context.
    pub fn push_context_address(&mut self, offset: i32) {
        let context = self.context();
        let to = self.allocate(false);
        self.code.address(true, to, Mem::new(context, offset));
        self.push_register(Ty::I64, to);
    }

    fn memory_base(&mut self, memory: Memory) -> Reg {
        if memory.is_first {
            self.used |= MEMORY_BASE.bit();
            return MEMORY_BASE;
        }
        let context = self.context();
        let to = self.allocate(false);
        self.code.load(Ty::I64, to, Mem::new(context, memory.base));
        to
    }

    /// The index and displacement of an access of memory 0 as nearly all are: at a popped index that is in a register.
    #[inline(always)]
    fn first_place(&mut self, memory: Memory, index: &Val, offset: u64) -> Option<(Reg, i32)> {
        let displacement = memory.displacement(offset).filter(|_| memory.is_first)?;
        let index = index.register()?;
        self.used |= MEMORY_BASE.bit();
        Some((index, displacement))
    }

    /// Where an access at a popped index and a constant offset goes. Traps if that would not fault.
    #[inline(never)]
    fn place(&mut self, memory: Memory, index: Val, offset: u64) -> Mem {
        let base = self.memory_base(memory);
        let near = memory.displacement(offset).is_some();
        if let (Loc::Const(index), true) = (index.loc(), near)
            && let Ok(displacement) = i32::try_from(index + offset)
        {
            return Mem::new(base, displacement);
        }
        let index = self.in_register(index);
        if let Some(displacement) = memory.displacement(offset) {
            return Mem::indexed(base, index, displacement);
        }
        // Neither is larger than 32 bits, so the sum is exact.
        let sum = self.allocate(false);
        self.code.move_constant(sum, offset);
        self.code.int_op(IntOp::Add, true, sum, index);
        self.code.move_register(Ty::I64, SCRATCH, sum);
        self.code.shift_constant(ShiftOp::ShrU, true, SCRATCH, 32);
        self.code.compare_constant(true, SCRATCH, 0);
        let trap = self.trap_label(TrapKind::MemoryOutOfBounds);
        self.code.jump_if(Condition::NOT_EQUAL, trap);
        Mem::indexed(base, sum, 0)
    }

    /// Notes that the next instruction may fault.
    #[inline(always)]
    fn faults(&mut self) {
        self.code.access_site(self.position);
    }

    /// A load.
    #[inline]
    pub fn load(&mut self, kind: LoadIndex, ty: Ty, memory: Memory, offset: u64) {
        let index = self.pop();
        let Some((index, displacement)) = self.first_place(memory, &index, offset) else {
            return self.load_elsewhere(kind.kind(), ty, memory, (index, offset));
        };
        let to = match !ty.is_vector() && self.is_unshared(index) {
            true => index,
            false => self.allocate(ty.is_vector()),
        };
        self.faults();
        self.code.load_first(kind, to, index, displacement);
        self.push_register(ty, to);
    }

    #[inline(never)]
    fn load_elsewhere(
        &mut self,
        kind: LoadKind,
        ty: Ty,
        memory: Memory,
        (index, offset): (Val, u64),
    ) {
        let place = self.place(memory, index, offset);
        let to = self.allocate(ty.is_vector());
        self.faults();
        self.code.load_kind(kind, to, place);
        self.push_register(ty, to);
    }

    /// A store.
    #[inline]
    pub fn store(&mut self, kind: StoreIndex, memory: Memory, offset: u64) {
        let (val, index) = (self.pop(), self.pop());
        if let (Some(from), Some((index, displacement))) =
            (val.register(), self.first_place(memory, &index, offset))
        {
            self.faults();
            return self.code.store_first(kind, from, index, displacement);
        }
        self.store_elsewhere(kind.kind(), memory, (val, index, offset));
    }

    #[inline(never)]
    fn store_elsewhere(
        &mut self,
        kind: StoreKind,
        memory: Memory,
        (val, index, offset): (Val, Val, u64),
    ) {
        let place = self.place(memory, index, offset);
        if let (StoreKind::Full(ty), Some(value)) = (kind, short(val)) {
            self.faults();
            self.code.store_constant(ty == Ty::I64, value, place);
            return;
        }
        let from = self.in_register(val);
        self.faults();
        self.code.store_kind(kind, from, place);
    }

    /// Pushes an operand that was popped in the same operation.
    pub fn push_again(&mut self, val: Val) {
        self.push_as(val.ty, val);
    }

    /// The address of an element of a table, whose header's address is in the context. Pops the index.
    pub fn table_element(&mut self, table: TableLayout) {
        let index = self.pop();
        let index = self.in_register(index);
        let context = self.context();
        let header = self.allocate(false);
        self.code
            .load(Ty::I64, header, Mem::new(context, table.header));
        self.code
            .compare_memory(true, index, Mem::new(header, table.len));
        let trap = self.trap_label(TrapKind::TableOutOfBounds);
        self.code.jump_if(Condition::NOT_BELOW, trap);
        self.code
            .load(Ty::I64, header, Mem::new(header, table.elements));
        let element = Mem::scaled(header, index, 3, 0);
        self.code.address(true, header, element);
        self.push_register(Ty::I64, header);
    }

    /// Traps if the reference on top, which stays, is null.
    pub fn trap_if_null(&mut self, kind: TrapKind) {
        let val = self.pop();
        let reg = self.in_register(val);
        self.code.compare_constant(true, reg, 0);
        let trap = self.trap_label(kind);
        self.code.jump_if(Condition::EQUAL, trap);
        self.push_register(val.ty, reg);
    }

    /// Traps unless the 4 bytes `offset` behind the address on top, which stays, are those at `expected` in the context.
    pub fn trap_unless_same(&mut self, kind: TrapKind, offset: i32, expected: i32) {
        let val = self.pop();
        let reg = self.in_register(val);
        let context = self.context();
        self.code.load(Ty::I32, SCRATCH, Mem::new(reg, offset));
        self.code
            .compare_memory(false, SCRATCH, Mem::new(context, expected));
        let trap = self.trap_label(kind);
        self.code.jump_if(Condition::NOT_EQUAL, trap);
        self.push_register(val.ty, reg);
    }

    /// Traps if the word at `offset` behind what the context has at `pointer` is not 0.
    pub fn trap_if_set(&mut self, kind: TrapKind, pointer: i32, offset: i32) {
        let context = self.context();
        self.code.load(Ty::I64, SCRATCH, Mem::new(context, pointer));
        self.code
            .compare_memory_constant(true, Mem::new(SCRATCH, offset), 0);
        let trap = self.trap_label(kind);
        self.code.jump_if(Condition::NOT_EQUAL, trap);
    }

    /// Traps if the `i32` on top, which stays, is `value`.
    pub fn trap_if_equal(&mut self, kind: TrapKind, value: i32) {
        let val = self.pop();
        let reg = self.in_register(val);
        self.code.compare_constant(false, reg, value);
        let trap = self.trap_label(kind);
        self.code.jump_if(Condition::EQUAL, trap);
        self.push_register(val.ty, reg);
    }

    /// Traps if the `i32` on top is not 0.
    pub fn trap_if_failed(&mut self, kind: TrapKind) {
        let val = self.pop();
        let reg = self.in_register(val);
        self.code.compare_constant(false, reg, 0);
        let trap = self.trap_label(kind);
        self.code.jump_if(Condition::NOT_EQUAL, trap);
    }

    /// Traps.
    pub fn trap(&mut self, kind: TrapKind) {
        self.code.position(self.position);
        self.code.trap_site(kind);
        self.code.trap();
    }
}

/// Where a table is.
#[derive(Clone, Copy, Debug)]
pub struct TableLayout {
    /// Where the context has the address of its header.
    pub header: i32,
    /// Where the header has the number of elements.
    pub len: i32,
    /// Where the header has the address of the first element.
    pub elements: i32,
}

/// The code of a comparison among the conditions.
pub(crate) fn code(test: IntTest) -> u8 {
    match test {
        IntTest::Eq => codes::EQ,
        IntTest::Ne => codes::NE,
        IntTest::LtS => codes::LT_S,
        IntTest::LtU => codes::LT_U,
        IntTest::GtS => codes::GT_S,
        IntTest::GtU => codes::GT_U,
        IntTest::LeS => codes::LE_S,
        IntTest::LeU => codes::LE_U,
        IntTest::GeS => codes::GE_S,
        IntTest::GeU => codes::GE_U,
    }
}
