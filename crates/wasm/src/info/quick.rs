//! A quick look at a function's body that says whether it is valid, or that it does not know.
//!
//! It knows the operators that nearly all code consists of, and says yes only if each of them is one of these and every
//! rule of the WebAssembly core specification's appendix on validation holds. Whatever else there is, an error above all,
//! is left to the validator of the library: what is invalid, and why, is for that one to say. A type that code which cannot
//! be reached leaves open is among what this does not know: behind a branch it wants to see the block's end.

use crate::types::{FuncType, GlobalType, TableType, ValType};

use ValType::{F32, F64, I32, I64};

/// What a body is looked at against.
#[derive(Clone, Copy)]
pub(super) struct Declared<'m> {
    pub(super) types: &'m [FuncType],
    /// All functions: the index of each one's type.
    pub(super) functions: &'m [u32],
    pub(super) globals: &'m [GlobalType],
    pub(super) tables: &'m [TableType],
    pub(super) memories: usize,
}

/// More locals are left to the library, which has a limit.
const LOCALS_MAX: usize = 4096;

/// What an operator is known by.
#[derive(Clone, Copy)]
enum Rule {
    Unknown,
    Nop,
    Unreachable,
    Block,
    Loop,
    If,
    Else,
    End,
    Br,
    BrIf,
    BrTable,
    Return,
    Call,
    CallIndirect,
    Drop,
    Select,
    LocalGet,
    LocalSet,
    LocalTee,
    GlobalGet,
    GlobalSet,
    /// The type and the binary logarithm of the largest alignment.
    Load(ValType, u8),
    Store(ValType, u8),
    MemorySize,
    MemoryGrow,
    I32Const,
    I64Const,
    F32Const,
    F64Const,
    /// What it takes, and what it leaves.
    Unary(ValType, ValType),
    Binary(ValType, ValType),
    /// One with a second number.
    Prefixed,
}

/// The first and the last byte of operators that are alike, and what they are.
#[rustfmt::skip]
const RULES: &[(u8, u8, Rule)] = &[
    (0x00, 0x00, Rule::Unreachable), (0x01, 0x01, Rule::Nop),
    (0x02, 0x02, Rule::Block), (0x03, 0x03, Rule::Loop), (0x04, 0x04, Rule::If),
    (0x05, 0x05, Rule::Else), (0x0b, 0x0b, Rule::End),
    (0x0c, 0x0c, Rule::Br), (0x0d, 0x0d, Rule::BrIf), (0x0e, 0x0e, Rule::BrTable),
    (0x0f, 0x0f, Rule::Return), (0x10, 0x10, Rule::Call), (0x11, 0x11, Rule::CallIndirect),
    (0x1a, 0x1a, Rule::Drop), (0x1b, 0x1b, Rule::Select),
    (0x20, 0x20, Rule::LocalGet), (0x21, 0x21, Rule::LocalSet), (0x22, 0x22, Rule::LocalTee),
    (0x23, 0x23, Rule::GlobalGet), (0x24, 0x24, Rule::GlobalSet),
    (0x28, 0x28, Rule::Load(I32, 2)), (0x29, 0x29, Rule::Load(I64, 3)),
    (0x2a, 0x2a, Rule::Load(F32, 2)), (0x2b, 0x2b, Rule::Load(F64, 3)),
    (0x2c, 0x2d, Rule::Load(I32, 0)), (0x2e, 0x2f, Rule::Load(I32, 1)),
    (0x30, 0x31, Rule::Load(I64, 0)), (0x32, 0x33, Rule::Load(I64, 1)), (0x34, 0x35, Rule::Load(I64, 2)),
    (0x36, 0x36, Rule::Store(I32, 2)), (0x37, 0x37, Rule::Store(I64, 3)),
    (0x38, 0x38, Rule::Store(F32, 2)), (0x39, 0x39, Rule::Store(F64, 3)),
    (0x3a, 0x3a, Rule::Store(I32, 0)), (0x3b, 0x3b, Rule::Store(I32, 1)),
    (0x3c, 0x3c, Rule::Store(I64, 0)), (0x3d, 0x3d, Rule::Store(I64, 1)), (0x3e, 0x3e, Rule::Store(I64, 2)),
    (0x3f, 0x3f, Rule::MemorySize), (0x40, 0x40, Rule::MemoryGrow),
    (0x41, 0x41, Rule::I32Const), (0x42, 0x42, Rule::I64Const),
    (0x43, 0x43, Rule::F32Const), (0x44, 0x44, Rule::F64Const),
    (0x45, 0x45, Rule::Unary(I32, I32)), (0x46, 0x4f, Rule::Binary(I32, I32)),
    (0x50, 0x50, Rule::Unary(I64, I32)), (0x51, 0x5a, Rule::Binary(I64, I32)),
    (0x5b, 0x60, Rule::Binary(F32, I32)), (0x61, 0x66, Rule::Binary(F64, I32)),
    (0x67, 0x69, Rule::Unary(I32, I32)), (0x6a, 0x78, Rule::Binary(I32, I32)),
    (0x79, 0x7b, Rule::Unary(I64, I64)), (0x7c, 0x8a, Rule::Binary(I64, I64)),
    (0x8b, 0x91, Rule::Unary(F32, F32)), (0x92, 0x98, Rule::Binary(F32, F32)),
    (0x99, 0x9f, Rule::Unary(F64, F64)), (0xa0, 0xa6, Rule::Binary(F64, F64)),
    (0xa7, 0xa7, Rule::Unary(I64, I32)), (0xa8, 0xa9, Rule::Unary(F32, I32)), (0xaa, 0xab, Rule::Unary(F64, I32)),
    (0xac, 0xad, Rule::Unary(I32, I64)), (0xae, 0xaf, Rule::Unary(F32, I64)), (0xb0, 0xb1, Rule::Unary(F64, I64)),
    (0xb2, 0xb3, Rule::Unary(I32, F32)), (0xb4, 0xb5, Rule::Unary(I64, F32)), (0xb6, 0xb6, Rule::Unary(F64, F32)),
    (0xb7, 0xb8, Rule::Unary(I32, F64)), (0xb9, 0xba, Rule::Unary(I64, F64)), (0xbb, 0xbb, Rule::Unary(F32, F64)),
    (0xbc, 0xbc, Rule::Unary(F32, I32)), (0xbd, 0xbd, Rule::Unary(F64, I64)),
    (0xbe, 0xbe, Rule::Unary(I32, F32)), (0xbf, 0xbf, Rule::Unary(I64, F64)),
    (0xc0, 0xc1, Rule::Unary(I32, I32)), (0xc2, 0xc4, Rule::Unary(I64, I64)),
    (0xfc, 0xfc, Rule::Prefixed),
];

