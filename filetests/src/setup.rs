//! The ways in which every script is run.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;
use upshift::llvm::find_server;
use upshift::{Backend, Config, Engine, Error, InliningMode, Tier};

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
    /// Everything in tier 2, compiled by LLVM where it does not decline.
    Llvm,
    /// Tier 0 first, and each activation goes on in LLVM's code at the first loop header that it arrives at.
    LlvmStressOsr,
}

impl Setup {
    /// All of them.
    pub const ALL: [Setup; 10] = [
        Setup::Tier0,
        Setup::Tier1,
        Setup::Mixed,
        Setup::StressOsr,
        Setup::StressOsr5,
        Setup::StressInline,
        Setup::StressInlineMixed,
        Setup::StressOsrClif,
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
            Setup::Tier1 | Setup::StressInline => tier == Tier::Optimizing,
            Setup::Llvm => tier == Tier::Top,
            Setup::LlvmStressOsr => tier != Tier::Optimizing,
            _ => tier != Tier::Top,
        }
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
        Engine::new(match self {
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

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Setup::Tier0 => "tier-0",
            Setup::Tier1 => "tier-1",
            Setup::Mixed => "mixed",
            Setup::StressOsr => "osr",
            Setup::StressOsr5 => "osr-5",
            Setup::StressInline => "inline",
            Setup::StressInlineMixed => "inline-mixed",
            Setup::StressOsrClif => "osr-clif",
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
