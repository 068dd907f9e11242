//! How long a compiler takes for a module, in one thread.

use std::time::Instant;

use anyhow::Result;
use wasmtime::{Config, Engine, Module, Strategy};

use crate::request::{Request, module_bytes};

/// Compiles a module, and prints the seconds and the bytes of code as JSON.
pub fn compile(request: &Request, strategy: Strategy) -> Result<i32> {
    let mut config = Config::new();
    config.strategy(strategy).parallel_compilation(false);
    let engine = Engine::new(&config)?;
    let bytes = module_bytes(&request.file)?;
    let start = Instant::now();
    let module = Module::new(&engine, bytes)?;
    let seconds = start.elapsed().as_secs_f64();
    let native_code_bytes = module.text().len();
    println!("{{\"seconds\": {seconds}, \"native_code_bytes\": {native_code_bytes}}}");
    Ok(0)
}
