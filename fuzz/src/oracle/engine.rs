// Runs a case in wasmi. Included once for each version, which is `engine` there.

use crate::case::WasmCase;
use crate::host::{Answer, ENTRY, FUEL, Host};
use crate::record::Record;
use crate::value::{Outcome, State, Stop, Type, Value, hash_memory};
use engine::errors::{ErrorKind, InstantiationError};
use engine::{
    Caller, Config, Engine, Error, Extern, ExternRef, ExternType, Func, FuncType, Global, Instance,
    Memory, Module, Store, StoreLimits, StoreLimitsBuilder, Table, TrapCode, Val, ValType,
};

struct Data {
    host: Host,
    limits: StoreLimits,
}

/// Runs a case. `Err` if the module is beyond what this engine can do.
///
/// # Errors
/// What the engine says about the module.
pub fn run(case: &WasmCase) -> Result<Record, String> {
    let mut config = Config::default();
    config.set_max_recursion_depth(crate::limits::ORACLE_DEPTH);
    config.set_max_stack_height(crate::limits::ORACLE_STACK_BYTES);
    config.wasm_relaxed_simd(false);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, &case.module).map_err(|error| error.to_string())?;
    let host = Host {
        fails: case.host_fails,
        ..Host::default()
    };
    let limits = StoreLimitsBuilder::new()
        .memory_size(crate::limits::MEMORY_BYTES)
        .table_elements(crate::limits::TABLE_ELEMENTS)
        .build();
    let mut store = Store::new(&engine, Data { host, limits });
    store.limiter(|data| &mut data.limits);
    let mut imports = Vec::new();
    for import in module.imports() {
        imports.push(define(&mut store, import.name(), import.ty()).map_err(|e| e.to_string())?);
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
        calls.push(run_call(
            &mut store,
            instance,
            &call.export,
            &call.arguments,
        ));
    }
    let state = observe(&mut store, instance);
    Ok(Record {
        instantiated: Outcome::Returned(Vec::new()),
        calls,
        state,
        log: store.into_data().host.log,
    })
}

fn define(store: &mut Store<Data>, name: &str, ty: &ExternType) -> Result<Extern, Error> {
    Ok(match ty {
        ExternType::Func(ty) => Extern::Func(function(store, name, ty)),
        ExternType::Global(ty) => {
            let value = Value::from_bits(type_of(ty.content()), crate::limits::GLOBAL_BITS);
            let value = to_val(&mut *store, value);
            Extern::Global(Global::new(store, value, ty.mutability()))
        }
        ExternType::Memory(ty) => Extern::Memory(Memory::new(store, *ty)?),
        ExternType::Table(ty) => Extern::Table(Table::new(store, *ty, null(ty.element()))?),
    })
}

fn function(store: &mut Store<Data>, name: &str, ty: &FuncType) -> Func {
    let name = name.to_owned();
    let results: Vec<Type> = ty.results().iter().map(|&ty| type_of(ty)).collect();
    Func::new(
        store,
        ty.clone(),
        move |mut caller: Caller<'_, Data>, params, out| {
            let arguments: Vec<Value> = params.iter().map(|val| from_val(&caller, val)).collect();
            let values = match caller.data_mut().host.call(&name, &arguments, &results) {
                Answer::Failure => return Err(Error::new("the host fails")),
                Answer::Results(values) => values,
                Answer::Reenter(argument) => {
                    caller.data_mut().host.reentries += 1;
                    let result = reenter(&mut caller, argument);
                    caller.data_mut().host.reentries -= 1;
                    vec![Value::I32(result?)]
                }
            };
            for (out, value) in out.iter_mut().zip(values) {
                *out = to_val(&mut caller, value);
            }
            Ok(())
        },
    )
}

fn reenter(caller: &mut Caller<'_, Data>, argument: u32) -> Result<u32, Error> {
    let entry = caller.get_export(ENTRY).and_then(Extern::into_func);
    let entry = entry.and_then(|entry| entry.typed::<u32, u32>(&*caller).ok());
    match entry {
        Some(entry) => entry.call(caller, argument),
        None => Ok(argument),
    }
}

fn set_fuel(store: &mut Store<Data>, instance: Instance) {
    if let Some(global) = instance.get_global(&*store, FUEL) {
        // A global of that name and of another kind is left as it is.
        let _ = global.set(store, Val::I32(crate::limits::FUEL as i32));
    }
}

