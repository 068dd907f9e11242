//! The interface as imports of a WebAssembly instance: each entry of [`FUNCTIONS`] becomes a host function.

use crate::context::WasiCtx;
use crate::functions::{FUNCTIONS, Function, MODULE, ValueType};
use upshift_wasm::{Caller, Error, FuncType, Linker, Result, Val, ValType};

/// Defines all functions of `wasi_snapshot_preview1`. `context` finds the guest's [`WasiCtx`] in the store's data.
///
/// A guest's `proc_exit` arrives as an error that [`downcast_ref`](Error::downcast_ref) shows to be an [`Exit`].
///
/// # Errors
/// If one of the names is defined already.
///
/// [`Exit`]: crate::Exit
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    context: impl Fn(&mut T) -> &mut WasiCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    for function in FUNCTIONS {
        let params = function.params.iter().map(|param| match param {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        });
        let ty = FuncType::new(params, function.has_result.then_some(ValType::I32));
        linker.func_new(MODULE, function.name, ty, move |caller, args, results| {
            call(function, caller, context, args, results)
        })?;
    }
    Ok(())
}

fn call<T: 'static>(
    function: &Function,
    mut caller: Caller<'_, T>,
    context: impl Fn(&mut T) -> &mut WasiCtx,
    args: &[Val],
    results: &mut [Val],
) -> Result<()> {
    // No function takes more than nine.
    let mut raw = [0; 16];
    for (raw, arg) in raw.iter_mut().zip(args) {
        *raw = match arg {
            Val::I32(value) => u64::from(*value as u32),
            Val::I64(value) => *value as u64,
            _ => 0,
        };
    }
    let memory = caller
        .get_export("memory")
        .and_then(|export| export.into_memory());
    let status = match memory {
        Some(memory) => {
            let (bytes, data) = memory.data_and_store_mut(&mut caller);
            (function.call)(context(data), bytes, &raw)
        }
        // A program that only wants to exit needs none.
        None if !function.has_result => (function.call)(context(caller.data_mut()), &mut [], &raw),
        None => {
            return Err(Error::new(format!(
                "{MODULE}.{} needs the program's memory, and it exports none under the name \"memory\"",
                function.name
            )));
        }
    };
    let status = status.map_err(Error::host)?;
    if let Some(result) = results.first_mut() {
        *result = Val::I32(status);
    }
    Ok(())
}
