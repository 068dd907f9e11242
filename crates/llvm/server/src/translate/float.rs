//! Floating-point operations, on scalars and on each lane of vectors.
//!
//! LLVM may take a signalling NaN for a quiet one: it makes `x * 1.0`, for example, plain `x`, where the machine makes
//! the NaN quiet. Where CLIF has such a constant, the operation is written as `llvm.canonicalize`, which means just that.

use super::emitter::Emitter;
use super::integer::intrinsic;
use super::types;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstructionData, Opcode, Type, Value, types as clif};
use upshift_base::TrapKind;
use upshift_codegen::CompileError;

/// The canonical NaN if that is what is wanted of a NaN.
fn canonical(e: &mut Emitter<'_>, ty: Type, value: String) -> Result<String, CompileError> {
    if !e.canonical_nans {
        return Ok(value);
    }
    let name = types::name(ty)?;
    let bits = match ty.lane_type() {
        clif::F32 => 0x7fc0_0000,
        _ => 0x7ff8 << 48,
    };
    let nan = types::scalar(bits, ty.lane_type())?;
    let nan = super::vector::splat(e, &nan, ty)?;
    let is_nan = e.op(format!("fcmp uno {name} {value}, {value}"));
    let condition = condition_type(ty);
    Ok(e.op(format!(
        "select {condition} {is_nan}, {name} {nan}, {name} {value}"
    )))
}

fn condition_type(ty: Type) -> String {
    match ty.is_vector() {
        true => format!("<{} x i1>", ty.lane_count()),
        false => "i1".to_owned(),
    }
}

/// Operations with one operand.
pub fn unary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    x: Value,
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let (name, typed, operand) = (types::name(ty)?, e.typed(x)?, e.value(x)?);
    let value = match opcode {
        Opcode::Fneg => e.op(format!("fneg {typed}")),
        Opcode::Fabs => intrinsic(e, "fabs", ty, &[&operand])?,
        Opcode::Sqrt => square_root(e, ty, &operand)?,
        Opcode::Ceil => intrinsic(e, "ceil", ty, &[&operand])?,
        Opcode::Floor => intrinsic(e, "floor", ty, &[&operand])?,
        Opcode::Trunc => intrinsic(e, "trunc", ty, &[&operand])?,
        Opcode::Nearest => intrinsic(e, "roundeven", ty, &[&operand])?,
        Opcode::Fpromote => e.op(format!("fpext {typed} to {name}")),
        Opcode::Fdemote => match promoted(e, x) {
            Some(original) if e.ty(original) == ty => {
                let original = e.value(original)?;
                intrinsic(e, "canonicalize", ty, &[&original])?
            }
            _ => e.op(format!("fptrunc {typed} to {name}")),
        },
        Opcode::Fvdemote => {
            let low = e.op(format!("fptrunc {typed} to <2 x float>"));
            let mask = types::mask(0..4);
            e.op(format!(
                "shufflevector <2 x float> {low}, <2 x float> zeroinitializer, {mask}"
            ))
        }
        Opcode::FvpromoteLow => {
            let mask = types::mask(0..2);
            let low = e.op(format!("shufflevector {typed}, <4 x float> poison, {mask}"));
            e.op(format!("fpext <2 x float> {low} to <2 x double>"))
        }
        _ => return e.declined(opcode),
    };
    let signs_only = matches!(opcode, Opcode::Fneg | Opcode::Fabs);
    let value = if signs_only {
        value
    } else {
        canonical(e, ty, value)?
    };
    e.define(result, value);
    Ok(())
}

/// LLVM takes the test for a NaN in [`canonical`] for one of a negative operand, and any NaN that a square root makes for as
/// good as the one that is chosen there. It knows nothing of a value behind a fence.
fn square_root(e: &mut Emitter<'_>, ty: Type, operand: &str) -> Result<String, CompileError> {
    let root = intrinsic(e, "sqrt", ty, &[operand])?;
    match e.canonical_nans {
        true => intrinsic(e, "arithmetic.fence", ty, &[&root]),
        false => Ok(root),
    }
}

