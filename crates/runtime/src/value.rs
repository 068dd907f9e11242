//! Values at the boundary between host and guest.

/// One value on its way into or out of guest code: 16 bytes, of which its type uses the lowest.
///
/// Reading another member than the one last written reinterprets the bits; bytes that the written member does not
/// cover are unspecified.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub union RawValue {
    /// A 32-bit integer.
    pub i32: i32,
    /// A 64-bit integer, a pointer or a reference.
    pub i64: i64,
    /// The bits of a 32-bit float.
    pub f32: u32,
    /// The bits of a 64-bit float.
    pub f64: u64,
    /// A 128-bit vector, little-endian.
    pub v128: u128,
}

impl RawValue {
    /// All bits zero.
    pub const ZERO: RawValue = RawValue { v128: 0 };
}

impl std::fmt::Debug for RawValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SAFETY: every bit pattern is a `u128`.
        write!(f, "RawValue({:#x})", unsafe { self.v128 })
    }
}
