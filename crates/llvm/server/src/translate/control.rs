//! Branches, calls and returns.

use super::emitter::{Emitter, LIKELY, UNLIKELY};
use super::names;
use super::stack_call::{self, Place, WORD_BYTES};
use super::types::{self, FLOAT_PARAMS_MAX, INTEGER_PARAMS_MAX, Results, as_int, bailout};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExternalName, FuncRef, Function, Inst, JumpTable, Opcode, SigRef,
    Signature, Type, Value, types as clif,
};
use std::collections::HashMap;
use upshift_codegen::{CompileError, Target, symbol};

/// The type that an argument in a vector register has, whatever it is.
pub const VECTOR_REGISTER: &str = "<16 x i8>";

fn opcodes(func: &Function) -> impl Iterator<Item = Opcode> {
    let insts = func
        .layout
        .blocks()
        .flat_map(|block| func.layout.block_insts(block));
    insts.map(|inst| func.dfg.insts[inst].opcode())
}

/// Whether the function ends with calls of others. Such a function is declared to take all registers that can hold
/// arguments, and the words of its arguments on the stack, and so is what it calls: LLVM guarantees a tail call only
/// between functions of the same type.
pub fn has_tail_calls(func: &Function) -> bool {
    opcodes(func).any(|opcode| opcode.is_return() && opcode.is_call())
}

/// Whether the function calls anything that needs stack.
pub fn calls_something(func: &Function) -> bool {
    opcodes(func).any(Opcode::is_call)
}

/// The types of all registers that can hold arguments.
pub fn all_registers() -> [String; INTEGER_PARAMS_MAX + FLOAT_PARAMS_MAX] {
    std::array::from_fn(|index| match index < INTEGER_PARAMS_MAX {
        true => "i64".to_owned(),
        false => VECTOR_REGISTER.to_owned(),
    })
}

/// The types of all registers that can hold arguments, and of the words on the stack that do in a function of that
/// signature.
pub fn all_places(signature: &Signature) -> Vec<String> {
    let mut all = all_registers().to_vec();
    all.extend(stack_words(signature).map(|_| "i64".to_owned()));
    all
}

/// The words of the arguments on the stack.
fn stack_words(signature: &Signature) -> std::ops::Range<u32> {
    0..stack_call::stack_bytes(signature) / WORD_BYTES
}

/// The parameters of these types out of all the registers and words.
pub fn from_places(e: &mut Emitter<'_>, params: &[Type]) -> Result<Vec<String>, CompileError> {
    let mut values = Vec::with_capacity(params.len());
    let (places, _) = stack_call::places(params.iter().copied());
    for (&ty, place) in params.iter().zip(places) {
        let name = types::name(ty)?;
        let value = match place {
            Place::Integer(number) => e.narrow(&format!("%p{number}"), ty)?,
            Place::Other(number) => {
                let register = format!("%p{}", INTEGER_PARAMS_MAX + number);
                let lanes = lanes_of_register(ty)?;
                let vector = match lanes.as_str() {
                    VECTOR_REGISTER => register,
                    _ => e.op(format!("bitcast {VECTOR_REGISTER} {register} to {lanes}")),
                };
                match ty.is_vector() {
                    true => vector,
                    false => e.op(format!("extractelement {lanes} {vector}, i64 0")),
                }
            }
            Place::Stack(offset) => {
                let first = INTEGER_PARAMS_MAX + FLOAT_PARAMS_MAX + (offset / WORD_BYTES) as usize;
                let word = format!("%p{first}");
                match ty.bytes() {
                    16 => {
                        let low =
                            e.op(format!("insertelement <2 x i64> poison, i64 {word}, i64 0"));
                        let next = first + 1;
                        let both = e.op(format!(
                            "insertelement <2 x i64> {low}, i64 %p{next}, i64 1"
                        ));
                        e.op(format!("bitcast <2 x i64> {both} to {name}"))
                    }
                    _ if ty.is_int() => e.narrow(&word, ty)?,
                    bytes => {
                        let bits = e.narrow(&word, as_int(ty))?;
                        e.op(format!("bitcast i{} {bits} to {name}", bytes * 8))
                    }
                }
            }
        };
        values.push(value);
    }
    Ok(values)
}

/// A whole register's vector type with lanes of that type, or that vector type.
pub fn lanes_of_register(ty: Type) -> Result<String, CompileError> {
    if ty.is_vector() {
        return types::name(ty);
    }
    Ok(format!("<{} x {}>", 16 / ty.bytes(), types::name(ty)?))
}

