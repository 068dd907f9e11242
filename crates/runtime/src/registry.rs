//! The groups that are alive, by the ids of their functions.
//!
//! The list holds none of them: a group that is being dropped is not found any more, and takes itself out before its ids
//! can belong to another.

use crate::sync::{PoisonError, RwLock, Weak, downgrade};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The list. `G` is a group of functions with successive ids.
#[derive(Debug)]
pub(crate) struct Registry<G> {
    by_first: RwLock<BTreeMap<u32, Weak<G>>>,
}

impl<G> Registry<G> {
    pub(crate) fn new() -> Registry<G> {
        Registry {
            by_first: RwLock::new(BTreeMap::new()),
        }
    }

    /// Adds a group whose ids are its own already, from `first` on.
    pub(crate) fn add(&self, first: u32, group: &Arc<G>) {
        let mut groups = self
            .by_first
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        groups.insert(first, downgrade(group));
    }

    /// The group that has the last first id up to `id`, unless it is being dropped; how far behind the first `id` is. The
    /// list is not locked any more when the caller gets the group, who may be the last to hold it, and drop it.
    pub(crate) fn find(&self, id: u32) -> Option<(Arc<G>, u32)> {
        let groups = self.by_first.read().unwrap_or_else(PoisonError::into_inner);
        let (first, group) = groups.range(..=id).next_back()?;
        Some((group.upgrade()?, id - first))
    }

    /// All groups that are alive, by their first function.
    pub(crate) fn all(&self) -> Vec<Arc<G>> {
        let groups = self.by_first.read().unwrap_or_else(PoisonError::into_inner);
        groups.values().filter_map(Weak::upgrade).collect()
    }

    /// Takes a group out that is being dropped. To be done before its ids are free for another.
    pub(crate) fn forget(&self, first: u32) {
        let mut groups = self
            .by_first
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        groups.remove(&first);
    }
}
