//! Rust values in place of raw ones: calls whose types are checked once.

use crate::{Engine, Error, Function};
use cranelift_codegen::ir::{Signature, Type, types};
use std::error::Error as StdError;
use std::marker::PhantomData;
use upshift_runtime::{EntrySlot, HostFailure, RawValue, Trampoline};

/// Values that one call can pass at most, in each direction.
const VALUES_MAX: usize = 16;

/// A Rust type that crosses the boundary as one value.
pub trait FuncValue: Copy {
    /// The CLIF type it has there.
    fn clif_type() -> Type;
    /// To a raw value.
    fn to_raw(self) -> RawValue;
    /// From a raw value of that type.
    fn from_raw(raw: RawValue) -> Self;
}

macro_rules! func_value {
    ($($rust:ty, $clif:expr, $member:ident, |$v:ident| $to:expr, |$r:ident| $from:expr;)*) => {$(
        impl FuncValue for $rust {
            fn clif_type() -> Type {
                $clif
            }
            fn to_raw(self) -> RawValue {
                let $v = self;
                let mut raw = RawValue::ZERO;
                raw.$member = $to;
                raw
            }
            fn from_raw(raw: RawValue) -> Self {
                // SAFETY: every bit pattern is a value of this member's type.
                let $r = unsafe { raw.$member };
                $from
            }
        }
    )*};
}

func_value! {
    i32, types::I32, i32, |v| v, |r| r;
    u32, types::I32, i32, |v| v as i32, |r| r as u32;
    i64, types::I64, i64, |v| v, |r| r;
    u64, types::I64, i64, |v| v as i64, |r| r as u64;
    usize, types::I64, i64, |v| v as i64, |r| r as usize;
    f32, types::F32, f32, |v| v.to_bits(), |r| f32::from_bits(r);
    f64, types::F64, f64, |v| v.to_bits(), |r| f64::from_bits(r);
}

/// The parameters of a function: one value, or a tuple of up to twelve.
pub trait FuncParams {
    /// Their CLIF types.
    fn clif_types() -> Vec<Type>;
    /// Writes them to the start of `raw`.
    fn store(self, raw: &mut [RawValue]);
    /// Reads them from the start of `raw`.
    fn load(raw: &[RawValue]) -> Self;
}

/// The results of a function: nothing, one value, or a tuple of up to twelve.
pub trait FuncResults: FuncParams {}

impl<T: FuncParams> FuncResults for T {}

impl<T: FuncValue> FuncParams for T {
    fn clif_types() -> Vec<Type> {
        vec![T::clif_type()]
    }
    fn store(self, raw: &mut [RawValue]) {
        raw[0] = self.to_raw();
    }
    fn load(raw: &[RawValue]) -> Self {
        T::from_raw(raw[0])
    }
}

macro_rules! func_tuples {
    ($(($($name:ident $index:tt),*);)*) => {$(
        impl<$($name: FuncValue),*> FuncParams for ($($name,)*) {
            fn clif_types() -> Vec<Type> {
                vec![$($name::clif_type()),*]
            }
            #[allow(unused_variables)]
            fn store(self, raw: &mut [RawValue]) {
                $(raw[$index] = self.$index.to_raw();)*
            }
            #[allow(unused_variables, clippy::unused_unit)]
            fn load(raw: &[RawValue]) -> Self {
                ($($name::from_raw(raw[$index]),)*)
            }
        }
    )*};
}

func_tuples! {
    ();
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
}

/// What a host function may return: results, or results or an error, which ends the guest's call.
pub trait HostResult {
    /// The results.
    type Results: FuncResults;
    /// The results, or the failure.
    ///
    /// # Errors
    /// If the host function failed.
    fn into_results(self) -> Result<Self::Results, HostFailure>;
}

impl<T: FuncResults> HostResult for T {
    type Results = T;
    fn into_results(self) -> Result<T, HostFailure> {
        Ok(self)
    }
}

impl<T: FuncResults> HostResult for Result<T, Box<dyn StdError + Send + Sync>> {
    type Results = T;
    fn into_results(self) -> Result<T, HostFailure> {
        self.map_err(HostFailure::Error)
    }
}

/// Checks that a signature is `(Params) -> Results`.
pub(crate) fn check_signature<Params: FuncParams, Results: FuncResults>(
    name: &str,
    signature: &Signature,
) -> Result<(), Error> {
    let params: Vec<Type> = signature.params.iter().map(|p| p.value_type).collect();
    let returns: Vec<Type> = signature.returns.iter().map(|p| p.value_type).collect();
    if params == Params::clif_types() && returns == Results::clif_types() {
        return Ok(());
    }
    let asked = (Params::clif_types(), Results::clif_types());
    let reason = format!(
        "its type is {params:?} -> {returns:?}, not {:?} -> {:?}",
        asked.0, asked.1
    );
    Err(Error::invalid(format!("function {name}"), reason))
}

/// A guest function with its Rust type.
#[derive(Debug)]
pub struct TypedFunc<Params, Results> {
    function: Function,
    trampoline: Trampoline,
    slot: EntrySlot,
    types: PhantomData<fn(Params) -> Results>,
}

impl<Params, Results> Clone for TypedFunc<Params, Results> {
    fn clone(&self) -> Self {
        TypedFunc {
            function: self.function.clone(),
            trampoline: self.trampoline.clone(),
            slot: self.slot,
            types: PhantomData,
        }
    }
}

impl<Params: FuncParams, Results: FuncResults> TypedFunc<Params, Results> {
    /// Gives `function`, whose signature is `signature`, its Rust type.
    ///
    /// # Safety
    /// Calling the function must be sound whatever arguments it gets.
    pub(crate) unsafe fn new(
        engine: &Engine,
        function: Function,
        signature: &Signature,
    ) -> Result<Self, Error> {
        check_signature::<Params, Results>(&function.name(), signature)?;
        let trampoline = engine.trampoline(signature)?;
        let slot = function.group().entry_slot(function.index());
        Ok(TypedFunc {
            function,
            trampoline,
            slot,
            types: PhantomData,
        })
    }

    /// The function behind it.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Calls the function in the best code it has.
    ///
    /// # Errors
    /// If guest code traps, or a host function that it calls fails.
    pub fn call(&self, params: Params) -> Result<Results, Error> {
        let mut values = [RawValue::ZERO; VALUES_MAX];
        params.store(&mut values);
        // SAFETY: the function is alive, its types were checked, and no signature in reach of the tuples above has more
        // values than the buffer. That its code is sound was promised when this handle was made.
        unsafe { self.trampoline.call(self.slot, values.as_mut_ptr(), None) }?;
        Ok(Results::load(&values))
    }
}
