//! The way of one function from its source to published code, in one readable line.

use crate::activation;
use crate::assumptions::FunctionGuard;
use crate::backend::{
    Compiled, Failure, ask_baseline, body_request, compile_request, install, plant_counters,
    run_compilers, survive,
};
use crate::call_profile;
use crate::config::Baseline;
use crate::continuation::{self, NoWayBack};
use crate::guards::plant_guards;
use crate::inline::{self, Inlining};
use crate::speculation::speculation;
use crate::stats::Totals;
use crate::table::{CodeInstance, FunctionState, Group, lock};
use cranelift_codegen::ir;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use upshift_base::Tier;
use upshift_codegen::call_site::CallTargets;
use upshift_codegen::{
    BaselineRequest, BodyEntry, BodyRequest, CompileError, CompileKind, CompileRequest,
    CompiledCode, Compiler,
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
            let is_ready = || lock(&state.osr_loops).ready(loop_index, tier, entry as usize);
            let is_stale = |version: &CodeInstance| !holds(group, version);
            if !state.versions.keep(instance, is_stale, is_ready) {
                lock(&state.osr_loops).withdraw(loop_index, tier);
                group.emit(index, EventKind::Discarded { tier });
                return;
            }
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

/// source → body → calls inlined → guards and counters planted → compiled → placed and linked; in tier 0, where the source
/// can, source → code →
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
    let code = install(group, label, &code)?;
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
            declined: made.declined,
            source_bytes: group.source.source_bytes(state.index),
            code_bytes: code.info().len(),
            duration,
            queued: circumstances.queued,
            on_program_thread: circumstances.on_program_thread,
            devirtualized: made.devirtualized,
            inlined,
        }),
    );
    Ok(CodeInstance {
        tier,
        relies_on: made.relies_on,
        code,
    })
}

/// The code of a function as its first activation would run it, with as many positions as there are; for people.
pub(crate) fn inspect(
    group: &Arc<Group>,
    index: u32,
    tier: Tier,
) -> Result<(CompiledCode, String), CompileError> {
    let state = group.state_or_new(index);
    let made = make(group, state, tier, CompileKind::Entry, true);
    let made = made.map_err(|failure| failure.error)?;
    Ok((made.code, made.compiler))
}

/// What a compiler made.
struct Made {
    code: CompiledCode,
    compiler: String,
    /// Compilers that declined before, and why.
    declined: Vec<(String, String)>,
    /// Indirect calls for which the code first looks for targets that were counted.
    devirtualized: usize,
    /// The guards in the code, with the indices of the functions whose they are.
    relies_on: Vec<FunctionGuard>,
}

