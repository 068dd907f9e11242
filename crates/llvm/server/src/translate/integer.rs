//! Integer operations, on scalars and on each lane of vectors.

use super::emitter::Emitter;
use super::types;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Opcode, Type, Value, types as clif};
use upshift_base::TrapKind;
use upshift_codegen::CompileError;

/// LLVM's suffix for an overloaded intrinsic.
pub fn suffix(ty: Type) -> Result<String, CompileError> {
    let lane = match ty.lane_type() {
        clif::F32 => "f32".to_owned(),
        clif::F64 => "f64".to_owned(),
        lane => types::name(lane)?,
    };
    Ok(match ty.is_vector() {
        true => format!("v{}{lane}", ty.lane_count()),
        false => lane,
    })
}

/// An intrinsic on operands that all have the result's type.
pub fn intrinsic(
    e: &mut Emitter<'_>,
    name: &str,
    ty: Type,
    args: &[&str],
) -> Result<String, CompileError> {
    let (ty_name, suffix) = (types::name(ty)?, suffix(ty)?);
    let args: Vec<(&str, &str)> = args.iter().map(|arg| (ty_name.as_str(), *arg)).collect();
    Ok(e.intrinsic(&ty_name, &format!("llvm.{name}.{suffix}"), &args))
}

/// The same with a flag behind the one operand.
fn flagged(e: &mut Emitter<'_>, name: &str, ty: Type, arg: &str) -> Result<String, CompileError> {
    let (ty_name, suffix) = (types::name(ty)?, suffix(ty)?);
    let args = [(ty_name.as_str(), arg), ("i1", "false")];
    Ok(e.intrinsic(&ty_name, &format!("llvm.{name}.{suffix}"), &args))
}

/// Operations with one operand.
pub fn unary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    x: Value,
) -> Result<(), CompileError> {
    let (ty, from) = (e.ty(result), e.ty(x));
    let (name, typed, operand) = (types::name(ty)?, e.typed(x)?, e.value(x)?);
    let value = match opcode {
        Opcode::Ineg => e.op(format!("sub {name} {}, {operand}", zero(ty))),
        Opcode::Bnot => {
            let int = types::as_int(ty);
            let bits = super::vector::cast(e, &operand, ty, int)?;
            let int_name = types::name(int)?;
            let ones = super::vector::splat(e, "-1", int)?;
            let flipped = e.op(format!("xor {int_name} {bits}, {ones}"));
            super::vector::cast(e, &flipped, int, ty)?
        }
        Opcode::Iabs => flagged(e, "abs", ty, &operand)?,
        Opcode::Clz => flagged(e, "ctlz", ty, &operand)?,
        Opcode::Ctz => flagged(e, "cttz", ty, &operand)?,
        Opcode::Popcnt => intrinsic(e, "ctpop", ty, &[&operand])?,
        Opcode::Bswap => intrinsic(e, "bswap", ty, &[&operand])?,
        Opcode::Bitrev => intrinsic(e, "bitreverse", ty, &[&operand])?,
        Opcode::Uextend if ty != from => e.op(format!("zext {typed} to {name}")),
        Opcode::Sextend if ty != from => e.op(format!("sext {typed} to {name}")),
        Opcode::Ireduce if ty != from => e.op(format!("trunc {typed} to {name}")),
        Opcode::Uextend | Opcode::Sextend | Opcode::Ireduce => operand,
        _ => return e.declined(opcode),
    };
    e.define(result, value);
    Ok(())
}

/// The zero of an integer type.
pub fn zero(ty: Type) -> &'static str {
    if ty.is_vector() {
        "zeroinitializer"
    } else {
        "0"
    }
}

/// Operations with two operands of the result's type that LLVM has as they are.
pub fn binary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let (a, b) = (e.value(x)?, e.value(y)?);
    let plain = match opcode {
        Opcode::Iadd => Some("add"),
        Opcode::Isub => Some("sub"),
        Opcode::Imul => Some("mul"),
        _ => None,
    };
    let named = match opcode {
        Opcode::Smin => "smin",
        Opcode::Smax => "smax",
        Opcode::Umin => "umin",
        Opcode::Umax => "umax",
        Opcode::UaddSat => "uadd.sat",
        Opcode::SaddSat => "sadd.sat",
        Opcode::UsubSat => "usub.sat",
        Opcode::SsubSat => "ssub.sat",
        _ => "",
    };
    let value = match plain {
        Some(plain) => e.op(format!("{plain} {} {a}, {b}", types::name(ty)?)),
        None if named.is_empty() => return e.declined(opcode),
        None => intrinsic(e, named, ty, &[&a, &b])?,
    };
    e.define(result, value);
    Ok(())
}

