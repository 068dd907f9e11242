//! Instantiation, in the order and with the effects that the WebAssembly specification says, and instances as the
//! embedder uses them.
//!
//! Nothing is allocated until all imports were checked. From then on the instance belongs to the store whatever happens:
//! an active segment or a start function that traps leaves behind what was done before it, and references to the
//! instance's functions may already be in a table that others use.

use crate::builtins::BUILTINS;
use crate::error::{Error, Result};
use crate::export;
use crate::func::TypedFunc;
use crate::func::ty::WasmTypes;
use crate::handle::{Func, Global, Instance, Memory, Table};
use crate::info::{ConstExpr, ElementItem, ElementItems, ModuleInfo, SegmentMode};
use crate::matching::{self, Given};
use crate::module::Module;
use crate::objects::{ContextBlock, GlobalData, HostFunc, InstanceData, MemoryData, TableData};
use crate::store::{AsContext, AsContextMut, StoreContextMut, StoreOpaque, call_raw};
use crate::val::Extern;
use crate::vmctx::{GlobalPlace, MAGIC, VMContext, VMFuncRef, VMGlobal, VMMemoryEntry, VMTable};
use std::ptr::NonNull;
use std::sync::Arc;
use upshift::Engine;
use upshift::embed::{EntrySlot, RawValue, TrapKind};

impl Instance {
    /// Instantiates a module with `imports`, one for each of [`Module::imports`], in order, and runs its start function.
    ///
    /// A [`crate::Linker`] finds imports by their names instead.
    ///
    /// # Errors
    /// If an import is missing or does not match, the store's limits do not allow what the module needs, an active
    /// segment does not fit, or the start function fails.
    pub fn new(
        mut store: impl AsContextMut,
        module: &Module,
        imports: &[Extern],
    ) -> Result<Instance> {
        let imports: Vec<Given> = imports.iter().copied().map(Given::Extern).collect();
        instantiate(store.as_context_mut(), module, &imports)
    }

    /// The module that this is an instance of.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn module<'a>(&self, store: &'a impl AsContext) -> &'a Module {
        &self.object(&store.as_context().0.opaque).module
    }

    /// What the instance exports under `name`.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn get_export(&self, store: impl AsContext, name: &str) -> Option<Extern> {
        export::find(self.object(&store.as_context().0.opaque), self.store, name)
    }

    /// All exports, in the module's order.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn exports(&self, store: impl AsContext) -> Vec<(String, Extern)> {
        let context = store.as_context();
        let instance = self.object(&context.0.opaque);
        let exports = instance.module.info().exports.iter();
        exports
            .filter_map(|export| {
                let found = export::resolve(instance, self.store, export.index)?;
                Some((export.name.to_string(), found))
            })
            .collect()
    }

    /// The function that the instance exports under `name`.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn get_func(&self, store: impl AsContext, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// The function that the instance exports under `name`, with its type checked.
    ///
    /// # Errors
    /// If there is no such function, or it is of another type.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn get_typed_func<Params: WasmTypes, Results: WasmTypes>(
        &self,
        store: impl AsContext,
        name: &str,
    ) -> Result<TypedFunc<Params, Results>> {
        let Some(func) = self.get_func(&store, name) else {
            return Err(Error::new(format!(
                "the instance exports no function `{name}`"
            )));
        };
        func.typed(&store)
            .map_err(|error| error.context(format!("function `{name}`")))
    }

    /// The memory that the instance exports under `name`.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn get_memory(&self, store: impl AsContext, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }

    /// The table that the instance exports under `name`.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn get_table(&self, store: impl AsContext, name: &str) -> Option<Table> {
        self.get_export(store, name)?.into_table()
    }

    /// The global that the instance exports under `name`.
    ///
    /// # Panics
    /// If the instance does not belong to the store.
    pub fn get_global(&self, store: impl AsContext, name: &str) -> Option<Global> {
        self.get_export(store, name)?.into_global()
    }

    fn object<'a>(&self, store: &'a StoreOpaque) -> &'a InstanceData {
        match store.instance(self.store, self.index) {
            // SAFETY: the store owns the instance, and is borrowed.
            Ok(object) => unsafe { NonNull::as_ref(&object) },
            Err(error) => panic!("{error}"),
        }
    }
}

