//! What a store allows, stopping a program from outside, and giving everything back.

mod common;

use common::{engine, engines, in_each_way, instantiate, module};
use std::sync::mpsc;
use upshift_wasm::{
    Func, Instance, Linker, Memory, MemoryType, Module, ModuleOptions, Store, StoreLimits,
    TrapKind, Val,
};

#[test]
fn memories_and_tables_stop_growing_at_the_limit() {
    let text = r#"(module
        (memory 1)
        (table 1 funcref)
        (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "table") (param i32) (result i32)
            (table.grow (ref.null func) (local.get 0))))"#;
    in_each_way(|engine| {
        let mut store = Store::new(engine, ());
        store.set_limits(StoreLimits::new().memory_size(3 << 16).table_elements(10));
        let module = module(engine, text);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let grow_memory = instance
            .get_typed_func::<i32, i32>(&store, "memory")
            .unwrap();
        let grow_table = instance
            .get_typed_func::<i32, i32>(&store, "table")
            .unwrap();
        assert_eq!(grow_memory.call(&mut store, 3).unwrap(), -1);
        assert_eq!(grow_memory.call(&mut store, 2).unwrap(), 1);
        assert_eq!(grow_memory.call(&mut store, 1).unwrap(), -1);
        assert_eq!(grow_table.call(&mut store, 10).unwrap(), -1);
        assert_eq!(grow_table.call(&mut store, 9).unwrap(), 1);
        assert_eq!(grow_table.call(&mut store, -1).unwrap(), -1);
        // A limit raised later holds for what exists already.
        store.set_limits(StoreLimits::new().memory_size(4 << 16));
        assert_eq!(grow_memory.call(&mut store, 1).unwrap(), 3);
    });
}

#[test]
fn what_is_beyond_a_limit_is_not_made() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let empty = module(&engine, "(module)");
    let memory = module(&engine, "(module (memory 2))");
    let table = module(&engine, "(module (table 11 funcref))");
    store.set_limits(
        StoreLimits::new()
            .memory_size(1 << 16)
            .table_elements(10)
            .instances(4),
    );
    let error = Instance::new(&mut store, &memory, &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("131072") && error.contains("65536"),
        "{error}"
    );
    assert!(Instance::new(&mut store, &table, &[]).is_err());
    Instance::new(&mut store, &empty, &[]).unwrap();
    Instance::new(&mut store, &empty, &[]).unwrap();
    let error = Instance::new(&mut store, &empty, &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("instances"), "{error}");
    store.set_limits(StoreLimits::new().memories(1));
    Instance::new(&mut store, &memory, &[]).unwrap();
    let error = Instance::new(&mut store, &memory, &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("memories"), "{error}");
}

#[test]
fn a_program_is_stopped_from_another_thread() {
    let text = r#"(module
        (import "h" "ready" (func $ready))
        (func (export "loop") (call $ready) (loop br 0))
        (func $deep (export "calls") (param i32)
            (loop $again (call $leaf) (br $again)))
        (func $leaf)
        (func (export "short") (result i32) i32.const 5))"#;
    for (name, engine) in engines() {
        println!("with {name}");
        let options = ModuleOptions {
            interruptible: true,
        };
        let module = Module::with_options(&engine, text, options).unwrap();
        let mut linker = Linker::<mpsc::Sender<()>>::new(&engine);
        let ready = |caller: upshift_wasm::Caller<'_, mpsc::Sender<()>>| {
            let _ = caller.data().send(());
        };
        linker.func_wrap("h", "ready", ready).unwrap();
        let (sender, receiver) = mpsc::channel();
        let mut store = Store::new(&engine, sender);
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let handle = store.interrupt_handle();
        let stopper = std::thread::spawn({
            let handle = handle.clone();
            move || {
                receiver.recv().unwrap();
                handle.interrupt();
            }
        });
        let run = instance.get_func(&store, "loop").unwrap();
        let error = run.call(&mut store, &[], &mut []).unwrap_err();
        assert_eq!(error.trap().unwrap().kind(), TrapKind::Interrupted);
        stopper.join().unwrap();

        // It holds until it is taken back.
        assert!(handle.is_interrupted());
        let calls = instance.get_func(&store, "calls").unwrap();
        let error = calls.call(&mut store, &[Val::I32(0)], &mut []).unwrap_err();
        assert_eq!(error.trap().unwrap().kind(), TrapKind::Interrupted);
        handle.reset();
        let short = instance.get_typed_func::<(), i32>(&store, "short").unwrap();
        assert_eq!(short.call(&mut store, ()).unwrap(), 5);
    }
}

