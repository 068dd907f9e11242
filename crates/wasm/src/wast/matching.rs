//! Values and patterns of scripts, and whether a result is as expected.

use crate::error::{Error, Result};
use crate::handle::ExternRef;
use crate::store::Store;
use crate::types::ValType;
use crate::val::{V128, Val};
use upshift::embed::TrapKind;
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};

/// An argument of a call.
pub(super) fn argument(store: &mut Store<()>, argument: &WastArgCore<'_>) -> Result<Val> {
    Ok(match argument {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(V128::from(value.to_le_bytes())),
        WastArgCore::RefNull(ty) => match null_type(ty) {
            Some(ty) => Val::default_for(ty),
            None => {
                return Err(Error::new(format!(
                    "a null of the type {ty:?} is not supported"
                )));
            }
        },
        WastArgCore::RefExtern(number) | WastArgCore::RefHost(number) => {
            Val::from(ExternRef::new(store, *number)?)
        }
    })
}

fn null_type(ty: &HeapType<'_>) -> Option<ValType> {
    let HeapType::Abstract { shared: false, ty } = ty else {
        return None;
    };
    match ty {
        AbstractHeapType::Func | AbstractHeapType::NoFunc => Some(ValType::FuncRef),
        AbstractHeapType::Extern | AbstractHeapType::NoExtern => Some(ValType::ExternRef),
        _ => None,
    }
}

/// Whether `value` is what the script expects.
pub(super) fn is_expected(store: &Store<()>, value: &Val, expected: &WastRetCore<'_>) -> bool {
    match (expected, value) {
        (WastRetCore::I32(expected), Val::I32(value)) => expected == value,
        (WastRetCore::I64(expected), Val::I64(value)) => expected == value,
        (WastRetCore::F32(expected), Val::F32(bits)) => is_expected_f32(expected, *bits),
        (WastRetCore::F64(expected), Val::F64(bits)) => is_expected_f64(expected, *bits),
        (WastRetCore::V128(expected), Val::V128(value)) => is_expected_v128(expected, *value),
        (WastRetCore::RefNull(None), Val::FuncRef(None) | Val::ExternRef(None)) => true,
        (WastRetCore::RefNull(Some(ty)), Val::FuncRef(None)) => {
            null_type(ty) == Some(ValType::FuncRef)
        }
        (WastRetCore::RefNull(Some(ty)), Val::ExternRef(None)) => {
            null_type(ty) == Some(ValType::ExternRef)
        }
        (WastRetCore::RefExtern(None), Val::ExternRef(value)) => value.is_some(),
        (WastRetCore::RefExtern(Some(number)), Val::ExternRef(Some(value)))
        | (WastRetCore::RefHost(number), Val::ExternRef(Some(value))) => {
            value.data(store).downcast_ref::<u32>() == Some(number)
        }
        (WastRetCore::RefFunc(_), Val::FuncRef(value)) => value.is_some(),
        (WastRetCore::Either(choices), value) => choices
            .iter()
            .any(|choice| is_expected(store, value, choice)),
        _ => false,
    }
}

fn is_expected_f32(expected: &NanPattern<F32>, bits: u32) -> bool {
    const QUIET_NAN: u32 = 0x7fc0_0000;
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == QUIET_NAN,
        NanPattern::ArithmeticNan => bits & QUIET_NAN == QUIET_NAN,
        NanPattern::Value(value) => value.bits == bits,
    }
}

fn is_expected_f64(expected: &NanPattern<F64>, bits: u64) -> bool {
    const QUIET_NAN: u64 = 0x7ff8_0000_0000_0000;
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == QUIET_NAN,
        NanPattern::ArithmeticNan => bits & QUIET_NAN == QUIET_NAN,
        NanPattern::Value(value) => value.bits == bits,
    }
}

fn is_expected_v128(expected: &V128Pattern, value: V128) -> bool {
    let bytes = value.to_bytes();
    /// Whether all lanes of `$bytes` bytes are as expected.
    macro_rules! lanes {
        ($lanes:expr, $ty:ty, $test:expr) => {
            $lanes
                .iter()
                .zip(bytes.chunks_exact(size_of::<$ty>()))
                .all(|(expected, lane)| {
                    let mut copy = [0; size_of::<$ty>()];
                    copy.copy_from_slice(lane);
                    $test(expected, <$ty>::from_le_bytes(copy))
                })
        };
    }
    match expected {
        V128Pattern::I8x16(lanes) => lanes!(lanes, i8, |expected: &i8, lane| *expected == lane),
        V128Pattern::I16x8(lanes) => lanes!(lanes, i16, |expected: &i16, lane| *expected == lane),
        V128Pattern::I32x4(lanes) => lanes!(lanes, i32, |expected: &i32, lane| *expected == lane),
        V128Pattern::I64x2(lanes) => lanes!(lanes, i64, |expected: &i64, lane| *expected == lane),
        V128Pattern::F32x4(lanes) => lanes!(lanes, u32, is_expected_f32),
        V128Pattern::F64x2(lanes) => lanes!(lanes, u64, is_expected_f64),
    }
}

/// Whether a trap is the one that the script means by `expected`.
pub(super) fn is_expected_trap(kind: TrapKind, expected: &str) -> bool {
    let message = kind.to_string();
    if message.starts_with(expected) || expected.starts_with(&message) {
        return true;
    }
    // The test suite says otherwise if the access is a call's.
    let other = match kind {
        TrapKind::TableOutOfBounds => "undefined element",
        TrapKind::IndirectCallToNull => "uninitialized",
        _ => return false,
    };
    expected.starts_with(other)
}
