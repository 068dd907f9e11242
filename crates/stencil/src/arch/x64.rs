//! x86-64: registers, calling convention and instruction encodings.
//!
//! Only the forms that the assembler uses are here. Encodings follow the Intel manual's volume 2, sections 2.1 and 2.2:
//! legacy prefix, REX, opcode, ModRM, SIB, displacement, immediate.

mod vectors;

use crate::code::{Code, Label};
use crate::value::{FloatOp, IntOp, LoadIndex, LoadKind, ShiftOp, StoreIndex, StoreKind, Ty};
pub(crate) use vectors::{Order, order};

/// Whether code for this architecture runs here.
pub const IS_HOST: bool = cfg!(target_arch = "x86_64");

/// A register: 0 to 15 are the general ones, 16 to 31 the vector ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reg(pub u8);

/// Registers that there are.
pub const REGISTERS: usize = 32;

impl Reg {
    /// Whether it is a vector register.
    #[inline(always)]
    pub const fn is_vector(self) -> bool {
        self.0 >= 16
    }

    /// As one bit of a set.
    #[inline(always)]
    pub const fn bit(self) -> u32 {
        1 << self.0
    }

    /// The index as it is used in the tables of the assembler.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self.0 as usize % REGISTERS
    }

    #[inline(always)]
    const fn low(self) -> u8 {
        self.0 & 7
    }

    #[inline(always)]
    const fn high(self) -> u8 {
        (self.0 >> 3) & 1
    }
}

macro_rules! registers {
    ($($name:ident = $number:literal,)*) => {
        $(#[allow(missing_docs, reason = "the machine's own names")] pub const $name: Reg = Reg($number);)*
    };
}
registers! {
    RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7,
    R8 = 8, R9 = 9, R10 = 10, R11 = 11, R12 = 12, R13 = 13, R14 = 14, R15 = 15,
}

/// The vector register of that number.
pub const fn xmm(number: u8) -> Reg {
    Reg(16 + number)
}

/// General registers that hold values, the first choice first. The last three survive calls.
pub const GENERAL: [Reg; 11] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, RBX, R12, R13];
/// Vector registers that hold values.
pub const VECTOR: [Reg; 15] = {
    let mut all = [Reg(0); 15];
    let mut number = 0;
    while number < 15 {
        all[number] = xmm(number as u8);
        number += 1;
    }
    all
};
/// Never holds a value from one operation to the next.
pub const SCRATCH: Reg = R11;
/// The same among the vector registers.
pub const VECTOR_SCRATCH: Reg = xmm(15);
/// Holds the first argument, the context, for as long as the function runs.
pub const CONTEXT: Reg = R14;
/// Holds the base of memory 0 for as long as the function runs.
pub const MEMORY_BASE: Reg = R15;
/// The frame pointer.
pub const FRAME: Reg = RBP;
/// The stack pointer.
pub const STACK: Reg = RSP;

/// The registers that a callee must preserve, the frame pointer aside.
pub const CALLEE_SAVED: [Reg; 5] = [R14, R15, RBX, R12, R13];
/// All registers that a call may change.
pub const CLOBBERED_BY_CALLS: u32 =
    !(RBX.bit() | RSP.bit() | RBP.bit() | R12.bit() | R13.bit() | R14.bit() | R15.bit());

/// Integer arguments of Cranelift's `tail` convention and of System V alike.
pub const GENERAL_ARGUMENTS: [Reg; 6] = [RDI, RSI, RDX, RCX, R8, R9];
/// Integer results of the `tail` convention.
pub const GENERAL_RESULTS: [Reg; 8] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10];
/// Integer results of System V.
pub const SYSTEM_V_RESULTS: [Reg; 2] = [RAX, RDX];
/// Float and vector arguments and results of the `tail` convention.
pub const VECTOR_ARGUMENTS: [Reg; 8] = [
    xmm(0),
    xmm(1),
    xmm(2),
    xmm(3),
    xmm(4),
    xmm(5),
    xmm(6),
    xmm(7),
];

/// The bytes that a stencil's function starts with: `push rbp; mov rbp, rsp`.
pub const STENCIL_PROLOGUE: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];

/// How many levels of processors have stencils of their own: the psABI's second and third.
pub const LEVELS: usize = 2;

/// The best level that the processor has. What it asks for is what Cranelift's presets of these names turn on.
#[cfg(target_arch = "x86_64")]
pub fn level() -> Option<usize> {
    macro_rules! has {
        ($($feature:tt)*) => { $(std::arch::is_x86_feature_detected!($feature))&&* };
    }
    let second = has!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b");
    let third = has!("avx" "avx2" "bmi1" "bmi2" "fma" "lzcnt");
    match (second, third) {
        (true, true) => Some(1),
        (true, false) => Some(0),
        _ => None,
    }
}

