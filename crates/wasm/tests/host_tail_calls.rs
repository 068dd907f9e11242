//! Tail calls of host functions, in each tier.

use upshift_wasm::{Caller, Config, Engine, Linker, Module, Store, Tier};

const PROGRAM: &str = r#"
(module
  (import "host" "inc" (func $inc (param i32) (result i32)))
  (import "host" "reenter" (func $reenter (param i32) (result i32)))
  (memory 1)
  (global $f (mut f32) (f32.const 28))
  (func (export "plain") (param i32) (result i32) (return_call $inc (local.get 0)))
  (func (export "inner") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "again") (param i32) (result i32) (return_call $reenter (local.get 0)))
  (func (export "converted") (param i32) (result i32) (local f32 v128 f64 i64 externref i32 i32)
    (if (local.get 0) (then (return_call $inc (i32.trunc_sat_f32_s (global.get $f)))))
    (local.get 0))
  (func (export "early") (param i32) (result i32)
    ;; What comes after the call uses registers that a caller may expect to be kept.
    (if (local.get 0) (then (return_call $inc (local.get 0))))
    (drop (f64.load offset=39 (local.get 0)))
    (unreachable)))
"#;

#[test]
fn return_what_the_host_returns() {
    let configs = [
        Config::default().only_tier(Tier::Baseline),
        Config::default().only_tier(Tier::Optimizing),
        Config::default()
            .only_tier(Tier::Baseline)
            .canonical_nans(true),
    ];
    for config in configs {
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, PROGRAM).unwrap();
        let mut linker = Linker::<()>::new(&engine);
        linker.func_wrap("host", "inc", |x: i32| x + 1).unwrap();
        linker
            .func_wrap(
                "host",
                "reenter",
                |mut caller: Caller<'_, ()>, x: i32| -> upshift_wasm::Result<i32> {
                    let inner = caller.get_export("inner").unwrap().into_func().unwrap();
                    let inner = inner.typed::<i32, i32>(&mut caller)?;
                    inner.call(&mut caller, x)
                },
            )
            .unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &module).unwrap();
        for (name, expected) in [
            ("plain", 101),
            ("again", 300),
            ("converted", 29),
            ("early", 101),
        ] {
            let function = instance
                .get_typed_func::<i32, i32>(&mut store, name)
                .unwrap();
            assert_eq!(function.call(&mut store, 100).unwrap(), expected, "{name}");
        }
    }
}
