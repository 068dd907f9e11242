//! The marks that front ends leave in CLIF: calls of functions in namespaces of [`upshift_codegen::symbol`], which the
//! runtime turns into something else before a compiler sees them.

use cranelift_codegen::ir::{ExternalName, FuncRef, Function, Inst, InstructionData, Opcode};
use std::collections::HashMap;
use upshift_base::Guard;
use upshift_codegen::symbol;

/// The calls of what the front end has declared in `namespace`, with the numbers that it was declared with.
pub(crate) fn find_marks(body: &Function, namespace: u32) -> Vec<(Inst, u32)> {
    let mut functions: HashMap<FuncRef, u32> = HashMap::new();
    for (function, data) in &body.dfg.ext_funcs {
        if let ExternalName::User(name) = data.name {
            let name = &body.params.user_named_funcs()[name];
            if name.namespace == namespace {
                functions.insert(function, name.index);
            }
        }
    }
    if functions.is_empty() {
        return Vec::new();
    }
    let insts = body
        .layout
        .blocks()
        .flat_map(|block| body.layout.block_insts(block));
    let number = |inst| match body.dfg.insts[inst] {
        InstructionData::Call {
            opcode: Opcode::Call,
            func_ref,
            ..
        } => functions.get(&func_ref).copied(),
        _ => None,
    };
    insts
        .filter_map(|inst| Some((inst, number(inst)?)))
        .collect()
}

/// The number that `inst` was declared with in `namespace`, if it is such a mark.
pub(crate) fn mark_number(body: &Function, inst: Inst, namespace: u32) -> Option<u32> {
    let InstructionData::Call {
        opcode: Opcode::Call,
        func_ref,
        ..
    } = body.dfg.insts[inst]
    else {
        return None;
    };
    let ExternalName::User(name) = body.dfg.ext_funcs[func_ref].name else {
        return None;
    };
    let name = &body.params.user_named_funcs()[name];
    (name.namespace == namespace).then_some(name.index)
}

/// The guards.
pub(crate) fn find_guards(body: &Function) -> Vec<(Inst, Guard)> {
    let mut functions: HashMap<FuncRef, Guard> = HashMap::new();
    for (function, data) in &body.dfg.ext_funcs {
        if let ExternalName::User(name) = data.name
            && let Some(guard) = symbol::guard(&body.params.user_named_funcs()[name])
        {
            functions.insert(function, guard);
        }
    }
    let mut marks = Vec::new();
    if functions.is_empty() {
        return marks;
    }
    for block in body.layout.blocks() {
        for inst in body.layout.block_insts(block) {
            if let InstructionData::Call {
                opcode: Opcode::Call,
                func_ref,
                ..
            } = body.dfg.insts[inst]
                && let Some(&guard) = functions.get(&func_ref)
            {
                marks.push((inst, guard));
            }
        }
    }
    marks
}
