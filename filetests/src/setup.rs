//! The ways in which every script is run.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use upshift::embed::stencil::ClifCompiler;
use upshift::llvm::find_server;
use upshift::{Backend, Config, Engine, Error, Event, EventKind, InliningMode, Subscriber, Tier};

/// Which tiers run the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setup {
    /// Everything in tier 0.
    Tier0,
    /// Everything in tier 1, from the first call on.
    Tier1,
    /// Tier 0 first, and each function in the background to tier 1 after its first call.
    Mixed,
    /// Each activation goes on in tier 1 at the first loop header that it arrives at.
    StressOsr,
    /// The same at every fifth arrival.
    StressOsr5,
    /// Everything in tier 1, with all calls inlined for which that can be done.
    StressInline,
    /// The same in tier 1 from the second call on, with targets counted before, and OSR versions.
    StressInlineMixed,
    /// The same at each, with tier 0's code by Cranelift.
    StressOsrClif,
    /// The same at every third, with tier 0's code by copy-and-patch from CLIF; what that declines is in tier 1.
    StressOsrClifPatched,
    /// Tier 1 from the first call on, and each activation goes on in tier 0 at the first guard that it comes to.
    StressDeopt,
    /// The same at every fifth guard, more or less, with guards at other places.
    StressDeopt5,
    /// The same at each, with all calls inlined for which that can be done.
    StressDeoptInline,
    /// The same at each, with tier 0's code by Cranelift.
    StressDeoptClif,
    /// Tier 0 first; each activation goes on in tier 1 at the first loop header that it arrives at, and in tier 0 again at
    /// the second guard that it comes to.
    StressDeoptOsr,
    /// Everything in tier 2, compiled by LLVM where it does not decline.
    Llvm,
    /// Tier 0 first, and each activation goes on in LLVM's code at the first loop header that it arrives at.
    LlvmStressOsr,
    /// Everything in LLVM's code, with all calls inlined for which that can be done.
    LlvmStressInline,
    /// LLVM's code from the second call on, and each activation goes on in tier 0 at the first guard that it comes to.
    LlvmStressDeopt,
    /// Activations and calls change tiers at random.
    Random(Stress, Tiers, u64),
}

/// What changes tiers at random, as a seed decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stress {
    /// Activations, at one of three arrivals at loop headers.
    Osr,
    /// Activations, at one of two, and calls, which run in either of the two lowest tiers.
    Flip,
    /// Activations, back to tier 0 at one of three guards.
    Deopt,
    /// Activations, up at one of three arrivals at loop headers and down at one of three guards.
    DeoptOsr,
    /// Activations, up at one of two and down at one of three, and calls.
    DeoptFlip,
}

impl Stress {
    const ALL: [Stress; 5] = [
        Stress::Osr,
        Stress::Flip,
        Stress::Deopt,
        Stress::DeoptOsr,
        Stress::DeoptFlip,
    ];

    fn deoptimizes(self) -> bool {
        !matches!(self, Stress::Osr | Stress::Flip)
    }
}

/// Which tiers there are, and what makes the code of tier 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tiers {
    /// Tiers 0 and 1.
    ZeroOne,
    /// The same with tier 0 by Cranelift.
    ClifOne,
    /// Tiers 0 and 2.
    ZeroTwo,
    /// All three.
    ZeroOneTwo,
    /// Tiers 0 and 2, which LLVM compiles where it does not decline.
    ZeroLlvm,
    /// All three, with tier 2 likewise.
    ZeroOneLlvm,
}

impl Tiers {
    const ALL: [Tiers; 6] = [
        Tiers::ZeroOne,
        Tiers::ClifOne,
        Tiers::ZeroTwo,
        Tiers::ZeroOneTwo,
        Tiers::ZeroLlvm,
        Tiers::ZeroOneLlvm,
    ];

    fn has_llvm(self) -> bool {
        matches!(self, Tiers::ZeroLlvm | Tiers::ZeroOneLlvm)
    }

    fn uses(self, tier: Tier) -> bool {
        match tier {
            Tier::Baseline => true,
            Tier::Optimizing => !matches!(self, Tiers::ZeroTwo | Tiers::ZeroLlvm),
            Tier::Top => !matches!(self, Tiers::ZeroOne | Tiers::ClifOne),
        }
    }

    fn apply(self, mut config: Config) -> Config {
        if self == Tiers::ClifOne {
            config = config.backend(Tier::Baseline, Backend::CraneliftNone);
        }
        for tier in [Tier::Optimizing, Tier::Top] {
            let backend = match self.uses(tier) {
                true if tier == Tier::Top && self.has_llvm() => Backend::Llvm,
                true => Backend::CraneliftSpeed,
                false => Backend::Off,
            };
            config = config.backend(tier, backend);
        }
        config
    }
}

