//! From flags to an engine's configuration.

use crate::args::{EngineArgs, Optimizer, Preset, TierChoice};
use upshift::{Backend, Config, Tier};

/// The configuration that the flags ask for.
pub fn config(args: &EngineArgs) -> Config {
    let mut config = match args.preset {
        Preset::Default => Config::default(),
        Preset::Development => Config::development(),
        Preset::Production => Config::production(),
    };
    config = match args.optimizer {
        None => config,
        Some(Optimizer::Cranelift) => config.backend(Tier::Top, Backend::CraneliftSpeed),
        Some(Optimizer::Llvm) => config.backend(Tier::Top, Backend::Llvm),
    };
    config = match args.tier {
        TierChoice::Auto => config,
        TierChoice::Zero => config.only_tier(Tier::Baseline),
        TierChoice::One => config.only_tier(Tier::Optimizing),
        TierChoice::Two => config.only_tier(Tier::Top),
    };
    if let Some(workers) = args.workers {
        config = config.workers(workers.into());
    }
    if let Some(stress) = args.stress {
        config = config.stress_osr(stress.osr_period);
    }
    config.synchronous(args.sync)
}
