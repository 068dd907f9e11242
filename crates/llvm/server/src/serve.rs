//! One client served: greetings, then jobs in and replies out, several at a time.

use crate::backend;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
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

/// Serves the client behind these streams until it hangs up.
///
/// # Errors
/// If what it says is not understood, or the streams fail.
pub fn serve(
    mut input: impl Read,
    mut output: impl Write + Send,
    jobs: usize,
) -> Result<(), WireError> {
    let own = Greeting::new(name());
    let Some(greeting) = read_frame(&mut input)? else {
        return Ok(());
    };
    let client = Greeting::decode(&greeting)?;
    // The client sees from the greeting too that it does not fit, and why.
    write_frame(&mut output, &own.encode())?;
    if own.mismatch(&client).is_some() {
        return Ok(());
    }
    let output = Mutex::new(output);
    let (sender, queue) = channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let worker = thread::Builder::new().stack_size(WORKER_STACK_BYTES);
            worker.spawn_scoped(scope, || work(&queue, &output))?;
        }
        let read = read_jobs(&mut input, &sender);
        drop(sender);
        read
    })
}

fn read_jobs(
    input: &mut impl Read,
    sender: &std::sync::mpsc::Sender<Job>,
) -> Result<(), WireError> {
    while let Some(payload) = read_frame(input)? {
        let job = Job::decode(&payload)?;
        if sender.send(job).is_err() {
            break;
        }
    }
    Ok(())
}

fn work(queue: &Mutex<Receiver<Job>>, output: &Mutex<impl Write>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        let result = catch_unwind(AssertUnwindSafe(|| backend::compile(&job)));
        let panicked = |_| Err(CompileError::Failed("the LLVM server panicked".to_owned()));
        let reply = Reply {
            number: job.number,
            result: result.unwrap_or_else(panicked),
        };
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        if write_frame(&mut *output, &reply.encode()).is_err() {
            return;
        }
    }
}