impl Setup {
    /// Those that every run of the tests goes through.
    pub const ALL: [Setup; 18] = [
        Setup::Tier0,
        Setup::Tier1,
        Setup::Mixed,
        Setup::StressOsr,
        Setup::StressOsr5,
        Setup::StressInline,
        Setup::StressInlineMixed,
        Setup::StressOsrClif,
        Setup::StressOsrClifPatched,
        Setup::StressDeopt,
        Setup::StressDeopt5,
        Setup::StressDeoptInline,
        Setup::StressDeoptClif,
        Setup::StressDeoptOsr,
        Setup::Llvm,
        Setup::LlvmStressOsr,
        Setup::LlvmStressInline,
        Setup::LlvmStressDeopt,
    ];

    /// The stress tests, with these seeds.
    pub fn random(seeds: u64) -> impl Iterator<Item = Setup> {
        Stress::ALL.into_iter().flat_map(move |stress| {
            let seeded =
                move |tiers| (1..=seeds).map(move |seed| Setup::Random(stress, tiers, seed));
            Tiers::ALL.into_iter().flat_map(seeded)
        })
    }

    /// Whether it can be run: some need the LLVM server, which is built by `cargo xtask llvm`.
    pub fn is_possible(self) -> bool {
        !self.has_llvm() || llvm_server().is_some()
    }

    fn has_llvm(self) -> bool {
        match self {
            Setup::Llvm
            | Setup::LlvmStressOsr
            | Setup::LlvmStressInline
            | Setup::LlvmStressDeopt => true,
            Setup::Random(_, tiers, _) => tiers.has_llvm(),
            _ => false,
        }
    }

    /// Whether code is compiled for that tier at all.
    pub fn uses(self, tier: Tier) -> bool {
        match self {
            Setup::Tier0 => tier == Tier::Baseline,
            Setup::Tier1 | Setup::StressInline => tier == Tier::Optimizing,
            Setup::Llvm | Setup::LlvmStressInline => tier == Tier::Top,
            Setup::LlvmStressOsr | Setup::LlvmStressDeopt => tier != Tier::Optimizing,
            Setup::Random(_, tiers, _) => tiers.uses(tier),
            _ => tier != Tier::Top,
        }
    }

    /// Whether activations go back to tier 0.
    pub fn deoptimizes(self) -> bool {
        match self {
            Setup::StressDeopt
            | Setup::StressDeopt5
            | Setup::StressDeoptInline
            | Setup::StressDeoptClif
            | Setup::StressDeoptOsr
            | Setup::LlvmStressDeopt => true,
            Setup::Random(stress, ..) => stress.deoptimizes(),
            _ => false,
        }
    }

    /// Whether tier 0's frames may be too large for a way back.
    pub fn has_large_frames(self) -> bool {
        matches!(
            self,
            Setup::StressDeoptClif | Setup::Random(_, Tiers::ClifOne, _)
        )
    }

    /// The setups whose frames are compared with those of tier 0, with the log that this seed chooses. Each does the same
    /// every time.
    pub fn with_frames(seed: u64) -> Vec<Setup> {
        if seed == 0 {
            return vec![
                Setup::StressDeopt,
                Setup::StressDeoptOsr,
                Setup::StressDeoptInline,
                Setup::StressDeoptClif,
                Setup::LlvmStressDeopt,
            ];
        }
        let seeded = |tiers| Stress::ALL.map(|stress| Setup::Random(stress, tiers, seed));
        [Tiers::ZeroOneTwo, Tiers::ZeroOneLlvm]
            .into_iter()
            .flat_map(seeded)
            .collect()
    }

    /// An engine that runs code so.
    ///
    /// # Errors
    /// If the engine cannot be started.
    pub fn engine(self) -> Result<Engine, Error> {
        Engine::new(self.config(false))
    }

