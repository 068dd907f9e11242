//! wasmtime with Cranelift: the same compiler as our tier 1, behind another front end and another runtime.
//!
//! It takes minutes to build, so it is there only with the feature `wasmtime`.

use crate::case::WasmCase;
use crate::host::{Answer, ENTRY, FUEL, Host};
use crate::limits;
use crate::record::Record;
use crate::value::{Outcome, State, Stop, Type, Value, hash_memory};
use std::fmt;
use wasmtime::{
    Caller, Config, Engine, Error, Extern, ExternRef, ExternType, Func, FuncType, Global, Instance,
    Memory, Module, Ref, Result, Store, StoreLimits, StoreLimitsBuilder, Table, Trap, Val, ValType,
};

struct Data {
    host: Host,
    limits: StoreLimits,
}

/// What a host function that fails says, so that it can be told from traps.
#[derive(Debug)]
struct HostFailure;

impl fmt::Display for HostFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host fails")
    }
}

impl std::error::Error for HostFailure {}

/// Runs a case. `Err` if the module is beyond what this engine can do.
///
/// # Errors
/// What the engine says about the module.
pub fn run(case: &WasmCase) -> std::result::Result<Record, String> {
    record(case).map_err(|error| format!("{error:#}"))
}

/// Whether this engine can be had at all. When not, every module would count as beyond it.
///
/// # Errors
/// What the engine says about its configuration.
pub fn check() -> std::result::Result<(), String> {
    engine().map(drop).map_err(|error| format!("{error:#}"))
}

fn record(case: &WasmCase) -> Result<Record> {
    let engine = engine()?;
    let module = Module::new(&engine, &case.module)?;
    let host = Host {
        fails: case.host_fails,
        ..Host::default()
    };
    let limits = StoreLimitsBuilder::new()
        .memory_size(limits::MEMORY_BYTES)
        .table_elements(limits::TABLE_ELEMENTS)
        .build();
    let mut store = Store::new(&engine, Data { host, limits });
    store.limiter(|data| &mut data.limits);
    let mut imports = Vec::new();
    for import in module.imports() {
        imports.push(define(&mut store, import.name(), &import.ty())?);
    }
    let instance = match Instance::new(&mut store, &module, &imports) {
        Ok(instance) => instance,
        Err(error) => {
            return Ok(Record {
                instantiated: outcome_of(&error),
                calls: Vec::new(),
                state: State::default(),
                log: store.into_data().host.log,
            });
        }
    };
    let mut calls = Vec::new();
    for call in &case.calls {
        set_fuel(&mut store, instance);
        let outcome = run_call(&mut store, instance, &call.export, &call.arguments);
        calls.push(outcome.unwrap_or_else(|error| outcome_of(&error)));
    }
    let state = observe(&mut store, instance)?;
    Ok(Record {
        instantiated: Outcome::Returned(Vec::new()),
        calls,
        state,
        log: store.into_data().host.log,
    })
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.cranelift_nan_canonicalization(true);
    config.max_wasm_stack(limits::ORACLE_STACK_BYTES);
    // Nothing here is asynchronous, but no stack may be larger than the stacks of what is.
    config.async_stack_size(limits::ORACLE_STACK_BYTES);
    config.wasm_relaxed_simd(false);
    Engine::new(&config)
}

fn define(store: &mut Store<Data>, name: &str, ty: &ExternType) -> Result<Extern> {
    Ok(match ty {
        ExternType::Func(ty) => Extern::Func(function(store, name, ty)),
        ExternType::Global(ty) => {
            let value = Value::from_bits(type_of(ty.content())?, limits::GLOBAL_BITS);
            let value = to_val(&mut *store, value)?;
            Extern::Global(Global::new(store, ty.clone(), value)?)
        }
        ExternType::Memory(ty) => Extern::Memory(Memory::new(store, ty.clone())?),
        ExternType::Table(ty) => {
            let null = Ref::null(ty.element().heap_type());
            Extern::Table(Table::new(store, ty.clone(), null)?)
        }
        other => return Err(Error::msg(format!("an import of type {other:?}"))),
    })
}

fn function(store: &mut Store<Data>, name: &str, ty: &FuncType) -> Func {
    let name = name.to_owned();
    let results: Vec<ValType> = ty.results().collect();
    let call = move |mut caller: Caller<'_, Data>, params: &[Val], out: &mut [Val]| {
        let mut arguments = Vec::new();
        for param in params {
            arguments.push(from_val(&mut caller, param)?);
        }
        let types = results.iter().map(type_of).collect::<Result<Vec<Type>>>()?;
        let values = match caller.data_mut().host.call(&name, &arguments, &types) {
            Answer::Failure => return Err(Error::new(HostFailure)),
            Answer::Results(values) => values,
            Answer::Reenter(argument) => {
                caller.data_mut().host.reentries += 1;
                let result = reenter(&mut caller, argument);
                caller.data_mut().host.reentries -= 1;
                vec![Value::I32(result?)]
            }
        };
        for (out, value) in out.iter_mut().zip(values) {
            *out = to_val(&mut caller, value)?;
        }
        Ok(())
    };
    Func::new(store, ty.clone(), call)
}

