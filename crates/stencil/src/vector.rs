//! Operations on vectors that are encoded directly.

use crate::arch::x64::{Condition, Order, Reg, SCRATCH, VECTOR_SCRATCH, order};
use crate::assembler::{Assembler, Loc, Val};
use crate::lanes::{Lane, Shuffle, VectorOp, VectorOperation, VectorShift, VectorUnary};
use crate::operate::Memory;
use crate::value::{IntOp, LoadIndex, ShiftOp, StoreIndex, Ty};

/// The low lane of 64 bits twice.
const LOW_TWICE: u8 = 0x44;
/// The high lane of 64 bits twice.
const HIGH_TWICE: u8 = 0xee;
/// Each of the two lower lanes of 32 bits twice.
const EACH_LOW_TWICE: u8 = 0x50;
/// Each of the two upper ones.
const EACH_HIGH_TWICE: u8 = 0xfa;

impl Assembler {
    fn push_v128(&mut self, reg: Reg) {
        self.push_register(Ty::V128, reg);
    }

    fn new_vector(&mut self) -> Reg {
        self.allocate(true)
    }

    /// An operation on vectors: pops its operands and pushes its result.
    pub fn vector(&mut self, operation: VectorOperation) {
        match operation {
            VectorOperation::Binary(op) => self.vector_binary(op),
            VectorOperation::Inverted(op) => self.vector_binary_inverted(op),
            VectorOperation::Extreme(extreme, equal, inverted) => {
                self.vector_compare_extreme(extreme, equal, inverted);
            }
            VectorOperation::Unary(op) => self.vector_unary(op),
            VectorOperation::UnaryHigh(op) => self.vector_unary_high(op),
            VectorOperation::Negate(subtraction) => self.vector_negate(subtraction),
            VectorOperation::Not => self.vector_not(),
            VectorOperation::Bitselect => self.vector_bitselect(),
            VectorOperation::Sign(double, absolute) => self.vector_sign(double, absolute),
            VectorOperation::MultiplyHalf(even, upper) => self.vector_multiply_half(even, upper),
            VectorOperation::Shift(op) => self.vector_shift(op),
            VectorOperation::Splat(lane) => self.vector_splat(lane),
            VectorOperation::Bitmask(lane) => self.vector_bitmask(lane),
        }
    }

    /// `left op right` on vectors.
    fn vector_binary(&mut self, op: VectorOp) {
        let (right, left) = (self.pop(), self.pop());
        let to = self.combine(op, left, right);
        self.push_v128(to);
    }

    /// The register of `left op right`, both popped.
    fn combine(&mut self, op: VectorOp, mut left: Val, mut right: Val) -> Reg {
        let swap = match order(op) {
            Order::Kept => false,
            Order::Any => !self.is_owned(left) && self.is_owned(right),
            Order::Swapped => true,
        };
        if swap {
            std::mem::swap(&mut left, &mut right);
        }
        let from = self.in_register(right);
        let to = self.own(left);
        self.code.vector_op(op, to, from);
        to
    }

    /// The bits that `left op right` does not set.
    fn vector_binary_inverted(&mut self, op: VectorOp) {
        let (right, left) = (self.pop(), self.pop());
        let to = self.combine(op, left, right);
        self.invert(to);
        self.push_v128(to);
    }

    /// Compares lanes by whether the least or the greatest of two is the first one.
    fn vector_compare_extreme(&mut self, extreme: VectorOp, equal: VectorOp, inverted: bool) {
        let (right, left) = (self.pop(), self.pop());
        let left = self.in_register(left);
        let to = self.own(right);
        // The two may be one register. Then the result is that all lanes are equal, which is right.
        self.code.vector_op(extreme, to, left);
        self.code.vector_op(equal, to, left);
        if inverted {
            self.invert(to);
        }
        self.push_v128(to);
    }

    fn invert(&mut self, reg: Reg) {
        self.code.fill_vector(VECTOR_SCRATCH);
        self.code.vector_op(VectorOp::Xor, reg, VECTOR_SCRATCH);
    }

