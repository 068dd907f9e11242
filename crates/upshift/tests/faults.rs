//! Traps, host errors, panics, overflows and full memories end one call, and nothing else.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{FIB, SUM, add, module};
use upshift::cranelift_codegen::ir::{AbiParam, Signature, types};
use upshift::cranelift_codegen::isa::CallConv;
use upshift::{Config, Engine, Module, ModuleBuilder, Tier, TrapKind};

const DIVIDE: &str = "
function u0:0(i64, i64) -> i64 tail {
    sig0 = (i64, i64) -> i64 tail
    fn0 = u0:1 sig0
block0(v0: i64, v1: i64):
    @10 v2 = call fn0(v0, v1)
    return v2
}
function u0:1(i64, i64) -> i64 tail {
block0(v0: i64, v1: i64):
    @20 v2 = sdiv v0, v1
    return v2
}";

/// Recursion without end and without a stack limit of its own.
const DEEP: &str = "
function u0:0(i64) -> i64 tail {
    ss0 = explicit_slot 1000
    sig0 = (i64) -> i64 tail
    fn0 = u0:0 sig0
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    store v0, v1
    v2 = iconst.i64 1
    v3 = iadd v0, v2
    v4 = call fn0(v3)
    v5 = load.i64 v1
    v6 = iadd v4, v5
    return v6
}";

fn engines() -> [Engine; 3] {
    [
        Config::default().only_tier(Tier::Baseline),
        Config::default().only_tier(Tier::Optimizing),
        Config::default().synchronous(true).thresholds(1, 2),
    ]
    .map(|config| Engine::new(config).unwrap())
}

fn unary(conv: CallConv) -> Signature {
    let mut signature = Signature::new(conv);
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    signature
}

#[test]
fn a_trap_says_where() {
    for engine in engines() {
        let divide = module(&engine, &["outer", "divide"], DIVIDE);
        // SAFETY: it touches no memory.
        let outer = unsafe { divide.typed::<(i64, i64), i64>("outer") }.unwrap();
        for _ in 0..3 {
            assert_eq!(outer.call((42, 6)).unwrap(), 7);
            let error = outer.call((1, 0)).unwrap_err();
            let trap = error.trap().expect("a trap");
            assert_eq!(trap.kind, TrapKind::IntegerDivisionByZero);
            let frames: Vec<_> = trap
                .backtrace
                .frames
                .iter()
                .map(|f| (f.name.as_str(), f.position))
                .collect();
            assert_eq!(frames, [("divide", Some(0x20)), ("outer", Some(0x10))]);
            assert_eq!(
                outer.call((i64::MIN, -1)).unwrap_err().trap().unwrap().kind,
                TrapKind::IntegerOverflow
            );
        }
    }
}

#[test]
fn running_out_of_stack_is_a_trap() {
    for engine in engines() {
        let deep = module(&engine, &["deep"], DEEP);
        // SAFETY: it touches only its own frame.
        let deep = unsafe { deep.typed::<i64, i64>("deep") }.unwrap();
        for _ in 0..3 {
            let error = deep.call(0).unwrap_err();
            let trap = error.trap().expect("a trap");
            assert_eq!(trap.kind, TrapKind::StackOverflow);
            assert!(trap.backtrace.truncated && trap.backtrace.frames[1].name == "deep");
        }
    }
}

/// `call_host(x)`: calls the import with `x`.
fn calling(
    engine: &Engine,
    import: impl Fn(i64) -> Result<i64, Box<dyn std::error::Error + Send + Sync>>
    + Send
    + Sync
    + 'static,
) -> Module {
    let mut builder = ModuleBuilder::new(engine);
    builder
        .import("import", unary(CallConv::Tail), import)
        .unwrap();
    let text = "
function u0:1(i64) -> i64 tail {
    sig0 = (i64) -> i64 tail
    fn0 = u0:0 sig0
block0(v0: i64):
    @5 v1 = call fn0(v0)
    return v1
}";
    add(&mut builder, &["call_host"], text);
    builder.finish().unwrap()
}

