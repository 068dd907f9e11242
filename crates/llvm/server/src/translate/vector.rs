//! Operations that know of lanes.

use super::emitter::Emitter;
use super::integer::intrinsic;
use super::types::{self, as_int, bailout, mask};
use cranelift_codegen::ir::{Opcode, Type, Value, types as clif};
use upshift_codegen::CompileError;

/// The same bits in another type of the same size.
pub fn cast(
    e: &mut Emitter<'_>,
    operand: &str,
    from: Type,
    to: Type,
) -> Result<String, CompileError> {
    if from == to {
        return Ok(operand.to_owned());
    }
    if from.bits() != to.bits() {
        return bailout(format!("a cast from {from} to {to}"));
    }
    let (from, to) = (types::name(from)?, types::name(to)?);
    Ok(e.op(format!("bitcast {from} {operand} to {to}")))
}

/// A lane's value in each lane of `ty`; the value itself if `ty` is no vector.
pub fn splat(e: &mut Emitter<'_>, lane: &str, ty: Type) -> Result<String, CompileError> {
    if !ty.is_vector() {
        return Ok(lane.to_owned());
    }
    let (name, lane_name) = (types::name(ty)?, types::name(ty.lane_type())?);
    let first = e.op(format!(
        "insertelement {name} poison, {lane_name} {lane}, i64 0"
    ));
    let mask = format!("<{} x i32> zeroinitializer", ty.lane_count());
    Ok(e.op(format!(
        "shufflevector {name} {first}, {name} poison, {mask}"
    )))
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
        Opcode::Splat => splat(e, &operand, ty)?,
        Opcode::ScalarToVector => e.op(format!(
            "insertelement {name} zeroinitializer, {typed}, i64 0"
        )),
        Opcode::VanyTrue => {
            let bits = from.bits();
            let whole = e.op(format!("bitcast {typed} to i{bits}"));
            let any = e.op(format!("icmp ne i{bits} {whole}, 0"));
            return e.define_condition(result, any);
        }
        Opcode::VallTrue => {
            let int = as_int(from);
            let lanes = cast(e, &operand, from, int)?;
            let set = e.op(format!(
                "icmp ne {} {lanes}, zeroinitializer",
                types::name(int)?
            ));
            let count = from.lane_count();
            let set = e.op(format!("bitcast <{count} x i1> {set} to i{count}"));
            let all = e.op(format!("icmp eq i{count} {set}, -1"));
            return e.define_condition(result, all);
        }
        Opcode::VhighBits => {
            let int = as_int(from);
            let lanes = cast(e, &operand, from, int)?;
            let set = e.op(format!(
                "icmp slt {} {lanes}, zeroinitializer",
                types::name(int)?
            ));
            let count = from.lane_count();
            let set = e.op(format!("bitcast <{count} x i1> {set} to i{count}"));
            match ty.bits().cmp(&count) {
                std::cmp::Ordering::Greater => e.op(format!("zext i{count} {set} to {name}")),
                std::cmp::Ordering::Equal => set,
                std::cmp::Ordering::Less => e.op(format!("trunc i{count} {set} to {name}")),
            }
        }
        Opcode::SwidenLow | Opcode::SwidenHigh | Opcode::UwidenLow | Opcode::UwidenHigh => {
            widen(e, opcode, ty, from, &typed)?
        }
        _ => return e.declined(opcode),
    };
    e.define(result, value);
    Ok(())
}

fn widen(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    ty: Type,
    from: Type,
    typed: &str,
) -> Result<String, CompileError> {
    let half = from.lane_count() / 2;
    let high = matches!(opcode, Opcode::SwidenHigh | Opcode::UwidenHigh);
    let first = if high { half } else { 0 };
    let signed = matches!(opcode, Opcode::SwidenLow | Opcode::SwidenHigh);
    let from_name = types::name(from)?;
    let mask = mask(first..first + half);
    let lanes = e.op(format!("shufflevector {typed}, {from_name} poison, {mask}"));
    let lane = types::name(from.lane_type())?;
    let extend = if signed { "sext" } else { "zext" };
    Ok(e.op(format!(
        "{extend} <{half} x {lane}> {lanes} to {}",
        types::name(ty)?
    )))
}

