//! Modules of functions given as CLIF.

use crate::typed::{FuncParams, FuncResults, HostResult, TypedFunc, check_signature};
use crate::{Engine, Error, Function};
use cranelift_codegen::ir::{self, FuncRef, Signature, UserExternalName};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;
use upshift_base::FuncId;
use upshift_codegen::{BodyEntry, BodyRequest, CompileError, loops, symbol};
use upshift_runtime::{
    FunctionGroup, FunctionSource, HostEntry, RawValue, host_call, host_function_body,
};

/// A function declared in a [`ModuleBuilder`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FuncIndex(u32);

/// Host code behind an import. Starts with the entry, as host stubs expect.
#[repr(C)]
struct HostContext {
    entry: HostEntry,
    code: Box<dyn Fn(*mut RawValue) -> Result<(), upshift_runtime::HostFailure> + Send + Sync>,
}

enum Definition {
    Missing,
    Body(Box<ir::Function>),
    HostAddress(*const u8),
    HostCode(Box<HostContext>),
}

struct Declaration {
    name: String,
    signature: Signature,
    definition: Definition,
}

/// Collects functions that call one another, and imports, until they become a [`Module`].
///
/// See the crate's example. Functions may be declared and defined in any order.
pub struct ModuleBuilder {
    engine: Engine,
    declarations: Vec<Declaration>,
}

impl std::fmt::Debug for ModuleBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.declarations.iter().map(|d| d.name.as_str()).collect();
        f.debug_struct("ModuleBuilder")
            .field("functions", &names)
            .finish_non_exhaustive()
    }
}

impl ModuleBuilder {
    /// An empty module for `engine`.
    pub fn new(engine: &Engine) -> ModuleBuilder {
        ModuleBuilder {
            engine: engine.clone(),
            declarations: Vec::new(),
        }
    }

    /// Declares a function that will be defined.
    pub fn declare(&mut self, name: &str, signature: Signature) -> FuncIndex {
        self.add(name, signature, Definition::Missing)
    }

    fn add(&mut self, name: &str, signature: Signature, definition: Definition) -> FuncIndex {
        self.declarations.push(Declaration {
            name: name.to_owned(),
            signature,
            definition,
        });
        FuncIndex(self.declarations.len() as u32 - 1)
    }

    /// Makes a declared function callable from `body`, the CLIF of another function of this module.
    ///
    /// # Panics
    /// If `function` was declared by another builder.
    pub fn declare_in(&self, function: FuncIndex, body: &mut ir::Function) -> FuncRef {
        let signature = self.declarations[function.0 as usize].signature.clone();
        let signature = body.import_signature(signature);
        symbol::import_function(body, FuncId(function.0), signature)
    }

    /// Gives a declared function its body.
    ///
    /// # Errors
    /// If the body is not valid CLIF, has another signature than was declared, or was given before.
    pub fn define(&mut self, function: FuncIndex, body: ir::Function) -> Result<(), Error> {
        let count = self.declarations.len();
        let Some(declaration) = self.declarations.get_mut(function.0 as usize) else {
            return Err(Error::invalid(
                "defining a function",
                "it was declared by another builder",
            ));
        };
        let name = || format!("function {}", declaration.name);
        if !matches!(declaration.definition, Definition::Missing) {
            return Err(Error::invalid(name(), "it is defined already"));
        }
        if body.signature != declaration.signature {
            let (own, declared) = (&body.signature, &declaration.signature);
            let reason = format!("the body's signature {own} is not the declared one, {declared}");
            return Err(Error::invalid(name(), reason));
        }
        for (_, callee) in body.params.user_named_funcs().iter() {
            if callee.namespace == symbol::FUNCTION && callee.index as usize >= count {
                let reason = format!("it calls {callee}, which was not declared by this builder");
                return Err(Error::invalid(name(), reason));
            }
        }
        let flags = ir_flags();
        if let Err(errors) = cranelift_codegen::verify_function(&body, &flags) {
            let pretty =
                cranelift_codegen::print_errors::pretty_verifier_error(&body, None, errors);
            return Err(Error::invalid(name(), format!("invalid CLIF: {pretty}")));
        }
        declaration.definition = Definition::Body(Box::new(body));
        Ok(())
    }