    /// All bits inverted.
    fn vector_not(&mut self) {
        let val = self.pop();
        let to = self.own(val);
        self.invert(to);
        self.push_v128(to);
    }

    /// The bits of the lower vector where those of the top one are set, else those of the one between them.
    fn vector_bitselect(&mut self) {
        let (mask, other, val) = (self.pop(), self.pop(), self.pop());
        let (mask, other) = (self.in_register(mask), self.in_register(other));
        let to = match self.own(val) {
            // The other two are read when this one was changed.
            to if to == other || to == mask => {
                let copy = self.new_vector();
                self.code.move_register(Ty::V128, copy, to);
                copy
            }
            to => to,
        };
        self.code.vector_op(VectorOp::Xor, to, other);
        self.code.vector_op(VectorOp::And, to, mask);
        self.code.vector_op(VectorOp::Xor, to, other);
        self.push_v128(to);
    }

    /// An operation of one vector.
    fn vector_unary(&mut self, op: VectorUnary) {
        let val = self.pop();
        let (to, from) = self.result_and_operand(val);
        self.code.vector_unary(op, to, from);
        self.push_v128(to);
    }

    /// The same on the upper half.
    fn vector_unary_high(&mut self, op: VectorUnary) {
        let val = self.pop();
        let (to, from) = self.result_and_operand(val);
        self.code.shuffle_words(to, from, HIGH_TWICE);
        self.code.vector_unary(op, to, to);
        self.push_v128(to);
    }

    /// Registers for the result, which is written at once, and the operand, just popped.
    fn result_and_operand(&mut self, val: Val) -> (Reg, Reg) {
        let from = self.in_register(val);
        match self.is_unshared(from) {
            true => (from, from),
            false => (self.new_vector(), from),
        }
    }

    /// 0 minus the operand, by the subtraction of its lanes.
    fn vector_negate(&mut self, subtraction: VectorOp) {
        let val = self.pop();
        let from = self.in_register(val);
        let to = self.new_vector();
        self.code.zero_vector(to);
        self.code.vector_op(subtraction, to, from);
        self.push_v128(to);
    }

    /// The floats' absolute values, or the floats with their signs inverted.
    fn vector_sign(&mut self, double: bool, absolute: bool) {
        let val = self.pop();
        let to = self.own(val);
        let (shift, distance) = match (absolute, double) {
            (true, false) => (VectorShift::I32x4ShrU, 1),
            (true, true) => (VectorShift::I64x2ShrU, 1),
            (false, false) => (VectorShift::I32x4Shl, 31),
            (false, true) => (VectorShift::I64x2Shl, 63),
        };
        let op = if absolute {
            VectorOp::And
        } else {
            VectorOp::Xor
        };
        self.code.fill_vector(VECTOR_SCRATCH);
        self.code
            .vector_shift_constant(shift, VECTOR_SCRATCH, distance);
        self.code.vector_op(op, to, VECTOR_SCRATCH);
        self.push_v128(to);
    }

    /// The products of the lower or upper halves' lanes of 32 bits, by the product of even lanes.
    fn vector_multiply_half(&mut self, even: VectorOp, upper: bool) {
        let (right, left) = (self.pop(), self.pop());
        let order = if upper {
            EACH_HIGH_TWICE
        } else {
            EACH_LOW_TWICE
        };
        let right = self.in_register(right);
        self.code.shuffle_words(VECTOR_SCRATCH, right, order);
        let (to, left) = self.result_and_operand(left);
        self.code.shuffle_words(to, left, order);
        self.code.vector_op(even, to, VECTOR_SCRATCH);
        self.push_v128(to);
    }

    /// Shifts all lanes by the amount on top, modulo their width.
    fn vector_shift(&mut self, op: VectorShift) {
        let (amount, val) = (self.pop(), self.pop());
        let mask = op.amount_mask();
        let to = self.own(val);
        if let Loc::Const(amount) = amount.loc() {
            self.code.vector_shift_constant(op, to, amount as u8 & mask);
        } else {
            self.load_into(SCRATCH, amount);
            self.code
                .int_op_constant(IntOp::And, false, SCRATCH, mask.into());
            self.code.move_to_vector(false, VECTOR_SCRATCH, SCRATCH);
            self.code.vector_shift(op, to, VECTOR_SCRATCH);
        }
        self.push_v128(to);
    }

