//! The places whose frames are logged ([`upshift_codegen::frame_log`]): planting them in CLIF, and what generated code
//! calls there.

use crate::builtins;
use crate::marks::find_marks;
use crate::table::{FunctionState, Shared};
use crate::transfer;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    AbiParam, Function, GlobalValue, Inst, InstBuilder, MemFlagsData, Signature, types,
};
use cranelift_codegen::isa::CallConv;
use std::sync::atomic::Ordering;
use upshift_base::FuncId;
use upshift_codegen::osr::TRANSFER_VALUE_BYTES;
use upshift_codegen::symbol;
use upshift_codemem::ProfileCell;

/// Called by generated code that is going to log a frame of so many values: where they go.
pub(crate) extern "C" fn frame_buffer(values: u32) -> *mut u128 {
    transfer::empty_values(values as usize)
}

/// Called by generated code that has stored the values of a frame.
pub(crate) unsafe extern "C" fn frame_logged(cell: *const ProfileCell, position: u32, values: u32) {
    // SAFETY: planted code passes its own function's cell, whose state is set before the code is published and lives
    // as long as the function's group, which holds the shared part.
    let shared: Option<&Shared> = unsafe {
        let state = (*cell).state.load(Ordering::Acquire) as *const FunctionState;
        state.as_ref().and_then(|state| state.shared.as_ref())
    };
    if let Some(shared) = shared {
        transfer::with_values(values as usize, |values| {
            shared.frame_log.add(position, values);
        });
    }
}

/// Makes calls of the log of the front end's marks, in a body for `function`.
pub(crate) fn plant_frame_log(body: &mut Function, function: FuncId) {
    let marks = find_marks(body, symbol::FRAME_POINT);
    if marks.is_empty() {
        return;
    }
    let cell = symbol::import_profile_cell(body, function);
    for (mark, position) in marks {
        plant(body, cell, mark, position);
    }
}

fn plant(body: &mut Function, cell: GlobalValue, mark: Inst, position: u32) {
    let values = body.dfg.inst_args(mark).to_vec();
    let mut buffer = Signature::new(CallConv::SystemV);
    buffer.params.push(AbiParam::new(types::I32));
    buffer.returns.push(symbol::pointer_param());
    let mut logged = Signature::new(CallConv::SystemV);
    logged.params.push(symbol::pointer_param());
    logged.params.extend([AbiParam::new(types::I32); 2]);
    let [buffer, logged] = [
        (buffer, builtins::FRAME_BUFFER),
        (logged, builtins::FRAME_LOGGED),
    ]
    .map(|(signature, builtin)| {
        let signature = body.import_signature(signature);
        symbol::import_builtin(body, builtin, signature)
    });
    let location = body.srcloc(mark);
    let mut cursor = FuncCursor::new(body).at_inst(mark);
    cursor.set_srcloc(location);
    let count = cursor.ins().iconst(types::I32, values.len() as i64);
    let call = cursor.ins().call(buffer, &[count]);
    let address = cursor.func.dfg.inst_results(call)[0];
    for (index, value) in values.iter().enumerate() {
        let offset = (index as u32 * TRANSFER_VALUE_BYTES).cast_signed();
        cursor
            .ins()
            .store(MemFlagsData::trusted(), *value, address, offset);
    }
    let cell = cursor.ins().symbol_value(types::I64, cell);
    let position = cursor.ins().iconst(types::I32, i64::from(position));
    cursor.ins().call(logged, &[cell, position, count]);
    cursor.remove_inst();
}
