//! Tables as the embedder uses them.

use crate::error::{Error, Result};
use crate::handle::{StoreId, Table};
use crate::objects::TableData;
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::types::{TableType, ValType};
use crate::val::{Val, extern_from_bits, func_from_bits};
use std::ptr::NonNull;

/// All functions that return no error panic if the store is not the one that the table belongs to.
impl Table {
    /// A new table, all of whose elements are `init`.
    ///
    /// # Errors
    /// If the type is not valid, `init` is not of its element type, or the store's limits do not allow it.
    pub fn new(mut store: impl AsContextMut, ty: TableType, init: Val) -> Result<Table> {
        if !ty.element.is_ref() || ty.max.is_some_and(|max| max < ty.min) {
            return Err(Error::new(format!(
                "`{ty}` is not a table type: elements are references, the minimum at most the maximum"
            )));
        }
        init.check(ty.element, "the table")?;
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let table = store.add_table(ty, init.to_bits(store)?)?;
        // SAFETY: the store owns the table, and it was just made.
        let index = unsafe { table.as_ref() }.index;
        Ok(Table {
            store: store.id(),
            index,
        })
    }

    /// The type; its minimum is the present size.
    pub fn ty(&self, store: impl AsContext) -> TableType {
        self.object(&store.as_context().0.opaque).current_type()
    }

    /// The number of elements.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.object(&store.as_context().0.opaque).vm.len
    }

    /// Element `index`, if there is one.
    pub fn get(&self, store: impl AsContext, index: u64) -> Option<Val> {
        let context = store.as_context();
        let object = self.object(&context.0.opaque);
        let bits = object.get(index)?;
        // SAFETY: a table's elements are references that its store owns, of its element type.
        Some(unsafe { reference(bits, object.ty.element, self.store) })
    }

    /// Sets element `index`.
    ///
    /// # Errors
    /// If there is no such element, or the value is not of the table's element type.
    pub fn set(&self, mut store: impl AsContextMut, index: u64, value: Val) -> Result<()> {
        self.fill(&mut store, index, value, 1)
    }

    /// Grows by `delta` elements that are `init`, and returns how many there were.
    ///
    /// # Errors
    /// If `init` is not of the table's element type, or the type, the store's limits or the machine do not allow it.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64, init: Val) -> Result<u64> {
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let mut object = store.table(self.store, self.index)?;
        // SAFETY: the store owns the table and is borrowed exclusively.
        let object = unsafe { object.as_mut() };
        init.check(object.ty.element, "the table")?;
        object.grow(delta, init.to_bits(store)?).ok_or_else(|| {
            Error::new(format!(
                "cannot grow a table of type `{}` by {delta} elements",
                object.current_type()
            ))
        })
    }

    /// Sets `len` elements from `start` on.
    ///
    /// # Errors
    /// If they are not all inside the table, or the value is not of the table's element type; then nothing is changed.
    pub fn fill(
        &self,
        mut store: impl AsContextMut,
        start: u64,
        value: Val,
        len: u64,
    ) -> Result<()> {
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let object = store.table(self.store, self.index)?;
        // SAFETY: the store owns the table and is borrowed exclusively.
        let object = unsafe { object.as_ref() };
        value.check(object.ty.element, "the table")?;
        let bits = value.to_bits(store)?;
        object.fill(start, bits, len).map_err(|_| {
            Error::new(format!(
                "elements {start} to {} of a table of {}",
                start.saturating_add(len),
                object.len()
            ))
            .context("out of bounds table access")
        })
    }

    /// Copies `len` elements from `from` in `source` to `to` here; the two may be the same table.
    ///
    /// # Errors
    /// If they are not all inside the tables, or the element types differ; then nothing is changed.
    pub fn copy(
        &self,
        mut store: impl AsContextMut,
        to: u64,
        source: Table,
        from: u64,
        len: u64,
    ) -> Result<()> {
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let target = store.table(self.store, self.index)?;
        let source = store.table(source.store, source.index)?;
        // SAFETY: the store owns the tables and is borrowed exclusively; both are only shared here.
        let (target, source) = unsafe { (target.as_ref(), source.as_ref()) };
        if target.ty.element != source.ty.element {
            return Err(Error::new("the tables' element types differ"));
        }
        target.copy(to, source, from, len).map_err(|_| {
            Error::new(format!(
                "out of bounds table access, copying {len} elements"
            ))
        })
    }

    fn object<'a>(&self, store: &'a StoreOpaque) -> &'a TableData {
        match store.table(self.store, self.index) {
            // SAFETY: the store owns the table, and is borrowed.
            Ok(object) => unsafe { NonNull::as_ref(&object) },
            Err(error) => panic!("{error}"),
        }
    }
}

/// The reference of type `ty` that the bits of a table element mean.
///
/// # Safety
/// They must come from a table of that element type in `store`.
unsafe fn reference(bits: u64, ty: ValType, store: StoreId) -> Val {
    match ty {
        ValType::ExternRef => Val::ExternRef(extern_from_bits(bits, store)),
        // SAFETY: as the caller says.
        _ => Val::FuncRef(unsafe { func_from_bits(bits, store) }),
    }
}
