//! WebAssembly values as the host sees them, and their way into and out of the 16-byte slots of a call.

use crate::error::{Error, Result};
use crate::handle::{ExternRef, Func, Global, Memory, StoreId, Table};
use crate::store::StoreOpaque;
use crate::types::ValType;
use crate::vmctx::VMFuncRef;
use std::ptr::NonNull;
use upshift::embed::RawValue;

/// A vector of 128 bits, little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct V128(u128);

impl V128 {
    /// The bits as one number, lane 0 lowest.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// The sixteen bytes, lane 0 first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

impl From<u128> for V128 {
    fn from(bits: u128) -> V128 {
        V128(bits)
    }
}

impl From<[u8; 16]> for V128 {
    fn from(bytes: [u8; 16]) -> V128 {
        V128(u128::from_le_bytes(bytes))
    }
}

impl From<V128> for u128 {
    fn from(value: V128) -> u128 {
        value.0
    }
}

/// A value of any type. Floats are kept as their bits, so that every NaN is kept as it is.
#[derive(Clone, Copy, Debug)]
pub enum Val {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// The bits of a 32-bit float.
    F32(u32),
    /// The bits of a 64-bit float.
    F64(u64),
    /// A vector.
    V128(V128),
    /// A function, or null.
    FuncRef(Option<Func>),
    /// A value of the host's, or null.
    ExternRef(Option<ExternRef>),
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $variant:ident -> $ty:ty = $convert:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(&self) -> Option<$ty> {
                match *self {
                    Val::$variant(value) => Some($convert(value)),
                    _ => None,
                }
            }
        )*
    };
}

impl Val {
    /// The value's type.
    pub fn ty(&self) -> ValType {
        match self {
            Val::I32(_) => ValType::I32,
            Val::I64(_) => ValType::I64,
            Val::F32(_) => ValType::F32,
            Val::F64(_) => ValType::F64,
            Val::V128(_) => ValType::V128,
            Val::FuncRef(_) => ValType::FuncRef,
            Val::ExternRef(_) => ValType::ExternRef,
        }
    }

    /// Zero, or the null reference.
    pub fn default_for(ty: ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(V128(0)),
            ValType::FuncRef => Val::FuncRef(None),
            ValType::ExternRef => Val::ExternRef(None),
        }
    }

    accessors! {
        /// The 32-bit integer, if it is one.
        i32: I32 -> i32 = |value| value;
        /// The 64-bit integer, if it is one.
        i64: I64 -> i64 = |value| value;
        /// The 32-bit float, if it is one.
        f32: F32 -> f32 = f32::from_bits;
        /// The 64-bit float, if it is one.
        f64: F64 -> f64 = f64::from_bits;
        /// The vector, if it is one.
        v128: V128 -> V128 = |value| value;
        /// The function reference, if it is one.
        func_ref: FuncRef -> Option<Func> = |value| value;
        /// The external reference, if it is one.
        extern_ref: ExternRef -> Option<ExternRef> = |value| value;
    }

    /// The value in a slot. A reference must belong to `store`.
    pub(crate) fn to_raw(self, store: &StoreOpaque) -> Result<RawValue> {
        // All 16 bytes are written, so that no slot is ever partly uninitialised.
        Ok(RawValue {
            v128: match self {
                Val::I32(value) => u128::from(value as u32),
                Val::I64(value) => u128::from(value as u64),
                Val::F32(bits) => u128::from(bits),
                Val::F64(bits) => u128::from(bits),
                Val::V128(value) => value.0,
                Val::FuncRef(func) => u128::from(func_to_bits(func, store)?),
                Val::ExternRef(value) => u128::from(extern_to_bits(value, store)?),
            },
        })
    }

    /// The value of type `ty` in a slot.
    ///
    /// # Safety
    /// The slot must hold a value of that type, and a reference must be one that the store `store` owns.
    pub(crate) unsafe fn from_raw(raw: &RawValue, ty: ValType, store: StoreId) -> Val {
        // SAFETY: a slot holds a value of its type, as the caller says; all members are plain bits.
        unsafe {
            match ty {
                ValType::I32 => Val::I32(raw.i32),
                ValType::I64 => Val::I64(raw.i64),
                ValType::F32 => Val::F32(raw.f32),
                ValType::F64 => Val::F64(raw.f64),
                ValType::V128 => Val::V128(V128(raw.v128)),
                ValType::FuncRef => Val::FuncRef(func_from_bits(raw.f64, store)),
                ValType::ExternRef => Val::ExternRef(extern_from_bits(raw.f64, store)),
            }
        }
    }

    /// The reference in a table element.
    pub(crate) fn to_bits(self, store: &StoreOpaque) -> Result<u64> {
        match self {
            Val::FuncRef(func) => func_to_bits(func, store),
            Val::ExternRef(value) => extern_to_bits(value, store),
            other => Err(Error::new(format!(
                "a value of type {} is not a reference",
                other.ty()
            ))),
        }
    }

    /// Says whether the value is of type `ty`.
    pub(crate) fn check(&self, ty: ValType, what: &str) -> Result<()> {
        if self.ty() == ty {
            return Ok(());
        }
        Err(Error::new(format!(
            "{what} is of type {ty}, but the value is of type {}",
            self.ty()
        )))
    }
}

