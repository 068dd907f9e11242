//! Upshift, run on a case by one of its schedules.

use crate::case::{Schedule, WasmCase};
use crate::host::{Answer, ENTRY, FUEL, Host};
use crate::llvm;
use crate::record::Record;
use crate::value::{Outcome, State, Stop, Type, Value, hash_memory};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use upshift::{Event, EventKind, Subscriber};
use upshift_wasm::{
    AsContext, AsContextMut, Caller, Config, Engine, Error, ErrorKind, Extern, ExternRef,
    ExternType, Func, FuncType, Global, Instance, Memory, Module, ModuleOptions, Store,
    StoreLimits, Table, Tier, TrapKind, Val, ValType,
};

/// How much came of a run, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// Functions that were compiled in tiers 0, 1 and 2.
    pub compiled: [u64; 3],
    /// Activations that moved to better code in a loop.
    pub moves: u64,
    /// Activations that went back to tier 0.
    pub deoptimizations: u64,
    /// Calls that were replaced by the callee's body.
    pub inlined: u64,
}

/// Counts the calls that are inlined.
#[derive(Debug, Default)]
struct Inlined(AtomicU64);

impl Subscriber for Inlined {
    fn event(&self, event: &Event) {
        if let EventKind::Compiled(compilation) = &event.kind {
            let count = compilation.inlined.len() as u64;
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// The engine for a schedule.
///
/// # Errors
/// If the machine refuses.
pub fn engine(
    schedule: &Schedule,
    subscriber: Arc<dyn Subscriber>,
) -> Result<Engine, upshift::Error> {
    let mut config = Config::default()
        .subscriber(subscriber)
        .canonical_nans(true)
        .verify(true)
        .stack_bytes(crate::limits::STACK_BYTES)
        .code_memory_bytes(64 << 20)
        .thresholds(schedule.thresholds.0, schedule.thresholds.1)
        .synchronous(schedule.workers.is_none())
        .workers(schedule.workers.unwrap_or(1));
    if let Some(stress) = schedule.stress {
        config = config.stress_random(stress.period, stress.seed, stress.flip);
    }
    if let Some(deopt) = schedule.deopt {
        config = config.stress_deopt(deopt.period, deopt.seed);
    }
    if let Some(transitions) = schedule.transitions {
        config = config.stress_transitions(transitions);
    }
    if schedule.inline_all {
        config = config.inlining(upshift::InliningMode::Stress);
    }
    for tier in Tier::ALL {
        let backend = match (schedule.tiers.contains(&tier.index()), tier) {
            (false, _) => upshift::Backend::Off,
            (true, Tier::Baseline) => upshift::Backend::CopyAndPatch,
            (true, Tier::Top) if schedule.llvm => llvm::backend(),
            (true, _) => upshift::Backend::CraneliftSpeed,
        };
        config = config.backend(tier, backend);
    }
    Engine::new(config)
}

/// Runs a case.
///
/// # Errors
/// What Upshift says about the module, if it refuses it, or about the machine.
pub fn run(case: &WasmCase, schedule: &Schedule) -> Result<(Record, Effort), String> {
    let inlined = Arc::new(Inlined::default());
    let engine = engine(schedule, inlined.clone()).map_err(|error| error.to_string())?;
    let options = ModuleOptions {
        interruptible: schedule.interruptible,
    };
    let module =
        Module::with_options(&engine, &case.module, options).map_err(|e| format!("{e:#}"))?;
    let host = Host {
        fails: case.host_fails,
        ..Host::default()
    };
    let mut store = Store::new(&engine, host);
    store.set_limits(
        StoreLimits::new()
            .memory_size(crate::limits::MEMORY_BYTES)
            .table_elements(crate::limits::TABLE_ELEMENTS),
    );
    let mut imports = Vec::new();
    for import in module.imports() {
        let item = define(&mut store, import.name(), import.ty()).map_err(|e| format!("{e:#}"))?;
        imports.push(item);
    }
    let record = match Instance::new(&mut store, &module, &imports) {
        Ok(instance) => {
            let calls = run_calls(&engine, &module, &mut store, instance, case, schedule);
            Record {
                instantiated: Outcome::Returned(Vec::new()),
                calls,
                state: observe(&store, instance),
                log: store.into_data().log,
            }
        }
        Err(error) => Record {
            instantiated: outcome_of(&error),
            calls: Vec::new(),
            state: State::default(),
            log: store.into_data().log,
        },
    };
    let statistics = engine.profile_statistics();
    let mut effort = Effort {
        compiled: [0; 3],
        moves: statistics.osr_entries,
        deoptimizations: statistics.deoptimizations,
        inlined: inlined.0.load(Ordering::Relaxed),
    };
    for tier in Tier::ALL {
        effort.compiled[tier.index()] = statistics.tiers[tier.index()].compilations;
    }
    Ok((record, effort))
}

fn run_calls(
    engine: &Engine,
    module: &Module,
    store: &mut Store<Host>,
    instance: Instance,
    case: &WasmCase,
    schedule: &Schedule,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (index, call) in case.calls.iter().enumerate() {
        for promotion in schedule
            .promotions
            .iter()
            .filter(|p| p.before_call == index)
        {
            let functions = module.functions().ok();
            let function = functions.and_then(|functions| {
                upshift::Function::new(functions.clone(), promotion.function)
            });
            if let (Some(function), Some(tier)) = (function, Tier::from_index(promotion.tier)) {
                // A tier that refuses a function is no mismatch: it runs on where it is.
                let _ = engine.optimize(&function, tier);
            }
        }
        set_fuel(store, instance);
        outcomes.push(run_call(store, instance, &call.export, &call.arguments));
    }
    outcomes
}

fn define(store: &mut Store<Host>, name: &str, ty: &ExternType) -> Result<Extern, Error> {
    Ok(match ty {
        ExternType::Func(ty) => function(store, name, ty)?.into(),
        ExternType::Global(ty) => {
            let value = Value::from_bits(type_of(ty.content), crate::limits::GLOBAL_BITS);
            let value = to_val(&mut *store, value)?;
            Global::new(store, *ty, value)?.into()
        }
        ExternType::Memory(ty) => Memory::new(store, *ty)?.into(),
        ExternType::Table(ty) => Table::new(store, *ty, Val::default_for(ty.element))?.into(),
    })
}

/// What the host does when it is told to fail.
#[derive(Debug)]
struct HostFails;

impl fmt::Display for HostFails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host fails")
    }
}

impl std::error::Error for HostFails {}

fn function(store: &mut Store<Host>, name: &str, ty: &FuncType) -> Result<Func, Error> {
    let name = name.to_owned();
    let results: Vec<Type> = ty.results().iter().map(|&ty| type_of(ty)).collect();
    Func::new(
        store,
        ty.clone(),
        move |mut caller: Caller<'_, Host>, params, out| {
            let arguments: Vec<Value> = params.iter().map(|val| from_val(&caller, val)).collect();
            let values = match caller.data_mut().call(&name, &arguments, &results) {
                Answer::Failure => return Err(Error::host(HostFails)),
                Answer::Results(values) => values,
                Answer::Reenter(argument) => {
                    caller.data_mut().reentries += 1;
                    let result = reenter(&mut caller, argument);
                    caller.data_mut().reentries -= 1;
                    vec![Value::I32(result?)]
                }
            };
            for (out, value) in out.iter_mut().zip(values) {
                *out = to_val(&mut caller, value)?;
            }
            Ok(())
        },
    )
}

