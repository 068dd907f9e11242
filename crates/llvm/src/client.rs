//! The compiler that sends its requests to a server, and what it does when the server fails.
//!
//! Several threads may compile at once; their jobs are all with the server at the same time. When the server dies, each
//! of them tries once more, alone, with a new one. Only a job that is lost then too, or that takes too long, has failed:
//! its function is not tried again. A server that dies again and again is started more and more hesitantly, and in
//! the end not any more.

use crate::arch;
use crate::protocol::Job;
use crate::server::{Lost, Server};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};
use upshift_codegen::{CompileError, CompileKind, CompileRequest, CompiledCode, Compiler};

/// So long after the first failure a new server is started; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// So many failures in a row end it.
const FAILURES_MAX: u32 = 7;

/// What an [`LlvmCompiler`] is made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The server's file.
    pub server: PathBuf,
    /// Make every NaN that an operation produces the canonical one.
    pub canonical_nans: bool,
    /// Have LLVM's verifier check each function.
    pub verify: bool,
    /// How long a job may take.
    pub time_limit: Duration,
    /// Bytes of address space that the server may use.
    pub memory_bytes_max: u64,
}

impl Options {
    /// The defaults for the server at that path: 20 seconds for a job, 4 GiB.
    pub fn new(server: PathBuf) -> Options {
        Options {
            server,
            canonical_nans: false,
            verify: false,
            time_limit: Duration::from_secs(20),
            memory_bytes_max: 4 << 30,
        }
    }
}

/// A compiler for the host, backed by LLVM in another process. The process is started by the first job, and ends with
/// this.
#[derive(Debug)]
pub struct LlvmCompiler {
    options: Options,
    features: Vec<String>,
    next_job: AtomicU64,
    connection: Mutex<Connection>,
    /// Held for reading by jobs that share the server, for writing by one that is alone with it.
    sharing: RwLock<()>,
}

#[derive(Debug, Default)]
struct Connection {
    server: Option<Arc<Server>>,
    /// Failures since the last reply.
    failures: u32,
    not_before: Option<Instant>,
}

impl LlvmCompiler {
    /// Makes a compiler. No server is started yet.
    pub fn new(options: Options) -> LlvmCompiler {
        let features = arch::host_features().into_iter();
        LlvmCompiler {
            options,
            features: features.map(str::to_owned).collect(),
            next_job: AtomicU64::new(0),
            connection: Mutex::default(),
            sharing: RwLock::default(),
        }
    }

    /// The process id of the server, if one runs.
    pub fn server_process_id(&self) -> Option<u32> {
        let server = self.connection().server.clone();
        server
            .filter(|server| server.is_alive())
            .map(|server| server.process_id())
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The server, started if none runs.
    fn server(&self) -> Result<Arc<Server>, CompileError> {
        let mut connection = self.connection();
        if let Some(server) = connection
            .server
            .as_ref()
            .filter(|server| server.is_alive())
        {
            return Ok(Arc::clone(server));
        }
        if connection.server.take().is_some() {
            connection.failed();
        }
        let mut reason = "it died too often".to_owned();
        while connection.failures < FAILURES_MAX {
            if let Some(until) = connection.not_before {
                thread::sleep(until.saturating_duration_since(Instant::now()));
            }
            match Server::start(&self.options.server, self.options.memory_bytes_max) {
                Ok(server) => {
                    let server = Arc::new(server);
                    connection.server = Some(Arc::clone(&server));
                    return Ok(server);
                }
                Err(error) => reason = error,
            }
            connection.failed();
        }
        Err(CompileError::Bailout(format!("no LLVM server: {reason}")))
    }

    fn run(&self, job: &Job) -> Result<Result<CompiledCode, CompileError>, Lost> {
        let server = match self.server() {
            Ok(server) => server,
            Err(error) => return Ok(Err(error)),
        };
        let reply = server.run(job, self.options.time_limit)?;
        self.connection().failures = 0;
        Ok(reply.result)
    }
}

impl Connection {
    fn failed(&mut self) {
        self.not_before = Some(Instant::now() + FIRST_PAUSE * (1 << self.failures.min(16)));
        self.failures += 1;
    }
}

impl Compiler for LlvmCompiler {
    fn name(&self) -> &str {
        "llvm"
    }

    fn wants_checked_accesses(&self) -> bool {
        true
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        if request.kind == CompileKind::Trampoline {
            let reason = "code between host and guest is not worth the trouble";
            return Err(CompileError::Bailout(reason.to_owned()));
        }
        let job = Job {
            number: self.next_job.fetch_add(1, Ordering::Relaxed),
            canonical_nans: self.options.canonical_nans,
            verify: self.options.verify,
            features: self.features.clone(),
            clif: request.body.display().to_string(),
        };
        let shared = {
            let _sharing = self.sharing.read().unwrap_or_else(PoisonError::into_inner);
            self.run(&job)
        };
        let result = match shared {
            // Perhaps it was another job's fault.
            Err(Lost::Died) => {
                let _alone = self.sharing.write().unwrap_or_else(PoisonError::into_inner);
                self.run(&job)
            }
            other => other,
        };
        let failed = |reason: &str| CompileError::Failed(format!("the LLVM server {reason}"));
        result.unwrap_or_else(|lost| match lost {
            Lost::Died => Err(failed("died of it")),
            Lost::TimedOut => Err(failed("took too long and was ended")),
        })
    }
}
