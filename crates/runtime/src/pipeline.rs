//! The way of one function from its source to published code, in one readable line.

use crate::activation;
use crate::call_profile;
use crate::config::{Baseline, OsrMode};
use crate::inline::{self, Inlining};
use crate::profile::{self, Counting};
use crate::stats::Totals;
use crate::table::{CodeInstance, FunctionState, Group, lock};
use cranelift_codegen::ir;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use upshift_base::{Owner, Tier, World};
use upshift_codegen::call_site::CallTargets;
use upshift_codegen::{
    BaselineRequest, BodyRequest, CompileError, CompileKind, CompileRequest, CompiledCode, Compiler,
};
use upshift_codemem::BlockLabel;
use upshift_event::{Compilation, EventKind};

/// After so many loop iterations, old activations of a function that has the best code there is look out for a way there.
const ITERATIONS_TO_OSR: u32 = 1000;

/// Bytes of stack for a worker thread: compilers recurse over what they compile.
pub(crate) const WORKER_STACK_BYTES: usize = 16 << 20;

/// Bytes of stack that must be left for a compiler to run on the calling thread.
const COMPILER_STACK_BYTES: usize = 512 << 10;

/// How a compilation came about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) on_program_thread: bool,
    pub(crate) queued: Duration,
}

impl Circumstances {
    /// On the program's own thread, at once.
    pub(crate) const AT_ONCE: Circumstances = Circumstances {
        on_program_thread: true,
        queued: Duration::ZERO,
    };
}

/// Makes code of `tier` for a function and publishes it, unless better code is there by then.
///
/// # Errors
/// If no compiler of that tier makes code, or code memory is full. The tier is not tried again for this function,
/// except after code memory was full.
pub(crate) fn compile_and_publish(
    group: &Arc<Group>,
    index: u32,
    tier: Tier,
    circumstances: Circumstances,
) -> Result<(), CompileError> {
    let state = group.state_or_new(index);
    let job = (tier, group.kind);
    let compiled = on_enough_stack(|| compile(group, state, job, circumstances));
    let instance = match compiled {
        Ok(instance) => instance,
        Err(failure) => {
            report_failure(group, state, tier, &failure);
            return Err(failure.error);
        }
    };
    publish(group, state, instance);
    Ok(())
}

/// Makes an OSR version of a loop for `tier`, for activations that run in a lower one. If there is none to be had, the
/// loop is not tried again for this tier, except after code memory was full.
pub(crate) fn compile_osr(
    group: &Arc<Group>,
    index: u32,
    (tier, loop_index): (Tier, u32),
    circumstances: Circumstances,
) {
    let state = group.state_or_new(index);
    let job = (tier, CompileKind::Osr(loop_index));
    let compiled = on_enough_stack(|| {
        find_frame(group, state, loop_index)?;
        compile(group, state, job, circumstances)
    });
    match compiled {
        Ok(instance) => {
            let (entry, code_bytes) = (instance.code.entry(), instance.code.info().len());
            lock(&state.instances).push(instance);
            lock(&state.osr_loops).ready(loop_index, tier, entry as usize);
            group.emit(
                index,
                EventKind::OsrReady {
                    tier,
                    loop_index,
                    code_bytes,
                },
            );
        }
        Err(failure) => {
            lock(&state.osr_loops).failed(loop_index, tier, failure.temporary);
            let declined = matches!(failure.error, CompileError::Bailout(_));
            let reason = failure.error.to_string();
            group.emit(
                index,
                EventKind::OsrFailed {
                    tier,
                    loop_index,
                    declined,
                    reason,
                },
            );
        }
    }
}

/// Runs `f` here, or on a thread of its own if this one has little stack or has used most of it.
fn on_enough_stack<T: Send>(f: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    if activation::stack_left().is_none_or(|bytes| bytes >= COMPILER_STACK_BYTES) {
        return f();
    }
    let failed = |reason: String| Failure {
        error: CompileError::Failed(reason),
        temporary: true,
    };
    thread::scope(|scope| {
        let compiler = thread::Builder::new().stack_size(WORKER_STACK_BYTES);
        let compiler = compiler
            .spawn_scoped(scope, f)
            .map_err(|error| failed(format!("cannot start a thread to compile on: {error}")))?;
        let panicked = |_| Err(failed("the thread that compiled panicked".to_owned()));
        compiler.join().unwrap_or_else(panicked)
    })
}

/// Why there is no code, and whether there may be some later.
#[derive(Debug)]
struct Failure {
    error: CompileError,
    temporary: bool,
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Failure {
        Failure {
            error,
            temporary: false,
        }
    }
}