/// Arguments for a callee that takes all registers.
fn to_registers(e: &mut Emitter<'_>, args: &[Value]) -> Result<String, CompileError> {
    let mut registers = all_registers().map(|ty| format!("{ty} poison"));
    let (mut integers, mut floats) = (0, INTEGER_PARAMS_MAX);
    for &arg in args {
        let (ty, typed) = (e.ty(arg), e.typed(arg)?);
        if ty.is_int() {
            let wide = match ty {
                clif::I64 => e.value(arg)?,
                _ => e.op(format!("zext {typed} to i64")),
            };
            registers[integers] = format!("i64 {wide}");
            integers += 1;
            continue;
        }
        let lanes = lanes_of_register(ty)?;
        let vector = match ty.is_vector() {
            true => e.value(arg)?,
            false => e.op(format!("insertelement {lanes} poison, {typed}, i64 0")),
        };
        let register = match lanes.as_str() {
            VECTOR_REGISTER => vector,
            _ => e.op(format!("bitcast {lanes} {vector} to {VECTOR_REGISTER}")),
        };
        registers[floats] = format!("{VECTOR_REGISTER} {register}");
        floats += 1;
    }
    Ok(registers.join(", "))
}

/// What a declared function is.
fn target(e: &Emitter<'_>, function: FuncRef) -> Result<Target, CompileError> {
    let ExternalName::User(name) = e.func.dfg.ext_funcs[function].name else {
        return bailout("a call of a function that is not ours");
    };
    let name = e.func.params.user_named_funcs().get(name);
    match name.and_then(symbol::target) {
        Some(target) => Ok(target),
        None => bailout("a call of a function that is not ours"),
    }
}

/// The code address of a declared function: what its cell holds now.
pub fn code_address(e: &mut Emitter<'_>, function: FuncRef) -> Result<String, CompileError> {
    let target = target(e, function)?;
    let Some(cell) = names::cell(target) else {
        return bailout("a call of something that has no cell");
    };
    let declaration = format!("@{cell} = external hidden global ptr");
    e.declarations.entry(cell.clone()).or_insert(declaration);
    // Atomic, so that a loop sees it when there is new code.
    Ok(e.op(format!("load atomic ptr, ptr @{cell} monotonic, align 8")))
}

/// `call` and `call_indirect`.
pub fn call(
    e: &mut Emitter<'_>,
    inst: Inst,
    signature: SigRef,
    callee: &str,
    args: &[Value],
) -> Result<(), CompileError> {
    if stack_call::is_needed(&e.func.dfg.signatures[signature]) {
        return stack_call::call(e, inst, signature, callee, args);
    }
    let (_, results) = types::signature(&e.func.dfg.signatures[signature])?;
    let args: Vec<String> = args
        .iter()
        .map(|arg| e.typed(*arg))
        .collect::<Result<_, _>>()?;
    // A frame that the program made must be there: for its limit on the stack, and for backtraces.
    let call = format!(
        "notail call {} {callee}({}) #1{}",
        results.ty,
        args.join(", "),
        e.position
    );
    let values = e.func.dfg.inst_results(inst);
    if results.ty == "void" {
        e.line(call);
        return Ok(());
    }
    let whole = e.op(call);
    if let [value] = *values {
        e.define(value, whole);
        return Ok(());
    }
    for (element, (_, index)) in results.elements.iter().enumerate() {
        if let Some(index) = *index {
            let part = e.op(format!("extractvalue {} {whole}, {element}", results.ty));
            e.define(values[index], part);
        }
    }
    Ok(())
}

/// `return_call` and `return_call_indirect`.
pub fn return_call(
    e: &mut Emitter<'_>,
    signature: SigRef,
    callee: &str,
    args: &[Value],
) -> Result<(), CompileError> {
    let callee_signature = &e.func.dfg.signatures[signature];
    if stack_call::stack_bytes(callee_signature) > 0 {
        return bailout("a tail call with more arguments than registers");
    }
    let (_, results) = types::signature(callee_signature)?;
    let mut args = to_registers(e, args)?;
    // What is on the stack stays as it is: the adapter removes it.
    for _ in stack_words(&e.func.signature) {
        args.push_str(", i64 poison");
    }
    let call = format!(
        "musttail call {} {callee}({args}) #1{}",
        results.ty, e.position
    );
    if results.ty == "void" {
        e.line(call);
        e.line("ret void");
    } else {
        let value = e.op(call);
        e.line(format!("ret {} {value}", results.ty));
    }
    Ok(())
}

