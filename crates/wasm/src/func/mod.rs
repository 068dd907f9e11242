//! Functions: calling them with types known at run time or at compile time, and making them of Rust closures.

pub(crate) mod host;
pub(crate) mod ty;
mod typed;

pub use typed::TypedFunc;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::handle::Func;
use crate::store::{AsContext, AsContextMut, call_func};
use crate::types::FuncType;
use crate::val::Val;
use host::IntoFunc;
use ty::WasmTypes;
use upshift::embed::RawValue;

/// Slots on the stack that a dynamic call has before it allocates.
const SLOTS_ON_STACK: usize = 8;

impl Func {
    /// A host function of a type known only at run time. The closure gets the arguments, and the results to set, which
    /// are zero or null before; a result of the wrong type is an error.
    ///
    /// # Errors
    /// If the stub through which WebAssembly code calls cannot be compiled.
    pub fn new<T>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        closure: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Func> {
        let host = host::dynamic_host_func(ty, closure);
        store
            .as_context_mut()
            .opaque()
            .add_host_function(&host, None)
    }

    /// A host function whose type is the closure's: see [`IntoFunc`].
    ///
    /// # Errors
    /// If the stub through which WebAssembly code calls cannot be compiled.
    pub fn wrap<T, Params, Results>(
        mut store: impl AsContextMut<Data = T>,
        closure: impl IntoFunc<T, Params, Results>,
    ) -> Result<Func> {
        let host = closure.into_host_func().0;
        store
            .as_context_mut()
            .opaque()
            .add_host_function(&host, None)
    }

    /// The function's type.
    ///
    /// # Panics
    /// If the function does not belong to the store.
    pub fn ty(&self, store: impl AsContext) -> FuncType {
        match store.as_context().0.opaque.func_type(*self) {
            Ok(ty) => ty.clone(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls the function. `results` must be as long as it has results; what is in them before does not matter.
    ///
    /// # Errors
    /// If the arguments are not of the parameters' types, the function traps, or a host function fails.
    ///
    /// # Panics
    /// If a host function panics, with its panic.
    pub fn call(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let mut context = store.as_context_mut();
        let store = context.opaque();
        let ty = store.func_type(*self)?.clone();
        check_arguments(&ty, params, results)?;
        let trampoline = store.trampoline(&ty)?;
        let count = 1 + params.len().max(results.len());
        let mut on_stack = [RawValue::ZERO; SLOTS_ON_STACK];
        let mut on_heap = Vec::new();
        let slots = match on_stack.get_mut(..count) {
            Some(slots) => slots,
            None => {
                on_heap.resize(count, RawValue::ZERO);
                &mut on_heap[..]
            }
        };
        for (slot, param) in slots[1..].iter_mut().zip(params) {
            *slot = param.to_raw(store)?;
        }
        let id = store.id();
        // SAFETY: the function belongs to the store, the trampoline is of its type, the slots suffice and hold arguments
        // of the right types, and `context` is not used while the call runs.
        unsafe { call_func(context.opaque_ptr(), *self, &trampoline, slots.as_mut_ptr())? };
        for ((result, slot), &ty) in results.iter_mut().zip(slots.iter()).zip(ty.results()) {
            // SAFETY: the function returned values of its results' types.
            *result = unsafe { Val::from_raw(slot, ty, id) };
        }
        Ok(())
    }

    /// The function with its type known at compile time: checked here once, so that calls need not.
    ///
    /// ```
    /// use upshift_wasm::{Config, Engine, Func, Store};
    ///
    /// # fn main() -> upshift_wasm::Result<()> {
    /// let engine = Engine::new(Config::default())?;
    /// let mut store = Store::new(&engine, ());
    /// let add = Func::wrap(&mut store, |a: i32, b: i32| a + b)?;
    /// let add = add.typed::<(i32, i32), i32>(&store)?;
    /// assert_eq!(add.call(&mut store, (40, 2))?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the function's type is another.
    pub fn typed<Params: WasmTypes, Results: WasmTypes>(
        &self,
        store: impl AsContext,
    ) -> Result<TypedFunc<Params, Results>> {
        let context = store.as_context();
        let ty = context.0.opaque.func_type(*self)?;
        if ty.params() != Params::TYPES || ty.results() != Results::TYPES {
            let asked = FuncType::new(
                Params::TYPES.iter().copied(),
                Results::TYPES.iter().copied(),
            );
            return Err(Error::new(format!(
                "the function is of type {ty}, not {asked}"
            )));
        }
        TypedFunc::new(*self, context.0.opaque.engine(), ty)
    }
}

fn check_arguments(ty: &FuncType, params: &[Val], results: &[Val]) -> Result<()> {
    if params.len() != ty.params().len() || results.len() != ty.results().len() {
        return Err(Error::new(format!(
            "a function of type {ty} was called with {} arguments and room for {} results",
            params.len(),
            results.len()
        )));
    }
    for (index, (param, &ty)) in params.iter().zip(ty.params()).enumerate() {
        if param.ty() != ty {
            param.check(ty, &format!("parameter {index}"))?;
        }
    }
    Ok(())
}
