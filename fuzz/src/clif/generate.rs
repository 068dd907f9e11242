//! Small CLIF functions: arithmetic, selects, branches, loops, loops with several ways in, cold blocks, stack slots, calls.

use crate::case::ClifCase;
use crate::random::Random;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, ExtFuncData, ExternalName, FuncRef, Function, InstBuilder, Signature,
    StackSlot, StackSlotData, StackSlotKind, TrapCode, Type, UserExternalName, UserFuncName, Value,
    types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Switch, Variable};
use upshift::embed::symbol;

const TYPES: [Type; 4] = [types::I64, types::I32, types::I16, types::I8];
const CONDITIONS: [IntCC; 10] = [
    IntCC::Equal,
    IntCC::NotEqual,
    IntCC::SignedLessThan,
    IntCC::SignedGreaterThanOrEqual,
    IntCC::SignedGreaterThan,
    IntCC::SignedLessThanOrEqual,
    IntCC::UnsignedLessThan,
    IntCC::UnsignedGreaterThanOrEqual,
    IntCC::UnsignedGreaterThan,
    IntCC::UnsignedLessThanOrEqual,
];
/// Bytes of a function's stack slot.
const SLOT_BYTES: i32 = 32;

/// A random case.
pub fn case(random: &mut Random) -> ClifCase {
    let count = random.between(1, 3);
    let texts: Vec<String> = (0..count)
        .map(|index| function(random, index, count))
        .collect();
    let calls = (0..random.between(4, 12))
        .map(|_| {
            let (a, b) = (random.integer(), random.integer());
            (a, b, random.integer() as u32, random.integer() as u32)
        })
        .collect();
    ClifCase {
        text: texts.join("\n"),
        calls,
        threshold: random.between(1, 6) as u32,
    }
}

/// The one signature that all functions have.
pub fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    for ty in [types::I64, types::I64, types::I32, types::I32] {
        signature.params.push(AbiParam::new(ty));
    }
    signature.returns.push(AbiParam::new(types::I64));
    signature
}

fn function(random: &mut Random, index: usize, count: usize) -> String {
    let name = UserFuncName::user(symbol::FUNCTION, index as u32);
    let mut body = Function::with_name_signature(name, signature());
    let mut context = FunctionBuilderContext::new();
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, SLOT_BYTES as u32, 4);
    let mut builder = FunctionBuilder::new(&mut body, &mut context);
    // Only functions without stack slots move in the middle of a loop.
    let slot = random
        .one_in(3)
        .then(|| builder.create_sized_stack_slot(slot));
    let callee = (index + 1 < count).then(|| {
        let called = UserExternalName::new(
            symbol::FUNCTION,
            random.between(index + 1, count - 1) as u32,
        );
        let name = builder.func.declare_imported_user_function(called);
        let signature = builder.import_signature(signature());
        builder.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated: false,
            patchable: false,
        })
    });
    let mut writer = Writer {
        random,
        builder,
        variables: Vec::new(),
        slot,
        callee,
    };
    writer.begin();
    let statements = writer.random.between(2, 10);
    writer.statements(statements, 3);
    let mut result = writer.expr(types::I64, 3);
    for &(variable, ty) in &writer.variables.clone() {
        let value = writer.builder.use_var(variable);
        let value = writer.convert(value, ty, types::I64);
        result = writer.builder.ins().bxor(result, value);
    }
    writer.builder.ins().return_(&[result]);
    writer.builder.seal_all_blocks();
    writer.builder.finalize(symbol::frontend_config());
    body.display().to_string()
}

struct Writer<'a> {
    random: &'a mut Random,
    builder: FunctionBuilder<'a>,
    variables: Vec<(Variable, Type)>,
    slot: Option<StackSlot>,
    callee: Option<FuncRef>,
}

