//! From bytes to a [`ModuleInfo`].

use super::bytes::ModuleBytes;
use super::const_expr::ConstExpr;
use super::data::{Export, ExternIndex, ImportType, ModuleInfo, ModuleOptions};
use super::deferred::Deferred;
use super::fault::unsupported;
use super::features::FEATURES;
use super::names::Names;
use super::segment::{DataSegment, ElementItems, ElementSegment, SegmentMode};
use super::span::Span;
use super::validate::validate;
use super::walk::{self, FUNCTION_BYTES_MAX};
use crate::error::Error;
use crate::types::{ExternType, FuncType, GlobalType, MemoryType, TableType, ValType};
use crate::vmctx::{VMCounts, VMLayout};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use wasmparser::{
    BinaryReader, Chunk, DataKind, DataSectionReader, ElementKind, ElementSectionReader,
    ExportSectionReader, ExternalKind, FuncToValidate, FunctionBody, GlobalSectionReader,
    ImportSectionReader, Parser, Payload, TypeRef, TypeSectionReader, ValidPayload, Validator,
    ValidatorResources,
};

type Read<T = ()> = Result<T, Error>;

/// Decodes and validates a module in its binary form.
///
/// # Errors
/// If the module is malformed or invalid, or uses a proposal that is not supported.
pub fn decode(bytes: impl Into<ModuleBytes>, options: ModuleOptions) -> Result<ModuleInfo, Error> {
    let (bytes, mut sections, start) = read(bytes.into(), false)?;
    let decoded = Instant::now();
    let jobs = std::mem::take(&mut sections.jobs);
    let bodies = jobs.into_iter().map(|function| {
        let own = function.index - sections.counts.imported_functions;
        let span = sections.bodies[own as usize];
        (function, body(&bytes, span))
    });
    if let Err((index, error)) = validate(bodies.collect()) {
        let names = Names::read(&bytes, sections.name_section);
        let name = names
            .function(&bytes, index)
            .map(|name| format!(" `{name}`"));
        let function = format!("function {index}{}", name.unwrap_or_default());
        return Err(Error::from(error).context(function));
    }
    sections.load_times = (decoded - start, decoded.elapsed());
    sections.finish(bytes, options)
}

/// The same, but function bodies are not validated until they are first used.
///
/// # Errors
/// If the module is malformed, or something other than a function's body is invalid.
pub fn decode_lazily(
    bytes: impl Into<ModuleBytes>,
    options: ModuleOptions,
) -> Result<ModuleInfo, Error> {
    let (bytes, mut sections, start) = read(bytes.into(), true)?;
    let functions = sections.bodies.len();
    let first = std::mem::take(&mut sections.jobs).into_iter().next();
    sections.deferred = first.map(|first| Deferred::new(first, functions));
    sections.load_times = (start.elapsed(), Duration::ZERO);
    sections.finish(bytes, options)
}

/// Reads all sections but the bodies.
fn read(bytes: ModuleBytes, lazily: bool) -> Result<(ModuleBytes, Sections, Instant), Error> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(Error::invalid_module(
            None,
            "the module is larger than 4 GiB",
        ));
    }
    if Parser::is_component(&bytes) {
        let message = "this is a component; only core modules are supported";
        return Err(Error::invalid_module(None, message));
    }
    let start = Instant::now();
    let mut sections = Sections::default();
    sections.read(&bytes, lazily)?;
    Ok((bytes, sections, start))
}

fn body(bytes: &[u8], span: Span) -> FunctionBody<'_> {
    FunctionBody::new(BinaryReader::new_features(
        span.of(bytes),
        span.start.into(),
        FEATURES,
    ))
}

/// What has been read so far.
#[derive(Default)]
struct Sections {
    types: Vec<FuncType>,
    imports: Vec<ImportType>,
    functions: Vec<u32>,
    bodies: Vec<Span>,
    tables: Vec<TableType>,
    memories: Vec<MemoryType>,
    globals: Vec<GlobalType>,
    global_inits: Vec<ConstExpr>,
    exports: Vec<Export>,
    start: Option<u32>,
    elements: Vec<ElementSegment>,
    data: Vec<DataSegment>,
    counts: VMCounts,
    name_section: Span,
    load_times: (Duration, Duration),
    /// The functions whose bodies are to be validated; only the first if that is put off.
    jobs: Vec<FuncToValidate<ValidatorResources>>,
    deferred: Option<Deferred>,
}

