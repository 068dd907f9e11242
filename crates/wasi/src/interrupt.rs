//! Waiting for the host without getting stuck in it. A guest may sleep for years or read from a terminal nobody types on;
//! an embedder that wants to stop it has to be heard meanwhile. So while waiting, the embedder is asked every now and then,
//! and if it says so, the guest's call ends with `EINTR`, and the engine can stop the guest as it returns.

use crate::errno::Errno;
use crate::times::timespec;
use rustix::event::PollFd;
use std::time::{Duration, Instant};

/// How long the embedder may have to wait to be heard.
const SLICE: Duration = Duration::from_millis(20);

/// Whether the embedder wants the guest stopped.
#[derive(Default)]
pub(crate) struct Interrupts(Option<Box<dyn Fn() -> bool + Send>>);

impl Interrupts {
    /// Asks `is_interrupted`.
    pub(crate) fn new(is_interrupted: impl Fn() -> bool + Send + 'static) -> Interrupts {
        Interrupts(Some(Box::new(is_interrupted)))
    }

    /// Whether anybody wants to interrupt at all.
    pub(crate) fn are_possible(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until one of `fds` is ready or `timeout` nanoseconds have passed, and returns how many are ready. Signals of
    /// the host's end nothing; being interrupted is [`Errno::Intr`].
    pub(crate) fn poll(
        &self,
        fds: &mut [PollFd<'_>],
        timeout: Option<u64>,
    ) -> Result<usize, Errno> {
        // A time that the host's clock cannot express is as good as none.
        let deadline =
            timeout.and_then(|timeout| Instant::now().checked_add(Duration::from_nanos(timeout)));
        loop {
            let remaining =
                deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = match (&self.0, remaining) {
                (Some(_), remaining) => {
                    Some(remaining.map_or(SLICE, |remaining| remaining.min(SLICE)))
                }
                (None, remaining) => remaining,
            };
            let slice =
                slice.map(|slice| timespec(u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX)));
            match rustix::event::poll(fds, slice.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(ready) => return Ok(ready),
                Err(error) => return Err(error.into()),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(0);
            }
            if self
                .0
                .as_ref()
                .is_some_and(|is_interrupted| is_interrupted())
            {
                return Err(Errno::Intr);
            }
        }
    }
}
