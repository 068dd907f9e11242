//! What a host function can see of who called it: the store, and the exports of the calling instance.

use crate::export;
use crate::objects::InstanceData;
use crate::store::{AsContext, AsContextMut, StoreContext, StoreContextMut, StoreOpaque};
use crate::val::Extern;
use std::ptr::NonNull;
use upshift::Engine;

/// The first parameter of a host function that asks for it: the store in which the program runs, and the instance that
/// imported the function.
pub struct Caller<'a, T> {
    store: StoreContextMut<'a, T>,
    instance: Option<NonNull<InstanceData>>,
}

impl<'a, T> Caller<'a, T> {
    pub(crate) fn new(
        store: StoreContextMut<'a, T>,
        instance: Option<NonNull<InstanceData>>,
    ) -> Caller<'a, T> {
        Caller { store, instance }
    }

    pub(crate) fn reborrow(&mut self) -> Caller<'_, T> {
        Caller {
            store: self.store.as_context_mut(),
            instance: self.instance,
        }
    }

    pub(crate) fn opaque(&mut self) -> &mut StoreOpaque {
        self.store.opaque()
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        self.store.data()
    }

    /// The embedder's data, to change.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// What the instance that imported this function exports under `name`. `None` if it exports nothing of that name, or
    /// if no instance imported the function: it was called by the host itself.
    pub fn get_export(&mut self, name: &str) -> Option<Extern> {
        let instance = self.instance?;
        let id = self.store.opaque().id();
        // SAFETY: the store owns the instance, and is borrowed.
        export::find(unsafe { instance.as_ref() }, id, name)
    }
}

impl<T> AsContext for Caller<'_, T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }
}

impl<T> AsContextMut for Caller<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}
