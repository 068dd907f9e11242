//! The store: owns all that programs make at run time (instances, memories, tables, globals, host functions), and the
//! embedder's own data beside it.
//!
//! Nothing in a store is freed before the store is: a function reference that leaked into some table stays callable. The
//! store is one heap allocation; the embedder, host functions being called, and contexts all reach it through the same
//! raw pointer, and Rust's borrow rules are kept by lending it through `&mut` contexts one at a time.

use crate::error::{Error, Result, Trap, WasmBacktrace, WasmFrame};
use crate::handle::{ExternRef, Func, StoreId};
use crate::limits::{InterruptHandle, SharedLimits, StoreLimits};
use crate::objects::{GlobalData, HostFunc, HostFuncContext, InstanceData, MemoryData, TableData};
use crate::owned::Owned;
use crate::types::{FuncType, GlobalType, MemoryType, TableType};
use crate::vmctx::{VMFuncRef, VMGlobal};
use std::any::Any;
use std::collections::HashMap;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use upshift::Engine;
use upshift::embed::{Backtrace, EntrySlot, RawValue, Trampoline, Unwind};

/// Owns instances and what they are made of, and the embedder's data of type `T`.
///
/// A store is used by one thread at a time; it may move between threads. What it owns is freed when it is dropped, not
/// before.
///
/// ```
/// use upshift_wasm::{Config, Engine, Store};
///
/// let engine = Engine::new(Config::default())?;
/// let mut store = Store::new(&engine, 41);
/// *store.data_mut() += 1;
/// assert_eq!(*store.data(), 42);
/// # Ok::<(), upshift_wasm::Error>(())
/// ```
pub struct Store<T> {
    inner: NonNull<StoreInner<T>>,
    owns: PhantomData<StoreInner<T>>,
}

// SAFETY: the store owns everything it points to, and host functions and external references in it are `Send + Sync`.
unsafe impl<T: Send> Send for Store<T> {}

/// A store with its embedder's data. A pointer to one is a pointer to its first field.
#[repr(C)]
pub(crate) struct StoreInner<T> {
    pub(crate) opaque: StoreOpaque,
    data: T,
}

/// The part of a store that does not depend on the embedder's data.
pub(crate) struct StoreOpaque {
    id: StoreId,
    /// This store itself, as host functions get it.
    this: NonNull<StoreOpaque>,
    engine: Engine,
    limits: StoreLimits,
    shared: Arc<SharedLimits>,
    trampolines: HashMap<u32, Trampoline>,
    instances: Vec<Owned<InstanceData>>,
    memories: Vec<Owned<MemoryData>>,
    tables: Vec<Owned<TableData>>,
    globals: Vec<Owned<GlobalData>>,
    /// By the address that is their functions' context.
    host_functions: HashMap<usize, Owned<HostFuncContext>>,
    /// The types of all functions in the store, by canonical id.
    types: HashMap<u32, FuncType>,
    extern_refs: Vec<Box<dyn Any + Send + Sync>>,
}

impl<T> Store<T> {
    /// An empty store for modules of `engine`.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        let limits = StoreLimits::default();
        let opaque = StoreOpaque {
            id: StoreId::unique(),
            this: NonNull::dangling(),
            engine: engine.clone(),
            limits,
            shared: SharedLimits::new(&limits),
            trampolines: HashMap::new(),
            instances: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            host_functions: HashMap::new(),
            types: HashMap::new(),
            extern_refs: Vec::new(),
        };
        let inner = NonNull::from(Box::leak(Box::new(StoreInner { opaque, data })));
        // SAFETY: just allocated, and nobody else knows it yet.
        unsafe { (*inner.as_ptr()).opaque.this = inner.cast() };
        Store {
            inner,
            owns: PhantomData,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner().opaque.engine
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        &self.inner().data
    }

