//! What a value operation is to whoever lowers it, and the notation that the tables of operations
//! are written in.
//!
//! A *value operation* takes its operands from the operand stack, pushes exactly one result, and
//! touches nothing else: no local, no memory, no control flow other than a trap. [`Operation`]
//! describes one occurrence of such an operation; the `operations!` and `conditions!` tables of the
//! sibling modules define one public function for each, together with the look-up from
//! `wasmparser`'s [`Operator`] that yields its [`Operation`].

use cranelift_codegen::ir::{Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode};
use cranelift_codegen::ir::{Type, Value, ValueDef, types};
use cranelift_frontend::FunctionBuilder;
use std::fmt;
use wasmparser::Operator;

/// The one CLIF type that a `v128` has between operations, whatever lanes the operations see in it.
///
/// Without such a convention two paths that join could disagree on the type of the value they join
/// with.
pub const V128: Type = types::I8X16;

/// Stands for a type that the operation leaves open: every `ANY` of one [`Operation`] is the same
/// type.
pub const ANY: Type = types::INVALID;

/// One occurrence of a value operation: what it pops and pushes, and how it is lowered.
#[derive(Clone, Copy)]
pub struct Operation<'a> {
    /// The name of the lowering function: the text format's name with `_` for its `.`, such as
    /// `i32_add`.
    pub name: &'static str,
    /// The types of the operands, in the order they were pushed.
    pub operands: &'static [Type],
    /// The type of the one result.
    pub result: Type,
    pub(in crate::lower) operator: &'a Operator<'a>,
    pub(in crate::lower) emit: Emit,
    pub(in crate::lower) condition: Option<Emit>,
}

/// A lowering function with its parameters gathered up: the immediates are still in the operator.
pub(in crate::lower) type Emit = fn(&Operator<'_>, &mut FunctionBuilder<'_>, &[Value]) -> Value;

impl Operation<'_> {
    /// Appends the operation's code at `b`'s position and returns its result.
    ///
    /// # Panics
    ///
    /// If there are not as many `operands` as [`Operation::operands`] says.
    pub fn lower(&self, b: &mut FunctionBuilder<'_>, operands: &[Value]) -> Value {
        (self.emit)(self.operator, b, operands)
    }

    /// Whether the result is a truth value, which [`Operation::lower_condition`] gives in its raw
    /// form.
    pub fn is_condition(&self) -> bool {
        self.condition.is_some()
    }

    /// Like [`Operation::lower`] for a comparison or test, but returns the raw condition, an `i8`
    /// that is 0 or 1, where WebAssembly wants an `i32`. `None`, and no code, for anything else.
    ///
    /// A branch or `select` may test either: Cranelift looks through the extension of a comparison.
    /// But the raw one spares the compiler an instruction. Extended with `uextend` it is the
    /// operation's result, should that be wanted after all.
    ///
    /// # Panics
    ///
    /// If there are not as many `operands` as [`Operation::operands`] says.
    pub fn lower_condition(
        &self,
        b: &mut FunctionBuilder<'_>,
        operands: &[Value],
    ) -> Option<Value> {
        self.condition.map(|emit| emit(self.operator, b, operands))
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} -> {}", self.name, self.operands, self.result)
    }
}

/// Lanes are numbered from the low end of the vector on every host, as in WebAssembly.
pub(in crate::lower) const LANE_ORDER: MemFlagsData =
    MemFlagsData::new().with_endianness(Endianness::Little);

/// `value` seen as the vector type `ty`. A value that is not a vector is returned as it is.
///
/// A value that was only just made canonical is taken from before that, so that no casts pile up
/// between two operations on the same lanes, and the code generator finds the instruction patterns
/// it looks for.
pub fn as_lanes(b: &mut FunctionBuilder<'_>, value: Value, ty: Type) -> Value {
    if !ty.is_vector() {
        return value;
    }
    let source = before_cast(b, value);
    if b.func.dfg.value_type(source) == ty {
        return source;
    }
    b.ins().bitcast(ty, LANE_ORDER, source)
}

/// `value` as it goes on the operand stack: a vector becomes a [`V128`], anything else stays what
/// it is.
pub fn canonical(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    if b.func.dfg.value_type(value).is_vector() {
        as_lanes(b, value, V128)
    } else {
        value
    }
}

/// The vector that `value` was cast from, or `value`.
fn before_cast(b: &FunctionBuilder<'_>, value: Value) -> Value {
    let dfg = &b.func.dfg;
    if let ValueDef::Result(inst, _) = dfg.value_def(value)
        && let InstructionData::LoadNoOffset {
            opcode: Opcode::Bitcast,
            arg,
            ..
        } = dfg.insts[inst]
        && dfg.value_type(arg).is_vector()
    {
        return arg;
    }
    value
}

/// The answer to a wrong number of operands, which is a mistake in the caller.
pub(in crate::lower) fn mismatch(name: &str, operands: &[Value]) -> ! {
    panic!("{name} cannot be lowered with {} operands", operands.len())
}

