//! Finds a module's imports by their names.
//!
//! A linker's host functions belong to no store: one linker serves any number of stores with the same type of data, and
//! compiles nothing until a module imports something of it.

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::func::host::{self, IntoFunc};
use crate::handle::{Func, Instance};
use crate::info::ImportType;
use crate::instance;
use crate::matching::{self, Given};
use crate::module::Module;
use crate::store::{AsContext, AsContextMut};
use crate::types::{ExternType, FuncType};
use crate::val::{Extern, Val};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::marker::PhantomData;
use std::sync::Arc;
use upshift::Engine;

/// Names for what modules import.
///
/// ```
/// use upshift_wasm::{Config, Engine, Linker, Module, Store};
///
/// # fn main() -> upshift_wasm::Result<()> {
/// let engine = Engine::new(Config::default())?;
/// let mut linker = Linker::new(&engine);
/// linker.func_wrap("host", "double", |x: i32| x * 2)?;
/// let module = Module::new(
///     &engine,
///     r#"(module
///         (import "host" "double" (func $double (param i32) (result i32)))
///         (func (export "quadruple") (param i32) (result i32)
///             (call $double (call $double (local.get 0)))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = linker.instantiate(&mut store, &module)?;
/// let quadruple = instance.get_typed_func::<i32, i32>(&store, "quadruple")?;
/// assert_eq!(quadruple.call(&mut store, 10)?, 40);
/// # Ok(())
/// # }
/// ```
pub struct Linker<T> {
    engine: Engine,
    definitions: HashMap<Arc<str>, HashMap<Arc<str>, Given>>,
    allow_shadowing: bool,
    data: PhantomData<fn(T)>,
}

impl<T> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker {
            engine: self.engine.clone(),
            definitions: self.definitions.clone(),
            allow_shadowing: self.allow_shadowing,
            data: PhantomData,
        }
    }
}

impl<T> Linker<T> {
    /// A linker without names.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker {
            engine: engine.clone(),
            definitions: HashMap::new(),
            allow_shadowing: false,
            data: PhantomData,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again; without this it is an error.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    /// Defines a name as something that belongs to `store`.
    ///
    /// # Errors
    /// If the name is defined already, or the item does not belong to the store.
    pub fn define(
        &mut self,
        store: impl AsContext,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Self> {
        let item = item.into();
        matching::extern_type(&store.as_context().0.opaque, item)
            .map_err(|error| error.context(format!("defining `{module}::{name}`")))?;
        self.insert(module, name, Given::Extern(item))
    }

    /// Defines a name as a host function whose type is the closure's.
    ///
    /// The closure takes up to 16 parameters, behind a [`Caller<'_, T>`](Caller) if it wants the store, and returns
    /// nothing, a value, or a tuple of values, or a `Result` of that. See [`crate::WasmTy`] for the types.
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn func_wrap<Params, Results>(
        &mut self,
        module: &str,
        name: &str,
        closure: impl IntoFunc<T, Params, Results>,
    ) -> Result<&mut Self> {
        self.insert(module, name, Given::Host(closure.into_host_func().0))
    }

    /// Defines a name as a host function of a type known only at run time: see [`Func::new`].
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        closure: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        self.insert(
            module,
            name,
            Given::Host(host::dynamic_host_func(ty, closure)),
        )
    }

    /// Defines all exports of an instance under `module`.
    ///
    /// # Errors
    /// If a name is defined already; then some of the names may be defined.
    pub fn instance(
        &mut self,
        store: impl AsContext,
        module: &str,
        instance: Instance,
    ) -> Result<&mut Self> {
        for (name, item) in instance.exports(store) {
            self.insert(module, &name, Given::Extern(item))?;
        }
        Ok(self)
    }

    /// Instantiates a module with what is defined so far, calls its function `_initialize` if it exports one, and
    /// defines its exports under `name`.
    ///
    /// # Errors
    /// As [`Linker::instantiate`] and [`Linker::instance`].
    pub fn module(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        name: &str,
        module: &Module,
    ) -> Result<&mut Self> {
        let instance = self.instantiate(&mut store, module)?;
        if let Some(initialize) = instance.get_func(&store, "_initialize") {
            initialize
                .call(&mut store, &[], &mut [])
                .map_err(|error| error.context(format!("initializing `{name}`")))?;
        }
        self.instance(store, name, instance)
    }