/// source → body → calls inlined → counters planted → compiled → placed and linked; in tier 0, where the source can, source → code →
/// placed and linked.
fn compile(
    group: &Arc<Group>,
    state: &FunctionState,
    (tier, kind): (Tier, CompileKind),
    circumstances: Circumstances,
) -> Result<CodeInstance, Failure> {
    let started = Instant::now();
    let made = make(group, state, tier, kind, false)?;
    let Made { code, compiler, .. } = made;
    call_profile::allocate(state, code.call_sites);
    let inlined = inline::report(group, &code.inlined);
    let label = BlockLabel {
        function: state.function,
        tier,
        kind,
    };
    let code = group
        .shared
        .memory
        .install(label, &code)
        .map_err(|error| Failure {
            temporary: error.is_full(),
            error: CompileError::Failed(error.to_string()),
        })?;
    let duration = started.elapsed();
    let id = group.totals().map_or(0, Totals::next_compilation);
    group.emit(
        state.index,
        EventKind::Compiled(Compilation {
            id,
            tier,
            osr: match kind {
                CompileKind::Osr(loop_index) => Some(loop_index),
                _ => None,
            },
            compiler,
            source_bytes: group.source.source_bytes(state.index),
            code_bytes: code.info().len(),
            duration,
            queued: circumstances.queued,
            on_program_thread: circumstances.on_program_thread,
            devirtualized: made.devirtualized,
            inlined,
        }),
    );
    Ok(CodeInstance { tier, code })
}

/// The code of a function as its first activation would run it, with as many positions as there are; for people.
pub(crate) fn inspect(
    group: &Arc<Group>,
    index: u32,
    tier: Tier,
) -> Result<(CompiledCode, String), CompileError> {
    let state = group.state_or_new(index);
    let made = make(group, state, tier, CompileKind::Entry, true)?;
    Ok((made.code, made.compiler))
}

/// The code, and who made it.
fn make(
    group: &Group,
    state: &FunctionState,
    tier: Tier,
    kind: CompileKind,
    every_position: bool,
) -> Result<Made, CompileError> {
    match baseline(group, state, tier, kind, every_position)? {
        Some(code) => Ok(Made {
            code,
            compiler: Baseline::NAME.to_owned(),
            devirtualized: 0,
        }),
        None => run_compilers(group, state, tier, kind),
    }
}

/// Asks the source for code of its own making, if that is how `tier` works. `None` if it declines.
fn baseline(
    group: &Group,
    state: &FunctionState,
    tier: Tier,
    kind: CompileKind,
    every_position: bool,
) -> Result<Option<CompiledCode>, CompileError> {
    if tier != Tier::Baseline || kind != CompileKind::Entry {
        return Ok(None);
    }
    ask_baseline(group, state, |request| {
        let request = BaselineRequest {
            every_position,
            ..*request
        };
        group.source.baseline(state.index, group.first(), &request)
    })
}

/// Finds out what travels from a loop in baseline code, if there is such code and it is not known yet.
fn find_frame(group: &Group, state: &FunctionState, loop_index: u32) -> Result<(), CompileError> {
    if lock(&state.osr_loops).frame(loop_index).is_some() {
        return Ok(());
    }
    let (index, first) = (state.index, group.first());
    let source = &group.source;
    let frame = ask_baseline(group, state, |request| {
        source.baseline_frame(index, first, request, loop_index)
    })?;
    if let Some(frame) = frame {
        lock(&state.osr_loops).set_frame(loop_index, frame);
    }
    Ok(())
}

