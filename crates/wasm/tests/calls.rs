//! Calling exported functions, typed and dynamic.

mod common;

use common::{in_each_way, instantiate};
use upshift_wasm::{ExternRef, Func, FuncType, V128, Val, ValType};

#[test]
fn every_type_goes_in_and_out() {
    let text = r#"(module
        (func (export "i32") (param i32) (result i32) local.get 0)
        (func (export "i64") (param i64) (result i64) local.get 0)
        (func (export "f32") (param f32) (result f32) local.get 0)
        (func (export "f64") (param f64) (result f64) local.get 0)
        (func (export "v128") (param v128) (result v128) local.get 0)
        (func $f (export "func") (param funcref) (result funcref) local.get 0)
        (func (export "extern") (param externref) (result externref) local.get 0))"#;
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, text);
        macro_rules! check {
            ($name:literal, $ty:ty, $value:expr, $same:expr) => {
                let function = instance.get_typed_func::<$ty, $ty>(&store, $name).unwrap();
                for _ in 0..3 {
                    let result = function.call(&mut store, $value).unwrap();
                    assert!($same(&result, &$value), "{result:?}");
                }
            };
        }
        check!("i32", i32, i32::MIN, |a: &i32, b: &i32| a == b);
        check!("i32", u32, u32::MAX, |a: &u32, b: &u32| a == b);
        check!("i64", i64, i64::MIN, |a: &i64, b: &i64| a == b);
        check!("i64", u64, u64::MAX, |a: &u64, b: &u64| a == b);
        check!(
            "f32",
            f32,
            f32::from_bits(0x7fa0_0001),
            |a: &f32, b: &f32| a.to_bits() == b.to_bits()
        );
        check!("f64", f64, -0.0, |a: &f64, b: &f64| a.to_bits()
            == b.to_bits());
        let vector = V128::from(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        check!("v128", V128, vector, |a: &V128, b: &V128| a == b);
        let function = instance.get_func(&store, "func");
        check!(
            "func",
            Option<Func>,
            function,
            |a: &Option<Func>, b: &Option<Func>| a == b
        );
        check!(
            "func",
            Option<Func>,
            None,
            |a: &Option<Func>, b: &Option<Func>| a == b
        );
        let host = ExternRef::new(&mut store, "host".to_owned()).unwrap();
        let same = |a: &Option<ExternRef>, b: &Option<ExternRef>| a == b;
        check!("extern", Option<ExternRef>, Some(host), same);
        check!("extern", Option<ExternRef>, None, same);
        assert_eq!(host.data(&store).downcast_ref::<String>().unwrap(), "host");
    });
}

#[test]
fn sixteen_parameters_and_results() {
    let types = "i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64";
    let gets: String = (0..16).map(|index| format!("local.get {index} ")).collect();
    let text = format!("(module (func (export \"id\") (param {types}) (result {types}) {gets}))");
    type Values = (
        i32,
        i64,
        f32,
        f64,
        i32,
        i64,
        f32,
        f64,
        i32,
        i64,
        f32,
        f64,
        i32,
        i64,
        f32,
        f64,
    );
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, &text);
        let function = instance
            .get_typed_func::<Values, Values>(&store, "id")
            .unwrap();
        let values = (
            1, 2, 3.0, 4.0, 5, 6, 7.0, 8.0, 9, 10, 11.0, 12.0, 13, 14, 15.0, 16.0,
        );
        for _ in 0..3 {
            let result = function.call(&mut store, values).unwrap();
            // Tuples of sixteen have no equality.
            assert_eq!((result.0, result.1, result.2, result.3), (1, 2, 3.0, 4.0));
            assert_eq!((result.4, result.5, result.6, result.7), (5, 6, 7.0, 8.0));
            assert_eq!(
                (result.8, result.9, result.10, result.11),
                (9, 10, 11.0, 12.0)
            );
            assert_eq!(
                (result.12, result.13, result.14, result.15),
                (13, 14, 15.0, 16.0)
            );
        }
    });
}

#[test]
fn dynamic_calls_with_more_values_than_fit_on_the_stack() {
    let gets: String = (0..40)
        .rev()
        .map(|index| format!("local.get {index} "))
        .collect();
    let types = "i64 ".repeat(40);
    let text =
        format!("(module (func (export \"reverse\") (param {types}) (result {types}) {gets}))");
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, &text);
        let function = instance.get_func(&store, "reverse").unwrap();
        let arguments: Vec<Val> = (0..40_i64).map(Val::from).collect();
        let mut results = vec![Val::I32(0); 40];
        function.call(&mut store, &arguments, &mut results).unwrap();
        let results: Vec<i64> = results.iter().map(|result| result.i64().unwrap()).collect();
        assert_eq!(results, (0..40).rev().collect::<Vec<i64>>());
    });
}

#[test]
fn types_are_checked() {
    let text = r#"(module
        (func (export "f") (param i32) (result i64) i64.const 7)
        (func (export "mixed") (param i32 i64 f32 f64) (result f64 f32) local.get 3 local.get 2))"#;
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, text);
        let error = instance
            .get_typed_func::<i64, i64>(&store, "f")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("[i32] -> [i64]") && error.contains("`f`"),
            "{error}"
        );
        assert!(instance.get_typed_func::<i32, ()>(&store, "f").is_err());
        assert!(
            instance
                .get_typed_func::<(i32, i32), i64>(&store, "f")
                .is_err()
        );
        let error = instance
            .get_typed_func::<(), ()>(&store, "g")
            .unwrap_err()
            .to_string();
        assert!(error.contains("`g`"), "{error}");

        let f = instance.get_func(&store, "f").unwrap();
        assert_eq!(f.ty(&store), FuncType::new([ValType::I32], [ValType::I64]));
        let mut result = [Val::I32(0)];
        assert!(f.call(&mut store, &[], &mut result).is_err());
        assert!(f.call(&mut store, &[Val::I32(1)], &mut []).is_err());
        assert!(f.call(&mut store, &[Val::I64(1)], &mut result).is_err());
        f.call(&mut store, &[Val::I32(1)], &mut result).unwrap();
        assert_eq!(result[0].i64(), Some(7));

        let mixed = instance
            .get_typed_func::<(i32, i64, f32, f64), (f64, f32)>(&store, "mixed")
            .unwrap();
        assert_eq!(
            mixed.call(&mut store, (1, 2, 3.5, 4.5)).unwrap(),
            (4.5, 3.5)
        );
    });
}

#[test]
fn code_is_promoted_and_keeps_its_meaning() {
    let text = r#"(module
        (func $fib (export "fib") (param i32) (result i32)
            (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                (then (local.get 0))
                (else (i32.add
                    (call $fib (i32.sub (local.get 0) (i32.const 1)))
                    (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#;
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, text);
        let fib = instance.get_typed_func::<u32, u32>(&store, "fib").unwrap();
        let mut expected = (0_u32, 1_u32);
        for n in 0..20 {
            assert_eq!(fib.call(&mut store, n).unwrap(), expected.0);
            expected = (expected.1, expected.0 + expected.1);
        }
        let functions = instance.module(&store).functions().unwrap();
        let best = engine
            .tiers()
            .into_iter()
            .rev()
            .find(|tier| !tier.compilers.is_empty());
        assert_eq!(functions.tier_of(0), best.map(|tier| tier.tier));
    });
}
