//! What the runtime makes of guards: where a function goes on when one fails, how often it may, and what happens when
//! there is nowhere to go. The functions are made by a front end of the test's own.

#[path = "support/gated.rs"]
mod gated;

use gated::Gated;
use std::sync::Arc;
use upshift::cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, Function as Body, InstBuilder, JumpTableData, MemFlagsData,
    Signature, UserFuncName, Value, types,
};
use upshift::cranelift_codegen::isa::CallConv;
use upshift::cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use upshift::embed::deopt::{FrameLayout, Speculation};
use upshift::embed::{
    BodyEntry, BodyRequest, CompileError, FunctionGroup, FunctionSource, Guard, GuardReason,
    RawValue, osr, symbol,
};
use upshift::{Backend, Config, Engine, EventKind, Function, Recorder, Tier};

/// The bits of its argument that the function looks at, one after the other.
const BITS: u32 = 12;

/// What is wrong with the continuations, if anything is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    Missing,
    AnotherFrame,
}

/// One function. It takes every bit that its argument does not have for granted; the operation at position `n` looks at
/// bit `n`.
struct Bits(Fault);

/// What it computes.
fn expected(x: i64) -> i64 {
    (0..BITS).fold(0, |sum: i64, bit| match x >> bit & 1 {
        0 => sum + 1,
        _ => sum.wrapping_mul(3).wrapping_add(i64::from(bit)),
    })
}

fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    signature
}

fn guard(b: &mut FunctionBuilder<'_>, position: u32, holds: Value, frame: [Value; 2]) {
    let mut signature = Signature::new(CallConv::SystemV);
    let arguments = [holds, frame[0], frame[1]];
    let param = |value: &Value| AbiParam::new(b.func.dfg.value_type(*value));
    signature.params.extend(arguments.iter().map(param));
    let signature = b.import_signature(signature);
    let reason = GuardReason::Unchanged;
    let guard = symbol::import_guard(b.func, Guard { position, reason }, signature);
    b.ins().call(guard, &arguments);
}

/// The operation that looks at a bit.
fn operation(
    b: &mut FunctionBuilder<'_>,
    bit: u32,
    [x, sum]: [Value; 2],
    speculation: Option<&Speculation>,
) -> Value {
    let isolated = b.ins().band_imm_s(x, 1 << bit);
    let more = b.ins().iadd_imm_s(sum, 1);
    if speculation.is_some_and(|s| s.allows(bit, GuardReason::Unchanged, 2)) {
        let holds = b.ins().icmp_imm_s(
            upshift::cranelift_codegen::ir::condcodes::IntCC::Equal,
            isolated,
            0,
        );
        guard(b, bit, holds, [x, sum]);
        return more;
    }
    let other = b.ins().imul_imm_s(sum, 3);
    let other = b.ins().iadd_imm_s(other, i64::from(bit));
    b.ins().select(isolated, other, more)
}

/// Makes the function, entered at the start or, with a record, at any of `positions`.
fn make(positions: &[u32], speculation: Option<&Speculation>) -> Body {
    let signature = match positions {
        [] => signature(),
        _ => osr::signature(&signature()),
    };
    let mut body = Body::with_name_signature(UserFuncName::user(0, 0), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut body, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let argument = b.block_params(entry)[0];
    // One block an operation, and one for the end; each takes the frame.
    let blocks: Vec<Block> = (0..=BITS).map(|_| b.create_block()).collect();
    for block in &blocks {
        b.append_block_param(*block, types::I64);
        b.append_block_param(*block, types::I64);
    }
    let go = |b: &mut FunctionBuilder<'_>, to: u32, frame: [Value; 2]| {
        b.ins()
            .jump(blocks[to as usize], &frame.map(BlockArg::Value));
    };
    if positions.is_empty() {
        let zero = b.ins().iconst(types::I64, 0);
        go(&mut b, 0, [argument, zero]);
    } else {
        let flags = MemFlagsData::trusted();
        let number = b
            .ins()
            .load(types::I32, flags, argument, osr::TRANSFER_ENTRY);
        let frame = [0, 1].map(|index| {
            let offset = osr::transfer_value(index);
            b.ins().load(types::I64, flags, argument, offset)
        });
        let calls: Vec<_> = positions
            .iter()
            .map(|at| {
                let frame = frame.map(BlockArg::Value);
                b.func.dfg.block_call(blocks[*at as usize], &frame)
            })
            .collect();
        let table = JumpTableData::new(calls[0], &calls);
        let table = b.create_jump_table(table);
        b.ins().br_table(number, table);
    }
    for bit in 0..=BITS {
        b.switch_to_block(blocks[bit as usize]);
        let &[x, sum] = b.block_params(blocks[bit as usize]) else {
            unreachable!("each block takes the frame");
        };
        if bit == BITS {
            b.ins().return_(&[sum]);
        } else {
            let sum = operation(&mut b, bit, [x, sum], speculation);
            go(&mut b, bit + 1, [x, sum]);
        }
    }
    b.seal_all_blocks();
    b.finalize(symbol::frontend_config());
    body
}

