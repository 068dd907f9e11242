//! From flags to an engine's configuration.

use crate::args::{EngineArgs, OptimizeOption, Preset, Stress, TierChoice};
use crate::report;
use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use upshift::{Backend, Config, Event, EventKind, InliningMode, Subscriber, Tier};

/// The configuration that the flags ask for.
///
/// # Errors
/// If there is no such LLVM server as is named.
pub fn config(args: &EngineArgs) -> Result<Config> {
    let mut config = match args.preset {
        Preset::Default => Config::default(),
        Preset::Development => Config::development(),
        Preset::Production => Config::production(),
    };
    config = top_backend(config, &args.optimize)?;
    config = match args.tier {
        TierChoice::Auto => config,
        TierChoice::Zero => config.only_tier(Tier::Baseline),
        TierChoice::One => config.only_tier(Tier::Optimizing),
        TierChoice::Two => config.only_tier(Tier::Top),
    };
    if let Some(workers) = args.workers {
        config = config.workers(workers.into());
    }
    config = stressed(config.inlining(inlining(args)), &args.stress);
    Ok(config.synchronous(args.sync))
}

/// The configuration with what `-O` says about tier 2's compiler. That there is no LLVM is said once.
///
/// # Errors
/// If there is no such server as is named.
pub fn top_backend(mut config: Config, options: &[OptimizeOption]) -> Result<Config> {
    let mut llvm = None;
    for option in options {
        match option {
            OptimizeOption::Cranelift => {
                llvm = None;
                config = config.backend(Tier::Top, Backend::CraneliftSpeed);
            }
            OptimizeOption::Llvm => llvm = Some(upshift::llvm::find_server()),
            OptimizeOption::LlvmServer(place) if !place.exists() => {
                bail!("-O llvm-server={0}: there is no {0}", place.display());
            }
            OptimizeOption::LlvmServer(place) => llvm = Some(Some(place.clone())),
            OptimizeOption::Clif => config = config.backend(Tier::Baseline, Backend::CraneliftNone),
            OptimizeOption::Speculation(yes) => config = config.speculation(*yes),
            OptimizeOption::Inlining(_) | OptimizeOption::Devirtualization(_) => {}
        }
    }
    let Some(server) = llvm else {
        return Ok(config);
    };
    config = config.backend(Tier::Top, Backend::Llvm);
    Ok(match server {
        Some(server) => config
            .llvm_server(server)
            .subscriber(Arc::new(ServerFailure::default())),
        None => {
            static SAID: Once = Once::new();
            SAID.call_once(|| report::stderr(&missing_server()));
            config
        }
    })
}

fn missing_server() -> String {
    let places = upshift::llvm::places();
    format!(
        "warning: -O llvm: there is no LLVM server, so Cranelift compiles for tier 2: looked for {places}\n\
         hint: `cargo xtask llvm` builds the server; `upshift doctor` says whether it works\n"
    )
}

/// Says once that the server cannot be used: what would be compiled by it stays in tier 1.
#[derive(Default)]
struct ServerFailure(AtomicBool);

impl Subscriber for ServerFailure {
    fn event(&self, event: &Event) {
        if let EventKind::ServerFailed { reason } = &event.kind {
            let text = format!("warning: -O llvm: {reason}\nhint: `upshift doctor` says more\n");
            if !self.0.swap(true, Ordering::Relaxed) {
                report::stderr(&text);
            }
        }
    }
}

/// The configuration with tests of the engine, most of which may go together.
fn stressed(mut config: Config, tests: &[Stress]) -> Config {
    let (mut period, mut seed, mut flip, mut deopt) = (None, None, false, None);
    let mut frames = false;
    for test in tests {
        match *test {
            Stress::Osr { period: arrivals } => period = Some(arrivals),
            Stress::Flip => flip = true,
            Stress::Seed(number) => seed = Some(number),
            Stress::Inline => config = config.inlining(InliningMode::Stress),
            Stress::Deopt { period: guards } => deopt = Some(guards),
            Stress::Frames => frames = true,
        }
    }
    if let Some(guards) = deopt {
        config = config.stress_deopt(guards, seed.unwrap_or(0));
    }
    if frames {
        config = config.frame_log(seed.unwrap_or(0));
    }
    match (period, seed, flip) {
        (None, None, false) => config,
        (None, Some(_), false) if deopt.is_some() || frames => config,
        (Some(period), None, false) => config.stress_osr(period),
        (period, seed, flip) => {
            let period = period.unwrap_or(if flip { 2 } else { 1 });
            config.stress_random(period, seed.unwrap_or(1), flip)
        }
    }
}

/// What `-O` says about calls; of two values for the same key the last counts.
fn inlining(args: &EngineArgs) -> InliningMode {
    let (mut inlining, mut devirtualization) = (true, true);
    for option in &args.optimize {
        match *option {
            OptimizeOption::Inlining(yes) => inlining = yes,
            OptimizeOption::Devirtualization(yes) => devirtualization = yes,
            OptimizeOption::Speculation(_)
            | OptimizeOption::Cranelift
            | OptimizeOption::Clif
            | OptimizeOption::Llvm
            | OptimizeOption::LlvmServer(_) => {}
        }
    }
    match (inlining, devirtualization) {
        (true, true) => InliningMode::On,
        (true, false) => InliningMode::Inline,
        (false, true) => InliningMode::Devirtualize,
        (false, false) => InliningMode::Off,
    }
}
