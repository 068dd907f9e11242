//! From an instance's export to the handle that the embedder gets.

use crate::handle::{Func, Global, Memory, StoreId, Table};
use crate::info::ExternIndex;
use crate::objects::InstanceData;
use crate::val::Extern;

/// What `instance`, of the store `store`, exports under `name`.
pub(crate) fn find(instance: &InstanceData, store: StoreId, name: &str) -> Option<Extern> {
    let export = instance.module.info().export(name)?;
    resolve(instance, store, export.index)
}

/// The handle of something of an instance's. `None` for a function that never becomes a reference.
pub(crate) fn resolve(
    instance: &InstanceData,
    store: StoreId,
    index: ExternIndex,
) -> Option<Extern> {
    // SAFETY (for the three blocks below): a live instance's objects belong to its store, which lives.
    Some(match index {
        ExternIndex::Func(index) => {
            let offset = instance.module.info().funcref_offset(index)?;
            Extern::Func(Func {
                store,
                funcref: instance.context.at(offset),
            })
        }
        ExternIndex::Table(index) => {
            // SAFETY: see above.
            let object = unsafe { instance.tables.get(index as usize)?.as_ref() };
            Extern::Table(Table {
                store,
                index: object.index,
            })
        }
        ExternIndex::Memory(index) => {
            // SAFETY: see above.
            let object = unsafe { instance.memories.get(index as usize)?.as_ref() };
            Extern::Memory(Memory {
                store,
                index: object.index,
            })
        }
        ExternIndex::Global(index) => {
            // SAFETY: see above.
            let object = unsafe { instance.globals.get(index as usize)?.as_ref() };
            Extern::Global(Global {
                store,
                index: object.index,
            })
        }
    })
}
