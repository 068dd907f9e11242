//! The state of a CLIF function that is being compiled: from values to the assembler's operands and back.

use super::values::{Local, Place, Values};
use crate::arch::x64::{FRAME, Mem, Reg};
use crate::assembler::{Assembler, Val};
use crate::code::Label;
use crate::value::Ty;
use cranelift_codegen::ir::{
    Block, Endianness, Function, Inst, MemFlags, StackSlot, TrapCode, Type, Value, types,
};
use upshift_base::TrapKind;
use upshift_codegen::CompileError;

/// A function that is being compiled.
pub(super) struct Driver<'f> {
    pub(super) body: &'f Function,
    pub(super) asm: Box<Assembler>,
    pub(super) values: Values,
    /// Whether operations that produce a NaN must produce the canonical one.
    pub(super) canonical_nans: bool,
    /// The blocks in the order in which they are made.
    pub(super) order: Vec<Block>,
    /// The place in the order of the block that is being made.
    pub(super) at: u32,
    /// Of each block.
    pub(super) blocks: Vec<BlockState>,
    /// What registers hold where blocks begin.
    pub(super) held: Vec<Held>,
    /// The distance of each stack slot from the frame pointer.
    pub(super) slots: Vec<i32>,
    /// Whether the results are left as operands at the function's end.
    pub(super) falls_out: bool,
}

/// What is known of a block.
#[derive(Clone, Debug)]
pub(super) struct BlockState {
    /// Where it is in the order.
    pub(super) position: u32,
    pub(super) label: Label,
    /// Whether an edge has decided what registers hold.
    pub(super) is_seen: bool,
    /// Whether it has begun; what leads to it from now on jumps back.
    pub(super) has_begun: bool,
    /// What registers hold: a part of the function's list.
    pub(super) held: (usize, usize),
}

impl BlockState {
    pub(super) fn new(position: u32, label: Label) -> BlockState {
        BlockState {
            position,
            label,
            is_seen: false,
            has_begun: false,
            held: (0, 0),
        }
    }
}

/// What a register holds: a local, and the type that it has there, for the local may be another value's by now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) reg: Reg,
    pub(super) local: u32,
    pub(super) ty: Ty,
}

/// A function that this compiler leaves to others.
pub(super) fn bailout(reason: impl Into<String>) -> CompileError {
    CompileError::Bailout(reason.into())
}

/// How values of a type are kept.
///
/// # Errors
/// If they are not.
pub(super) fn kept_as(ty: Type) -> Result<Ty, CompileError> {
    match ty {
        types::I8 | types::I16 | types::I32 => Ok(Ty::I32),
        types::I64 => Ok(Ty::I64),
        types::F32 => Ok(Ty::F32),
        types::F64 => Ok(Ty::F64),
        _ if ty.is_vector() && ty.bits() == 128 => Ok(Ty::V128),
        _ => Err(bailout(format!("values of type {ty}"))),
    }
}

/// Checks that bytes are in the machine's order.
pub(super) fn check_order(d: &Driver<'_>, flags: MemFlags) -> Result<(), CompileError> {
    match d.body.dfg.mem_flags[flags].endianness(Endianness::Little) {
        Endianness::Little => Ok(()),
        Endianness::Big => Err(bailout("an access in big-endian order")),
    }
}

/// What a fault of an access means; `None` if it cannot fault.
pub(super) fn fault(d: &Driver<'_>, flags: MemFlags) -> Result<Option<TrapKind>, CompileError> {
    check_order(d, flags)?;
    Ok(d.body.dfg.mem_flags[flags].trap_code().map(kind))
}

/// What a trap code means.
pub(super) fn kind(code: TrapCode) -> TrapKind {
    TrapKind::from_code(code.as_raw().get())
}

/// Whether values of an integer type have bits above the type's width in a register.
pub(super) fn is_narrow(ty: Type) -> bool {
    ty.bits() < 32
}

/// The low bits of a constant, as many as the type has.
pub(super) fn truncated(bits: u64, ty: Type) -> u64 {
    match ty.bits() {
        width @ 0..64 => bits & ((1 << width) - 1),
        _ => bits,
    }
}

