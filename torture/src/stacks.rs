//! Stack overflow on threads with small and large stacks: a trap each time, never an abort.

use crate::children;
use crate::report::Report;
use crate::scale::Scale;
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use upshift::ModuleBuilder;
use upshift::cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, Signature, StackSlotData, StackSlotKind, UserFuncName, types,
};
use upshift::cranelift_codegen::isa::CallConv;
use upshift::cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use upshift_wasm::{Caller, Config, Engine, Instance, Linker, Module, Store, Tier, TrapKind, Val};

/// Sizes of the threads' stacks.
const STACK_KILOBYTES: &[usize] = &[64, 128, 256, 300, 400, 512, 768, 1024, 2048, 8192];
const SETUPS: &[&str] = &["0", "1", "promoted", "background", "osr", "flip", "deopt"];
/// Functions that are called for the first time at some depth.
const FRESH: u32 = 48;

fn config(setup: &str) -> Config {
    match setup {
        "0" => Config::default().only_tier(Tier::Baseline),
        "1" => Config::default().only_tier(Tier::Optimizing),
        "osr" => Config::default().stress_osr(1),
        "flip" => Config::default().stress_random(2, 7, true),
        "deopt" => Config::default().stress_deopt(1, 7),
        "promoted" => Config::default().synchronous(true).thresholds(2, u32::MAX),
        _ => Config::default().thresholds(2, u32::MAX),
    }
}

/// Runs a child for each size and setup.
pub fn run(scale: Scale) -> Result<Report> {
    let mut report = Report::new(
        "stacks",
        "stacks of many sizes used up in each tier, in host functions and in compilers",
    );
    let sizes = match scale {
        Scale::Full => STACK_KILOBYTES,
        Scale::Smoke => &[64, 256, 1024],
    };
    let mut overflows = 0_u64;
    for kilobytes in sizes {
        for setup in SETUPS {
            let output = children::run(&["stack", &kilobytes.to_string(), setup])?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            report.check(output.status.success(), || {
                format!("{kilobytes} KiB, {setup}: {}", children::ending(&output))
            });
            overflows += said.parse::<u64>().unwrap_or(0);
        }
    }
    report.figure("sizes of stacks, KiB", format!("{sizes:?}"));
    report.figure("setups", SETUPS.len());
    report.figure("overflows, each a trap", overflows);
    Ok(report.finish())
}

/// A child: everything on one thread with that stack. Prints the number of overflows.
pub fn child(words: &[String]) -> Result<()> {
    let [kilobytes, setup] = words else {
        bail!("a stack's size and a setup are needed")
    };
    let (bytes, setup) = (kilobytes.parse::<usize>()? << 10, setup.clone());
    let thread = std::thread::Builder::new().stack_size(bytes);
    let thread = thread.spawn(move || -> Result<u64> {
        let mut overflows = 0;
        for _ in 0..2 {
            overflows += in_webassembly(&setup).context("in WebAssembly")?;
            overflows += in_clif(&setup).context("in CLIF")?;
        }
        Ok(overflows)
    })?;
    let overflows = thread.join().ok().context("the thread panicked")??;
    println!("{overflows}");
    Ok(())
}

