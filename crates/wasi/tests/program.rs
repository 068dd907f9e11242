//! The interface seen from a WebAssembly program on the real engine.

use upshift_wasi::{Capture, Exit, Input, WasiCtx, WasiCtxBuilder, add_to_linker};
use upshift_wasm::{Config, Engine, Linker, Module, Store};

/// What an embedder might keep in its store.
struct State {
    wasi: WasiCtx,
}

fn run(wat: &str, builder: WasiCtxBuilder) -> upshift_wasm::Result<()> {
    let engine = Engine::new(Config::default()).unwrap();
    let module = Module::new(&engine, wat::parse_str(wat).unwrap())?;
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |state: &mut State| &mut state.wasi)?;
    let mut store = Store::new(
        &engine,
        State {
            wasi: builder.build().unwrap(),
        },
    );
    let instance = linker.instantiate(&mut store, &module)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "_start")?
        .call(&mut store, ())
}

const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    ;; One buffer of a hundred bytes.
    (data (i32.const 0) "\40\00\00\00\64\00\00\00")
    (func (export "_start")
        (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)) (then unreachable))
        (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
        (call $exit (i32.load (i32.const 8)))
        unreachable))"#;

#[test]
fn a_program_reads_writes_and_exits() {
    let capture = Capture::new(100);
    let builder = WasiCtxBuilder::new()
        .stdin(Input::bytes("hello"))
        .stdout(capture.output());
    let error = run(ECHO, builder).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Exit { code: 5 }));
    assert_eq!(capture.take(), b"hello");
}

#[test]
fn a_trap_after_a_write_loses_nothing() {
    let capture = Capture::new(100);
    let wat = ECHO.replace("(call $exit (i32.load (i32.const 8)))", "");
    let builder = WasiCtxBuilder::new()
        .stdin(Input::bytes("hello"))
        .stdout(capture.output());
    assert!(run(&wat, builder).unwrap_err().trap().is_some());
    assert_eq!(capture.take(), b"hello");
}

#[test]
fn a_program_without_memory_may_exit_and_no_more() {
    let exit = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (func (export "_start") (call $exit (i32.const -1))))"#;
    let error = run(exit, WasiCtxBuilder::new()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Exit { code: u32::MAX }));
    let random = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (func (export "_start") (drop (call $random (i32.const 0) (i32.const 8)))))"#;
    let error = run(random, WasiCtxBuilder::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("wasi_snapshot_preview1.random_get"),
        "{error}"
    );
}