/// Operations with two operands.
pub fn binary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    [x, y]: [Value; 2],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let (a, b) = (e.value(x)?, e.value(y)?);
    let value = match opcode {
        Opcode::Swizzle => swizzle(e, [&a, &b]),
        Opcode::Snarrow | Opcode::Unarrow | Opcode::Uunarrow => {
            let from = e.ty(x);
            let a = narrow(e, opcode, from, ty.lane_type(), &a)?;
            let b = narrow(e, opcode, from, ty.lane_type(), &b)?;
            let (count, lane) = (from.lane_count(), types::name(ty.lane_type())?);
            let half = format!("<{count} x {lane}>");
            e.op(format!(
                "shufflevector {half} {a}, {half} {b}, {}",
                mask(0..2 * count)
            ))
        }
        Opcode::IaddPairwise => {
            let (name, count) = (types::name(ty)?, ty.lane_count());
            let [even, odd] = [0, 1].map(|first| {
                let lanes = mask((0..count).map(|lane| 2 * lane + first));
                e.op(format!("shufflevector {name} {a}, {name} {b}, {lanes}"))
            });
            e.op(format!("add {name} {even}, {odd}"))
        }
        Opcode::AvgRound => {
            let wide = wider(ty)?;
            let [a, b] = [a, b].map(|value| extend(e, "zext", ty, wide, &value));
            let (a, b, wide_name) = (a?, b?, types::name(wide)?);
            let one = splat(e, "1", wide)?;
            let sum = e.op(format!("add {wide_name} {a}, {b}"));
            let sum = e.op(format!("add {wide_name} {sum}, {one}"));
            let half = e.op(format!("lshr {wide_name} {sum}, {one}"));
            e.op(format!("trunc {wide_name} {half} to {}", types::name(ty)?))
        }
        Opcode::SqmulRoundSat => multiply_rounding(e, ty, [a, b])?,
        _ => return e.declined(opcode),
    };
    e.define(result, value);
    Ok(())
}

/// `ty` with lanes twice as wide; only names it, there are no such registers.
fn wider(ty: Type) -> Result<Type, CompileError> {
    let wide = ty
        .lane_type()
        .double_width()
        .and_then(|lane| lane.by(ty.lane_count()));
    wide.map_or_else(|| bailout(format!("lanes wider than those of {ty}")), Ok)
}

fn extend(
    e: &mut Emitter<'_>,
    how: &str,
    from: Type,
    to: Type,
    value: &str,
) -> Result<String, CompileError> {
    Ok(e.op(format!(
        "{how} {} {value} to {}",
        types::name(from)?,
        types::name(to)?
    )))
}

/// Lanes of `x` chosen by the lanes of `y`; 0 for an index that is too large.
fn swizzle(e: &mut Emitter<'_>, [x, y]: [&str; 2]) -> String {
    // The instruction gives 0 for an index with its highest bit set.
    let ty = "<16 x i8>";
    let lanes = ["i8 112"; 16].join(", ");
    let beyond = format!("<{lanes}>");
    let index = e.intrinsic(ty, "llvm.uadd.sat.v16i8", &[(ty, y), (ty, &beyond)]);
    e.intrinsic(ty, "llvm.x86.ssse3.pshuf.b.128", &[(ty, x), (ty, &index)])
}

