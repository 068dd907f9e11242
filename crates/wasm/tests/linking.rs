//! Finding and matching imports, and what instantiation leaves behind when it fails.

mod common;

use common::{engine, in_each_way, link, module};
use std::panic::AssertUnwindSafe;
use upshift_wasm::{
    Caller, ErrorKind, Extern, Func, Instance, Linker, Memory, MemoryType, Store, Table, TableType,
    TrapKind, Val, ValType,
};

#[test]
fn unknown_and_incompatible_imports() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("h", "f", |_: i32| {}).unwrap();
    let memory = Memory::new(
        &mut store,
        MemoryType {
            min: 1,
            max: Some(2),
        },
    )
    .unwrap();
    linker.define(&store, "h", "memory", memory).unwrap();
    let refused = [
        (
            r#"(module (import "h" "g" (func)))"#,
            "unknown import `h::g`",
        ),
        (
            r#"(module (import "x" "f" (func)))"#,
            "nothing is defined under `x`",
        ),
        (
            r#"(module (import "h" "f" (func)))"#,
            "incompatible import type for `h::f`",
        ),
        (
            r#"(module (import "h" "f" (global i32)))"#,
            "incompatible import type for `h::f`",
        ),
        (
            r#"(module (import "h" "memory" (memory 2)))"#,
            "incompatible import type",
        ),
        (
            r#"(module (import "h" "memory" (memory 1 1)))"#,
            "incompatible import type",
        ),
    ];
    for (text, expected) in refused {
        let error = linker
            .instantiate(&mut store, &module(&engine, text))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Link);
        assert!(error.to_string().contains(expected), "{error}");
    }
    link(
        &mut store,
        &linker,
        r#"(module (import "h" "memory" (memory 1 3)))"#,
    );
    // A memory's present size counts.
    memory.grow(&mut store, 1).unwrap();
    link(
        &mut store,
        &linker,
        r#"(module (import "h" "memory" (memory 2)))"#,
    );
    let f = module(&engine, r#"(module (import "h" "f" (func)))"#);
    assert_eq!(
        Instance::new(&mut store, &f, &[]).unwrap_err().kind(),
        ErrorKind::Link
    );
}

#[test]
fn names_are_defined_once_unless_shadowing_is_allowed() {
    let engine = engine();
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("h", "f", || 1).unwrap();
    assert!(
        linker
            .func_wrap("h", "f", || 2)
            .unwrap_err()
            .to_string()
            .contains("`h::f`")
    );
    linker.alias("h", "f", "k", "g").unwrap();
    assert!(linker.alias("h", "missing", "k", "h").is_err());
    linker.alias_module("k", "m").unwrap();
    linker
        .allow_shadowing(true)
        .func_wrap("h", "f", || 3)
        .unwrap();
    let mut store = Store::new(&engine, ());
    let mut call = |module: &str, name: &str| {
        let f = linker
            .get(&mut store, module, name)
            .unwrap()
            .into_func()
            .unwrap();
        f.typed::<(), i32>(&store)
            .unwrap()
            .call(&mut store, ())
            .unwrap()
    };
    assert_eq!((call("h", "f"), call("k", "g"), call("m", "g")), (3, 1, 1));
    assert!(linker.is_defined("m", "g") && !linker.is_defined("m", "f"));
}

#[test]
fn one_linker_serves_many_stores() {
    let text = r#"(module
        (import "h" "add" (func $add (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (call $add (local.get 0))))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<i32>::new(engine);
        let add = |caller: Caller<'_, i32>, value: i32| value + *caller.data();
        linker.func_wrap("h", "add", add).unwrap();
        let module = module(engine, text);
        std::thread::scope(|scope| {
            for base in 0..4 {
                let (linker, module) = (&linker, &module);
                scope.spawn(move || {
                    let mut store = Store::new(linker.engine(), base);
                    let instance = linker.instantiate(&mut store, module).unwrap();
                    let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
                    for value in 0..500 {
                        assert_eq!(run.call(&mut store, value).unwrap(), value + base);
                    }
                });
            }
        });
    });
}

