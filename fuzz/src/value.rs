//! Values, results and states in a form that both engines' are turned into, to be compared and to be written to files.

use serde::{Deserialize, Serialize};

/// A value. Floats are their bits; of a function reference only whether there is one can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Value {
    /// A 32-bit integer.
    I32(u32),
    /// A 64-bit integer.
    I64(u64),
    /// The bits of a 32-bit float.
    F32(u32),
    /// The bits of a 64-bit float.
    F64(u64),
    /// A vector: its low half and its high half.
    V128(u64, u64),
    /// Whether a function reference is one, and not null.
    Func(bool),
    /// The host's number, or null.
    Extern(Option<u32>),
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// See [`Value::I32`].
    I32,
    /// See [`Value::I64`].
    I64,
    /// See [`Value::F32`].
    F32,
    /// See [`Value::F64`].
    F64,
    /// See [`Value::V128`].
    V128,
    /// See [`Value::Func`].
    Func,
    /// See [`Value::Extern`].
    Extern,
}

impl Value {
    /// A value of that type made of 64 bits. References to functions are null.
    pub fn from_bits(ty: Type, bits: u64) -> Value {
        match ty {
            Type::I32 => Value::I32(bits as u32),
            Type::I64 => Value::I64(bits),
            Type::F32 => Value::F32(bits as u32),
            Type::F64 => Value::F64(bits),
            Type::V128 => Value::V128(bits, bits.rotate_left(17)),
            Type::Func => Value::Func(false),
            Type::Extern => Value::Extern((!bits.is_multiple_of(3)).then_some(bits as u32 % 100)),
        }
    }

    /// A vector from its bits.
    pub fn v128(bits: u128) -> Value {
        Value::V128(bits as u64, (bits >> 64) as u64)
    }

    /// The bits of a vector's halves.
    pub fn join(low: u64, high: u64) -> u128 {
        u128::from(low) | u128::from(high) << 64
    }
}

/// Why a call did not return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The operation `unreachable`.
    Unreachable,
    /// Outside a memory.
    Memory,
    /// Outside a table.
    Table,
    /// A call through null.
    NullCall,
    /// A call of another signature.
    Signature,
    /// A division by zero.
    DivisionByZero,
    /// A result that does not fit.
    Overflow,
    /// A conversion of something that is not an integer.
    Conversion,
    /// No stack left.
    Stack,
    /// A host function failed, as the test host sometimes does.
    Host,
}

/// How a call, or an instantiation, ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With results.
    Returned(Vec<Value>),
    /// With a trap.
    Stopped(Stop),
    /// With an error that no WebAssembly program can cause.
    Failed(String),
}

/// What can be seen of an instance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// Exported globals.
    pub globals: Vec<(String, Value)>,
    /// Exported memories: the size in bytes, and a hash of each stretch of [`STRETCH`] bytes.
    pub memories: Vec<(String, usize, Vec<u64>)>,
    /// Exported tables.
    pub tables: Vec<(String, Vec<Value>)>,
}

/// Bytes of a memory that are hashed together.
pub const STRETCH: usize = 256;

/// Hashes of a memory's stretches.
pub fn hash_memory(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(STRETCH).map(hash).collect()
}

/// FNV-1a over words of eight bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    bytes.chunks(8).map(word).fold(0xcbf2_9ce4_8422_2325, step)
}
