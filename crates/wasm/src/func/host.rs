//! Host functions: how a Rust closure becomes something that WebAssembly code can call.
//!
//! Each closure type gets an entry function of its own, compiled here by Rust's monomorphisation. It reads the arguments
//! out of their slots, calls the closure, and writes the results back; nothing is allocated. Errors and panics are handed
//! to the runtime, which leaves all WebAssembly frames at once.

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::func::ty::{Access, WasmTy, WasmTypes, for_each_arity};
use crate::objects::{HostFunc, HostFuncContext};
use crate::store::{StoreContextMut, StoreInner};
use crate::types::FuncType;
use crate::val::Val;
use std::any::Any;
use std::ffi::c_void;
use std::sync::Arc;
use upshift::embed::{HostFailure, RawValue, host_call};

/// What a host function may return: results, or a `Result` of results and an [`Error`].
pub trait WasmRet {
    #[doc(hidden)]
    type Values: WasmTypes;

    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Values>;
}

impl<V: WasmTypes> WasmRet for V {
    type Values = V;

    #[inline]
    fn into_result(self) -> Result<V> {
        Ok(self)
    }
}

impl<V: WasmTypes> WasmRet for Result<V, Error> {
    type Values = V;

    #[inline]
    fn into_result(self) -> Result<V> {
        self
    }
}

/// A closure that can be a host function: up to 16 parameters, each a [`WasmTy`], optionally behind a
/// [`Caller<'_, T>`](Caller).
pub trait IntoFunc<T, Params, Results>: Send + Sync + Sized + 'static {
    #[doc(hidden)]
    fn into_host_func(self) -> HostFuncHandle;
}

/// A host function that belongs to no store yet.
#[doc(hidden)]
pub struct HostFuncHandle(pub(crate) Arc<HostFunc>);

/// Calls a closure with arguments out of slots.
trait Invoke<T, Marker>: Send + Sync + 'static {
    type Params: WasmTypes;
    type Results: WasmTypes;

    fn invoke(&self, caller: Caller<'_, T>, params: Self::Params) -> Result<Self::Results>;
}

fn typed_host_func<T, Marker, F: Invoke<T, Marker>>(closure: F) -> HostFuncHandle {
    let params = F::Params::TYPES.iter().copied();
    let results = F::Results::TYPES.iter().copied();
    let host = HostFunc {
        ty: FuncType::new(params, results),
        entry: typed_entry::<T, Marker, F>,
        closure: Box::new(closure),
    };
    HostFuncHandle(Arc::new(host))
}

/// # Safety
/// `context` must be a [`HostFuncContext`] whose closure is an `F` and whose store's data is a `T`; `values` must hold the
/// arguments and have room for the results.
unsafe extern "C" fn typed_entry<T, Marker, F: Invoke<T, Marker>>(
    context: *mut c_void,
    values: *mut RawValue,
    guest_frame: usize,
) {
    let run = || {
        // SAFETY: guest code calls a host function with its context, which the store owns. The guest runs on behalf of
        // an exclusive borrow of the store, which is the host function's until it returns.
        let (context, mut caller) = unsafe { caller_of::<T>(context) };
        let closure = closure_of::<F>(&context.function);
        // SAFETY: the stub was made for the function's type, whose parameters these are.
        let params = unsafe { F::Params::load_all(values, &Access(caller.opaque())) };
        let results = closure.invoke(caller.reborrow(), params)?;
        // SAFETY: likewise for the results.
        unsafe { results.store_all(values, &Access(caller.opaque())) }
    };
    // SAFETY: called last; the closure owns all that needs dropping.
    unsafe { host_call(guest_frame, || run().map_err(failure)) }
}

/// The context that a host function was called with, and its `Caller`.
///
/// # Safety
/// As for [`typed_entry`].
unsafe fn caller_of<'a, T>(context: *mut c_void) -> (&'a HostFuncContext, Caller<'a, T>) {
    // SAFETY: as the caller says. Contexts live as long as their store.
    unsafe {
        let context = &*context.cast::<HostFuncContext>();
        let store = context.store.cast::<StoreInner<T>>();
        (
            context,
            Caller::new(StoreContextMut::from_raw(store), context.instance),
        )
    }
}

fn closure_of<F: Any>(function: &HostFunc) -> &F {
    debug_assert!(function.closure.is::<F>());
    let closure: *const (dyn Any + Send + Sync) = &*function.closure;
    // SAFETY: a function's entry is made for the type of its closure.
    unsafe { &*closure.cast::<F>() }
}

