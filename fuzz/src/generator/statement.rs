//! Statements, and functions made of them.

use super::function::{Access, Body, Code};
use super::plan::{Plan, Role, plain_type, value_type};
use crate::random::Random;
use crate::value::Type;
use std::borrow::Cow;
use wasm_encoder::{BlockType, Instruction as I};

/// Writes function `index` of the module's own.
pub fn function(random: &mut Random, plan: &Plan, index: usize) -> Code {
    let (ty, role) = plan.functions[index];
    let signature = &plan.types[ty as usize];
    let budget = *random.pick(&[60, 150, 400, 800]);
    let mut body = Body {
        random,
        plan,
        code: Vec::new(),
        locals: signature.params.clone(),
        settable: (0..signature.params.len() as u32).collect(),
        results: signature.results.clone(),
        labels: Vec::new(),
        counters: Vec::new(),
        budget,
    };
    let own = (plan.imports.len() + index) as u32;
    match role {
        Role::Deep => body.deep(own),
        Role::Endless => body.endless(own),
        Role::Any => body.any(),
    }
    body.push(I::End);
    Code {
        locals: body.locals.split_off(signature.params.len()),
        instructions: body.code,
    }
}

/// Stores of a type with the logarithm of how many bytes they write.
fn stores(ty: Type) -> &'static [Access] {
    match ty {
        Type::I32 => &[(I::I32Store, 2), (I::I32Store8, 0), (I::I32Store16, 1)],
        Type::I64 => &[
            (I::I64Store, 3),
            (I::I64Store8, 0),
            (I::I64Store16, 1),
            (I::I64Store32, 2),
        ],
        Type::F32 => &[(I::F32Store, 2)],
        Type::F64 => &[(I::F64Store, 3)],
        _ => &[(I::V128Store, 4)],
    }
}

