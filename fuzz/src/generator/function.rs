//! A function while it is being written: its locals, the labels that are open, and how much may still be written.

use super::plan::{Plan, val_type};
use crate::random::Random;
use crate::value::Type;
use wasm_encoder::{BlockType, HeapType, Instruction, MemArg};

/// A load or a store, with the logarithm of how many bytes it reads or writes.
pub type Access = (fn(MemArg) -> Instruction<'static>, u32);

/// A finished function.
#[derive(Debug, Default)]
pub struct Code {
    /// The types of the locals that are no parameters.
    pub locals: Vec<Type>,
    /// All instructions, the last `end` included.
    pub instructions: Vec<Instruction<'static>>,
}

/// A function being written.
pub struct Body<'a> {
    /// Where choices come from.
    pub random: &'a mut Random,
    /// The module.
    pub plan: &'a Plan,
    /// What is written so far.
    pub code: Vec<Instruction<'static>>,
    /// All locals, parameters first.
    pub locals: Vec<Type>,
    /// Those that statements may set.
    pub settable: Vec<u32>,
    /// The results.
    pub results: Vec<Type>,
    /// For each open label, innermost last, whether a branch to it carries no values and leads forward.
    pub labels: Vec<bool>,
    /// The counters of the loops around, innermost last.
    pub counters: Vec<u32>,
    /// Instructions that may still be written before everything is kept short.
    pub budget: usize,
}

impl Body<'_> {
    /// Writes an instruction.
    pub fn push(&mut self, instruction: Instruction<'static>) {
        self.code.push(instruction);
    }

    /// Writes instructions.
    pub fn extend<const N: usize>(&mut self, instructions: [Instruction<'static>; N]) {
        self.code.extend(instructions);
    }

    /// Whether enough was written.
    pub fn is_spent(&self) -> bool {
        self.code.len() >= self.budget
    }

    /// A new local.
    pub fn local(&mut self, ty: Type) -> u32 {
        self.locals.push(ty);
        self.locals.len() as u32 - 1
    }

    /// One of the locals of that type, if there is one.
    pub fn some_local(&mut self, ty: Type) -> Option<u32> {
        let of_type = |&index: &u32| self.locals[index as usize] == ty;
        let found: Vec<u32> = (0..self.locals.len() as u32).filter(of_type).collect();
        (!found.is_empty()).then(|| *self.random.pick(&found))
    }

    /// One of the locals of that type that may be set; a new one if need be.
    pub fn target(&mut self, ty: Type) -> u32 {
        let of_type = |index: &u32| self.locals[*index as usize] == ty;
        let found: Vec<u32> = self.settable.iter().copied().filter(of_type).collect();
        if found.is_empty() || (found.len() < 3 && self.random.one_in(6)) {
            let index = self.local(ty);
            self.settable.push(index);
            return index;
        }
        *self.random.pick(&found)
    }

    /// One of the globals of that type, the fuel excepted.
    pub fn some_global(&mut self, ty: Type) -> Option<u32> {
        let globals = self.plan.globals.iter().zip(0..).skip(1);
        let found: Vec<u32> = globals
            .filter(|(of, _)| **of == ty)
            .map(|(_, index)| index)
            .collect();
        (!found.is_empty()).then(|| *self.random.pick(&found))
    }

    /// Opens a block that has no type.
    pub fn open(&mut self, instruction: Instruction<'static>) {
        let forward = !matches!(instruction, Instruction::Loop(_));
        self.labels.push(forward);
        self.push(instruction);
    }

    /// Opens a block whose label takes values.
    pub fn open_typed(&mut self, instruction: Instruction<'static>) {
        self.labels.push(false);
        self.push(instruction);
    }

    /// Closes the innermost block.
    pub fn close(&mut self) {
        self.labels.pop();
        self.push(Instruction::End);
    }

    /// The depth of an open label that takes no values and leads forward.
    pub fn some_label(&mut self) -> Option<u32> {
        let open = self
            .labels
            .iter()
            .rev()
            .zip(0..)
            .filter(|(forward, _)| **forward);
        let found: Vec<u32> = open.map(|(_, depth)| depth).collect();
        (!found.is_empty()).then(|| *self.random.pick(&found))
    }

    /// Takes fuel, or stops the program if there is none left.
    pub fn take_fuel(&mut self, amount: i32) {
        self.extend([
            Instruction::GlobalGet(0),
            Instruction::I32Const(0),
            Instruction::I32LeS,
            Instruction::If(BlockType::Empty),
            Instruction::Unreachable,
            Instruction::End,
            Instruction::GlobalGet(0),
            Instruction::I32Const(amount),
            Instruction::I32Sub,
            Instruction::GlobalSet(0),
        ]);
    }

    /// Writes a constant of that type.
    pub fn constant(&mut self, ty: Type) {
        let instruction = match ty {
            Type::I32 => Instruction::I32Const(self.random.integer() as i32),
            Type::I64 => Instruction::I64Const(self.random.integer() as i64),
            Type::F32 => Instruction::F32Const(wasm_encoder::Ieee32::new(self.random.float32())),
            Type::F64 => Instruction::F64Const(wasm_encoder::Ieee64::new(self.random.float64())),
            Type::V128 => {
                let (low, high) = (self.random.integer(), self.random.bits());
                Instruction::V128Const(crate::value::Value::join(low, high) as i128)
            }
            Type::Extern => Instruction::RefNull(HeapType::EXTERN),
            Type::Func if self.random.one_in(3) => Instruction::RefNull(HeapType::FUNC),
            Type::Func => {
                let count = self.plan.imports.len() + self.plan.functions.len();
                Instruction::RefFunc(self.random.below(count) as u32)
            }
        };
        self.push(instruction);
    }

    /// A block's type with one result.
    pub fn result(ty: Type) -> BlockType {
        BlockType::Result(val_type(ty))
    }
}
