//! The ways in which every script is run.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use upshift::llvm::find_server;
use upshift::{Backend, Config, Engine, Error, Event, EventKind, Subscriber, Tier};

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
    /// The same at each, with tier 0's code by Cranelift.
    StressOsrClif,
    /// Tier 1 from the first call on, and each activation goes on in tier 0 at the first guard that it comes to.
    StressDeopt,
    /// The same at every fifth guard, more or less, with guards at other places.
    StressDeopt5,
    /// The same at each, with tier 0's code by Cranelift.
    StressDeoptClif,
    /// Everything in tier 2, compiled by LLVM where it does not decline.
    Llvm,
    /// Tier 0 first, and each activation goes on in LLVM's code at the first loop header that it arrives at.
    LlvmStressOsr,
}

impl Setup {
    /// All of them.
    pub const ALL: [Setup; 11] = [
        Setup::Tier0,
        Setup::Tier1,
        Setup::Mixed,
        Setup::StressOsr,
        Setup::StressOsr5,
        Setup::StressOsrClif,
        Setup::StressDeopt,
        Setup::StressDeopt5,
        Setup::StressDeoptClif,
        Setup::Llvm,
        Setup::LlvmStressOsr,
    ];

    /// Whether it can be run: some need the LLVM server, which is built by `cargo xtask llvm`.
    pub fn is_possible(self) -> bool {
        !matches!(self, Setup::Llvm | Setup::LlvmStressOsr) || llvm_server().is_some()
    }

    /// Whether code is compiled for that tier at all.
    pub fn uses(self, tier: Tier) -> bool {
        match self {
            Setup::Tier0 => tier == Tier::Baseline,
            Setup::Tier1 => tier == Tier::Optimizing,
            Setup::Llvm => tier == Tier::Top,
            Setup::LlvmStressOsr => tier != Tier::Optimizing,
            _ => tier != Tier::Top,
        }
    }

    /// Whether activations go back to tier 0.
    pub fn deoptimizes(self) -> bool {
        matches!(
            self,
            Setup::StressDeopt | Setup::StressDeopt5 | Setup::StressDeoptClif
        )
    }

    /// An engine that runs code so.
    ///
    /// # Errors
    /// If the engine cannot be started.
    pub fn engine(self) -> Result<Engine, Error> {
        let mut config = Config::default().verify(true);
        if let Some(server) = llvm_server() {
            config = config.llvm_server(server);
        }
        // So that what went back comes here again.
        let deopt = |config: Config| {
            let config = config.subscriber(Arc::new(WithoutWayBack));
            config.synchronous(true).thresholds(1, u32::MAX)
        };
        Engine::new(match self {
            Setup::Tier0 => config.only_tier(Tier::Baseline),
            Setup::Tier1 => config.only_tier(Tier::Optimizing),
            Setup::Mixed => config.thresholds(1, u32::MAX),
            Setup::StressOsr => config.stress_osr(1),
            Setup::StressOsr5 => config.stress_osr(5),
            Setup::StressOsrClif => config
                .stress_osr(1)
                .backend(Tier::Baseline, Backend::CraneliftNone),
            Setup::StressDeopt => deopt(config).stress_deopt(1, 0),
            Setup::StressDeopt5 => deopt(config).stress_deopt(5, 1),
            Setup::StressDeoptClif => deopt(config)
                .stress_deopt(1, 0)
                .backend(Tier::Baseline, Backend::CraneliftNone),
            Setup::Llvm => config
                .backend(Tier::Top, Backend::Llvm)
                .only_tier(Tier::Top),
            Setup::LlvmStressOsr => config
                .backend(Tier::Optimizing, Backend::Off)
                .backend(Tier::Top, Backend::Llvm)
                .stress_osr(1),
        })
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
        f.pad(match self {
            Setup::Tier0 => "tier-0",
            Setup::Tier1 => "tier-1",
            Setup::Mixed => "mixed",
            Setup::StressOsr => "osr",
            Setup::StressOsr5 => "osr-5",
            Setup::StressOsrClif => "osr-clif",
            Setup::StressDeopt => "deopt",
            Setup::StressDeopt5 => "deopt-5",
            Setup::StressDeoptClif => "deopt-clif",
            Setup::Llvm => "llvm",
            Setup::LlvmStressOsr => "llvm-osr",
        })
    }
}

/// The LLVM server: the one that is found, or the one that `cargo xtask llvm` built.
fn llvm_server() -> Option<PathBuf> {
    static SERVER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/llvm/server/target/release/upshift-llvm"
    );
    let built = || Some(PathBuf::from(built)).filter(|file| file.is_file());
    SERVER.get_or_init(|| find_server().or_else(built)).clone()
}
