//! Validation of function bodies, by all cores at once.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use wasmparser::{
    BinaryReaderError, FuncToValidate, FuncValidatorAllocations, FunctionBody, ValidatorResources,
};

/// A body and what it is validated against.
pub(super) type Job<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Functions that one thread takes at a time.
const BATCH: usize = 64;
/// Bytes of code below which a second thread is not worth starting.
const BYTES_PER_THREAD: usize = 128 << 10;

/// Validates all bodies. Fails with the first invalid function's index in the module and what is wrong with it,
/// whichever thread came across it.
pub(super) fn validate(jobs: Vec<Job<'_>>) -> Result<(), (u32, BinaryReaderError)> {
    let bytes: usize = jobs.iter().map(|(_, body)| body.as_bytes().len()).sum();
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = cores.min(bytes / BYTES_PER_THREAD + 1);

    let work = Work::new(jobs);
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that cannot be started leaves its share to the others.
            let _ = thread::Builder::new().spawn_scoped(scope, || work.run());
        }
        work.run();
    });
    work.outcome()
}

/// The bodies, handed out in batches, and the first error.
struct Work<'a> {
    batches: Vec<Mutex<Vec<Job<'a>>>>,
    next: AtomicUsize,
    first_error: Mutex<Option<(u32, BinaryReaderError)>>,
    /// The batch of the first error, behind which nothing need be looked at any more.
    end: AtomicUsize,
}

impl<'a> Work<'a> {
    fn new(jobs: Vec<Job<'a>>) -> Work<'a> {
        let mut batches = Vec::with_capacity(jobs.len() / BATCH + 1);
        let mut jobs = jobs.into_iter().peekable();
        while jobs.peek().is_some() {
            batches.push(Mutex::new(jobs.by_ref().take(BATCH).collect()));
        }
        Work {
            end: AtomicUsize::new(batches.len()),
            batches,
            next: AtomicUsize::new(0),
            first_error: Mutex::new(None),
        }
    }

    /// Works until nothing is left.
    fn run(&self) {
        let mut allocations = FuncValidatorAllocations::default();
        loop {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            if batch >= self.end.load(Ordering::Relaxed) {
                return;
            }
            let jobs = std::mem::take(&mut *lock(&self.batches[batch]));
            for (function, body) in jobs {
                let index = function.index;
                let mut validator = function.into_validator(allocations);
                let result = validator.validate(&body);
                allocations = validator.into_allocations();
                if let Err(error) = result {
                    self.end.fetch_min(batch, Ordering::Relaxed);
                    let mut first = lock(&self.first_error);
                    if first.as_ref().is_none_or(|&(earlier, _)| index < earlier) {
                        *first = Some((index, error));
                    }
                    break;
                }
            }
        }
    }

    fn outcome(self) -> Result<(), (u32, BinaryReaderError)> {
        let first = self
            .first_error
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        first.map_or(Ok(()), Err)
    }
}

/// What is guarded here is consistent at all times.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
