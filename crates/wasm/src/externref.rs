//! Values of the host's that WebAssembly code can hold but not look into.

use crate::error::Result;
use crate::handle::ExternRef;
use crate::store::{AsContextMut, StoreContext};
use std::any::Any;

impl ExternRef {
    /// Puts `value` into the store, which keeps it until it is dropped.
    ///
    /// # Errors
    /// If the store has 2^32 of them.
    pub fn new(
        mut store: impl AsContextMut,
        value: impl Any + Send + Sync + 'static,
    ) -> Result<ExternRef> {
        store
            .as_context_mut()
            .opaque()
            .add_extern_ref(Box::new(value))
    }

    /// The value.
    ///
    /// # Panics
    /// If it does not belong to the store.
    pub fn data<'a, T: 'a>(
        &self,
        store: impl Into<StoreContext<'a, T>>,
    ) -> &'a (dyn Any + Send + Sync) {
        match store.into().0.opaque.extern_ref(*self) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }
}
