//! The LLVM server is killed again and again while a program runs: its results must be right every time.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use upshift::{Backend, Config, Tier};
use upshift_filetests::llvm_server;
use upshift_llvm::{LlvmCompiler, Options};
use upshift_wasm::{Engine, Instance, Module, Store};

const FUNCTIONS: i32 = 60;
const ROUNDS: i32 = 400;
const ROUNDS_MAX: i32 = 40_000;
/// So often the server is killed, if it gets to run that often.
const KILLS: u32 = 3;

/// Functions that add up the squares below their argument, each from a start of its own.
fn program() -> String {
    let mut text = "(module\n".to_owned();
    for function in 0..FUNCTIONS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "(func (export \"f{function}\") (param i32) (result i32) (local i32)
               (local.set 1 (i32.const {function}))
               (loop
                 (local.set 1 (i32.add (local.get 1) (i32.mul (local.get 0) (local.get 0))))
                 (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
               (local.get 1))"
        );
    }
    text + ")"
}

fn expected(function: i32, n: i32) -> i32 {
    (1..=n).fold(function, |sum, i| sum.wrapping_add(i.wrapping_mul(i)))
}

#[test]
fn a_killed_server_costs_no_result() {
    let Some(server) = llvm_server() else {
        println!("left out: there is no LLVM server; `cargo xtask llvm` builds it");
        return;
    };
    let compiler = Arc::new(LlvmCompiler::new(Options::new(server)));
    let config = Config::default()
        .thresholds(1, 2)
        .backend(Tier::Optimizing, Backend::Off)
        .backend(Tier::Top, Backend::Custom(compiler.clone()));
    let engine = Engine::new(config).unwrap();
    let module = Module::new(&engine, program()).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let (stop, killed) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let times = killed.load(Ordering::Relaxed);
                thread::sleep(Duration::from_millis(u64::from(7 + times * 31 % 64)));
                let process = compiler.server_process_id();
                let process = process.and_then(|id| rustix::process::Pid::from_raw(id as i32));
                if let Some(process) = process {
                    // It may have ended by itself.
                    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
                    killed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for round in 0..ROUNDS_MAX {
            if round >= ROUNDS && killed.load(Ordering::Relaxed) >= KILLS {
                break;
            }
            for function in 0..FUNCTIONS {
                let name = format!("f{function}");
                let f = instance.get_typed_func::<i32, i32>(&store, &name).unwrap();
                let n = 1 + round % 50;
                assert_eq!(
                    f.call(&mut store, n).unwrap(),
                    expected(function, n),
                    "{name}"
                );
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(killed.into_inner() > 0, "it was killed at least once");
}