impl Body<'_> {
    fn any(&mut self) {
        self.take_fuel(1);
        // Some state to begin with.
        for _ in 0..self.random.below(4) {
            let ty = value_type(self.random);
            let local = self.target(ty);
            self.expr(ty, 1);
            self.push(I::LocalSet(local));
        }
        let count = self.random.between(1, 8);
        self.statements(count, 4);
        for ty in self.results.clone() {
            self.expr(ty, 2);
        }
    }

    /// `f(n, x) = n & 511 == 0 ? x : f(n - 1, x * 31 + n) ^ n`, which needs a frame for each call.
    fn deep(&mut self, own: u32) {
        self.take_fuel(1);
        self.extend([
            I::LocalGet(0),
            I::I32Const(511),
            I::I32And,
            I::LocalTee(0),
            I::I32Eqz,
            I::If(BlockType::Empty),
            I::LocalGet(1),
            I::Return,
            I::End,
            I::LocalGet(0),
            I::I32Const(1),
            I::I32Sub,
            I::LocalGet(1),
            I::I64Const(31),
            I::I64Mul,
            I::LocalGet(0),
            I::I64ExtendI32S,
            I::I64Add,
            I::Call(own),
            I::LocalGet(0),
            I::I64ExtendI32S,
            I::I64Xor,
        ]);
    }

    fn endless(&mut self, own: u32) {
        self.extend([
            I::LocalGet(0),
            I::I64Const(1),
            I::I64Add,
            I::LocalGet(1),
            I::Call(own),
            I::LocalGet(0),
            I::I64Xor,
        ]);
    }

    fn statements(&mut self, count: usize, depth: usize) {
        for _ in 0..count {
            if self.is_spent() {
                return;
            }
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        let simple = depth == 0 || self.is_spent();
        match self.random.below(if simple { 11 } else { 20 }) {
            0..=2 => self.assign(),
            3 | 4 => self.store(),
            5 => self.set_global(),
            6 => self.call_statement(),
            7 => self.leave(),
            8 => match self.random.below(3) {
                0 => self.grow(),
                1 => self.bulk_memory(),
                _ => self.bulk_table(),
            },
            9 => self.at_iteration(),
            10 if self.random.one_in(3) => self.tail_call(),
            10 | 11 => self.accumulate(),
            12 | 13 => self.counted_loop(depth),
            14 => self.conditional_loop(depth),
            15 | 16 => self.if_else(depth),
            17 => self.switch(depth),
            18 => self.several_results(depth),
            _ => self.held(depth),
        }
    }

    fn assign(&mut self) {
        let ty = value_type(self.random);
        let local = self.target(ty);
        self.expr(ty, 3);
        self.push(I::LocalSet(local));
    }

    fn set_global(&mut self) {
        let ty = plain_type(self.random);
        if let Some(global) = self.some_global(ty) {
            self.expr(ty, 3);
            self.push(I::GlobalSet(global));
        }
    }

    fn store(&mut self) {
        let ty = match self.random.one_in(8) {
            true => Type::V128,
            false => plain_type(self.random),
        };
        let memory = self.random.below(self.plan.memories.len()) as u32;
        let offset = self.address(memory, 2);
        self.expr(ty, 2);
        let (store, bytes_log) = *self.random.pick(stores(ty));
        let argument = self.mem_arg(memory, offset, bytes_log);
        self.push(store(argument));
    }

    /// A loop of nothing but arithmetic: the kind that compilers change most.
    fn accumulate(&mut self) {
        let head = self.open_counted(false);
        for _ in 0..self.random.between(1, 4) {
            let ty = *self
                .random
                .pick(&[Type::I32, Type::I64, Type::F64, Type::F32]);
            let local = self.target(ty);
            self.push(I::LocalGet(local));
            let budget = std::mem::replace(&mut self.budget, 0);
            self.expr(ty, 1);
            self.budget = budget;
            let operation = match ty {
                Type::I32 => self
                    .random
                    .pick(&[I::I32Add, I::I32Xor, I::I32Mul, I::I32Rotl]),
                Type::I64 => self
                    .random
                    .pick(&[I::I64Add, I::I64Xor, I::I64Mul, I::I64Sub]),
                Type::F32 => self.random.pick(&[I::F32Add, I::F32Mul, I::F32Max]),
                _ => self.random.pick(&[I::F64Add, I::F64Mul, I::F64Min]),
            };
            let operation = operation.clone();
            self.extend([operation, I::LocalSet(local)]);
        }
        if self.random.one_in(2) {
            self.at_iteration();
        }
        if self.random.one_in(3) {
            self.store();
        }
        self.close_counted(head);
    }

    fn counted_loop(&mut self, depth: usize) {
        let head = self.open_counted(true);
        let count = self.random.between(1, 4);
        self.statements(count, depth - 1);
        if self.random.one_in(2) {
            self.at_iteration();
        }
        self.close_counted(head);
    }

    /// A loop that goes on as long as something holds, and carries values round as its label's parameters at times.
    fn conditional_loop(&mut self, depth: usize) {
        if self.random.one_in(2) {
            self.open(I::Loop(BlockType::Empty));
            self.take_fuel(1);
            let count = self.random.between(1, 3);
            self.statements(count, depth - 1);
            self.expr(Type::I32, 2);
            self.push(I::BrIf(0));
            return self.close();
        }
        // A loop with a parameter needs a function type of the form `[i32] -> [i32]`, which every module has.
        let ty = self.plan.functions[0].0;
        self.expr(Type::I32, 2);
        self.open_typed(I::Loop(BlockType::FunctionType(ty)));
        let carried = self.local(Type::I32);
        self.push(I::LocalSet(carried));
        self.take_fuel(1);
        let count = self.random.between(1, 2);
        self.statements(count, depth - 1);
        self.extend([I::LocalGet(carried), I::I32Const(3), I::I32Add]);
        self.expr(Type::I32, 2);
        self.push(I::BrIf(0));
        self.close();
        self.keep(&[Type::I32]);
    }

    fn if_else(&mut self, depth: usize) {
        self.expr(Type::I32, 3);
        self.open(I::If(BlockType::Empty));
        let count = self.random.between(1, 3);
        self.statements(count, depth - 1);
        if self.random.one_in(2) {
            self.push(I::Else);
            let count = self.random.between(1, 3);
            self.statements(count, depth - 1);
        }
        self.close();
    }

    /// Nested blocks and a `br_table` that leaves one of them.
    fn switch(&mut self, depth: usize) {
        let arms = self.random.between(1, 5);
        for _ in 0..arms {
            self.open(I::Block(BlockType::Empty));
        }
        self.expr(Type::I32, 2);
        let targets: Vec<u32> = (0..self.random.below(8))
            .map(|_| self.random.below(arms) as u32)
            .collect();
        let default = self.random.below(arms) as u32;
        self.push(I::BrTable(Cow::Owned(targets), default));
        for _ in 0..arms {
            self.close();
            let count = self.random.below(3);
            self.statements(count, depth.saturating_sub(2));
        }
    }

    /// A block with the results of some function type, left early at times.
    fn several_results(&mut self, depth: usize) {
        let plan = self.plan;
        let found: Vec<usize> = (0..plan.types.len())
            .filter(|&index| {
                plan.types[index].params.is_empty() && !plan.types[index].results.is_empty()
            })
            .collect();
        if found.is_empty() {
            return self.if_else(depth);
        }
        let ty = *self.random.pick(&found);
        let results = &plan.types[ty].results;
        self.open_typed(I::Block(BlockType::FunctionType(ty as u32)));
        let count = self.random.below(3);
        self.statements(count, depth - 1);
        if self.random.one_in(2) {
            for &ty in results {
                self.expr(ty, 1);
            }
            self.expr(Type::I32, 2);
            self.push(I::BrIf(0));
            self.keep(results);
        }
        for &ty in results {
            self.expr(ty, 2);
        }
        self.close();
        self.keep(results);
    }

    /// A value that stays on the operand stack while a statement runs.
    fn held(&mut self, depth: usize) {
        let types: Vec<Type> = (0..self.random.between(1, 4))
            .map(|_| value_type(self.random))
            .collect();
        for &ty in &types {
            self.expr(ty, 2);
        }
        self.statement(depth - 1);
        self.keep(&types);
    }
}