#[test]
fn dropping_a_store_gives_its_memories_back() {
    let engine = engine();
    let reserved = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
        (pages * 4096) >> 30
    };
    let before = reserved();
    // More address space than there is, if it were not given back.
    for _ in 0..100 {
        let mut store = Store::new(&engine, ());
        for _ in 0..300 {
            Memory::new(&mut store, MemoryType { min: 1, max: None }).unwrap();
        }
    }
    assert!(
        reserved() < before + 1000,
        "{} and {before} GiB",
        reserved()
    );
}

#[test]
fn instances_outlive_their_modules_handle() {
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(
            engine,
            "(module (func (export \"f\") (result i32) i32.const 8))",
        );
        let f = instance.get_typed_func::<(), i32>(&store, "f").unwrap();
        for _ in 0..3 {
            assert_eq!(f.call(&mut store, ()).unwrap(), 8);
        }
        drop(store);
    });
}

#[test]
fn stores_move_between_threads() {
    in_each_way(|engine| {
        let text = r#"(module
            (global $n (mut i32) (i32.const 0))
            (func (export "next") (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                global.get $n))"#;
        let (mut store, instance) = instantiate(engine, text);
        let next = instance.get_typed_func::<(), i32>(&store, "next").unwrap();
        for expected in 1..5 {
            let next = next.clone();
            let thread = std::thread::spawn(move || {
                let result = next.call(&mut store, ());
                (store, result)
            });
            let (back, result) = thread.join().unwrap();
            assert_eq!(result.unwrap(), expected);
            store = back;
        }
    });
}

/// Operations on large ranges stop too, and where nobody asked for it they are done as a whole.
#[test]
fn an_operation_on_a_large_range_is_stopped() {
    let text = r#"(module
        (import "" "stop" (func $stop))
        (memory (export "memory") 4096)
        (table $t 2000000 funcref)
        (func (export "stop and fill")
            (call $stop)
            (memory.fill (i32.const 0) (i32.const 3) (i32.const 0xfffffff)))
        (func (export "fill") (memory.fill (i32.const 1) (i32.const 7) (i32.const 0xffffffe)))
        (func (export "up") (memory.copy (i32.const 9) (i32.const 0) (i32.const 0xffffff0)))
        (func (export "down") (memory.copy (i32.const 0) (i32.const 9) (i32.const 0xffffff0)))
        (func (export "table")
            (table.fill $t (i32.const 0) (ref.null func) (i32.const 2000000))))"#;
    for (name, engine) in engines() {
        println!("with {name}");
        let options = ModuleOptions {
            interruptible: true,
        };
        let module = Module::with_options(&engine, text, options).unwrap();
        let mut store = Store::new(&engine, ());
        let handle = store.interrupt_handle();
        let stop = {
            let handle = store.interrupt_handle();
            Func::wrap(&mut store, move || handle.interrupt()).unwrap()
        };
        let instance = Instance::new(&mut store, &module, &[stop.into()]).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        let call = |store: &mut Store<()>, name: &str| {
            let function = instance.get_func(&*store, name).unwrap();
            function.call(store, &[], &mut [])
        };
        // Nothing but the operation itself can notice.
        let error = call(&mut store, "stop and fill").unwrap_err();
        assert_eq!(error.trap().unwrap().kind(), TrapKind::Interrupted);
        assert_eq!(memory.data(&store)[0xffffff0], 0);
        handle.reset();
        call(&mut store, "fill").unwrap();
        assert_eq!(memory.data(&store)[..2], [0, 7]);
        assert_eq!(memory.data(&store)[0xffffffe..], [7, 0]);
        for name in ["up", "down", "up"] {
            let bytes = memory.data_mut(&mut store);
            for (index, byte) in bytes.iter_mut().enumerate().step_by(1 << 19) {
                *byte = (index >> 19) as u8;
            }
            let mut expected = bytes.to_vec();
            match name {
                "up" => expected.copy_within(..0xffffff0, 9),
                _ => expected.copy_within(9..9 + 0xffffff0, 0),
            }
            call(&mut store, name).unwrap();
            assert!(memory.data(&store) == expected, "{name}");
        }
        for name in ["fill", "up", "down", "table"] {
            handle.interrupt();
            let error = call(&mut store, name).unwrap_err();
            assert_eq!(error.trap().unwrap().kind(), TrapKind::Interrupted);
            handle.reset();
            call(&mut store, name).unwrap();
        }
    }
}
