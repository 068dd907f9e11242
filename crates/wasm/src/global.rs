//! Global variables as the embedder uses them.

use crate::error::{Error, Result};
use crate::handle::Global;
use crate::objects::GlobalData;
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::types::GlobalType;
use crate::val::Val;
use crate::vmctx::VMGlobal;
use std::ptr::NonNull;
use upshift::embed::RawValue;

/// All functions that return no error panic if the store is not the one that the global belongs to.
impl Global {
    /// A new global whose value is `init`.
    ///
    /// # Errors
    /// If `init` is not of the global's type.
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, init: Val) -> Result<Global> {
        init.check(ty.content, "the global")?;
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let global = store.add_global(ty, slot_to_global(init.to_raw(store)?))?;
        // SAFETY: the store owns the global, and it was just made.
        let index = unsafe { global.as_ref() }.index;
        Ok(Global {
            store: store.id(),
            index,
        })
    }

    /// The type.
    pub fn ty(&self, store: impl AsContext) -> GlobalType {
        self.object(&store.as_context().0.opaque).ty
    }

    /// The value.
    pub fn get(&self, store: impl AsContext) -> Val {
        let context = store.as_context();
        let object = self.object(&context.0.opaque);
        // SAFETY: the value is in memory that the store owns, no code of the store runs, and a reference in it is one
        // that the store owns.
        unsafe {
            let slot = RawValue {
                v128: object.value.as_ref().bits,
            };
            Val::from_raw(&slot, object.ty.content, self.store)
        }
    }

    /// Sets the value.
    ///
    /// # Errors
    /// If the global is immutable or the value is not of its type.
    pub fn set(&self, mut store: impl AsContextMut, value: Val) -> Result<()> {
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let object = store.global(self.store, self.index)?;
        // SAFETY: the store owns the global and is borrowed exclusively.
        let object = unsafe { object.as_ref() };
        if !object.ty.mutable {
            return Err(Error::new("the global is immutable"));
        }
        value.check(object.ty.content, "the global")?;
        let value = slot_to_global(value.to_raw(store)?);
        // SAFETY: the value is in memory that the store owns, and no code of the store runs.
        unsafe { object.value.write(value) };
        Ok(())
    }

    fn object<'a>(&self, store: &'a StoreOpaque) -> &'a GlobalData {
        match store.global(self.store, self.index) {
            // SAFETY: the store owns the global, and is borrowed.
            Ok(object) => unsafe { NonNull::as_ref(&object) },
            Err(error) => panic!("{error}"),
        }
    }
}

/// A value as a global keeps it.
fn slot_to_global(slot: RawValue) -> VMGlobal {
    // SAFETY: `Val::to_raw` writes all 16 bytes.
    let bits = unsafe { slot.v128 };
    VMGlobal { bits }
}
