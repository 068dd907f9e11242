//! What a program can call: WASI preview 1 over the calling instance's memory.

use std::time::{Duration, Instant};
use upshift_wasi::{FUNCTIONS, Function, MODULE, ValueType, WasiCtx};
use upshift_wasm::{Caller, Error, Extern, FuncType, Linker, Result, Val, ValType};

/// The most parameters that a function of the interface has.
const PARAMS_MAX: usize = 9;

/// A program's world, and how much it was used.
pub struct Host {
    wasi: WasiCtx,
    /// Whether calls are timed; it costs two looks at the clock each.
    timed: bool,
    pub calls: u64,
    pub time: Duration,
}

impl Host {
    pub fn new(wasi: WasiCtx, timed: bool) -> Host {
        Host {
            wasi,
            timed,
            calls: 0,
            time: Duration::ZERO,
        }
    }

    /// Lets a program that waits in the host be stopped once `is_interrupted` says so.
    pub fn set_interrupted_by(&mut self, is_interrupted: impl Fn() -> bool + Send + 'static) {
        self.wasi.set_interrupted_by(is_interrupted);
    }
}

/// Defines all functions of the interface.
pub fn define_wasi(linker: &mut Linker<Host>) -> Result<()> {
    for function in FUNCTIONS {
        let params = function.params.iter().map(|param| match param {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        });
        let ty = FuncType::new(params, function.has_result.then_some(ValType::I32));
        linker.func_new(MODULE, function.name, ty, move |caller, params, results| {
            call(caller, function, params, results)
        })?;
    }
    Ok(())
}

fn call(
    mut caller: Caller<'_, Host>,
    function: &Function,
    params: &[Val],
    results: &mut [Val],
) -> Result<()> {
    let mut args = [0; PARAMS_MAX];
    for (arg, param) in args.iter_mut().zip(params) {
        *arg = match *param {
            Val::I32(value) => u64::from(value as u32),
            Val::I64(value) => value as u64,
            _ => 0,
        };
    }
    let (memory, host) = match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => memory.data_and_store_mut(&mut caller),
        // What takes no pointers needs no memory.
        _ if matches!(function.name, "proc_exit" | "sched_yield") => {
            (Default::default(), caller.data_mut())
        }
        _ => {
            return Err(Error::new(format!(
                "{MODULE}::{} needs a memory that the calling module exports as `memory`",
                function.name
            )));
        }
    };
    host.calls += 1;
    let start = host.timed.then(Instant::now);
    let outcome = (function.call)(&mut host.wasi, memory, &args);
    if let Some(start) = start {
        host.time += start.elapsed();
    }
    let errno = outcome.map_err(Error::host)?;
    if let Some(result) = results.first_mut() {
        *result = Val::I32(errno);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_arguments_have_a_place() {
        assert!(
            FUNCTIONS
                .iter()
                .all(|function| function.params.len() <= PARAMS_MAX)
        );
    }
}