impl Sections {
    /// Reads all sections, each once it has been validated, and steps over the bodies; if they are not wanted now, without
    /// giving each to the parser and the validator, which would take longer than everything else.
    fn read(&mut self, bytes: &[u8], lazily: bool) -> Read {
        let mut validator = Validator::new_with_features(FEATURES);
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        let (mut at, mut code_end) = (0, 0);
        loop {
            let Chunk::Parsed { consumed, payload } = parser.parse(&bytes[at..], true)? else {
                return Err(Error::invalid_module(None, "the module has no end"));
            };
            at += consumed;
            match (validator.payload(&payload)?, &payload) {
                (ValidPayload::Func(function, body), _) => {
                    self.bodies.push(Span::new(body.range()));
                    self.jobs.push(function);
                    if lazily {
                        self.step_over_bodies(bytes, at..code_end)?;
                        parser.skip_section();
                        at = code_end;
                    }
                    continue;
                }
                (_, Payload::CodeSectionStart { size, .. }) => code_end = at + *size as usize,
                (_, Payload::End(_)) => return Ok(()),
                _ => {}
            }
            self.section(payload, bytes)?;
        }
    }

    /// The rest of the code section: one body for each function that has none yet.
    fn step_over_bodies(&mut self, bytes: &[u8], rest: Range<usize>) -> Read {
        let own = self.functions.len() - self.counts.imported_functions as usize;
        let too_long = || Error::invalid_module(rest.start, "the code section has no end");
        let section = bytes.get(rest.clone()).ok_or_else(too_long)?;
        if let Some(found) = walk::bodies(section, rest.start as u32, own - self.bodies.len()) {
            self.bodies.extend(found);
            return Ok(());
        }
        // Something is wrong: what, one walk finds out.
        let mut reader = BinaryReader::new(section, rest.start as u64);
        while self.bodies.len() < own {
            let size = reader.read_var_u32()?;
            let start = reader.original_position();
            if size > FUNCTION_BYTES_MAX {
                let message = "the function body is too large";
                return Err(Error::invalid_module(start as usize, message));
            }
            reader.read_bytes(size as usize)?;
            self.bodies.push(Span::new(start..start + u64::from(size)));
        }
        if reader.eof() {
            return Ok(());
        }
        let message = "there is something behind the last function";
        let at = reader.original_position() as usize;
        Err(Error::invalid_module(at, message))
    }

    fn section(&mut self, payload: Payload<'_>, bytes: &[u8]) -> Read {
        match payload {
            Payload::TypeSection(reader) => self.type_section(reader)?,
            Payload::ImportSection(reader) => self.import_section(reader)?,
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader.into_iter_with_offsets() {
                    let (offset, table) = table?;
                    self.tables.push(table_type(&table.ty, offset)?);
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader.into_iter_with_offsets() {
                    let (offset, memory) = memory?;
                    self.memories.push(memory_type(&memory, offset)?);
                }
            }
            Payload::GlobalSection(reader) => self.global_section(reader)?,
            Payload::ExportSection(reader) => self.export_section(reader)?,
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => self.element_section(reader)?,
            Payload::DataSection(reader) => self.data_section(reader, bytes)?,
            Payload::CodeSectionStart { count, .. } => self.bodies.reserve_exact(count as usize),
            Payload::CustomSection(section) if section.name() == "name" => {
                let start = section.data_offset();
                self.name_section = Span::new(start..start + section.data().len() as u64);
            }
            _ => {}
        }
        Ok(())
    }

    fn type_section(&mut self, reader: TypeSectionReader<'_>) -> Read {
        let offset = reader.range().start;
        for ty in reader.into_iter_err_on_gc_types() {
            let ty = ty?;
            let values = |types: &[wasmparser::ValType]| -> Option<Vec<ValType>> {
                types
                    .iter()
                    .map(|&ty| ValType::from_wasmparser(ty))
                    .collect()
            };
            let types = values(ty.params()).zip(values(ty.results()));
            let (params, results) = types.ok_or_else(|| unsupported("type", offset))?;
            self.types.push(FuncType::new(params, results));
        }
        Ok(())
    }

