//! The decoded form of a module.

use super::bytes::ModuleBytes;
use super::const_expr::ConstExpr;
use super::deferred::Deferred;
use super::features::FEATURES;
use super::names::Names;
use super::segment::{DataSegment, ElementSegment};
use super::span::Span;
use super::unchanged::{Parts, Unchanged};
use crate::types::{ExternType, FuncType, GlobalType, MemoryType, TableType};
use crate::vmctx::VMLayout;
use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::Duration;
use upshift::embed::CompileError;
use wasmparser::{BinaryReader, FunctionBody};

/// How a module is to be compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ModuleOptions {
    /// Whether running code can be stopped from outside: it then looks at a flag at each loop header and function entry.
    pub interruptible: bool,
}

/// Something that a module needs from outside.
#[derive(Clone, Debug)]
pub struct ImportType {
    pub(super) module: Box<str>,
    pub(super) name: Box<str>,
    pub(super) ty: ExternType,
}

impl ImportType {
    /// The name of the module that it is to come from.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Its name there.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has to be.
    pub fn ty(&self) -> &ExternType {
        &self.ty
    }
}

/// Something of a module, by its index among all of its kind, imported ones first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExternIndex {
    /// A function.
    Func(u32),
    /// A table.
    Table(u32),
    /// A memory.
    Memory(u32),
    /// A global.
    Global(u32),
}

/// Something that a module offers.
#[derive(Clone, Debug)]
pub struct Export {
    /// By what name.
    pub name: Box<str>,
    /// What.
    pub index: ExternIndex,
}

/// A decoded, valid module.
///
/// In each of the lists of functions, tables, memories and globals, the imported ones come first.
#[derive(Debug)]
pub struct ModuleInfo {
    /// The module in its binary form.
    pub bytes: ModuleBytes,
    /// How it is to be compiled.
    pub options: ModuleOptions,
    /// The types that the module declares.
    pub types: Vec<FuncType>,
    /// What it imports.
    pub imports: Vec<ImportType>,
    /// All functions: the index of each one's type.
    pub functions: Vec<u32>,
    /// How many of the functions are imported.
    pub imported_functions: u32,
    /// The body of each function that is not imported.
    pub bodies: Vec<Span>,
    /// All tables.
    pub tables: Vec<TableType>,
    /// How many of the tables are imported.
    pub imported_tables: u32,
    /// All memories.
    pub memories: Vec<MemoryType>,
    /// How many of the memories are imported.
    pub imported_memories: u32,
    /// All globals.
    pub globals: Vec<GlobalType>,
    /// How many of the globals are imported.
    pub imported_globals: u32,
    /// The initial value of each global that is not imported.
    pub global_inits: Vec<ConstExpr>,
    /// What it exports.
    pub exports: Vec<Export>,
    /// Indices into `exports`, sorted by name.
    pub(super) exports_by_name: Vec<u32>,
    /// The globals that are exported.
    pub(super) exported_globals: HashSet<u32>,
    /// The memories that are exported.
    pub(super) exported_memories: HashSet<u32>,
    /// The function to call at the end of instantiation.
    pub start: Option<u32>,
    /// The element segments.
    pub elements: Vec<ElementSegment>,
    /// The data segments.
    pub data: Vec<DataSegment>,
    /// The module's own functions that may become references, sorted; each has a
    /// [`VMFuncRef`](crate::vmctx::VMFuncRef) in the VM context.
    pub escaping: Vec<u32>,
    /// Where everything is in the VM context.
    pub layout: VMLayout,
    /// How long it took to decode the sections, and then to validate the bodies.
    pub load_times: (Duration, Duration),
    /// What bodies have to be validated against when they are first used, if they were not when the module was loaded.
    pub(super) deferred: Option<Deferred>,
    pub(super) name_section: Span,
    pub(super) names: OnceLock<Names>,
    pub(super) unchanged: OnceLock<Unchanged>,
}

impl ModuleInfo {
    /// The type of function `index`.
    pub fn func_type(&self, index: u32) -> &FuncType {
        &self.types[self.functions[index as usize] as usize]
    }

    /// What kind of thing `index` is, in full.
    pub fn extern_type(&self, index: ExternIndex) -> ExternType {
        match index {
            ExternIndex::Func(index) => ExternType::Func(self.func_type(index).clone()),
            ExternIndex::Table(index) => ExternType::Table(self.tables[index as usize]),
            ExternIndex::Memory(index) => ExternType::Memory(self.memories[index as usize]),
            ExternIndex::Global(index) => ExternType::Global(self.globals[index as usize]),
        }
    }

    /// The export of that name.
    pub fn export(&self, name: &str) -> Option<&Export> {
        let by_name = |&index: &u32| self.exports[index as usize].name.as_ref().cmp(name);
        let found = self.exports_by_name.binary_search_by(by_name).ok()?;
        self.exports.get(self.exports_by_name[found] as usize)
    }

