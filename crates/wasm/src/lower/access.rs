//! What a memory access is to whoever lowers it, and the notation of the tables of accesses.
//!
//! The accesses know nothing of linear memories: they are given a native address ([`Location`])
//! that the translator made from the index operand and the [`MemArg`], with whatever bounds check
//! its memory needs. That a bad address faults, and with which trap code, is a property of the
//! location's flags.

use cranelift_codegen::ir::{Endianness, MemFlagsData, Type, Value};
use cranelift_frontend::FunctionBuilder;
use std::fmt;
use wasmparser::{MemArg, Operator};

/// A place in native memory: `base + offset`.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    /// The native address, of the target's pointer type.
    pub base: Value,
    /// A constant distance from it in bytes, which the code generator folds into the instruction.
    pub offset: i32,
    /// What is known of the address: alias region, trap code and so on. The byte order is not taken
    /// from here: WebAssembly's memories are little-endian on every host.
    pub flags: MemFlagsData,
}

impl Location {
    pub(super) fn little_endian(self) -> Self {
        Self {
            flags: self.flags.with_endianness(Endianness::Little),
            ..self
        }
    }
}

/// One occurrence of a memory access: where in its memory, how much, what it pops and pushes.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// The name of the lowering function, such as `i32_load8_s`.
    pub name: &'static str,
    /// The memory, and the constant part of the index into it. Its alignment is only a hint.
    pub memarg: MemArg,
    /// How many bytes are read or written.
    pub bytes: u32,
    /// The types of the operands pushed after the index: the value to store, the vector to load
    /// into.
    pub operands: &'static [Type],
    /// The type of the loaded value; `None` for a store.
    pub result: Option<Type>,
    pub(super) operator: &'a Operator<'a>,
    pub(super) emit: EmitAccess,
}

/// A lowering function with its parameters gathered up, of a load or of a store.
#[derive(Clone, Copy)]
pub(super) enum EmitAccess {
    Load(fn(&Operator<'_>, &mut FunctionBuilder<'_>, Location, &[Value]) -> Value),
    Store(fn(&Operator<'_>, &mut FunctionBuilder<'_>, Location, &[Value])),
}

impl Access<'_> {
    /// Appends the access's code at `b`'s position and returns the loaded value, if it is a load.
    ///
    /// # Panics
    ///
    /// If there are not as many `operands` as [`Access::operands`] says.
    pub fn lower(
        &self,
        b: &mut FunctionBuilder<'_>,
        location: Location,
        operands: &[Value],
    ) -> Option<Value> {
        match self.emit {
            EmitAccess::Load(load) => Some(load(self.operator, b, location, operands)),
            EmitAccess::Store(store) => {
                store(self.operator, b, location, operands);
                None
            }
        }
    }
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.operands)
    }
}

/// A table of loads. Each entry
///
/// ```text
/// /// Documentation.
/// [2] Operator { lane: u8 } => function(b, at, x: I16X8) -> I16X8 { code }
/// ```
///
/// becomes `pub fn function(b, lane, at, x) -> Value`; the number is that of the bytes it reads.
/// Vectors are cast to and from their lanes as in `operations!`.
macro_rules! loads {
    (
        fn $table:ident;
        $(
            $(#[$doc:meta])*
            [$bytes:literal] $op:ident $({ $lane:ident: $lane_ty:ty })? =>
                $name:ident($b:ident, $at:ident $(, $x:ident: $ty:ident)*) -> $result:ident
                { $($code:tt)+ }
        )+
    ) => {
        $(
            $(#[$doc])*
            pub fn $name(
                $b: &mut cranelift_frontend::FunctionBuilder<'_>,
                $($lane: $lane_ty,)?
                $at: $crate::lower::access::Location,
                $($x: cranelift_codegen::ir::Value,)*
            ) -> cranelift_codegen::ir::Value {
                let $at = $at.little_endian();
                $(let $x = $crate::lower::operation::as_lanes($b, $x, $ty);)*
                let result = { $($code)+ };
                $crate::lower::operation::canonical($b, result)
            }
        )+

        /// Looks an operator up in this table.
        fn $table<'a>(
            operator: &'a wasmparser::Operator<'a>,
        ) -> Option<$crate::lower::access::Access<'a>> {
            use $crate::lower::access::{Access, EmitAccess};
            use wasmparser::Operator;
            Some(match operator {
                $(Operator::$op { memarg, .. } => Access {
                    name: stringify!($name),
                    memarg: *memarg,
                    bytes: $bytes,
                    operands: &[$($crate::lower::operation::stack_type!($ty)),*],
                    result: Some($crate::lower::operation::stack_type!($result)),
                    operator,
                    emit: EmitAccess::Load(|operator, b, at, operands| match (operator, operands) {
                        (Operator::$op { $($lane,)? .. }, &[$($x),*]) => {
                            $name(b, $(*$lane,)? at, $($x),*)
                        }
                        _ => $crate::lower::operation::mismatch(stringify!($name), operands),
                    }),
                },)+
                _ => return None,
            })
        }
    };
}

/// A table of stores, written like `loads!` but without results.
macro_rules! stores {
    (
        fn $table:ident;
        $(
            $(#[$doc:meta])*
            [$bytes:literal] $op:ident $({ $lane:ident: $lane_ty:ty })? =>
                $name:ident($b:ident, $at:ident, $x:ident: $ty:ident) { $($code:tt)+ }
        )+
    ) => {
        $(
            $(#[$doc])*
            pub fn $name(
                $b: &mut cranelift_frontend::FunctionBuilder<'_>,
                $($lane: $lane_ty,)?
                $at: $crate::lower::access::Location,
                $x: cranelift_codegen::ir::Value,
            ) {
                let $at = $at.little_endian();
                let $x = $crate::lower::operation::as_lanes($b, $x, $ty);
                $($code)+
            }
        )+

        /// Looks an operator up in this table.
        fn $table<'a>(
            operator: &'a wasmparser::Operator<'a>,
        ) -> Option<$crate::lower::access::Access<'a>> {
            use $crate::lower::access::{Access, EmitAccess};
            use wasmparser::Operator;
            Some(match operator {
                $(Operator::$op { memarg, .. } => Access {
                    name: stringify!($name),
                    memarg: *memarg,
                    bytes: $bytes,
                    operands: &[$crate::lower::operation::stack_type!($ty)],
                    result: None,
                    operator,
                    emit: EmitAccess::Store(|operator, b, at, operands| match (operator, operands) {
                        (Operator::$op { $($lane,)? .. }, &[$x]) => $name(b, $(*$lane,)? at, $x),
                        _ => $crate::lower::operation::mismatch(stringify!($name), operands),
                    }),
                },)+
                _ => return None,
            })
        }
    };
}

pub(in crate::lower) use {loads, stores};
