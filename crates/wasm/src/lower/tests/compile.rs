//! Every operation passes Cranelift's verifier, and compiles for the machine the tests run on.

use super::harness::{OPT_LEVELS, access_in_frame, build, flags, native, operation_in_frame};
use super::instructions::{lowered, with_operator};
use crate::lower::simd::int::{i16x8_add, i16x8_mul, i32x4_add};
use crate::lower::{access, operation, operation::V128};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{ExternalName, Function, LibCall, Opcode};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::{Context, FinalizedRelocTarget, verify_function};
use std::collections::HashSet;

/// Calls `f` with a function for each operation and access, and its text.
fn for_each_function(mut f: impl FnMut(&str, Function)) {
    for text in lowered().flat_map(|instruction| instruction.texts()) {
        with_operator(&text, |op| match (operation(op), access(op)) {
            (Some(operation), _) => f(&text, operation_in_frame(&operation)),
            (_, Some(access)) => f(&text, access_in_frame(&access)),
            _ => panic!("{text} is not lowered"),
        });
    }
}

/// Compiles everything; returns the library functions that the code calls.
fn compile_all(isa: impl Fn(&str) -> OwnedTargetIsa) -> HashSet<LibCall> {
    let mut called = HashSet::new();
    for opt_level in OPT_LEVELS {
        let isa = isa(opt_level);
        for_each_function(|text, function| {
            let mut context = Context::for_function(function);
            let code = match context.compile(&*isa, &mut ControlPlane::default()) {
                Ok(code) => code,
                Err(error) => panic!("{text} at {opt_level}: {error:?}"),
            };
            for reloc in code.buffer.relocs() {
                match reloc.target {
                    FinalizedRelocTarget::ExternalName(ExternalName::LibCall(libcall)) => {
                        called.insert(libcall);
                    }
                    FinalizedRelocTarget::Func(_) => {}
                    FinalizedRelocTarget::ExternalName(_) => panic!("{text}: {reloc:?}"),
                }
            }
        });
    }
    called
}

#[test]
fn everything_verifies() {
    for_each_function(|text, function| {
        if let Err(errors) = verify_function(&function, &flags("none")) {
            panic!("{text}: {errors}\n{}", function.display());
        }
    });
}

#[test]
fn everything_compiles_for_this_processor_without_library_calls() {
    assert_eq!(compile_all(native), HashSet::new());
}

#[test]
fn everything_compiles_for_the_plainest_processor() {
    let called = compile_all(|opt_level| {
        let host = native(opt_level).triple().clone();
        isa::lookup(host)
            .expect("a supported host")
            .finish(flags(opt_level))
            .expect("an ISA")
    });
    use LibCall::*;
    let documented = HashSet::from([
        CeilF32, CeilF64, FloorF32, FloorF64, TruncF32, TruncF64, NearestF32, NearestF64, X86Pshufb,
    ]);
    assert!(called.is_subset(&documented), "{called:?}");
}

#[test]
fn no_casts_pile_up_between_operations_on_the_same_lanes() {
    let function = build(&[V128, V128], &[V128], |b, params| {
        let sum = i16x8_add(b, params[0], params[1]);
        let product = i16x8_mul(b, sum, sum);
        vec![i32x4_add(b, product, product)]
    });
    let block = function.layout.entry_block().expect("a body");
    let opcodes: Vec<_> = function
        .layout
        .block_insts(block)
        .map(|i| function.dfg.insts[i].opcode())
        .collect();
    use Opcode::*;
    let expected = [
        [Bitcast, Bitcast, Iadd, Bitcast].as_slice(), // the operands' casts, sum, canonical
        &[Imul, Bitcast],                             // the sum as it was before its cast
        &[Bitcast, Bitcast, Iadd, Bitcast],           // other lanes: one cast from what they were
        &[Return],
    ];
    assert_eq!(opcodes, expected.concat());
}