fn reenter(caller: &mut Caller<'_, Host>, argument: u32) -> Result<u32, Error> {
    let entry = caller.get_export(ENTRY).and_then(Extern::into_func);
    let entry = entry.and_then(|entry| entry.typed::<u32, u32>(&*caller).ok());
    match entry {
        Some(entry) => entry.call(caller, argument),
        None => Ok(argument),
    }
}

fn set_fuel(store: &mut Store<Host>, instance: Instance) {
    if let Some(global) = instance.get_global(&*store, FUEL) {
        // A global of that name and of another kind is left as it is.
        let _ = global.set(store, Val::I32(crate::limits::FUEL as i32));
    }
}

fn run_call(
    store: &mut Store<Host>,
    instance: Instance,
    name: &str,
    arguments: &[Value],
) -> Outcome {
    let Some(function) = instance.get_func(&*store, name) else {
        return Outcome::Failed(format!("there is no function {name}"));
    };
    let params: Result<Vec<Val>, Error> = arguments
        .iter()
        .map(|&value| to_val(&mut *store, value))
        .collect();
    let ty = function.ty(&*store);
    let mut results: Vec<Val> = ty
        .results()
        .iter()
        .map(|&ty| Val::default_for(ty))
        .collect();
    let called = params.and_then(|params| function.call(&mut *store, &params, &mut results));
    match called {
        Ok(()) => Outcome::Returned(results.iter().map(|val| from_val(&*store, val)).collect()),
        Err(error) => outcome_of(&error),
    }
}

