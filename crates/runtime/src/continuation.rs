//! Continuations: what code with guards needs before it may be published.
//!
//! A continuation goes on in tier 0 wherever a guard of its function may fail. Each is checked when it is made: what it
//! expects at a place is what the front end found there on its own way through the function, and must be what the
//! guard gives, value by value and type by type.
//!
//! A guard in an inlined body needs one of each function whose frame is rebuilt. All of these frames together take no more
//! of the stack than a single one may.

use crate::assumptions::{FunctionGuard, Place, WayBack};
use crate::backend::{
    Failure, ask_baseline, body_request, compile_request, install, plant_counters, run_compilers,
    survive,
};
use crate::call_profile;
use crate::config::Baseline;
use crate::guards::{Planted, PlantedFrame};
use crate::inline::{self, Inlining};
use crate::table::{CodeInstance, FunctionState, Group, lock};
use crate::transfer::{self, Transfer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use upshift_base::Tier;
use upshift_codegen::deopt::{FrameLayout, FramePoint};
use upshift_codegen::{BodyEntry, BodyRequest, CompileError, CompileKind, CompiledCode};
use upshift_codemem::BlockLabel;
use upshift_event::EventKind;

/// Bytes of stack that the continuations' frames of one guard take at the most.
const FRAME_BYTES_MAX: u32 = 16 << 10;
/// Bytes of a frame besides what code says it takes: the return address and the saved frame pointer.
const LINK_BYTES: u32 = 16;

/// Why there is no way back from code with guards.
#[derive(Debug)]
pub(crate) enum NoWayBack {
    /// The function with this index, the code's own or one that is inlined in it, has no continuation that fits.
    Function(u32, Failure),
    /// The frames of guards in inlined bodies are too large together.
    Inlined(String),
}

/// Makes sure that there are continuations for all of these guards, in code of `state`'s function that is going to be
/// published, and that they expect what the guards have to give. Returns what the code relies on: guards, and the indices
/// of the functions whose they are.
///
/// # Errors
/// If a continuation cannot be had. Then the code must not be used.
pub(crate) fn prepare(
    group: &Arc<Group>,
    state: &FunctionState,
    planted: &[Planted],
    inlining: &Inlining,
) -> Result<Vec<FunctionGuard>, NoWayBack> {
    let mut points: BTreeMap<u32, Vec<FramePoint>> = BTreeMap::new();
    for frame in planted.iter().flat_map(|planted| &planted.frames) {
        let index = group.index(frame.function);
        points.entry(index).or_default().push(frame.point);
    }
    for (index, points) in points {
        let made = prepare_points(group, group.state_or_new(index), points.into_iter());
        made.map_err(|failure| NoWayBack::Function(index, failure))?;
    }
    let mut relied = Vec::with_capacity(planted.len());
    for planted in planted {
        let way_back = way_back(group, planted, inlining)?;
        let (function, guard) = (way_back.function, way_back.guard);
        relied.push((function, guard));
        lock(&group.state_or_new(function).assumptions).rely_on(guard, state.index);
        lock(&state.assumptions).set_way_back(planted.number, way_back);
    }
    relied.sort_unstable();
    relied.dedup();
    Ok(relied)
}

/// Where a guard leads, whose frames have continuations.
fn way_back(
    group: &Arc<Group>,
    planted: &Planted,
    inlining: &Inlining,
) -> Result<WayBack, NoWayBack> {
    let mut frames = Vec::with_capacity(planted.frames.len());
    let mut stack_bytes = 0;
    for frame in &planted.frames {
        let index = group.index(frame.function);
        let (transfer, bytes) = transfer_to(group.state_or_new(index), frame)
            .map_err(|error| NoWayBack::Function(index, error.into()))?;
        frames.push(transfer);
        stack_bytes += bytes;
    }
    let values = || frames.iter().map(|frame: &Transfer| frame.values as usize);
    if stack_bytes > FRAME_BYTES_MAX || !transfer::has_room(values()) {
        let position = planted.guard.position;
        return Err(NoWayBack::Inlined(format!(
            "the guard at {position} has {} frames of {stack_bytes} bytes and {} values",
            frames.len(),
            values().sum::<usize>()
        )));
    }
    let inner = planted.frames.last().map(|frame| frame.function);
    Ok(WayBack {
        function: inner.map_or(0, |function| group.index(function)),
        guard: planted.guard,
        frames,
        inlined: inline::report_chain(group, inlining, planted.inlined),
    })
}

/// Where a frame goes, and the bytes of stack that it takes there.
fn transfer_to(
    state: &FunctionState,
    frame: &PlantedFrame,
) -> Result<(Transfer, u32), CompileError> {
    let assumptions = lock(&state.assumptions);
    match assumptions.place(frame.point) {
        Some(place) if place.frame == frame.layout => {
            let transfer = Transfer {
                code: place.code,
                entry: place.entry,
                values: place.frame.len() as u32,
            };
            Ok((transfer, place.stack_bytes))
        }
        place => {
            let (expected, given) = (place.map(|place| &place.frame), &frame.layout);
            Err(CompileError::Failed(format!(
                "at {:?} there is {given:?}, the continuation expects {expected:?}",
                frame.point
            )))
        }
    }
}

/// Makes sure that there are continuations for all of these places.
///
/// # Errors
/// If one cannot be had.
pub(crate) fn prepare_points(
    group: &Arc<Group>,
    state: &FunctionState,
    points: impl Iterator<Item = FramePoint>,
) -> Result<(), Failure> {
    let mut missing: Vec<FramePoint> = {
        let assumptions = lock(&state.assumptions);
        let is_missing = |point: &FramePoint| assumptions.place(*point).is_none();
        points.filter(is_missing).collect()
    };
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    make_continuation(group, state, &missing)
}

/// Makes the code that goes on at any of `points`.
fn make_continuation(
    group: &Arc<Group>,
    state: &FunctionState,
    points: &[FramePoint],
) -> Result<(), Failure> {
    let started = Instant::now();
    let (code, frames, compiler) = code(group, state, points)?;
    check_continuation(&code, &frames, points)?;
    call_profile::allocate(state, code.call_sites);
    let label = BlockLabel {
        function: state.function,
        tier: Tier::Baseline,
        kind: CompileKind::Continuation,
    };
    let stack_bytes = code.frame_bytes + LINK_BYTES;
    let code = install(group, label, &code)?;
    let address = code.entry() as usize;
    let kind = EventKind::ContinuationReady {
        positions: points.len(),
        compiler,
        code_bytes: code.info().len(),
        duration: started.elapsed(),
    };
    let version = CodeInstance {
        tier: Tier::Baseline,
        relies_on: Vec::new(),
        code,
    };
    state.versions.keep(version, |_| false, || ());
    let mut assumptions = lock(&state.assumptions);
    for ((entry, point), frame) in (0..).zip(points).zip(frames) {
        let place = Place {
            code: address,
            entry,
            frame,
            stack_bytes,
        };
        assumptions.add_place(*point, place);
    }
    drop(assumptions);
    group.emit(state.index, kind);
    Ok(())
}

fn check_continuation(
    code: &CompiledCode,
    frames: &[FrameLayout],
    points: &[FramePoint],
) -> Result<(), CompileError> {
    if frames.len() != points.len() {
        let reason = "a continuation does not say what it expects";
        return Err(CompileError::Failed(reason.to_owned()));
    }
    if code.frame_bytes + LINK_BYTES > FRAME_BYTES_MAX {
        let bytes = code.frame_bytes;
        let reason = format!("a continuation has a frame of {bytes} bytes, which is too large");
        return Err(CompileError::Bailout(reason));
    }
    Ok(())
}

/// Code that goes on at `points`, what it expects at each, and who made it.
fn code(
    group: &Arc<Group>,
    state: &FunctionState,
    points: &[FramePoint],
) -> Result<(CompiledCode, Vec<FrameLayout>, String), Failure> {
    let (source, index, first) = (&*group.source, state.index, group.first());
    let baseline = ask_baseline(group, state, |request| {
        source.baseline_continuation(index, first, points, request)
    })?;
    if let Some((code, frames)) = baseline {
        return Ok((code, frames, Baseline::NAME.to_owned()));
    }
    let job = (Tier::Baseline, CompileKind::Continuation);
    let made = run_compilers((group, state.index), Tier::Baseline, |compiler| {
        let request = BodyRequest {
            entry: BodyEntry::Points(points),
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