/// The best level that the processor has: none of this architecture's.
#[cfg(not(target_arch = "x86_64"))]
pub fn level() -> Option<usize> {
    None
}

/// A condition on the flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// One of the sixteen that an instruction can test.
    Code(u8),
    /// Two floats were equal: neither is a NaN.
    FloatEqual,
    /// Two floats differed, or one of them is a NaN.
    FloatNotEqual,
}

impl Condition {
    pub(crate) const BELOW: Condition = Condition::Code(0x2);
    pub(crate) const NOT_BELOW: Condition = Condition::Code(0x3);
    pub(crate) const EQUAL: Condition = Condition::Code(0x4);
    pub(crate) const NOT_EQUAL: Condition = Condition::Code(0x5);
    pub(crate) const ABOVE: Condition = Condition::Code(0x7);
    pub(crate) const SIGN: Condition = Condition::Code(0x8);

    /// The opposite.
    pub fn inverted(self) -> Condition {
        match self {
            Condition::Code(code) => Condition::Code(code ^ 1),
            Condition::FloatEqual => Condition::FloatNotEqual,
            Condition::FloatNotEqual => Condition::FloatEqual,
        }
    }
}

/// A place in memory: `base + index * scale + displacement`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mem {
    /// The base.
    pub base: Reg,
    /// The index; the stack pointer, which cannot be one, stands for none.
    pub index: Reg,
    /// The binary logarithm of the index's scale.
    pub scale: u8,
    /// The displacement.
    pub displacement: i32,
}

impl Mem {
    /// `base + displacement`.
    #[inline]
    pub const fn new(base: Reg, displacement: i32) -> Mem {
        Mem::scaled(base, RSP, 0, displacement)
    }

    /// `base + index + displacement`.
    #[inline]
    pub const fn indexed(base: Reg, index: Reg, displacement: i32) -> Mem {
        Mem::scaled(base, index, 0, displacement)
    }

    /// `base + (index << scale) + displacement`.
    #[inline]
    pub const fn scaled(base: Reg, index: Reg, scale: u8, displacement: i32) -> Mem {
        Mem {
            base,
            index,
            scale,
            displacement,
        }
    }
}

/// What an instruction's ModRM byte names beside the register.
#[derive(Clone, Copy)]
enum Rm {
    Reg(Reg),
    Mem(Mem),
    /// `[rip + displacement]`, to be relocated.
    Rip,
}

/// An opcode: mandatory prefix or 0, and its bytes, the first one lowest.
#[derive(Clone, Copy)]
struct Op {
    prefix: u8,
    len: u8,
    bytes: u32,
}

/// An opcode of one byte.
const fn one(byte: u8) -> Op {
    Op {
        prefix: 0,
        len: 1,
        bytes: byte as u32,
    }
}

/// An opcode behind the escape byte `0f`.
const fn two(prefix: u8, byte: u8) -> Op {
    Op {
        prefix,
        len: 2,
        bytes: 0x0f | ((byte as u32) << 8),
    }
}

/// What follows the operands of an instruction: the low bytes of a number.
#[derive(Clone, Copy)]
struct Imm {
    value: i32,
    bytes: usize,
}

const NO_IMM: Imm = Imm { value: 0, bytes: 0 };

/// An immediate of one byte.
const fn imm1(value: u8) -> Imm {
    Imm {
        value: value as i32,
        bytes: 1,
    }
}

/// An immediate of four bytes.
const fn imm4(value: i32) -> Imm {
    Imm { value, bytes: 4 }
}

/// ModRM, SIB and displacement.
#[derive(Clone, Copy)]
struct Operands {
    /// ModRM, and SIB if it counts.
    modrm_sib: [u8; 2],
    has_sib: bool,
    displacement: i32,
    displacement_bytes: usize,
    /// What they add to the REX prefix.
    rex: u8,
}

/// The bytes of a window for the longest instruction, with room to spare.
const INSTRUCTION_BYTES: usize = 24;