#[test]
fn host_functions_may_fail_and_panic() {
    for engine in engines() {
        let calling = calling(&engine, |x| match x {
            0 => Err("no zero".into()),
            1 => panic!("one"),
            x => Ok(10 * x),
        });
        // SAFETY: it touches no memory.
        let call_host = unsafe { calling.typed::<i64, i64>("call_host") }.unwrap();
        for _ in 0..3 {
            assert_eq!(call_host.call(2).unwrap(), 20);
            let error = call_host.call(0).unwrap_err();
            let host = error.host_error().expect("a host error");
            assert_eq!(host.error.to_string(), "no zero");
            assert_eq!(host.backtrace.frames.len(), 1);
            assert_eq!(host.backtrace.frames[0].position, Some(5));
            let panic = catch_unwind(AssertUnwindSafe(|| call_host.call(1))).unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"one"));
        }
    }
}

/// Guest → host → guest: the inner trap ends the inner call only, and an outer backtrace reaches through.
#[test]
fn calls_nest() {
    let engine = Engine::new(Config::default()).unwrap();
    let divide = module(&engine, &["outer", "divide"], DIVIDE);
    // SAFETY: it touches no memory.
    let inner = unsafe { divide.typed::<(i64, i64), i64>("outer") }.unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let depth = seen.clone();
    let calling = calling(&engine, move |x| {
        let error = inner.call((x, 0)).unwrap_err();
        depth.store(
            error.trap().unwrap().backtrace.frames.len(),
            Ordering::Relaxed,
        );
        Ok(inner.call((x, 2))?)
    });
    // SAFETY: it touches no memory.
    let call_host = unsafe { calling.typed::<i64, i64>("call_host") }.unwrap();
    assert_eq!(call_host.call(84).unwrap(), 42);
    assert_eq!(seen.load(Ordering::Relaxed), 3, "divide, outer, call_host");
}

#[test]
fn native_functions_are_called_directly() {
    extern "C" fn triple(x: i64) -> i64 {
        3 * x
    }
    let engine = Engine::new(Config::default()).unwrap();
    let mut builder = ModuleBuilder::new(&engine);
    // SAFETY: the function has this signature, and is static.
    unsafe {
        builder.import_address(
            "triple",
            unary(CallConv::SystemV),
            triple as *const () as *const u8,
        )
    };
    let text = "
function u0:1(i64) -> i64 system_v {
    sig0 = (i64) -> i64 system_v
    fn0 = u0:0 sig0
block0(v0: i64):
    v1 = call fn0(v0)
    return v1
}";
    add(&mut builder, &["nine_times"], text);
    let module = builder.finish().unwrap();
    // SAFETY: it touches no memory.
    let nine_times = unsafe { module.typed::<i64, i64>("nine_times") }.unwrap();
    assert_eq!(nine_times.call(14).unwrap(), 42);
}

#[test]
fn wrong_types_and_names_are_refused() {
    let engine = Engine::new(Config::default()).unwrap();
    let sums = module(&engine, &["sum"], SUM);
    // SAFETY: nothing is called.
    let errors = unsafe {
        [
            sums.typed::<i32, i64>("sum").unwrap_err(),
            sums.typed::<i64, ()>("sum").unwrap_err(),
            sums.typed::<i64, i64>("product").unwrap_err(),
        ]
    };
    let texts = errors.map(|e| e.to_string());
    assert!(
        texts[0].contains("function sum") && texts[2].contains("none of that name"),
        "{texts:?}"
    );
    let mut builder = ModuleBuilder::new(&engine);
    builder.declare("missing", unary(CallConv::Tail));
    assert!(
        builder
            .finish()
            .unwrap_err()
            .to_string()
            .contains("no definition")
    );
    let mut builder = ModuleBuilder::new(&engine);
    let function = builder.declare("fib", unary(CallConv::SystemV));
    let body = support::parse(FIB).remove(0);
    assert!(
        builder
            .define(function, body)
            .unwrap_err()
            .to_string()
            .contains("signature")
    );
}