impl FunctionSource for Bits {
    fn body(&self, request: &BodyRequest<'_>) -> Result<Body, CompileError> {
        Ok(make(&[], request.speculation))
    }

    fn continuation(
        &self,
        request: &BodyRequest<'_>,
    ) -> Result<(Body, Vec<FrameLayout>), CompileError> {
        let BodyEntry::Points(points) = request.entry else {
            return Err(CompileError::Bailout("it has no loops".to_owned()));
        };
        let frame = match self.0 {
            Fault::Missing => return Err(CompileError::Bailout("there is none".to_owned())),
            Fault::AnotherFrame => vec![types::I64, types::F64],
            Fault::None => vec![types::I64, types::I64],
        };
        let positions: Vec<u32> = points.iter().map(|point| point.position).collect();
        Ok((make(&positions, None), vec![frame; points.len()]))
    }

    fn name(&self, _index: u32) -> String {
        "bits".to_owned()
    }

    fn source_bytes(&self, _index: u32) -> u32 {
        64
    }
}

struct Setup {
    engine: Engine,
    group: FunctionGroup,
    recorder: Arc<Recorder>,
}

fn setup(fault: Fault, adjust: impl Fn(Config) -> Config) -> Setup {
    let recorder = Arc::new(Recorder::default());
    let config = Config::default()
        .backend(Tier::Baseline, Backend::CraneliftNone)
        .verify(true)
        .synchronous(true)
        .thresholds(1, u32::MAX)
        .subscriber(recorder.clone());
    let engine = Engine::new(adjust(config)).unwrap();
    let group = engine.define(Arc::new(Bits(fault)), 1).unwrap();
    Setup {
        engine,
        group,
        recorder,
    }
}

impl Setup {
    fn check(&self, x: i64) {
        let trampoline = self.engine.trampoline(&signature()).unwrap();
        let mut values = [RawValue { i64: x }];
        // SAFETY: the function is of this signature, and the group keeps it alive.
        let result = unsafe {
            let slot = self.group.entry_slot(0);
            trampoline.call(slot, values.as_mut_ptr(), None).unwrap();
            values[0].i64
        };
        assert_eq!(result, expected(x), "of {x}");
    }

    fn count(&self, what: impl Fn(&EventKind) -> bool) -> usize {
        let events = self.recorder.events();
        events.iter().filter(|event| what(&event.kind)).count()
    }
}

fn is_published(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Published { tier, .. } if *tier == Tier::Optimizing)
}

/// A guard that fails four times is done without, and the code made again; nothing else is.
#[test]
fn a_guard_that_keeps_failing_goes() {
    let setup = setup(Fault::None, |config| config);
    (0..10).for_each(|_| setup.check(0));
    assert_eq!(setup.group.tier_of(0), Some(Tier::Optimizing));
    for round in 1..=20 {
        setup.check(1 << 5);
        assert_eq!(
            setup.engine.profile_statistics().deoptimizations,
            round.min(4)
        );
    }
    (0..10).for_each(|_| setup.check(0));
    let statistics = setup.engine.profile_statistics();
    assert_eq!(
        (statistics.deoptimizations, statistics.invalidations),
        (4, 1)
    );
    assert_eq!(setup.count(is_published), 2);
    assert_eq!(setup.group.tier_of(0), Some(Tier::Optimizing));
}

