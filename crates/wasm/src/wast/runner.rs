//! Runs a script's directives one by one.

use super::matching::{argument, is_expected, is_expected_trap};
use super::report::{WastOptions, WastVersion};
use super::spectest;
use crate::error::{Error, ErrorKind};
use crate::handle::Instance;
use crate::linker::Linker;
use crate::module::Module;
use crate::store::Store;
use crate::val::{Extern, Val};
use std::collections::HashMap;
use upshift::Engine;
use upshift::embed::TrapKind;
use wasmparser::{Validator, WasmFeatures};
use wast::core::WastRetCore;
use wast::token::Id;
use wast::{QuoteWat, QuoteWatTest, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// What a directive came to: whether it counts as an assertion that holds, or what is wrong.
pub(super) type Outcome = Result<bool, String>;

/// A script being run.
pub(super) struct Runner<'o> {
    options: &'o WastOptions,
    engine: Engine,
    store: Store<()>,
    /// The module `spectest` and what the script registered.
    linker: Linker<()>,
    /// The last instance made; `None` if making it failed.
    current: Option<Instance>,
    instances: HashMap<String, Instance>,
    definitions: HashMap<String, Module>,
    last_definition: Option<Module>,
}

/// Why a module could not be used.
enum ModuleError {
    /// It is not WebAssembly, or not valid.
    Invalid(String),
    /// It could not be instantiated.
    Instantiation(Error),
}

impl std::fmt::Display for ModuleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ModuleError::Invalid(message) => f.write_str(message),
            ModuleError::Instantiation(error) => write!(f, "{error:#}"),
        }
    }
}

impl<'o> Runner<'o> {
    pub(super) fn new(engine: &Engine, options: &'o WastOptions) -> crate::error::Result<Self> {
        let mut store = Store::new(engine, ());
        store.set_limits(options.limits);
        let mut linker = Linker::new(engine);
        spectest::define(&mut linker, &mut store)?;
        linker.allow_shadowing(true);
        Ok(Runner {
            options,
            engine: engine.clone(),
            store,
            linker,
            current: None,
            instances: HashMap::new(),
            definitions: HashMap::new(),
            last_definition: None,
        })
    }

    pub(super) fn run(&mut self, directive: WastDirective<'_>) -> Outcome {
        match directive {
            WastDirective::Module(module) => self.module(module),
            WastDirective::ModuleDefinition(module) => self.definition(module),
            WastDirective::ModuleInstance {
                instance, module, ..
            } => self.module_instance(instance, module),
            WastDirective::Register { name, module, .. } => self.register(name, module),
            WastDirective::Invoke(invoke) => self
                .invoke(invoke)
                .map(|_| false)
                .map_err(|error| format!("{error:#}")),
            WastDirective::AssertReturn { exec, results, .. } => self.assert_return(exec, &results),
            WastDirective::AssertTrap { exec, message, .. } => self.assert_trap(exec, message),
            WastDirective::AssertExhaustion { call, message, .. } => {
                self.assert_trap(WastExecute::Invoke(call), message)
            }
            WastDirective::AssertInvalid {
                module, message, ..
            }
            | WastDirective::AssertMalformed {
                module, message, ..
            }
            | WastDirective::AssertInvalidCustom {
                module, message, ..
            }
            | WastDirective::AssertMalformedCustom {
                module, message, ..
            } => self.assert_refused(module, message),
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => self.assert_unlinkable(module, message),
            WastDirective::AssertException { .. } => Err(unsupported("exceptions")),
            WastDirective::AssertSuspension { .. } => Err(unsupported("stack switching")),
            WastDirective::Thread(_) | WastDirective::Wait { .. } => Err(unsupported("threads")),
        }
    }

    fn module(&mut self, mut module: QuoteWat<'_>) -> Outcome {
        self.current = None;
        let name = module.name();
        let module = self.load(&mut module).map_err(|error| error.to_string())?;
        let instance = self
            .instantiate(&module)
            .map_err(|error| error.to_string())?;
        self.name_instance(name, instance);
        Ok(false)
    }

    fn definition(&mut self, mut module: QuoteWat<'_>) -> Outcome {
        let name = module.name();
        let module = self.load(&mut module).map_err(|error| error.to_string())?;
        if let Some(name) = name {
            self.definitions
                .insert(name.name().to_owned(), module.clone());
        }
        self.last_definition = Some(module);
        Ok(false)
    }

    fn module_instance(&mut self, instance: Option<Id<'_>>, module: Option<Id<'_>>) -> Outcome {
        let module = match module {
            Some(name) => self.definitions.get(name.name()),
            None => self.last_definition.as_ref(),
        };
        let module = module
            .cloned()
            .ok_or("there is no such module definition")?;
        let made = self
            .instantiate(&module)
            .map_err(|error| error.to_string())?;
        self.name_instance(instance, made);
        Ok(false)
    }

    fn name_instance(&mut self, name: Option<Id<'_>>, instance: Instance) {
        if let Some(name) = name {
            self.instances.insert(name.name().to_owned(), instance);
        }
        self.current = Some(instance);
    }

    fn register(&mut self, name: &str, module: Option<Id<'_>>) -> Outcome {
        let instance = self.find(module).map_err(|error| error.to_string())?;
        self.linker
            .instance(&self.store, name, instance)
            .map_err(|error| format!("{error:#}"))?;
        Ok(false)
    }

    fn find(&self, name: Option<Id<'_>>) -> Result<Instance, Error> {
        match name {
            Some(name) => self
                .instances
                .get(name.name())
                .copied()
                .ok_or_else(|| Error::new(format!("there is no instance `${}`", name.name()))),
            None => self
                .current
                .ok_or_else(|| Error::new("there is no current instance")),
        }
    }