/// What a value was before it was promoted.
fn promoted(e: &Emitter<'_>, value: Value) -> Option<Value> {
    match *e.definition(value)? {
        InstructionData::Unary {
            opcode: Opcode::Fpromote,
            arg,
        } => Some(arg),
        _ => None,
    }
}

/// Operations with two operands.
pub fn binary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let name = types::name(ty)?;
    let (a, b) = (e.value(x)?, e.value(y)?);
    let value = match opcode {
        Opcode::Fcopysign => {
            let value = intrinsic(e, "copysign", ty, &[&a, &b])?;
            e.define(result, value);
            return Ok(());
        }
        Opcode::Fmin => extremum(e, ty, "minimum", [&a, &b])?,
        Opcode::Fmax => extremum(e, ty, "maximum", [&a, &b])?,
        _ => match same_but_quiet(e, opcode, [x, y]) {
            Some((value, negated)) => {
                let operand = e.value(value)?;
                let quiet = intrinsic(e, "canonicalize", ty, &[&operand])?;
                match negated {
                    true => e.op(format!("fneg {name} {quiet}")),
                    false => quiet,
                }
            }
            None => {
                let plain = match opcode {
                    Opcode::Fadd => "fadd",
                    Opcode::Fsub => "fsub",
                    Opcode::Fmul => "fmul",
                    Opcode::Fdiv => "fdiv",
                    _ => return e.declined(opcode),
                };
                e.op(format!("{plain} {name} {a}, {b}"))
            }
        },
    };
    let value = canonical(e, ty, value)?;
    e.define(result, value);
    Ok(())
}

/// The smaller or larger operand; a NaN, made quiet, if either is one.
fn extremum(
    e: &mut Emitter<'_>,
    ty: Type,
    intrinsic_name: &str,
    [a, b]: [&str; 2],
) -> Result<String, CompileError> {
    let name = types::name(ty)?;
    let least = intrinsic(e, intrinsic_name, ty, &[a, b])?;
    let is_nan = e.op(format!("fcmp uno {name} {a}, {b}"));
    let nan = e.op(format!("fadd {name} {a}, {b}"));
    let condition = condition_type(ty);
    Ok(e.op(format!(
        "select {condition} {is_nan}, {name} {nan}, {name} {least}"
    )))
}

/// The operand that an operation leaves as it is, but for NaNs made quiet, and whether it is negated.
fn same_but_quiet(e: &Emitter<'_>, opcode: Opcode, [x, y]: [Value; 2]) -> Option<(Value, bool)> {
    let single = e.ty(x).lane_type() == clif::F32;
    let [one, sign] = match single {
        true => [0x3f80_0000, 1 << 31],
        false => [0x3ff0 << 48, 1 << 63],
    };
    let (left, right) = (e.float_constant(x), e.float_constant(y));
    let minus_one = one | sign;
    match opcode {
        Opcode::Fmul if right == Some(one) => Some((x, false)),
        Opcode::Fmul if left == Some(one) => Some((y, false)),
        Opcode::Fmul if right == Some(minus_one) => Some((x, true)),
        Opcode::Fmul if left == Some(minus_one) => Some((y, true)),
        Opcode::Fdiv if right == Some(one) => Some((x, false)),
        Opcode::Fdiv if right == Some(minus_one) => Some((x, true)),
        Opcode::Fadd if right == Some(sign) => Some((x, false)),
        Opcode::Fadd if left == Some(sign) => Some((y, false)),
        Opcode::Fsub if right == Some(0) => Some((x, false)),
        Opcode::Fsub if left == Some(sign) => Some((y, true)),
        _ => None,
    }
}

