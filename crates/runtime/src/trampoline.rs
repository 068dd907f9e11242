//! Code of the runtime's own between host and guest, generated for each signature.
//!
//! A *trampoline* is a System V function `(slot, values)` that loads the arguments, calls the code that the slot holds
//! with the guest's own calling convention, and stores the results. A *host stub* is the reverse: a guest function
//! whose first parameter points to a context that starts with a [`HostEntry`]; it spills its other arguments, calls
//! the entry, and loads the results.

use crate::source::FunctionSource;
use crate::value::RawValue;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    AbiParam, Block, Function, InstBuilder, MemFlagsData, Signature, StackSlotData, StackSlotKind,
    Value, types,
};
use cranelift_codegen::isa::CallConv;
use std::ffi::c_void;
use upshift_codegen::{BodyRequest, CompileError, symbol};

/// Host code behind a host stub: gets the context, the arguments (the context aside; results go to the same place) and
/// the stub's frame pointer, which it passes to [`crate::host_call`].
pub type HostEntry =
    unsafe extern "C" fn(context: *mut c_void, values: *mut RawValue, guest_frame: usize);

const VALUE_BYTES: i32 = size_of::<RawValue>() as i32;

/// Which of the two, and for what signature.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Glue {
    HostToGuest(Signature),
    GuestToHost(Signature),
}

impl FunctionSource for Glue {
    fn body(&self, _request: &BodyRequest<'_>) -> Result<Function, CompileError> {
        match self {
            Glue::HostToGuest(signature) => Ok(host_to_guest(signature)),
            Glue::GuestToHost(signature) => guest_to_host(signature),
        }
    }

    fn name(&self, _index: u32) -> String {
        match self {
            Glue::HostToGuest(signature) => format!("host-to-guest trampoline {signature}"),
            Glue::GuestToHost(signature) => format!("guest-to-host stub {signature}"),
        }
    }

    fn source_bytes(&self, _index: u32) -> u32 {
        0
    }
}

/// How many values the host's buffer must hold for a signature.
pub(crate) fn buffer_len(signature: &Signature) -> usize {
    signature.params.len().max(signature.returns.len())
}

fn new_body(signature: Signature) -> (Function, Block) {
    let mut body = Function::with_name_signature(Default::default(), signature);
    let block = body.dfg.make_block();
    body.layout.append_block(block);
    for index in 0..body.signature.params.len() {
        let value_type = body.signature.params[index].value_type;
        body.dfg.append_block_param(block, value_type);
    }
    (body, block)
}

fn host_to_guest(signature: &Signature) -> Function {
    let mut own = Signature::new(CallConv::SystemV);
    own.params
        .extend([symbol::pointer_param(), symbol::pointer_param()]);
    let (mut body, block) = new_body(own);
    let callee_signature = body.import_signature(signature.clone());
    let &[slot, values] = body.dfg.block_params(block) else {
        unreachable!("the signature above has two parameters");
    };
    let mut cursor = FuncCursor::new(&mut body).at_bottom(block);
    let flags = MemFlagsData::trusted();
    let arguments: Vec<Value> = load_all(&mut cursor, &signature.params, values);
    let code = cursor.ins().load(types::I64, flags, slot, 0);
    let call = cursor
        .ins()
        .call_indirect(callee_signature, code, &arguments);
    let results = cursor.func.dfg.inst_results(call).to_vec();
    store_all(&mut cursor, &results, values);
    cursor.ins().return_(&[]);
    body
}

/// A guest function of `signature` that calls the host function behind `context`, which is built into its code.
///
/// # Safety
/// Whoever runs the code must keep `context` alive, and it must start with a [`HostEntry`].
pub unsafe fn host_function_body(signature: &Signature, context: *const c_void) -> Function {
    let (mut body, block) = new_body(signature.clone());
    let mut cursor = FuncCursor::new(&mut body).at_bottom(block);
    let context = cursor.ins().iconst(types::I64, context as i64);
    let arguments = cursor.func.dfg.block_params(block).to_vec();
    call_host(&mut cursor, context, &arguments);
    body
}

fn guest_to_host(signature: &Signature) -> Result<Function, CompileError> {
    if signature
        .params
        .first()
        .is_none_or(|context| context.value_type != types::I64)
    {
        let message = "a host stub's first parameter must be a pointer to its context";
        return Err(CompileError::Failed(message.to_owned()));
    }
    let (mut body, block) = new_body(signature.clone());
    let mut cursor = FuncCursor::new(&mut body).at_bottom(block);
    let parameters = cursor.func.dfg.block_params(block).to_vec();
    call_host(&mut cursor, parameters[0], &parameters[1..]);
    Ok(body)
}

/// Spills `arguments`, calls the entry that `context` starts with, and returns the results.
fn call_host(cursor: &mut FuncCursor, context: Value, arguments: &[Value]) {
    let returns = cursor.func.signature.returns.clone();
    let bytes = arguments.len().max(returns.len()) as u32 * VALUE_BYTES as u32;
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4);
    let slot = cursor.func.create_sized_stack_slot(slot);
    let mut entry = Signature::new(CallConv::SystemV);
    entry.params.extend([symbol::pointer_param(); 3]);
    let entry = cursor.func.import_signature(entry);
    let values = cursor.ins().stack_addr(types::I64, slot, 0);
    store_all(cursor, arguments, values);
    let frame = cursor.ins().get_frame_pointer(types::I64);
    let code = cursor
        .ins()
        .load(types::I64, MemFlagsData::trusted(), context, 0);
    cursor
        .ins()
        .call_indirect(entry, code, &[context, values, frame]);
    let results = load_all(cursor, &returns, values);
    cursor.ins().return_(&results);
}

fn load_all(cursor: &mut FuncCursor, params: &[AbiParam], values: Value) -> Vec<Value> {
    let load = |(index, param): (usize, &AbiParam)| {
        let offset = index as i32 * VALUE_BYTES;
        cursor
            .ins()
            .load(param.value_type, MemFlagsData::trusted(), values, offset)
    };
    params.iter().enumerate().map(load).collect()
}

fn store_all(cursor: &mut FuncCursor, stored: &[Value], values: Value) {
    for (index, value) in stored.iter().enumerate() {
        let offset = index as i32 * VALUE_BYTES;
        cursor
            .ins()
            .store(MemFlagsData::trusted(), *value, values, offset);
    }
}