static BY_BYTE: [Rule; 256] = {
    let mut rules = [Rule::Unknown; 256];
    let mut index = 0;
    while index < RULES.len() {
        let (first, last, rule) = RULES[index];
        let mut byte = first as usize;
        while byte <= last as usize {
            rules[byte] = rule;
            byte += 1;
        }
        index += 1;
    }
    rules
};

const ELSE: u8 = 0x05;
const END: u8 = 0x0b;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Loop,
    If,
}

/// An open block.
#[derive(Clone, Copy)]
struct Frame<'m> {
    kind: Kind,
    /// Operands below its own.
    height: usize,
    params: &'m [ValType],
    results: &'m [ValType],
}

impl<'m> Frame<'m> {
    /// What a branch to it takes along.
    fn label(&self) -> &'m [ValType] {
        match self.kind {
            Kind::Loop => self.params,
            _ => self.results,
        }
    }
}

/// Memory for one look after the other.
#[derive(Default)]
pub(super) struct Memory {
    locals: Vec<ValType>,
    operands: Vec<ValType>,
}

impl Memory {
    /// Whether `body`, of a function of type number `ty`, is known to be valid.
    pub(super) fn is_valid(&mut self, declared: Declared<'_>, ty: u32, body: &[u8]) -> bool {
        let Some(ty) = declared.types.get(ty as usize) else {
            return false;
        };
        self.locals.clear();
        self.locals.extend_from_slice(ty.params());
        self.operands.clear();
        let mut look = Look {
            declared,
            bytes: body,
            at: 0,
            locals: &mut self.locals,
            operands: &mut self.operands,
            outer: Vec::with_capacity(16),
            frame: Frame {
                kind: Kind::Block,
                height: 0,
                params: &[],
                results: ty.results(),
            },
            results: ty.results(),
            reachable: true,
            ended: false,
        };
        look.body().is_some()
    }
}