    fn import_section(&mut self, reader: ImportSectionReader<'_>) -> Read {
        for import in reader.into_imports_with_offsets() {
            let (offset, import) = import?;
            let ty = match import.ty {
                TypeRef::Func(ty) => {
                    self.functions.push(ty);
                    ExternType::Func(self.types[ty as usize].clone())
                }
                TypeRef::Table(ty) => {
                    self.tables.push(table_type(&ty, offset)?);
                    ExternType::Table(table_type(&ty, offset)?)
                }
                TypeRef::Memory(ty) => {
                    self.memories.push(memory_type(&ty, offset)?);
                    ExternType::Memory(memory_type(&ty, offset)?)
                }
                TypeRef::Global(ty) => {
                    self.globals.push(global_type(&ty, offset)?);
                    ExternType::Global(global_type(&ty, offset)?)
                }
                TypeRef::Tag(_) | TypeRef::FuncExact(_) => return Err(unsupported("type", offset)),
            };
            self.imports.push(ImportType {
                module: import.module.into(),
                name: import.name.into(),
                ty,
            });
        }
        self.counts.imported_functions = self.functions.len() as u32;
        self.counts.imported_globals = self.globals.len() as u32;
        Ok(())
    }

    fn global_section(&mut self, reader: GlobalSectionReader<'_>) -> Read {
        for global in reader.into_iter_with_offsets() {
            let (offset, global) = global?;
            self.globals.push(global_type(&global.ty, offset)?);
            self.global_inits.push(ConstExpr::read(&global.init_expr)?);
        }
        Ok(())
    }

    fn export_section(&mut self, reader: ExportSectionReader<'_>) -> Read {
        for export in reader.into_iter_with_offsets() {
            let (offset, export) = export?;
            let index = match export.kind {
                ExternalKind::Func => ExternIndex::Func(export.index),
                ExternalKind::Table => ExternIndex::Table(export.index),
                ExternalKind::Memory => ExternIndex::Memory(export.index),
                ExternalKind::Global => ExternIndex::Global(export.index),
                ExternalKind::Tag | ExternalKind::FuncExact => {
                    return Err(unsupported("type", offset));
                }
            };
            self.exports.push(Export {
                name: export.name.into(),
                index,
            });
        }
        Ok(())
    }

    fn element_section(&mut self, reader: ElementSectionReader<'_>) -> Read {
        for segment in reader.into_iter_with_offsets() {
            let (offset, segment) = segment?;
            let mode = match segment.kind {
                ElementKind::Passive => SegmentMode::Passive,
                ElementKind::Declared => SegmentMode::Declared,
                ElementKind::Active {
                    table_index,
                    offset_expr,
                } => SegmentMode::Active {
                    target: table_index.unwrap_or(0),
                    offset: ConstExpr::read(&offset_expr)?,
                },
            };
            let (ty, items) = match segment.items {
                wasmparser::ElementItems::Functions(functions) => {
                    let functions = functions.into_iter().collect::<Result<_, _>>()?;
                    (ValType::FuncRef, ElementItems::Functions(functions))
                }
                wasmparser::ElementItems::Expressions(ty, expressions) => {
                    let ty = ValType::from_wasmparser_ref(ty)
                        .ok_or_else(|| unsupported("type", offset))?;
                    let expressions = expressions.into_iter().map(|expr| ConstExpr::read(&expr?));
                    (
                        ty,
                        ElementItems::Expressions(expressions.collect::<Read<_>>()?),
                    )
                }
            };
            self.elements.push(ElementSegment { mode, ty, items });
        }
        Ok(())
    }