fn run_call(
    store: &mut Store<Data>,
    instance: Instance,
    name: &str,
    arguments: &[Value],
) -> Outcome {
    let Some(function) = instance.get_func(&*store, name) else {
        return Outcome::Failed(format!("there is no function {name}"));
    };
    let params: Vec<Val> = arguments
        .iter()
        .map(|&value| to_val(&mut *store, value))
        .collect();
    let ty = function.ty(&*store);
    let mut results: Vec<Val> = ty.results().iter().map(|&ty| default_value(ty)).collect();
    match function.call(&mut *store, &params, &mut results) {
        Ok(()) => Outcome::Returned(results.iter().map(|val| from_val(&*store, val)).collect()),
        Err(error) => outcome_of(&error),
    }
}

fn observe(store: &mut Store<Data>, instance: Instance) -> State {
    let exports: Vec<(String, Extern)> = instance
        .exports(&*store)
        .map(|export| (export.name().to_owned(), export.into_extern()))
        .collect();
    let mut state = State::default();
    for (name, item) in exports {
        match item {
            Extern::Global(global) => {
                let value = global.get(&*store);
                state.globals.push((name, from_val(&*store, &value)));
            }
            Extern::Memory(memory) => {
                let bytes = memory.data(&*store);
                state.memories.push((name, bytes.len(), hash_memory(bytes)));
            }
            Extern::Table(table) => {
                let element = |index| {
                    table
                        .get(&*store, index)
                        .map(|item| from_element(&*store, item))
                };
                let elements = (0..table.size(&*store)).filter_map(element).collect();
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
    if let ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) =
        error.kind()
    {
        return Outcome::Stopped(Stop::Table);
    }
    if let ErrorKind::Message(_) = error.kind() {
        return Outcome::Stopped(Stop::Host);
    }
    match error.as_trap_code() {
        Some(code) => match stop_of(code) {
            Some(stop) => Outcome::Stopped(stop),
            None => Outcome::Failed(error.to_string()),
        },
        None => Outcome::Failed(error.to_string()),
    }
}

fn stop_of(code: TrapCode) -> Option<Stop> {
    Some(match code {
        TrapCode::UnreachableCodeReached => Stop::Unreachable,
        TrapCode::MemoryOutOfBounds => Stop::Memory,
        TrapCode::TableOutOfBounds => Stop::Table,
        TrapCode::IndirectCallToNull => Stop::NullCall,
        TrapCode::IntegerDivisionByZero => Stop::DivisionByZero,
        TrapCode::IntegerOverflow => Stop::Overflow,
        TrapCode::BadConversionToInteger => Stop::Conversion,
        TrapCode::StackOverflow => Stop::Stack,
        TrapCode::BadSignature => Stop::Signature,
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

fn to_val(store: impl engine::AsContextMut, value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value as i32),
        Value::I64(value) => Val::I64(value as i64),
        Value::F32(bits) => Val::F32(engine::F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(engine::F64::from_bits(bits)),
        Value::V128(low, high) => Val::V128(Value::join(low, high).into()),
        Value::Func(_) => Val::FuncRef(Nullable::Null),
        Value::Extern(None) => Val::ExternRef(Nullable::Null),
        Value::Extern(Some(number)) => {
            Val::ExternRef(Nullable::Val(ExternRef::new::<u32>(store, number)))
        }
    }
}

fn from_val(store: &impl engine::AsContext, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value as u32),
        Val::I64(value) => Value::I64(*value as u64),
        Val::F32(value) => Value::F32(value.to_bits()),
        Val::F64(value) => Value::F64(value.to_bits()),
        Val::V128(value) => Value::v128(value.as_u128()),
        Val::FuncRef(reference) => Value::Func(!reference.is_null()),
        Val::ExternRef(reference) => from_extern(store, *reference),
    }
}

fn from_extern(store: &impl engine::AsContext, reference: Nullable<ExternRef>) -> Value {
    let number = |reference: &ExternRef| {
        let data = reference.data(store.as_context());
        data.downcast_ref::<u32>().copied()
    };
    Value::Extern(
        reference
            .val()
            .map(|reference| number(reference).unwrap_or(u32::MAX)),
    )
}
