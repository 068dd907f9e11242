//! What the assembler computes with: types of values, and the operations that it encodes by itself.

use std::fmt;

/// The type of a value, as far as registers and home slots are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    /// 32 bits in a general register, whose upper half is zero.
    I32,
    /// 64 bits in a general register.
    I64,
    /// A float in a vector register.
    F32,
    /// A double in a vector register.
    F64,
    /// A whole vector register.
    V128,
}

impl Ty {
    /// Whether values of this type are in vector registers.
    #[inline(always)]
    pub const fn is_vector(self) -> bool {
        matches!(self, Ty::F32 | Ty::F64 | Ty::V128)
    }

    /// Bytes of a home slot.
    #[inline(always)]
    pub const fn slot_bytes(self) -> i32 {
        match self {
            Ty::V128 => 16,
            _ => 8,
        }
    }
}

/// Integer operations of two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum IntOp {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
}

impl IntOp {
    /// Whether the operands can be swapped.
    #[inline(always)]
    pub const fn is_commutative(self) -> bool {
        !matches!(self, IntOp::Sub)
    }
}

/// Shifts and rotations, by an amount modulo the width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ShiftOp {
    Shl,
    ShrS,
    ShrU,
    Rotl,
    Rotr,
}

/// Integer comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum IntTest {
    Eq,
    Ne,
    LtS,
    LtU,
    GtS,
    GtU,
    LeS,
    LeU,
    GeS,
    GeU,
}

impl IntTest {
    /// The same comparison with its operands swapped.
    pub const fn swapped(self) -> IntTest {
        match self {
            IntTest::Eq => IntTest::Eq,
            IntTest::Ne => IntTest::Ne,
            IntTest::LtS => IntTest::GtS,
            IntTest::LtU => IntTest::GtU,
            IntTest::GtS => IntTest::LtS,
            IntTest::GtU => IntTest::LtU,
            IntTest::LeS => IntTest::GeS,
            IntTest::LeU => IntTest::GeU,
            IntTest::GeS => IntTest::LeS,
            IntTest::GeU => IntTest::LeU,
        }
    }
}

/// Float comparisons; all but `Ne` are false if an operand is a NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FloatTest {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
}

/// Float operations; `Sqrt` takes one operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FloatOp {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
}

/// How a value is made of what is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadKind {
    /// It is there as it is.
    Full(Ty),
    /// One byte, zero-extended.
    Unsigned8,
    /// Two bytes, zero-extended.
    Unsigned16,
    /// Four bytes, zero-extended to 64 bits.
    Unsigned32,
    /// One byte, sign-extended to 32 or 64 bits.
    Signed8 {
        /// To 64.
        wide: bool,
    },
    /// Two bytes, sign-extended to 32 or 64 bits.
    Signed16 {
        /// To 64.
        wide: bool,
    },
    /// Four bytes, sign-extended to 64 bits.
    Signed32,
}

/// What of a value goes to memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreKind {
    /// All of it.
    Full(Ty),
    /// The low byte.
    Low8,
    /// The low two bytes.
    Low16,
    /// The low four bytes of 64 bits.
    Low32,
}

impl LoadKind {
    /// All of them.
    pub(crate) const ALL: [LoadKind; 13] = [
        LoadKind::Full(Ty::I32),
        LoadKind::Full(Ty::I64),
        LoadKind::Full(Ty::F32),
        LoadKind::Full(Ty::F64),
        LoadKind::Full(Ty::V128),
        LoadKind::Unsigned8,
        LoadKind::Unsigned16,
        LoadKind::Unsigned32,
        LoadKind::Signed8 { wide: false },
        LoadKind::Signed8 { wide: true },
        LoadKind::Signed16 { wide: false },
        LoadKind::Signed16 { wide: true },
        LoadKind::Signed32,
    ];

    /// Its place among them.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        let first = match self {
            LoadKind::Full(_) => 0,
            LoadKind::Unsigned8 => 5,
            LoadKind::Unsigned16 => 6,
            LoadKind::Unsigned32 => 7,
            LoadKind::Signed8 { .. } => 8,
            LoadKind::Signed16 { .. } => 10,
            LoadKind::Signed32 => 12,
        };
        let more = match self {
            LoadKind::Full(ty) => ty as usize,
            LoadKind::Signed8 { wide } | LoadKind::Signed16 { wide } => wide as usize,
            _ => 0,
        };
        first + more
    }
}

impl StoreKind {
    /// All of them.
    pub(crate) const ALL: [StoreKind; 8] = [
        StoreKind::Full(Ty::I32),
        StoreKind::Full(Ty::I64),
        StoreKind::Full(Ty::F32),
        StoreKind::Full(Ty::F64),
        StoreKind::Full(Ty::V128),
        StoreKind::Low8,
        StoreKind::Low16,
        StoreKind::Low32,
    ];

    /// Its place among them.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        match self {
            StoreKind::Full(ty) => ty as usize,
            StoreKind::Low8 => 5,
            StoreKind::Low16 => 6,
            StoreKind::Low32 => 7,
        }
    }
}

/// A kind of load or store by its place among all of them, which is what its encoding is looked up by: to find that out for each
/// operator would take a jump to one of many places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LoadIndex(pub(crate) u8);

/// The same for stores.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreIndex(pub(crate) u8);

impl LoadIndex {
    /// That of a kind.
    pub const fn of(kind: LoadKind) -> LoadIndex {
        LoadIndex(kind.index() as u8)
    }

    /// The kind.
    pub const fn kind(self) -> LoadKind {
        LoadKind::ALL[self.0 as usize]
    }
}

impl StoreIndex {
    /// That of a kind.
    pub const fn of(kind: StoreKind) -> StoreIndex {
        StoreIndex(kind.index() as u8)
    }

    /// The kind.
    pub const fn kind(self) -> StoreKind {
        StoreKind::ALL[self.0 as usize]
    }
}

impl fmt::Debug for LoadIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

impl fmt::Debug for StoreIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}
