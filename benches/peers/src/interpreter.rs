//! Wasmi, an interpreter.

use anyhow::{Context as _, Result, anyhow, bail};
use wasmi::{Config, Engine, Error, F32, F64, Instance, Linker, Module, Store, Val, ValType};
use wasmi_wasi::{WasiCtx, WasiCtxBuilder, ambient_authority};

use crate::request::{Request, module_bytes};

/// Runs a program to its end; its exit code.
pub fn run(request: &Request) -> Result<i32> {
    let mut config = Config::default();
    // Programs that recurse deeply are among those compared; the default of 1,000 calls is too few for them.
    config
        .set_max_recursion_depth(1 << 16)
        .set_max_stack_height(64 << 20);
    let engine = Engine::new(&config);
    let mut linker: Linker<WasiCtx> = Linker::new(&engine);
    wasmi_wasi::add_to_linker(&mut linker, |context| context)
        .map_err(|error| anyhow!("{error}"))?;
    let mut store = Store::new(&engine, wasi(request)?);
    for (name, path) in &request.preloads {
        let module = Module::new(&engine, module_bytes(path)?).context(path.clone())?;
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        linker.instance(&mut store, name, instance)?;
    }
    let module = Module::new(&engine, module_bytes(&request.file)?)?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let called = match &request.invoke {
        Some(name) => return invoke(&mut store, instance, name, &request.args).map(|()| 0),
        None => start(&mut store, instance),
    };
    match called {
        Ok(()) => Ok(0),
        Err(error) => error.i32_exit_status().ok_or_else(|| error.into()),
    }
}

fn wasi(request: &Request) -> Result<WasiCtx> {
    let mut builder = WasiCtxBuilder::new();
    builder
        .inherit_stdio()
        .args(&request.argv())
        .map_err(|error| anyhow!("{error}"))?;
    for (host, guest) in &request.dirs {
        let folder = wasmi_wasi::Dir::open_ambient_dir(host, ambient_authority())
            .with_context(|| format!("cannot open the folder {host}"))?;
        builder
            .preopened_dir(folder, guest)
            .map_err(|error| anyhow!("{error}"))?;
    }
    Ok(builder.build())
}

fn start(store: &mut Store<WasiCtx>, instance: Instance) -> Result<(), Error> {
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    start.call(store, ())
}

fn invoke(
    store: &mut Store<WasiCtx>,
    instance: Instance,
    name: &str,
    args: &[String],
) -> Result<()> {
    let function = instance
        .get_func(&*store, name)
        .with_context(|| format!("no function {name} is exported"))?;
    let ty = function.ty(&*store);
    if ty.params().len() != args.len() {
        bail!("{name} has {} parameters", ty.params().len());
    }
    let params = ty
        .params()
        .iter()
        .zip(args)
        .map(|(ty, text)| value(*ty, text))
        .collect::<Result<Vec<_>>>()?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    function.call(store, &params, &mut results)?;
    for result in results {
        match result {
            Val::I32(value) => println!("{value}"),
            Val::I64(value) => println!("{value}"),
            Val::F32(value) => println!("{}", f32::from_bits(value.to_bits())),
            Val::F64(value) => println!("{}", f64::from_bits(value.to_bits())),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

fn value(ty: ValType, text: &str) -> Result<Val> {
    Ok(match ty {
        ValType::I32 => Val::I32(text.parse()?),
        ValType::I64 => Val::I64(text.parse()?),
        ValType::F32 => Val::F32(F32::from_bits(text.parse::<f32>()?.to_bits())),
        ValType::F64 => Val::F64(F64::from_bits(text.parse::<f64>()?.to_bits())),
        other => bail!("a value of type {other:?} cannot be given on the command line"),
    })
}
