//! Continuations: what code with guards needs before it may be published.
//!
//! A continuation goes on in tier 0 wherever a guard of its function may fail. Each is checked when it is made: what it
//! expects at a position is what the front end found there on its own way through the function, and must be what the
//! guard gives, value by value and type by type.

use crate::assumptions::Place;
use crate::backend::{
    Failure, ask_baseline, body_request, compile_request, install, plant_counters, run_compilers,
    survive,
};
use crate::call_profile;
use crate::config::{Baseline, DeoptStress};
use crate::guards::Planted;
use crate::table::{CodeInstance, FunctionState, Group, lock};
use std::sync::Arc;
use std::time::Instant;
use upshift_base::Tier;
use upshift_codegen::deopt::{FrameLayout, Speculation, StressGuards};
use upshift_codegen::{BodyEntry, BodyRequest, CompileError, CompileKind, CompiledCode};
use upshift_codemem::BlockLabel;
use upshift_event::EventKind;

/// Bytes of a continuation's frame at the most.
const FRAME_BYTES_MAX: u32 = 16 << 10;

/// What code of `tier` may take for granted; `None` if nothing, for example because there is no tier to fall back to.
pub(crate) fn speculation(group: &Group, state: &FunctionState, tier: Tier) -> Option<Speculation> {
    let config = &group.shared.config;
    let falls_back = tier > Tier::Baseline && config.has(Tier::Baseline);
    // Other stress tests are about other transitions.
    let elsewhere = config.stress().is_some() && config.deopt_stress.is_none();
    if !falls_back || elsewhere || !config.speculation || group.kind != CompileKind::Entry {
        return None;
    }
    let mut speculation = lock(&state.assumptions).speculation()?;
    let stress = |stress: DeoptStress| StressGuards { seed: stress.seed };
    speculation.stress = config.deopt_stress.map(stress);
    Some(speculation)
}

/// Makes sure that there are continuations for all of these guards, whose code is going to be published, and that they
/// expect what the guards have to give.
///
/// # Errors
/// If a continuation cannot be had. Then the code must not be used.
pub(crate) fn prepare(
    group: &Arc<Group>,
    state: &FunctionState,
    planted: &[Planted],
) -> Result<(), Failure> {
    let positions = planted.iter().map(|planted| planted.guard.position);
    prepare_positions(group, state, positions)?;
    let mut assumptions = lock(&state.assumptions);
    for Planted { guard, frame } in planted {
        let expected = assumptions.place(guard.position).map(|place| &place.frame);
        if expected != Some(frame) {
            let position = guard.position;
            return Err(Failure::from(CompileError::Failed(format!(
                "the guard at {position} gives {frame:?}, its continuation expects {expected:?}"
            ))));
        }
        assumptions.rely_on(*guard);
    }
    Ok(())
}

/// Makes sure that there are continuations for all of these positions.
///
/// # Errors
/// If one cannot be had.
pub(crate) fn prepare_positions(
    group: &Arc<Group>,
    state: &FunctionState,
    positions: impl Iterator<Item = u32>,
) -> Result<(), Failure> {
    let mut missing: Vec<u32> = {
        let assumptions = lock(&state.assumptions);
        let is_missing = |position: &u32| assumptions.place(*position).is_none();
        positions.filter(is_missing).collect()
    };
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    make_continuation(group, state, &missing)
}

/// Makes the code that goes on at any of `positions`.
fn make_continuation(
    group: &Arc<Group>,
    state: &FunctionState,
    positions: &[u32],
) -> Result<(), Failure> {
    let started = Instant::now();
    let (code, frames, compiler) = code(group, state, positions)?;
    check_continuation(&code, &frames, positions)?;
    call_profile::allocate(state, code.call_sites);
    let label = BlockLabel {
        function: state.function,
        tier: Tier::Baseline,
        kind: CompileKind::Continuation,
    };
    let code = install(group, label, &code)?;
    let address = code.entry() as usize;
    let kind = EventKind::ContinuationReady {
        positions: positions.len(),
        compiler,
        code_bytes: code.info().len(),
        duration: started.elapsed(),
    };
    lock(&state.instances).push(CodeInstance {
        tier: Tier::Baseline,
        speculative: None,
        code,
    });
    let mut assumptions = lock(&state.assumptions);
    for ((entry, position), frame) in (0..).zip(positions).zip(frames) {
        let place = Place {
            code: address,
            entry,
            frame,
        };
        assumptions.add_place(*position, place);
    }
    drop(assumptions);
    group.emit(state.index, kind);
    Ok(())
}

fn check_continuation(
    code: &CompiledCode,
    frames: &[FrameLayout],
    positions: &[u32],
) -> Result<(), CompileError> {
    if frames.len() != positions.len() {
        let reason = "a continuation does not say what it expects";
        return Err(CompileError::Failed(reason.to_owned()));
    }
    if code.frame_bytes > FRAME_BYTES_MAX {
        let bytes = code.frame_bytes;
        let reason = format!("a continuation has a frame of {bytes} bytes, which is too large");
        return Err(CompileError::Bailout(reason));
    }
    Ok(())
}

/// Code that goes on at `positions`, what it expects at each, and who made it.
fn code(
    group: &Arc<Group>,
    state: &FunctionState,
    positions: &[u32],
) -> Result<(CompiledCode, Vec<FrameLayout>, String), Failure> {
    let (source, index, first) = (&*group.source, state.index, group.first());
    let baseline = ask_baseline(group, state, |request| {
        source.baseline_continuation(index, first, positions, request)
    })?;
    if let Some((code, frames)) = baseline {
        return Ok((code, frames, Baseline::NAME.to_owned()));
    }
    let job = (Tier::Baseline, CompileKind::Continuation);
    let made = run_compilers(group, Tier::Baseline, |compiler| {
        let request = BodyRequest {
            entry: BodyEntry::Positions(positions),
            checked_accesses: compiler.wants_checked_accesses(),
            ..body_request(group, state, Tier::Baseline)
        };
        let (mut body, frames) = survive(|| source.continuation(&request))?;
        let call_sites = plant_counters(group, state, job, &mut body);
        Ok((compile_request(state, job, body), (frames, call_sites)))
    })?;
    let (mut code, (frames, call_sites)) = (made.code, made.about);
    code.call_sites = call_sites;
    Ok((code, frames, made.compiler))
}
