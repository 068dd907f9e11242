//! Runs CLIF functions in Cranelift's interpreter and in tiers 0, 1 and both.

use crate::case::ClifCase;
use crate::verdict::{Counts, Verdict};
use cranelift_codegen::data_value::DataValue;
use cranelift_codegen::ir::{Function, TrapCode};
use cranelift_interpreter::environment::FunctionStore;
use cranelift_interpreter::interpreter::{Interpreter, InterpreterError, InterpreterState};
use cranelift_interpreter::step::{ControlFlow, CraneliftTrap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use upshift::{Backend, Config, Engine, InliningMode, ModuleBuilder, Tier, TrapKind};

/// Instructions that the interpreter may execute in one call.
const FUEL: u64 = 200_000;

type Answer = Result<u64, TrapKind>;

/// Runs a case.
pub fn run(case: &ClifCase, counts: &mut Counts) -> Verdict {
    let functions = match cranelift_reader::parse_functions(&case.text) {
        Ok(functions) => functions,
        Err(error) => return Verdict::Skipped(format!("the CLIF cannot be read: {error}")),
    };
    let expected = match interpret(case, &functions) {
        Ok(expected) => expected,
        Err(reason) => return Verdict::Skipped(reason),
    };
    counts.calls += expected.len() as u64;
    for kind in expected.iter().filter_map(|answer| answer.as_ref().err()) {
        counts.add_trap(kind);
    }
    let setups = [
        ("tier 0", Config::default().only_tier(Tier::Baseline)),
        (
            "tier 0 by Cranelift",
            Config::default()
                .backend(Tier::Baseline, Backend::CraneliftNone)
                .only_tier(Tier::Baseline),
        ),
        ("tier 1", Config::default().only_tier(Tier::Optimizing)),
        (
            "tier 1, all inlined",
            Config::default()
                .only_tier(Tier::Optimizing)
                .inlining(InliningMode::Stress),
        ),
        (
            "moving at every loop header",
            Config::default()
                .backend(Tier::Top, Backend::CraneliftSpeed)
                .stress_osr(1),
        ),
        (
            "moving at every third loop header",
            Config::default().stress_osr(3),
        ),
        (
            "mixed",
            Config::default()
                .thresholds(case.threshold, u32::MAX)
                .synchronous(true),
        ),
    ];
    for (name, config) in setups {
        counts.runs += 1;
        let actual = match compile_and_run(case, &functions, config, counts) {
            Ok(actual) => actual,
            Err(error) => return Verdict::Mismatch(format!("{name}: {error}")),
        };
        for (index, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
            if expected != actual {
                let reason = format!("{name}, call {index}: expected {expected:?}, got {actual:?}");
                return Verdict::Mismatch(reason);
            }
        }
    }
    Verdict::Agreed
}

fn interpret(case: &ClifCase, functions: &[Function]) -> Result<Vec<Answer>, String> {
    let mut store = FunctionStore::default();
    for function in functions {
        store.add(function.name.to_string(), function);
    }
    let first = functions
        .first()
        .ok_or("there is no function")?
        .name
        .to_string();
    let call = |&(a, b, c, d): &(u64, u64, u32, u32)| -> Result<Answer, String> {
        let arguments = [
            DataValue::I64(a as i64),
            DataValue::I64(b as i64),
            DataValue::I32(c as i32),
            DataValue::I32(d as i32),
        ];
        let state = InterpreterState::default().with_function_store(store.clone());
        let mut interpreter = Interpreter::new(state).with_fuel(Some(FUEL));
        // The interpreter panics at what it does not know.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            interpreter.call_by_name(&first, &arguments)
        }));
        let outcome = outcome.map_err(|_| "the interpreter panicked".to_owned())?;
        answer(outcome)
    };
    case.calls.iter().map(call).collect()
}

fn answer(outcome: Result<ControlFlow<'_>, InterpreterError>) -> Result<Answer, String> {
    match outcome {
        Ok(ControlFlow::Return(values)) => match values.first() {
            Some(DataValue::I64(value)) => Ok(Ok(*value as u64)),
            other => Err(format!("the interpreter returned {other:?}")),
        },
        Ok(ControlFlow::Trap(CraneliftTrap::User(code))) => Ok(Err(kind(code))),
        Ok(_) => Err("the interpreter stopped oddly".to_owned()),
        Err(error) => Err(format!("the interpreter gave up: {error}")),
    }
}

fn kind(code: TrapCode) -> TrapKind {
    TrapKind::from_code(code.as_raw().get())
}

fn compile_and_run(
    case: &ClifCase,
    functions: &[Function],
    config: Config,
    counts: &mut Counts,
) -> Result<Vec<Answer>, upshift::Error> {
    let engine = Engine::new(config.verify(true).code_memory_bytes(16 << 20))?;
    let mut builder = ModuleBuilder::new(&engine);
    let mut declared = Vec::new();
    for function in functions {
        declared.push(builder.declare(&function.name.to_string(), function.signature.clone()));
    }
    for (index, function) in declared.into_iter().zip(functions) {
        builder.define(index, function.clone())?;
    }
    let module = builder.finish()?;
    let first = functions[0].name.to_string();
    // SAFETY: the generator's functions touch no memory but their own stack slots, within bounds.
    let function = unsafe { module.typed::<(u64, u64, u32, u32), u64>(&first) }?;
    let call = |&arguments: &(u64, u64, u32, u32)| match function.call(arguments) {
        Ok(value) => Ok(Ok(value)),
        Err(error) => match error.trap() {
            Some(trap) => Ok(Err(trap.kind)),
            None => Err(error),
        },
    };
    let answers = case.calls.iter().map(call).collect();
    let statistics = engine.profile_statistics();
    for (count, tier) in counts.compiled.iter_mut().zip(&statistics.tiers) {
        *count += tier.compilations;
    }
    answers
}