fn reenter(caller: &mut Caller<'_, Data>, argument: u32) -> Result<u32> {
    let entry = caller.get_export(ENTRY).and_then(Extern::into_func);
    let entry = entry.and_then(|entry| entry.typed::<u32, u32>(&*caller).ok());
    match entry {
        Some(entry) => entry.call(caller, argument),
        None => Ok(argument),
    }
}

fn set_fuel(store: &mut Store<Data>, instance: Instance) {
    if let Some(global) = instance.get_global(&mut *store, FUEL) {
        // A global of that name and of another kind is left as it is.
        let _ = global.set(store, Val::I32(limits::FUEL as i32));
    }
}

fn run_call(
    store: &mut Store<Data>,
    instance: Instance,
    name: &str,
    arguments: &[Value],
) -> Result<Outcome> {
    let Some(function) = instance.get_func(&mut *store, name) else {
        return Ok(Outcome::Failed(format!("there is no function {name}")));
    };
    let mut params = Vec::new();
    for &argument in arguments {
        params.push(to_val(&mut *store, argument)?);
    }
    let count = function.ty(&*store).results().len();
    let mut results = vec![Val::I32(0); count];
    function.call(&mut *store, &params, &mut results)?;
    let values = results.iter().map(|val| from_val(&mut *store, val));
    Ok(Outcome::Returned(values.collect::<Result<_>>()?))
}

fn observe(store: &mut Store<Data>, instance: Instance) -> Result<State> {
    let exports: Vec<(String, Extern)> = instance
        .exports(&mut *store)
        .map(|export| (export.name().to_owned(), export.into_extern()))
        .collect();
    let mut state = State::default();
    for (name, item) in exports {
        match item {
            Extern::Global(global) => {
                let value = global.get(&mut *store);
                state.globals.push((name, from_val(&mut *store, &value)?));
            }
            Extern::Memory(memory) => {
                let bytes = memory.data(&*store);
                state.memories.push((name, bytes.len(), hash_memory(bytes)));
            }
            Extern::Table(table) => {
                let mut elements = Vec::new();
                for index in 0..table.size(&*store) {
                    if let Some(element) = table.get(&mut *store, index) {
                        elements.push(from_val(&mut *store, &element.into())?);
                    }
                }
                state.tables.push((name, elements));
            }
            _ => {}
        }
    }
    state.globals.sort_by(|a, b| a.0.cmp(&b.0));
    state.memories.sort_by(|a, b| a.0.cmp(&b.0));
    state.tables.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(state)
}

fn outcome_of(error: &Error) -> Outcome {
    if error.is::<HostFailure>() {
        return Outcome::Stopped(Stop::Host);
    }
    let stop = error.downcast_ref::<Trap>().and_then(|trap| stop_of(*trap));
    match stop {
        Some(stop) => Outcome::Stopped(stop),
        None => Outcome::Failed(format!("{error:#}")),
    }
}

fn stop_of(trap: Trap) -> Option<Stop> {
    Some(match trap {
        Trap::UnreachableCodeReached => Stop::Unreachable,
        Trap::MemoryOutOfBounds => Stop::Memory,
        Trap::TableOutOfBounds => Stop::Table,
        Trap::IndirectCallToNull => Stop::NullCall,
        Trap::IntegerDivisionByZero => Stop::DivisionByZero,
        Trap::IntegerOverflow => Stop::Overflow,
        Trap::BadConversionToInteger => Stop::Conversion,
        Trap::StackOverflow => Stop::Stack,
        Trap::BadSignature => Stop::Signature,
        _ => return None,
    })
}

fn type_of(ty: &ValType) -> Result<Type> {
    Ok(match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ty if ty.is_funcref() => Type::Func,
        ty if ty.is_externref() => Type::Extern,
        other => return Err(Error::msg(format!("a value of type {other}"))),
    })
}

fn to_val(store: impl wasmtime::AsContextMut, value: Value) -> Result<Val> {
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

fn from_val(mut store: impl wasmtime::AsContextMut<Data = Data>, value: &Val) -> Result<Value> {
    Ok(match value {
        Val::I32(value) => Value::I32(*value as u32),
        Val::I64(value) => Value::I64(*value as u64),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::V128(value) => Value::v128(value.as_u128()),
        Val::FuncRef(reference) => Value::Func(reference.is_some()),
        Val::ExternRef(None) => Value::Extern(None),
        Val::ExternRef(Some(reference)) => {
            let data = reference.data(store.as_context_mut())?;
            let number = data.and_then(|data| data.downcast_ref::<u32>().copied());
            Value::Extern(Some(number.unwrap_or(u32::MAX)))
        }
        other => return Err(Error::msg(format!("a value {other:?}"))),
    })
}