    /// Decodes and validates a module.
    fn load(&self, module: &mut QuoteWat<'_>) -> Result<Module, ModuleError> {
        let bytes = binary(module).map_err(ModuleError::Invalid)?;
        self.load_bytes(&bytes)
    }

    fn load_bytes(&self, bytes: &[u8]) -> Result<Module, ModuleError> {
        Module::with_options(&self.engine, bytes, self.options.module)
            .map_err(|error| ModuleError::Invalid(error.to_string()))
    }

    fn instantiate(&mut self, module: &Module) -> Result<Instance, ModuleError> {
        self.linker
            .instantiate(&mut self.store, module)
            .map_err(ModuleError::Instantiation)
    }

    fn load_and_instantiate(&mut self, mut module: Wat<'_>) -> Result<Instance, ModuleError> {
        let bytes = module
            .encode()
            .map_err(|error| ModuleError::Invalid(error.message()))?;
        let module = self.load_bytes(&bytes)?;
        self.instantiate(&module)
    }

    fn invoke(&mut self, invoke: WastInvoke<'_>) -> Result<Vec<Val>, Error> {
        let instance = self.find(invoke.module)?;
        let func = instance
            .get_func(&self.store, invoke.name)
            .ok_or_else(|| Error::new(format!("there is no function `{}`", invoke.name)))?;
        let mut arguments = Vec::with_capacity(invoke.args.len());
        for arg in &invoke.args {
            match arg {
                WastArg::Core(arg) => arguments.push(argument(&mut self.store, arg)?),
                _ => return Err(Error::new("component values are not supported")),
            }
        }
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        func.call(&mut self.store, &arguments, &mut results)?;
        Ok(results)
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Vec<Val>, ModuleError> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(invoke).map_err(ModuleError::Instantiation),
            WastExecute::Wat(module) => self.load_and_instantiate(module).map(|_| Vec::new()),
            WastExecute::Get { module, global, .. } => {
                let instance = self.find(module).map_err(ModuleError::Instantiation)?;
                match instance.get_export(&self.store, global) {
                    Some(Extern::Global(global)) => Ok(vec![global.get(&self.store)]),
                    _ => Err(ModuleError::Invalid(format!(
                        "there is no global `{global}`"
                    ))),
                }
            }
        }
    }

    fn assert_return(&mut self, exec: WastExecute<'_>, expected: &[WastRet<'_>]) -> Outcome {
        let results = self.execute(exec).map_err(|error| error.to_string())?;
        let expected: Vec<&WastRetCore<'_>> = expected
            .iter()
            .filter_map(|expected| match expected {
                WastRet::Core(expected) => Some(expected),
                _ => None,
            })
            .collect();
        let matches = results.len() == expected.len()
            && results
                .iter()
                .zip(&expected)
                .all(|(result, expected)| is_expected(&self.store, result, expected));
        match matches {
            true => Ok(true),
            false => Err(format!("expected {expected:x?}, got {results:x?}")),
        }
    }

    fn assert_trap(&mut self, exec: WastExecute<'_>, message: &str) -> Outcome {
        let error = match self.execute(exec) {
            Ok(results) => return Err(format!("expected `{message}`, got {results:x?}")),
            Err(ModuleError::Invalid(error)) => return Err(error),
            Err(ModuleError::Instantiation(error)) => error,
        };
        let kind = error.trap().map(|trap| trap.kind());
        match kind {
            Some(TrapKind::CompilationFailed) | None => {
                Err(format!("expected `{message}`, got {error:#}"))
            }
            Some(kind) if is_expected_trap(kind, message) => Ok(true),
            Some(kind) => Err(format!("expected `{message}`, got `{kind}`")),
        }
    }

    fn assert_refused(&mut self, mut module: QuoteWat<'_>, message: &str) -> Outcome {
        let Ok(bytes) = binary(&mut module) else {
            return Ok(true);
        };
        if self.load_bytes(&bytes).is_err() || self.is_later_than_version(&bytes) {
            return Ok(true);
        }
        Err(format!(
            "the module should be refused with `{message}`, but was accepted"
        ))
    }

    /// Whether the module is only valid in a later version than the script was written for.
    fn is_later_than_version(&self, bytes: &[u8]) -> bool {
        match self.options.version {
            WastVersion::Supported => false,
            WastVersion::V2 => Validator::new_with_features(WasmFeatures::WASM2)
                .validate_all(bytes)
                .is_err(),
        }
    }

    fn assert_unlinkable(&mut self, module: Wat<'_>, message: &str) -> Outcome {
        match self.load_and_instantiate(module) {
            Ok(_) => Err(format!(
                "expected the link error `{message}`, but it was instantiated"
            )),
            Err(ModuleError::Instantiation(error)) if error.kind() == ErrorKind::Link => Ok(true),
            Err(error) => Err(format!("expected the link error `{message}`, got {error}")),
        }
    }
}

/// The binary form of a module of a script.
fn binary(module: &mut QuoteWat<'_>) -> Result<Vec<u8>, String> {
    match module.to_test().map_err(|error| error.message())? {
        QuoteWatTest::Binary(bytes) => Ok(bytes),
        QuoteWatTest::Text(text) => {
            let text = std::str::from_utf8(&text).map_err(|_| "malformed UTF-8 encoding")?;
            let buffer = wast::parser::ParseBuffer::new(text).map_err(|error| error.message())?;
            let mut module =
                wast::parser::parse::<Wat<'_>>(&buffer).map_err(|error| error.message())?;
            module.encode().map_err(|error| error.message())
        }
    }
}

fn unsupported(what: &str) -> String {
    format!("{what} are not supported")
}
