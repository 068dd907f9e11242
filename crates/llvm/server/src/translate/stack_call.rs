//! Calls with more arguments than there are registers for them.
//!
//! In Cranelift's `tail` convention the callee takes such arguments off the stack, 16 bytes at a time, which none of LLVM's
//! conventions does in that way. So the call is assembly: it pushes what LLVM has put into a buffer, calls, and finds
//! the stack pointer where it was. All registers that the callee may change are outputs or clobbered.

use super::control::{VECTOR_REGISTER, lanes_of_register};
use super::emitter::Emitter;
use super::types::{self, FLOAT_PARAMS_MAX, INTEGER_PARAMS_MAX, bailout};
use cranelift_codegen::ir::{ArgumentPurpose, Function, Inst, SigRef, Signature, Type, Value};
use cranelift_codegen::isa::CallConv;
use upshift_codegen::CompileError;

/// The registers of integer arguments, of the buffer's address, of the callee's, and of the first result.
const INTEGERS: [&str; INTEGER_PARAMS_MAX + 3] =
    ["rdi", "rsi", "rdx", "rcx", "r8", "r9", "r10", "r11", "rax"];
const BUFFER: usize = INTEGER_PARAMS_MAX;
const CALLEE: usize = INTEGER_PARAMS_MAX + 1;
/// Where integer results are among them.
const RESULTS: [usize; 3] = [8, 3, 2];
/// Other results that have a register.
const FLOAT_RESULTS_MAX: usize = 2;
const STACK_ALIGN: u32 = 16;
const NAME: &str = "stack_args";

/// Bytes of a word on the stack.
pub const WORD_BYTES: u32 = 8;

/// Where an argument is: in a register for integers or another, by its number, or on the stack, at an offset.
pub enum Place {
    Integer(usize),
    Other(usize),
    Stack(u32),
}

/// Where arguments of these types are, and how many bytes of the stack they take.
pub fn places(params: impl Iterator<Item = Type>) -> (Vec<Place>, u32) {
    let (mut integers, mut floats, mut bytes) = (0, 0, 0u32);
    let place = |ty: Type| {
        if ty.is_int() && integers < INTEGER_PARAMS_MAX {
            integers += 1;
            return Place::Integer(integers - 1);
        }
        if !ty.is_int() && floats < FLOAT_PARAMS_MAX {
            floats += 1;
            return Place::Other(floats - 1);
        }
        let size = ty.bytes().max(WORD_BYTES);
        let offset = bytes.next_multiple_of(size);
        bytes = offset + size;
        Place::Stack(offset)
    };
    let places = params.map(place).collect();
    (places, bytes.next_multiple_of(STACK_ALIGN))
}

fn param_types(signature: &Signature) -> impl Iterator<Item = Type> + '_ {
    signature.params.iter().map(|param| param.value_type)
}

/// Bytes that the arguments on the stack take in a call of that signature.
pub fn stack_bytes(signature: &Signature) -> u32 {
    places(param_types(signature)).1
}

/// Whether a call of that signature has arguments on the stack that the callee removes.
pub fn is_needed(signature: &Signature) -> bool {
    signature.call_conv == CallConv::Tail && stack_bytes(signature) > 0
}

/// Bytes that the arguments on the stack of any call in the function take.
fn buffer_bytes(func: &Function) -> u32 {
    let blocks = func.layout.blocks();
    let insts = blocks.flat_map(|block| func.layout.block_insts(block));
    let calls = insts.filter(|inst| {
        let opcode = func.dfg.insts[*inst].opcode();
        opcode.is_call() && !opcode.is_return()
    });
    let signatures = calls.filter_map(|call| func.dfg.call_signature(call));
    let signatures = signatures.map(|signature| &func.dfg.signatures[signature]);
    let needing = signatures.filter(|signature| is_needed(signature));
    let bytes = needing.map(stack_bytes);
    bytes.max().unwrap_or(0)
}

/// What makes room for the arguments of all such calls in the function, if it has any.
pub fn buffer_line(func: &Function) -> Option<String> {
    let bytes = buffer_bytes(func);
    (bytes > 0).then(|| format!("%{NAME} = alloca [{bytes} x i8], align {STACK_ALIGN}"))
}

