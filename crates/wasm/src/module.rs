//! A module, ready to be instantiated.
//!
//! Loading a module decodes and validates it and compiles nothing: its functions are compiled one by one, each at its
//! first call. All instances of a module share its code, so they also share what has been learned of what is hot.

use crate::error::{Error, Result};
use crate::info::{
    Export, ImportType, ModuleBytes, ModuleInfo, ModuleOptions, decode, decode_lazily,
};
use crate::translate::ModuleSource;
use crate::types::ExternType;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use upshift::Engine;
use upshift::embed::{FuncId, FunctionGroup};

/// A decoded and validated WebAssembly module. Cloning is cheap.
///
/// ```
/// use upshift_wasm::{Config, Engine, Module};
///
/// let engine = Engine::new(Config::default())?;
/// let module = Module::new(&engine, "(module (func (export \"f\")))")?;
/// assert_eq!(module.exports().map(|export| export.name()).collect::<Vec<_>>(), ["f"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    engine: Engine,
    info: Arc<ModuleInfo>,
    /// The functions as the engine knows them, defined when the module is first instantiated.
    functions: OnceLock<FunctionGroup>,
    /// Held while they are being defined.
    defining: Mutex<()>,
}

/// Something that a module exports.
#[derive(Clone, Copy)]
pub struct ExportType<'a> {
    info: &'a ModuleInfo,
    export: &'a Export,
}

impl<'a> ExportType<'a> {
    /// By what name.
    pub fn name(&self) -> &'a str {
        &self.export.name
    }

    /// What it is.
    pub fn ty(&self) -> ExternType {
        self.info.extern_type(self.export.index)
    }
}

impl fmt::Debug for ExportType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.name(), self.ty())
    }
}

