//! A compiler that waits for the test.

use std::sync::{Arc, Barrier};
use upshift::embed::{CompileError, CompileRequest, CompiledCode, Compiler};
use upshift_cranelift::{CraneliftCompiler, Effort, Options};

/// Cranelift, which compiles when the test says so.
#[derive(Debug)]
pub struct Gated {
    pub entered: Barrier,
    pub leave: Barrier,
    inner: CraneliftCompiler,
}

impl Gated {
    pub fn new() -> Arc<Gated> {
        let options = Options {
            effort: Effort::Speed,
            canonical_nans: false,
            verify: true,
        };
        Arc::new(Gated {
            entered: Barrier::new(2),
            leave: Barrier::new(2),
            inner: CraneliftCompiler::new(options).unwrap(),
        })
    }
}

impl Compiler for Gated {
    fn name(&self) -> &str {
        "gated"
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        self.entered.wait();
        self.leave.wait();
        self.inner.compile(request)
    }
}
