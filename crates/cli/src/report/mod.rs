//! What is printed, for people and for tools.
//!
//! Everything goes through [`stdout`] and [`stderr`], which do not mind that nobody reads any more: a closed pipe is the
//! reader's decision, not an error of ours.

pub mod compilations;
pub mod format;
pub mod jobs;
pub mod stats;
pub mod table;
pub mod trace;
pub mod trap;

use std::io::Write;

/// Writes to standard output.
pub fn stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to standard error, in one piece.
pub fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