    /// Makes `as_module::as_name` another name of `module::name`.
    ///
    /// # Errors
    /// If the one name is not defined or the other is.
    pub fn alias(
        &mut self,
        module: &str,
        name: &str,
        as_module: &str,
        as_name: &str,
    ) -> Result<&mut Self> {
        let Some(definition) = self.find(module, name).cloned() else {
            return Err(Error::link(format!("`{module}::{name}` is not defined")));
        };
        self.insert(as_module, as_name, definition)
    }

    /// Defines every name of `module` under `as_module` too.
    ///
    /// # Errors
    /// If a name is defined already there; then some of the names may be defined.
    pub fn alias_module(&mut self, module: &str, as_module: &str) -> Result<&mut Self> {
        for (name, definition) in self.definitions.get(module).cloned().unwrap_or_default() {
            self.insert(as_module, &name, definition)?;
        }
        Ok(self)
    }

    /// Defines each import of `module` that has no definition and is a function as one that fails when it is called.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> &mut Self {
        for import in module.imports() {
            let ExternType::Func(ty) = import.ty() else {
                continue;
            };
            if self.find(import.module(), import.name()).is_some() {
                continue;
            }
            let what = format!("unknown import {} was called", matching::describe(import));
            let fail = move |_: Caller<'_, T>, _: &[Val], _: &mut [Val]| Err(Error::new(&*what));
            let definition = Given::Host(host::dynamic_host_func(ty.clone(), fail));
            self.put(import.module(), import.name(), definition);
        }
        self
    }

    /// What a name stands for. A host function is made anew for the store each time.
    pub fn get(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &str,
        name: &str,
    ) -> Option<Extern> {
        match self.find(module, name)? {
            Given::Extern(item) => Some(*item),
            Given::Host(host) => {
                let func = store
                    .as_context_mut()
                    .opaque()
                    .add_host_function(host, None);
                func.ok().map(Extern::Func)
            }
        }
    }

    /// Whether the name is defined.
    pub fn is_defined(&self, module: &str, name: &str) -> bool {
        self.find(module, name).is_some()
    }

    /// Instantiates a module with what the names of its imports stand for, and runs its start function.
    ///
    /// # Errors
    /// If an import is not defined, and as [`Instance::new`].
    pub fn instantiate(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<Instance> {
        let imports: Result<Vec<Given>> = module
            .imports()
            .map(|import| {
                let found = self.find(import.module(), import.name()).cloned();
                found.ok_or_else(|| self.unknown(import))
            })
            .collect();
        instance::instantiate(store.as_context_mut(), module, &imports?)
    }

    fn unknown(&self, import: &ImportType) -> Error {
        let what = matching::describe(import);
        let hint = match self.definitions.get(import.module()) {
            Some(_) => format!("`{}` has no such definition", import.module()),
            None => format!("nothing is defined under `{}`", import.module()),
        };
        Error::link(format!(
            "unknown import {what} of type {}: {hint}",
            import.ty()
        ))
    }

    fn find(&self, module: &str, name: &str) -> Option<&Given> {
        self.definitions.get(module)?.get(name)
    }

    fn put(&mut self, module: &str, name: &str, definition: Given) {
        self.definitions
            .entry(module.into())
            .or_default()
            .insert(name.into(), definition);
    }

    fn insert(&mut self, module: &str, name: &str, definition: Given) -> Result<&mut Self> {
        match self
            .definitions
            .entry(module.into())
            .or_default()
            .entry(name.into())
        {
            Entry::Occupied(_) if !self.allow_shadowing => {
                return Err(Error::link(format!(
                    "`{module}::{name}` is defined already; Linker::allow_shadowing lets it be defined again"
                )));
            }
            Entry::Occupied(mut place) => {
                place.insert(definition);
            }
            Entry::Vacant(place) => {
                place.insert(definition);
            }
        }
        Ok(self)
    }
}

impl<T> std::fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.definitions.iter().flat_map(|(module, definitions)| {
            definitions
                .keys()
                .map(move |name| format!("{module}::{name}"))
        });
        f.debug_set().entries(names).finish()
    }
}

/// The function that is to be run when a module is run as a program.
impl<T> Linker<T> {
    /// The function of `instance` that runs it as a program: its export `_start`, or its export of the empty name.
    ///
    /// # Errors
    /// If it has neither.
    pub fn get_default(&self, store: impl AsContext, instance: Instance) -> Result<Func> {
        ["_start", ""]
            .iter()
            .find_map(|name| instance.get_func(&store, name))
            .ok_or_else(|| Error::new("the module exports no function `_start`"))
    }
}