fn text() -> String {
    let mut text = String::from(
        r#"(module
        (import "host" "work" (func $work (param i32) (result i32)))
        (import "host" "again" (func $again (param i32) (result i32)))
        (func $deep (export "deep") (param i32) (result i32)
            (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
        (func $with_host (export "with host") (param i32) (result i32)
            (drop (call $work (local.get 0)))
            (i32.add (call $with_host (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
        (func (export "through host") (param i32) (result i32)
            (i32.add (call $again (local.get 0)) (i32.const 1)))
        (table funcref (elem "#,
    );
    let all = |f: &dyn Fn(u32) -> String| (0..FRESH).map(f).collect::<String>();
    text += &all(&|n| format!("$fresh{n} "));
    text += r#"))
        (type $fresh (func (param i32) (result i32)))
        (func $down (export "down") (param i32 i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (i32.const 1)
                    (call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))
                (else (call_indirect (type $fresh) (i32.const 3) (local.get 1)))))
        "#;
    for (name, locals) in MOVING {
        moving(&mut text, name, *locals);
    }
    for number in 0..FRESH {
        let _ = write!(
            text,
            "(func $fresh{number} (param i32) (result i32) (local i32 i32)"
        );
        // Enough of it that compiling it is work.
        for step in 0..60 {
            let _ = write!(
                text,
                "(if (i32.gt_u (local.get 0) (i32.const {step})) (then (local.set {} (i32.add (i32.mul (local.get 0) (i32.const {})) (local.get 1)))))",
                1 + step % 2,
                number + step
            );
        }
        text.push_str("(i32.add (local.get 1) (local.get 2)))\n");
    }
    text + ")"
}

/// Functions that recurse in a loop, with so many values that travel when an activation moves, of 16 bytes each.
const MOVING: &[(&str, u32)] = &[("moving", 0), ("moving some", 60), ("moving many", 240)];

/// One of them. At each depth the loop is arrived at several times, before the call and after it.
fn moving(text: &mut String, name: &str, values: u32) {
    let id = name.replace(' ', "_");
    let last = 2 + values;
    let _ = write!(
        text,
        "(func ${id} (export \"{name}\") (param i32) (result i32) (local i32 v128)"
    );
    text.push_str(&" (local v128)".repeat(values as usize));
    let _ = write!(
        text,
        "(local.set 1 (i32.const 4))
        (loop $next
            (if (i32.eq (local.get 1) (i32.const 2)) (then
                (local.set {last} (i32x4.splat (call ${id} (i32.add (local.get 0) (i32.const 1)))))))
            (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
            (br_if $next (local.get 1)))
        (i32x4.extract_lane 1 "
    );
    text.push_str(&"(i32x4.add ".repeat(values as usize));
    text.push_str("(local.get 2)");
    for value in 0..values {
        let _ = write!(text, " (local.get {}))", 3 + value);
    }
    text.push_str("))\n");
}

/// A host function that takes half of the stack that host functions can count on.
#[inline(never)]
fn host_work(n: i32) -> i32 {
    let mut block = [0_u8; 64 << 10];
    block[n as usize % (64 << 10)] = 1;
    std::hint::black_box(&mut block)[17].into()
}

fn in_webassembly(setup: &str) -> Result<u64> {
    let engine = Engine::new(config(setup))?;
    let module = Module::new(&engine, text())?;
    let mut linker = Linker::<Option<Instance>>::new(&engine);
    linker.func_wrap("host", "work", |_: Caller<'_, Option<Instance>>, n: i32| {
        host_work(n)
    })?;
    linker.func_wrap(
        "host",
        "again",
        |mut caller: Caller<'_, Option<Instance>>, n: i32| -> upshift_wasm::Result<i32> {
            let instance =
                (*caller.data()).ok_or_else(|| upshift_wasm::Error::new("no instance"))?;
            let again = instance.get_typed_func::<i32, i32>(&caller, "through host")?;
            again.call(&mut caller, n + 1)
        },
    )?;
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &module)?;
    *store.data_mut() = Some(instance);
    let mut overflows = 0;
    let moving = MOVING.iter().map(|(name, _)| *name);
    for name in ["deep", "with host", "through host", "deep"]
        .into_iter()
        .chain(moving)
    {
        let function = instance.get_func(&store, name).context("no export")?;
        let result = function.call(&mut store, &[Val::I32(0)], &mut [Val::I32(0)]);
        let kind = result
            .as_ref()
            .err()
            .and_then(|error| error.trap())
            .map(upshift_wasm::Trap::kind);
        if kind != Some(TrapKind::StackOverflow) {
            bail!("{name} ended with {result:?}");
        }
        overflows += 1;
    }
    let down = instance.get_typed_func::<(i32, i32), i32>(&store, "down")?;
    // The deepest that works, to within a call.
    let (mut works, mut fails) = (0, 1 << 20);
    while fails - works > 1 {
        let middle = (works + fails) / 2;
        match down.call(&mut store, (middle, 0)) {
            Ok(_) => works = middle,
            Err(_) => fails = middle,
        }
    }
    for fresh in 1..FRESH as i32 {
        let depth = (works + 2 - fresh / 2).max(0);
        match down.call(&mut store, (depth, fresh)) {
            Ok(_) => {}
            Err(error)
                if error.trap().map(upshift_wasm::Trap::kind) == Some(TrapKind::StackOverflow) =>
            {
                overflows += 1
            }
            Err(error) => {
                return Err(error).with_context(|| format!("a first call at depth {depth}"));
            }
        }
    }
    Ok(overflows)
}

/// Functions without a stack limit of their own: the guard page stops them.
fn in_clif(setup: &str) -> Result<u64> {
    let engine = Engine::new(config(setup))?;
    let mut overflows = 0;
    for frame_bytes in [16, 1000, 20_000] {
        let mut signature = Signature::new(CallConv::Tail);
        signature.params.push(AbiParam::new(types::I64));
        signature.returns.push(AbiParam::new(types::I64));
        let mut module = ModuleBuilder::new(&engine);
        let deep = module.declare("deep", signature.clone());
        let mut body = Function::with_name_signature(UserFuncName::default(), signature);
        let deep_ref = module.declare_in(deep, &mut body);
        let mut context = FunctionBuilderContext::new();
        let mut b = FunctionBuilder::new(&mut body, &mut context);
        let slot = b.create_sized_stack_slot(StackSlotData::new(
            StackSlotKind::ExplicitSlot,
            frame_bytes,
            3,
        ));
        let block = b.create_block();
        b.append_block_params_for_function_params(block);
        b.switch_to_block(block);
        let x = b.block_params(block)[0];
        b.ins().stack_store(types::I64, x, slot, 0);
        let next = b.ins().iadd_imm_s(x, 1);
        let call = b.ins().call(deep_ref, &[next]);
        let result = b.inst_results(call)[0];
        let kept = b.ins().stack_load(types::I64, types::I64, slot, 0);
        let sum = b.ins().iadd(result, kept);
        b.ins().return_(&[sum]);
        b.seal_all_blocks();
        b.finalize(upshift::embed::symbol::frontend_config());
        module.define(deep, body)?;
        let module = module.finish()?;
        // SAFETY: it touches only its own frame.
        let deep = unsafe { module.typed::<i64, i64>("deep") }?;
        for _ in 0..3 {
            match deep.call(0) {
                Err(error)
                    if error.trap().map(|trap| trap.kind) == Some(TrapKind::StackOverflow) =>
                {
                    overflows += 1
                }
                other => bail!("frames of {frame_bytes} bytes ended with {other:?}"),
            }
        }
    }
    Ok(overflows)
}