/// Whichever allocation of code memory fails, the program survives and says what is wrong, and everything is given
/// back in the end.
#[test]
fn full_code_memory_is_survived() {
    for failing in 0..12 {
        let engine = Engine::new(Config::default().synchronous(true).thresholds(2, 4)).unwrap();
        let before = engine.code_memory_usage();
        engine.set_failing_allocations(failing..failing + 1);
        let attempt = || -> Result<(), upshift::Error> {
            let mut builder = ModuleBuilder::new(&engine);
            add(&mut builder, &["outer", "divide"], DIVIDE);
            let divide = builder.finish()?;
            // SAFETY: it touches no memory.
            let outer = unsafe { divide.typed::<(i64, i64), i64>("outer") }?;
            for _ in 0..5 {
                assert_eq!(outer.call((42, 6))?, 7);
            }
            Ok(())
        };
        if let Err(error) = attempt() {
            assert!(
                error.to_string().contains("code memory has no room"),
                "{error}"
            );
        }
        engine.set_failing_allocations(0..0);
        attempt().expect("the failure was temporary");
        let after = engine.code_memory_usage();
        let trampolines = after.code_blocks - before.code_blocks;
        assert!(trampolines <= 1, "allocation {failing}: {after:?}");
    }
}

/// Modules dropped while their functions are being compiled: nothing is left of them.
#[test]
fn dropping_modules_in_the_middle_of_compilation_leaks_nothing() {
    let engine = Engine::new(Config::default().thresholds(1, 2).workers(2)).unwrap();
    let warm = || {
        let fibs = module(&engine, &["fib"], FIB);
        // SAFETY: it touches no memory.
        let f = unsafe { fibs.typed::<i64, i64>("fib") }.unwrap();
        assert_eq!(f.call(3).unwrap(), 2);
    };
    warm();
    for round in 0..300 {
        warm();
        if round % 50 == 0 {
            std::thread::yield_now();
        }
    }
    engine.shutdown();
    let usage = engine.code_memory_usage();
    let left = (usage.code_blocks, usage.functions);
    assert_eq!(left, (1, 1), "only the trampoline is left");
    // The operating system's own count agrees: a page of stubs, a page of code, and the pages between runs that are still free.
    assert!(usage.executable_resident_bytes <= 256 * 1024, "{usage:?}");
}

/// Loads what its argument points to, and says that this may be a trap.
const LOAD: &str = "
function u0:0(i64) -> i64 tail {
block0(v0: i64):
    v1 = load.i64 heap_oob v0
    return v1
}";

/// Runs this test again in a process of its own, told to fault, which must die of it as it would without us.
fn dies_of_a_fault(test: &str) {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact"])
        .env("UPSHIFT_TEST_FAULT", "1")
        .output()
        .unwrap()
        .status;
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(11), "{status}");
}

#[test]
fn faults_outside_guests_memories_are_no_traps() {
    if std::env::var_os("UPSHIFT_TEST_FAULT").is_none() {
        return dies_of_a_fault("faults_outside_guests_memories_are_no_traps");
    }
    let engine = Engine::new(Config::default()).unwrap();
    let loads = module(&engine, &["load"], LOAD);
    // SAFETY: none; that is the point.
    let load = unsafe { loads.typed::<i64, i64>("load") }.unwrap();
    // It must not get here: not in our code's name, because the address is nobody's.
    println!("{:?}", load.call(64));
}

#[test]
fn faults_of_the_host_are_not_ours() {
    if std::env::var_os("UPSHIFT_TEST_FAULT").is_none() {
        return dies_of_a_fault("faults_of_the_host_are_not_ours");
    }
    let engine = Engine::new(Config::default()).unwrap();
    let sums = module(&engine, &["sum"], SUM);
    // SAFETY: it touches no memory.
    unsafe { sums.typed::<i64, i64>("sum") }
        .unwrap()
        .call(3)
        .unwrap();
    // SAFETY: none; that is the point.
    unsafe {
        std::ptr::null_mut::<u8>()
            .wrapping_add(64)
            .write_volatile(1)
    };
}