/// Such a call.
pub fn call(
    e: &mut Emitter<'_>,
    inst: Inst,
    signature: SigRef,
    callee: &str,
    args: &[Value],
) -> Result<(), CompileError> {
    let signature = &e.func.dfg.signatures[signature];
    let is_plain = |purpose| {
        matches!(
            purpose,
            ArgumentPurpose::Normal | ArgumentPurpose::VMContext
        )
    };
    if !signature.params.iter().all(|param| is_plain(param.purpose)) {
        return bailout("a parameter with a special purpose");
    }
    let (places, bytes) = places(param_types(signature));
    let mut inputs = vec![None; INTEGERS.len() + FLOAT_PARAMS_MAX];
    for (&arg, place) in args.iter().zip(&places) {
        match *place {
            Place::Integer(number) => inputs[number] = Some(to_register(e, arg)?),
            Place::Other(number) => {
                inputs[INTEGERS.len() + number] = Some(to_register(e, arg)?);
            }
            Place::Stack(offset) => {
                let place = e.op(format!("getelementptr i8, ptr %{NAME}, i64 {offset}"));
                let typed = e.typed(arg)?;
                e.line(format!("store {typed}, ptr {place}, align 8"));
            }
        }
    }
    inputs[BUFFER] = Some(format!("ptr %{NAME}"));
    inputs[CALLEE] = Some(format!("ptr {callee}"));
    let whole = assembly(e, &inputs, bytes);
    results(e, inst, &whole)
}

/// Writes the assembly; its outputs.
fn assembly(e: &mut Emitter<'_>, inputs: &[Option<String>], bytes: u32) -> String {
    let has = |feature: &str| e.features.split(',').any(|f| f.starts_with(feature));
    let mut code = String::new();
    if has("+avx") {
        code.push_str("vzeroupper\\0A");
    }
    for offset in (0..bytes).step_by(8).rev() {
        code.push_str(&format!("pushq {offset}(%r10)\\0A"));
    }
    code.push_str("callq *%r11");
    let mut constraints: Vec<String> = Vec::new();
    constraints.extend(INTEGERS.iter().map(|register| format!("={{{register}}}")));
    constraints.extend((0..FLOAT_PARAMS_MAX).map(|number| format!("={{xmm{number}}}")));
    let used = inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| input.is_some());
    constraints.extend(used.map(|(number, _)| number.to_string()));
    let vectors = if has("+avx512") { 32 } else { 16 };
    constraints.extend((FLOAT_PARAMS_MAX..vectors).map(|number| format!("~{{xmm{number}}}")));
    if has("+avx512") {
        constraints.extend((0..8).map(|number| format!("~{{k{number}}}")));
    }
    let rest = ["memory", "flags", "dirflag", "fpsr"];
    constraints.extend(rest.map(|what| format!("~{{{what}}}")));
    let inputs: Vec<&str> = inputs.iter().flatten().map(String::as_str).collect();
    e.op(format!(
        "call {} asm sideeffect alignstack \"{code}\", \"{}\"({}) #1{}",
        outputs(),
        constraints.join(","),
        inputs.join(", "),
        e.position
    ))
}

/// The type of all outputs of the assembly.
fn outputs() -> String {
    let integers = (0..INTEGERS.len()).map(|number| match number {
        BUFFER | CALLEE => "ptr",
        _ => "i64",
    });
    let vectors = std::iter::repeat_n(VECTOR_REGISTER, FLOAT_PARAMS_MAX);
    let types: Vec<&str> = integers.chain(vectors).collect();
    format!("{{ {} }}", types.join(", "))
}

/// An argument as a whole register, with its type.
fn to_register(e: &mut Emitter<'_>, arg: Value) -> Result<String, CompileError> {
    let (ty, typed) = (e.ty(arg), e.typed(arg)?);
    if ty.is_int() {
        return Ok(match ty.bits() {
            64 => typed,
            _ => format!("i64 {}", e.op(format!("zext {typed} to i64"))),
        });
    }
    let lanes = lanes_of_register(ty)?;
    let vector = match ty.is_vector() {
        true => e.value(arg)?,
        false => e.op(format!("insertelement {lanes} poison, {typed}, i64 0")),
    };
    let register = e.op(format!("bitcast {lanes} {vector} to {VECTOR_REGISTER}"));
    Ok(format!("{VECTOR_REGISTER} {register}"))
}

/// Defines the results of the call from the outputs of its assembly.
fn results(e: &mut Emitter<'_>, inst: Inst, whole: &str) -> Result<(), CompileError> {
    let outputs = outputs();
    let (mut integers, mut floats) = (RESULTS.iter(), 0..FLOAT_RESULTS_MAX);
    for &result in e.func.dfg.inst_results(inst) {
        let ty = e.ty(result);
        let number = match ty.is_int() {
            true => integers.next().copied(),
            false => floats.next().map(|number| INTEGERS.len() + number),
        };
        let Some(number) = number else {
            return bailout("more results than registers");
        };
        let name = types::name(ty)?;
        let whole = e.op(format!("extractvalue {outputs} {whole}, {number}"));
        let value = if ty.is_int() {
            match ty.bits() {
                64 => whole,
                _ => e.op(format!("trunc i64 {whole} to {name}")),
            }
        } else {
            let lanes = lanes_of_register(ty)?;
            let vector = e.op(format!("bitcast {VECTOR_REGISTER} {whole} to {lanes}"));
            match ty.is_vector() {
                true => vector,
                false => e.op(format!("extractelement {lanes} {vector}, i64 0")),
            }
        };
        e.define(result, value);
    }
    Ok(())
}