impl Code {
    /// One instruction. `reg` is a register's number or an extension of the opcode; `byte` says that a register operand
    /// is one byte wide, which needs a prefix to mean `sil` and the like.
    ///
    /// Every part is written, and those that the instruction does not have are written over by the next: which parts it
    /// has is not branched on where it depends on the operands, because the next instruction is another one, and a wrong
    /// guess costs more than all of this.
    #[inline(always)]
    fn instruction(&mut self, op: Op, wide: bool, reg: u8, rm: Rm, byte: bool, imm: Imm) {
        let operands = operands((reg & 7) << 3, rm);
        let rex = (u8::from(wide) << 3) | ((reg >> 1) & 4) | operands.rex;
        let window: &mut [u8; INSTRUCTION_BYTES] = self.bytes.window();
        window[0] = op.prefix;
        let mut at = usize::from(op.prefix != 0);
        window[at] = 0x40 | rex;
        at += usize::from(rex != 0 || byte);
        window[at..at + 4].copy_from_slice(&op.bytes.to_le_bytes());
        at += usize::from(op.len & 3);
        window[at..at + 2].copy_from_slice(&operands.modrm_sib);
        at += 1 + usize::from(operands.has_sib);
        if !matches!(rm, Rm::Reg(_)) {
            window[at..at + 4].copy_from_slice(&operands.displacement.to_le_bytes());
            at += operands.displacement_bytes & 7;
        }
        if imm.bytes != 0 {
            window[at..at + 4].copy_from_slice(&imm.value.to_le_bytes());
        }
        self.bytes.advance(at + imm.bytes);
    }

    #[inline(always)]
    fn rr(&mut self, op: Op, wide: bool, reg: Reg, rm: Reg) {
        self.instruction(op, wide, reg.0 & 15, Rm::Reg(rm), false, NO_IMM);
    }

    #[inline(always)]
    fn rm(&mut self, op: Op, wide: bool, reg: Reg, mem: Mem) {
        self.instruction(op, wide, reg.0 & 15, Rm::Mem(mem), false, NO_IMM);
    }

    /// Copies a register to another of the same kind. A narrow copy clears the upper half of a general register.
    #[inline]
    pub fn move_register(&mut self, ty: Ty, to: Reg, from: Reg) {
        if to.is_vector() {
            self.rr(two(0, 0x28), false, to, from);
        } else {
            self.rr(one(0x8b), ty != Ty::I32, to, from);
        }
    }

    /// Clears the upper half of a general register.
    pub fn clear_upper_half(&mut self, reg: Reg) {
        self.rr(one(0x8b), false, reg, reg);
    }