    /// The bytes that a mask names of two vectors, if there are instructions for that. If not, nothing happens.
    #[must_use]
    pub fn vector_shuffle(&mut self, mask: &[u8; 16]) -> bool {
        let Some(shuffle) = Shuffle::of(mask) else {
            return false;
        };
        let (second, first) = (self.pop(), self.pop());
        let vectors = [first, second];
        let of = |vector: u8| vectors[usize::from(vector) % 2];
        let to = match shuffle {
            Shuffle::Same(vector) => {
                self.push_as(Ty::V128, of(vector));
                return true;
            }
            Shuffle::Interleave(op, vector) => self.combine(op, of(vector), of(vector ^ 1)),
            Shuffle::InterleaveSame(op, vector) => {
                let to = self.own(of(vector));
                self.code.vector_op(op, to, to);
                to
            }
            Shuffle::Words(vector, order) => {
                let (to, from) = self.result_and_operand(of(vector));
                self.code.shuffle_words(to, from, order);
                to
            }
            Shuffle::TwoAndTwo(vector, order) => {
                let from = self.in_register(of(vector ^ 1));
                let to = self.own(of(vector));
                self.code.shuffle_two_and_two(to, from, order);
                to
            }
            Shuffle::Concatenation(vector, start) => {
                let low = self.in_register(of(vector));
                let to = self.own(of(vector ^ 1));
                self.code.concatenation(to, low, start);
                to
            }
            Shuffle::Rotation(vector, start) => {
                let to = self.own(of(vector));
                self.code.concatenation(to, to, start);
                to
            }
            Shuffle::Bytes(vector) => {
                let order = mask.map(|byte| byte % 16);
                self.load_vector(VECTOR_SCRATCH, u128::from_le_bytes(order));
                let to = self.own(of(vector));
                self.code.shuffle_bytes(to, VECTOR_SCRATCH);
                to
            }
        };
        self.push_v128(to);
        true
    }

    /// Puts a constant into a vector register.
    fn load_vector(&mut self, to: Reg, value: u128) {
        let (low, high) = (value as u64, (value >> 64) as u64);
        if value == 0 {
            return self.code.zero_vector(to);
        }
        if value == u128::MAX {
            return self.code.fill_vector(to);
        }
        self.code.move_constant(SCRATCH, low);
        self.code.move_to_vector(true, to, SCRATCH);
        if low == high {
            self.code.vector_op(VectorOp::InterleaveLow64, to, to);
        } else if high != 0 {
            self.code.move_constant(SCRATCH, high);
            self.code.insert_lane(64, to, SCRATCH, 1);
        }
    }

    /// Pushes a vector constant.
    pub fn push_vector(&mut self, value: u128) {
        let to = self.new_vector();
        self.load_vector(to, value);
        self.push_v128(to);
    }

    /// A vector of which each lane is the value on top.
    fn vector_splat(&mut self, lane: Lane) {
        let val = self.pop();
        let to = match lane.is_float() {
            true => self.own(val),
            false => {
                let from = self.in_register(val);
                let to = self.new_vector();
                self.code.move_to_vector(lane == Lane::I64, to, from);
                to
            }
        };
        match lane {
            Lane::I8 => {
                self.code.zero_vector(VECTOR_SCRATCH);
                self.code.shuffle_bytes(to, VECTOR_SCRATCH);
            }
            Lane::I16 => {
                self.code.shuffle_low_half(to, to, 0);
                self.code.shuffle_words(to, to, 0);
            }
            Lane::I32 | Lane::F32 => self.code.shuffle_words(to, to, 0),
            Lane::I64 | Lane::F64 => self.code.shuffle_words(to, to, LOW_TWICE),
        }
        self.push_v128(to);
    }

