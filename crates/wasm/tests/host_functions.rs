//! Host functions: what they get, what they return, how they fail, and calls back into the program.

mod common;

use common::{engine, in_each_way, link};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use upshift_wasm::{
    Caller, Error, ErrorKind, Extern, ExternRef, Func, FuncType, Linker, Result, Store, TrapKind,
    V128, Val, ValType,
};

#[derive(Debug, PartialEq)]
struct Quit(i32);

impl fmt::Display for Quit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quit with {}", self.0)
    }
}

impl std::error::Error for Quit {}

#[test]
fn closures_of_many_shapes() {
    let text = r#"(module
        (import "h" "unit" (func $unit))
        (import "h" "one" (func $one (param i32 i64 f32 f64) (result f64)))
        (import "h" "two" (func $two (result i32 i64)))
        (import "h" "vector" (func $vector (param v128) (result v128)))
        (import "h" "refs" (func $refs (param externref funcref) (result funcref externref)))
        (import "h" "caller" (func $caller (param i32) (result i32)))
        (import "h" "dynamic" (func $dynamic (param i32 f32) (result f32 i32)))
        (elem declare func $caller)
        (func (export "unit") call $unit)
        (func (export "one") (result f64)
            (call $one (i32.const 1) (i64.const 2) (f32.const 3.5) (f64.const 4.25)))
        (func (export "two") (result i32 i64) call $two)
        (func (export "vector") (result v128)
            (call $vector (v128.const i64x2 1 2)))
        (func (export "refs") (param externref) (result funcref externref)
            (call $refs (local.get 0) (ref.func $caller)))
        (func (export "caller") (param i32) (result i32) (call $caller (local.get 0)))
        (func (export "dynamic") (result f32 i32) (call $dynamic (i32.const 7) (f32.const 0.5))))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<Vec<i32>>::new(engine);
        linker
            .func_wrap("h", "unit", |mut caller: Caller<'_, Vec<i32>>| {
                caller.data_mut().push(-1)
            })
            .unwrap();
        linker
            .func_wrap("h", "one", |a: i32, b: i64, c: f32, d: f64| {
                f64::from(a) + b as f64 + f64::from(c) + d
            })
            .unwrap();
        linker
            .func_wrap("h", "two", || -> Result<(i32, u64)> { Ok((5, 6)) })
            .unwrap();
        linker
            .func_wrap("h", "vector", |v: V128| {
                V128::from(v.as_u128().rotate_left(64))
            })
            .unwrap();
        linker
            .func_wrap(
                "h",
                "refs",
                |value: Option<ExternRef>, func: Option<Func>| (func, value),
            )
            .unwrap();
        let push = |mut caller: Caller<'_, Vec<i32>>, value: i32| {
            caller.data_mut().push(value);
            caller.data().len() as i32
        };
        linker.func_wrap("h", "caller", push).unwrap();
        let ty = FuncType::new([ValType::I32, ValType::F32], [ValType::F32, ValType::I32]);
        linker
            .func_new("h", "dynamic", ty, |_, params, results| {
                results[0] = params[1];
                results[1] = params[0];
                Ok(())
            })
            .unwrap();

        let mut store = Store::new(engine, Vec::new());
        let instance = link(&mut store, &linker, text);
        for _ in 0..2 {
            let unit = instance.get_typed_func::<(), ()>(&store, "unit").unwrap();
            unit.call(&mut store, ()).unwrap();
            let one = instance.get_typed_func::<(), f64>(&store, "one").unwrap();
            assert_eq!(one.call(&mut store, ()).unwrap(), 10.75);
            let two = instance
                .get_typed_func::<(), (i32, u64)>(&store, "two")
                .unwrap();
            assert_eq!(two.call(&mut store, ()).unwrap(), (5, 6));
            let vector = instance
                .get_typed_func::<(), V128>(&store, "vector")
                .unwrap();
            assert_eq!(
                vector.call(&mut store, ()).unwrap().as_u128(),
                (1 << 64) | 2
            );
            let value = ExternRef::new(&mut store, 3_u8).unwrap();
            let refs = instance
                .get_typed_func::<Option<ExternRef>, (Option<Func>, Option<ExternRef>)>(
                    &store, "refs",
                )
                .unwrap();
            let (func, back) = refs.call(&mut store, Some(value)).unwrap();
            assert_eq!(back, Some(value));
            let caller = func.unwrap().typed::<i32, i32>(&store).unwrap();
            let before = store.data().len() as i32;
            assert_eq!(caller.call(&mut store, 9).unwrap(), before + 1);
            let caller = instance
                .get_typed_func::<i32, i32>(&store, "caller")
                .unwrap();
            assert_eq!(caller.call(&mut store, 8).unwrap(), before + 2);
            let dynamic = instance
                .get_typed_func::<(), (f32, i32)>(&store, "dynamic")
                .unwrap();
            assert_eq!(dynamic.call(&mut store, ()).unwrap(), (0.5, 7));
        }
        assert_eq!(*store.data(), [-1, 9, 8, -1, 9, 8]);
    });
}