/// Maps a type as written in a table to the type on the operand stack.
macro_rules! stack_type {
    (I32) => {
        cranelift_codegen::ir::types::I32
    };
    (I64) => {
        cranelift_codegen::ir::types::I64
    };
    (F32) => {
        cranelift_codegen::ir::types::F32
    };
    (F64) => {
        cranelift_codegen::ir::types::F64
    };
    (ANY) => {
        $crate::lower::operation::ANY
    };
    ($vector:ident) => {
        $crate::lower::operation::V128
    };
}

/// A table of value operations. Each entry
///
/// ```text
/// /// Documentation.
/// Operator { immediate: Type } => function(b, x: I32, y: I16X8) -> I32 { code }
/// ```
///
/// becomes `pub fn function(b, immediate, x, y) -> Value`. An operand declared with a vector type
/// arrives in the code as that type; a vector result, whatever its lanes, leaves it canonical. The
/// table's first line names its look-up.
macro_rules! operations {
    (
        fn $table:ident;
        $(
            $(#[$doc:meta])*
            $op:ident $({ $imm:ident: $imm_ty:ty })? =>
                $name:ident($b:ident $(, $x:ident: $ty:ident)*) -> $result:ident { $($code:tt)+ }
        )+
    ) => {
        $(
            $(#[$doc])*
            pub fn $name(
                $b: &mut cranelift_frontend::FunctionBuilder<'_>,
                $($imm: $imm_ty,)?
                $($x: cranelift_codegen::ir::Value,)*
            ) -> cranelift_codegen::ir::Value {
                $(let $x = $crate::lower::operation::as_lanes($b, $x, $ty);)*
                let result = { $($code)+ };
                $crate::lower::operation::canonical($b, result)
            }
        )+

        /// Looks an operator up in this table.
        pub(in crate::lower) fn $table<'a>(
            operator: &'a wasmparser::Operator<'a>,
        ) -> Option<$crate::lower::operation::Operation<'a>> {
            use wasmparser::Operator;
            Some(match operator {
                $(Operator::$op { .. } => $crate::lower::operation::Operation {
                    name: stringify!($name),
                    operands: &[$($crate::lower::operation::stack_type!($ty)),*],
                    result: $crate::lower::operation::stack_type!($result),
                    operator,
                    emit: |operator, b, operands| match (operator, operands) {
                        (Operator::$op { $($imm,)? .. }, &[$($x),*]) => {
                            $name(b, $(*$imm,)? $($x),*)
                        }
                        _ => $crate::lower::operation::mismatch(stringify!($name), operands),
                    },
                    condition: None,
                },)+
                _ => return None,
            })
        }
    };
}

/// A table of operations that give a truth value. Each entry
///
/// ```text
/// /// Documentation.
/// Operator => function, function_cond(b, x: I32, y: I32) { code for the condition, an i8 }
/// ```
///
/// becomes two functions: `function_cond` gives the condition as the code left it, `function`
/// extends it to `i32`.
macro_rules! conditions {
    (
        fn $table:ident;
        $(
            $(#[$doc:meta])*
            $op:ident =>
                $name:ident, $cond:ident($b:ident $(, $x:ident: $ty:ident)*) { $($code:tt)+ }
        )+
    ) => {
        $(
            $(#[$doc])*
            pub fn $name(
                b: &mut cranelift_frontend::FunctionBuilder<'_>,
                $($x: cranelift_codegen::ir::Value,)*
            ) -> cranelift_codegen::ir::Value {
                let condition = $cond(b, $($x),*);
                b.ins().uextend(cranelift_codegen::ir::types::I32, condition)
            }

            #[doc = concat!("The raw condition of [`", stringify!($name), "`]: an `i8`, 0 or 1.")]
            pub fn $cond(
                $b: &mut cranelift_frontend::FunctionBuilder<'_>,
                $($x: cranelift_codegen::ir::Value,)*
            ) -> cranelift_codegen::ir::Value {
                $(let $x = $crate::lower::operation::as_lanes($b, $x, $ty);)*
                $($code)+
            }
        )+

        /// Looks an operator up in this table.
        pub(in crate::lower) fn $table<'a>(
            operator: &'a wasmparser::Operator<'a>,
        ) -> Option<$crate::lower::operation::Operation<'a>> {
            use wasmparser::Operator;
            Some(match operator {
                $(Operator::$op => $crate::lower::operation::Operation {
                    name: stringify!($name),
                    operands: &[$($crate::lower::operation::stack_type!($ty)),*],
                    result: cranelift_codegen::ir::types::I32,
                    operator,
                    emit: |_, b, operands| match operands {
                        &[$($x),*] => $name(b, $($x),*),
                        _ => $crate::lower::operation::mismatch(stringify!($name), operands),
                    },
                    condition: Some(|_, b, operands| match operands {
                        &[$($x),*] => $cond(b, $($x),*),
                        _ => $crate::lower::operation::mismatch(stringify!($cond), operands),
                    }),
                },)+
                _ => return None,
            })
        }
    };
}

pub(in crate::lower) use {conditions, operations, stack_type};