/// Each lane in half as many bits, the nearest number that fits.
fn narrow(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    from: Type,
    lane: Type,
    value: &str,
) -> Result<String, CompileError> {
    let bits = lane.bits();
    let (least, greatest) = match opcode {
        Opcode::Snarrow => (Some(-(1i64 << (bits - 1))), (1i64 << (bits - 1)) - 1),
        Opcode::Unarrow => (Some(0), (1i64 << bits) - 1),
        _ => (None, (1i64 << bits) - 1),
    };
    let greatest = splat(e, &greatest.to_string(), from)?;
    let clamped = match least {
        None => intrinsic(e, "umin", from, &[value, &greatest])?,
        Some(least) => {
            let least = splat(e, &least.to_string(), from)?;
            let value = intrinsic(e, "smax", from, &[value, &least])?;
            intrinsic(e, "smin", from, &[&value, &greatest])?
        }
    };
    let (name, count) = (types::name(from)?, from.lane_count());
    Ok(e.op(format!(
        "trunc {name} {clamped} to <{count} x {}>",
        types::name(lane)?
    )))
}

/// `(a * b + 2^14) >> 15` in each lane, the nearest number that fits.
fn multiply_rounding(
    e: &mut Emitter<'_>,
    ty: Type,
    operands: [String; 2],
) -> Result<String, CompileError> {
    if ty != clif::I16X8 {
        return e.declined(Opcode::SqmulRoundSat);
    }
    let wide = "<8 x i32>";
    let [a, b] = operands.map(|value| e.op(format!("sext <8 x i16> {value} to {wide}")));
    let uniform = |number: i32| format!("<{}>", vec![format!("i32 {number}"); 8].join(", "));
    let product = e.op(format!("mul {wide} {a}, {b}"));
    let rounded = e.op(format!("add {wide} {product}, {}", uniform(1 << 14)));
    let shifted = e.op(format!("ashr {wide} {rounded}, {}", uniform(15)));
    let greatest = uniform(i32::from(i16::MAX));
    let clamped = e.intrinsic(
        wide,
        "llvm.smin.v8i32",
        &[(wide, &shifted), (wide, &greatest)],
    );
    Ok(e.op(format!("trunc {wide} {clamped} to <8 x i16>")))
}

/// `bitselect`: bits of `x` where `c` has ones, of `y` elsewhere.
pub fn bitselect(
    e: &mut Emitter<'_>,
    result: Value,
    [c, x, y]: [Value; 3],
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let int = as_int(ty);
    let name = types::name(int)?;
    let mut bits = |value: Value| -> Result<String, CompileError> {
        let operand = e.value(value)?;
        cast(e, &operand, ty, int)
    };
    let (c, x, y) = (bits(c)?, bits(x)?, bits(y)?);
    let ones = splat(e, "-1", int)?;
    let chosen = e.op(format!("and {name} {c}, {x}"));
    let inverse = e.op(format!("xor {name} {c}, {ones}"));
    let other = e.op(format!("and {name} {inverse}, {y}"));
    let both = e.op(format!("or {name} {chosen}, {other}"));
    let value = cast(e, &both, int, ty)?;
    e.define(result, value);
    Ok(())
}

/// `insertlane`.
pub fn insert(
    e: &mut Emitter<'_>,
    result: Value,
    [vector, lane]: [Value; 2],
    index: u8,
) -> Result<(), CompileError> {
    let (vector, lane) = (e.typed(vector)?, e.typed(lane)?);
    let value = e.op(format!("insertelement {vector}, {lane}, i64 {index}"));
    e.define(result, value);
    Ok(())
}

/// `extractlane`.
pub fn extract(
    e: &mut Emitter<'_>,
    result: Value,
    vector: Value,
    index: u8,
) -> Result<(), CompileError> {
    let vector = e.typed(vector)?;
    let value = e.op(format!("extractelement {vector}, i64 {index}"));
    e.define(result, value);
    Ok(())
}

/// `shuffle`.
pub fn shuffle(
    e: &mut Emitter<'_>,
    result: Value,
    [x, y]: [Value; 2],
    lanes: &[u8],
) -> Result<(), CompileError> {
    let (x, y) = (e.typed(x)?, e.typed(y)?);
    let lanes = mask(lanes.iter().map(|lane| u32::from(*lane)));
    let value = e.op(format!("shufflevector {x}, {y}, {lanes}"));
    e.define(result, value);
    Ok(())
}
