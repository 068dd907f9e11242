//! What a translation is told of indirect calls, and how many it has seen.

use upshift::embed::BodyRequest;
use upshift::embed::call_site::CallTargets;

/// A function's call sites.
pub(super) struct CallSites<'m> {
    /// Whether they are marked.
    pub(super) marked: bool,
    /// What they are expected to call.
    pub(super) targets: &'m CallTargets,
    /// Sites so far, those in code that cannot be reached counted.
    count: u32,
}

impl<'m> CallSites<'m> {
    pub(super) fn new(request: &BodyRequest<'m>) -> CallSites<'m> {
        CallSites {
            marked: request.call_sites,
            targets: request.targets,
            count: 0,
        }
    }

    /// The number of the next site.
    pub(super) fn next(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }
}