/// An instance being made. Its parts are filled in one after the other.
struct Build<'a> {
    store: &'a mut StoreOpaque,
    instance: NonNull<InstanceData>,
    info: &'a ModuleInfo,
}

/// Instantiates a module: the one function behind all ways to do it.
pub(crate) fn instantiate<T>(
    mut context: StoreContextMut<'_, T>,
    module: &Module,
    imports: &[Given],
) -> Result<Instance> {
    let store = context.opaque();
    if !Engine::same(store.engine(), module.engine()) {
        return Err(Error::new(
            "the module and the store are of different engines",
        ));
    }
    let info = module.info();
    matching::check_imports(store, info, imports)?;
    let index = store.next_instance()?;
    let instance = store.add_instance(InstanceData {
        module: module.clone(),
        context: ContextBlock::new(info.layout.size())?,
        memories: Vec::new(),
        tables: Vec::new(),
        globals: Vec::new(),
        elements: Vec::new(),
        dropped_data: Vec::new(),
    });
    let mut build = Build {
        store,
        instance,
        info,
    };
    build.header_and_types();
    build.imports(imports)?;
    build.own_functions(module)?;
    build.own_memories_and_tables()?;
    build.own_globals()?;
    build.element_segments()?;
    build.data_segments()?;
    let id = build.store.id();
    if let Some(start) = info.start {
        // The borrow of the store ends here: the start function may use all of it.
        call_start(context, instance, start)?;
    }
    Ok(Instance { store: id, index })
}

