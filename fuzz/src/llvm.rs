//! One LLVM server for all engines of a process: starting one takes longer than most cases.

use std::sync::{Arc, OnceLock};
use upshift::Backend;
use upshift::embed::{CompileError, CompileRequest, CompiledCode, Compiler};
use upshift_filetests::llvm_server;
use upshift_llvm::{LlvmCompiler, Options};

/// A compiler that outlives the engines it is given to.
#[derive(Debug)]
struct Shared(LlvmCompiler);

impl Compiler for Shared {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        self.0.compile(request)
    }

    fn wants_checked_accesses(&self) -> bool {
        self.0.wants_checked_accesses()
    }
}

/// LLVM, or nothing if there is no server.
pub fn backend() -> Backend {
    static LLVM: OnceLock<Backend> = OnceLock::new();
    let start = || match llvm_server() {
        Some(server) => Backend::Custom(Arc::new(Shared(LlvmCompiler::new(Options {
            canonical_nans: true,
            verify: true,
            ..Options::new(server)
        })))),
        None => Backend::Off,
    };
    LLVM.get_or_init(start).clone()
}