fn make(
    group: &Arc<Group>,
    state: &FunctionState,
    tier: Tier,
    kind: CompileKind,
    every_position: bool,
) -> Result<Made, Failure> {
    if let Some(code) = baseline(group, state, tier, kind, every_position)? {
        return Ok(Made {
            code,
            compiler: Baseline::NAME.to_owned(),
            declined: Vec::new(),
            devirtualized: 0,
            relies_on: Vec::new(),
        });
    }
    let made = run_compilers((group, state.index), tier, |compiler| {
        request(group, state, (tier, kind), compiler)
    })?;
    let Compiled {
        mut code,
        compiler,
        declined,
        about: body,
    } = made;
    code.call_sites = body.call_sites;
    body.inlining.resolve(&mut code);
    Ok(Made {
        code,
        compiler,
        declined,
        devirtualized: body.devirtualized,
        relies_on: body.relies_on,
    })
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

/// What there is to know about a body besides its CLIF.
struct AboutBody {
    inlining: Inlining,
    call_sites: u32,
    devirtualized: usize,
    relies_on: Vec<FunctionGuard>,
}

/// source → body → calls inlined → guards planted → counters planted, in the form that `compiler` wants.
fn request(
    group: &Arc<Group>,
    state: &FunctionState,
    (tier, kind): (Tier, CompileKind),
    compiler: &dyn Compiler,
) -> Result<(CompileRequest, AboutBody), Failure> {
    let targets = match optimizes(group, tier) {
        true => call_profile::expected_targets(group, state),
        false => CallTargets::default(),
    };
    let request = BodyRequest {
        entry: match kind {
            CompileKind::Osr(loop_index) => BodyEntry::Loop(loop_index),
            _ => BodyEntry::Start,
        },
        checked_accesses: compiler.wants_checked_accesses(),
        targets: &targets,
        ..body_request(group, state, tier)
    };
    let (mut made, inlining, relies_on) = guarded_body(group, state, tier, &request)?;
    let about = AboutBody {
        inlining,
        call_sites: plant_counters(group, state, (tier, kind), &mut made),
        devirtualized: targets.sites(),
        relies_on,
    };
    Ok((compile_request(state, (tier, kind), made), about))
}

/// The body that `request` asks for, with as many guards as there are ways back for, and those that it has.
fn guarded_body(
    group: &Arc<Group>,
    state: &FunctionState,
    tier: Tier,
    request: &BodyRequest<'_>,
) -> Result<(ir::Function, Inlining, Vec<FunctionGuard>), Failure> {
    // Whatever there is no way back for is left out from then on, so this ends.
    loop {
        let speculation = speculation(group, state, tier);
        let request = BodyRequest {
            speculation: speculation.as_ref(),
            ..*request
        };
        let (mut made, inlining) = body(group, state, tier, &request)?;
        let stress = group.shared.config.deopt_stress.is_some();
        let planted = plant_guards(&mut made, state, &inlining, stress);
        match continuation::prepare(group, state, &planted, &inlining) {
            Ok(relies_on) => return Ok((made, inlining, relies_on)),
            Err(NoWayBack::Function(index, failure)) => {
                lock(&group.state_or_new(index).assumptions).give_up();
                let reason = failure.error.to_string();
                group.emit(index, EventKind::SpeculationOff { tier, reason });
            }
            Err(NoWayBack::Inlined(reason)) => {
                lock(&state.assumptions).give_up_inlined();
                let reason = format!("in inlined calls only: {reason}");
                group.emit(state.index, EventKind::SpeculationOff { tier, reason });
            }
        }
    }
}

/// Whether code of `tier` is made better by what was counted.
fn optimizes(group: &Group, tier: Tier) -> bool {
    tier > Tier::Baseline && group.kind == CompileKind::Entry
}

/// Asks the source for the body, and inlines calls in it if that is how the tier works.
fn body(
    group: &Group,
    state: &FunctionState,
    tier: Tier,
    request: &BodyRequest<'_>,
) -> Result<(ir::Function, Inlining), CompileError> {
    let mut body = survive(|| group.source.body(request))?;
    if optimizes(group, tier) && group.shared.config.inlining.inlines() {
        match survive(|| inline::inline_calls(group, (state, tier), request, &mut body)) {
            Ok(inlining) => return Ok((body, inlining)),
            // Nothing is lost but the gain.
            Err(_) => body = survive(|| group.source.body(request))?,
        }
    }
    Ok((body, Inlining::default()))
}

/// Makes new calls use `instance`. Code that a thread may still be in stays where it is.
fn publish(group: &Group, state: &FunctionState, instance: CodeInstance) {
    let (tier, code_bytes) = (instance.tier, instance.code.info().len());
    let slot = group.entry_slot(state.index);
    let is_published = state.versions.publish(
        slot,
        instance,
        |version| !holds(group, version),
        || grant_first_budget(group, state, tier),
    );
    group.emit(
        state.index,
        match is_published {
            true => EventKind::Published { tier, code_bytes },
            false => EventKind::Discarded { tier },
        },
    );
}

/// Whether nothing that the code relies on was refuted, and no function that is inlined in it taken back to a lower tier,
/// perhaps while it was made.
fn holds(group: &Group, version: &CodeInstance) -> bool {
    let holds = |(function, guard): &FunctionGuard| {
        let state = group.state(*function);
        state.is_some_and(|state| lock(&state.assumptions).allows(*guard))
    };
    let may_be_inlined = |function| {
        let state = group.state(group.index(function));
        state.is_none_or(|state| state.versions.may_use(Tier::Top))
    };
    version.relies_on.iter().all(holds) && version.code.info().inlined().all(may_be_inlined)
}

/// Makes new calls use the best code that is `good` and relies on nothing that was refuted, if what they use is not; the
/// tier of that.
pub(crate) fn retract(
    group: &Group,
    state: &FunctionState,
    good: impl Fn(&CodeInstance) -> bool,
) -> Option<Tier> {
    let slot = group.entry_slot(state.index);
    let lazy = group.shared.memory.lazy_entry(state.function);
    let good = |version: &CodeInstance| good(version) && holds(group, version);
    state.versions.retract(slot, lazy, good)
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
        state.versions.withdraw_request(tier);
    } else {
        state.versions.set_failed(tier);
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
