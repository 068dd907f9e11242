//! The routines that a compiler calls for operations which the machine lacks.
//!
//! Rounding and fused multiply-add exist as instructions only from SSE4.1 and FMA on. Results are those of the
//! instructions, NaNs quieted included.

use crate::arch;
use upshift_codegen::cranelift_codegen::ir::LibCall;

/// The routines that are provided; a routine's position is the number of its address cell.
const PROVIDED: [LibCall; 15] = [
    LibCall::CeilF32,
    LibCall::CeilF64,
    LibCall::FloorF32,
    LibCall::FloorF64,
    LibCall::TruncF32,
    LibCall::TruncF64,
    LibCall::NearestF32,
    LibCall::NearestF64,
    LibCall::FmaF32,
    LibCall::FmaF64,
    LibCall::Memcpy,
    LibCall::Memset,
    LibCall::Memmove,
    LibCall::Memcmp,
    LibCall::X86Pshufb,
];

/// The number of `libcall`'s address cell, if the routine is provided.
pub(crate) fn number(libcall: LibCall) -> Option<usize> {
    PROVIDED.iter().position(|&provided| provided == libcall)
}

/// The routines' addresses, in the order of their cells; 0 for what this machine does not have.
pub(crate) fn addresses() -> impl Iterator<Item = usize> {
    PROVIDED
        .into_iter()
        .map(|libcall| address(libcall).unwrap_or(0))
}

fn address(libcall: LibCall) -> Option<usize> {
    type Unary32 = extern "C" fn(f32) -> f32;
    type Unary64 = extern "C" fn(f64) -> f64;
    Some(match libcall {
        LibCall::CeilF32 => ceil_f32 as Unary32 as usize,
        LibCall::CeilF64 => ceil_f64 as Unary64 as usize,
        LibCall::FloorF32 => floor_f32 as Unary32 as usize,
        LibCall::FloorF64 => floor_f64 as Unary64 as usize,
        LibCall::TruncF32 => trunc_f32 as Unary32 as usize,
        LibCall::TruncF64 => trunc_f64 as Unary64 as usize,
        LibCall::NearestF32 => nearest_f32 as Unary32 as usize,
        LibCall::NearestF64 => nearest_f64 as Unary64 as usize,
        LibCall::FmaF32 => fma_f32 as extern "C" fn(f32, f32, f32) -> f32 as usize,
        LibCall::FmaF64 => fma_f64 as extern "C" fn(f64, f64, f64) -> f64 as usize,
        LibCall::Memcpy => libc::memcpy as *const () as usize,
        LibCall::Memset => libc::memset as *const () as usize,
        LibCall::Memmove => libc::memmove as *const () as usize,
        LibCall::Memcmp => libc::memcmp as *const () as usize,
        LibCall::X86Pshufb => return arch::HOST.pshufb_address(),
        _ => return None,
    })
}

/// Defines rounding routines. The library's functions may hand a signalling NaN through as it is.
macro_rules! rounding {
    ($($name:ident: $float:ty, $method:ident, $quiet_bit:literal;)*) => {$(
        extern "C" fn $name(value: $float) -> $float {
            if value.is_nan() {
                <$float>::from_bits(value.to_bits() | 1 << $quiet_bit)
            } else {
                value.$method()
            }
        }
    )*};
}

rounding! {
    ceil_f32: f32, ceil, 22;
    ceil_f64: f64, ceil, 51;
    floor_f32: f32, floor, 22;
    floor_f64: f64, floor, 51;
    trunc_f32: f32, trunc, 22;
    trunc_f64: f64, trunc, 51;
    nearest_f32: f32, round_ties_even, 22;
    nearest_f64: f64, round_ties_even, 51;
}

extern "C" fn fma_f32(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

extern "C" fn fma_f64(a: f64, b: f64, c: f64) -> f64 {
    a.mul_add(b, c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provided_routines_have_cells_and_addresses() {
        for (index, libcall) in PROVIDED.into_iter().enumerate() {
            assert_eq!(number(libcall), Some(index));
            if libcall != LibCall::X86Pshufb {
                assert!(address(libcall).is_some());
            }
        }
        for libcall in [
            LibCall::Probestack,
            LibCall::ElfTlsGetAddr,
            LibCall::ElfTlsGetOffset,
        ] {
            assert_eq!(number(libcall), None);
        }
        assert_eq!(PROVIDED.len() + 3, LibCall::all_libcalls().len());
    }

    #[test]
    fn rounding_keeps_signs_and_quiets_nans() {
        assert_eq!(ceil_f32(-0.5).to_bits(), (-0.0_f32).to_bits());
        assert_eq!(ceil_f64(-0.5).to_bits(), (-0.0_f64).to_bits());
        assert_eq!(floor_f32(-0.5), -1.0);
        assert_eq!(floor_f64(0.5).to_bits(), 0);
        assert_eq!(trunc_f32(-1.9), -1.0);
        assert_eq!(trunc_f64(-0.9).to_bits(), (-0.0_f64).to_bits());
        assert_eq!(nearest_f32(2.5), 2.0);
        assert_eq!(nearest_f64(-3.5), -4.0);
        for round in [ceil_f64, floor_f64, trunc_f64, nearest_f64] {
            let signalling = f64::from_bits(0xfff4_0000_0000_0001);
            let result = round(std::hint::black_box(signalling)).to_bits();
            assert_eq!(result, 0xfffc_0000_0000_0001);
        }
        for round in [ceil_f32, floor_f32, trunc_f32, nearest_f32] {
            let signalling = f32::from_bits(0x7fa0_0001);
            assert_eq!(
                round(std::hint::black_box(signalling)).to_bits(),
                0x7fe0_0001
            );
        }
    }

    #[test]
    fn fused_multiply_add_rounds_once_and_quiets_nans() {
        let signalling = f64::from_bits(0xfff4_0000_0000_0001);
        let result = fma_f64(std::hint::black_box(signalling), 1.0, 1.0).to_bits();
        assert_eq!(result, 0xfffc_0000_0000_0001);
        let signalling = f32::from_bits(0x7fa0_0001);
        let result = fma_f32(1.0, 1.0, std::hint::black_box(signalling)).to_bits();
        assert_eq!(result, 0x7fe0_0001);
        let e32 = f32::EPSILON;
        assert_eq!(fma_f32(1.0 + e32, 1.0 - e32, -1.0), -e32 * e32);
        let e64 = f64::EPSILON;
        assert_eq!(fma_f64(1.0 + e64, 1.0 - e64, -1.0), -e64 * e64);
    }
}
