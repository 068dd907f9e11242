//! CLIF's types, constants and signatures in LLVM's notation, and where the ABIs agree.
//!
//! Cranelift's `tail` convention saves the registers that System V does and passes arguments in the same ones, as long as
//! there are enough registers for all: up to six integers and eight others. Integer results come in `rax`, `rcx`, `rdx`
//! instead of `rax`, `rdx`, `rcx`: a matter of order. Beyond that the callee removes the arguments from the stack, which no
//! convention of LLVM's does in the same way: in front of a function that takes such arguments comes an adapter
//! ([`crate::adapter`]), and a call that passes them is assembly (`stack_call`).

use cranelift_codegen::ir::{ArgumentPurpose, Signature, Type, types};
use cranelift_codegen::isa::CallConv;
use upshift_codegen::CompileError;

/// Integer parameters that have a register.
pub const INTEGER_PARAMS_MAX: usize = 6;
/// Other parameters that have a register.
pub const FLOAT_PARAMS_MAX: usize = 8;

/// The refusal of a function.
pub fn bailout<T>(reason: impl Into<String>) -> Result<T, CompileError> {
    Err(CompileError::Bailout(reason.into()))
}

/// LLVM's name of a type.
pub fn name(ty: Type) -> Result<String, CompileError> {
    Ok(match ty {
        types::F32 => "float".to_owned(),
        types::F64 => "double".to_owned(),
        _ if ty.is_int() => format!("i{}", ty.bits()),
        _ if ty.is_vector() && ty.bits() <= 128 && !ty.is_dynamic_vector() => {
            format!("<{} x {}>", ty.lane_count(), name(ty.lane_type())?)
        }
        _ => return bailout(format!("values of type {ty} are not translated")),
    })
}

/// The integer type, or vector of such, with as many bits in the same lanes.
pub fn as_int(ty: Type) -> Type {
    let lane = ty.lane_type().as_int();
    if ty.is_vector() {
        return lane.by(ty.lane_count()).unwrap_or(lane);
    }
    lane
}

/// Where a result is: its place in LLVM's result, or all of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Results {
    /// The type of what an LLVM function returns.
    pub ty: String,
    /// For each element, the result that it is; `None` if that register is not used. Empty if there is only one or none.
    pub elements: Vec<(String, Option<usize>)>,
}

/// How a function of `signature` is called in LLVM's terms: the parameters' types and the results.
pub fn signature(signature: &Signature) -> Result<(Vec<String>, Results), CompileError> {
    let tail = match signature.call_conv {
        CallConv::Tail => true,
        // That the callee changes fewer registers is not made use of.
        CallConv::SystemV | CallConv::PreserveAll => false,
        other => {
            return bailout(format!(
                "calls by the convention {other} are not translated"
            ));
        }
    };
    let mut params = Vec::with_capacity(signature.params.len());
    for param in &signature.params {
        if !matches!(
            param.purpose,
            ArgumentPurpose::Normal | ArgumentPurpose::VMContext
        ) {
            return bailout("a parameter with a special purpose");
        }
        if param.value_type == types::I128 {
            return bailout("a 128-bit integer is passed");
        }
        params.push(name(param.value_type)?);
    }
    Ok((params, results(signature, tail)?))
}

fn results(signature: &Signature, tail: bool) -> Result<Results, CompileError> {
    let (mut integers, mut floats) = (Vec::new(), Vec::new());
    for (index, result) in signature.returns.iter().enumerate() {
        let element = (name(result.value_type)?, Some(index));
        match result.value_type {
            types::I128 => return bailout("a 128-bit integer is returned"),
            ty if ty.is_int() => integers.push(element),
            _ => floats.push(element),
        }
    }
    let integers_max = if tail { 3 } else { 2 };
    if integers.len() > integers_max || floats.len() > 2 {
        return bailout("more results than registers");
    }
    if tail && integers.len() > 1 {
        // From rax, rcx, rdx to rax, rdx, rcx.
        let unused = ("i64".to_owned(), None);
        let third = if integers.len() == 3 {
            integers.pop()
        } else {
            None
        };
        integers.insert(1, third.unwrap_or(unused));
    }
    let elements: Vec<_> = integers.into_iter().chain(floats).collect();
    Ok(match elements.as_slice() {
        [] => Results {
            ty: "void".to_owned(),
            elements: Vec::new(),
        },
        [(ty, _)] => Results {
            ty: ty.clone(),
            elements: Vec::new(),
        },
        _ => {
            let types: Vec<&str> = elements.iter().map(|(ty, _)| ty.as_str()).collect();
            Results {
                ty: format!("{{ {} }}", types.join(", ")),
                elements,
            }
        }
    })
}

/// A vector constant.
pub fn vector(bytes: &[u8], ty: Type) -> Result<String, CompileError> {
    let lanes: Vec<String> = bytes.iter().map(|byte| format!("i8 {byte}")).collect();
    let plain = format!("<{}>", lanes.join(", "));
    if ty == types::I8X16 {
        return Ok(plain);
    }
    let bytes = bytes.len();
    Ok(format!("bitcast (<{bytes} x i8> {plain} to {})", name(ty)?))
}

/// A mask for `shufflevector`.
pub fn mask(lanes: impl IntoIterator<Item = u32>) -> String {
    let lanes: Vec<String> = lanes
        .into_iter()
        .map(|lane| format!("i32 {lane}"))
        .collect();
    format!("<{} x i32> <{}>", lanes.len(), lanes.join(", "))
}

/// The constant with these bits in the scalar type `ty`.
pub fn scalar(bits: u64, ty: Type) -> Result<String, CompileError> {
    Ok(match ty {
        types::F32 => format!("bitcast (i32 {} to float)", bits as u32),
        types::F64 => format!("0x{bits:016X}"),
        _ if ty.is_int() && ty.bits() < 64 => (bits & ((1 << ty.bits()) - 1)).to_string(),
        types::I64 => bits.to_string(),
        _ => return bailout(format!("a constant of type {ty}")),
    })
}
