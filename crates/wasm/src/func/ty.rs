//! Which Rust types stand for which WebAssembly types, in typed calls and in host functions.

use crate::error::Result;
use crate::handle::{ExternRef, Func};
use crate::store::StoreOpaque;
use crate::types::ValType;
use crate::val::{V128, extern_from_bits, extern_to_bits, func_from_bits, func_to_bits};
use upshift::embed::RawValue;

/// The most parameters, and the most results, that a typed function can have.
pub(crate) const VALUES_MAX: usize = 16;

/// A Rust type that is a WebAssembly type: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, [`V128`], `Option<Func>` and
/// `Option<ExternRef>`.
///
/// # Safety
/// `load` and `store` must use no more of a slot than a value of type `TYPE` has.
pub unsafe trait WasmTy: Sized + 'static {
    /// The WebAssembly type.
    #[doc(hidden)]
    const TYPE: ValType;

    #[doc(hidden)]
    fn store(self, store: &Access<'_>) -> Result<RawValue>;

    /// # Safety
    /// The slot must hold a value of type `TYPE`, which if it is a reference belongs to the store.
    #[doc(hidden)]
    unsafe fn load(slot: &RawValue, store: &Access<'_>) -> Self;
}

/// The store, for conversions that have to look at it.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Access<'a>(pub(crate) &'a StoreOpaque);

macro_rules! plain {
    ($($ty:ty, $wasm:ident, $member:ident, $to:expr, $from:expr;)*) => {
        $(
            // SAFETY: the member is as wide as the type.
            unsafe impl WasmTy for $ty {
                const TYPE: ValType = ValType::$wasm;

                #[inline]
                fn store(self, _: &Access<'_>) -> Result<RawValue> {
                    Ok(RawValue { $member: $to(self) })
                }

                #[inline]
                unsafe fn load(slot: &RawValue, _: &Access<'_>) -> Self {
                    // SAFETY: the slot holds such a value, as the caller says.
                    $from(unsafe { slot.$member })
                }
            }
        )*
    };
}

plain! {
    i32, I32, i32, |value| value, |bits| bits;
    u32, I32, i32, |value| value as i32, |bits| bits as u32;
    i64, I64, i64, |value| value, |bits| bits;
    u64, I64, i64, |value| value as i64, |bits| bits as u64;
    f32, F32, f32, f32::to_bits, f32::from_bits;
    f64, F64, f64, f64::to_bits, f64::from_bits;
    V128, V128, v128, u128::from, V128::from;
}

// SAFETY: a function reference is 8 bytes.
unsafe impl WasmTy for Option<Func> {
    const TYPE: ValType = ValType::FuncRef;

    fn store(self, store: &Access<'_>) -> Result<RawValue> {
        Ok(RawValue {
            f64: func_to_bits(self, store.0)?,
        })
    }

    unsafe fn load(slot: &RawValue, store: &Access<'_>) -> Self {
        // SAFETY: the slot holds a reference of the store's, as the caller says.
        unsafe { func_from_bits(slot.f64, store.0.id()) }
    }
}

// SAFETY: an external reference is 8 bytes.
unsafe impl WasmTy for Option<ExternRef> {
    const TYPE: ValType = ValType::ExternRef;

    fn store(self, store: &Access<'_>) -> Result<RawValue> {
        Ok(RawValue {
            f64: extern_to_bits(self, store.0)?,
        })
    }

    unsafe fn load(slot: &RawValue, store: &Access<'_>) -> Self {
        // SAFETY: the slot holds such a value, as the caller says.
        extern_from_bits(unsafe { slot.f64 }, store.0.id())
    }
}

/// A list of values: `()`, one [`WasmTy`], or a tuple of up to 16. The parameters or results of a typed function.
///
/// # Safety
/// `TYPES` must be the types of the slots that `load_all` and `store_all` use, at most 16.
pub unsafe trait WasmTypes: Sized + 'static {
    /// The WebAssembly types.
    #[doc(hidden)]
    const TYPES: &'static [ValType];

    /// Writes the values to `slots`.
    ///
    /// # Safety
    /// There must be a slot for each.
    #[doc(hidden)]
    unsafe fn store_all(self, slots: *mut RawValue, store: &Access<'_>) -> Result<()>;

    /// # Safety
    /// The slots must hold values of these types, references among them belonging to the store.
    #[doc(hidden)]
    unsafe fn load_all(slots: *const RawValue, store: &Access<'_>) -> Self;
}

// SAFETY: one slot of the one type.
unsafe impl<A: WasmTy> WasmTypes for A {
    const TYPES: &'static [ValType] = &[A::TYPE];

    #[inline]
    unsafe fn store_all(self, slots: *mut RawValue, store: &Access<'_>) -> Result<()> {
        let value = self.store(store)?;
        // SAFETY: there is a slot, as the caller says.
        unsafe { slots.write(value) };
        Ok(())
    }

    #[inline]
    unsafe fn load_all(slots: *const RawValue, store: &Access<'_>) -> Self {
        // SAFETY: as the caller says.
        unsafe { A::load(&*slots, store) }
    }
}

/// Calls `$macro` with each list of type parameters.
macro_rules! for_each_arity {
    ($macro:ident) => {
        $macro!();
        $macro!(A);
        $macro!(A B);
        $macro!(A B C);
        $macro!(A B C D);
        $macro!(A B C D E);
        $macro!(A B C D E F);
        $macro!(A B C D E F G);
        $macro!(A B C D E F G H);
        $macro!(A B C D E F G H I);
        $macro!(A B C D E F G H I J);
        $macro!(A B C D E F G H I J K);
        $macro!(A B C D E F G H I J K L);
        $macro!(A B C D E F G H I J K L M);
        $macro!(A B C D E F G H I J K L M N);
        $macro!(A B C D E F G H I J K L M N O);
        $macro!(A B C D E F G H I J K L M N O P);
    };
}
pub(crate) use for_each_arity;

macro_rules! tuple {
    ($($ty:ident)*) => {
        // SAFETY: one slot for each type, in order.
        #[allow(non_snake_case, unused_mut, unused_variables, unused_assignments, clippy::unused_unit)]
        unsafe impl<$($ty: WasmTy),*> WasmTypes for ($($ty,)*) {
            const TYPES: &'static [ValType] = &[$($ty::TYPE),*];

            #[inline]
            unsafe fn store_all(self, mut slots: *mut RawValue, store: &Access<'_>) -> Result<()> {
                let ($($ty,)*) = self;
                $(
                    let value = $ty.store(store)?;
                    // SAFETY: there is a slot for each value, as the caller says.
                    unsafe {
                        slots.write(value);
                        slots = slots.add(1);
                    }
                )*
                Ok(())
            }

            #[inline]
            unsafe fn load_all(mut slots: *const RawValue, store: &Access<'_>) -> Self {
                $(
                    // SAFETY: as the caller says.
                    let $ty = unsafe { $ty::load(&*slots, store) };
                    // SAFETY: one past the slot of a value is still within the slots, or one past them.
                    unsafe { slots = slots.add(1) };
                )*
                ($($ty,)*)
            }
        }
    };
}
for_each_arity!(tuple);
