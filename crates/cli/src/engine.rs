//! From flags to an engine's configuration.

use crate::args::{EngineArgs, OptimizeOption, Preset, Stress, TierChoice};
use upshift::{Backend, Config, InliningMode, Tier};

/// The configuration that the flags ask for.
pub fn config(args: &EngineArgs) -> Config {
    let mut config = match args.preset {
        Preset::Default => Config::default(),
        Preset::Development => Config::development(),
        Preset::Production => Config::production(),
    };
    for option in &args.optimize {
        config = match option {
            OptimizeOption::Cranelift => config.backend(Tier::Top, Backend::CraneliftSpeed),
            OptimizeOption::Llvm => config.backend(Tier::Top, Backend::Llvm),
            OptimizeOption::Inlining(_) | OptimizeOption::Devirtualization(_) => config,
        };
    }
    config = match args.tier {
        TierChoice::Auto => config,
        TierChoice::Zero => config.only_tier(Tier::Baseline),
        TierChoice::One => config.only_tier(Tier::Optimizing),
        TierChoice::Two => config.only_tier(Tier::Top),
    };
    if let Some(workers) = args.workers {
        config = config.workers(workers.into());
    }
    config = config.inlining(inlining(args));
    for stress in &args.stress {
        config = match *stress {
            Stress::Osr { period } => config.stress_osr(period),
            Stress::Inline => config.inlining(InliningMode::Stress),
        };
    }
    config.synchronous(args.sync)
}

/// What `-O` says about calls; of two values for the same key the last counts.
fn inlining(args: &EngineArgs) -> InliningMode {
    let (mut inlining, mut devirtualization) = (true, true);
    for option in &args.optimize {
        match *option {
            OptimizeOption::Inlining(yes) => inlining = yes,
            OptimizeOption::Devirtualization(yes) => devirtualization = yes,
            OptimizeOption::Cranelift | OptimizeOption::Llvm => {}
        }
    }
    match (inlining, devirtualization) {
        (true, true) => InliningMode::On,
        (true, false) => InliningMode::Inline,
        (false, true) => InliningMode::Devirtualize,
        (false, false) => InliningMode::Off,
    }
}
