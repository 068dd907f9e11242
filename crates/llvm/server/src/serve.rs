//! One client served: greetings, then jobs in and replies out, several at a time.

use crate::backend;
use crate::queue::Queue;
use crate::watchdog::Watchdog;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread;
use upshift_codegen::CompileError;
use upshift_llvm::SERVER;
use upshift_llvm::protocol::{Greeting, Job, Reply, WireError, read_frame, write_frame};

/// LLVM recurses over what it compiles.
const WORKER_STACK_BYTES: usize = 64 << 20;

/// What this server says of itself.
pub fn name() -> String {
    format!(
        "{SERVER} {} (LLVM {})",
        env!("CARGO_PKG_VERSION"),
        backend::llvm_version()
    )
}

/// Exchanges greetings with the client behind these streams. Whether the two can work together.
///
/// # Errors
/// If what it says is not understood, or the streams fail.
pub fn greet(input: &mut impl Read, output: &mut impl Write) -> Result<bool, WireError> {
    let own = Greeting::new(name());
    let Some(greeting) = read_frame(input)? else {
        return Ok(false);
    };
    let client = Greeting::decode(&greeting)?;
    // The client sees from the greeting too that it does not fit, and why.
    write_frame(output, &own.encode())?;
    Ok(own.mismatch(&client).is_none())
}

/// Serves the client behind these streams until it hangs up; then calls `hung_up`, and returns when the jobs that it left
/// are done.
///
/// # Errors
/// If what it says is not understood, or the streams fail.
pub fn serve(
    mut input: impl Read,
    output: impl Write + Send,
    (threads, watchdog): (usize, &Watchdog),
    hung_up: impl FnOnce(),
) -> Result<(), WireError> {
    let output = Mutex::new(output);
    let queue = Queue::default();
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let worker = thread::Builder::new().stack_size(WORKER_STACK_BYTES);
            worker.spawn_scoped(scope, || work(&queue, &output, watchdog))?;
        }
        let read = read_jobs(&mut input, &queue);
        queue.close();
        hung_up();
        read
    })
}

fn read_jobs(input: &mut impl Read, queue: &Queue) -> Result<(), WireError> {
    while let Some(payload) = read_frame(input)? {
        queue.push(Job::decode(&payload)?);
    }
    Ok(())
}

fn work(queue: &Queue, output: &Mutex<impl Write>, watchdog: &Watchdog) {
    while let Some(jobs) = queue.take() {
        let compile = || catch_unwind(AssertUnwindSafe(|| backend::compile(&jobs)));
        let results = watchdog.watch(compile);
        let panicked = |_| {
            let failed = || CompileError::Failed("the LLVM server panicked".to_owned());
            jobs.iter().map(|_| Err(failed())).collect()
        };
        let results: Vec<_> = results.unwrap_or_else(panicked);
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        for (job, result) in jobs.iter().zip(results) {
            let reply = Reply {
                number: job.number,
                result,
            };
            if write_frame(&mut *output, &reply.encode()).is_err() {
                return;
            }
        }
    }
}
