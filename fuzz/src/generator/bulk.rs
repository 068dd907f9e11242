//! Statements that change memories and tables as wholes.

use super::function::Body;
use crate::value::Type;
use wasm_encoder::Instruction as I;

impl Body<'_> {
    /// `memory.grow`, whose result is kept.
    pub fn grow(&mut self) {
        let memory = self.random.below(self.plan.memories.len()) as u32;
        let pages = match self.random.below(5) {
            0 => 0,
            4 => self.random.integer() as i32,
            _ => 1,
        };
        self.extend([I::I32Const(pages), I::MemoryGrow(memory)]);
        let local = self.target(Type::I32);
        self.push(I::LocalSet(local));
    }

    /// `memory.fill`, `memory.copy`, `memory.init` or `data.drop`.
    pub fn bulk_memory(&mut self) {
        let count = self.plan.memories.len();
        let memory = self.random.below(count) as u32;
        match self.random.below(8) {
            0..=2 => {
                self.address(memory, 2);
                self.expr(Type::I32, 1);
                self.length();
                self.push(I::MemoryFill(memory));
            }
            3..=5 => {
                let source = self.random.below(count) as u32;
                self.address(memory, 2);
                self.address(source, 2);
                self.length();
                self.push(I::MemoryCopy {
                    src_mem: source,
                    dst_mem: memory,
                });
            }
            _ if self.plan.data.is_empty() => self.push(I::Nop),
            6 => {
                let segment = self.random.below(self.plan.data.len());
                let bytes = self.plan.data[segment].len();
                self.address(memory, 2);
                let from = self.random.below(bytes + 1);
                let count = self.random.below(bytes - from + 1);
                let count = if self.random.one_in(30) {
                    bytes + 1
                } else {
                    count
                };
                self.extend([I::I32Const(from as i32), I::I32Const(count as i32)]);
                self.push(I::MemoryInit {
                    mem: memory,
                    data_index: segment as u32,
                });
            }
            _ => {
                let segment = self.random.below(self.plan.data.len()) as u32;
                self.push(I::DataDrop(segment));
            }
        }
    }

    /// A length: mostly small.
    fn length(&mut self) {
        self.expr(Type::I32, 1);
        if !self.random.one_in(40) {
            let mask = *self.random.pick(&[15, 63, 1023, 8191]);
            self.extend([I::I32Const(mask), I::I32And]);
        }
    }

    /// Any of the operations on tables.
    pub fn bulk_table(&mut self) {
        let count = self.plan.tables.len();
        let table = self.random.below(count) as u32;
        match self.random.below(6) {
            0 | 1 => {
                self.table_index(table, 2);
                self.expr(Type::Func, 2);
                self.push(I::TableSet(table));
            }
            2 => {
                self.expr(Type::Func, 1);
                let delta = if self.random.one_in(6) { 1 << 20 } else { 1 };
                self.extend([I::I32Const(delta), I::TableGrow(table)]);
                let local = self.target(Type::I32);
                self.push(I::LocalSet(local));
            }
            3 => {
                self.table_index(table, 1);
                self.expr(Type::Func, 1);
                let count = self.random.below(3) as i32;
                self.extend([I::I32Const(count), I::TableFill(table)]);
            }
            4 => {
                let source = self.random.below(count) as u32;
                self.table_index(table, 1);
                self.table_index(source, 1);
                let count = self.random.below(4) as i32;
                self.push(I::I32Const(count));
                self.push(I::TableCopy {
                    src_table: source,
                    dst_table: table,
                });
            }
            _ if self.plan.elements.is_empty() => {
                self.push(I::TableSize(table));
                let local = self.target(Type::I32);
                self.push(I::LocalSet(local));
            }
            _ => {
                let segment = self.random.below(self.plan.elements.len()) as u32;
                if self.random.one_in(6) {
                    return self.push(I::ElemDrop(segment));
                }
                self.table_index(table, 1);
                let (from, count) = (0, self.random.below(2) as i32);
                self.extend([I::I32Const(from), I::I32Const(count)]);
                self.push(I::TableInit {
                    elem_index: segment,
                    table,
                });
            }
        }
    }
}