#[test]
fn sixteen_parameters_and_a_caller() {
    let gets: String = (0..16)
        .map(|index| format!("(i64.const {index}) "))
        .collect();
    let text = format!(
        "(module (import \"h\" \"f\" (func $f (param {}) (result i64)))
            (func (export \"f\") (result i64) (call $f {gets})))",
        "i64 ".repeat(16)
    );
    in_each_way(|engine| {
        let mut linker = Linker::<i64>::new(engine);
        linker
            .func_wrap(
                "h",
                "f",
                #[allow(clippy::too_many_arguments, reason = "as many as there can be")]
                |caller: Caller<'_, i64>,
                 a: i64,
                 b: i64,
                 c: i64,
                 d: i64,
                 e: i64,
                 f: i64,
                 g: i64,
                 h: i64,
                 i: i64,
                 j: i64,
                 k: i64,
                 l: i64,
                 m: i64,
                 n: i64,
                 o: i64,
                 p: i64| {
                    let values = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
                    assert_eq!(values, std::array::from_fn(|index| index as i64));
                    *caller.data()
                },
            )
            .unwrap();
        let mut store = Store::new(engine, 42);
        let instance = link(&mut store, &linker, &text);
        let f = instance.get_typed_func::<(), i64>(&store, "f").unwrap();
        assert_eq!(f.call(&mut store, ()).unwrap(), 42);
    });
}

#[test]
fn the_hosts_own_error_comes_back() {
    let text = r#"(module $program
        (import "h" "quit" (func $quit (param i32)))
        (func $inner (call $quit (i32.const 3)))
        (func $outer (export "run") (call $inner)))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<()>::new(engine);
        linker
            .func_wrap("h", "quit", |code: i32| -> Result<()> {
                Err(Error::host(Quit(code)))
            })
            .unwrap();
        let mut store = Store::new(engine, ());
        let instance = link(&mut store, &linker, text);
        let run = instance.get_typed_func::<(), ()>(&store, "run").unwrap();
        for _ in 0..3 {
            let error = run.call(&mut store, ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Host);
            assert_eq!(error.downcast_ref::<Quit>(), Some(&Quit(3)));
            assert_eq!(error.to_string(), "quit with 3");
            let names: Vec<_> = error
                .backtrace()
                .unwrap()
                .frames()
                .iter()
                .map(|frame| frame.func_name())
                .collect();
            assert_eq!(names, [Some("inner"), Some("outer")]);
            assert!(error.is::<Quit>() && error.trap().is_none());
            assert_eq!(error.downcast::<Quit>().unwrap(), Quit(3));
        }
    });
}

#[test]
fn a_host_function_can_trap() {
    let text = r#"(module
        (import "h" "trap" (func $trap))
        (func $f (export "run") call $trap))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<()>::new(engine);
        let trap = || -> Result<()> { Err(TrapKind::IntegerOverflow.into()) };
        linker.func_wrap("h", "trap", trap).unwrap();
        let mut store = Store::new(engine, ());
        let instance = link(&mut store, &linker, text);
        let error = instance
            .get_func(&store, "run")
            .unwrap()
            .call(&mut store, &[], &mut [])
            .unwrap_err();
        let trap = error.trap().unwrap();
        assert_eq!(trap.kind(), TrapKind::IntegerOverflow);
        assert_eq!(trap.frames()[0].func_name(), Some("f"));
    });
}

#[test]
fn a_panic_goes_through_to_the_caller() {
    let text = r#"(module
        (import "h" "panic" (func $panic (param i32)))
        (func (export "run") (param i32) (call $panic (local.get 0))))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<()>::new(engine);
        let dropped = Arc::new(AtomicUsize::new(0));
        let counter = Counted(dropped.clone());
        linker
            .func_wrap("h", "panic", move |value: i32| {
                let _local = Counted(counter.0.clone());
                assert!(value == 0, "told to panic with {value}");
            })
            .unwrap();
        let mut store = Store::new(engine, ());
        let instance = link(&mut store, &linker, text);
        let run = instance.get_typed_func::<i32, ()>(&store, "run").unwrap();
        for value in 1..4 {
            let result = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, value)));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("told to panic with {value}"));
            // The store is as good as before.
            run.call(&mut store, 0).unwrap();
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 6);
        drop((store, linker));
        assert_eq!(dropped.load(Ordering::Relaxed), 7);
    });
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_host_function_sees_its_callers_exports() {
    let text = |value: i32| {
        format!(
            r#"(module
            (import "h" "peek" (func $peek (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "\{value:02x}")
            (func (export "run") (result i32) call $peek))"#
        )
    };
    in_each_way(|engine| {
        let mut linker = Linker::<()>::new(engine);
        let peek = |mut caller: Caller<'_, ()>| -> Result<i32> {
            let memory = caller.get_export("memory").and_then(Extern::into_memory);
            let memory = memory.ok_or_else(|| Error::new("no memory"))?;
            assert!(caller.get_export("missing").is_none());
            Ok(memory.data(&caller)[16].into())
        };
        linker.func_wrap("h", "peek", peek).unwrap();
        let mut store = Store::new(engine, ());
        let instances = [3, 4].map(|value| link(&mut store, &linker, &text(value)));
        for (instance, value) in instances.iter().zip([3, 4]) {
            let run = instance.get_typed_func::<(), i32>(&store, "run").unwrap();
            assert_eq!(run.call(&mut store, ()).unwrap(), value);
        }
        // Called by the host itself there is no calling instance.
        let peek = linker
            .get(&mut store, "h", "peek")
            .unwrap()
            .into_func()
            .unwrap();
        let error = peek
            .typed::<(), i32>(&store)
            .unwrap()
            .call(&mut store, ())
            .unwrap_err();
        assert_eq!(error.to_string(), "no memory");
    });
}