    /// The embedder's data, to change.
    pub fn data_mut(&mut self) -> &mut T {
        // SAFETY: `self` is borrowed mutably, so nothing else uses the store.
        unsafe { &mut self.inner.as_mut().data }
    }

    /// Drops the store and gives back the embedder's data.
    pub fn into_data(self) -> T {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: made by `Box::leak` in `new`, and not used again.
        unsafe { *Box::from_raw(this.inner.as_ptr()) }.data
    }

    /// Sets what the store's programs may allocate from now on.
    pub fn set_limits(&mut self, limits: StoreLimits) {
        // SAFETY: `self` is borrowed mutably, so nothing else uses the store.
        let opaque = unsafe { &mut self.inner.as_mut().opaque };
        opaque.limits = limits;
        opaque.shared.set(&limits);
    }

    /// A handle with which any thread can stop the store's programs.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle {
            shared: self.inner().opaque.shared.clone(),
        }
    }

    fn inner(&self) -> &StoreInner<T> {
        // SAFETY: the allocation lives as long as `self`, and `self` is borrowed.
        unsafe { self.inner.as_ref() }
    }
}

impl<T> Drop for Store<T> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak` in `new`; contexts and callers borrow the store, so none is left.
        drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("instances", &self.inner().opaque.instances.len())
            .field("data", self.data())
            .finish()
    }
}

/// A shared borrow of a store.
pub struct StoreContext<'a, T>(pub(crate) &'a StoreInner<T>);

impl<T> Clone for StoreContext<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for StoreContext<'_, T> {}

impl<'a, T> StoreContext<'a, T> {
    /// The embedder's data.
    pub fn data(&self) -> &'a T {
        &self.0.data
    }

    /// The engine.
    pub fn engine(&self) -> &'a Engine {
        &self.0.opaque.engine
    }
}

/// An exclusive borrow of a store.
pub struct StoreContextMut<'a, T> {
    inner: NonNull<StoreInner<T>>,
    borrow: PhantomData<&'a mut StoreInner<T>>,
}

impl<'a, T> StoreContextMut<'a, T> {
    /// A context for the store at `inner`.
    ///
    /// # Safety
    /// The store must live for `'a`, and nothing else may use it in that time but what borrows from this context.
    pub(crate) unsafe fn from_raw(inner: NonNull<StoreInner<T>>) -> StoreContextMut<'a, T> {
        StoreContextMut {
            inner,
            borrow: PhantomData,
        }
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        &self.inner_ref().data
    }

    /// The embedder's data, to change.
    pub fn data_mut(&mut self) -> &mut T {
        // SAFETY: this context is the store's only user, and borrowed.
        unsafe { &mut self.inner.as_mut().data }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner_ref().opaque.engine
    }

    /// A handle with which any thread can stop the store's programs.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle {
            shared: self.inner_ref().opaque.shared.clone(),
        }
    }

    pub(crate) fn inner_ref(&self) -> &StoreInner<T> {
        // SAFETY: this context is the store's only user, and borrowed.
        unsafe { self.inner.as_ref() }
    }

    pub(crate) fn opaque(&mut self) -> &mut StoreOpaque {
        // SAFETY: this context is the store's only user, and borrowed.
        unsafe { &mut self.inner.as_mut().opaque }
    }

    /// The store, as a pointer that stays valid while guest code runs.
    pub(crate) fn opaque_ptr(&mut self) -> NonNull<StoreOpaque> {
        self.inner.cast()
    }

    /// The bytes at `bytes` and the embedder's data, both for as long as the store is borrowed.
    ///
    /// # Safety
    /// `bytes` must be memory that the store owns and that is not part of its data.
    pub(crate) unsafe fn split(self, bytes: NonNull<[u8]>) -> (&'a mut [u8], &'a mut T) {
        let inner = self.inner.as_ptr();
        // SAFETY: the two do not overlap, as the caller says; the store is borrowed for `'a`.
        unsafe { (&mut *bytes.as_ptr(), &mut (*inner).data) }
    }
}

