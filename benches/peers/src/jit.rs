//! Wasmtime, with either of its compilers.

use anyhow::{Context as _, Error, Result, bail};
use wasmtime::{Config, Engine, Instance, Linker, Module, Store, Strategy, Val, ValType};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::request::{Request, module_bytes};

/// Runs a program to its end; its exit code.
pub fn run(request: &Request, strategy: Strategy) -> Result<i32> {
    let mut config = Config::new();
    config.strategy(strategy);
    let engine = Engine::new(&config)?;
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |context| context)?;
    let mut store = Store::new(&engine, wasi(request)?);
    for (name, path) in &request.preloads {
        let module = Module::new(&engine, module_bytes(path)?)
            .map_err(Error::from)
            .context(path.clone())?;
        let instance = linker.instantiate(&mut store, &module)?;
        linker.instance(&mut store, name, instance)?;
    }
    let module = Module::new(&engine, module_bytes(&request.file)?)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let called = match &request.invoke {
        Some(name) => invoke(&mut store, instance, name, &request.args),
        None => start(&mut store, instance),
    };
    match called {
        Ok(()) => Ok(0),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => Err(error),
        },
    }
}

fn wasi(request: &Request) -> Result<WasiP1Ctx> {
    let mut builder = WasiCtxBuilder::new();
    // One program in one thread: its own calls may block it, which is quicker than handing them to other threads.
    builder
        .inherit_stdio()
        .args(&request.argv())
        .allow_blocking_current_thread(true);
    for (host, guest) in &request.dirs {
        builder
            .preopened_dir(host, guest, FsPerms::ReadWrite)
            .map_err(Error::from)
            .with_context(|| format!("cannot open the folder {host}"))?;
    }
    Ok(builder.build_p1())
}

fn start(store: &mut Store<WasiP1Ctx>, instance: Instance) -> Result<()> {
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    Ok(start.call(store, ())?)
}

fn invoke(
    store: &mut Store<WasiP1Ctx>,
    instance: Instance,
    name: &str,
    args: &[String],
) -> Result<()> {
    let function = instance
        .get_func(&mut *store, name)
        .with_context(|| format!("no function {name} is exported"))?;
    let ty = function.ty(&*store);
    if ty.params().len() != args.len() {
        bail!("{name} has {} parameters", ty.params().len());
    }
    let params = ty
        .params()
        .zip(args)
        .map(|(ty, text)| value(&ty, text))
        .collect::<Result<Vec<_>>>()?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    function.call(store, &params, &mut results)?;
    for result in results {
        match result {
            Val::I32(value) => println!("{value}"),
            Val::I64(value) => println!("{value}"),
            Val::F32(bits) => println!("{}", f32::from_bits(bits)),
            Val::F64(bits) => println!("{}", f64::from_bits(bits)),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

fn value(ty: &ValType, text: &str) -> Result<Val> {
    Ok(match ty {
        ValType::I32 => Val::I32(text.parse()?),
        ValType::I64 => Val::I64(text.parse()?),
        ValType::F32 => Val::F32(text.parse::<f32>()?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>()?.to_bits()),
        other => bail!("a value of type {other} cannot be given on the command line"),
    })
}