/// A program that breaks one assumption after the other, a million times, is stopped soon.
#[test]
fn failures_and_compilations_are_bounded() {
    let setup = setup(Fault::None, |config| config);
    for x in 0..20_000 {
        setup.check(x);
    }
    let statistics = setup.engine.profile_statistics();
    assert!(statistics.deoptimizations <= 4 * 8, "{statistics:?}");
    assert_eq!(statistics.invalidations, 8);
    assert_eq!(setup.count(is_published), 9);
}

/// The same in the background, where code may be made for assumptions that are refuted meanwhile.
#[test]
fn results_are_the_same_in_the_background() {
    let setup = setup(Fault::None, |config| config.synchronous(false));
    for x in 0..50_000 {
        setup.check(x & 0xfff);
    }
    // Guards of code that was taken out of use may still fail once or twice.
    let statistics = setup.engine.profile_statistics();
    assert!(statistics.invalidations <= 8, "{statistics:?}");
}

/// Tier 2's code is made for an assumption that tier 1's code refutes meanwhile: it is thrown away.
#[test]
fn code_for_what_was_refuted_meanwhile_is_not_published() {
    let gate = Gated::new();
    let setup = setup(Fault::None, |config| {
        config.backend(Tier::Top, Backend::Custom(gate.clone()))
    });
    (0..10).for_each(|_| setup.check(0));
    assert_eq!(setup.group.tier_of(0), Some(Tier::Optimizing));
    let function = Function::new(setup.group.clone(), 0).unwrap();
    std::thread::scope(|scope| {
        let compiling = scope.spawn(|| setup.engine.optimize(&function, Tier::Top));
        gate.entered.wait();
        (0..4).for_each(|_| setup.check(1 << 5));
        assert_eq!(setup.engine.profile_statistics().invalidations, 1);
        gate.leave.wait();
        // Whether that counts as a failure is not what this is about.
        drop(compiling.join().unwrap());
    });
    let is_top = |kind: &EventKind| matches!(kind, EventKind::Discarded { tier: Tier::Top });
    assert_eq!(setup.count(is_top), 1);
    assert_eq!(setup.group.tier_of(0), Some(Tier::Optimizing));
    setup.check(1 << 5);
}

/// Code without a way back is not used: there are no guards then.
#[test]
fn without_a_continuation_nothing_is_taken_for_granted() {
    for fault in [Fault::Missing, Fault::AnotherFrame] {
        let setup = setup(fault, |config| config);
        for x in 0..200 {
            setup.check(x);
        }
        assert_eq!(setup.group.tier_of(0), Some(Tier::Optimizing), "{fault:?}");
        assert_eq!(setup.engine.profile_statistics().deoptimizations, 0);
        let off = |kind: &EventKind| matches!(kind, EventKind::SpeculationOff { .. });
        assert_eq!(setup.count(off), 1, "{fault:?}");
    }
}

/// Neither is it if it is not wanted, or there is no tier 0 to go back to.
#[test]
fn without_speculation_nothing_is_taken_for_granted() {
    let ways: [fn(Config) -> Config; 2] = [
        |config| config.speculation(false),
        |config| config.only_tier(Tier::Optimizing),
    ];
    for adjust in ways {
        let setup = setup(Fault::None, adjust);
        for x in 0..200 {
            setup.check(x);
        }
        assert_eq!(setup.engine.profile_statistics().deoptimizations, 0);
    }
}

/// No room for the continuation: the function goes on without guards, whichever allocation it is that fails.
#[test]
fn a_full_code_memory_costs_no_result() {
    for failing in 0..6 {
        let setup = setup(Fault::None, |config| config);
        setup.check(0);
        setup.engine.set_failing_allocations(failing..failing + 1);
        for x in 0..300 {
            setup.check(x);
        }
    }
}