/// Anything that a shared borrow of a store can be had from: a [`Store`], a context, a [`crate::Caller`].
pub trait AsContext {
    /// The type of the embedder's data.
    type Data;

    /// Borrows the store.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// Anything that an exclusive borrow of a store can be had from.
pub trait AsContextMut: AsContext {
    /// Borrows the store.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T> AsContext for Store<T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.inner())
    }
}

impl<T> AsContextMut for Store<T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        // SAFETY: `self` is borrowed mutably for as long as the context lives.
        unsafe { StoreContextMut::from_raw(self.inner) }
    }
}

impl<T> AsContext for StoreContext<'_, T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        *self
    }
}

impl<T> AsContext for StoreContextMut<'_, T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.inner_ref())
    }
}

impl<T> AsContextMut for StoreContextMut<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        // SAFETY: this context is the store's only user, and borrowed for as long as the new one lives.
        unsafe { StoreContextMut::from_raw(self.inner) }
    }
}

impl<C: AsContext + ?Sized> AsContext for &C {
    type Data = C::Data;

    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContext + ?Sized> AsContext for &mut C {
    type Data = C::Data;

    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContextMut + ?Sized> AsContextMut for &mut C {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, C::Data> {
        C::as_context_mut(self)
    }
}

impl<'a, C: AsContext> From<&'a C> for StoreContext<'a, C::Data> {
    fn from(store: &'a C) -> Self {
        store.as_context()
    }
}

impl<'a, C: AsContext> From<&'a mut C> for StoreContext<'a, C::Data> {
    fn from(store: &'a mut C) -> Self {
        C::as_context(store)
    }
}

impl<'a, C: AsContextMut> From<&'a mut C> for StoreContextMut<'a, C::Data> {
    fn from(store: &'a mut C) -> Self {
        store.as_context_mut()
    }
}

/// An object of a store, by its handle. The object's pointer stays valid until the store is dropped.
macro_rules! objects {
    ($($field:ident, $add:ident, $get:ident, $data:ident;)*) => {
        impl StoreOpaque {
            $(
                pub(crate) fn $get(&self, store: StoreId, index: u32) -> Result<NonNull<$data>> {
                    self.check(store)?;
                    match self.$field.get(index as usize) {
                        Some(object) => Ok(object.as_non_null()),
                        None => Err(wrong_store()),
                    }
                }

                /// Takes ownership of an object that was made with this list's next index.
                pub(crate) fn $add(&mut self, object: $data) -> NonNull<$data> {
                    let object = Owned::new(object);
                    let pointer = object.as_non_null();
                    self.$field.push(object);
                    pointer
                }
            )*
        }
    };
}

objects! {
    instances, add_instance, instance, InstanceData;
    memories, push_memory, memory, MemoryData;
    tables, push_table, table, TableData;
    globals, push_global, global, GlobalData;
}

impl StoreOpaque {
    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn shared(&self) -> &Arc<SharedLimits> {
        &self.shared
    }

    /// Says whether a handle belongs to this store.
    pub(crate) fn check(&self, store: StoreId) -> Result<()> {
        if store == self.id {
            Ok(())
        } else {
            Err(wrong_store())
        }
    }

    /// The index that the next instance gets, if the store may have one more.
    pub(crate) fn next_instance(&self) -> Result<u32> {
        next(
            "instances",
            self.instances.len(),
            self.limits.instances_max(),
        )
    }

    /// Makes a memory.
    pub(crate) fn add_memory(&mut self, ty: MemoryType) -> Result<NonNull<MemoryData>> {
        let index = next("memories", self.memories.len(), self.limits.memories_max())?;
        let memory = MemoryData::new(&self.engine, index, ty, self.shared.clone())?;
        Ok(self.push_memory(memory))
    }