impl Writer<'_> {
    /// The entry block: variables from the parameters and constants, and zeros in the slot, if there is one.
    fn begin(&mut self) {
        let entry = self.builder.create_block();
        self.builder.append_block_params_for_function_params(entry);
        self.builder.switch_to_block(entry);
        let params = self.builder.block_params(entry).to_vec();
        for (value, ty) in params
            .into_iter()
            .zip([types::I64, types::I64, types::I32, types::I32])
        {
            self.variable(ty, value);
        }
        for ty in TYPES {
            let number = self.random.integer();
            let value = self.constant(ty, number);
            self.variable(ty, value);
        }
        let Some(slot) = self.slot else { return };
        let zero = self.constant(types::I64, 0);
        for offset in (0..SLOT_BYTES).step_by(8) {
            self.builder
                .ins()
                .stack_store(types::I64, zero, slot, offset);
        }
    }

    fn variable(&mut self, ty: Type, value: Value) {
        let variable = self.builder.declare_var(ty);
        self.builder.def_var(variable, value);
        self.variables.push((variable, ty));
    }

    fn constant(&mut self, ty: Type, number: u64) -> Value {
        // A constant is written with its bits above the type's width clear.
        let bits = ty.bits();
        let number = if bits == 64 {
            number
        } else {
            number & ((1 << bits) - 1)
        };
        self.builder.ins().iconst(ty, number as i64)
    }

    fn convert(&mut self, value: Value, from: Type, to: Type) -> Value {
        let signed = self.random.one_in(2);
        match from.bits().cmp(&to.bits()) {
            std::cmp::Ordering::Equal => value,
            std::cmp::Ordering::Greater => self.builder.ins().ireduce(to, value),
            std::cmp::Ordering::Less if signed => self.builder.ins().sextend(to, value),
            std::cmp::Ordering::Less => self.builder.ins().uextend(to, value),
        }
    }

    fn expr(&mut self, ty: Type, depth: usize) -> Value {
        if depth == 0 || self.random.one_in(5) {
            if self.random.one_in(4) {
                let number = self.random.integer();
                return self.constant(ty, number);
            }
            let (variable, of) = *self.random.pick(&self.variables);
            let value = self.builder.use_var(variable);
            return self.convert(value, of, ty);
        }
        match self.random.below(10) {
            0 => self.unary(ty, depth),
            1 => {
                let condition = self.condition(depth - 1);
                let (a, b) = (self.expr(ty, depth - 1), self.expr(ty, depth - 1));
                self.builder.ins().select(condition, a, b)
            }
            2 => self.divide(ty, depth),
            3 => {
                let of = *self.random.pick(&TYPES);
                let value = self.expr(of, depth - 1);
                self.convert(value, of, ty)
            }
            4 => {
                let Some(slot) = self.slot else {
                    return self.binary(ty, depth);
                };
                let offset = self
                    .random
                    .below((SLOT_BYTES - ty.bytes() as i32) as usize + 1)
                    as i32;
                self.builder.ins().stack_load(types::I64, ty, slot, offset)
            }
            5 => {
                let condition = self.condition(depth - 1);
                self.convert(condition, types::I8, ty)
            }
            _ => self.binary(ty, depth),
        }
    }

    fn unary(&mut self, ty: Type, depth: usize) -> Value {
        let value = self.expr(ty, depth - 1);
        let which = self.random.below(6);
        let ins = self.builder.ins();
        match which {
            0 => ins.ineg(value),
            1 => ins.bnot(value),
            2 => ins.clz(value),
            3 => ins.ctz(value),
            4 => ins.popcnt(value),
            _ => ins.iabs(value),
        }
    }

    fn binary(&mut self, ty: Type, depth: usize) -> Value {
        let (a, b) = (self.expr(ty, depth - 1), self.expr(ty, depth - 1));
        let which = self.random.below(18);
        let ins = self.builder.ins();
        match which {
            0 | 1 => ins.iadd(a, b),
            2 | 3 => ins.isub(a, b),
            4 => ins.imul(a, b),
            5 => ins.band(a, b),
            6 => ins.bor(a, b),
            7 => ins.bxor(a, b),
            8 => ins.ishl(a, b),
            9 => ins.ushr(a, b),
            10 => ins.sshr(a, b),
            11 => ins.rotl(a, b),
            12 => ins.rotr(a, b),
            13 => ins.smin(a, b),
            14 => ins.umax(a, b),
            15 => ins.band_not(a, b),
            16 => ins.smax(a, b),
            _ => ins.umin(a, b),
        }
    }

    /// A division. The interpreter says that the smallest number modulo -1 overflows, so divisors are never negative.
    fn divide(&mut self, ty: Type, depth: usize) -> Value {
        let (a, mut b) = (self.expr(ty, depth - 1), self.expr(ty, depth - 1));
        let positive = self.constant(ty, u64::MAX >> (65 - ty.bits()));
        b = self.builder.ins().band(b, positive);
        if !self.random.one_in(10) {
            let one = self.constant(ty, 1);
            b = self.builder.ins().bor(b, one);
        }
        let which = self.random.below(4);
        let ins = self.builder.ins();
        match which {
            0 => ins.sdiv(a, b),
            1 => ins.udiv(a, b),
            2 => ins.srem(a, b),
            _ => ins.urem(a, b),
        }
    }

    /// 0 or 1 in eight bits.
    fn condition(&mut self, depth: usize) -> Value {
        let ty = *self.random.pick(&TYPES);
        let (a, b) = (self.expr(ty, depth.min(2)), self.expr(ty, depth.min(2)));
        let condition = *self.random.pick(&CONDITIONS);
        self.builder.ins().icmp(condition, a, b)
    }

    fn statements(&mut self, count: usize, depth: usize) {
        for _ in 0..count {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        match self.random.below(if depth == 0 { 6 } else { 11 }) {
            0..=2 => self.assign(),
            3 => {
                let Some(slot) = self.slot else {
                    return self.assign();
                };
                let ty = *self.random.pick(&TYPES);
                let value = self.expr(ty, 2);
                let offset = self
                    .random
                    .below((SLOT_BYTES - ty.bytes() as i32) as usize + 1)
                    as i32;
                self.builder
                    .ins()
                    .stack_store(types::I64, value, slot, offset);
            }
            4 => self.call(),
            5 => {
                if self.random.one_in(6) {
                    let condition = self.condition(2);
                    self.builder
                        .ins()
                        .trapnz(condition, TrapCode::unwrap_user(1));
                }
            }
            6 | 7 => self.if_else(depth),
            8 => self.counted_loop(depth),
            9 => self.tangle(depth),
            _ => self.switch(depth),
        }
    }

    fn assign(&mut self) {
        let (variable, ty) = *self.random.pick(&self.variables);
        let value = self.expr(ty, 3);
        self.builder.def_var(variable, value);
    }

    fn call(&mut self) {
        let Some(callee) = self.callee else {
            return self.assign();
        };
        let arguments = [types::I64, types::I64, types::I32, types::I32].map(|ty| self.expr(ty, 1));
        let call = self.builder.ins().call(callee, &arguments);
        let result = self.builder.inst_results(call)[0];
        let (variable, ty) = *self.random.pick(&self.variables);
        let value = self.convert(result, types::I64, ty);
        self.builder.def_var(variable, value);
    }

    fn if_else(&mut self, depth: usize) {
        let condition = self.condition(2);
        let blocks: Vec<Block> = (0..3).map(|_| self.builder.create_block()).collect();
        self.builder
            .ins()
            .brif(condition, blocks[0], &[], blocks[1], &[]);
        for &block in &blocks[..2] {
            self.builder.switch_to_block(block);
            self.may_be_cold(block);
            let count = self.random.below(3);
            self.statements(count, depth - 1);
            self.builder.ins().jump(blocks[2], &[]);
        }
        self.builder.switch_to_block(blocks[2]);
    }

    /// A loop whose counter no other statement can set.
    fn counted_loop(&mut self, depth: usize) {
        let counter = self.builder.declare_var(types::I32);
        let start = self.constant(types::I32, 0);
        self.builder.def_var(counter, start);
        let (head, exit) = (self.builder.create_block(), self.builder.create_block());
        self.builder.ins().jump(head, &[]);
        self.builder.switch_to_block(head);
        let count = self.random.between(1, 3);
        self.statements(count, depth - 1);
        let value = self.builder.use_var(counter);
        let (variable, ty) = *self.random.pick(&self.variables);
        let mixed = self.convert(value, types::I32, ty);
        let old = self.builder.use_var(variable);
        let sum = self.builder.ins().iadd(old, mixed);
        self.builder.def_var(variable, sum);
        let one = self.constant(types::I32, 1);
        let next = self.builder.ins().iadd(value, one);
        self.builder.def_var(counter, next);
        let trips = self.random.between(1, 12) as u64;
        let trips = self.constant(types::I32, trips);
        let again = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedLessThan, next, trips);
        self.builder.ins().brif(again, head, &[], exit, &[]);
        self.builder.switch_to_block(exit);
    }

    fn may_be_cold(&mut self, block: Block) {
        if self.random.one_in(6) {
            self.builder.set_cold_block(block);
        }
    }

    /// Blocks that lead to one another in any way, and can be entered at each of them, until a counter ends it: as continuations
    /// have loops with many ways in.
    fn tangle(&mut self, depth: usize) {
        let fuel = self.builder.declare_var(types::I32);
        let steps = self.random.between(1, 20) as u64;
        let steps = self.constant(types::I32, steps);
        self.builder.def_var(fuel, steps);
        let count = self.random.between(2, 5);
        let blocks: Vec<Block> = (0..count).map(|_| self.builder.create_block()).collect();
        let exit = self.builder.create_block();
        let index = self.expr(types::I32, 2);
        let mut switch = Switch::new();
        for (number, &block) in blocks.iter().enumerate().skip(1) {
            switch.set_entry(number as u128, block);
        }
        switch.emit(&mut self.builder, index, blocks[0]);
        for &block in &blocks {
            self.builder.switch_to_block(block);
            self.may_be_cold(block);
            let count = self.random.below(3);
            self.statements(count, depth - 1);
            let value = self.builder.use_var(fuel);
            let one = self.constant(types::I32, 1);
            let left = self.builder.ins().isub(value, one);
            self.builder.def_var(fuel, left);
            let on = self.builder.create_block();
            self.builder.ins().brif(left, on, &[], exit, &[]);
            self.builder.switch_to_block(on);
            let condition = self.condition(2);
            let (then, other) = (*self.random.pick(&blocks), *self.random.pick(&blocks));
            self.builder.ins().brif(condition, then, &[], other, &[]);
        }
        self.builder.switch_to_block(exit);
    }

    fn switch(&mut self, depth: usize) {
        let arms: Vec<Block> = (0..self.random.between(1, 4))
            .map(|_| self.builder.create_block())
            .collect();
        let (default, join) = (self.builder.create_block(), self.builder.create_block());
        let index = self.expr(types::I32, 2);
        let mut switch = Switch::new();
        for (number, &block) in arms.iter().enumerate() {
            switch.set_entry(number as u128, block);
        }
        switch.emit(&mut self.builder, index, default);
        for block in arms.into_iter().chain([default]) {
            self.builder.switch_to_block(block);
            let count = self.random.below(2);
            self.statements(count, depth - 1);
            self.builder.ins().jump(join, &[]);
        }
        self.builder.switch_to_block(join);
    }
}