    /// Imports a Rust closure.
    ///
    /// # Errors
    /// If `signature` is not the closure's.
    pub fn import<Params, Returned, F>(
        &mut self,
        name: &str,
        signature: Signature,
        code: F,
    ) -> Result<FuncIndex, Error>
    where
        Params: FuncParams + 'static,
        Returned: HostResult + 'static,
        F: Fn(Params) -> Returned + Send + Sync + 'static,
    {
        check_signature::<Params, Returned::Results>(name, &signature)?;
        let count = signature.params.len().max(signature.returns.len());
        let code = move |values: *mut RawValue| {
            let values = match count {
                0 => &mut [],
                // SAFETY: the stub passes a buffer for as many values as the signature has on either side.
                _ => unsafe { std::slice::from_raw_parts_mut(values, count) },
            };
            code(Params::load(values)).into_results()?.store(values);
            Ok(())
        };
        let context = HostContext {
            entry: call_host_code,
            code: Box::new(code),
        };
        Ok(self.add(name, signature, Definition::HostCode(Box::new(context))))
    }

    /// Imports native code by its address: it is called directly.
    ///
    /// # Safety
    /// `address` must be a function of that signature, its calling convention included, and stay valid as long as the
    /// module. It must not unwind.
    pub unsafe fn import_address(
        &mut self,
        name: &str,
        signature: Signature,
        address: *const u8,
    ) -> FuncIndex {
        self.add(name, signature, Definition::HostAddress(address))
    }

    /// Makes the functions callable. Nothing is compiled yet.
    ///
    /// # Errors
    /// If a function was declared and not defined, two have the same name, or code memory is full.
    pub fn finish(self) -> Result<Module, Error> {
        let mut places = Vec::with_capacity(self.declarations.len());
        let mut functions = ClifFunctions::default();
        let mut imports = HostFunctions::default();
        let mut addresses = Vec::new();
        let mut by_name = HashMap::new();
        for declaration in self.declarations {
            let Declaration {
                name,
                signature,
                definition,
            } = declaration;
            let index = by_name.len() as u32;
            if by_name
                .insert(name.clone(), (index, signature.clone()))
                .is_some()
            {
                return Err(Error::invalid(
                    format!("function {name}"),
                    "the name is taken already",
                ));
            }
            let address = match definition {
                Definition::Missing => {
                    return Err(Error::invalid(
                        format!("function {name}"),
                        "it has no definition",
                    ));
                }
                Definition::Body(body) => {
                    places.push(Place::Own(functions.bodies.len() as u32));
                    functions.bodies.push((name, *body));
                    continue;
                }
                Definition::HostAddress(address) => Some(address),
                Definition::HostCode(context) => {
                    imports.contexts.push(context);
                    None
                }
            };
            let context = address.is_none().then(|| imports.contexts.len() - 1);
            places.push(Place::Import(addresses.len() as u32));
            imports.functions.push((name, signature, context));
            addresses.push(address);
        }
        Module::new(
            &self.engine,
            places,
            functions,
            imports,
            &addresses,
            by_name,
        )
    }
}

fn ir_flags() -> cranelift_codegen::settings::Flags {
    cranelift_codegen::settings::Flags::new(cranelift_codegen::settings::builder())
}

unsafe extern "C" fn call_host_code(context: *mut c_void, values: *mut RawValue, frame: usize) {
    // SAFETY: stubs pass the context that they were made with, which the module keeps.
    let context = unsafe { &*context.cast::<HostContext>() };
    // SAFETY: the frame is the stub's, and nothing here needs dropping.
    unsafe { host_call(frame, || (context.code)(values)) }
}

/// Where a declared function ended up: in the group of imports, or in that of the module's own functions.
#[derive(Clone, Copy, Debug)]
enum Place {
    Import(u32),
    Own(u32),
}

/// A module whose functions can be called.
#[derive(Clone, Debug)]
pub struct Module {
    engine: Engine,
    functions: FunctionGroup,
    imports: FunctionGroup,
    places: Arc<[Place]>,
    by_name: Arc<HashMap<String, (u32, Signature)>>,
}

impl Module {
    fn new(
        engine: &Engine,
        places: Vec<Place>,
        mut functions: ClifFunctions,
        imports: HostFunctions,
        addresses: &[Option<*const u8>],
        by_name: HashMap<String, (u32, Signature)>,
    ) -> Result<Module, Error> {
        // SAFETY: `import_address` was promised that the addresses fit their signatures.
        let imports = unsafe { engine.runtime().define_host(Arc::new(imports), addresses) }?;
        let places: Arc<[Place]> = places.into();
        functions.places = Arc::clone(&places);
        functions.imports = Some(imports.clone());
        let count = functions.bodies.len() as u32;
        let functions = engine.define(Arc::new(functions), count)?;
        Ok(Module {
            engine: engine.clone(),
            functions,
            imports,
            places,
            by_name: Arc::new(by_name),
        })
    }

