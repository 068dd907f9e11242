//! Values of WebAssembly types as people write and read them on a command line.

use anyhow::{Result, anyhow, bail};
use std::ffi::OsString;
use upshift_wasm::{FuncType, V128, Val, ValType};

/// The arguments for a function of type `ty`, one for each parameter.
pub fn parse_arguments(name: &str, ty: &FuncType, args: &[OsString]) -> Result<Vec<Val>> {
    let count = ty.params().len();
    if args.len() != count {
        bail!(
            "`{name}` is of type {ty}: it takes {count} argument{}, not {}",
            if count == 1 { "" } else { "s" },
            args.len()
        );
    }
    let one = |(index, (arg, &ty)): (usize, (&OsString, &ValType))| {
        let text = arg.to_string_lossy();
        parse(ty, &text).ok_or_else(|| {
            anyhow!(
                "argument {} of `{name}`: `{text}` is not {}",
                index + 1,
                kind(ty)
            )
        })
    };
    args.iter().zip(ty.params()).enumerate().map(one).collect()
}

fn kind(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "an i32: say a number like 42, -1 or 0xff that fits in 32 bits",
        ValType::I64 => "an i64: say a number like 42, -1 or 0xff that fits in 64 bits",
        ValType::F32 => "an f32: say a number like 1.5, 2e9, inf or nan",
        ValType::F64 => "an f64: say a number like 1.5, 2e9, inf or nan",
        ValType::V128 => "a v128: say a number like 0x0102 that fits in 128 bits",
        ValType::FuncRef | ValType::ExternRef => "null, the only reference that can be given here",
    }
}

fn parse(ty: ValType, text: &str) -> Option<Val> {
    match ty {
        ValType::I32 => integer(text)
            .filter(|value| (-(1 << 31)..1 << 32).contains(value))
            .map(|value| Val::I32(value as i32)),
        ValType::I64 => integer(text)
            .filter(|value| (-(1 << 63)..1 << 64).contains(value))
            .map(|value| Val::I64(value as i64)),
        ValType::F32 => text
            .parse()
            .ok()
            .map(|value: f32| Val::F32(value.to_bits())),
        ValType::F64 => text
            .parse()
            .ok()
            .map(|value: f64| Val::F64(value.to_bits())),
        ValType::V128 => magnitude(text).map(|bits| Val::V128(V128::from(bits))),
        ValType::FuncRef => (text == "null").then_some(Val::FuncRef(None)),
        ValType::ExternRef => (text == "null").then_some(Val::ExternRef(None)),
    }
}

fn integer(text: &str) -> Option<i128> {
    match text.strip_prefix('-') {
        Some(rest) => i128::try_from(magnitude(rest)?).ok().map(|value| -value),
        None => i128::try_from(magnitude(text)?).ok(),
    }
}

fn magnitude(text: &str) -> Option<u128> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let digits = digits.replace('_', "");
    // `from_str_radix` would take a sign.
    match digits.starts_with(['+', '-']) {
        true => None,
        false => u128::from_str_radix(&digits, radix).ok(),
    }
}

/// A value as a line of output.
pub fn display(value: &Val) -> String {
    match *value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(bits).to_string(),
        Val::F64(bits) => f64::from_bits(bits).to_string(),
        Val::V128(value) => format!("{:#034x}", value.as_u128()),
        Val::FuncRef(None) | Val::ExternRef(None) => "null".to_owned(),
        Val::FuncRef(Some(_)) => "funcref".to_owned(),
        Val::ExternRef(Some(_)) => "externref".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(ty: ValType, text: &str) -> Option<String> {
        parse(ty, text).map(|value| display(&value))
    }

    #[test]
    fn integers_of_either_sign_and_base() {
        assert_eq!(
            round(ValType::I32, "-2147483648").as_deref(),
            Some("-2147483648")
        );
        assert_eq!(round(ValType::I32, "0xffff_ffff").as_deref(), Some("-1"));
        assert_eq!(round(ValType::I32, "4294967296"), None);
        assert_eq!(
            round(ValType::I64, "18446744073709551615").as_deref(),
            Some("-1")
        );
        assert_eq!(round(ValType::I64, "-9223372036854775809"), None);
        for wrong in ["", "-", "--1", "0x", "1.0", "+1", "-+1", "one"] {
            assert_eq!(round(ValType::I32, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn floats_vectors_and_references() {
        assert_eq!(round(ValType::F32, "0.1").as_deref(), Some("0.1"));
        assert_eq!(round(ValType::F64, "-inf").as_deref(), Some("-inf"));
        assert_eq!(round(ValType::F64, "nan").as_deref(), Some("NaN"));
        assert_eq!(
            round(ValType::V128, "0x10").as_deref(),
            Some("0x00000000000000000000000000000010")
        );
        assert_eq!(round(ValType::ExternRef, "null").as_deref(), Some("null"));
        assert_eq!(round(ValType::FuncRef, "f"), None);
    }
}