/// How an error leaves the host function.
fn failure(error: Error) -> HostFailure {
    match error.trap() {
        // A trap that the host asks for gets the backtrace of the WebAssembly code that called it.
        Some(trap) if trap.frames().is_empty() && !error.has_context() => {
            HostFailure::Trap(trap.kind())
        }
        _ => HostFailure::Error(Box::new(error)),
    }
}

macro_rules! invoke {
    ($($ty:ident)*) => {
        #[allow(non_snake_case)]
        impl<T, Fun, Ret, $($ty: WasmTy),*> Invoke<T, (Plain, ($($ty,)*), Ret)> for Fun
        where
            Fun: Fn($($ty),*) -> Ret + Send + Sync + 'static,
            Ret: WasmRet,
        {
            type Params = ($($ty,)*);
            type Results = Ret::Values;

            #[inline]
            fn invoke(&self, _: Caller<'_, T>, ($($ty,)*): Self::Params) -> Result<Ret::Values> {
                self($($ty),*).into_result()
            }
        }

        #[allow(non_snake_case)]
        impl<T, Fun, Ret, $($ty: WasmTy),*> Invoke<T, (WithCaller, ($($ty,)*), Ret)> for Fun
        where
            Fun: Fn(Caller<'_, T>, $($ty),*) -> Ret + Send + Sync + 'static,
            Ret: WasmRet,
        {
            type Params = ($($ty,)*);
            type Results = Ret::Values;

            #[inline]
            fn invoke(&self, caller: Caller<'_, T>, ($($ty,)*): Self::Params) -> Result<Ret::Values> {
                self(caller, $($ty),*).into_result()
            }
        }

        impl<T, Fun, Ret, $($ty: WasmTy),*> IntoFunc<T, ($($ty,)*), Ret> for Fun
        where
            Fun: Fn($($ty),*) -> Ret + Send + Sync + 'static,
            Ret: WasmRet + 'static,
        {
            fn into_host_func(self) -> HostFuncHandle {
                typed_host_func::<T, (Plain, ($($ty,)*), Ret), Fun>(self)
            }
        }

        impl<T, Fun, Ret, $($ty: WasmTy),*> IntoFunc<T, (Caller<'_, T>, $($ty,)*), Ret> for Fun
        where
            Fun: Fn(Caller<'_, T>, $($ty),*) -> Ret + Send + Sync + 'static,
            Ret: WasmRet + 'static,
        {
            fn into_host_func(self) -> HostFuncHandle {
                typed_host_func::<T, (WithCaller, ($($ty,)*), Ret), Fun>(self)
            }
        }
    };
}

/// Marks closures without a `Caller`.
enum Plain {}
/// Marks closures whose first parameter is a `Caller`.
enum WithCaller {}

for_each_arity!(invoke);

/// A host function of a type known only at run time.
pub(crate) fn dynamic_host_func<T, F>(ty: FuncType, closure: F) -> Arc<HostFunc>
where
    F: Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
{
    Arc::new(HostFunc {
        ty,
        entry: dynamic_entry::<T, F>,
        closure: Box::new(closure),
    })
}

/// # Safety
/// As for [`typed_entry`].
unsafe extern "C" fn dynamic_entry<T, F>(
    context: *mut c_void,
    values: *mut RawValue,
    guest_frame: usize,
) where
    F: Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
{
    let run = || {
        // SAFETY: as in `typed_entry`.
        let (context, mut caller) = unsafe { caller_of::<T>(context) };
        let ty = &context.function.ty;
        let count = ty.params().len();
        // Arguments and results in one vector.
        let mut vals = Vec::with_capacity(count + ty.results().len());
        for (index, &param) in ty.params().iter().enumerate() {
            // SAFETY: the stub was made for the function's type, whose parameters these are.
            vals.push(unsafe { Val::from_raw(&*values.add(index), param, caller.opaque().id()) });
        }
        vals.extend(ty.results().iter().map(|&result| Val::default_for(result)));
        let (params, results) = vals.split_at_mut(count);
        closure_of::<F>(&context.function)(caller.reborrow(), params, results)?;
        for (index, (result, &ty)) in results.iter().zip(ty.results()).enumerate() {
            result.check(ty, "a host function's result")?;
            let raw = result.to_raw(caller.opaque())?;
            // SAFETY: there is a slot for each result.
            unsafe { values.add(index).write(raw) };
        }
        Ok(())
    };
    // SAFETY: called last; the closure owns all that needs dropping.
    unsafe { host_call(guest_frame, || run().map_err(failure)) }
}