/// `return`.
pub fn return_(e: &mut Emitter<'_>, values: &[Value]) -> Result<(), CompileError> {
    let (_, Results { ty, elements }) = types::signature(&e.func.signature)?;
    match values {
        [] => e.line("ret void"),
        [value] => {
            let typed = e.typed(*value)?;
            e.line(format!("ret {typed}"));
        }
        _ => {
            let mut whole = "poison".to_owned();
            for (element, (_, index)) in elements.iter().enumerate() {
                if let Some(index) = *index {
                    let typed = e.typed(values[index])?;
                    whole = e.op(format!("insertvalue {ty} {whole}, {typed}, {element}"));
                }
            }
            e.line(format!("ret {ty} {whole}"));
        }
    }
    Ok(())
}

/// A block with its arguments.
fn destination(e: &Emitter<'_>, call: BlockCall) -> Result<(Block, Vec<String>), CompileError> {
    let pool = &e.func.dfg.value_lists;
    let mut args = Vec::new();
    for arg in call.args(pool) {
        let BlockArg::Value(value) = arg else {
            return bailout("exceptions are not translated");
        };
        args.push(e.value(value)?);
    }
    Ok((call.block(pool), args))
}

/// `jump`.
pub fn jump(e: &mut Emitter<'_>, call: BlockCall) -> Result<(), CompileError> {
    let (block, args) = destination(e, call)?;
    let target = e.target(block);
    if e.leaves(block) {
        e.fence();
    }
    e.line(format!("br label %{target}"));
    let from = e.label.clone();
    e.edges.entry(target).or_default().push((from, args));
    Ok(())
}

/// The label to branch to for a destination. One with arguments, or one outside of a loop's faster version, gets a block
/// of its own, which jumps on: so each predecessor has one edge to it.
fn landing(
    e: &mut Emitter<'_>,
    (block, args): (Block, Vec<String>),
    landings: &mut Vec<(String, Block, Vec<String>)>,
) -> String {
    if args.is_empty() && !e.leaves(block) {
        return e.target(block);
    }
    let landing = e.fresh("edge");
    landings.push((landing.clone(), block, args));
    landing
}

fn land(e: &mut Emitter<'_>, landings: Vec<(String, Block, Vec<String>)>) {
    let current = e.clif_block;
    for (landing, block, args) in landings {
        e.begin(landing.clone(), current);
        let target = e.target(block);
        if e.leaves(block) {
            e.fence();
        }
        e.line(format!("br label %{target}"));
        e.edges.entry(target).or_default().push((landing, args));
    }
}

/// `brif`, by a condition.
pub fn brif(
    e: &mut Emitter<'_>,
    condition: &str,
    [then, otherwise]: [BlockCall; 2],
) -> Result<(), CompileError> {
    let (then, otherwise) = (destination(e, then)?, destination(e, otherwise)?);
    let cold = |block: Block| e.func.layout.is_cold(block);
    let weights = match (cold(then.0), cold(otherwise.0)) {
        (true, false) => UNLIKELY,
        (false, true) => LIKELY,
        _ => "",
    };
    let mut landings = Vec::new();
    let then = landing(e, then, &mut landings);
    let otherwise = landing(e, otherwise, &mut landings);
    e.line(format!(
        "br i1 {condition}, label %{then}, label %{otherwise}{weights}"
    ));
    land(e, landings);
    Ok(())
}

/// `br_table`.
pub fn br_table(e: &mut Emitter<'_>, index: Value, table: JumpTable) -> Result<(), CompileError> {
    let table = &e.func.stencil.dfg.jump_tables[table];
    let typed = e.typed(index)?;
    let index_type = types::name(e.ty(index))?;
    let (mut landings, mut known) = (Vec::new(), HashMap::new());
    let mut labels = Vec::new();
    for call in std::iter::once(table.default_block()).chain(table.as_slice().iter().copied()) {
        let to = destination(e, call)?;
        let label = match known.get(&to) {
            Some(label) => String::clone(label),
            None => landing(e, to.clone(), &mut landings),
        };
        known.insert(to, label.clone());
        labels.push(label);
    }
    let cases: Vec<String> = labels[1..]
        .iter()
        .enumerate()
        .map(|(index, label)| format!("{index_type} {index}, label %{label}"))
        .collect();
    let default = &labels[0];
    e.line(format!(
        "switch {typed}, label %{default} [ {} ]",
        cases.join(" ")
    ));
    land(e, landings);
    Ok(())
}