    /// The function of that name, if the module has one.
    pub fn function(&self, name: &str) -> Option<Function> {
        let (index, _) = self.by_name.get(name)?;
        match self.places[*index as usize] {
            Place::Import(index) => Function::new(self.imports.clone(), index),
            Place::Own(index) => Function::new(self.functions.clone(), index),
        }
    }

    /// The function of that name with its Rust type, which is checked here once.
    ///
    /// # Errors
    /// If there is no such function, or its type is another.
    ///
    /// # Safety
    /// CLIF can do anything to memory. Calling the function must be sound whatever arguments of these types it gets.
    pub unsafe fn typed<Params: FuncParams, Results: FuncResults>(
        &self,
        name: &str,
    ) -> Result<TypedFunc<Params, Results>, Error> {
        let (Some(function), Some((_, signature))) = (self.function(name), self.by_name.get(name))
        else {
            return Err(Error::invalid(
                format!("function {name}"),
                "the module has none of that name",
            ));
        };
        // SAFETY: as the caller promises.
        unsafe { TypedFunc::new(&self.engine, function, signature) }
    }
}

/// A module's own functions. Their CLIF names functions by their index in the builder.
#[derive(Default)]
struct ClifFunctions {
    bodies: Vec<(String, ir::Function)>,
    places: Arc<[Place]>,
    imports: Option<FunctionGroup>,
}

impl FunctionSource for ClifFunctions {
    fn body(&self, request: &BodyRequest<'_>) -> Result<ir::Function, CompileError> {
        let mut body = self.bodies[request.index as usize].1.clone();
        let named: Vec<_> = body
            .params
            .user_named_funcs()
            .iter()
            .map(|(at, name)| (at, name.clone()))
            .collect();
        for (at, name) in named {
            if name.namespace != symbol::FUNCTION {
                continue;
            }
            let id = match (self.places.get(name.index as usize), &self.imports) {
                (Some(Place::Own(index)), _) => FuncId(request.first.0 + index),
                (Some(Place::Import(index)), Some(imports)) => imports.id(*index),
                _ => {
                    return Err(CompileError::Failed(format!(
                        "it calls {name}, which does not exist"
                    )));
                }
            };
            body.params
                .reset_user_func_name(at, UserExternalName::new(symbol::FUNCTION, id.0));
        }
        if request.osr_points {
            loops::mark(&mut body);
        }
        match request.entry {
            BodyEntry::Start => Ok(body),
            BodyEntry::Loop(index) => loops::enter(body, index),
            BodyEntry::Points(_) => {
                let why = "finished CLIF has no guards to go back from";
                Err(CompileError::Bailout(why.to_owned()))
            }
        }
    }

    fn name(&self, index: u32) -> String {
        self.bodies[index as usize].0.clone()
    }

    /// CLIF has no source bytes; eight an instruction is about what a bytecode takes.
    fn source_bytes(&self, index: u32) -> u32 {
        u32::try_from(self.bodies[index as usize].1.dfg.num_insts() * 8).unwrap_or(u32::MAX)
    }
}

/// A module's imports, with the contexts of those that are closures. The code holds the contexts' addresses.
#[allow(clippy::vec_box)]
#[derive(Default)]
struct HostFunctions {
    functions: Vec<(String, Signature, Option<usize>)>,
    contexts: Vec<Box<HostContext>>,
}

impl FunctionSource for HostFunctions {
    fn body(&self, request: &BodyRequest<'_>) -> Result<ir::Function, CompileError> {
        let (name, signature, context) = &self.functions[request.index as usize];
        let Some(context) = context.and_then(|index| self.contexts.get(index)) else {
            return Err(CompileError::Failed(format!("{name} is native code")));
        };
        // SAFETY: the context is boxed, starts with its entry, and lives as long as this source, which the code's group
        // owns.
        Ok(unsafe { host_function_body(signature, std::ptr::from_ref(&**context).cast()) })
    }

    fn name(&self, index: u32) -> String {
        self.functions[index as usize].0.clone()
    }

    fn source_bytes(&self, _index: u32) -> u32 {
        0
    }
}