    /// Makes a table whose elements are all `init`.
    pub(crate) fn add_table(&mut self, ty: TableType, init: u64) -> Result<NonNull<TableData>> {
        let index = next("tables", self.tables.len(), self.limits.tables_max())?;
        let table = TableData::new(index, ty, init, self.shared.clone())?;
        Ok(self.push_table(table))
    }

    /// Makes a global.
    pub(crate) fn add_global(
        &mut self,
        ty: GlobalType,
        init: VMGlobal,
    ) -> Result<NonNull<GlobalData>> {
        let index = next("globals", self.globals.len(), u32::MAX as usize)?;
        Ok(self.push_global(GlobalData::new(index, ty, init)))
    }

    /// Makes the handle of an instance's own global.
    pub(crate) fn add_instance_global(
        &mut self,
        ty: GlobalType,
        value: NonNull<VMGlobal>,
    ) -> Result<NonNull<GlobalData>> {
        let index = next("globals", self.globals.len(), u32::MAX as usize)?;
        Ok(self.push_global(GlobalData::of_instance(index, ty, value)))
    }

    /// Remembers a type of functions in this store.
    pub(crate) fn keep_type(&mut self, ty: &FuncType) {
        self.types.entry(ty.id()).or_insert_with(|| ty.clone());
    }

    /// The type of a function of this store.
    pub(crate) fn func_type(&self, func: Func) -> Result<&FuncType> {
        self.check(func.store)?;
        // SAFETY: the function belongs to this store, which owns what the reference points to.
        let id = unsafe { func.funcref.as_ref() }.type_id;
        self.types
            .get(&id)
            .ok_or_else(|| Error::new("the store does not know a function's type"))
    }

    /// The host function that `func` is, if it is one.
    pub(crate) fn host_function(&self, func: Func) -> Result<Option<&Arc<HostFunc>>> {
        self.check(func.store)?;
        // SAFETY: the function belongs to this store, which owns what the reference points to.
        let context = unsafe { func.funcref.as_ref() }.vmctx as usize;
        Ok(self
            .host_functions
            .get(&context)
            .map(|context| &context.function))
    }

    /// A function of this store that runs `host`, called by `instance` if that is known.
    pub(crate) fn add_host_function(
        &mut self,
        host: &Arc<HostFunc>,
        instance: Option<NonNull<InstanceData>>,
    ) -> Result<Func> {
        let stub = self
            .engine
            .host_stub(&host.ty.signature())
            .map_err(|error| Error::from(error).context("compiling a host function's stub"))?;
        let context =
            HostFuncContext::new(host.clone(), self.this.cast(), instance, stub.entry_slot());
        let funcref = HostFuncContext::funcref(context.as_non_null());
        self.keep_type(&host.ty);
        self.host_functions
            .insert(context.as_non_null().as_ptr() as usize, context);
        Ok(Func {
            store: self.id,
            funcref,
        })
    }

    /// Keeps `value` until the store is dropped.
    pub(crate) fn add_extern_ref(
        &mut self,
        value: Box<dyn Any + Send + Sync>,
    ) -> Result<ExternRef> {
        let index = next(
            "external references",
            self.extern_refs.len(),
            u32::MAX as usize,
        )?;
        self.extern_refs.push(value);
        Ok(ExternRef {
            store: self.id,
            index,
        })
    }

    pub(crate) fn extern_ref(&self, value: ExternRef) -> Result<&(dyn Any + Send + Sync)> {
        self.check(value.store)?;
        self.extern_refs
            .get(value.index as usize)
            .map(|value| &**value)
            .ok_or_else(wrong_store)
    }

    /// What calls functions of that type from the host.
    pub(crate) fn trampoline(&mut self, ty: &FuncType) -> Result<Trampoline> {
        if let Some(trampoline) = self.trampolines.get(&ty.id()) {
            return Ok(trampoline.clone());
        }
        let trampoline = self
            .engine
            .trampoline(&ty.signature())
            .map_err(|error| Error::from(error).context("compiling a trampoline"))?;
        self.trampolines.insert(ty.id(), trampoline.clone());
        Ok(trampoline)
    }

