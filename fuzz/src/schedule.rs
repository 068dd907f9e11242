//! Random tier schedules and calls for a module.

use crate::case::{Call, Deopt, Promotion, Schedule, Stress};
use crate::random::Random;
use crate::value::{Type, Value};
use wasmparser::{ExternalKind, Parser, Payload, ValType};

/// What of a module decides how it can be called.
#[derive(Debug, Default)]
pub struct Shape {
    /// Exported functions with the types of their parameters.
    pub exports: Vec<(String, Vec<Type>)>,
    /// How many functions the module has of its own.
    pub own_functions: u32,
}

/// The shape of a module that `wasmparser` can read; what it cannot read is left out.
pub fn shape(module: &[u8]) -> Shape {
    let mut shape = Shape::default();
    let (mut types, mut functions) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload {
            Ok(Payload::TypeSection(reader)) => {
                types.extend(reader.into_iter_err_on_gc_types().flatten());
            }
            Ok(Payload::ImportSection(reader)) => {
                for import in reader.into_imports().flatten() {
                    if let wasmparser::TypeRef::Func(ty) = import.ty {
                        functions.push(ty);
                    }
                }
            }
            Ok(Payload::FunctionSection(reader)) => {
                let own: Vec<u32> = reader.into_iter().flatten().collect();
                shape.own_functions = own.len() as u32;
                functions.extend(own);
            }
            Ok(Payload::ExportSection(reader)) => {
                for export in reader.into_iter().flatten() {
                    if export.kind != ExternalKind::Func {
                        continue;
                    }
                    let ty = functions.get(export.index as usize);
                    let ty = ty.and_then(|&ty| types.get(ty as usize));
                    let params = ty.map(|ty| ty.params().iter().map(|&ty| type_of(ty)).collect());
                    if let Some(params) = params {
                        shape.exports.push((export.name.to_owned(), params));
                    }
                }
            }
            _ => {}
        }
    }
    shape
}

fn type_of(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::Ref(ty) if ty == wasmparser::RefType::EXTERNREF => Type::Extern,
        ValType::Ref(_) => Type::Func,
    }
}

/// An argument of that type.
pub fn argument(random: &mut Random, ty: Type) -> Value {
    match ty {
        Type::F32 => Value::F32(random.float32()),
        Type::F64 => Value::F64(random.float64()),
        other => Value::from_bits(other, random.integer()),
    }
}

/// A sequence of at most `count` calls: rounds over all exports, so that each gets hot.
pub fn calls(random: &mut Random, shape: &Shape, count: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    if shape.exports.is_empty() {
        return calls;
    }
    while calls.len() < count {
        // Mostly in turn; sometimes one function again and again.
        let (export, params) = match random.one_in(3) {
            true => random.pick(&shape.exports),
            false => &shape.exports[calls.len() % shape.exports.len()],
        };
        let repeat = if random.one_in(8) { 4 } else { 1 };
        for _ in 0..repeat {
            calls.push(Call {
                export: export.clone(),
                arguments: params.iter().map(|&ty| argument(random, ty)).collect(),
            });
        }
    }
    calls
}

/// Two schedules: one tier alone, and tiers that change, sometimes in a stress test.
pub fn schedules(random: &mut Random, shape: &Shape, calls: usize) -> Vec<Schedule> {
    let alone = Schedule {
        tiers: vec![random.below(2)],
        thresholds: (1, 1),
        workers: None,
        interruptible: random.one_in(2),
        inline_all: random.one_in(2),
        promotions: Vec::new(),
        stress: None,
        deopt: None,
        transitions: None,
        llvm: false,
    };
    let kind = random.below(3);
    let (period, seed) = (random.between(1, 6) as u32, random.below(1000) as u64 + 1);
    let flip = random.one_in(2);
    let stress = (kind == 0).then_some(Stress { period, seed, flip });
    let deopt = (kind == 1).then_some(Deopt { period, seed });
    let background = random.one_in(3);
    let tiers = if random.one_in(4) {
        vec![0, 1, 2]
    } else {
        vec![0, 1]
    };
    let first = random.between(1, 8) as u32;
    let asked = if random.one_in(3) { random.below(6) } else { 0 };
    let promotion = |_| Promotion {
        before_call: random.below(calls.max(1)),
        function: random.below(shape.own_functions.max(1) as usize) as u32,
        tier: *random.pick(&tiers),
    };
    let mut promotions: Vec<Promotion> = (0..asked).map(promotion).collect();
    promotions.sort_by_key(|promotion| promotion.before_call);
    let thresholds = match asked {
        0 => (first, first + random.below(8) as u32),
        _ => (u32::MAX, u32::MAX),
    };
    let mixed = Schedule {
        thresholds,
        workers: background.then(|| random.between(1, 2)),
        interruptible: random.one_in(2),
        inline_all: random.one_in(2),
        promotions,
        stress,
        deopt,
        transitions: None,
        llvm: false,
        tiers,
    };
    vec![alone, mixed]
}