/// The bits of a function reference that belongs to `store`.
pub(crate) fn func_to_bits(func: Option<Func>, store: &StoreOpaque) -> Result<u64> {
    let Some(func) = func else { return Ok(0) };
    store.check(func.store)?;
    Ok(func.funcref.as_ptr() as u64)
}

/// The function of `store` that the bits refer to.
///
/// # Safety
/// They must be 0 or the address of a function reference that `store` owns.
pub(crate) unsafe fn func_from_bits(bits: u64, store: StoreId) -> Option<Func> {
    NonNull::new(bits as *mut VMFuncRef).map(|funcref| Func { store, funcref })
}

/// The bits of an external reference that belongs to `store`.
pub(crate) fn extern_to_bits(value: Option<ExternRef>, store: &StoreOpaque) -> Result<u64> {
    let Some(value) = value else { return Ok(0) };
    store.check(value.store)?;
    Ok(u64::from(value.index) + 1)
}

/// The external reference of `store` that the bits mean.
pub(crate) fn extern_from_bits(bits: u64, store: StoreId) -> Option<ExternRef> {
    let index = bits.checked_sub(1)?;
    Some(ExternRef {
        store,
        index: index as u32,
    })
}

macro_rules! from {
    ($($ty:ty => $variant:ident = $convert:expr;)*) => {
        $(
            impl From<$ty> for Val {
                fn from(value: $ty) -> Val {
                    Val::$variant($convert(value))
                }
            }
        )*
    };
}

from! {
    i32 => I32 = |value| value;
    u32 => I32 = |value| value as i32;
    i64 => I64 = |value| value;
    u64 => I64 = |value| value as i64;
    f32 => F32 = f32::to_bits;
    f64 => F64 = f64::to_bits;
    V128 => V128 = |value| value;
    Func => FuncRef = Some;
    Option<Func> => FuncRef = |value| value;
    ExternRef => ExternRef = Some;
    Option<ExternRef> => ExternRef = |value| value;
}

/// Something that can be imported and exported.
#[derive(Clone, Copy, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A table.
    Table(Table),
    /// A memory.
    Memory(Memory),
    /// A global.
    Global(Global),
}

impl Extern {
    /// The function, if it is one.
    pub fn into_func(self) -> Option<Func> {
        match self {
            Extern::Func(func) => Some(func),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn into_table(self) -> Option<Table> {
        match self {
            Extern::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The memory, if it is one.
    pub fn into_memory(self) -> Option<Memory> {
        match self {
            Extern::Memory(memory) => Some(memory),
            _ => None,
        }
    }

    /// The global, if it is one.
    pub fn into_global(self) -> Option<Global> {
        match self {
            Extern::Global(global) => Some(global),
            _ => None,
        }
    }
}

macro_rules! extern_from {
    ($($ty:ident)*) => {
        $(
            impl From<$ty> for Extern {
                fn from(value: $ty) -> Extern {
                    Extern::$ty(value)
                }
            }
        )*
    };
}

extern_from! { Func Table Memory Global }