    fn data_section(&mut self, reader: DataSectionReader<'_>, bytes: &[u8]) -> Read {
        for segment in reader {
            let segment = segment?;
            let mode = match segment.kind {
                DataKind::Passive => SegmentMode::Passive,
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } => SegmentMode::Active {
                    target: memory_index,
                    offset: ConstExpr::read(&offset_expr)?,
                },
            };
            let bytes = Span::of_part(bytes, segment.data).unwrap_or_default();
            self.data.push(DataSegment { mode, bytes });
        }
        Ok(())
    }

    /// The module's own functions that something may make a reference to, sorted. Validation has made sure that a body
    /// makes references only to functions that are named outside of bodies.
    fn escaping(&self) -> Vec<u32> {
        let mut escaping = Vec::new();
        for export in &self.exports {
            if let ExternIndex::Func(index) = export.index {
                escaping.push(index);
            }
        }
        let mut named = |expr: &ConstExpr| {
            for op in expr.ops() {
                if let super::ConstOp::RefFunc(index) = *op {
                    escaping.push(index);
                }
            }
        };
        self.global_inits.iter().for_each(&mut named);
        for segment in &self.elements {
            if let ElementItems::Expressions(expressions) = &segment.items {
                expressions.iter().for_each(&mut named);
            }
        }
        for segment in &self.elements {
            if let ElementItems::Functions(functions) = &segment.items {
                escaping.extend_from_slice(functions);
            }
        }
        escaping.retain(|&index| index >= self.counts.imported_functions);
        escaping.sort_unstable();
        escaping.dedup();
        escaping
    }

    fn finish(self, bytes: ModuleBytes, options: ModuleOptions) -> Result<ModuleInfo, Error> {
        let escaping = self.escaping();
        let counts = VMCounts {
            globals: self.globals.len() as u32,
            memories: self.memories.len() as u32,
            tables: self.tables.len() as u32,
            escaping_functions: escaping.len() as u32,
            types: self.types.len() as u32,
            ..self.counts
        };
        let layout = VMLayout::new(counts)
            .ok_or_else(|| Error::invalid_module(None, "the module declares too many things"))?;
        let imported = |kind: fn(&ExternType) -> bool| {
            self.imports
                .iter()
                .filter(|import| kind(&import.ty))
                .count() as u32
        };
        let imported_tables = imported(|ty| matches!(ty, ExternType::Table(_)));
        let imported_memories = imported(|ty| matches!(ty, ExternType::Memory(_)));
        let mut exports_by_name: Vec<u32> = (0..self.exports.len() as u32).collect();
        exports_by_name.sort_unstable_by_key(|&index| &self.exports[index as usize].name);
        let exported = |pick: fn(ExternIndex) -> Option<u32>| -> HashSet<u32> {
            let exports = self.exports.iter();
            exports.filter_map(|export| pick(export.index)).collect()
        };
        let exported_globals = exported(|export| match export {
            ExternIndex::Global(index) => Some(index),
            _ => None,
        });
        let exported_memories = exported(|export| match export {
            ExternIndex::Memory(index) => Some(index),
            _ => None,
        });
        Ok(ModuleInfo {
            bytes,
            options,
            types: self.types,
            imports: self.imports,
            functions: self.functions,
            imported_functions: counts.imported_functions,
            bodies: self.bodies,
            tables: self.tables,
            imported_tables,
            memories: self.memories,
            imported_memories,
            globals: self.globals,
            imported_globals: counts.imported_globals,
            global_inits: self.global_inits,
            exports: self.exports,
            exports_by_name,
            exported_globals,
            exported_memories,
            start: self.start,
            elements: self.elements,
            data: self.data,
            escaping,
            layout,
            load_times: self.load_times,
            deferred: self.deferred,
            name_section: self.name_section,
            names: OnceLock::new(),
            unchanged: OnceLock::new(),
        })
    }
}

fn table_type(ty: &wasmparser::TableType, offset: u64) -> Read<TableType> {
    let limits = limits(ty.initial, ty.maximum, ty.table64 || ty.shared);
    let element = ValType::from_wasmparser_ref(ty.element_type);
    let ((min, max), element) = limits
        .zip(element)
        .ok_or_else(|| unsupported("type", offset))?;
    Ok(TableType { element, min, max })
}

fn memory_type(ty: &wasmparser::MemoryType, offset: u64) -> Read<MemoryType> {
    let other = ty.memory64 || ty.shared || ty.page_size_log2.is_some();
    let (min, max) =
        limits(ty.initial, ty.maximum, other).ok_or_else(|| unsupported("type", offset))?;
    Ok(MemoryType { min, max })
}

fn limits(min: u64, max: Option<u64>, unsupported: bool) -> Option<(u32, Option<u32>)> {
    if unsupported {
        return None;
    }
    let max = max.map(u32::try_from).transpose().ok()?;
    Some((u32::try_from(min).ok()?, max))
}

fn global_type(ty: &wasmparser::GlobalType, offset: u64) -> Read<GlobalType> {
    let content = ValType::from_wasmparser(ty.content_type).filter(|_| !ty.shared);
    let content = content.ok_or_else(|| unsupported("type", offset))?;
    Ok(GlobalType {
        content,
        mutable: ty.mutable,
    })
}
