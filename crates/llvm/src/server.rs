//! One server process: started, spoken to, and ended.

use crate::protocol::{Greeting, Job, Reply, WireError, read_frame, write_frame};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a server may take to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of stack of the thread that reads replies.
const READER_STACK_BYTES: usize = 256 << 10;

/// Why a job has no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// The server is gone, by this job's fault or another's.
    Died,
    /// This job took longer than it may.
    TimedOut,
}

/// Jobs whose replies are waited for; `None` once there will be no more replies.
type Pending = Arc<Mutex<Option<HashMap<u64, Sender<Reply>>>>>;

/// A server that runs, or has just died.
#[derive(Debug)]
pub(crate) struct Server {
    child: Mutex<Child>,
    input: Mutex<ChildStdin>,
    pending: Pending,
}

impl Server {
    /// Starts the server at `path` with a limit on its memory.
    pub(crate) fn start(path: &Path, memory_bytes: u64) -> Result<Server, String> {
        let mut child = Command::new(path)
            .arg("--pipe")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", path.display()))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the server has no pipes".to_owned());
        };
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let (greeted, greeting) = channel();
        let replies = Arc::clone(&pending);
        let reader = thread::Builder::new()
            .name("upshift-llvm-replies".to_owned())
            .stack_size(READER_STACK_BYTES)
            .spawn(move || read_replies(output, &greeted, &replies));
        let started = reader
            .map_err(|error| format!("cannot start a thread: {error}"))
            .and_then(|_| limit_memory(&child, memory_bytes))
            .and_then(|()| greet(&mut input, &greeting));
        if let Err(reason) = started {
            end(&mut child);
            return Err(reason);
        }
        Ok(Server {
            child: Mutex::new(child),
            input: Mutex::new(input),
            pending,
        })
    }

    /// Whether it still answers.
    pub(crate) fn is_alive(&self) -> bool {
        lock(&self.pending).is_some()
    }

    /// The server's process id.
    pub(crate) fn process_id(&self) -> u32 {
        lock(&self.child).id()
    }

    /// Sends a job and waits for its reply.
    pub(crate) fn run(&self, job: &Job, limit: Duration) -> Result<Reply, Lost> {
        let (sender, reply) = channel();
        lock(&self.pending)
            .as_mut()
            .ok_or(Lost::Died)?
            .insert(job.number, sender);
        if write_frame(&mut *lock(&self.input), &job.encode()).is_err() {
            self.kill();
            return Err(Lost::Died);
        }
        match reply.recv_timeout(limit) {
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Disconnected) => Err(Lost::Died),
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(Lost::TimedOut)
            }
        }
    }

    /// Ends the process. Who waits for a reply learns of it.
    pub(crate) fn kill(&self) {
        lock(&self.pending).take();
        end(&mut lock(&self.child));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn end(child: &mut Child) {
    // Both fail only if it has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn limit_memory(child: &Child, bytes: u64) -> Result<(), String> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let limited = prlimit(process, Resource::As, limit);
    limited.map_err(|error| format!("cannot limit the server's memory: {error}"))?;
    Ok(())
}

fn greet(
    input: &mut ChildStdin,
    greeting: &Receiver<Result<Greeting, String>>,
) -> Result<(), String> {
    let own = Greeting::new("upshift".to_owned());
    let failed = |error: WireError| format!("cannot speak to the server: {error}");
    write_frame(input, &own.encode()).map_err(failed)?;
    let server = greeting
        .recv_timeout(GREETING_TIMEOUT)
        .map_err(|_| "the server does not say who it is".to_owned())??;
    match own.mismatch(&server) {
        None => Ok(()),
        Some(reason) => Err(format!("{} does not fit: {reason}", server.name)),
    }
}

/// Hands replies to those who wait for them, until the server is gone or says something wrong.
fn read_replies(
    output: ChildStdout,
    greeted: &Sender<Result<Greeting, String>>,
    pending: &Pending,
) {
    let mut output = BufReader::new(output);
    let greeting = match read_frame(&mut output) {
        Ok(Some(payload)) => Greeting::decode(&payload).map_err(|error| error.to_string()),
        Ok(None) => Err("the server ended at once".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let usable = greeting.is_ok();
    // Nobody listens any more if that took too long.
    let _ = greeted.send(greeting);
    if usable {
        deliver(&mut output, pending);
    }
    lock(pending).take();
}

fn deliver(output: &mut impl Read, pending: &Pending) {
    while let Ok(Some(payload)) = read_frame(output) {
        let Ok(reply) = Reply::decode(&payload) else {
            return;
        };
        let waiting = match lock(pending).as_mut() {
            Some(pending) => pending.remove(&reply.number),
            None => return,
        };
        if let Some(waiting) = waiting {
            // Who waited may have lost patience.
            let _ = waiting.send(reply);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