    /// Where in the VM context the [`VMFuncRef`](crate::vmctx::VMFuncRef) of function `index` is; `None` if it never
    /// becomes a reference.
    pub fn funcref_offset(&self, index: u32) -> Option<i32> {
        if index < self.imported_functions {
            return Some(self.layout.imported_function(index));
        }
        let position = self.escaping.binary_search(&index).ok()?;
        Some(self.layout.escaping_function(position as u32))
    }

    /// Whether only this module's own code can get at global `index`.
    pub fn is_private_global(&self, index: u32) -> bool {
        index >= self.imported_globals && !self.exported_globals.contains(&index)
    }

    /// The value of global `index` if it is the same in every instance and at all times.
    pub fn constant_global(&self, index: u32) -> Option<u128> {
        let own = index.checked_sub(self.imported_globals)?;
        match self.globals[index as usize].mutable {
            true => None,
            false => self.global_inits[own as usize].constant(),
        }
    }

    /// The same for a global that is never set, too. The first question of this kind looks through all of the module's code.
    pub fn unchanged_global(&self, index: u32) -> Option<u128> {
        let own = index.checked_sub(self.imported_globals)?;
        let value = self.global_inits[own as usize].constant()?;
        let unchanged = !self.globals[index as usize].mutable
            || self.is_private_global(index) && self.unchanged().has_global(index);
        unchanged.then_some(value)
    }

    /// The size of memory `index` in pages, if it is the same in every instance and at all times. The first question of this
    /// kind may look through all of the module's code.
    pub fn fixed_memory_pages(&self, index: u32) -> Option<u32> {
        let memory = self.memories[index as usize];
        // What is imported is of the size that is declared, if it can be of no other.
        let is_fixed = memory.max == Some(memory.min)
            || self.is_private_memory(index) && self.unchanged().has_memory(index);
        is_fixed.then_some(memory.min)
    }

    /// Whether only this module's own code can get at memory `index`.
    fn is_private_memory(&self, index: u32) -> bool {
        index >= self.imported_memories && !self.exported_memories.contains(&index)
    }

    /// The function that element `element` of a table is a reference to in every instance and at all times, if there is
    /// one. The first question of this kind looks through all of the module's code.
    pub fn unchanged_element(&self, table: u32, element: u32) -> Option<u32> {
        self.unchanged().function(table, element)
    }

    /// The only element of a table that is a reference to that function, in every instance and at all times, if that can be
    /// known. The first question of this kind looks through all of the module's code.
    pub fn only_element(&self, table: u32, function: u32) -> Option<u32> {
        self.unchanged().only_element(table, function)
    }

    fn unchanged(&self) -> &Unchanged {
        let exported = self.exports.iter().filter_map(|export| match export.index {
            ExternIndex::Table(table) => Some(table),
            _ => None,
        });
        let parts = || Parts {
            bytes: &self.bytes,
            bodies: &self.bodies,
            tables: &self.tables,
            imported_tables: self.imported_tables,
            exported_tables: exported.collect(),
            globals: self.globals.len() as u32,
            private_memories: (0..self.memories.len() as u32)
                .filter(|memory| self.is_private_memory(*memory))
                .collect(),
            elements: &self.elements,
        };
        self.unchanged.get_or_init(|| Unchanged::of(&parts()))
    }

    /// The body of the module's own function number `own`, not counting imported ones. It is valid.
    ///
    /// # Errors
    /// If there is no such function, or validation was put off until now and fails.
    pub fn body(&self, own: u32) -> Result<FunctionBody<'_>, CompileError> {
        let span = self.bodies.get(own as usize);
        let span =
            *span.ok_or_else(|| CompileError::Failed(format!("there is no function {own}")))?;
        let bytes = span.of(&self.bytes);
        let Some(deferred) = &self.deferred else {
            let reader = BinaryReader::new_features(bytes, span.start.into(), FEATURES);
            return Ok(FunctionBody::new(reader));
        };
        let index = self.imported_functions + own;
        let ty = self.functions[index as usize];
        deferred
            .body(own, ty, bytes, span.start)
            .map_err(|error| CompileError::Failed(format!("function {index} is invalid: {error}")))
    }

    /// How many function bodies have been validated up to now.
    pub fn validated_count(&self) -> u32 {
        match &self.deferred {
            Some(deferred) => deferred.count(),
            None => self.bodies.len() as u32,
        }
    }

    /// The bytes of a data segment.
    pub fn segment_bytes(&self, segment: &DataSegment) -> &[u8] {
        segment.bytes.of(&self.bytes)
    }

    /// The name that the module gives itself.
    pub fn name(&self) -> Option<&str> {
        self.names().module(&self.bytes)
    }

    /// The name that the module gives function `index`.
    pub fn func_name(&self, index: u32) -> Option<&str> {
        self.names().function(&self.bytes, index)
    }

    fn names(&self) -> &Names {
        self.names
            .get_or_init(|| Names::read(&self.bytes, self.name_section))
    }
}
