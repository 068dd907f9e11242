//! Asking the compilers and the front end for code, and placing what they make.

use crate::builtins;
use crate::config::OsrMode;
use crate::frame_points::plant_frame_log;
use crate::profile::{self, Counting};
use crate::table::{FunctionState, Group};
use cranelift_codegen::ir::Function;
use std::panic::{AssertUnwindSafe, catch_unwind};
use upshift_base::{Owner, Tier, World};
use upshift_codegen::frame_log::FrameLogPlan;
use upshift_codegen::{
    BaselineRequest, BodyRequest, CompileError, CompileKind, CompileRequest, CompiledCode, Compiler,
};
use upshift_codemem::{BlockLabel, CodeBlock};

/// Why there is no code, and whether there may be some later.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: CompileError,
    pub(crate) temporary: bool,
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Failure {
        Failure {
            error,
            temporary: false,
        }
    }
}

/// Whether code of `tier` leads to a better one, or to any other in a stress test or when somebody asks for it.
pub(crate) fn wants_counters(group: &Group, state: &FunctionState, tier: Tier) -> bool {
    let config = &group.shared.config;
    let next = config
        .tier_above(tier)
        .is_some_and(|next| !state.versions.has_failed(next));
    let flips = config.stress().is_some_and(|stress| stress.flip);
    group.kind == CompileKind::Entry && (next || flips || config.safepoints)
}

/// The request for the body of a function as code of `tier` wants it: with marks for what is counted.
pub(crate) fn body_request<'a>(
    group: &Group,
    state: &FunctionState,
    tier: Tier,
) -> BodyRequest<'a> {
    let config = &group.shared.config;
    let counted = wants_counters(group, state, tier);
    BodyRequest {
        osr_points: counted && config.osr != OsrMode::Off,
        call_sites: counted && config.inlining.devirtualizes(),
        frame_log: config.frame_log,
        ..BodyRequest::plain(state.index, group.first())
    }
}

/// Asks the source something about baseline code. `None` if it declines, or there is no such code.
pub(crate) fn ask_baseline<T>(
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
        frame_log: config.frame_log.map(|log| FrameLogPlan {
            log,
            buffer: builtins::FRAME_BUFFER,
            logged: builtins::FRAME_LOGGED,
        }),
        every_position: false,
    };
    match survive(|| ask(&request)) {
        Ok(answer) => Ok(Some(answer)),
        Err(CompileError::Bailout(_)) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Plants the counters that code of `tier` has, if any, and the log of frames. Returns how many call sites they count at.
pub(crate) fn plant_counters(
    group: &Group,
    state: &FunctionState,
    (tier, kind): (Tier, CompileKind),
    body: &mut Function,
) -> u32 {
    plant_frame_log(body, state.function);
    if !wants_counters(group, state, tier) {
        return 0;
    }
    let counting = Counting {
        function: state.function,
        tier,
        calls: kind == CompileKind::Entry,
    };
    profile::plant_counters(body, counting)
}

pub(crate) fn compile_request(
    state: &FunctionState,
    (tier, kind): (Tier, CompileKind),
    body: Function,
) -> CompileRequest {
    CompileRequest {
        function: state.function,
        tier,
        kind,
        world: World::FIRST,
        owner: Owner::BUILT_IN,
        body,
    }
}

/// What a compiler made, and what there is to know about the request.
pub(crate) struct Compiled<T> {
    pub(crate) code: CompiledCode,
    pub(crate) compiler: String,
    /// Compilers that declined before, and why.
    pub(crate) declined: Vec<(String, String)>,
    pub(crate) about: T,
}

/// What the first of the tier's compilers makes that does not decline, of the request that `request` makes for it.
pub(crate) fn run_compilers<T>(
    (group, index): (&Group, u32),
    tier: Tier,
    request: impl Fn(&dyn Compiler) -> Result<(CompileRequest, T), Failure>,
) -> Result<Compiled<T>, Failure> {
    let mut declined = Vec::new();
    for compiler in &group.shared.config.compilers[tier.index()] {
        let (request, about) = request(&**compiler)?;
        let tell = |event| group.emit(index, event);
        match survive(|| compiler.compile_and_tell(&request, &tell)) {
            Ok(code) => {
                return Ok(Compiled {
                    code,
                    compiler: compiler.name().to_owned(),
                    declined,
                    about,
                });
            }
            Err(CompileError::Bailout(reason)) => {
                declined.push((compiler.name().to_owned(), reason));
            }
            Err(failed) => return Err(failed.into()),
        }
    }
    let reason = match declined.pop() {
        Some((_, reason)) => reason,
        None => format!("tier {tier} has no compiler"),
    };
    Err(CompileError::Bailout(reason).into())
}

/// A compiler or front end that panics has failed on one function, and no more than that.
pub(crate) fn survive<T>(f: impl FnOnce() -> Result<T, CompileError>) -> Result<T, CompileError> {
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

/// Places and links code.
pub(crate) fn install(
    group: &Group,
    label: BlockLabel,
    code: &CompiledCode,
) -> Result<CodeBlock, Failure> {
    let installed = group.shared.memory.install(label, code);
    installed.map_err(|error| Failure {
        temporary: error.is_full(),
        error: CompileError::Failed(error.to_string()),
    })
}
