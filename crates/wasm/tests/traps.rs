//! Traps: each kind, its backtrace, and the state that it leaves behind.

mod common;

use common::{in_each_way, instantiate, module};
use upshift_wasm::{Error, ErrorKind, Instance, Store, Trap, TrapKind};

const KINDS: &str = r#"(module $kinds
    (type $unit (func))
    (type $number (func (result i32)))
    (memory 1)
    (table 4 funcref)
    (elem (i32.const 0) $one)
    (elem $passive func $one)
    (data $bytes "abc")
    (func $one (type $number) i32.const 1)
    (func (export "unreachable") unreachable)
    (func (export "divide") (drop (i32.div_u (i32.const 1) (i32.const 0))))
    (func (export "remainder") (drop (i64.rem_s (i64.const 1) (i64.const 0))))
    (func (export "overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
    (func (export "nan") (drop (i32.trunc_f64_s (f64.const nan))))
    (func (export "large") (drop (i32.trunc_f32_s (f32.const 1e30))))
    (func (export "load") (drop (i64.load offset=7 (i32.const 65529))))
    (func (export "far load") (drop (i32.load offset=0xffffffff (i32.const -1))))
    (func (export "store") (i32.store (i32.const -4) (i32.const 0)))
    (func (export "vector") (drop (v128.load (i32.const 65521))))
    (func (export "fill") (memory.fill (i32.const 65530) (i32.const 0) (i32.const 7)))
    (func (export "copy") (memory.copy (i32.const 0) (i32.const 65530) (i32.const 7)))
    (func (export "init") (memory.init $bytes (i32.const 0) (i32.const 1) (i32.const 3)))
    (func (export "dropped") (data.drop $bytes)
        (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 1)))
    (func (export "null") (call_indirect (type $unit) (i32.const 1)))
    (func (export "undefined") (call_indirect (type $unit) (i32.const 4)))
    (func (export "signature") (call_indirect (type $unit) (i32.const 0)))
    (func (export "table get") (drop (table.get 0 (i32.const 4))))
    (func (export "table set") (table.set 0 (i32.const 4) (ref.null func)))
    (func (export "table init")
        (table.init $passive (i32.const 4) (i32.const 0) (i32.const 1)))
    (func (export "table copy") (table.copy (i32.const 3) (i32.const 0) (i32.const 2)))
    (func (export "table fill") (table.fill 0 (i32.const 4) (ref.null func) (i32.const 1)))
    (func $deep (export "deep") call $deep))"#;

#[test]
fn every_kind() {
    use TrapKind::*;
    let expected = [
        ("unreachable", Unreachable),
        ("divide", IntegerDivisionByZero),
        ("remainder", IntegerDivisionByZero),
        ("overflow", IntegerOverflow),
        ("nan", BadConversionToInteger),
        ("large", IntegerOverflow),
        ("load", MemoryOutOfBounds),
        ("far load", MemoryOutOfBounds),
        ("store", MemoryOutOfBounds),
        ("vector", MemoryOutOfBounds),
        ("fill", MemoryOutOfBounds),
        ("copy", MemoryOutOfBounds),
        ("init", MemoryOutOfBounds),
        ("dropped", MemoryOutOfBounds),
        ("null", IndirectCallToNull),
        ("undefined", TableOutOfBounds),
        ("signature", BadSignature),
        ("table get", TableOutOfBounds),
        ("table set", TableOutOfBounds),
        ("table init", TableOutOfBounds),
        ("table copy", TableOutOfBounds),
        ("table fill", TableOutOfBounds),
        ("deep", StackOverflow),
    ];
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, KINDS);
        // Twice: a trap leaves nothing behind that the next one stumbles over.
        for (name, kind) in expected.iter().chain(&expected) {
            let error = call(&mut store, instance, name);
            assert_eq!(error.kind(), ErrorKind::Trap, "{name}: {error}");
            let trap = error.downcast_ref::<Trap>().unwrap();
            assert_eq!(trap.kind(), *kind, "{name}");
            assert!(!trap.frames().is_empty(), "{name}");
            assert_eq!(trap.frames()[0].module_name(), Some("kinds"), "{name}");
            assert!(trap.frames()[0].module_offset().is_some(), "{name}");
        }
    });
}