impl Module {
    /// Loads a module from its binary form or from WebAssembly text.
    ///
    /// # Errors
    /// If the module is malformed or invalid, or uses a proposal that is not supported.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        Module::with_options(engine, bytes, ModuleOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn with_options(
        engine: &Engine,
        bytes: impl AsRef<[u8]>,
        options: ModuleOptions,
    ) -> Result<Module> {
        Module::from_vec(engine, bytes.as_ref().to_vec(), options)
    }

    /// Loads a module from a file, which is in binary form or in text.
    ///
    /// # Errors
    /// If the file cannot be read, and as [`Module::new`]. The error names the file.
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        Module::from_file_with_options(engine, path, ModuleOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Module::from_file`].
    pub fn from_file_with_options(
        engine: &Engine,
        path: impl AsRef<Path>,
        options: ModuleOptions,
    ) -> Result<Module> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Error::host(error).context(name()))?;
        Module::from_vec(engine, bytes, options).map_err(|error| error.context(name()))
    }

    /// Loads a module from a file in binary form, and puts off what can be: its code section is mapped, not read, and each
    /// function is read and validated when it is first used. A function that is then found to be invalid fails to be
    /// called.
    ///
    /// For large programs, of which most is not used in a run. While the module lives the file should not be changed:
    /// functions that were not used before may be the changed ones, and if the file is made shorter, using one may end
    /// the process by a signal.
    ///
    /// # Errors
    /// If the file cannot be read or is not in binary form, or something other than a function's body is invalid.
    pub fn from_file_lazily(
        engine: &Engine,
        path: impl AsRef<Path>,
        options: ModuleOptions,
    ) -> Result<Module> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let bytes = File::open(path).and_then(|file| ModuleBytes::map(&file));
        let bytes = bytes.map_err(|error| Error::host(error).context(name()))?;
        let info = decode_lazily(bytes, options).map_err(|error| error.context(name()))?;
        Ok(Module::with_info(engine, info))
    }

    /// [`Module::with_options`] without a copy of the bytes.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn from_vec(engine: &Engine, bytes: Vec<u8>, options: ModuleOptions) -> Result<Module> {
        Ok(Module::with_info(engine, decode(binary(bytes)?, options)?))
    }

    /// Checks that [`Module::new`] would succeed, without an engine.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn validate(bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = binary(bytes.as_ref().to_vec())?;
        decode(bytes, ModuleOptions::default()).map(drop)
    }

    fn with_info(engine: &Engine, info: ModuleInfo) -> Module {
        Module(Arc::new(Inner {
            engine: engine.clone(),
            info: Arc::new(info),
            functions: OnceLock::new(),
            defining: Mutex::new(()),
        }))
    }

    /// The engine that the module was loaded with.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The name that the module gives itself.
    pub fn name(&self) -> Option<&str> {
        self.0.info.name()
    }

    /// What the module needs from outside, in its order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = &ImportType> {
        self.0.info.imports.iter()
    }

    /// What the module offers, in its order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        let info = &*self.0.info;
        info.exports
            .iter()
            .map(move |export| ExportType { info, export })
    }

    /// The type of the export of that name.
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        let export = self.0.info.export(name)?;
        Some(self.0.info.extern_type(export.index))
    }

    /// How many functions the module has, imported ones counted.
    pub fn function_count(&self) -> u32 {
        self.0.info.functions.len() as u32
    }

    /// How many of its functions are imported; they come first.
    pub fn imported_function_count(&self) -> u32 {
        self.0.info.imported_functions
    }

    /// The name that the module gives its function `index`, imported ones counted.
    pub fn func_name(&self, index: u32) -> Option<&str> {
        self.0.info.func_name(index)
    }

    /// Bytes of the module's binary form.
    pub fn byte_count(&self) -> usize {
        self.0.info.bytes.len()
    }

    /// How many of its own functions have been validated: all, unless that was put off.
    pub fn validated_function_count(&self) -> u32 {
        self.0.info.validated_count()
    }

    /// How long it took to decode the sections, and then to validate the function bodies.
    pub fn load_times(&self) -> (Duration, Duration) {
        self.0.info.load_times
    }

    /// All that is known of the module.
    pub(crate) fn info(&self) -> &Arc<ModuleInfo> {
        &self.0.info
    }

    /// The functions of the module that are not imported, in the engine: number 0 is the first of them.
    ///
    /// They are defined when they are first asked for; that compiles none of them.
    ///
    /// # Errors
    /// If the engine has no room for so many functions.
    pub fn functions(&self) -> Result<&FunctionGroup> {
        let inner = &*self.0;
        if let Some(functions) = inner.functions.get() {
            return Ok(functions);
        }
        let _defining = inner
            .defining
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(functions) = inner.functions.get() {
            return Ok(functions);
        }
        let source = Arc::new(ModuleSource::new(inner.info.clone()));
        let functions = inner
            .engine
            .define(source, inner.info.bodies.len() as u32)
            .map_err(|error| Error::from(error).context("cannot define the module's functions"))?;
        Ok(inner.functions.get_or_init(|| functions))
    }

    /// The index in the module of one of its own functions.
    pub fn func_index_of(&self, function: FuncId) -> Option<u32> {
        let functions = self.0.functions.get()?;
        let first = functions.id(0);
        let own = function
            .0
            .checked_sub(first.0)
            .filter(|&own| own < functions.len())?;
        Some(self.0.info.imported_functions + own)
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("name", &self.name())
            .field("bytes", &self.byte_count())
            .field("functions", &self.function_count())
            .finish_non_exhaustive()
    }
}

/// A module in its binary form, translated from text if it is not in it.
fn binary(bytes: Vec<u8>) -> Result<Vec<u8>> {
    // What is left of a truncated binary module is not text either.
    if bytes.is_empty() || bytes.starts_with(b"\0") {
        return Ok(bytes);
    }
    match wat::parse_bytes(&bytes) {
        Ok(std::borrow::Cow::Owned(binary)) => Ok(binary),
        Ok(std::borrow::Cow::Borrowed(_)) => Ok(bytes),
        Err(error) => Err(Error::invalid_module(None, error.to_string())),
    }
}
