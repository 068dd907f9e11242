//! Who may take something for granted: a function's own body, and bodies that are inlined in it.

use crate::config::DeoptStress;
use crate::table::{FunctionState, Group, lock};
use upshift_base::Tier;
use upshift_codegen::CompileKind;
use upshift_codegen::deopt::{Speculation, StressGuards};

/// What a body of that function in code of `tier` may take for granted, its own or inlined elsewhere; `None` if nothing,
/// for example because there is no tier to fall back to.
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