    /// A lane of the vector on top; one of 8 or 16 bits is extended to 32, as `signed` says.
    pub fn vector_extract(&mut self, lane: Lane, index: u8, signed: bool) {
        let val = self.pop();
        let (ty, bits) = (lane.ty(), lane.bits());
        if lane.is_float() {
            if index == 0 {
                return self.push_as(ty, val);
            }
            let (to, from) = self.result_and_operand(val);
            let order = if bits == 32 { index } else { HIGH_TWICE };
            self.code.shuffle_words(to, from, order);
            return self.push_register(ty, to);
        }
        let from = self.in_register(val);
        let to = self.allocate(false);
        self.code.extract_lane(bits, to, from, index);
        if signed && bits < 32 {
            self.code.sign_extend(bits, false, to, to);
        }
        self.push_register(ty, to);
    }

    /// The vector below the value on top, with that as one of its lanes.
    pub fn vector_replace(&mut self, lane: Lane, index: u8) {
        let (value, vector) = (self.pop(), self.pop());
        self.replace(vector, value, lane, index);
    }

    fn replace(&mut self, vector: Val, value: Val, lane: Lane, index: u8) {
        let from = self.in_register(value);
        let to = self.own(vector);
        match (lane, index) {
            (Lane::F32, _) => self.code.insert_float(to, from, index),
            (Lane::F64, 0) => self.code.insert_low_half(to, from),
            (Lane::F64, _) => self.code.vector_op(VectorOp::InterleaveLow64, to, from),
            _ => self.code.insert_lane(lane.bits(), to, from, index),
        }
        self.push_v128(to);
    }

    /// Pops a vector and loads one of its lanes.
    pub fn vector_load_lane(
        &mut self,
        kind: LoadIndex,
        (lane, index): (Lane, u8),
        memory: Memory,
        offset: u64,
    ) {
        let vector = self.pop();
        self.load(kind, lane.ty(), memory, offset);
        let value = self.pop();
        self.replace(vector, value, lane, index);
    }

    /// Stores a lane of the vector on top.
    pub fn vector_store_lane(
        &mut self,
        kind: StoreIndex,
        (lane, index): (Lane, u8),
        memory: Memory,
        offset: u64,
    ) {
        self.vector_extract(lane, index, false);
        self.store(kind, memory, offset);
    }

    /// Whether any bit is set. With `flush`, the frame is made canonical before.
    pub fn vector_any_true(&mut self, flush: bool) -> Condition {
        let val = self.pop();
        if flush {
            self.flush();
        }
        let reg = self.in_register(val);
        self.code.test_vector(reg);
        Condition::NOT_EQUAL
    }

    /// Whether no lane is zero, by the comparison of lanes for equality. With `flush`, the frame is made canonical before.
    pub fn vector_all_true(&mut self, equal: VectorOp, flush: bool) -> Condition {
        let val = self.pop();
        if flush {
            self.flush();
        }
        let reg = self.in_register(val);
        self.code.zero_vector(VECTOR_SCRATCH);
        self.code.vector_op(equal, VECTOR_SCRATCH, reg);
        self.code.test_vector(VECTOR_SCRATCH);
        Condition::EQUAL
    }

    /// The lanes' highest bits.
    fn vector_bitmask(&mut self, lane: Lane) {
        let val = self.pop();
        let from = self.in_register(val);
        let to = self.allocate(false);
        match lane {
            Lane::I16 => {
                // Narrowed to 8 bits, signs stay signs.
                let narrow = VectorOp::I8x16NarrowI16x8S;
                self.code.zero_vector(VECTOR_SCRATCH);
                self.code.vector_op(narrow, VECTOR_SCRATCH, from);
                self.code.sign_bits(8, to, VECTOR_SCRATCH);
                self.code.shift_constant(ShiftOp::ShrU, false, to, 8);
            }
            Lane::I8 => self.code.sign_bits(8, to, from),
            Lane::I32 | Lane::F32 => self.code.sign_bits(32, to, from),
            Lane::I64 | Lane::F64 => self.code.sign_bits(64, to, from),
        }
        self.push_register(Ty::I32, to);
    }
}
