//! The artefacts have the shape that the linker and the runtime rely on.

use super::*;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, MemFlagsData, types};
use cranelift_codegen::isa::CallConv;
use upshift_base::{FuncId, Owner, Tier, TrapKind, World};
use upshift_codegen::{CompileKind, RelocKind, Target, symbol};

fn compiler(effort: Effort) -> CraneliftCompiler {
    CraneliftCompiler::new(Options {
        effort,
        canonical_nans: false,
        verify: true,
    })
    .unwrap()
}

fn request(body: ir::Function) -> CompileRequest {
    CompileRequest {
        function: FuncId(0),
        tier: Tier::Baseline,
        kind: CompileKind::Entry,
        world: World::FIRST,
        owner: Owner::BUILT_IN,
        body,
    }
}

/// `fn(i64) -> i64` that calls function 7 with its argument, at source position 40.
fn caller() -> ir::Function {
    let mut signature = ir::Signature::new(CallConv::Tail);
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    let mut body = ir::Function::with_name_signature(Default::default(), signature.clone());
    let signature = body.import_signature(signature);
    let callee = symbol::import_function(&mut body, FuncId(7), signature);
    let block = body.dfg.make_block();
    body.layout.append_block(block);
    let argument = body.dfg.append_block_param(block, types::I64);
    let mut cursor = FuncCursor::new(&mut body).at_bottom(block);
    cursor.set_srcloc(SourceLocation::new(40));
    let call = cursor.ins().call(callee, &[argument]);
    let result = cursor.func.dfg.first_result(call);
    cursor.ins().return_(&[result]);
    body
}

use cranelift_codegen::ir::SourceLoc as SourceLocation;

#[test]
fn a_direct_call_goes_through_an_address_cell() {
    for effort in [Effort::None, Effort::Speed] {
        let code = compiler(effort).compile(&request(caller())).unwrap();
        assert_eq!(code.relocations.len(), 1, "{code:?}");
        assert_eq!(code.relocations[0].kind, RelocKind::GotPcRel4);
        assert_eq!(code.relocations[0].target, Target::Function(FuncId(7)));
        assert!(code.positions.iter().any(|p| p.position == Some(40)));
        assert!(code.positions.is_sorted_by(|a, b| a.offset < b.offset));
    }
}

#[test]
fn traps_carry_their_kind() {
    let mut signature = ir::Signature::new(CallConv::Tail);
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    let mut body = ir::Function::with_name_signature(Default::default(), signature);
    let block = body.dfg.make_block();
    body.layout.append_block(block);
    let address = body.dfg.append_block_param(block, types::I64);
    let mut cursor = FuncCursor::new(&mut body).at_bottom(block);
    let flags = MemFlagsData::new().with_trap_code(Some(ir::TrapCode::HEAP_OUT_OF_BOUNDS));
    let value = cursor.ins().load(types::I64, flags, address, 0);
    cursor.ins().trapz(
        value,
        ir::TrapCode::unwrap_user(TrapKind::Unreachable.code()),
    );
    cursor.ins().return_(&[value]);
    let code = compiler(Effort::Speed).compile(&request(body)).unwrap();
    let kinds: Vec<_> = code.traps.iter().map(|t| t.kind).collect();
    assert_eq!(kinds, [TrapKind::MemoryOutOfBounds, TrapKind::Unreachable]);
}

#[test]
fn invalid_clif_is_an_error_that_says_why() {
    let mut body = caller();
    let block = body.layout.entry_block().unwrap();
    let last = body.layout.last_inst(block).unwrap();
    body.layout.remove_inst(last);
    let error = compiler(Effort::None).compile(&request(body)).unwrap_err();
    assert!(
        matches!(&error, CompileError::Failed(message) if message.contains("invalid CLIF")),
        "{error}"
    );
}

#[test]
fn unknown_names_are_refused() {
    let mut body = caller();
    let name = body.params.user_named_funcs().keys().next().unwrap();
    body.params
        .reset_user_func_name(name, ir::UserExternalName::new(99, 0));
    let error = compiler(Effort::None).compile(&request(body)).unwrap_err();
    assert!(matches!(error, CompileError::Failed(_)), "{error}");
}

/// Below a counter that is still needed, the next is one instruction: `lea`, and no copy with a subtraction.
#[test]
fn subtracting_a_constant_takes_no_copy() {
    for ty in [types::I32, types::I64] {
        let mut signature = ir::Signature::new(CallConv::Tail);
        signature.params.push(AbiParam::new(ty));
        signature.returns = vec![AbiParam::new(ty); 2];
        let mut body = ir::Function::with_name_signature(Default::default(), signature);
        let block = body.dfg.make_block();
        body.layout.append_block(block);
        let counter = body.dfg.append_block_param(block, ty);
        let mut cursor = FuncCursor::new(&mut body).at_bottom(block);
        let one = cursor.ins().iconst(ty, 1);
        let next = cursor.ins().isub(counter, one);
        cursor.ins().return_(&[counter, next]);
        operands::add_negated_constants(&mut body);
        let text = body.to_string();
        assert!(text.contains("iadd v0, v3  ; v3 = -1"), "{text}");
        compiler(Effort::Speed).compile(&request(body)).unwrap();
    }
}
