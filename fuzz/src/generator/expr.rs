//! Expressions of every type.

use super::function::{Access, Body};
use crate::random::Random;
use crate::value::Type;
use wasm_encoder::Instruction as I;
use wasm_encoder::MemArg;

const I32_BINARY: &[I<'static>] = &[
    I::I32Add,
    I::I32Sub,
    I::I32Mul,
    I::I32And,
    I::I32Or,
    I::I32Xor,
    I::I32Shl,
    I::I32ShrS,
    I::I32ShrU,
    I::I32Rotl,
    I::I32Rotr,
    I::I32Eq,
    I::I32Ne,
    I::I32LtS,
    I::I32LtU,
    I::I32GtS,
    I::I32GtU,
    I::I32LeS,
    I::I32LeU,
    I::I32GeS,
    I::I32GeU,
];
const I32_DIVIDE: &[I<'static>] = &[I::I32DivS, I::I32DivU, I::I32RemS, I::I32RemU];
const I32_UNARY: &[I<'static>] = &[
    I::I32Clz,
    I::I32Ctz,
    I::I32Popcnt,
    I::I32Eqz,
    I::I32Extend8S,
    I::I32Extend16S,
];
const I64_BINARY: &[I<'static>] = &[
    I::I64Add,
    I::I64Sub,
    I::I64Mul,
    I::I64And,
    I::I64Or,
    I::I64Xor,
    I::I64Shl,
    I::I64ShrS,
    I::I64ShrU,
    I::I64Rotl,
    I::I64Rotr,
];
const I64_DIVIDE: &[I<'static>] = &[I::I64DivS, I::I64DivU, I::I64RemS, I::I64RemU];
const I64_UNARY: &[I<'static>] = &[
    I::I64Clz,
    I::I64Ctz,
    I::I64Popcnt,
    I::I64Extend8S,
    I::I64Extend16S,
    I::I64Extend32S,
];
const I64_COMPARE: &[I<'static>] = &[
    I::I64Eq,
    I::I64Ne,
    I::I64LtS,
    I::I64LtU,
    I::I64GtS,
    I::I64GtU,
    I::I64LeS,
    I::I64GeU,
];
const F32_BINARY: &[I<'static>] = &[
    I::F32Add,
    I::F32Sub,
    I::F32Mul,
    I::F32Div,
    I::F32Min,
    I::F32Max,
    I::F32Copysign,
];
const F32_UNARY: &[I<'static>] = &[
    I::F32Abs,
    I::F32Neg,
    I::F32Ceil,
    I::F32Floor,
    I::F32Trunc,
    I::F32Nearest,
    I::F32Sqrt,
];
const F32_COMPARE: &[I<'static>] = &[I::F32Eq, I::F32Ne, I::F32Lt, I::F32Gt, I::F32Le, I::F32Ge];
const F64_BINARY: &[I<'static>] = &[
    I::F64Add,
    I::F64Sub,
    I::F64Mul,
    I::F64Div,
    I::F64Min,
    I::F64Max,
    I::F64Copysign,
];
const F64_UNARY: &[I<'static>] = &[
    I::F64Abs,
    I::F64Neg,
    I::F64Ceil,
    I::F64Floor,
    I::F64Trunc,
    I::F64Nearest,
    I::F64Sqrt,
];
const F64_COMPARE: &[I<'static>] = &[I::F64Eq, I::F64Ne, I::F64Lt, I::F64Gt, I::F64Le, I::F64Ge];
const V128_BINARY: &[I<'static>] = &[
    I::I8x16Add,
    I::I16x8Mul,
    I::I32x4Sub,
    I::I64x2Add,
    I::I64x2Mul,
    I::F32x4Mul,
    I::F64x2Add,
    I::V128And,
    I::V128Xor,
    I::I8x16Swizzle,
    I::I16x8Q15MulrSatS,
    I::I32x4DotI16x8S,
    I::I8x16AddSatU,
    I::I32x4GtS,
    I::F64x2Max,
    I::F32x4PMin,
];

/// Conversions to a type: the instruction, the type it takes, and whether it may trap.
fn conversions(ty: Type) -> &'static [(I<'static>, Type, bool)] {
    use Type::{F32, F64, I32, I64};
    match ty {
        I32 => &[
            (I::I32WrapI64, I64, false),
            (I::I32TruncSatF32S, F32, false),
            (I::I32TruncSatF64U, F64, false),
            (I::I32ReinterpretF32, F32, false),
            (I::I64Eqz, I64, false),
            (I::I32TruncF64S, F64, true),
            (I::I32TruncF32U, F32, true),
        ],
        I64 => &[
            (I::I64ExtendI32S, I32, false),
            (I::I64ExtendI32U, I32, false),
            (I::I64TruncSatF64S, F64, false),
            (I::I64TruncSatF32U, F32, false),
            (I::I64ReinterpretF64, F64, false),
            (I::I64TruncF64U, F64, true),
        ],
        F32 => &[
            (I::F32ConvertI32S, I32, false),
            (I::F32ConvertI64U, I64, false),
            (I::F32DemoteF64, F64, false),
            (I::F32ReinterpretI32, I32, false),
        ],
        _ => &[
            (I::F64ConvertI32U, I32, false),
            (I::F64ConvertI64S, I64, false),
            (I::F64ConvertI64U, I64, false),
            (I::F64PromoteF32, F32, false),
            (I::F64ReinterpretI64, I64, false),
        ],
    }
}

/// Loads of a type with the logarithm of how many bytes they read.
fn loads(ty: Type) -> &'static [Access] {
    match ty {
        Type::I32 => &[
            (I::I32Load, 2),
            (I::I32Load8S, 0),
            (I::I32Load8U, 0),
            (I::I32Load16S, 1),
            (I::I32Load16U, 1),
        ],
        Type::I64 => &[
            (I::I64Load, 3),
            (I::I64Load8S, 0),
            (I::I64Load16U, 1),
            (I::I64Load32S, 2),
            (I::I64Load32U, 2),
        ],
        Type::F32 => &[(I::F32Load, 2)],
        Type::F64 => &[(I::F64Load, 3)],
        _ => &[(I::V128Load, 4)],
    }
}

impl Body<'_> {
    /// Writes an expression of that type, with at most `depth` operations inside one another.
    pub fn expr(&mut self, ty: Type, depth: usize) {
        if depth == 0 || self.is_spent() {
            return self.leaf(ty);
        }
        match self.random.below(16) {
            0 | 1 => self.leaf(ty),
            2 | 3 if !is_ref(ty) => self.load(ty, depth),
            4 => self.select(ty, depth),
            5 => self.conditional(ty, depth),
            6 => self.tee(ty, depth),
            7 | 8 if !is_ref(ty) => self.convert(ty, depth),
            9 | 10 => self.call_for(ty, depth),
            _ => self.operation(ty, depth),
        }
    }

    /// A local, a global or a constant.
    fn leaf(&mut self, ty: Type) {
        if ty == Type::I32
            && self.random.one_in(3)
            && let Some(&counter) = self.counters.last()
        {
            return self.push(I::LocalGet(counter));
        }
        let found = match self.random.below(4) {
            0 => None,
            1 => self.some_global(ty).map(I::GlobalGet),
            _ => self.some_local(ty).map(I::LocalGet),
        };
        match found {
            Some(instruction) => self.push(instruction),
            None => self.constant(ty),
        }
    }

    fn operation(&mut self, ty: Type, depth: usize) {
        let unary = self.random.one_in(4);
        match (ty, unary) {
            (Type::I32, _) => self.int32(depth),
            (Type::I64, true) => self.unary(I64_UNARY, ty, depth),
            (Type::I64, false) if self.random.one_in(6) => self.divide(I64_DIVIDE, ty, depth),
            (Type::I64, false) => self.binary(I64_BINARY, ty, depth),
            (Type::F32, true) => self.unary(F32_UNARY, ty, depth),
            (Type::F32, false) => self.binary(F32_BINARY, ty, depth),
            (Type::F64, true) => self.unary(F64_UNARY, ty, depth),
            (Type::F64, false) => self.binary(F64_BINARY, ty, depth),
            (Type::V128, true) => {
                self.expr(Type::I64, depth - 1);
                self.push(I::I64x2Splat);
            }
            (Type::V128, false) => self.binary(V128_BINARY, ty, depth),
            (Type::Func, _) => {
                let table = self.random.below(self.plan.tables.len()) as u32;
                self.table_index(table, depth - 1);
                self.push(I::TableGet(table));
            }
            (Type::Extern, _) => self.leaf(ty),
        }
    }

    fn int32(&mut self, depth: usize) {
        match self.random.below(12) {
            0 => self.unary(I32_UNARY, Type::I32, depth),
            1 => self.divide(I32_DIVIDE, Type::I32, depth),
            2 => self.binary(I64_COMPARE, Type::I64, depth),
            3 => self.binary(F64_COMPARE, Type::F64, depth),
            4 => self.binary(F32_COMPARE, Type::F32, depth),
            5 if self.random.one_in(2) => {
                let memory = self.random.below(self.plan.memories.len()) as u32;
                self.push(I::MemorySize(memory));
            }
            6 if self.random.one_in(3) => {
                self.expr(Type::Func, depth - 1);
                self.push(I::RefIsNull);
            }
            7 if self.random.one_in(3) => {
                self.expr(Type::V128, depth - 1);
                let lane = self.random.below(4) as u8;
                self.push(I::I32x4ExtractLane(lane));
            }
            _ => self.binary(I32_BINARY, Type::I32, depth),
        }
    }

    fn unary(&mut self, table: &[I<'static>], ty: Type, depth: usize) {
        self.expr(ty, depth - 1);
        let instruction = self.random.pick(table).clone();
        self.push(instruction);
    }

    fn binary(&mut self, table: &[I<'static>], ty: Type, depth: usize) {
        self.expr(ty, depth - 1);
        self.expr(ty, depth - 1);
        let instruction = self.random.pick(table).clone();
        self.push(instruction);
    }

    /// A division whose divisor is mostly odd, and thus not zero.
    fn divide(&mut self, table: &[I<'static>], ty: Type, depth: usize) {
        self.expr(ty, depth - 1);
        self.expr(ty, depth - 1);
        if !self.random.one_in(40) {
            match ty {
                Type::I32 => self.extend([I::I32Const(1), I::I32Or]),
                _ => self.extend([I::I64Const(1), I::I64Or]),
            }
        }
        let instruction = self.random.pick(table).clone();
        self.push(instruction);
    }

    fn convert(&mut self, ty: Type, depth: usize) {
        if ty == Type::V128 {
            self.expr(Type::F32, depth - 1);
            return self.push(I::F32x4Splat);
        }
        let (instruction, from, traps) = self.random.pick(conversions(ty)).clone();
        self.expr(from, depth - 1);
        if traps && !self.random.one_in(30) {
            // Something that can be converted, mostly: one of two small numbers.
            self.push(match from {
                Type::F32 => I::F32Floor,
                _ => I::F64Floor,
            });
            self.extend([I::Drop]);
            self.constant_float(from);
        }
        self.push(instruction);
    }

    fn constant_float(&mut self, ty: Type) {
        let number = self.random.below(1000) as f32 * 0.75;
        self.push(match ty {
            Type::F32 => I::F32Const(number.into()),
            _ => I::F64Const(f64::from(number).into()),
        });
    }

    /// An address in a memory, with an offset to go with it: mostly inside, sometimes at the very end, rarely outside.
    pub fn address(&mut self, memory: u32, depth: usize) -> u64 {
        match self.random.below(60) {
            0 | 1 => {
                // Around the end of the memory as it is now.
                let back = self.random.below(20) as i32 - 2;
                self.extend([
                    I::MemorySize(memory),
                    I::I32Const(16),
                    I::I32Shl,
                    I::I32Const(back),
                    I::I32Sub,
                ]);
                self.random.below(5) as u64
            }
            2 => {
                self.expr(Type::I32, depth);
                offset(self.random)
            }
            _ => {
                self.expr(Type::I32, depth);
                let mask = *self.random.pick(&[0xff, 0xfff, 0xfff8, 0x7fff]);
                self.extend([I::I32Const(mask), I::I32And]);
                self.random.below(64) as u64
            }
        }
    }

    /// What a load or store is told beside the address.
    pub fn mem_arg(&mut self, memory: u32, offset: u64, bytes_log: u32) -> MemArg {
        MemArg {
            offset,
            align: self.random.below(bytes_log as usize + 1) as u32,
            target: wasm_encoder::MemArgTarget::Memory(memory),
            ordering: None,
        }
    }

    fn load(&mut self, ty: Type, depth: usize) {
        let memory = self.random.below(self.plan.memories.len()) as u32;
        let offset = self.address(memory, depth - 1);
        let (load, bytes_log) = *self.random.pick(loads(ty));
        let argument = self.mem_arg(memory, offset, bytes_log);
        self.push(load(argument));
    }

    fn select(&mut self, ty: Type, depth: usize) {
        self.expr(ty, depth - 1);
        self.expr(ty, depth - 1);
        self.expr(Type::I32, depth - 1);
        match is_ref(ty) {
            true => self.push(I::TypedSelect(super::plan::val_type(ty))),
            false => self.push(I::Select),
        }
    }

    fn conditional(&mut self, ty: Type, depth: usize) {
        self.expr(Type::I32, depth - 1);
        self.open_typed(I::If(Body::result(ty)));
        self.expr(ty, depth - 1);
        self.push(I::Else);
        self.expr(ty, depth - 1);
        self.close();
    }

    fn tee(&mut self, ty: Type, depth: usize) {
        self.expr(ty, depth - 1);
        let local = self.target(ty);
        self.push(I::LocalTee(local));
    }

    /// A call of a function that returns one value of that type.
    fn call_for(&mut self, ty: Type, depth: usize) {
        let count = self.plan.imports.len() + self.plan.functions.len();
        let fits = |&index: &usize| self.plan.signature(index).1.results == [ty];
        let found: Vec<usize> = (0..count).filter(fits).collect();
        if found.is_empty() || !self.random.one_in(3) {
            return self.operation(ty, depth);
        }
        let function = *self.random.pick(&found);
        self.call(function, depth - 1);
    }

    /// A call of function `index`, with its arguments.
    pub fn call(&mut self, index: usize, depth: usize) {
        let plan = self.plan;
        for &param in &plan.signature(index).1.params {
            self.expr(param, depth.min(2));
        }
        self.push(I::Call(index as u32));
    }

    /// An index into a table: mostly inside.
    pub fn table_index(&mut self, table: u32, depth: usize) {
        self.expr(Type::I32, depth.min(2));
        if !self.random.one_in(40) {
            let count = self.plan.tables[table as usize].entries.len() as i32;
            self.extend([I::I32Const(count), I::I32RemU]);
        }
    }
}

fn offset(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => u64::from(random.integer() as u32),
        1 => 0xffff_fff0 + random.below(16) as u64,
        _ => random.below(65536) as u64,
    }
}

fn is_ref(ty: Type) -> bool {
    matches!(ty, Type::Func | Type::Extern)
}
