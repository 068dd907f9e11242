//! LLVM: from the text of a module to an object in memory.

use crate::object_file;
use crate::translate::{self, Settings, Translation};
use cranelift_codegen::ir::Function;
use cranelift_codegen::settings::{self, Flags};
use cranelift_codegen::verify_function;
use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    self, CodeModel, FileType, InitializationConfig, RelocMode, TargetMachine, TargetTriple,
};
use upshift_codegen::{CompileError, CompiledCode};
use upshift_llvm::protocol::Job;

/// The passes that run over a function.
const PASSES: &str = "default<O3>";

/// Features that code may be compiled for: nothing else that a client names is passed on.
const FEATURES: [&str; 18] = [
    "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "bmi", "bmi2", "lzcnt", "f16c",
    "fma", "movbe", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl",
];

/// Makes LLVM ready. Once, before any job.
pub fn initialize() {
    targets::Target::initialize_x86(&InitializationConfig::default());
}

/// The version of LLVM that this is linked with.
pub fn llvm_version() -> String {
    let (major, minor, patch) = inkwell::support::get_llvm_version();
    format!("{major}.{minor}.{patch}")
}

/// What a module is compiled with.
#[derive(PartialEq, Eq)]
struct Target<'a> {
    features: Vec<&'a str>,
    verify: bool,
}

impl Target<'_> {
    fn of(job: &Job) -> Target<'_> {
        let features = job.features.iter().map(String::as_str);
        Target {
            features: features.filter(|name| FEATURES.contains(name)).collect(),
            verify: job.verify,
        }
    }

    fn features(&self) -> String {
        let features = self.features.iter().map(|feature| format!("+{feature}"));
        features.collect::<Vec<_>>().join(",")
    }
}

/// Whether two jobs may be compiled in one batch.
pub fn go_together(a: &Job, b: &Job) -> bool {
    Target::of(a) == Target::of(b)
}

/// Does a batch of jobs that go together, in one module: most of what LLVM does for a small function it does for each
/// module. Results are in the order of the jobs.
pub fn compile(jobs: &[Job]) -> Vec<Result<CompiledCode, CompileError>> {
    let Some(target) = jobs.first().map(Target::of) else {
        return Vec::new();
    };
    let translated: Vec<_> = jobs.iter().map(|job| translate(job, &target)).collect();
    let modules: Vec<&Translation> = translated.iter().flatten().collect();
    let mut compiled = module(&modules, &target).into_iter();
    let results = translated.iter().map(|text| match text {
        Ok(_) => compiled
            .next()
            .unwrap_or_else(|| failed("LLVM", "no code".to_owned())),
        Err(error) => Err(error.clone()),
    });
    results.collect()
}

fn translate(job: &Job, target: &Target<'_>) -> Result<Translation, CompileError> {
    let settings = Settings {
        canonical_nans: job.canonical_nans,
        features: target.features(),
    };
    translate::module(&parse(&job.clif)?, &settings)
}

/// Compiles the functions of these modules as one module, or each by itself if that fails.
fn module(
    modules: &[&Translation],
    target: &Target<'_>,
) -> Vec<Result<CompiledCode, CompileError>> {
    match object(modules, target) {
        Ok(object) => {
            let read = |(index, module): (usize, &&Translation)| {
                object_file::read(object.as_slice(), index, module.stack_bytes)
            };
            modules.iter().enumerate().map(read).collect()
        }
        Err(_) if modules.len() > 1 => {
            let alone = modules.iter().flat_map(|alone| module(&[alone], target));
            alone.collect()
        }
        Err(error) => modules.iter().map(|_| Err(error.clone())).collect(),
    }
}

fn failed<T>(what: &str, error: String) -> Result<T, CompileError> {
    Err(CompileError::Failed(format!("{what}: {error}")))
}

/// The one function in CLIF text, verified: the text may come from anybody.
pub fn parse(clif: &str) -> Result<Function, CompileError> {
    let failed = |error: String| CompileError::Failed(format!("reading CLIF: {error}"));
    let functions =
        cranelift_reader::parse_functions(clif).map_err(|error| failed(error.to_string()))?;
    let [func] = <[Function; 1]>::try_from(functions)
        .map_err(|functions| failed(format!("{} functions instead of one", functions.len())))?;
    let flags = Flags::new(settings::builder());
    verify_function(&func, &flags).map_err(|errors| failed(errors.to_string()))?;
    Ok(func)
}

/// One object with the functions of all these modules.
fn object(
    modules: &[&Translation],
    target: &Target<'_>,
) -> Result<MemoryBuffer<'static>, CompileError> {
    let context = Context::create();
    let mut whole: Option<Module<'_>> = None;
    for (index, module) in modules.iter().enumerate() {
        let module = read_module(&context, &module.text, index)?;
        match &whole {
            None => whole = Some(module),
            Some(whole) => whole
                .link_in_module(module)
                .or_else(|error| failed("LLVM's linker", error.to_string()))?,
        }
    }
    let Some(module) = whole else {
        return failed("LLVM", "nothing to compile".to_owned());
    };
    if target.verify {
        module
            .verify()
            .or_else(|error| failed("LLVM's verifier", error.to_string()))?;
    }
    let machine = machine(&target.features())?;
    let options = PassBuilderOptions::create();
    module
        .run_passes(PASSES, &machine, options)
        .or_else(|error| failed("LLVM's passes", error.to_string()))?;
    machine
        .write_to_memory_buffer(&module, FileType::Object)
        .or_else(|error| failed("LLVM's code generator", error.to_string()))
}

/// The module in that text, its function named after its place in the batch and in sections of its own.
fn read_module<'c>(
    context: &'c Context,
    text: &str,
    index: usize,
) -> Result<Module<'c>, CompileError> {
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "clif");
    let module = context.create_module_from_ir(buffer);
    let module = module.or_else(|error| {
        failed(
            "LLVM does not understand the translation",
            error.to_string(),
        )
    })?;
    let Some(function) = module.get_function(translate::FUNCTION) else {
        return failed("LLVM", "the translation has no function".to_owned());
    };
    let name = object_file::symbol(index);
    let global = function.as_global_value();
    global.set_name(&name);
    // What belongs to a comdat's function, such as its jump tables, gets sections of its own too.
    global.set_comdat(module.get_or_insert_comdat(&name));
    function.set_section(Some(&object_file::section(index)));
    Ok(module)
}

fn machine(features: &str) -> Result<TargetMachine, CompileError> {
    let failed = |error: String| CompileError::Failed(format!("LLVM's target: {error}"));
    let triple = TargetTriple::create("x86_64-unknown-linux-gnu");
    let target =
        targets::Target::from_triple(&triple).map_err(|error| failed(error.to_string()))?;
    target
        .create_target_machine(
            &triple,
            "x86-64",
            features,
            OptimizationLevel::Aggressive,
            RelocMode::PIC,
            CodeModel::Small,
        )
        .ok_or_else(|| failed("there is none".to_owned()))
}
