//! Functions are taken back to tier 0 by hand, before they are called again and while they run.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use upshift::embed::{CompileError, CompileRequest, CompiledCode, Compiler, GuardReason, TrapKind};
use upshift::{Backend, Config, EventKind, Function, Recorder, Tier};
use upshift_cranelift::{CraneliftCompiler, Effort, Options};
use upshift_wasm::{Engine, Instance, Module, ModuleOptions, Store};

const PROGRAM: &str = r#"(module
  (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "sum") (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (call $add (local.get $sum) (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "spin") (result i64)
    (local $i i64)
    (i64.const 1)
    (loop $for-ever
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $for-ever (i64.ne (local.get $i) (i64.const 0))))
    (i64.add (local.get $i))))"#;

const ADD: u32 = 0;
const SUM: u32 = 1;
const SPIN: u32 = 2;

struct Program {
    engine: Engine,
    module: Module,
    recorder: Arc<Recorder>,
}

impl Program {
    fn new(config: Config) -> Program {
        let recorder = Arc::new(Recorder::default());
        let config = config.synchronous(true).subscriber(recorder.clone());
        let engine = Engine::new(config).unwrap();
        let options = ModuleOptions {
            interruptible: true,
        };
        Program {
            module: Module::with_options(&engine, PROGRAM, options).unwrap(),
            engine,
            recorder,
        }
    }

    fn function(&self, index: u32) -> Function {
        Function::new(self.module.functions().unwrap().clone(), index).unwrap()
    }

    fn tier_of(&self, index: u32) -> Option<Tier> {
        self.engine.tier_of(&self.function(index))
    }