#[test]
fn host_and_program_call_each_other() {
    let text = r#"(module
        (import "h" "down" (func $down (param i32) (result i32)))
        (func $step (export "step") (param i32) (result i32)
            (i32.add (i32.const 1) (call $down (local.get 0)))))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<u32>::new(engine);
        let down = |mut caller: Caller<'_, u32>, value: i32| -> Result<i32> {
            *caller.data_mut() += 1;
            match value {
                0 => Ok(100),
                -1 => Err(Error::host(Quit(5))),
                -2 => Err(TrapKind::Unreachable.into()),
                _ => {
                    let step = caller
                        .get_export("step")
                        .and_then(Extern::into_func)
                        .unwrap();
                    let next = if value > 0 { value - 1 } else { value + 10 };
                    step.typed::<i32, i32>(&caller)?.call(&mut caller, next)
                }
            }
        };
        linker.func_wrap("h", "down", down).unwrap();
        let mut store = Store::new(engine, 0);
        let instance = link(&mut store, &linker, text);
        let step = instance.get_typed_func::<i32, i32>(&store, "step").unwrap();
        assert_eq!(step.call(&mut store, 50).unwrap(), 151);
        assert_eq!(*store.data(), 51);

        // An error passes all levels and keeps the backtrace of where it started.
        let error = step.call(&mut store, -21).unwrap_err();
        assert_eq!(error.downcast_ref::<Quit>(), Some(&Quit(5)));
        assert_eq!(error.backtrace().unwrap().frames().len(), 3);
        let error = step.call(&mut store, -12).unwrap_err();
        assert_eq!(error.trap().unwrap().kind(), TrapKind::Unreachable);
        assert_eq!(error.trap().unwrap().frames().len(), 2);
        assert_eq!(step.call(&mut store, 3).unwrap(), 104);
    });
}

#[test]
fn deep_recursion_through_the_host_is_a_trap() {
    let text = r#"(module
        (import "h" "again" (func $again))
        (func (export "step") call $again))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<()>::new(engine);
        let again = |mut caller: Caller<'_, ()>| -> Result<()> {
            let step = caller
                .get_export("step")
                .and_then(Extern::into_func)
                .unwrap();
            step.call(&mut caller, &[], &mut [])
        };
        linker.func_wrap("h", "again", again).unwrap();
        let mut store = Store::new(engine, ());
        let instance = link(&mut store, &linker, text);
        let step = instance.get_func(&store, "step").unwrap();
        for _ in 0..2 {
            let error = step.call(&mut store, &[], &mut []).unwrap_err();
            assert_eq!(
                error.trap().map(|trap| trap.kind()),
                Some(TrapKind::StackOverflow),
                "{error}"
            );
        }
    });
}

#[test]
fn a_dynamic_host_function_must_return_its_type() {
    let text = r#"(module (import "h" "f" (func $f (result i32))) (func (export "f") (result i32) call $f))"#;
    let mut linker = Linker::<()>::new(&engine());
    let ty = FuncType::new([], [ValType::I32]);
    let wrong = |_: Caller<'_, ()>, _: &[Val], results: &mut [Val]| {
        results[0] = Val::I64(1);
        Ok(())
    };
    linker.func_new("h", "f", ty, wrong).unwrap();
    let mut store = Store::new(linker.engine(), ());
    let instance = link(&mut store, &linker, text);
    let f = instance.get_typed_func::<(), i32>(&store, "f").unwrap();
    assert!(
        f.call(&mut store, ())
            .unwrap_err()
            .to_string()
            .contains("i64")
    );
}

#[test]
fn a_host_function_called_by_the_host() {
    in_each_way(|engine| {
        let mut store = Store::new(engine, 1_i32);
        let f = Func::wrap(&mut store, |mut caller: Caller<'_, i32>, value: i32| {
            *caller.data_mut() += value;
            *caller.data()
        })
        .unwrap();
        let typed = f.typed::<i32, i32>(&store).unwrap();
        assert_eq!(typed.call(&mut store, 4).unwrap(), 5);
        let ty = FuncType::new([ValType::I64], [ValType::I64]);
        let g = Func::new(&mut store, ty, |_, params, results| {
            results[0] = params[0];
            Ok(())
        })
        .unwrap();
        let mut results = [Val::I32(0)];
        g.call(&mut store, &[Val::I64(-7)], &mut results).unwrap();
        assert_eq!(results[0].i64(), Some(-7));
    });
}
