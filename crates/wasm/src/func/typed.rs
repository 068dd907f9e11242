//! Calls whose types are known at compile time.

use crate::error::{Error, Result};
use crate::func::ty::{Access, VALUES_MAX, WasmTypes};
use crate::handle::Func;
use crate::store::{AsContextMut, call_func};
use crate::types::FuncType;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use upshift::Engine;
use upshift::embed::{RawValue, Trampoline};

/// A function whose type was checked: calling it converts the arguments, calls, converts the results, and allocates
/// nothing.
///
/// `Params` and `Results` are `()`, one type, or a tuple of up to 16: see [`crate::WasmTy`].
pub struct TypedFunc<Params, Results> {
    func: Func,
    trampoline: Trampoline,
    types: PhantomData<fn(Params) -> Results>,
}

impl<Params, Results> Clone for TypedFunc<Params, Results> {
    fn clone(&self) -> Self {
        TypedFunc {
            func: self.func,
            trampoline: self.trampoline.clone(),
            types: PhantomData,
        }
    }
}

impl<Params, Results> std::fmt::Debug for TypedFunc<Params, Results> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedFunc")
            .field("func", &self.func)
            .finish()
    }
}

impl<Params: WasmTypes, Results: WasmTypes> TypedFunc<Params, Results> {
    /// `ty` must be the function's type, and these its parameters and results.
    pub(super) fn new(func: Func, engine: &Engine, ty: &FuncType) -> Result<Self> {
        let trampoline = engine
            .trampoline(&ty.signature())
            .map_err(|error| Error::from(error).context("compiling a trampoline"))?;
        Ok(TypedFunc {
            func,
            trampoline,
            types: PhantomData,
        })
    }

    /// The function without its type.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// Calls the function.
    ///
    /// # Errors
    /// If the function traps, a host function fails, or a reference or the function does not belong to the store.
    ///
    /// # Panics
    /// If a host function panics, with its panic.
    #[inline]
    pub fn call(&self, mut store: impl AsContextMut, params: Params) -> Result<Results> {
        let mut context = store.as_context_mut();
        let store = context.opaque();
        store.check(self.func.store)?;
        let mut slots = [const { MaybeUninit::<RawValue>::uninit() }; 1 + VALUES_MAX];
        let first = slots.as_mut_ptr().cast::<RawValue>();
        // SAFETY: there are as many slots as the longest list of types needs, and one for the context. The function
        // belongs to the store and has these types; `context` is not used while the call runs. What it returned are
        // values of its results' types.
        unsafe {
            params.store_all(first.add(1), &Access(store))?;
            call_func(context.opaque_ptr(), self.func, &self.trampoline, first)?;
            Ok(Results::load_all(first, &Access(context.opaque())))
        }
    }
}