/// `band`, `bor` and `bxor`, of values of any type.
pub fn bitwise(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let int = types::as_int(ty);
    let (a, b) = (e.value(x)?, e.value(y)?);
    let a = super::vector::cast(e, &a, ty, int)?;
    let b = super::vector::cast(e, &b, ty, int)?;
    let name = match opcode {
        Opcode::Band => "and",
        Opcode::Bor => "or",
        _ => "xor",
    };
    let bits = e.op(format!("{name} {} {a}, {b}", types::name(int)?));
    let value = super::vector::cast(e, &bits, int, ty)?;
    e.define(result, value);
    Ok(())
}

/// Shifts and rotations: the amount, of any integer type, counts modulo the width of a lane.
pub fn shift(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    [x, amount]: [Value; 2],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let lane = ty.lane_type();
    let (lane_name, amount_type) = (types::name(lane)?, e.ty(amount));
    let typed = e.typed(amount)?;
    let amount = match amount_type.bits().cmp(&lane.bits()) {
        std::cmp::Ordering::Less => e.op(format!("zext {typed} to {lane_name}")),
        std::cmp::Ordering::Equal => e.value(amount)?,
        std::cmp::Ordering::Greater => e.op(format!("trunc {typed} to {lane_name}")),
    };
    let amount = e.op(format!("and {lane_name} {amount}, {}", lane.bits() - 1));
    let amount = super::vector::splat(e, &amount, ty)?;
    let operand = e.value(x)?;
    let name = types::name(ty)?;
    let value = match opcode {
        Opcode::Ishl => e.op(format!("shl {name} {operand}, {amount}")),
        Opcode::Ushr => e.op(format!("lshr {name} {operand}, {amount}")),
        Opcode::Sshr => e.op(format!("ashr {name} {operand}, {amount}")),
        Opcode::Rotl => intrinsic(e, "fshl", ty, &[&operand, &operand, &amount])?,
        Opcode::Rotr => intrinsic(e, "fshr", ty, &[&operand, &operand, &amount])?,
        _ => return e.declined(opcode),
    };
    e.define(result, value);
    Ok(())
}

/// Divisions, which trap.
pub fn divide(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let name = types::name(ty)?;
    let (a, mut b) = (e.value(x)?, e.value(y)?);
    let by_zero = e.op(format!("icmp eq {name} {b}, 0"));
    e.trap_if(&by_zero, TrapKind::IntegerDivisionByZero);
    let value = match opcode {
        Opcode::Udiv => e.op(format!("udiv {name} {a}, {b}")),
        Opcode::Urem => e.op(format!("urem {name} {a}, {b}")),
        Opcode::Sdiv => {
            let least = 1u128 << (ty.bits() - 1);
            let least = e.op(format!("icmp eq {name} {a}, {least}"));
            let minus_one = e.op(format!("icmp eq {name} {b}, -1"));
            let overflow = e.op(format!("and i1 {least}, {minus_one}"));
            e.trap_if(&overflow, TrapKind::IntegerOverflow);
            e.op(format!("sdiv {name} {a}, {b}"))
        }
        _ => {
            // The remainder by -1 is 0, as that by 1 is, which cannot overflow.
            let minus_one = e.op(format!("icmp eq {name} {b}, -1"));
            b = e.op(format!("select i1 {minus_one}, {name} 1, {name} {b}"));
            e.op(format!("srem {name} {a}, {b}"))
        }
    };
    e.define(result, value);
    Ok(())
}

/// The upper half of a product.
pub fn multiply_high(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    if ty.is_vector() || ty.bits() > 64 {
        return e.declined(opcode);
    }
    let (name, bits) = (types::name(ty)?, ty.bits());
    let extend = if opcode == Opcode::Umulhi {
        "zext"
    } else {
        "sext"
    };
    let wide = format!("i{}", bits * 2);
    let (a, b) = (e.value(x)?, e.value(y)?);
    let a = e.op(format!("{extend} {name} {a} to {wide}"));
    let b = e.op(format!("{extend} {name} {b} to {wide}"));
    let product = e.op(format!("mul {wide} {a}, {b}"));
    let high = e.op(format!("lshr {wide} {product}, {bits}"));
    let value = e.op(format!("trunc {wide} {high} to {name}"));
    e.define(result, value);
    Ok(())
}

/// `icmp`.
pub fn compare(
    e: &mut Emitter<'_>,
    result: Value,
    cond: IntCC,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let cond = match cond {
        IntCC::Equal => "eq",
        IntCC::NotEqual => "ne",
        IntCC::SignedLessThan => "slt",
        IntCC::SignedGreaterThanOrEqual => "sge",
        IntCC::SignedGreaterThan => "sgt",
        IntCC::SignedLessThanOrEqual => "sle",
        IntCC::UnsignedLessThan => "ult",
        IntCC::UnsignedGreaterThanOrEqual => "uge",
        IntCC::UnsignedGreaterThan => "ugt",
        IntCC::UnsignedLessThanOrEqual => "ule",
    };
    let (typed, other) = (e.typed(x)?, e.value(y)?);
    let condition = e.op(format!("icmp {cond} {typed}, {other}"));
    e.define_condition(result, condition)
}