impl Build<'_> {
    /// The instance. Nothing else uses it while it is built.
    fn instance(&mut self) -> &mut InstanceData {
        // SAFETY: the store owns the instance, and `self` borrows the store exclusively.
        unsafe { self.instance.as_mut() }
    }

    /// Writes to the VM context.
    fn write<T>(&mut self, offset: i32, value: T) {
        let place = self.instance().context.at::<T>(offset);
        // SAFETY: the offset is where the layout has such a value, aligned; no code of the instance runs.
        unsafe { place.write(value) };
    }

    fn header_and_types(&mut self) {
        let limits = &raw const self.store.shared().vm;
        let instance = self.instance.as_ptr().cast();
        let header = VMContext {
            magic: MAGIC,
            padding: 0,
            limits,
            builtins: &BUILTINS,
            instance,
        };
        self.write(0, header);
        for (index, ty) in self.info.types.iter().enumerate() {
            self.store.keep_type(ty);
            self.write(self.info.layout.type_id(index as u32), ty.id());
        }
    }

    fn imports(&mut self, imports: &[Given]) -> Result<()> {
        let mut functions = 0;
        for import in imports {
            match import {
                Given::Host(host) => {
                    self.import_host_function(functions, host)?;
                    functions += 1;
                }
                Given::Extern(Extern::Func(func)) => {
                    self.import_function(functions, *func)?;
                    functions += 1;
                }
                Given::Extern(Extern::Table(table)) => {
                    let object = self.store.table(table.store, table.index)?;
                    self.add_table(object);
                }
                Given::Extern(Extern::Memory(memory)) => {
                    let object = self.store.memory(memory.store, memory.index)?;
                    self.add_memory(object);
                }
                Given::Extern(Extern::Global(global)) => {
                    let object = self.store.global(global.store, global.index)?;
                    self.add_imported_global(object);
                }
            }
        }
        Ok(())
    }

    fn import_function(&mut self, index: u32, func: Func) -> Result<()> {
        if let Some(host) = self.store.host_function(func)?.cloned() {
            return self.import_host_function(index, &host);
        }
        self.write_import(index, func);
        Ok(())
    }

    /// Host functions get a context for each instance, so that they know which one calls.
    fn import_host_function(&mut self, index: u32, host: &Arc<HostFunc>) -> Result<()> {
        let func = self.store.add_host_function(host, Some(self.instance))?;
        self.write_import(index, func);
        Ok(())
    }

    fn write_import(&mut self, index: u32, func: Func) {
        // SAFETY: the function belongs to the store, which owns what the reference points to.
        let funcref = unsafe { *func.funcref.as_ptr() };
        self.write(self.info.layout.imported_function(index), funcref);
    }

    fn add_memory(&mut self, mut object: NonNull<MemoryData>) {
        let index = self.instance().memories.len() as u32;
        self.instance().memories.push(object);
        // SAFETY: the store owns the memory and is borrowed exclusively.
        let memory = unsafe { &mut object.as_mut().vm };
        let entry = VMMemoryEntry {
            base: memory.base,
            memory,
        };
        self.write(self.info.layout.memory(index), entry);
    }

    fn add_table(&mut self, mut object: NonNull<TableData>) {
        let index = self.instance().tables.len() as u32;
        self.instance().tables.push(object);
        // SAFETY: the store owns the table and is borrowed exclusively.
        let table: *mut VMTable = unsafe { &mut object.as_mut().vm };
        self.write(self.info.layout.table(index), table);
    }

    fn add_imported_global(&mut self, object: NonNull<GlobalData>) {
        let index = self.instance().globals.len() as u32;
        self.instance().globals.push(object);
        // SAFETY: the store owns the global.
        let value = unsafe { object.as_ref() }.value.as_ptr();
        if let GlobalPlace::Pointer(offset) = self.info.layout.global(index) {
            self.write(offset, value);
        }
    }

    /// Function references for those of the module's functions that may become references.
    fn own_functions(&mut self, module: &Module) -> Result<()> {
        if self.info.bodies.is_empty() {
            return Ok(());
        }
        let functions = module.functions()?;
        let vmctx = self.instance().context.context().as_ptr().cast();
        for (position, &index) in self.info.escaping.iter().enumerate() {
            let own = index - self.info.imported_functions;
            let funcref = VMFuncRef {
                slot: functions.entry_slot(own).as_ptr(),
                vmctx,
                type_id: self.info.func_type(index).id(),
                padding: 0,
            };
            self.write(self.info.layout.escaping_function(position as u32), funcref);
        }
        Ok(())
    }

    fn own_memories_and_tables(&mut self) -> Result<()> {
        for &ty in self
            .info
            .memories
            .iter()
            .skip(self.info.imported_memories as usize)
        {
            let memory = self.store.add_memory(ty)?;
            self.add_memory(memory);
        }
        for &ty in self
            .info
            .tables
            .iter()
            .skip(self.info.imported_tables as usize)
        {
            let table = self.store.add_table(ty, 0)?;
            self.add_table(table);
        }
        Ok(())
    }

    fn own_globals(&mut self) -> Result<()> {
        for (init, index) in self
            .info
            .global_inits
            .iter()
            .zip(self.info.imported_globals..)
        {
            let bits = self.evaluate(init);
            let GlobalPlace::Inline(offset) = self.info.layout.global(index) else {
                continue;
            };
            self.write(offset, VMGlobal { bits });
            let place = self.instance().context.at(offset);
            let object = self
                .store
                .add_instance_global(self.info.globals[index as usize], place)?;
            self.instance().globals.push(object);
        }
        Ok(())
    }

    /// The bits of a constant expression, which may use all globals made so far.
    fn evaluate(&mut self, expr: &ConstExpr) -> u128 {
        if let Some(bits) = expr.constant() {
            return bits;
        }
        let info = self.info;
        let instance = self.instance();
        let global = |index: u32| match instance.globals.get(index as usize) {
            // SAFETY: the store owns the global and where its value is; no code runs.
            Some(global) => unsafe { global.as_ref().value.as_ref().bits },
            None => 0,
        };
        expr.evaluate(global, |index| funcref(info, instance, index))
    }

    fn references(&mut self, items: &ElementItems) -> Vec<u64> {
        let info = self.info;
        let bits = items.iter().map(|item| match item {
            ElementItem::Function(index) => funcref(info, self.instance(), index),
            ElementItem::Expression(expr) => self.evaluate(expr) as u64,
        });
        bits.collect()
    }

    /// Copies active segments to their tables and keeps passive ones.
    fn element_segments(&mut self) -> Result<()> {
        let count = self.info.elements.len();
        self.instance().elements = vec![Vec::new(); count];
        for (segment, index) in self.info.elements.iter().zip(0..) {
            match &segment.mode {
                SegmentMode::Declared => {}
                SegmentMode::Passive => {
                    let references = self.references(&segment.items);
                    self.instance().elements[index] = references;
                }
                SegmentMode::Active { target, offset } => {
                    let start = self.evaluate(offset) as u32;
                    let references = self.references(&segment.items);
                    let table = self.instance().tables[*target as usize];
                    // SAFETY: the store owns the table and is borrowed exclusively.
                    let table = unsafe { table.as_ref() };
                    table
                        .init(start.into(), &references, 0, references.len() as u64)
                        .map_err(|_| {
                            Error::from(TrapKind::TableOutOfBounds)
                                .context(format!("element segment {index}"))
                        })?;
                }
            }
        }
        Ok(())
    }

    /// Copies active segments to their memories.
    fn data_segments(&mut self) -> Result<()> {
        let count = self.info.data.len();
        self.instance().dropped_data = vec![false; count];
        for (segment, index) in self.info.data.iter().zip(0..) {
            let SegmentMode::Active { target, offset } = &segment.mode else {
                continue;
            };
            let start = self.evaluate(offset) as u32;
            let bytes = self.info.segment_bytes(segment);
            let memory = self.instance().memories[*target as usize];
            // SAFETY: the store owns the memory and is borrowed exclusively.
            let memory = unsafe { memory.as_ref() };
            memory
                .init(start.into(), bytes, 0, bytes.len() as u64)
                .map_err(|_| {
                    Error::from(TrapKind::MemoryOutOfBounds)
                        .context(format!("data segment {index}"))
                })?;
            self.instance().dropped_data[index] = true;
        }
        Ok(())
    }
}

