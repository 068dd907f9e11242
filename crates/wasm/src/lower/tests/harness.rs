//! Makes whole functions of single operations, and runs them.
//!
//! Operands and results are handed over as bits in a [`Frame`], whose address is the functions'
//! only parameter.

use crate::lower::operation::{ANY, V128};
use crate::lower::{Access, Location, Operation};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::data_value::DataValue;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, TrapCode, Type, UserFuncName, Value,
    types,
};
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable, Flags};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_interpreter::environment::FunctionStore;
use cranelift_interpreter::interpreter::{Interpreter, InterpreterState};
use cranelift_interpreter::step::{ControlFlow, CraneliftTrap};
use std::mem::offset_of;
use std::sync::LazyLock;

/// The optimization levels that the tiers compile at.
pub const OPT_LEVELS: [&str; 2] = ["none", "speed"];

/// Where an access is in [`Frame::memory`]: an address, not aligned to anything, and an offset.
pub const ACCESS_BASE: usize = 3;
pub const ACCESS_OFFSET: usize = 2;

/// What goes into a function and comes out of it, as little-endian bits.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Frame {
    pub operands: [u128; 3],
    pub memory: [u128; 2],
    pub result: u128,
    /// The raw condition, after a comparison or test.
    pub condition: u128,
}

/// `ty`, or the type that these tests choose where an operation takes any.
pub fn concrete(ty: Type) -> Type {
    if ty == ANY { types::I64 } else { ty }
}

pub fn flags(opt_level: &str) -> Flags {
    let mut builder = settings::builder();
    builder.set("opt_level", opt_level).expect("a level");
    Flags::new(builder)
}

/// The processor that the tests run on, with all that it can do.
pub fn native(opt_level: &str) -> OwnedTargetIsa {
    let builder = cranelift_native::builder().expect("a supported host");
    builder.finish(flags(opt_level)).expect("an ISA")
}

static NATIVE: LazyLock<OwnedTargetIsa> = LazyLock::new(|| native("none"));

/// A function of the given types whose results are the values that `body` returns.
pub fn build(
    params: &[Type],
    results: &[Type],
    body: impl FnOnce(&mut FunctionBuilder<'_>, &[Value]) -> Vec<Value>,
) -> Function {
    let mut signature = Signature::new(NATIVE.default_call_conv());
    signature
        .params
        .extend(params.iter().map(|&ty| AbiParam::new(concrete(ty))));
    signature
        .returns
        .extend(results.iter().map(|&ty| AbiParam::new(concrete(ty))));
    let mut function = Function::with_name_signature(UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    b.seal_block(block);
    let params = b.block_params(block).to_vec();
    let results = body(&mut b, &params);
    b.ins().return_(&results);
    b.finalize(NATIVE.frontend_config());
    function
}

/// The operation as a function of its operands.
pub fn operation_function(operation: &Operation<'_>) -> Function {
    build(operation.operands, &[operation.result], |b, operands| {
        vec![operation.lower(b, operands)]
    })
}

/// A function that applies the operation to the operands in a [`Frame`], once for its result and,
/// if it has one, once for its raw condition.
pub fn operation_in_frame(operation: &Operation<'_>) -> Function {
    build(&[types::I64], &[], |b, frame| {
        let operands = load_operands(b, frame[0], operation.operands);
        let result = operation.lower(b, &operands);
        store(b, result, frame[0], offset_of!(Frame, result));
        if let Some(condition) = operation.lower_condition(b, &operands) {
            store(b, condition, frame[0], offset_of!(Frame, condition));
        }
        vec![]
    })
}

/// A function that makes the access in the memory of a [`Frame`].
pub fn access_in_frame(access: &Access<'_>) -> Function {
    build(&[types::I64], &[], |b, frame| {
        let operands = load_operands(b, frame[0], access.operands);
        let base = (offset_of!(Frame, memory) + ACCESS_BASE) as i64;
        let location = Location {
            base: b.ins().iadd_imm_s(frame[0], base),
            offset: ACCESS_OFFSET as i32,
            flags: MemFlagsData::new(),
        };
        if let Some(result) = access.lower(b, location, &operands) {
            store(b, result, frame[0], offset_of!(Frame, result));
        }
        vec![]
    })
}

fn load_operands(b: &mut FunctionBuilder<'_>, frame: Value, types: &[Type]) -> Vec<Value> {
    let mut offset = offset_of!(Frame, operands) as i32;
    let mut load = |&ty: &Type| {
        let value = b
            .ins()
            .load(concrete(ty), MemFlagsData::trusted(), frame, offset);
        offset += size_of::<u128>() as i32;
        value
    };
    types.iter().map(&mut load).collect()
}

fn store(b: &mut FunctionBuilder<'_>, value: Value, frame: Value, offset: usize) {
    b.ins()
        .store(MemFlagsData::trusted(), value, frame, offset as i32);
}

/// A function on a [`Frame`], compiled for this machine.
pub struct NativeFunction {
    code: *mut libc::c_void,
    size: usize,
}

impl NativeFunction {
    pub fn new(function: Function, isa: &dyn TargetIsa) -> Self {
        assert_eq!(function.signature.params, [AbiParam::new(types::I64)]);
        let mut context = Context::for_function(function);
        let code = context
            .compile(isa, &mut ControlPlane::default())
            .expect("compiles");
        assert!(
            code.buffer.relocs().is_empty(),
            "the code refers to nothing outside"
        );
        let bytes = code.buffer.data();
        let size = bytes.len();
        // SAFETY: a fresh private mapping is written within its size before anyone knows of it,
        // and is never writable again once it is executable.
        unsafe {
            let write = libc::PROT_READ | libc::PROT_WRITE;
            let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let code = libc::mmap(std::ptr::null_mut(), size, write, private, -1, 0);
            assert_ne!(code, libc::MAP_FAILED);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), code.cast(), size);
            assert_eq!(
                libc::mprotect(code, size, libc::PROT_READ | libc::PROT_EXEC),
                0
            );
            Self { code, size }
        }
    }

    pub fn run(&self, frame: &mut Frame) {
        // SAFETY: the code is a function of one pointer in the host's calling convention, which
        // reads and writes only the frame behind it.
        unsafe {
            let function: extern "C" fn(*mut Frame) = std::mem::transmute(self.code);
            function(frame);
        }
    }
}