    /// The configuration of such an engine, in which NaNs have the same bits everywhere if so wanted.
    pub fn config(self, canonical_nans: bool) -> Config {
        let mut config = Config::default()
            .verify(true)
            .canonical_nans(canonical_nans);
        if let Some(server) = llvm_server() {
            config = config.llvm_server(server);
        }
        // So that what went back comes here again.
        let deopt = |config: Config| {
            let config = config.subscriber(Arc::new(WithoutWayBack));
            config.synchronous(true).thresholds(1, u32::MAX)
        };
        match self {
            Setup::Tier0 => config.only_tier(Tier::Baseline),
            Setup::Tier1 => config.only_tier(Tier::Optimizing),
            Setup::Mixed => config.thresholds(1, u32::MAX),
            Setup::StressOsr => config.stress_osr(1),
            Setup::StressOsr5 => config.stress_osr(5),
            Setup::StressInline => config
                .only_tier(Tier::Optimizing)
                .inlining(InliningMode::Stress),
            Setup::StressInlineMixed => config
                .thresholds(1, u32::MAX)
                .synchronous(true)
                .inlining(InliningMode::Stress),
            Setup::StressOsrClif => config
                .stress_osr(1)
                .backend(Tier::Baseline, Backend::CraneliftNone),
            Setup::StressOsrClifPatched => {
                let clif = Backend::Custom(Arc::new(ClifCompiler::new(canonical_nans)));
                config.stress_osr(3).backend(Tier::Baseline, clif)
            }
            Setup::StressDeopt => deopt(config).stress_deopt(1, 0),
            Setup::StressDeopt5 => deopt(config).stress_deopt(5, 1),
            Setup::StressDeoptInline => deopt(config)
                .stress_deopt(1, 0)
                .inlining(InliningMode::Stress),
            Setup::StressDeoptClif => deopt(config)
                .stress_deopt(1, 0)
                .backend(Tier::Baseline, Backend::CraneliftNone),
            Setup::StressDeoptOsr => deopt(config).stress_deopt(2, 0).stress_osr(1),
            Setup::Random(stress, tiers, seed) => {
                let mut config = tiers.apply(config);
                if stress.deoptimizes() {
                    config = deopt(config).stress_deopt(3, seed).thresholds(1, 2);
                }
                match stress {
                    Stress::Osr | Stress::DeoptOsr => config.stress_random(3, seed, false),
                    Stress::Flip | Stress::DeoptFlip => config.stress_random(2, seed, true),
                    Stress::Deopt => config,
                }
            }
            Setup::Llvm => config
                .backend(Tier::Top, Backend::Llvm)
                .only_tier(Tier::Top),
            Setup::LlvmStressOsr => config
                .backend(Tier::Optimizing, Backend::Off)
                .backend(Tier::Top, Backend::Llvm)
                .stress_osr(1),
            Setup::LlvmStressInline => config
                .backend(Tier::Top, Backend::Llvm)
                .only_tier(Tier::Top)
                .inlining(InliningMode::Stress),
            Setup::LlvmStressDeopt => deopt(Tiers::ZeroLlvm.apply(config))
                .stress_deopt(1, 0)
                .thresholds(1, 1),
        }
    }
}

/// Says which functions cannot go back to tier 0, and why.
struct WithoutWayBack;

impl Subscriber for WithoutWayBack {
    fn event(&self, event: &Event) {
        if let EventKind::SpeculationOff { reason, .. } = &event.kind {
            println!("{}: {reason}", event.name);
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Setup::Tier0 => "tier-0",
            Setup::Tier1 => "tier-1",
            Setup::Mixed => "mixed",
            Setup::StressOsr => "osr",
            Setup::StressOsr5 => "osr-5",
            Setup::StressInline => "inline",
            Setup::StressInlineMixed => "inline-mixed",
            Setup::StressOsrClif => "osr-clif",
            Setup::StressOsrClifPatched => "osr-clif-patched",
            Setup::StressDeopt => "deopt",
            Setup::StressDeopt5 => "deopt-5",
            Setup::StressDeoptInline => "deopt-inline",
            Setup::StressDeoptClif => "deopt-clif",
            Setup::StressDeoptOsr => "deopt-osr",
            Setup::Llvm => "llvm",
            Setup::LlvmStressOsr => "llvm-osr",
            Setup::LlvmStressInline => "llvm-inline",
            Setup::LlvmStressDeopt => "llvm-deopt",
            Setup::Random(stress, tiers, seed) => {
                let stress = match stress {
                    Stress::Osr => "osr",
                    Stress::Flip => "flip",
                    Stress::Deopt => "deopt",
                    Stress::DeoptOsr => "deopt-osr",
                    Stress::DeoptFlip => "deopt-flip",
                };
                let tiers = match tiers {
                    Tiers::ZeroOne => "01",
                    Tiers::ClifOne => "clif1",
                    Tiers::ZeroTwo => "02",
                    Tiers::ZeroOneTwo => "012",
                    Tiers::ZeroLlvm => "0llvm",
                    Tiers::ZeroOneLlvm => "01llvm",
                };
                return f.pad(&format!("{stress}-{tiers}-{seed}"));
            }
        };
        f.pad(name)
    }
}

/// The LLVM server: the one that is found, or the one that `cargo xtask llvm` built.
pub fn llvm_server() -> Option<PathBuf> {
    static SERVER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/llvm/server/target/release/upshift-llvm"
    );
    let built = || Some(PathBuf::from(built)).filter(|file| file.is_file());
    SERVER.get_or_init(|| find_server().or_else(built)).clone()
}
