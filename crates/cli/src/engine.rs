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
            OptimizeOption::Clif => config.backend(Tier::Baseline, Backend::CraneliftNone),
            OptimizeOption::Speculation(yes) => config.speculation(*yes),
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
    config = stressed(config.inlining(inlining(args)), &args.stress);
    config.synchronous(args.sync)
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
            _ => {}
        }
    }
    match (inlining, devirtualization) {
        (true, true) => InliningMode::On,
        (true, false) => InliningMode::Inline,
        (false, true) => InliningMode::Devirtualize,
        (false, false) => InliningMode::Off,
    }
}
