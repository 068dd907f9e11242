//! The heads and tails of loops, calls of every kind, and traps at odd places.

use super::function::Body;
use crate::value::Type;
use wasm_encoder::{BlockType, Instruction as I};

impl Body<'_> {
    /// The head of a loop that counts up from zero; closed by [`Body::close_counted`]. Returns the counter and its bound.
    pub fn open_counted(&mut self, takes_fuel: bool) -> (u32, u32) {
        let (counter, bound) = (self.local(Type::I32), self.local(Type::I32));
        let trips = self.random.between(1, self.plan.trips_max) as i32;
        if self.random.one_in(3) {
            // A count that is not known when the function is compiled.
            self.expr(Type::I32, 1);
            self.extend([I::I32Const(trips), I::I32RemU]);
        } else {
            self.push(I::I32Const(trips));
        }
        self.push(I::LocalSet(bound));
        self.extend([I::I32Const(0), I::LocalSet(counter)]);
        if !takes_fuel {
            self.take_fuel(trips / 4 + 1);
        }
        // The block is for leaving the loop.
        self.open(I::Block(BlockType::Empty));
        self.open(I::Loop(BlockType::Empty));
        if takes_fuel {
            self.take_fuel(1);
        }
        self.counters.push(counter);
        (counter, bound)
    }

    /// The tail of that loop.
    pub fn close_counted(&mut self, (counter, bound): (u32, u32)) {
        self.counters.pop();
        self.extend([
            I::LocalGet(counter),
            I::I32Const(1),
            I::I32Add,
            I::LocalTee(counter),
            I::LocalGet(bound),
        ]);
        let unsigned = self.random.one_in(2);
        self.push(if unsigned { I::I32LtU } else { I::I32LtS });
        self.push(I::BrIf(0));
        self.close();
        self.close();
    }

    /// Something that goes wrong, or only differently, once a loop's counter or a global reaches some number.
    pub fn at_iteration(&mut self) {
        match self.counters.last() {
            Some(&counter) => self.push(I::LocalGet(counter)),
            None => match self.some_global(Type::I32) {
                Some(global) => self.push(I::GlobalGet(global)),
                None => self.expr(Type::I32, 1),
            },
        }
        let number = self.random.below(self.plan.trips_max * 2) as i32;
        self.push(I::I32Const(number));
        match self.random.below(16) {
            0 => {
                // A division by the distance to it.
                self.push(I::I32Sub);
                let value = self.target(Type::I32);
                let divisor = self.local(Type::I32);
                self.extend([
                    I::LocalSet(divisor),
                    I::LocalGet(value),
                    I::LocalGet(divisor),
                    I::I32DivS,
                    I::LocalSet(value),
                ]);
            }
            1 => {
                self.extend([I::I32Eq, I::If(BlockType::Empty)]);
                self.push(I::Unreachable);
                self.push(I::End);
            }
            2 => {
                // A store that walks over the end of the memory.
                self.push(I::I32Sub);
                self.extend([I::MemorySize(0), I::I32Const(16), I::I32Shl, I::I32Add]);
                self.expr(Type::I64, 1);
                let argument = self.mem_arg(0, 0, 3);
                self.push(I::I64Store(argument));
            }
            _ => {
                // Another type of work from then on.
                let after = self.random.one_in(2);
                self.push(if after { I::I32GtS } else { I::I32Eq });
                self.push(I::If(BlockType::Empty));
                self.labels.push(true);
                let ty = *self.random.pick(&[Type::I32, Type::I64, Type::F64]);
                self.expr(ty, 3);
                let local = self.target(ty);
                self.push(I::LocalSet(local));
                self.leave();
                self.close();
            }
        }
    }

    /// A conditional branch out of some block, or a return.
    pub fn leave(&mut self) {
        if self.random.one_in(6) {
            self.expr(Type::I32, 2);
            self.push(I::If(BlockType::Empty));
            for ty in self.results.clone() {
                self.expr(ty, 1);
            }
            return self.extend([I::Return, I::End]);
        }
        if let Some(label) = self.some_label() {
            self.expr(Type::I32, 2);
            self.push(I::BrIf(label));
        }
    }

    /// A call, direct or through a table, whose results go to locals.
    pub fn call_statement(&mut self) {
        let plan = self.plan;
        let count = plan.imports.len() + plan.functions.len();
        if self.random.one_in(2) {
            let function = self.random.below(count);
            self.call(function, 2);
            return self.keep(&plan.signature(function).1.results);
        }
        let table = self.random.below(plan.tables.len()) as u32;
        let entries = &plan.tables[table as usize].entries;
        // Mostly the type of something that is in the table.
        let ty = match self.random.pick(entries) {
            Some(function) if !self.random.one_in(40) => plan.signature(*function as usize).0,
            _ => self.random.below(plan.types.len()) as u32,
        };
        let signature = &plan.types[ty as usize];
        for &param in &signature.params {
            self.expr(param, 1);
        }
        let fitting = |entry: &Option<u32>| {
            entry.is_some_and(|function| plan.signature(function as usize).0 == ty)
        };
        match entries.iter().position(fitting) {
            Some(index) if !self.random.one_in(20) => self.push(I::I32Const(index as i32)),
            _ => self.table_index(table, 2),
        }
        self.push(I::CallIndirect {
            type_index: ty,
            table_index: table,
        });
        self.keep(&signature.results);
    }

    /// Puts the topmost values into locals.
    pub fn keep(&mut self, types: &[Type]) {
        for &ty in types.iter().rev() {
            if self.random.one_in(5) {
                self.push(I::Drop);
            } else {
                let local = self.target(ty);
                self.push(I::LocalSet(local));
            }
        }
    }

    /// A tail call of a function with the same results, if there is one, under a condition.
    pub fn tail_call(&mut self) {
        let plan = self.plan;
        let count = plan.imports.len() + plan.functions.len();
        let fits = |&index: &usize| plan.signature(index).1.results == self.results;
        let found: Vec<usize> = (0..count).filter(fits).collect();
        if found.is_empty() {
            return;
        }
        let function = *self.random.pick(&found);
        let (ty, signature) = plan.signature(function);
        self.expr(Type::I32, 2);
        self.push(I::If(BlockType::Empty));
        for &param in &signature.params {
            self.expr(param, 1);
        }
        match self.random.one_in(3) {
            true => {
                self.table_index(0, 1);
                self.push(I::ReturnCallIndirect {
                    type_index: ty,
                    table_index: 0,
                });
            }
            false => self.push(I::ReturnCall(function as u32)),
        }
        self.push(I::End);
    }
}
