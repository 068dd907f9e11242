//! How an engine is set up.

use crate::sink::{Fanout, Log, Verbosity};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use upshift_base::Tier;
use upshift_codegen::frame_log::FrameLog;
use upshift_codegen::{CompileError, Compiler};
use upshift_cranelift::{CraneliftCompiler, Effort, Options};
use upshift_event::Subscriber;
use upshift_llvm::LlvmCompiler;
use upshift_runtime::{
    Baseline, CompileMode, DeoptStress, InliningMode, OsrMode, RuntimeConfig, Stress, Thresholds,
};
use upshift_stencil::ClifCompiler;

/// What compiles the functions of a tier.
#[derive(Clone)]
pub enum Backend {
    /// Nothing: the tier is left out.
    Off,
    /// In tier 0: one pass that copies and patches, straight from the source where the front end can do it, else from
    /// CLIF. What it declines is left to [`Backend::CraneliftNone`].
    CopyAndPatch,
    /// Cranelift without optimization: compiles several times as fast as with it.
    CraneliftNone,
    /// Cranelift with all its optimizations.
    CraneliftSpeed,
    /// LLVM at full optimization, in a process of its own that is started when there is something to compile: the
    /// server `upshift-llvm`, which is looked for beside the program and in the search path. The same as
    /// [`Backend::CraneliftSpeed`] if there is none, which is logged.
    Llvm,
    /// A compiler of the embedder's own. Code that calls other functions must follow [`crate::embed::symbol`].
    Custom(Arc<dyn Compiler>),
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Off => f.write_str("Off"),
            Backend::CopyAndPatch => f.write_str("CopyAndPatch"),
            Backend::CraneliftNone => f.write_str("CraneliftNone"),
            Backend::CraneliftSpeed => f.write_str("CraneliftSpeed"),
            Backend::Llvm => f.write_str("Llvm"),
            Backend::Custom(compiler) => write!(f, "Custom({})", compiler.name()),
        }
    }
}

/// An engine's configuration: a preset, and what is changed about it.
///
/// ```
/// use upshift::{Config, Engine};
/// let engine = Engine::new(Config::development().workers(2))?;
/// # Ok::<(), upshift::Error>(())
/// ```
#[derive(Clone)]
pub struct Config {
    thresholds: Thresholds,
    workers: Option<usize>,
    synchronous: bool,
    check_interval: Duration,
    verbosity: Verbosity,
    backends: [Backend; 3],
    llvm_server: Option<PathBuf>,
    canonical_nans: bool,
    verify: bool,
    code_memory_bytes: usize,
    stack_bytes: usize,
    osr: OsrMode,
    speculation: bool,
    deopt_stress: Option<DeoptStress>,
    stress_transitions: u64,
    frame_log: Option<FrameLog>,
    safepoints: bool,
    inlining: InliningMode,
    subscribers: Vec<Arc<dyn Subscriber>>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("thresholds", &self.thresholds)
            .field("workers", &self.workers)
            .field("synchronous", &self.synchronous)
            .field("backends", &self.backends)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    /// Tier 1 after 100 calls, tier 2 after 1,000: for programs of any length.
    fn default() -> Config {
        Config {
            thresholds: Thresholds {
                optimizing: 100,
                top: 1000,
            },
            workers: None,
            synchronous: false,
            check_interval: Duration::from_millis(100),
            verbosity: Verbosity::default(),
            backends: [Backend::CopyAndPatch, Backend::CraneliftSpeed, Backend::Off],
            llvm_server: None,
            canonical_nans: false,
            verify: false,
            code_memory_bytes: 1 << 30,
            stack_bytes: 1 << 20,
            osr: OsrMode::On,
            speculation: true,
            deopt_stress: None,
            stress_transitions: u64::MAX,
            frame_log: None,
            safepoints: false,
            inlining: InliningMode::On,
            subscribers: Vec::new(),
        }
    }
}

impl Config {
    /// Tier 1 after 10 calls, tier 2 after 100: everything happens soon, for trying things out.
    pub fn development() -> Config {
        Config::default().thresholds(10, 100)
    }

    /// Tier 1 after 1,000 calls, tier 2 after 10,000: for programs that run long and have much code.
    pub fn production() -> Config {
        Config::default().thresholds(1000, 10_000)
    }

    /// Calls before a function is compiled for tier 1 and for tier 2. Zero counts as one.
    pub fn thresholds(mut self, optimizing: u32, top: u32) -> Config {
        self.thresholds = Thresholds {
            optimizing: optimizing.max(1),
            top: top.max(1),
        };
        self
    }

    /// How many threads compile in the background; by default one less than there are processors, at least one.
    pub fn workers(mut self, workers: usize) -> Config {
        self.workers = Some(workers.max(1));
        self
    }