impl Drop for NativeFunction {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing runs in it.
        unsafe { libc::munmap(self.code, self.size) };
    }
}

/// The operation compiled at each of the [`OPT_LEVELS`] and run on the operands; all must agree.
pub fn run_operation(operation: &Operation<'_>, operands: &[u128]) -> u128 {
    let mut results = OPT_LEVELS.iter().map(|level| {
        let function = NativeFunction::new(operation_in_frame(operation), &*native(level));
        let mut frame = Frame::default();
        frame.operands[..operands.len()].copy_from_slice(operands);
        function.run(&mut frame);
        frame.result
    });
    let first = results.next().expect("a level");
    assert!(results.all(|result| result == first));
    first
}

/// The code with which a function of the given types traps on these operands.
///
/// Cranelift's interpreter runs it, so that no test has to handle a signal.
pub fn trap_of(function: &Function, operands: &[u128]) -> Option<TrapCode> {
    let types = function
        .signature
        .params
        .iter()
        .map(|param| param.value_type);
    let arguments: Vec<_> = types
        .zip(operands)
        .map(|(ty, &bits)| data_value(ty, bits))
        .collect();
    let mut store = FunctionStore::default();
    store.add("f".to_owned(), function);
    let state = InterpreterState::default().with_function_store(store);
    match Interpreter::new(state).call_by_name("f", &arguments) {
        Ok(ControlFlow::Return(_)) => None,
        Ok(ControlFlow::Trap(CraneliftTrap::User(code))) => Some(code),
        other => panic!("{other:?} of {arguments:?} in\n{}", function.display()),
    }
}

fn data_value(ty: Type, bits: u128) -> DataValue {
    match ty {
        types::I32 => DataValue::I32(bits as i32),
        types::I64 => DataValue::I64(bits as i64),
        types::F32 => DataValue::F32(Ieee32::with_bits(bits as u32)),
        types::F64 => DataValue::F64(Ieee64::with_bits(bits as u64)),
        V128 => DataValue::V128(bits.to_le_bytes()),
        other => panic!("{other} is not a type of these tests"),
    }
}