/// `fcmp`.
pub fn compare(
    e: &mut Emitter<'_>,
    result: Value,
    cond: FloatCC,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let cond = match cond {
        FloatCC::Ordered => "ord",
        FloatCC::Unordered => "uno",
        FloatCC::Equal => "oeq",
        FloatCC::NotEqual => "une",
        FloatCC::OrderedNotEqual => "one",
        FloatCC::UnorderedOrEqual => "ueq",
        FloatCC::LessThan => "olt",
        FloatCC::LessThanOrEqual => "ole",
        FloatCC::GreaterThan => "ogt",
        FloatCC::GreaterThanOrEqual => "oge",
        FloatCC::UnorderedOrLessThan => "ult",
        FloatCC::UnorderedOrLessThanOrEqual => "ule",
        FloatCC::UnorderedOrGreaterThan => "ugt",
        FloatCC::UnorderedOrGreaterThanOrEqual => "uge",
    };
    let (typed, other) = (e.typed(x)?, e.value(y)?);
    let condition = e.op(format!("fcmp {cond} {typed}, {other}"));
    e.define_condition(result, condition)
}

/// Conversions to and from integers.
pub fn convert(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    x: Value,
) -> Result<(), CompileError> {
    let (ty, from) = (e.ty(result), e.ty(x));
    let (name, typed, operand) = (types::name(ty)?, e.typed(x)?, e.value(x)?);
    let value = match opcode {
        Opcode::FcvtFromSint => e.op(format!("sitofp {typed} to {name}")),
        Opcode::FcvtFromUint => e.op(format!("uitofp {typed} to {name}")),
        Opcode::FcvtToSintSat | Opcode::FcvtToUintSat => {
            let kind = if opcode == Opcode::FcvtToSintSat {
                "fptosi"
            } else {
                "fptoui"
            };
            let (to, from_suffix) = (super::integer::suffix(ty)?, super::integer::suffix(from)?);
            let from = types::name(from)?;
            let intrinsic = format!("llvm.{kind}.sat.{to}.{from_suffix}");
            e.intrinsic(&name, &intrinsic, &[(&from, &operand)])
        }
        _ => return trapping(e, opcode == Opcode::FcvtToSint, result, x),
    };
    e.define(result, value);
    Ok(())
}

/// A conversion to an integer that traps if the number does not fit.
fn trapping(
    e: &mut Emitter<'_>,
    signed: bool,
    result: Value,
    x: Value,
) -> Result<(), CompileError> {
    let (ty, from) = (e.ty(result), e.ty(x));
    let (name, typed, operand) = (types::name(ty)?, e.typed(x)?, e.value(x)?);
    let is_nan = e.op(format!("fcmp uno {typed}, {operand}"));
    e.trap_if(&is_nan, TrapKind::BadConversionToInteger);
    let bits = ty.bits() as i32;
    let upper = 2f64.powi(if signed { bits - 1 } else { bits });
    let mantissa = if from == clif::F32 { 24 } else { 53 };
    // The numbers whose integer part is the least integer begin after the next lower one, if that can be written.
    let (lower, above_lower) = match signed {
        false => (-1.0, "ogt"),
        true if mantissa > bits => (-upper - 1.0, "ogt"),
        true => (-upper, "oge"),
    };
    let (lower, upper) = (
        format!("0x{:016X}", lower.to_bits()),
        format!("0x{:016X}", upper.to_bits()),
    );
    let not_too_small = e.op(format!("fcmp {above_lower} {typed}, {lower}"));
    let not_too_large = e.op(format!("fcmp olt {typed}, {upper}"));
    let fits = e.op(format!("and i1 {not_too_small}, {not_too_large}"));
    let overflow = e.op(format!("xor i1 {fits}, true"));
    e.trap_if(&overflow, TrapKind::IntegerOverflow);
    let convert = if signed { "fptosi" } else { "fptoui" };
    let value = e.op(format!("{convert} {typed} to {name}"));
    e.define(result, value);
    Ok(())
}
