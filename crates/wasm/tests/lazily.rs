//! Modules that are loaded with what can be put off put off: mapped files, whose functions are validated when they are
//! first used.

mod common;

use common::in_each_way;
use std::fs;
use std::path::PathBuf;
use upshift_wasm::{Engine, Instance, Module, ModuleOptions, Store};

/// A file of its own for each test.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("upshift-{name}-{}.wasm", std::process::id()));
    fs::write(&path, bytes).unwrap();
    path
}

fn load(engine: &Engine, path: &PathBuf) -> upshift_wasm::Result<Module> {
    Module::from_file_lazily(engine, path, ModuleOptions::default())
}

#[test]
fn an_invalid_function_harms_only_those_who_call_it() {
    let wasm = wat::parse_str(
        r#"(module
            (import "" "" (func))
            (func (export "good") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
            (func (export "bad") (result i32) (i64.const 1))
            (func (export "calls") (param i32) (result i32)
                (if (result i32) (local.get 0) (then (call 2)) (else (i32.const 5)))))"#,
    );
    let path = file("invalid", &wasm.unwrap());
    in_each_way(|engine| {
        assert!(Module::from_file(engine, &path).is_err());
        let module = load(engine, &path).unwrap();
        let mut store = Store::new(engine, ());
        let import = upshift_wasm::Func::wrap(&mut store, || {}).unwrap();
        let instance = Instance::new(&mut store, &module, &[import.into()]).unwrap();
        assert_eq!(module.validated_function_count(), 0);
        let good = instance.get_typed_func::<i32, i32>(&store, "good").unwrap();
        let calls = instance
            .get_typed_func::<i32, i32>(&store, "calls")
            .unwrap();
        let bad = instance.get_typed_func::<(), i32>(&store, "bad").unwrap();
        for n in 0..300 {
            assert_eq!(good.call(&mut store, n).unwrap(), n + 1);
            assert_eq!(calls.call(&mut store, 0).unwrap(), 5);
        }
        assert_eq!(module.validated_function_count(), 2);
        for _ in 0..3 {
            for error in [
                bad.call(&mut store, ()).unwrap_err(),
                calls.call(&mut store, 1).unwrap_err(),
            ] {
                let text = format!("{error:#}");
                assert!(
                    text.contains("function 2 is invalid: type mismatch"),
                    "{text}"
                );
            }
        }
        assert_eq!(good.call(&mut store, 1).unwrap(), 2);
    });
    fs::remove_file(path).unwrap();
}

#[test]
fn what_is_not_a_body_is_validated_when_the_module_is_loaded() {
    for text in [
        "(module (func (export \"f\")) (export \"f\" (func 0)))",
        "(module (global i32 (i64.const 1)))",
        "(module (func) (start 1))",
    ] {
        let path = file("outside", &wat::parse_str(text).unwrap());
        in_each_way(|engine| assert!(load(engine, &path).is_err(), "{text}"));
        fs::remove_file(path).unwrap();
    }
    let path = file("text", b"(module)");
    in_each_way(|engine| assert!(load(engine, &path).is_err()));
    fs::write(&path, b"").unwrap();
    in_each_way(|engine| assert!(load(engine, &path).is_err()));
    fs::remove_file(path).unwrap();
}

/// Once a function has been called the file can hold anything: the function is what it was in every tier.
#[test]
fn a_function_that_was_called_does_not_follow_the_file() {
    let text = r#"(module (func (export "f") (param i32) (result i32)
        (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (local.get $sum) (local.get 0)))
            (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get $sum))
        (data (i32.const 0) "") (memory 1))"#;
    let wasm = wat::parse_str(text).unwrap();
    in_each_way(|engine| {
        let path = file("followed", &wasm);
        let module = load(engine, &path).unwrap();
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance.get_typed_func::<i32, i32>(&store, "f").unwrap();
        assert_eq!(f.call(&mut store, 4).unwrap(), 10);
        // In place, and as long as before.
        fs::write(&path, vec![0xff; wasm.len()]).unwrap();
        for n in 1..500 {
            assert_eq!(f.call(&mut store, n).unwrap(), n * (n + 1) / 2);
        }
        fs::remove_file(path).unwrap();
    });
}
