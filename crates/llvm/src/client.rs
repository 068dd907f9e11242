//! The compiler that sends its requests to a server, and what it does when the server fails.
//!
//! Several threads may compile at once; their jobs are all with the server at the same time. When the server dies, each
//! of them tries once more, alone, with a new one. Only a job that is lost then too, or that takes too long, has failed:
//! its function is not tried again. A server that dies again and again is started more and more hesitantly, and in
//! the end not any more. Each of these things is told as an event of the function whose job it was.

use crate::arch;
use crate::protocol::Job;
use crate::server::{Answer, Server};
use crate::text;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};
use upshift_codegen::{CompileError, CompileKind, CompileRequest, CompiledCode, Compiler};
use upshift_event::{EventKind, JobLoss};

/// Jobs that should be with the server beside those that it is at: a batch that it can begin with then. More would keep
/// the server from jobs that are hotter and come later.
const JOBS_AHEAD: usize = 4;

/// So long after the first failure a new server is started; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// So many failures in a row end it.
const FAILURES_MAX: u32 = 7;

/// Longer bodies are not sent.
const CLIF_BYTES_MAX: usize = 64 << 20;

/// Why nothing is compiled any more.
const CLOSED: &str = "the engine is being dropped";

/// What an [`LlvmCompiler`] is made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The server's program, or the socket of a server that runs already.
    pub server: PathBuf,
    /// Make every NaN that an operation produces the canonical one.
    pub canonical_nans: bool,
    /// Have LLVM's verifier check each function.
    pub verify: bool,
    /// How long a job may take, from sending it to having the answer.
    pub time_limit: Duration,
    /// Bytes of address space that the server may use, if its program is started.
    pub memory_bytes_max: u64,
}

impl Options {
    /// The defaults for the server there: 60 seconds for a job, 4 GiB.
    pub fn new(server: PathBuf) -> Options {
        Options {
            server,
            canonical_nans: false,
            verify: false,
            time_limit: Duration::from_secs(60),
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
    /// No jobs are taken any more.
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Connection {
    server: Option<Arc<Server>>,
    /// Failures since the last reply.
    failures: u32,
    not_before: Option<Instant>,
    /// Why there is none, if the last could not be started.
    reason: Option<String>,
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
            closed: AtomicBool::new(false),
        }
    }

    /// The process id of the server, if one runs that was started by this.
    pub fn server_process_id(&self) -> Option<u32> {
        let server = self.connection().server.clone();
        server
            .filter(|server| server.is_alive())
            .and_then(|server| server.process_id())
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The server, started if none runs, or why there is none.
    fn server(&self, tell: &dyn Fn(EventKind)) -> Result<Arc<Server>, String> {
        let mut connection = self.connection();
        let alive = |server: &&Arc<Server>| server.is_alive();
        if let Some(server) = connection.server.as_ref().filter(alive) {
            return Ok(Arc::clone(server));
        }
        if let Some(gone) = connection.server.take() {
            gone.close(JobLoss::Died);
            connection.failed();
        }
        while connection.failures < FAILURES_MAX && !self.is_closed() {
            let pause = connection.not_before;
            let pause = pause.map(|until| until.saturating_duration_since(Instant::now()));
            let paused = pause.unwrap_or_default();
            thread::sleep(paused);
            match Server::start(&self.options.server, self.options.memory_bytes_max) {
                Ok(server) => {
                    let server = Arc::new(server);
                    if self.is_closed() {
                        break;
                    }
                    connection.server = Some(Arc::clone(&server));
                    tell(EventKind::ServerStarted {
                        server: server.name().to_owned(),
                        failures: connection.failures,
                        paused,
                    });
                    return Ok(server);
                }
                Err(reason) => {
                    let told = reason.clone();
                    tell(EventKind::ServerFailed { reason: told });
                    connection.reason = Some(reason);
                }
            }
            connection.failed();
        }
        let reason = connection.reason.as_deref();
        Err(reason.unwrap_or("it died too often").to_owned())
    }

    fn run(&self, job: &Job, tell: &dyn Fn(EventKind)) -> Result<Answer, Lost> {
        let server = self.server(tell).map_err(Lost::Refused)?;
        let answer = server
            .run(job, self.options.time_limit)
            .map_err(Lost::Sent)?;
        let mut connection = self.connection();
        connection.failures = 0;
        connection.reason = None;
        Ok(answer)
    }

    /// Runs the job, once more if the server died, and tells of each loss.
    fn run_twice(&self, job: &Job, tell: &dyn Fn(EventKind)) -> Result<Answer, CompileError> {
        let shared = {
            let _sharing = self.sharing.read().unwrap_or_else(PoisonError::into_inner);
            self.run(job, tell)
        };
        if shared.is_err() && self.is_closed() {
            return Err(CompileError::Bailout(CLOSED.to_owned()));
        }
        // Perhaps it was another job's fault.
        let again = matches!(&shared, Err(Lost::Sent(reason)) if *reason != JobLoss::TimedOut);
        let lost = |lost: &Lost, again| {
            let reason = lost.reason();
            tell(EventKind::JobLost { reason, again });
        };
        let result = shared.inspect_err(|error| lost(error, again));
        let result = match again {
            true => {
                let _alone = self.sharing.write().unwrap_or_else(PoisonError::into_inner);
                self.run(job, tell).inspect_err(|error| lost(error, false))
            }
            false => result,
        };
        result.map_err(|error| match error {
            Lost::Refused(reason) => CompileError::Bailout(format!("no LLVM server: {reason}")),
            Lost::Sent(reason) => {
                CompileError::Failed(format!("lost by the LLVM server: {reason}"))
            }
        })
    }
}

/// How many jobs or batches a server is at for one client: one processor is the program's.
pub fn server_threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    processors.saturating_sub(1).max(1)
}

/// Why a job has no answer.
enum Lost {
    /// There was no server to send it to.
    Refused(String),
    /// It was sent.
    Sent(JobLoss),
}

impl Lost {
    fn reason(&self) -> JobLoss {
        match self {
            Lost::Refused(_) => JobLoss::Refused,
            Lost::Sent(reason) => *reason,
        }
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

    fn remote_jobs(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(server_threads() + JOBS_AHEAD)
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        self.compile_and_tell(request, &|_| {})
    }

    fn compile_and_tell(
        &self,
        request: &CompileRequest,
        tell: &dyn Fn(EventKind),
    ) -> Result<CompiledCode, CompileError> {
        let declined = |reason: &str| Err(CompileError::Bailout(reason.to_owned()));
        if request.kind == CompileKind::Trampoline {
            return declined("code between host and guest is not worth the trouble");
        }
        if self.is_closed() {
            return declined(CLOSED);
        }
        let clif = text::clif(&request.body);
        if clif.len() > CLIF_BYTES_MAX {
            return declined("the body is too large to be sent");
        }
        let job = Job {
            number: self.next_job.fetch_add(1, Ordering::Relaxed),
            canonical_nans: self.options.canonical_nans,
            verify: self.options.verify,
            features: self.features.clone(),
            clif,
        };
        let answer = self.run_twice(&job, tell)?;
        tell(EventKind::JobDone {
            latency: answer.latency,
            sent_bytes: answer.sent_bytes,
            received_bytes: answer.received_bytes,
        });
        answer.reply.result
    }

    fn shut_down(&self) {
        self.closed.store(true, Ordering::Release);
        // Whoever starts one at the moment holds the lock, and will find that it is not wanted.
        let server = self.connection.try_lock().ok();
        let server = server.and_then(|mut connection| connection.server.take());
        if let Some(server) = server {
            server.close(JobLoss::Died);
        }
    }
}