/// A look at one body. `None` is the answer that it is not known to be valid.
struct Look<'m, 'w> {
    declared: Declared<'m>,
    bytes: &'m [u8],
    at: usize,
    locals: &'w mut Vec<ValType>,
    /// The types of the operands.
    operands: &'w mut Vec<ValType>,
    /// The blocks that are open around the innermost, which is `frame`.
    outer: Vec<Frame<'m>>,
    frame: Frame<'m>,
    results: &'m [ValType],
    /// Whether the next operator can be reached. If not, it ends the block.
    reachable: bool,
    /// Whether the function's own block has ended.
    ended: bool,
}

fn holds(condition: bool) -> Option<()> {
    condition.then_some(())
}

impl<'m> Look<'m, '_> {
    fn body(&mut self) -> Option<()> {
        for _ in 0..self.u32()? {
            let (count, ty) = (self.u32()? as usize, self.byte()?);
            let ty = value_type(ty)?;
            holds(count <= LOCALS_MAX && self.locals.len() + count <= LOCALS_MAX)?;
            self.locals.resize(self.locals.len() + count, ty);
        }
        while let Some(byte) = self.byte() {
            self.operator(BY_BYTE[usize::from(byte)])?;
        }
        holds(self.ended)
    }

    #[inline(always)]
    fn operator(&mut self, rule: Rule) -> Option<()> {
        match rule {
            Rule::Unknown => return None,
            Rule::Nop => {}
            Rule::Unreachable => self.leave()?,
            Rule::Block => self.block(Kind::Block)?,
            Rule::Loop => self.block(Kind::Loop)?,
            Rule::If => {
                self.pop(I32)?;
                self.block(Kind::If)?;
            }
            Rule::Else => self.else_()?,
            Rule::End => self.end()?,
            Rule::Br => {
                self.branch()?;
                self.leave()?;
            }
            Rule::BrIf => {
                self.pop(I32)?;
                self.branch()?;
            }
            Rule::BrTable => self.br_table()?,
            Rule::Return => {
                self.has(self.results)?;
                self.leave()?;
            }
            Rule::Call => self.call()?,
            Rule::CallIndirect => self.call_indirect()?,
            Rule::Drop => drop(self.pop_any()?),
            Rule::Select => self.select()?,
            Rule::LocalGet | Rule::LocalSet | Rule::LocalTee => self.local(rule)?,
            Rule::GlobalGet | Rule::GlobalSet => self.global(rule)?,
            Rule::Load(ty, align) => {
                self.access(align)?;
                self.replace(I32, ty)?;
            }
            Rule::Store(ty, align) => {
                self.access(align)?;
                self.pop(ty)?;
                self.pop(I32)?;
            }
            Rule::I32Const => self.signed(5, I32)?,
            Rule::I64Const => self.signed(10, I64)?,
            Rule::F32Const => self.float(4, F32)?,
            Rule::F64Const => self.float(8, F64)?,
            Rule::Unary(from, to) => self.replace(from, to)?,
            Rule::Binary(from, to) => {
                self.pop(from)?;
                self.replace(from, to)?;
            }
            Rule::MemorySize | Rule::MemoryGrow => self.memory_size(rule)?,
            Rule::Prefixed => self.prefixed()?,
        }
        Some(())
    }

    // Bytes.

    #[inline(always)]
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An unsigned number of 32 bits, in no more than 5 bytes and with no bits above.
    #[inline(always)]
    fn u32(&mut self) -> Option<u32> {
        let byte = self.byte()?;
        match byte < 0x80 {
            true => Some(u32::from(byte)),
            false => self.long(u32::from(byte & 0x7f)),
        }
    }

    fn long(&mut self, mut value: u32) -> Option<u32> {
        for shift in [7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return (shift < 28 || byte < 0x10).then_some(value);
            }
        }
        None
    }

    /// A signed number that takes no more than `bytes_max` bytes: 5 are 35 bits of which 32 count, and 10 are 70 of which
    /// 64 do. Those that do not count have to be like the highest that does.
    #[inline(always)]
    fn signed(&mut self, bytes_max: usize, ty: ValType) -> Option<()> {
        let mut len = 1;
        let mut byte = self.byte()?;
        while byte >= 0x80 {
            holds(len < bytes_max)?;
            byte = self.byte()?;
            len += 1;
        }
        if len == bytes_max {
            let like = if bytes_max == 5 { 0x78 } else { 0x7f };
            holds(byte & like == 0 || byte & like == like)?;
        }
        self.operands.push(ty);
        Some(())
    }

    fn float(&mut self, bytes: usize, ty: ValType) -> Option<()> {
        self.at += bytes;
        self.operands.push(ty);
        holds(self.at <= self.bytes.len())
    }

    // Operands.

    #[inline(always)]
    fn pop_any(&mut self) -> Option<ValType> {
        holds(self.operands.len() > self.frame.height)?;
        self.operands.pop()
    }

    #[inline(always)]
    fn pop(&mut self, expected: ValType) -> Option<()> {
        holds(self.pop_any()? == expected)
    }

    /// Pops one operand and pushes another.
    #[inline(always)]
    fn replace(&mut self, from: ValType, to: ValType) -> Option<()> {
        holds(self.operands.len() > self.frame.height)?;
        let top = self.operands.last_mut()?;
        holds(*top == from)?;
        *top = to;
        Some(())
    }

    /// Whether the operands on top, of this block, are of these types.
    #[inline(always)]
    fn has(&self, types: &[ValType]) -> Option<()> {
        if types.is_empty() {
            return Some(());
        }
        let own = self.operands.get(self.frame.height..)?;
        holds(own.ends_with(types))
    }

    fn pop_all(&mut self, types: &[ValType]) -> Option<()> {
        self.has(types)?;
        self.operands.truncate(self.operands.len() - types.len());
        Some(())
    }

    // Blocks.

    fn block(&mut self, kind: Kind) -> Option<()> {
        let (params, results) = self.block_type()?;
        self.has(params)?;
        self.outer.push(self.frame);
        self.frame = Frame {
            kind,
            height: self.operands.len() - params.len(),
            params,
            results,
        };
        Some(())
    }

    fn block_type(&mut self) -> Option<(&'m [ValType], &'m [ValType])> {
        let byte = self.byte()?;
        if byte == 0x40 {
            return Some((&[], &[]));
        }
        if byte < 0x40 {
            let ty = self.declared.types.get(usize::from(byte))?;
            return Some((ty.params(), ty.results()));
        }
        Some((&[], value_type(byte)?.as_slice()))
    }

    fn else_(&mut self) -> Option<()> {
        holds(self.frame.kind == Kind::If)?;
        self.end_of_block()?;
        self.operands.truncate(self.frame.height);
        self.operands.extend_from_slice(self.frame.params);
        self.frame.kind = Kind::Block;
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        // Without an `else`, what came in goes out.
        holds(self.frame.kind != Kind::If || self.frame.params == self.frame.results)?;
        self.end_of_block()?;
        self.operands.truncate(self.frame.height);
        self.operands.extend_from_slice(self.frame.results);
        match self.outer.pop() {
            Some(frame) => {
                self.frame = frame;
                Some(())
            }
            None => {
                self.ended = true;
                holds(self.at == self.bytes.len())
            }
        }
    }

    /// What follows cannot be reached. Only the end of the block may.
    fn leave(&mut self) -> Option<()> {
        self.reachable = false;
        let next = *self.bytes.get(self.at)?;
        holds(next == END || next == ELSE)
    }

    /// Nothing is there but the results, if the end can be reached. It can be from what surrounds the block.
    fn end_of_block(&mut self) -> Option<()> {
        let is_reached = std::mem::replace(&mut self.reachable, true);
        holds(!is_reached || self.operands.get(self.frame.height..)? == self.frame.results)
    }

    fn label(&mut self) -> Option<&'m [ValType]> {
        let depth = self.u32()? as usize;
        match depth.checked_sub(1) {
            None => Some(self.frame.label()),
            Some(depth) => {
                let index = self.outer.len().checked_sub(depth + 1)?;
                Some(self.outer[index].label())
            }
        }
    }

    fn branch(&mut self) -> Option<()> {
        let types = self.label()?;
        self.has(types)
    }

    fn br_table(&mut self) -> Option<()> {
        self.pop(I32)?;
        let count = self.u32()?;
        let first = self.label()?;
        self.has(first)?;
        for _ in 0..count {
            holds(self.label()? == first)?;
        }
        self.leave()
    }

    // Everything else.

    fn call(&mut self) -> Option<()> {
        let index = self.u32()?;
        let ty = *self.declared.functions.get(index as usize)?;
        self.call_of_type(ty)
    }

    fn call_indirect(&mut self) -> Option<()> {
        let (ty, table) = (self.u32()?, self.u32()?);
        let table = self.declared.tables.get(table as usize)?;
        holds(table.element == ValType::FuncRef)?;
        self.pop(I32)?;
        self.call_of_type(ty)
    }

    fn call_of_type(&mut self, ty: u32) -> Option<()> {
        let ty = self.declared.types.get(ty as usize)?;
        self.pop_all(ty.params())?;
        self.operands.extend_from_slice(ty.results());
        Some(())
    }

    fn select(&mut self) -> Option<()> {
        self.pop(I32)?;
        let ty = self.pop_any()?;
        holds(!ty.is_ref())?;
        self.replace(ty, ty)
    }

    #[inline(always)]
    fn local(&mut self, rule: Rule) -> Option<()> {
        let index = self.u32()?;
        let ty = *self.locals.get(index as usize)?;
        match rule {
            Rule::LocalSet => self.pop(ty)?,
            Rule::LocalTee => self.replace(ty, ty)?,
            _ => self.operands.push(ty),
        }
        Some(())
    }

    fn global(&mut self, rule: Rule) -> Option<()> {
        let index = self.u32()?;
        let global = self.declared.globals.get(index as usize)?;
        match rule {
            Rule::GlobalSet => {
                holds(global.mutable)?;
                self.pop(global.content)?;
            }
            _ => self.operands.push(global.content),
        }
        Some(())
    }

    /// An access of memory 0 that is aligned to no more than its size.
    #[inline(always)]
    fn access(&mut self, align_max: u8) -> Option<()> {
        let align = self.byte()?;
        holds(align <= align_max && self.declared.memories > 0)?;
        self.u32().map(drop)
    }

    fn first_memory(&mut self) -> Option<()> {
        holds(self.byte()? == 0 && self.declared.memories > 0)
    }

    fn memory_size(&mut self, rule: Rule) -> Option<()> {
        self.first_memory()?;
        match rule {
            Rule::MemoryGrow => self.replace(I32, I32),
            _ => {
                self.operands.push(I32);
                Some(())
            }
        }
    }

    fn prefixed(&mut self) -> Option<()> {
        match self.byte()? {
            0..=1 => self.replace(F32, I32),
            2..=3 => self.replace(F64, I32),
            4..=5 => self.replace(F32, I64),
            6..=7 => self.replace(F64, I64),
            // Both memories of a copy, and the one that is filled.
            operator @ 10..=11 => {
                for _ in operator..=11 {
                    self.first_memory()?;
                }
                self.pop_all(&[I32, I32, I32])
            }
            _ => None,
        }
    }
}

