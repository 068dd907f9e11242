//! What the client makes of servers that are none, or that fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use upshift_base::{FuncId, Owner, Tier, World};
use upshift_codegen::cranelift_codegen::ir::Function;
use upshift_codegen::{CompileError, CompileKind, CompileRequest, Compiler};
use upshift_llvm::{LlvmCompiler, Options};

fn request() -> CompileRequest {
    CompileRequest {
        function: FuncId(0),
        tier: Tier::Top,
        kind: CompileKind::Entry,
        world: World::FIRST,
        owner: Owner::BUILT_IN,
        body: Function::new(),
    }
}

fn compile(server: &str) -> CompileError {
    let compiler = LlvmCompiler::new(Options::new(PathBuf::from(server)));
    let error = compiler.compile(&request()).unwrap_err();
    assert_eq!(compiler.server_process_id(), None, "it is gone");
    error
}

#[test]
fn without_a_server_everything_is_declined() {
    let error = compile("/no/such/file");
    assert!(matches!(&error, CompileError::Bailout(_)), "{error}");
}

#[test]
fn a_server_that_ends_at_once_is_given_up() {
    let error = compile("/bin/false");
    assert!(matches!(&error, CompileError::Bailout(_)), "{error}");
}

#[test]
fn a_server_that_answers_nonsense_has_failed() {
    // Its greeting is the client's own, and its reply the job.
    let script = std::env::temp_dir().join(format!("upshift-echo-{}", std::process::id()));
    fs::write(&script, "#!/bin/sh\nexec cat\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let error = compile(&script.to_string_lossy());
    fs::remove_file(&script).unwrap();
    assert!(matches!(&error, CompileError::Failed(_)), "{error}");
}