    /// Whether promotion compiles on the calling thread, at the threshold, instead of in the background.
    pub fn synchronous(mut self, synchronous: bool) -> Config {
        self.synchronous = synchronous;
        self
    }

    /// How long a request may wait before its function must show that it still runs, or lose its place.
    pub fn check_interval(mut self, interval: Duration) -> Config {
        self.check_interval = interval;
        self
    }

    /// How much the engine says on standard error.
    pub fn verbosity(mut self, verbosity: Verbosity) -> Config {
        self.verbosity = verbosity;
        self
    }

    /// What compiles the functions of `tier`.
    pub fn backend(mut self, tier: Tier, backend: Backend) -> Config {
        self.backends[tier.index()] = backend;
        self
    }

    /// Keeps only `tier`: functions are compiled for it at their first call.
    pub fn only_tier(mut self, tier: Tier) -> Config {
        for other in Tier::ALL {
            if other != tier {
                self.backends[other.index()] = Backend::Off;
            } else if matches!(self.backends[other.index()], Backend::Off) {
                self.backends[other.index()] = Backend::CraneliftSpeed;
            }
        }
        self
    }

    /// The compile server of [`Backend::Llvm`], instead of looking for one: its program, or the socket of one that serves
    /// many processes.
    pub fn llvm_server(mut self, place: impl Into<PathBuf>) -> Config {
        self.llvm_server = Some(place.into());
        self
    }

    /// Whether operations that produce a NaN produce the canonical one, so that results are the same bit for bit on
    /// every machine and in every tier.
    pub fn canonical_nans(mut self, canonical: bool) -> Config {
        self.canonical_nans = canonical;
        self
    }

    /// Whether each function's CLIF is verified before it is compiled. Functions given to a
    /// [`ModuleBuilder`](crate::ModuleBuilder) are verified in any case.
    pub fn verify(mut self, verify: bool) -> Config {
        self.verify = verify;
        self
    }

    /// Bytes of address space for code, 1 MiB to 2 GiB; 1 GiB by default. Memory is used as needed.
    pub fn code_memory_bytes(mut self, bytes: usize) -> Config {
        self.code_memory_bytes = bytes;
        self
    }

    /// Bytes of stack that guest code may use; 1 MiB by default. The thread's own stack sets a limit too.
    pub fn stack_bytes(mut self, bytes: usize) -> Config {
        self.stack_bytes = bytes;
        self
    }

    /// Whether a running activation may move to better code in the middle of a loop; it may by default. If not, better
    /// code is used from the next call on.
    pub fn osr(mut self, osr: bool) -> Config {
        self.osr = if osr { OsrMode::On } else { OsrMode::Off };
        self
    }

    /// A stress test of moving to better code in the middle of a loop: it is done at every `period`-th arrival at the
    /// header of any loop, with code that is compiled then and there, and calls always start in the lowest tier. Zero
    /// counts as one.
    pub fn stress_osr(mut self, period: u32) -> Config {
        self.osr = OsrMode::Stress(Stress {
            period: period.max(1),
            seed: 0,
            flip: false,
        });
        self
    }

    /// The same with the arrivals chosen at random, one in `period`. The choice, which `seed` decides, is the same each
    /// time. If `flip`, calls run in either the lowest tier or the next, chosen in the same way.
    pub fn stress_random(mut self, period: u32, seed: u64, flip: bool) -> Config {
        self.osr = OsrMode::Stress(Stress {
            period: period.max(1),
            seed: seed.max(1),
            flip,
        });
        self
    }

    /// What optimizing tiers do about calls: nothing; make indirect calls with few targets direct; and, by default, also
    /// replace hot calls of small functions by their bodies. What they know of calls is what lower tiers have counted.
    pub fn inlining(mut self, inlining: InliningMode) -> Config {
        self.inlining = inlining;
        self
    }

    /// Whether optimized code may take for granted what has always held so far. If it turns out otherwise, the activation
    /// goes on in tier 0, and code for which that happens often is replaced. It may by default, if there is a tier 0.
    pub fn speculation(mut self, speculation: bool) -> Config {
        self.speculation = speculation;
        self
    }

    /// Whether a function can be taken back to tier 0 in the middle of any loop, by [`Engine::deoptimize`]. Without this,
    /// which is the default, code of the best tier does not count its iterations, and is not left before it returns.
    ///
    /// [`Engine::deoptimize`]: crate::Engine::deoptimize
    pub fn safepoints(mut self, safepoints: bool) -> Config {
        self.safepoints = safepoints;
        self
    }

