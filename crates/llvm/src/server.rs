//! One connection to a server: made, used by many threads at once, and ended.

use crate::protocol::{Greeting, Job, Reply, WireError, read_frame, write_frame};
use crate::stream::{self, Until};
use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use upshift_event::JobLoss;

/// How long a server may take to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of stack of the thread that reads replies.
const READER_STACK_BYTES: usize = 256 << 10;

/// The answer to a job, and what it took.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) latency: Duration,
    pub(crate) sent_bytes: usize,
    pub(crate) received_bytes: usize,
}

/// A reply with the size of its message.
type Received = (Reply, usize);

/// Jobs whose replies are waited for, or why there will be no more replies.
#[derive(Debug)]
enum Pending {
    Open(HashMap<u64, Sender<Received>>),
    Closed(JobLoss),
}

impl Pending {
    /// Lets all who wait know that nothing will come. The first reason counts.
    fn close(&mut self, reason: JobLoss) {
        if let Pending::Open(_) = self {
            *self = Pending::Closed(reason);
        }
    }
}

/// A server that runs, or has just gone.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    /// The process, if it is there for this client alone.
    child: Option<Mutex<Child>>,
    stream: UnixStream,
    /// Held by the thread that sends a job.
    sending: Mutex<()>,
    pending: Arc<Mutex<Pending>>,
}

impl Server {
    /// Starts the server in the file `place` with a limit on its memory, or connects to it if that is a socket.
    pub(crate) fn start(place: &Path, memory_bytes: u64) -> Result<Server, String> {
        let failed =
            |what: &str, error: io::Error| format!("cannot {what} {}: {error}", place.display());
        let (stream, child) = match stream::is_socket(place) {
            true => {
                let stream = stream::connect_to(place);
                (stream.map_err(|error| failed("connect to", error))?, None)
            }
            false => {
                let spawned = stream::spawn(place, memory_bytes);
                let (stream, child) = spawned.map_err(|error| failed("start", error))?;
                (stream, Some(Mutex::new(child)))
            }
        };
        let mut server = Server {
            name: String::new(),
            child,
            stream,
            sending: Mutex::default(),
            pending: Arc::new(Mutex::new(Pending::Open(HashMap::new()))),
        };
        // What is dropped is ended.
        let greeting = server.read_in_background()?;
        server.name = server.greet(&greeting)?;
        Ok(server)
    }

    fn read_in_background(&self) -> Result<Receiver<Result<Greeting, String>>, String> {
        let failed = |error| format!("cannot start a thread: {error}");
        let stream = self.stream.try_clone().map_err(failed)?;
        let (greeted, greeting) = channel();
        let pending = Arc::clone(&self.pending);
        thread::Builder::new()
            .name("upshift-llvm-replies".to_owned())
            .stack_size(READER_STACK_BYTES)
            .spawn(move || read_replies(stream, &greeted, &pending))
            .map_err(failed)?;
        Ok(greeting)
    }

    /// Exchanges greetings. The server's name.
    fn greet(&self, greeting: &Receiver<Result<Greeting, String>>) -> Result<String, String> {
        let own = Greeting::new("upshift".to_owned());
        self.send(&own.encode(), Instant::now() + GREETING_TIMEOUT)
            .map_err(|error| format!("cannot speak to the server: {error}"))?;
        let server = greeting
            .recv_timeout(GREETING_TIMEOUT)
            .map_err(|_| "the server does not say who it is".to_owned())??;
        match own.mismatch(&server) {
            None => Ok(server.name),
            Some(reason) => Err(format!("{} does not fit: {reason}", server.name)),
        }
    }

    fn send(&self, payload: &[u8], end: Instant) -> Result<(), WireError> {
        let _sending = lock(&self.sending);
        let stream = &self.stream;
        write_frame(&mut Until { stream, end }, payload)
    }

    /// What it calls itself.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it still answers.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(*lock(&self.pending), Pending::Open(_))
    }

    /// The id of its process, if that is there for this client alone.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(|child| lock(child).id())
    }

    /// Sends a job and waits for its answer.
    pub(crate) fn run(&self, job: &Job, limit: Duration) -> Result<Answer, JobLoss> {
        let (sender, received) = channel();
        match &mut *lock(&self.pending) {
            Pending::Open(jobs) => jobs.insert(job.number, sender),
            Pending::Closed(reason) => return Err(*reason),
        };
        let start = Instant::now();
        let payload = job.encode();
        if let Err(error) = self.send(&payload, start + limit) {
            return Err(self.close(match error {
                WireError::Io(error) if is_timeout(&error) => JobLoss::TimedOut,
                _ => JobLoss::Died,
            }));
        }
        let left = (start + limit).saturating_duration_since(Instant::now());
        match received.recv_timeout(left) {
            Ok((reply, received_bytes)) => Ok(Answer {
                reply,
                latency: start.elapsed(),
                sent_bytes: payload.len(),
                received_bytes,
            }),
            Err(RecvTimeoutError::Disconnected) => Err(self.close(JobLoss::Died)),
            Err(RecvTimeoutError::Timeout) => {
                self.close(JobLoss::Died);
                Err(JobLoss::TimedOut)
            }
        }
    }

    /// Ends the connection, and the process if it is there for this client alone. Who waits for a reply learns of it.
    /// Returns why there are no more replies: `reason`, or an earlier one.
    pub(crate) fn close(&self, reason: JobLoss) -> JobLoss {
        let mut pending = lock(&self.pending);
        pending.close(reason);
        let first = match *pending {
            Pending::Closed(first) => first,
            Pending::Open(_) => reason,
        };
        drop(pending);
        // It fails if the other side was quicker.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(child) = &self.child {
            stream::end(&mut lock(child));
        }
        first
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close(JobLoss::Died);
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// Hands replies to those who wait for them, until the server is gone or says something wrong.
fn read_replies(
    stream: UnixStream,
    greeted: &Sender<Result<Greeting, String>>,
    pending: &Mutex<Pending>,
) {
    let mut stream = BufReader::new(stream);
    let greeting = match read_frame(&mut stream) {
        Ok(Some(payload)) => Greeting::decode(&payload).map_err(|error| error.to_string()),
        Ok(None) => Err("the server ended at once".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let usable = greeting.is_ok();
    // Nobody listens any more if that took too long.
    let _ = greeted.send(greeting);
    let reason = match usable {
        true => deliver(&mut stream, pending),
        false => JobLoss::BadAnswer,
    };
    lock(pending).close(reason);
}

/// Why there is no further reply.
fn deliver(stream: &mut impl Read, pending: &Mutex<Pending>) -> JobLoss {
    loop {
        let payload = match read_frame(stream) {
            Ok(Some(payload)) => payload,
            Ok(None) | Err(WireError::Io(_) | WireError::CutOff) => return JobLoss::Died,
            Err(_) => return JobLoss::BadAnswer,
        };
        let Ok(reply) = Reply::decode(&payload) else {
            return JobLoss::BadAnswer;
        };
        let waiting = match &mut *lock(pending) {
            Pending::Open(jobs) => jobs.remove(&reply.number),
            Pending::Closed(reason) => return *reason,
        };
        // An answer that nobody has asked for.
        let Some(waiting) = waiting else {
            return JobLoss::BadAnswer;
        };
        // Who waited may have lost patience.
        let _ = waiting.send((reply, payload.len()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