    /// The error that a guest call ended with, its frames named.
    pub(crate) fn unwound(&self, unwind: Unwind) -> Error {
        match unwind {
            Unwind::Trap(trap) => {
                let backtrace = self.name_frames(&trap.backtrace);
                Trap::with_backtrace(trap.kind, trap.message, backtrace).into()
            }
            Unwind::Host(host) => {
                Error::from_boxed(host.error).with_backtrace(self.name_frames(&host.backtrace))
            }
        }
    }

    fn name_frames(&self, backtrace: &Backtrace) -> WasmBacktrace {
        let frames = backtrace.frames.iter().map(|frame| {
            let found = self.instances.iter().find_map(|instance| {
                let index = instance.module.func_index_of(frame.function)?;
                Some((&instance.module, index))
            });
            WasmFrame {
                module_name: found.and_then(|(module, _)| module.name().map(str::to_owned)),
                func_name: match found {
                    Some((module, index)) => module.func_name(index).map(str::to_owned),
                    None => Some(frame.name.clone()),
                },
                func_index: found.map(|(_, index)| index),
                // The code that checks the stack belongs to no instruction.
                module_offset: frame.position.or_else(|| {
                    let (module, index) = found?;
                    let own = index - module.imported_function_count();
                    module
                        .info()
                        .bodies
                        .get(own as usize)
                        .map(|body| body.start)
                }),
                tier: frame.tier,
            }
        });
        WasmBacktrace::new(frames.collect(), backtrace.truncated)
    }
}

/// Calls the code behind `slot` with the values at `values`, whose first is set to `vmctx`; results replace arguments.
///
/// # Safety
/// The code must be of the trampoline's type and `vmctx` its context, both of the live store at `store`. `values` must
/// have room for one more than the arguments and for the results, hold the arguments from index 1 on, and nothing of the
/// store may be borrowed.
#[inline]
pub(crate) unsafe fn call_raw(
    store: NonNull<StoreOpaque>,
    slot: EntrySlot,
    vmctx: *mut c_void,
    trampoline: &Trampoline,
    values: *mut RawValue,
) -> Result<()> {
    // SAFETY: the caller gives slots. The store's shared part is an allocation of its own, so that borrowing it does not
    // borrow the store.
    let limits = unsafe {
        values.write(RawValue { i64: vmctx as i64 });
        let limits: *const SharedLimits = Arc::as_ptr(&(*store.as_ptr()).shared);
        &*limits
    };
    // SAFETY: as the caller says.
    match unsafe { trampoline.call(slot, values, Some(&limits.vm.stack_limit)) } {
        Ok(()) => Ok(()),
        // SAFETY: the call is over, so the caller's exclusive borrow of the store is the only one again.
        Err(unwind) => Err(unsafe { store.as_ref() }.unwound(unwind)),
    }
}

/// Calls a function: as [`call_raw`], for `func`, which must belong to the store.
///
/// # Safety
/// As for [`call_raw`].
#[inline]
pub(crate) unsafe fn call_func(
    store: NonNull<StoreOpaque>,
    func: Func,
    trampoline: &Trampoline,
    values: *mut RawValue,
) -> Result<()> {
    // SAFETY: the function belongs to the store, which owns what the reference and its slot point to.
    unsafe {
        let VMFuncRef { slot, vmctx, .. } = *func.funcref.as_ptr();
        call_raw(store, EntrySlot::from_ptr(slot), vmctx, trampoline, values)
    }
}

fn next(what: &str, count: usize, max: usize) -> Result<u32> {
    if count >= max {
        return Err(Error::new(format!(
            "the store has {count} {what}, as many as its limits allow; raise them with Store::set_limits"
        )));
    }
    u32::try_from(count).map_err(|_| Error::new(format!("too many {what}")))
}

#[cold]
fn wrong_store() -> Error {
    Error::new("a handle was used with a store that it does not belong to")
}