    /// A stress test of going back to tier 0 from the middle of optimized code: functions are optimized before their first
    /// call, one operation in three has a guard (fewer in large functions), and every `period`-th guard that a function
    /// comes to fails though it holds. `seed` chooses where the guards are; if it is not 0, the number of guards between
    /// two failures varies around `period`. A period of zero counts as one.
    pub fn stress_deopt(mut self, period: u32, seed: u64) -> Config {
        self.deopt_stress = Some(DeoptStress {
            period: period.clamp(1, i32::MAX as u32),
            seed,
        });
        self
    }

    /// How many transitions the stress tests make at most. With code that is compiled on the program's thread they are the same
    /// ones each time, so that bisection finds the one that something depends on.
    pub fn stress_transitions(mut self, transitions: u64) -> Config {
        self.stress_transitions = transitions;
        self
    }

    /// Writes down what the frames of running functions look like, at the headers of loops and at the places that a stress
    /// test of deoptimization with this seed chooses, whatever tier the code is of; [`Engine::frame_log`] has it. Two runs of
    /// a program in one thread have the same log, whatever they do to it.
    ///
    /// [`Engine::frame_log`]: crate::Engine::frame_log
    pub fn frame_log(mut self, seed: u64) -> Config {
        self.frame_log = Some(FrameLog { seed });
        self
    }

    /// Adds a receiver of events.
    pub fn subscriber(mut self, subscriber: Arc<dyn Subscriber>) -> Config {
        self.subscribers.push(subscriber);
        self
    }

    /// The client of the LLVM server, if there is a server.
    fn llvm(&self) -> Option<Arc<dyn Compiler>> {
        let server = self.llvm_server.clone();
        let Some(server) = server.or_else(upshift_llvm::find_server) else {
            let places = upshift_llvm::places();
            tracing::warn!(target: "upshift", "no LLVM server, so Cranelift compiles; looked for {places}");
            return None;
        };
        Some(Arc::new(LlvmCompiler::new(upshift_llvm::Options {
            canonical_nans: self.canonical_nans,
            verify: self.verify,
            ..upshift_llvm::Options::new(server)
        })))
    }

    /// Makes the compilers.
    pub(crate) fn into_runtime(self) -> Result<RuntimeConfig, CompileError> {
        let compiler = |effort| -> Result<Vec<Arc<dyn Compiler>>, CompileError> {
            let options = Options {
                effort,
                canonical_nans: self.canonical_nans,
                verify: self.verify,
            };
            Ok(vec![Arc::new(CraneliftCompiler::new(options)?)])
        };
        let mut compilers: [Vec<Arc<dyn Compiler>>; 3] = Default::default();
        for (index, backend) in self.backends.iter().enumerate() {
            let lowest = compilers[..index].iter().all(Vec::is_empty);
            compilers[index] = match backend {
                Backend::Off => Vec::new(),
                Backend::CopyAndPatch => {
                    let clif: Arc<dyn Compiler> = Arc::new(ClifCompiler::new(self.canonical_nans));
                    // What it declines is left to the next.
                    [vec![clif], compiler(Effort::None)?].concat()
                }
                Backend::CraneliftNone => compiler(Effort::None)?,
                Backend::CraneliftSpeed => compiler(Effort::Speed)?,
                Backend::Llvm => match self.llvm() {
                    None => compiler(Effort::Speed)?,
                    // What it declines stays in the tier below, if there is one.
                    Some(llvm) if lowest => [vec![llvm], compiler(Effort::Speed)?].concat(),
                    Some(llvm) => vec![llvm],
                },
                Backend::Custom(custom) => vec![Arc::clone(custom)],
            };
        }
        let baseline = match self.backends[Tier::Baseline.index()] {
            Backend::CopyAndPatch => Some(Baseline {
                canonical_nans: self.canonical_nans,
            }),
            _ => None,
        };
        let workers = self.workers.unwrap_or_else(default_workers);
        let mode = match self.synchronous {
            true => CompileMode::Synchronous,
            false => CompileMode::Background { workers },
        };
        let mut subscribers = self.subscribers;
        if self.verbosity > Verbosity::Quiet {
            subscribers.push(Arc::new(Log::new(self.verbosity)));
        }
        Ok(RuntimeConfig {
            thresholds: self.thresholds,
            mode,
            check_interval: self.check_interval,
            code_memory_bytes: self.code_memory_bytes,
            stack_bytes: self.stack_bytes,
            compilers,
            osr: self.osr,
            speculation: self.speculation,
            deopt_stress: self.deopt_stress,
            stress_transitions: self.stress_transitions,
            frame_log: self.frame_log,
            safepoints: self.safepoints,
            inlining: self.inlining,
            baseline,
            subscriber: Fanout::over(subscribers),
        })
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}
