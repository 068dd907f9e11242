//! Linear memories as the embedder uses them.

use crate::error::{Error, Result};
use crate::handle::Memory;
use crate::objects::MemoryData;
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::types::{MemoryType, PAGES_MAX};
use std::fmt;
use std::ptr::NonNull;

/// An access outside of a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAccessError;

impl fmt::Display for MemoryAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of bounds memory access")
    }
}

impl std::error::Error for MemoryAccessError {}

/// All functions that return no error of their own panic if the store is not the one that the memory belongs to.
impl Memory {
    /// A new memory, zeroed.
    ///
    /// # Errors
    /// If the type is not valid, the store's limits do not allow it, or no addresses are left to reserve.
    pub fn new(mut store: impl AsContextMut, ty: MemoryType) -> Result<Memory> {
        if ty.min > PAGES_MAX || ty.max.is_some_and(|max| max > PAGES_MAX || max < ty.min) {
            return Err(Error::new(format!(
                "`{ty}` is not a memory type: sizes are at most {PAGES_MAX} pages, the minimum at most the maximum"
            )));
        }
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let memory = store.add_memory(ty)?;
        // SAFETY: the store owns the memory, and it was just made.
        let index = unsafe { memory.as_ref() }.index;
        Ok(Memory {
            store: store.id(),
            index,
        })
    }

    /// The type; its minimum is the present size.
    pub fn ty(&self, store: impl AsContext) -> MemoryType {
        self.object(&store.as_context().0.opaque).current_type()
    }

    /// The size in pages of 64 KiB.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.object(&store.as_context().0.opaque).pages()
    }

    /// The size in bytes.
    pub fn data_size(&self, store: impl AsContext) -> usize {
        self.object(&store.as_context().0.opaque).len()
    }

    /// All bytes.
    pub fn data<'a, T: 'a>(&self, store: impl Into<crate::store::StoreContext<'a, T>>) -> &'a [u8] {
        let bytes = self.object(&store.into().0.opaque).bytes();
        // SAFETY: accessible memory of the store's, which is borrowed for `'a`, so that no code runs that could write.
        unsafe { bytes.as_ref() }
    }

    /// All bytes, to change.
    pub fn data_mut<'a, T: 'a>(
        &self,
        store: impl Into<crate::store::StoreContextMut<'a, T>>,
    ) -> &'a mut [u8] {
        self.data_and_store_mut(store).0
    }

    /// All bytes and the embedder's data, to change both.
    pub fn data_and_store_mut<'a, T: 'a>(
        &self,
        store: impl Into<crate::store::StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        let mut context = store.into();
        let bytes = self.object(context.opaque()).bytes();
        // SAFETY: a memory's bytes are a mapping of their own, no part of the store's data.
        unsafe { context.split(bytes) }
    }

    /// Copies the bytes at `offset` into `buffer`.
    ///
    /// # Errors
    /// If they are not all inside the memory; then `buffer` is as it was.
    pub fn read(
        &self,
        store: impl AsContext,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), MemoryAccessError> {
        let context = store.as_context();
        let end = offset.checked_add(buffer.len()).ok_or(MemoryAccessError)?;
        let bytes = self
            .data(context)
            .get(offset..end)
            .ok_or(MemoryAccessError)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    /// Copies `buffer` to `offset`.
    ///
    /// # Errors
    /// If not all of it fits in the memory; then the memory is as it was.
    pub fn write(
        &self,
        mut store: impl AsContextMut,
        offset: usize,
        buffer: &[u8],
    ) -> Result<(), MemoryAccessError> {
        let context = store.as_context_mut();
        let end = offset.checked_add(buffer.len()).ok_or(MemoryAccessError)?;
        let bytes = self
            .data_mut(context)
            .get_mut(offset..end)
            .ok_or(MemoryAccessError)?;
        bytes.copy_from_slice(buffer);
        Ok(())
    }

    /// Grows by `delta` pages and returns how many there were.
    ///
    /// # Errors
    /// If the type, the store's limits or the machine do not allow it.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64) -> Result<u64> {
        let mut context = store.as_context_mut();
        let mut object = context.opaque().memory(self.store, self.index)?;
        // SAFETY: the store owns the memory and is borrowed exclusively.
        let object = unsafe { object.as_mut() };
        object.grow(delta).ok_or_else(|| {
            Error::new(format!(
                "cannot grow a memory of type `{}` by {delta} pages",
                object.current_type()
            ))
        })
    }

    fn object<'a>(&self, store: &'a StoreOpaque) -> &'a MemoryData {
        match store.memory(self.store, self.index) {
            // SAFETY: the store owns the memory, and is borrowed.
            Ok(object) => unsafe { NonNull::as_ref(&object) },
            Err(error) => panic!("{error}"),
        }
    }
}