#[test]
fn modules_that_satisfy_each_others_imports() {
    in_each_way(|engine| {
        let mut linker = Linker::<()>::new(engine);
        let mut store = Store::new(engine, ());
        let library = r#"(module
            (memory (export "memory") 1)
            (global $ready (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $ready (i32.const 20)))
            (func (export "double") (param i32) (result i32)
                (i32.add (i32.mul (local.get 0) (i32.const 2)) (global.get $ready))))"#;
        linker
            .module(&mut store, "library", &module(engine, library))
            .unwrap();
        let program = r#"(module
            (import "library" "double" (func $double (param i32) (result i32)))
            (import "library" "memory" (memory 1))
            (export "double" (func $double))
            (func (export "run") (result i32)
                (i32.store (i32.const 0) (i32.const 11))
                (call $double (i32.load (i32.const 0)))))"#;
        let instance = link(&mut store, &linker, program);
        let run = instance.get_typed_func::<(), i32>(&store, "run").unwrap();
        assert_eq!(run.call(&mut store, ()).unwrap(), 42);
        let names: Vec<String> = instance
            .exports(&store)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["double", "run"]);
        let double = instance
            .get_typed_func::<i32, i32>(&store, "double")
            .unwrap();
        assert_eq!(double.call(&mut store, 1).unwrap(), 22);
    });
}

#[test]
fn functions_of_a_failed_instance_stay_callable() {
    let text = r#"(module
        (import "h" "table" (table 4 funcref))
        (memory 1)
        (func $leaked (result i32) (i32.load8_u (i32.const 5)))
        (elem (i32.const 1) $leaked)
        (data (i32.const 5) "\2a")
        (data (i32.const 65536) "x"))"#;
    in_each_way(|engine| {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::<()>::new(engine);
        let ty = TableType {
            element: ValType::FuncRef,
            min: 4,
            max: None,
        };
        let table = Table::new(&mut store, ty, Val::FuncRef(None)).unwrap();
        linker.define(&store, "h", "table", table).unwrap();
        let error = linker
            .instantiate(&mut store, &module(engine, text))
            .unwrap_err();
        assert_eq!(error.trap().unwrap().kind(), TrapKind::MemoryOutOfBounds);
        assert!(error.to_string().contains("data segment 1"), "{error}");
        let leaked = table.get(&store, 1).unwrap().func_ref().unwrap().unwrap();
        let leaked = leaked.typed::<(), i32>(&store).unwrap();
        assert_eq!(leaked.call(&mut store, ()).unwrap(), 0x2a);
    });
}

#[test]
fn unknown_imports_can_be_left_to_fail_when_called() {
    let text = r#"(module
        (import "h" "missing" (func $missing (param i32) (result i32)))
        (func (export "without") (result i32) i32.const 1)
        (func (export "with") (result i32) (call $missing (i32.const 1))))"#;
    let engine = engine();
    let mut linker = Linker::<()>::new(&engine);
    let module = module(&engine, text);
    linker.define_unknown_imports_as_traps(&module);
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let call = |store: &mut Store<()>, name: &str| {
        instance
            .get_typed_func::<(), i32>(&*store, name)
            .unwrap()
            .call(store, ())
    };
    assert_eq!(call(&mut store, "without").unwrap(), 1);
    assert!(
        call(&mut store, "with")
            .unwrap_err()
            .to_string()
            .contains("`h::missing`")
    );
}

#[test]
fn start_functions_run_once_and_may_be_imported() {
    let text = r#"(module (import "h" "start" (func $start)) (start $start))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<u32>::new(engine);
        let count = |mut caller: Caller<'_, u32>| *caller.data_mut() += 1;
        linker.func_wrap("h", "start", count).unwrap();
        let mut store = Store::new(engine, 0);
        link(&mut store, &linker, text);
        link(&mut store, &linker, text);
        assert_eq!(store.into_data(), 2);
    });
}

#[test]
fn handles_of_another_store_are_refused() {
    let engine = engine();
    let (mut one, mut other) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let f = Func::wrap(&mut one, || 1).unwrap();
    let typed = f.typed::<(), i32>(&one).unwrap();
    assert!(
        typed
            .call(&mut other, ())
            .unwrap_err()
            .to_string()
            .contains("store")
    );
    assert!(f.call(&mut other, &[], &mut [Val::I32(0)]).is_err());
    assert!(f.typed::<(), i32>(&other).is_err());
    let mut linker = Linker::<()>::new(&engine);
    assert!(linker.define(&other, "h", "f", f).is_err());
    linker.define(&one, "h", "f", f).unwrap();
    let user = module(&engine, r#"(module (import "h" "f" (func (result i32))))"#);
    assert!(linker.instantiate(&mut other, &user).is_err());
    linker.instantiate(&mut one, &user).unwrap();
    assert!(Instance::new(&mut other, &user, &[Extern::Func(f)]).is_err());
    let ty = TableType {
        element: ValType::FuncRef,
        min: 1,
        max: None,
    };
    assert!(Table::new(&mut other, ty, f.into()).is_err());
    let table = Table::new(&mut other, ty, Val::FuncRef(None)).unwrap();
    assert!(table.set(&mut other, 0, f.into()).is_err());
    let panics = std::panic::catch_unwind(AssertUnwindSafe(|| table.size(&one)));
    assert!(panics.is_err());
}