/// The type of a value that is no reference.
fn value_type(byte: u8) -> Option<ValType> {
    Some(match byte {
        0x7f => I32,
        0x7e => I64,
        0x7d => F32,
        0x7c => F64,
        0x7b => ValType::V128,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::{FEATURES, ModuleInfo, ModuleOptions, decode};
    use wasmparser::{
        BinaryReader, FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser, ValidPayload,
        Validator, ValidatorResources,
    };

    /// A module, and what the library validates its functions by.
    struct Subject {
        info: ModuleInfo,
        functions: Vec<FuncToValidate<ValidatorResources>>,
        allocations: FuncValidatorAllocations,
        memory: Memory,
    }

    impl Subject {
        fn new(bytes: &[u8]) -> Subject {
            let mut validator = Validator::new_with_features(FEATURES);
            let mut functions = Vec::new();
            for payload in Parser::new(0).parse_all(bytes) {
                let payload = payload.unwrap();
                if let ValidPayload::Func(function, _) = validator.payload(&payload).unwrap() {
                    functions.push(function);
                }
            }
            Subject {
                info: decode(bytes.to_vec(), ModuleOptions::default()).unwrap(),
                functions,
                allocations: FuncValidatorAllocations::default(),
                memory: Memory::default(),
            }
        }

        fn body(&self, own: usize) -> Vec<u8> {
            self.info.bodies[own].of(&self.info.bytes).to_vec()
        }

        fn is_known(&mut self, own: usize, body: &[u8]) -> bool {
            let ty = self.functions[own].ty;
            self.memory.is_valid(self.info.declared(), ty, body)
        }

        fn is_valid(&mut self, own: usize, body: &[u8]) -> bool {
            let function = &self.functions[own];
            let function = FuncToValidate {
                resources: function.resources.clone(),
                ..*function
            };
            let allocations = std::mem::take(&mut self.allocations);
            let mut validator = function.into_validator(allocations);
            let reader = BinaryReader::new_features(body, 0, FEATURES);
            let verdict = validator.validate(&FunctionBody::new(reader));
            self.allocations = validator.into_allocations();
            verdict.is_ok()
        }
    }

    fn modules() -> Vec<Vec<u8>> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let files = ["examples/words.wasm", "programs/kernels/sha256.wasm"];
        let mut modules: Vec<_> = files
            .iter()
            .map(|file| std::fs::read(format!("{root}/{file}")).unwrap())
            .collect();
        modules.push(wat::parse_str(EVERYTHING).unwrap());
        modules
    }

    /// What compiled programs have little of.
    const EVERYTHING: &str = r#"(module
        (type $pair (func (param i32 i64) (result i64 i32)))
        (import "m" "f" (func $import (param f32) (result f64)))
        (table 4 funcref) (table 4 externref) (memory 1 4)
        (global $g (mut f32) (f32.const 1)) (global $c i64 (i64.const -5))
        (func $swap (type $pair) (local.get 1) (local.get 0))
        (func (param i32) (result i32) (local f64 i64 f32)
            (block (result i32)
                (loop (local.get 0) (br_if 0 (i32.eqz (local.tee 0 (i32.sub (i32.const 1))))))
                (br_table 0 1 0 (i32.const 7) (local.get 0))))
        (func (param i32 i64) (result i64)
            (local.get 0) (local.get 1) (call_indirect (type $pair) (local.get 0)) (drop) (drop)
            (if (result i64) (i32.const 1) (then (unreachable)) (else (return (i64.const 3)))))
        (func (param i32 i64) (result i64 i32)
            (local.get 0) (local.get 1) (block (type $pair) (call $swap)))
        (func (param f64) (result i32)
            (global.set $g (f32.demote_f64 (select (local.get 0) (f64.const 2) (i32.const 0))))
            (memory.copy (i32.const 0) (i32.const 8) (i32.const 8))
            (memory.fill (i32.const 0) (i32.const 8) (i32.const 8))
            (i64.store offset=300 (i32.const 70000) (i64.extend_i32_s (memory.size)))
            (i64.store32 align=1 (i32.const -70000) (i64.trunc_sat_f32_u (global.get $g)))
            (drop (memory.grow (i32.wrap_i64 (global.get $c))))
            (drop (call $import (f32.reinterpret_i32 (i32.load16_s (i32.const 4)))))
            (if (result i32) (i64.eqz (i64.const 0x7fffffffffffffff))
                (then (i32.const 0x80000000)) (else (i32.const 0x7fffffff))))
    )"#;

    #[test]
    fn nearly_all_functions_are_known_to_be_valid() {
        for module in modules() {
            let mut subject = Subject::new(&module);
            let functions = subject.functions.len();
            let known = (0..functions).filter(|&own| {
                let body = subject.body(own);
                subject.is_known(own, &body)
            });
            let known = known.count();
            assert!(known * 100 >= functions * 95, "{known} of {functions}");
        }
    }

    /// Bodies with bytes that were changed, left out, put in or copied from elsewhere: most are invalid, and none of those may
    /// be said to be valid.
    #[test]
    fn what_is_known_to_be_valid_is() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below
        };
        let (mut known, mut declined) = (0, 0);
        for module in modules() {
            let mut subject = Subject::new(&module);
            for _ in 0..60_000 {
                let own = random(subject.functions.len());
                let original = subject.body(own);
                let mut body = original.clone();
                for _ in 0..=random(3) {
                    let at = random(body.len());
                    match random(4) {
                        0 => body[at] = random(256) as u8,
                        1 => body[at] ^= 1 << random(8),
                        2 => body.insert(at, original[random(original.len())]),
                        _ if body.len() > 1 => drop(body.remove(at)),
                        _ => {}
                    }
                }
                match subject.is_known(own, &body) {
                    true => {
                        known += 1;
                        assert!(subject.is_valid(own, &body), "function {own}: {body:x?}");
                    }
                    false => declined += 1,
                }
            }
        }
        // Neither answer is rare, or this would say little.
        assert!(known > 10_000 && declined > 10_000, "{known}, {declined}");
    }
}
