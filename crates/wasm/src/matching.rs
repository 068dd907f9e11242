//! Whether what is given for an import matches what the module asks for.

use crate::error::{Error, Result};
use crate::info::{ImportType, ModuleInfo};
use crate::objects::HostFunc;
use crate::store::{AsContext, StoreOpaque};
use crate::types::{ExternType, MemoryType, TableType};
use crate::val::Extern;
use std::sync::Arc;

/// What is given for an import.
#[derive(Clone)]
pub(crate) enum Given {
    /// Something of the store's.
    Extern(Extern),
    /// A host function that does not belong to a store yet.
    Host(Arc<HostFunc>),
}

impl Given {
    fn ty(&self, store: &StoreOpaque) -> Result<ExternType> {
        match self {
            Given::Extern(item) => extern_type(store, *item),
            Given::Host(host) => Ok(ExternType::Func(host.ty.clone())),
        }
    }
}

impl Extern {
    /// The type; the minimum of a memory's or table's is its present size.
    ///
    /// # Panics
    /// If the item does not belong to the store.
    pub fn ty(&self, store: impl AsContext) -> ExternType {
        match extern_type(&store.as_context().0.opaque, *self) {
            Ok(ty) => ty,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks all imports of a module, in order.
pub(crate) fn check_imports(
    store: &StoreOpaque,
    info: &ModuleInfo,
    imports: &[Given],
) -> Result<()> {
    if imports.len() != info.imports.len() {
        return Err(Error::link(format!(
            "the module has {} imports, but {} were given",
            info.imports.len(),
            imports.len()
        )));
    }
    for (import, given) in info.imports.iter().zip(imports) {
        let given = given
            .ty(store)
            .map_err(|error| error.context(describe(import)))?;
        if !matches(import.ty(), &given) {
            return Err(Error::link(format!(
                "incompatible import type for {}: the module needs {}, it was given {given}",
                describe(import),
                import.ty(),
            )));
        }
    }
    Ok(())
}

/// An import as messages call it.
pub(crate) fn describe(import: &ImportType) -> String {
    format!("`{}::{}`", import.module(), import.name())
}

/// The type of something in `store` as it is now: the minimum of a memory or table is its present size.
pub(crate) fn extern_type(store: &StoreOpaque, item: Extern) -> Result<ExternType> {
    // SAFETY: the store owns the objects and is borrowed.
    Ok(match item {
        Extern::Func(func) => ExternType::Func(store.func_type(func)?.clone()),
        Extern::Table(table) => {
            // SAFETY: see above.
            ExternType::Table(
                unsafe { store.table(table.store, table.index)?.as_ref() }.current_type(),
            )
        }
        Extern::Memory(memory) => ExternType::Memory(
            // SAFETY: see above.
            unsafe { store.memory(memory.store, memory.index)?.as_ref() }.current_type(),
        ),
        Extern::Global(global) => {
            // SAFETY: see above.
            ExternType::Global(unsafe { store.global(global.store, global.index)?.as_ref() }.ty)
        }
    })
}

fn matches(needed: &ExternType, given: &ExternType) -> bool {
    match (needed, given) {
        (ExternType::Func(needed), ExternType::Func(given)) => needed == given,
        (ExternType::Global(needed), ExternType::Global(given)) => needed == given,
        (ExternType::Table(needed), ExternType::Table(given)) => {
            needed.element == given.element && table_limits(needed, given)
        }
        (ExternType::Memory(needed), ExternType::Memory(given)) => memory_limits(needed, given),
        _ => false,
    }
}

fn table_limits(needed: &TableType, given: &TableType) -> bool {
    limits((needed.min, needed.max), (given.min, given.max))
}

fn memory_limits(needed: &MemoryType, given: &MemoryType) -> bool {
    limits((needed.min, needed.max), (given.min, given.max))
}

/// What is given may be no smaller, and no larger in the future, than what is needed allows.
fn limits(needed: (u32, Option<u32>), given: (u32, Option<u32>)) -> bool {
    let grows_no_further = match (needed.1, given.1) {
        (None, _) => true,
        (Some(needed), Some(given)) => given <= needed,
        (Some(_), None) => false,
    };
    given.0 >= needed.0 && grows_no_further
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_match_as_subtypes() {
        assert!(limits((1, None), (1, None)));
        assert!(limits((1, None), (2, Some(3))));
        assert!(limits((1, Some(3)), (2, Some(3))));
        assert!(!limits((2, None), (1, None)));
        assert!(!limits((1, Some(3)), (1, None)));
        assert!(!limits((1, Some(3)), (1, Some(4))));
    }
}