fn observe(store: &Store<Host>, instance: Instance) -> State {
    let mut state = State::default();
    for (name, item) in instance.exports(store) {
        match item {
            Extern::Global(global) => {
                let value = global.get(store);
                state.globals.push((name, from_val(store, &value)));
            }
            Extern::Memory(memory) => {
                let bytes = memory.data(store);
                state.memories.push((name, bytes.len(), hash_memory(bytes)));
            }
            Extern::Table(table) => {
                let element = |index| table.get(store, index).map(|item| from_val(store, &item));
                let elements = (0..table.size(store)).filter_map(element).collect();
                state.tables.push((name, elements));
            }
            Extern::Func(_) => {}
        }
    }
    state.globals.sort_by(|a, b| a.0.cmp(&b.0));
    state.memories.sort_by(|a, b| a.0.cmp(&b.0));
    state.tables.sort_by(|a, b| a.0.cmp(&b.0));
    state
}

fn outcome_of(error: &Error) -> Outcome {
    if error.is::<HostFails>() {
        return Outcome::Stopped(Stop::Host);
    }
    match error.trap().and_then(|trap| stop_of(trap.kind())) {
        Some(stop) => Outcome::Stopped(stop),
        None if error.kind() == ErrorKind::Link => Outcome::Failed(format!("link: {error}")),
        None => Outcome::Failed(error.to_string()),
    }
}

fn stop_of(kind: TrapKind) -> Option<Stop> {
    Some(match kind {
        TrapKind::Unreachable => Stop::Unreachable,
        TrapKind::MemoryOutOfBounds => Stop::Memory,
        TrapKind::TableOutOfBounds => Stop::Table,
        TrapKind::IndirectCallToNull => Stop::NullCall,
        TrapKind::BadSignature => Stop::Signature,
        TrapKind::IntegerDivisionByZero => Stop::DivisionByZero,
        TrapKind::IntegerOverflow => Stop::Overflow,
        TrapKind::BadConversionToInteger => Stop::Conversion,
        TrapKind::StackOverflow => Stop::Stack,
        _ => return None,
    })
}

fn type_of(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::FuncRef => Type::Func,
        ValType::ExternRef => Type::Extern,
    }
}

fn to_val(store: impl AsContextMut, value: Value) -> Result<Val, Error> {
    Ok(match value {
        Value::I32(value) => Val::I32(value as i32),
        Value::I64(value) => Val::I64(value as i64),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(low, high) => Val::V128(Value::join(low, high).into()),
        Value::Func(_) => Val::FuncRef(None),
        Value::Extern(None) => Val::ExternRef(None),
        Value::Extern(Some(number)) => Val::ExternRef(Some(ExternRef::new(store, number)?)),
    })
}

fn from_val(store: &impl AsContext, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value as u32),
        Val::I64(value) => Value::I64(*value as u64),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::V128(value) => Value::v128(value.as_u128()),
        Val::FuncRef(reference) => Value::Func(reference.is_some()),
        Val::ExternRef(reference) => Value::Extern(reference.map(|reference| {
            let number = reference.data(store.as_context()).downcast_ref::<u32>();
            number.copied().unwrap_or(u32::MAX)
        })),
    }
}