/// Asks the source something about baseline code. `None` if it declines, or there is no such code.
fn ask_baseline<T>(
    group: &Group,
    state: &FunctionState,
    ask: impl FnOnce(&BaselineRequest) -> Result<T, CompileError>,
) -> Result<Option<T>, CompileError> {
    let config = &group.shared.config;
    let Some(baseline) = &config.baseline else {
        return Ok(None);
    };
    let counters = wants_counters(group, state, Tier::Baseline);
    let request = BaselineRequest {
        function: state.function,
        counters: counters.then(|| profile::plan(config)),
        canonical_nans: baseline.canonical_nans,
        every_position: false,
    };
    match survive(|| ask(&request)) {
        Ok(answer) => Ok(Some(answer)),
        Err(CompileError::Bailout(_)) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Whether code of `tier` leads to a better one, or to any other in a stress test.
fn wants_counters(group: &Group, state: &FunctionState, tier: Tier) -> bool {
    let config = &group.shared.config;
    let next = config
        .tier_above(tier)
        .is_some_and(|next| !state.has_failed(next));
    let flips = config.stress().is_some_and(|stress| stress.flip);
    group.kind == CompileKind::Entry && (next || flips)
}

/// What a compiler made.
struct Made {
    code: CompiledCode,
    compiler: String,
    /// Indirect calls for which the code first looks for targets that were counted.
    devirtualized: usize,
}

/// source → body → calls inlined → counters planted → compiled, in the form that `compiler` wants.
fn compile_by(
    group: &Group,
    state: &FunctionState,
    (tier, kind): (Tier, CompileKind),
    compiler: &dyn Compiler,
) -> Result<Made, CompileError> {
    let targets = match optimizes(group, tier) {
        true => call_profile::expected_targets(group, state),
        false => CallTargets::default(),
    };
    let request = BodyRequest {
        osr_entry: match kind {
            CompileKind::Osr(loop_index) => Some(loop_index),
            _ => None,
        },
        checked_accesses: compiler.wants_checked_accesses(),
        targets: &targets,
        ..BodyRequest::plain(state.index, group.first())
    };
    let (mut body, inlining) = body(group, state, tier, request)?;
    let mut call_sites = 0;
    if wants_counters(group, state, tier) {
        let counting = Counting {
            function: state.function,
            tier,
            calls: kind == CompileKind::Entry,
        };
        call_sites = profile::plant_counters(&mut body, counting);
    }
    let request = CompileRequest {
        function: state.function,
        tier,
        kind,
        world: World::FIRST,
        owner: Owner::BUILT_IN,
        body,
    };
    let mut code = survive(|| compiler.compile(&request))?;
    code.call_sites = call_sites;
    inlining.resolve(&mut code);
    Ok(Made {
        code,
        compiler: compiler.name().to_owned(),
        devirtualized: targets.sites(),
    })
}

/// Whether code of `tier` is made better by what was counted.
fn optimizes(group: &Group, tier: Tier) -> bool {
    tier > Tier::Baseline && group.kind == CompileKind::Entry
}

/// Asks the source for the body, with the marks that code of `tier` needs, and inlines calls in it if that is how the
/// tier works.
fn body(
    group: &Group,
    state: &FunctionState,
    tier: Tier,
    request: BodyRequest<'_>,
) -> Result<(ir::Function, Inlining), CompileError> {
    let config = &group.shared.config;
    let counted = wants_counters(group, state, tier);
    let request = BodyRequest {
        osr_points: counted && config.osr != OsrMode::Off,
        call_sites: counted && config.inlining.devirtualizes(),
        ..request
    };
    let mut body = survive(|| group.source.body(&request))?;
    if optimizes(group, tier) && config.inlining.inlines() {
        match survive(|| inline::inline_calls(group, state, &request, &mut body)) {
            Ok(inlining) => return Ok((body, inlining)),
            // Nothing is lost but the gain.
            Err(_) => body = survive(|| group.source.body(&request))?,
        }
    }
    Ok((body, Inlining::default()))
}

/// The first of the tier's compilers that does not decline.
fn run_compilers(
    group: &Group,
    state: &FunctionState,
    tier: Tier,
    kind: CompileKind,
) -> Result<Made, CompileError> {
    let mut declined = CompileError::Bailout(format!("tier {tier} has no compiler"));
    for compiler in &group.shared.config.compilers[tier.index()] {
        match compile_by(group, state, (tier, kind), &**compiler) {
            Err(CompileError::Bailout(reason)) => declined = CompileError::Bailout(reason),
            made => return made,
        }
    }
    Err(declined)
}

/// A compiler or front end that panics has failed on one function, and no more than that.
fn survive<T>(f: impl FnOnce() -> Result<T, CompileError>) -> Result<T, CompileError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(CompileError::Failed(format!(
            "the compiler panicked: {text}"
        )))
    })
}

/// Makes new calls use `instance`: one store to the entry slot. Code that a thread may still be in stays where it is.
fn publish(group: &Group, state: &FunctionState, instance: CodeInstance) {
    let (tier, code_bytes) = (instance.tier, instance.code.info().len());
    let mut instances = lock(&state.instances);
    if state.tier().is_some_and(|published| published >= tier) {
        drop(instances);
        group.emit(state.index, EventKind::Discarded { tier });
        return;
    }
    grant_first_budget(group, state, tier);
    let entry = instance.code.entry();
    instances.push(instance);
    state.set_tier(tier);
    group
        .entry_slot(state.index)
        .store(entry.cast_mut(), Ordering::Release);
    drop(instances);
    group.emit(state.index, EventKind::Published { tier, code_bytes });
}

/// The counters in new code start with a full budget.
fn grant_first_budget(group: &Group, state: &FunctionState, tier: Tier) {
    let config = &group.shared.config;
    let next = config.tier_above(tier);
    if let Some(stress) = config.stress() {
        state.grant_calls(if stress.flip { 1 } else { u32::MAX });
        state.grant_iterations(1);
    } else if let Some(next) = next {
        let counted = state.counts().score();
        let threshold = u64::from(config.thresholds.of(next));
        state.grant(u32::try_from(threshold.saturating_sub(counted).max(1)).unwrap_or(u32::MAX));
    } else {
        // Nothing counts any more but activations of the code before this, which may move here.
        state.grant_calls(u32::MAX);
        state.grant_iterations(ITERATIONS_TO_OSR);
    }
}

fn report_failure(group: &Group, state: &FunctionState, tier: Tier, failure: &Failure) {
    if failure.temporary {
        state.withdraw_request(tier);
    } else {
        state.set_failed(tier);
    }
    let declined = matches!(failure.error, CompileError::Bailout(_));
    let reason = failure.error.to_string();
    group.emit(
        state.index,
        EventKind::Failed {
            tier,
            declined,
            reason,
        },
    );
}
