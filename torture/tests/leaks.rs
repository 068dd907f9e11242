//! Things dropped at the worst moment; `cargo xtask torture leaks` runs this under valgrind.

use upshift_wasm::{Config, Engine, Instance, Module, Store};

const TEXT: &str = r#"(module
    (table 1 funcref)
    (elem (i32.const 0) $f)
    (type $t (func (param i32) (result i32)))
    (func $f (export "f") (param i32) (result i32)
        (if (result i32) (local.get 0)
            (then (i32.add (i32.const 2)
                (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))
            (else (i32.const 0)))))"#;

/// Stores and modules dropped while their functions are being compiled in the background.
#[test]
fn dropping_modules_in_the_middle_of_compilation_leaks_nothing() {
    let engine = Engine::new(Config::default().thresholds(1, 2).workers(2)).unwrap();
    for round in 0..60 {
        let module = Module::new(&engine, TEXT).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance.get_typed_func::<i32, i32>(&store, "f").unwrap();
        assert_eq!(f.call(&mut store, 20).unwrap(), 40);
        if round % 2 == 0 {
            drop(module);
            drop(store);
        } else {
            drop(store);
            drop(module);
        }
    }
    engine.shutdown();
    let usage = engine.code_memory_usage();
    assert_eq!(
        (usage.code_blocks, usage.functions),
        (1, 1),
        "only the trampoline is left"
    );
}