    /// Puts a constant into a general register. Leaves the flags alone.
    #[inline]
    pub fn move_constant(&mut self, to: Reg, value: u64) {
        if let Ok(value) = u32::try_from(value) {
            if to.high() != 0 {
                self.bytes.push([0x41]);
            }
            self.bytes.push([0xb8 | to.low()]);
            self.bytes.push(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value.cast_signed()) {
            self.instruction(one(0xc7), true, 0, Rm::Reg(to), false, imm4(value));
        } else {
            self.bytes.push([0x48 | to.high(), 0xb8 | to.low()]);
            self.bytes.push(value.to_le_bytes());
        }
    }

    /// Sets all bits of a vector register to 0. Leaves the flags alone.
    pub fn zero_vector(&mut self, to: Reg) {
        self.rr(two(0, 0x57), false, to, to);
    }

    /// Copies the bits of a general register into a vector register.
    pub fn move_to_vector(&mut self, wide: bool, to: Reg, from: Reg) {
        self.rr(two(0x66, 0x6e), wide, to, from);
    }

    /// Copies the low bits of a vector register into a general register.
    pub fn move_from_vector(&mut self, wide: bool, to: Reg, from: Reg) {
        self.rr(two(0x66, 0x7e), wide, from, to);
    }

    /// Loads a value of its full width.
    pub fn load(&mut self, ty: Ty, to: Reg, mem: Mem) {
        let (op, wide) = full(ty, 0);
        self.rm(op, wide, to, mem);
    }

    /// Stores a value of its full width.
    pub fn store(&mut self, ty: Ty, from: Reg, mem: Mem) {
        let (op, wide) = full(ty, 1);
        self.rm(op, wide, from, mem);
    }

    /// Loads a value from a distance from the frame pointer: [`Code::load`] of what is loaded most often.
    pub fn load_home(&mut self, ty: Ty, to: Reg, home: i32) {
        self.move_home(ty, 0, to, home);
    }

    /// Stores a value at a distance from the frame pointer: [`Code::store`] of what is stored most often.
    pub fn store_home(&mut self, ty: Ty, from: Reg, home: i32) {
        self.move_home(ty, 1, from, home);
    }

    #[inline(always)]
    fn move_home(&mut self, ty: Ty, store: usize, reg: Reg, home: i32) {
        let far = home != i32::from(home as i8);
        let head = HOME_MOVES[usize::from(far)][ty as usize][store][usize::from(reg.0 & 15)];
        let len = usize::from(head[LEN] & 7);
        let window: &mut [u8; INSTRUCTION_BYTES] = self.bytes.window();
        window[..8].copy_from_slice(&head);
        window[len..len + 4].copy_from_slice(&home.to_le_bytes());
        self.bytes.advance(len + 1 + 3 * usize::from(far));
    }

    /// Stores a constant of 4 bytes, or of 8 bytes that are the sign extension of 4.
    pub fn store_constant(&mut self, wide: bool, value: i32, mem: Mem) {
        self.instruction(one(0xc7), wide, 0, Rm::Mem(mem), false, imm4(value));
    }

    /// A load that extends.
    pub fn load_kind(&mut self, kind: LoadKind, to: Reg, mem: Mem) {
        let (op, wide) = load_op(kind);
        self.rm(op, wide, to, mem);
    }

    /// A store of all or the low bytes.
    pub fn store_kind(&mut self, kind: StoreKind, from: Reg, mem: Mem) {
        let (op, wide, byte) = store_op(kind);
        self.instruction(op, wide, from.0 & 15, Rm::Mem(mem), byte, NO_IMM);
    }

    /// A load from `index` and a displacement behind the base of memory 0.
    #[inline(always)]
    pub fn load_first(&mut self, kind: LoadIndex, to: Reg, index: Reg, displacement: i32) {
        self.access_first(&LOADS[usize::from(kind.0)], to, index, displacement);
    }

    /// A store there.
    #[inline(always)]
    pub fn store_first(&mut self, kind: StoreIndex, from: Reg, index: Reg, displacement: i32) {
        self.access_first(&STORES[usize::from(kind.0)], from, index, displacement);
    }

    /// The base is a register that takes a REX prefix, and there is an index, so that most of the instruction is known.
    #[inline(always)]
    fn access_first(&mut self, head: &Head, reg: Reg, index: Reg, displacement: i32) {
        let len = usize::from(head[LEN] & 7);
        let window: &mut [u8; INSTRUCTION_BYTES] = self.bytes.window();
        window[..8].copy_from_slice(head);
        // The prefix before REX, if there is one, is among those that are 0x66 or above.
        let rex = usize::from(head[0] >= 0x66);
        window[rex] |= ((reg.0 >> 1) & 4) | ((index.0 >> 2) & 2);
        let some = displacement != 0;
        let far = displacement != i32::from(displacement as i8);
        window[len] = ((u8::from(some) + u8::from(far)) << 6) | ((reg.0 & 7) << 3) | RSP.0;
        window[len + 1] = (index.low() << 3) | MEMORY_BASE.low();
        window[len + 2..len + 6].copy_from_slice(&displacement.to_le_bytes());
        self.bytes
            .advance(len + 2 + usize::from(some) + 3 * usize::from(far));
    }

    /// A load from a displacement behind the context.
    pub fn load_context(&mut self, kind: LoadKind, to: Reg, displacement: i32) {
        // The two registers are alike to the REX prefix, and neither takes a SIB byte or a displacement that is zero.
        const { assert!(CONTEXT.high() == MEMORY_BASE.high() && CONTEXT.low() > RBP.low()) };
        let head = &LOADS[kind.index()];
        let len = usize::from(head[LEN] & 7);
        let window: &mut [u8; INSTRUCTION_BYTES] = self.bytes.window();
        window[..8].copy_from_slice(head);
        let rex = usize::from(head[0] >= 0x66);
        window[rex] |= (to.0 >> 1) & 4;
        let some = displacement != 0;
        let far = displacement != i32::from(displacement as i8);
        let mode = (u8::from(some) + u8::from(far)) << 6;
        window[len] = mode | ((to.0 & 7) << 3) | CONTEXT.low();
        window[len + 1..len + 5].copy_from_slice(&displacement.to_le_bytes());
        self.bytes
            .advance(len + 1 + usize::from(some) + 3 * usize::from(far));
    }

    /// `to = to op from`.
    #[inline]
    pub fn int_op(&mut self, op: IntOp, wide: bool, to: Reg, from: Reg) {
        match op {
            IntOp::Mul => self.rr(two(0, 0xaf), wide, to, from),
            _ => self.rr(one(arithmetic(op) << 3 | 0x03), wide, to, from),
        }
    }

    /// `to = from * value` for a multiplication, else `to = to op value`, where `from` is `to`.
    #[inline]
    pub fn int_op_constant(&mut self, op: IntOp, wide: bool, to: Reg, value: i32) {
        let short = i8::try_from(value);
        if op == IntOp::Mul {
            match short {
                Ok(value) => {
                    self.instruction(
                        one(0x6b),
                        wide,
                        to.0,
                        Rm::Reg(to),
                        false,
                        imm1(value.cast_unsigned()),
                    );
                }
                Err(_) => {
                    self.instruction(one(0x69), wide, to.0, Rm::Reg(to), false, imm4(value));
                }
            }
            return;
        }
        self.arithmetic_constant(arithmetic(op), wide, Rm::Reg(to), value);
    }

    #[inline]
    fn arithmetic_constant(&mut self, extension: u8, wide: bool, rm: Rm, value: i32) {
        match i8::try_from(value) {
            Ok(value) => {
                self.instruction(
                    one(0x83),
                    wide,
                    extension,
                    rm,
                    false,
                    imm1(value.cast_unsigned()),
                );
            }
            Err(_) => {
                self.instruction(one(0x81), wide, extension, rm, false, imm4(value));
            }
        }
    }

    /// `to = left + right`.
    pub fn add_three(&mut self, wide: bool, to: Reg, left: Reg, right: Reg) {
        self.rm(one(0x8d), wide, to, Mem::indexed(left, right, 0));
    }

    /// The address of `mem`, or its low half.
    pub fn address(&mut self, wide: bool, to: Reg, mem: Mem) {
        self.rm(one(0x8d), wide, to, mem);
    }

    /// Shifts or rotates by the low bits of `rcx`.
    pub fn shift(&mut self, op: ShiftOp, wide: bool, reg: Reg) {
        self.instruction(one(0xd3), wide, shift(op), Rm::Reg(reg), false, NO_IMM);
    }

    /// Shifts or rotates by a constant below the width.
    pub fn shift_constant(&mut self, op: ShiftOp, wide: bool, reg: Reg, amount: u8) {
        self.instruction(
            one(0xc1),
            wide,
            shift(op),
            Rm::Reg(reg),
            false,
            imm1(amount),
        );
    }

    /// Compares two registers.
    #[inline]
    pub fn compare(&mut self, wide: bool, left: Reg, right: Reg) {
        self.rr(one(0x3b), wide, left, right);
    }

    /// Compares a register with a constant.
    #[inline]
    pub fn compare_constant(&mut self, wide: bool, left: Reg, right: i32) {
        if right == 0 {
            self.rr(one(0x85), wide, left, left);
        } else {
            self.arithmetic_constant(7, wide, Rm::Reg(left), right);
        }
    }

    /// Compares a register with memory.
    pub fn compare_memory(&mut self, wide: bool, left: Reg, right: Mem) {
        self.rm(one(0x3b), wide, left, right);
    }

    /// Compares memory with a constant.
    pub fn compare_memory_constant(&mut self, wide: bool, left: Mem, right: i32) {
        self.arithmetic_constant(7, wide, Rm::Mem(left), right);
    }

    /// Compares two floats: the flags are as for unsigned integers, all of them set if one is a NaN.
    pub fn compare_floats(&mut self, double: bool, left: Reg, right: Reg) {
        let prefix = if double { 0x66 } else { 0 };
        self.rr(two(prefix, 0x2e), false, left, right);
    }

    /// `to = to op from` on floats.
    pub fn float_op(&mut self, op: FloatOp, double: bool, to: Reg, from: Reg) {
        let byte = match op {
            FloatOp::Add => 0x58,
            FloatOp::Mul => 0x59,
            FloatOp::Sub => 0x5c,
            FloatOp::Div => 0x5e,
            FloatOp::Sqrt => 0x51,
        };
        let prefix = if double { 0xf2 } else { 0xf3 };
        self.rr(two(prefix, byte), false, to, from);
    }

    /// The low 8, 16 or 32 bits of `from`, sign-extended.
    pub fn sign_extend(&mut self, bits: u8, wide: bool, to: Reg, from: Reg) {
        match bits {
            8 => self.instruction(two(0, 0xbe), wide, to.0, Rm::Reg(from), true, NO_IMM),
            16 => self.rr(two(0, 0xbf), wide, to, from),
            _ => self.rr(one(0x63), true, to, from),
        }
    }

    /// The low 8 or 16 bits of `from`, zero-extended.
    pub fn zero_extend(&mut self, bits: u8, to: Reg, from: Reg) {
        let op = two(0, if bits == 8 { 0xb6 } else { 0xb7 });
        self.instruction(op, false, to.0, Rm::Reg(from), bits == 8, NO_IMM);
    }

    /// Makes `to` 1 if the condition holds, else 0. For [`Condition::FloatEqual`] and its opposite, uses the scratch.
    pub fn set_if(&mut self, condition: Condition, to: Reg) {
        let set = |code: &mut Code, cc: u8, to: Reg| {
            code.instruction(two(0, 0x90 | cc), false, 0, Rm::Reg(to), true, NO_IMM);
        };
        match condition {
            Condition::Code(cc) => set(self, cc, to),
            Condition::FloatEqual => {
                set(self, 0xb, SCRATCH);
                set(self, 0x4, to);
                self.rr(one(0x23), false, to, SCRATCH);
            }
            Condition::FloatNotEqual => {
                set(self, 0xa, SCRATCH);
                set(self, 0x5, to);
                self.rr(one(0x0b), false, to, SCRATCH);
            }
        }
        self.instruction(two(0, 0xb6), false, to.0, Rm::Reg(to), true, NO_IMM);
    }

    /// Copies `from` to `to` if the condition with code `cc` holds.
    pub fn move_if(&mut self, cc: u8, wide: bool, to: Reg, from: Reg) {
        self.rr(two(0, 0x40 | cc), wide, to, from);
    }

    /// Jumps to `label`.
    pub fn jump(&mut self, label: Label) {
        self.bytes.push([0xe9, 0, 0, 0, 0]);
        self.displacement_before(label);
    }

    /// Jumps to `label` if the condition holds.
    pub fn jump_if(&mut self, condition: Condition, label: Label) {
        match condition {
            Condition::Code(cc) => self.jump_code(cc, label),
            Condition::FloatEqual => {
                // Over the second jump, which takes six bytes, if a NaN is there.
                self.bytes.push([0x7a, 6]);
                self.jump_code(0x4, label);
            }
            Condition::FloatNotEqual => {
                self.jump_code(0xa, label);
                self.jump_code(0x5, label);
            }
        }
    }

    #[inline]
    fn jump_code(&mut self, cc: u8, label: Label) {
        self.bytes.push([0x0f, 0x80 | cc, 0, 0, 0, 0]);
        self.displacement_before(label);
    }

    /// Jumps if the condition, which is not one of floats, holds. Returns where its displacement of 4 bytes is.
    pub fn jump_if_elsewhere(&mut self, condition: Condition) -> u32 {
        if let Condition::Code(cc) = condition {
            self.bytes.push([0x0f, 0x80 | cc, 0, 0, 0, 0]);
        }
        self.offset() - 4
    }

    /// Puts the address of `label` into `to`.
    pub fn address_of(&mut self, to: Reg, label: Label) {
        self.address_relative(to);
        self.displacement_before(label);
    }

    /// `to = sign-extended 4 bytes at mem`.
    pub fn load_signed32(&mut self, to: Reg, mem: Mem) {
        self.rm(one(0x63), true, to, mem);
    }

    /// Jumps to the address in a register.
    pub fn jump_register(&mut self, to: Reg) {
        self.instruction(one(0xff), false, 4, Rm::Reg(to), false, NO_IMM);
    }

    /// Calls the address in memory.
    pub fn call_memory(&mut self, mem: Mem) {
        self.instruction(one(0xff), false, 2, Rm::Mem(mem), false, NO_IMM);
    }

    /// Calls the address in a register.
    pub fn call_register(&mut self, to: Reg) {
        self.instruction(one(0xff), false, 2, Rm::Reg(to), false, NO_IMM);
    }

    /// Jumps to the address in memory.
    pub fn jump_memory(&mut self, mem: Mem) {
        self.instruction(one(0xff), false, 4, Rm::Mem(mem), false, NO_IMM);
    }

    /// Calls the address in a cell whose displacement, the last 4 bytes, is to be relocated.
    pub fn call_cell(&mut self) {
        self.instruction(one(0xff), false, 2, Rm::Rip, false, NO_IMM);
    }

    /// Jumps to the address in such a cell.
    pub fn jump_cell(&mut self) {
        self.instruction(one(0xff), false, 4, Rm::Rip, false, NO_IMM);
    }

    /// Decrements 4 bytes whose displacement, the last 4 bytes, is to be relocated.
    pub fn decrement_relative(&mut self) {
        self.instruction(one(0xff), false, 1, Rm::Rip, false, NO_IMM);
    }

    /// Loads 8 bytes whose displacement, the last 4 bytes, is to be relocated.
    pub fn load_relative(&mut self, to: Reg) {
        self.instruction(one(0x8b), true, to.0, Rm::Rip, false, NO_IMM);
    }

    /// Increments 4 bytes.
    pub fn increment_memory(&mut self, mem: Mem) {
        self.instruction(one(0xff), false, 0, Rm::Mem(mem), false, NO_IMM);
    }

    /// Puts an address into `to` whose displacement, the last 4 bytes, is to be relocated.
    pub fn address_relative(&mut self, to: Reg) {
        self.instruction(one(0x8d), true, to.0, Rm::Rip, false, NO_IMM);
    }

    /// Adds to the stack pointer.
    pub fn adjust_stack(&mut self, by: i32) {
        self.arithmetic_constant(0, true, Rm::Reg(RSP), by);
    }

    /// The undefined instruction.
    pub fn trap(&mut self) {
        self.bytes.push([0x0f, 0x0b]);
    }

    /// Everything that comes before it in memory is done before anything that comes after it.
    pub fn fence(&mut self) {
        self.bytes.push([0x0f, 0xae, 0xf0]);
    }

    /// `push rbp; mov rbp, rsp`.
    pub fn enter_frame(&mut self) {
        self.bytes.push(STENCIL_PROLOGUE);
    }

    /// `mov rsp, rbp; pop rbp`.
    pub fn leave_frame(&mut self) {
        self.bytes.push([0xc9]);
    }

    /// `ret`, popping `bytes` of arguments.
    pub fn ret(&mut self, bytes: u16) {
        if bytes == 0 {
            self.bytes.push([0xc3]);
        } else {
            self.bytes.push([0xc2]);
            self.bytes.push(bytes.to_le_bytes());
        }
    }

    /// Instructions that do nothing, `bytes` of them.
    pub fn pad(&mut self, bytes: usize) {
        for _ in 0..bytes {
            self.bytes.push([0x90]);
        }
    }
}

/// `reg` is the register's part of ModRM.
#[inline(always)]
const fn operands(reg: u8, rm: Rm) -> Operands {
    let mem = match rm {
        Rm::Reg(r) => {
            return Operands {
                modrm_sib: [0xc0 | reg | r.low(), 0],
                has_sib: false,
                displacement: 0,
                displacement_bytes: 0,
                rex: r.high(),
            };
        }
        Rm::Rip => {
            return Operands {
                modrm_sib: [reg | 5, 0],
                has_sib: false,
                displacement: 0,
                displacement_bytes: 4,
                rex: 0,
            };
        }
        Rm::Mem(mem) => mem,
    };
    let displacement = mem.displacement;
    // Without a displacement, `rbp` and `r13` would mean something else.
    let some = displacement != 0 || mem.base.low() == 5;
    let far = displacement != displacement as i8 as i32;
    let mode = (some as u8 + far as u8) << 6;
    // The number that stands for none as an index stands for an index as a base.
    let has_sib = mem.index.0 != RSP.0 || mem.base.low() == RSP.0;
    let modrm = mode | reg | if has_sib { RSP.0 } else { mem.base.low() };
    let sib = (mem.scale << 6) | (mem.index.low() << 3) | mem.base.low();
    Operands {
        modrm_sib: [modrm, sib],
        has_sib,
        displacement,
        displacement_bytes: some as usize + 3 * far as usize,
        rex: mem.base.high() | (mem.index.high() << 1),
    }
}

/// The beginning of an instruction, and in the last byte how long it is.
type Head = [u8; 8];
/// Where its length is.
const LEN: usize = 7;

/// Moves between a register and a home, up to the displacement: by whether that takes four bytes, the type, 0 for the load or 1
/// for the store, and the register.
static HOME_MOVES: [[[[Head; 16]; 2]; 5]; 2] = {
    let mut all = [[[[[0; 8]; 16]; 2]; 5]; 2];
    let mut index = 0;
    while index < 2 * 5 * 2 * 16 {
        let (far, ty) = (index / 160, index / 32 % 5);
        let (store, reg) = (index / 16 % 2, index % 16);
        let place = Mem::new(FRAME, if far == 0 { 1 } else { 1 << 8 });
        let operands = operands((reg as u8 & 7) << 3, Rm::Mem(place));
        let (op, wide) = full(TYPES[ty], store as u8);
        let rex = ((wide as u8) << 3) | (reg as u8 >> 1 & 4) | operands.rex;
        let mut head = head(op, rex, rex != 0);
        let len = head[LEN] as usize;
        head[len] = operands.modrm_sib[0];
        head[LEN] += 1;
        all[far][ty][store][reg] = head;
        index += 1;
    }
    all
};

const TYPES: [Ty; 5] = [Ty::I32, Ty::I64, Ty::F32, Ty::F64, Ty::V128];

/// Prefixes and opcode.
const fn head(op: Op, rex: u8, has_rex: bool) -> Head {
    let (mut head, mut len) = ([0; 8], 0);
    if op.prefix != 0 {
        head[len] = op.prefix;
        len += 1;
    }
    if has_rex {
        head[len] = 0x40 | rex;
        len += 1;
    }
    head[len] = op.bytes as u8;
    head[len + 1] = (op.bytes >> 8) as u8;
    head[LEN] = (len + op.len as usize) as u8;
    head
}

/// The load, or 1 for the store, of a value of its full width.
#[inline(always)]
const fn full(ty: Ty, store: u8) -> (Op, bool) {
    // The store of general registers is the lower one.
    let general = 0x8b - 2 * store;
    match ty {
        Ty::I32 => (one(general), false),
        Ty::I64 => (one(general), true),
        Ty::F32 => (two(0xf3, 0x10 | store), false),
        Ty::F64 => (two(0xf2, 0x10 | store), false),
        Ty::V128 => (two(0, 0x10 | store), false),
    }
}

const fn load_op(kind: LoadKind) -> (Op, bool) {
    match kind {
        LoadKind::Full(ty) => full(ty, 0),
        LoadKind::Unsigned8 => (two(0, 0xb6), false),
        LoadKind::Unsigned16 => (two(0, 0xb7), false),
        LoadKind::Unsigned32 => (one(0x8b), false),
        LoadKind::Signed8 { wide } => (two(0, 0xbe), wide),
        LoadKind::Signed16 { wide } => (two(0, 0xbf), wide),
        LoadKind::Signed32 => (one(0x63), true),
    }
}

/// And whether it is of one byte.
const fn store_op(kind: StoreKind) -> (Op, bool, bool) {
    let low16 = Op {
        prefix: 0x66,
        ..one(0x89)
    };
    match kind {
        StoreKind::Full(ty) => {
            let (op, wide) = full(ty, 1);
            (op, wide, false)
        }
        StoreKind::Low8 => (one(0x88), false, true),
        StoreKind::Low16 => (low16, false, false),
        StoreKind::Low32 => (one(0x89), false, false),
    }
}

/// Loads from memory 0 with an index, by [`LoadKind::index`].
static LOADS: [Head; LoadKind::ALL.len()] = {
    let mut all = [[0; 8]; LoadKind::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        let (op, wide) = load_op(LoadKind::ALL[index]);
        all[index] = head(op, ((wide as u8) << 3) | MEMORY_BASE.high(), true);
        index += 1;
    }
    all
};

/// Stores to memory 0 with an index, by [`StoreKind::index`].
static STORES: [Head; StoreKind::ALL.len()] = {
    let mut all = [[0; 8]; StoreKind::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        let (op, wide, _) = store_op(StoreKind::ALL[index]);
        all[index] = head(op, ((wide as u8) << 3) | MEMORY_BASE.high(), true);
        index += 1;
    }
    all
};

/// The number of an operation among those that share one encoding.
fn arithmetic(op: IntOp) -> u8 {
    match op {
        IntOp::Add | IntOp::Mul => 0,
        IntOp::Or => 1,
        IntOp::And => 4,
        IntOp::Sub => 5,
        IntOp::Xor => 6,
    }
}

fn shift(op: ShiftOp) -> u8 {
    match op {
        ShiftOp::Rotl => 0,
        ShiftOp::Rotr => 1,
        ShiftOp::Shl => 4,
        ShiftOp::ShrU => 5,
        ShiftOp::ShrS => 7,
    }
}

/// The condition codes of integer comparisons.
pub(crate) mod codes {
    pub(crate) const EQ: u8 = 0x4;
    pub(crate) const NE: u8 = 0x5;
    pub(crate) const LT_S: u8 = 0xc;
    pub(crate) const GE_S: u8 = 0xd;
    pub(crate) const LE_S: u8 = 0xe;
    pub(crate) const GT_S: u8 = 0xf;
    pub(crate) const LT_U: u8 = 0x2;
    pub(crate) const GE_U: u8 = 0x3;
    pub(crate) const LE_U: u8 = 0x6;
    pub(crate) const GT_U: u8 = 0x7;
}
