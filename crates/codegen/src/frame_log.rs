//! The frame log: what the frames of running functions look like at chosen places, written down by every tier's code.
//!
//! A program that runs in one thread comes to the same places with the same values whatever tiers it runs in, and however
//! often it changes between them. So the logs of two runs, one of them in tier 0 only, must be the same: then each frame
//! that was rebuilt on the way from one tier to another was the one that tier 0 would have had. The places are the
//! headers of all loops, where activations move up, and those operations that a stress test of guards chooses, where they
//! go back. An entry is made behind the transition, by the code that goes on.
//!
//! In CLIF a front end marks a place by a call of the function that [`crate::symbol::import_frame_point`] declares, with
//! the frame there as arguments. What a frame is, and in which order, is as in [`crate::deopt`].

use crate::deopt::StressGuards;

/// Which places are logged, besides the headers of loops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameLog {
    /// Those that a stress test with this seed chooses for guards.
    pub seed: u64,
}

impl FrameLog {
    /// Whether the frame before the operation at `position` is logged, in a body of so many bytes.
    pub fn chooses(self, position: u32, body_bytes: u32) -> bool {
        StressGuards { seed: self.seed }.chooses(position, body_bytes)
    }
}

/// How code that a baseline compiler makes writes to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameLogPlan {
    /// The places.
    pub log: FrameLog,
    /// The number of the runtime's entry point that takes a number of values and returns the address where they go,
    /// [`TRANSFER_VALUE_BYTES`](crate::osr::TRANSFER_VALUE_BYTES) each, which are zero.
    pub buffer: u32,
    /// The number of the one that logs them. It takes the address of the function's profile cell, the position, and the
    /// number of values.
    pub logged: u32,
}