    fn wait_for(&self, what: impl Fn(&EventKind) -> bool) {
        while !self.recorder.events().iter().any(|e| what(&e.kind)) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Versions of `sum` in tier 1 so far, each with the number of calls that were inlined in it.
    fn versions_of_sum(&self) -> Vec<usize> {
        let events = self.recorder.events();
        let inlined = |kind: &EventKind| match kind {
            EventKind::Compiled(c) if c.tier == Tier::Optimizing && c.osr.is_none() => {
                Some(c.inlined.len())
            }
            _ => None,
        };
        let of_sum = events.iter().filter(|event| event.name == "sum");
        of_sum.filter_map(|event| inlined(&event.kind)).collect()
    }
}

/// All ways in which code of tier 1 counts its iterations, for each kind of tier 0.
fn configs() -> Vec<Config> {
    let baselines = [Backend::CopyAndPatch, Backend::CraneliftNone];
    let with = |baseline: Backend| {
        let config = Config::default().backend(Tier::Baseline, baseline);
        let top = config.clone().backend(Tier::Top, Backend::CraneliftSpeed);
        [config.safepoints(true), top.thresholds(100, u32::MAX)]
    };
    baselines.into_iter().flat_map(with).collect()
}

#[test]
fn a_loop_that_never_ends_is_left() {
    for config in configs() {
        let program = Program::new(config);
        let mut store = Store::new(&program.engine, ());
        let instance = Instance::new(&mut store, &program.module, &[]).unwrap();
        let spin = instance.get_typed_func::<(), i64>(&store, "spin").unwrap();
        let interrupt = store.interrupt_handle();
        let ended = thread::scope(|scope| {
            let running = scope.spawn(|| spin.call(&mut store, ()));
            program.wait_for(|kind| matches!(kind, EventKind::OsrEntered { .. }));
            let function = program.function(SPIN);
            program
                .engine
                .deoptimize(&function, Tier::Baseline)
                .unwrap();
            program.wait_for(|kind| {
                let asked_for = GuardReason::Requested;
                matches!(kind, EventKind::Deoptimized { reason, .. } if *reason == asked_for)
            });
            interrupt.interrupt();
            running.join().unwrap()
        });
        let error = ended.unwrap_err();
        assert_eq!(
            error.trap().map(|trap| trap.kind()),
            Some(TrapKind::Interrupted)
        );
        let frames = error.backtrace().expect("a backtrace").frames();
        assert_eq!(frames[0].tier(), Tier::Baseline);
    }
}

#[test]
fn new_calls_are_in_tier_0_until_something_else_is_asked_for() {
    for config in configs() {
        let program = Program::new(config);
        let mut store = Store::new(&program.engine, ());
        let instance = Instance::new(&mut store, &program.module, &[]).unwrap();
        let sum = instance.get_typed_func::<i32, i32>(&store, "sum").unwrap();
        let mut call = || {
            for n in 1..300 {
                assert_eq!(sum.call(&mut store, n).unwrap(), n * (n + 1) / 2);
            }
        };
        call();
        assert_eq!(program.tier_of(SUM), Some(Tier::Optimizing));
        assert_eq!(program.versions_of_sum(), [1]);
        let add = program.function(ADD);
        program.engine.deoptimize(&add, Tier::Baseline).unwrap();
        assert_ne!(program.tier_of(SUM), Some(Tier::Optimizing));
        call();
        // The caller is back, and calls.
        assert_eq!(program.versions_of_sum(), [1, 0]);
        assert_eq!(program.tier_of(SUM), Some(Tier::Optimizing));
        assert_eq!(program.tier_of(ADD), Some(Tier::Baseline));
        program.engine.optimize(&add, Tier::Optimizing).unwrap();
        call();
        assert_eq!(program.tier_of(ADD), Some(Tier::Optimizing));
    }
}

/// Compiles when the test says so.
#[derive(Debug)]
struct Gated {
    entered: Barrier,
    leave: Barrier,
    inner: CraneliftCompiler,
}

impl Compiler for Gated {
    fn name(&self) -> &str {
        "gated"
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        self.entered.wait();
        self.leave.wait();
        self.inner.compile(request)
    }
}

/// A caller's code is made with a function's body in it, which is taken back to tier 0 meanwhile: that code is thrown away.
#[test]
fn a_body_that_was_inlined_before_does_not_run_after() {
    let options = Options {
        effort: Effort::Speed,
        canonical_nans: false,
        verify: true,
    };
    let gate = Arc::new(Gated {
        entered: Barrier::new(2),
        leave: Barrier::new(2),
        inner: CraneliftCompiler::new(options).unwrap(),
    });
    let top = Backend::Custom(gate.clone());
    let config = Config::default().thresholds(100, u32::MAX);
    let program = Program::new(config.backend(Tier::Top, top));
    let mut store = Store::new(&program.engine, ());
    let instance = Instance::new(&mut store, &program.module, &[]).unwrap();
    let sum = instance.get_typed_func::<i32, i32>(&store, "sum").unwrap();
    assert_eq!(sum.call(&mut store, 10).unwrap(), 55);
    let (caller, callee) = (program.function(SUM), program.function(ADD));
    thread::scope(|scope| {
        let compiling = scope.spawn(|| program.engine.optimize(&caller, Tier::Top));
        gate.entered.wait();
        program.engine.deoptimize(&callee, Tier::Baseline).unwrap();
        gate.leave.wait();
        // Whether that counts as a failure is not what this is about.
        drop(compiling.join().unwrap());
    });
    let events = program.recorder.events();
    let is_discarded = |kind: &EventKind| matches!(kind, EventKind::Discarded { tier: Tier::Top });
    assert!(events.iter().any(|event| is_discarded(&event.kind)));
    assert_ne!(program.tier_of(SUM), Some(Tier::Top));
    assert_eq!(sum.call(&mut store, 10).unwrap(), 55);
}

#[test]
fn there_must_be_a_tier_so_low() {
    let program = Program::new(Config::default().only_tier(Tier::Optimizing));
    let function = program.function(SUM);
    assert!(
        program
            .engine
            .deoptimize(&function, Tier::Baseline)
            .is_err()
    );
}
