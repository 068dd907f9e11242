//! LLVM: from the text of a module to an object in memory.

use crate::object_file;
use crate::translate::{self, Settings};
use cranelift_codegen::ir::Function;
use cranelift_codegen::settings::{self, Flags};
use cranelift_codegen::verify_function;
use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple,
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
    Target::initialize_x86(&InitializationConfig {
        asm_parser: false,
        ..InitializationConfig::default()
    });
}

/// The version of LLVM that this is linked with.
pub fn llvm_version() -> String {
    let (major, minor, patch) = inkwell::support::get_llvm_version();
    format!("{major}.{minor}.{patch}")
}

/// Does one job.
///
/// # Errors
/// As the reply says.
pub fn compile(job: &Job) -> Result<CompiledCode, CompileError> {
    let func = parse(&job.clif)?;
    let features = job
        .features
        .iter()
        .filter(|feature| FEATURES.contains(&feature.as_str()));
    let features: Vec<String> = features.map(|feature| format!("+{feature}")).collect();
    let settings = Settings {
        canonical_nans: job.canonical_nans,
        features: features.join(","),
    };
    let text = translate::module(&func, &settings)?;
    let object = object(&text, &settings, job.verify)?;
    object_file::read(object.as_slice())
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

/// Compiles a module's text.
fn object(
    text: &str,
    settings: &Settings,
    verify: bool,
) -> Result<MemoryBuffer<'static>, CompileError> {
    let failed = |what: &str, error: String| CompileError::Failed(format!("{what}: {error}"));
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "clif");
    let module = context.create_module_from_ir(buffer).map_err(|error| {
        failed(
            "LLVM does not understand the translation",
            error.to_string(),
        )
    })?;
    if verify {
        module
            .verify()
            .map_err(|error| failed("LLVM's verifier", error.to_string()))?;
    }
    let machine = machine(settings)?;
    let options = PassBuilderOptions::create();
    module
        .run_passes(PASSES, &machine, options)
        .map_err(|error| failed("LLVM's passes", error.to_string()))?;
    machine
        .write_to_memory_buffer(&module, FileType::Object)
        .map_err(|error| failed("LLVM's code generator", error.to_string()))
}

fn machine(settings: &Settings) -> Result<TargetMachine, CompileError> {
    let failed = |error: String| CompileError::Failed(format!("LLVM's target: {error}"));
    let triple = TargetTriple::create("x86_64-unknown-linux-gnu");
    let target = Target::from_triple(&triple).map_err(|error| failed(error.to_string()))?;
    target
        .create_target_machine(
            &triple,
            "x86-64",
            &settings.features,
            OptimizationLevel::Aggressive,
            RelocMode::PIC,
            CodeModel::Small,
        )
        .ok_or_else(|| failed("there is none".to_owned()))
}