impl<'f> Driver<'f> {
    pub(super) fn args(&self, inst: Inst) -> &'f [Value] {
        self.body.dfg.inst_args(inst)
    }

    /// The value that `value` is, by its index.
    pub(super) fn index(&self, value: Value) -> usize {
        self.body.dfg.resolve_aliases(value).as_u32() as usize
    }

    pub(super) fn ty(&self, value: Value) -> Type {
        self.body.dfg.value_type(value)
    }

    pub(super) fn place(&self, value: Value) -> Place {
        self.values.places[self.index(value)]
    }

    /// A value, if it is a constant.
    pub(super) fn known(&self, value: Value) -> Option<u64> {
        match self.place(value) {
            Place::Known(_, bits) => Some(bits),
            _ => None,
        }
    }

    pub(super) fn slot(&self, slot: StackSlot, offset: i32) -> i32 {
        self.slots[slot.as_u32() as usize].wrapping_add(offset)
    }

    /// Pushes a value. Its bits above the type's width may be anything.
    pub(super) fn push(&mut self, value: Value) -> Result<(), CompileError> {
        match self.place(value) {
            Place::Known(ty, bits) => self.asm.push_constant(ty, bits),
            Place::Frame(offset) => {
                let to = self.asm.allocate(false);
                self.asm.code.address(true, to, Mem::new(FRAME, offset));
                self.asm.push_register(Ty::I64, to);
            }
            Place::Local(local) => self.asm.local_get(local.number),
            Place::Undefined | Place::Pending(_) => {
                return Err(bailout("a value that is used before it is defined"));
            }
        }
        Ok(())
    }

    /// Pushes an integer, with the bits above its width zero.
    pub(super) fn push_unsigned(&mut self, value: Value) -> Result<(), CompileError> {
        self.push(value)?;
        let ty = self.ty(value);
        let is_clean = match self.place(value) {
            Place::Local(local) => local.clean,
            _ => true,
        };
        if is_narrow(ty) && !is_clean {
            self.asm.narrow(ty.bits() as u8);
        }
        Ok(())
    }

    /// Pushes an integer, sign-extended to 32 bits if it has fewer.
    pub(super) fn push_signed(&mut self, value: Value) -> Result<(), CompileError> {
        let ty = self.ty(value);
        if !is_narrow(ty) {
            return self.push(value);
        }
        if let Some(bits) = self.known(value) {
            let shift = 32 - ty.bits();
            let extended = ((bits as i32) << shift) >> shift;
            self.asm.push_constant(Ty::I32, extended as u32 as u64);
            return Ok(());
        }
        self.push(value)?;
        self.asm.sign_extend(ty.bits() as u8, false);
        Ok(())
    }

    /// One use of a value is behind us. What has none to come gives its register and its slot to others; an operand
    /// that was pushed stays valid.
    pub(super) fn consume(&mut self, value: Value) {
        let index = self.index(value);
        let uses = &mut self.values.uses[index];
        *uses -= 1;
        if let (0, Place::Local(local)) = (*uses, self.values.places[index]) {
            self.values.release(&mut self.asm, local);
        }
    }

    pub(super) fn consume_all(&mut self, values: &[Value]) {
        for &value in values {
            self.consume(value);
        }
    }

    /// Pops a value: that is `value` from now on.
    pub(super) fn define(&mut self, value: Value, clean: bool) {
        let val = self.asm.pop();
        self.define_as(value, val, clean);
    }

    /// A popped value is `value` from now on. There are no operands.
    pub(super) fn define_as(&mut self, value: Value, val: Val, clean: bool) {
        let index = self.index(value);
        if self.values.uses[index] == 0 {
            return;
        }
        let number = self.values.allocate(&mut self.asm, val.ty);
        self.asm.assign(number, val);
        self.values.places[index] = Place::Local(Local {
            number,
            defined: self.at,
            clean,
        });
    }

    /// The constant `bits` is `value`.
    pub(super) fn define_known(&mut self, value: Value, bits: u64) -> Result<(), CompileError> {
        let ty = self.ty(value);
        let index = self.index(value);
        self.values.places[index] = Place::Known(kept_as(ty)?, truncated(bits, ty));
        Ok(())
    }

    /// The one result of an instruction.
    pub(super) fn result(&self, inst: Inst) -> Value {
        self.body.dfg.first_result(inst)
    }
}

impl Assembler {
    /// Clears the bits above the low 8 or 16 of the number on top.
    pub(super) fn narrow(&mut self, bits: u8) {
        let val = self.pop();
        let from = self.in_register(val);
        let to = if self.is_owned(val) {
            from
        } else {
            self.allocate(false)
        };
        self.code.zero_extend(bits, to, from);
        self.push_register(Ty::I32, to);
    }
}
