//! How much there is to be of everything.

/// A full run, or a little of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// For the page.
    Full,
    /// For tests.
    Smoke,
}