fn call(store: &mut Store<()>, instance: Instance, name: &str) -> Error {
    let function = instance.get_func(&*store, name).unwrap();
    function.call(store, &[], &mut []).unwrap_err()
}

#[test]
fn backtraces_name_functions_and_places() {
    let text = r#"(module $demo
        (func $leaf (param i32) (drop (i32.div_u (i32.const 1) (local.get 0))))
        (func (param i32) (call $leaf (local.get 0)))
        (func $root (export "run") (param i32) (call 1 (local.get 0))))"#;
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, text);
        let run = instance.get_typed_func::<i32, ()>(&store, "run").unwrap();
        for _ in 0..3 {
            run.call(&mut store, 1).unwrap();
            let error = run.call(&mut store, 0).unwrap_err();
            let frames = error.trap().unwrap().frames();
            let named: Vec<_> = frames
                .iter()
                .map(|f| (f.func_index(), f.func_name()))
                .collect();
            assert_eq!(
                named,
                [
                    (Some(0), Some("leaf")),
                    (Some(1), None),
                    (Some(2), Some("root"))
                ]
            );
            let offsets: Vec<u32> = frames.iter().map(|f| f.module_offset().unwrap()).collect();
            assert!(
                offsets.is_sorted() && offsets[0] != offsets[2],
                "{offsets:?}"
            );
            assert_eq!(error.to_string(), "wasm trap: integer divide by zero");
            let long = format!("{error:#}");
            assert!(
                long.contains("demo!leaf") && long.contains("demo!<wasm function 1>"),
                "{long}"
            );
        }
    });
}

#[test]
fn a_trap_keeps_what_was_done_before() {
    let text = r#"(module
        (memory (export "memory") 1)
        (global $count (export "count") (mut i32) (i32.const 0))
        (func (export "run") (param i32)
            (loop $next
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (i32.store8 (local.get 0) (i32.const 7))
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br $next))))"#;
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, text);
        let run = instance.get_typed_func::<i32, ()>(&store, "run").unwrap();
        let error = run.call(&mut store, 65_436).unwrap_err();
        assert_eq!(error.trap().unwrap().kind(), TrapKind::MemoryOutOfBounds);
        let count = instance.get_global(&store, "count").unwrap();
        assert_eq!(count.get(&store).i32(), Some(101));
        let memory = instance.get_memory(&store, "memory").unwrap();
        assert!(memory.data(&store)[65_436..].iter().all(|&byte| byte == 7));
        assert_eq!(memory.data(&store)[65_435], 0);
    });
}

#[test]
fn a_start_function_that_traps() {
    let text = r#"(module
        (func $start unreachable)
        (start $start))"#;
    in_each_way(|engine| {
        let mut store = Store::new(engine, ());
        let error = Instance::new(&mut store, &module(engine, text), &[]).unwrap_err();
        assert_eq!(error.trap().unwrap().kind(), TrapKind::Unreachable);
        assert_eq!(
            error.backtrace().unwrap().frames()[0].func_name(),
            Some("start")
        );
        assert!(error.to_string().starts_with("start function"), "{error}");
    });
}

#[test]
fn stack_overflow_on_a_small_stack() {
    in_each_way(|engine| {
        let engine = engine.clone();
        // Too little for the engine's limit: the thread's own end counts.
        let thread = std::thread::Builder::new().stack_size(768 << 10);
        let thread = thread.spawn(move || {
            let (mut store, instance) = instantiate(&engine, KINDS);
            let error = call(&mut store, instance, "deep");
            error.trap().unwrap().kind()
        });
        assert_eq!(thread.unwrap().join().unwrap(), TrapKind::StackOverflow);
    });
}