/// The bits of a reference to function `index`. Functions in constant expressions have references.
fn funcref(info: &ModuleInfo, instance: &InstanceData, index: u32) -> u64 {
    match info.funcref_offset(index) {
        Some(offset) => instance.context.at::<VMFuncRef>(offset).as_ptr() as u64,
        None => 0,
    }
}

fn call_start<T>(
    mut context: StoreContextMut<'_, T>,
    instance: NonNull<InstanceData>,
    index: u32,
) -> Result<()> {
    // SAFETY: the store owns the instance and is borrowed.
    let data = unsafe { instance.as_ref() };
    let info = data.module.info();
    let trampoline = context.opaque().trampoline(info.func_type(index))?;
    let mut slot = [RawValue::ZERO; 1];
    let store = context.opaque_ptr();
    let (entry, vmctx) = match index.checked_sub(info.imported_functions) {
        Some(own) => {
            let vmctx = data.context.context().as_ptr().cast();
            (data.module.functions()?.entry_slot(own), vmctx)
        }
        None => {
            let funcref = data
                .context
                .at::<VMFuncRef>(info.layout.imported_function(index));
            // SAFETY: filled in when the imports were; the store owns what it points to.
            let VMFuncRef { slot, vmctx, .. } = unsafe { funcref.read() };
            // SAFETY: as above.
            (unsafe { EntrySlot::from_ptr(slot) }, vmctx)
        }
    };
    // SAFETY: the function and its context belong to the store; a start function has neither parameters nor results.
    unsafe { call_raw(store, entry, vmctx, &trampoline, slot.as_mut_ptr()) }
        .map_err(|error| error.context("start function"))
}
