//! x86-64: stubs that jump through their slot, and fields that hold an address or a distance.
//!
//! A stub is `jmp [rip + slot]`, and at its half `call lazy_thunk`, whose return address says which function was
//! called. The lazy thunk is `push [rip + context]`, `jmp [rip + lazy_compile]`.

use super::machine::{Addresses, LAZY_THUNK, Machine, TRAP_THUNK};
use crate::error::RelocationError;
use crate::layout::{
    BUILTIN_CONTEXT, BUILTIN_LAZY_COMPILE, CELL_BYTES, HEADER_BYTES, SLOT_BYTES, STUB_BYTES,
};
use crate::mapping;

/// Whether this is the machine that this was compiled for.
pub(super) const IS_HOST: bool = cfg!(target_arch = "x86_64");

const INT3: u8 = 0xcc;
const UD2: [u8; 2] = [0x0f, 0x0b];
const LAZY_OFFSET: usize = 8;

/// The machine.
#[derive(Debug)]
pub(super) struct X64;

impl Machine for X64 {
    fn write_header(&self, header: &mut [u8; HEADER_BYTES], at: &Addresses) {
        header.fill(INT3);
        let cell = |builtin: u32| at.cells + builtin as usize * CELL_BYTES;
        let thunk = at.header + LAZY_THUNK;
        let bytes = &mut header[LAZY_THUNK..];
        // push [rip + context]
        write_rip(bytes, 0, [0xff, 0x35], thunk, cell(BUILTIN_CONTEXT));
        // jmp [rip + lazy_compile]
        write_rip(bytes, 6, [0xff, 0x25], thunk, cell(BUILTIN_LAZY_COMPILE));
        header[TRAP_THUNK..TRAP_THUNK + UD2.len()].copy_from_slice(&UD2);
    }

    fn write_stubs(&self, stubs: &mut [u8], first: usize, at: &Addresses) {
        for (index, stub) in (first..).zip(stubs.chunks_exact_mut(STUB_BYTES)) {
            let address = at.stubs + index * STUB_BYTES;
            stub.fill(INT3);
            // jmp [rip + slot]
            write_rip(
                stub,
                0,
                [0xff, 0x25],
                address,
                at.slots + index * SLOT_BYTES,
            );
            // call lazy_thunk
            let after = address + LAZY_OFFSET + 5;
            stub[LAZY_OFFSET] = 0xe8;
            let distance = displacement(at.header + LAZY_THUNK, after);
            stub[LAZY_OFFSET + 1..LAZY_OFFSET + 5].copy_from_slice(&distance.to_le_bytes());
        }
    }

    fn lazy_offset(&self) -> usize {
        LAZY_OFFSET
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(INT3);
    }

    fn publish(&self, _written: &[u8], _address: usize, reused: bool) {
        // Caches are coherent. But a core may have fetched what was there before, ahead of a jump that it foresaw, and
        // need not notice a change made through another address.
        if reused {
            mapping::sync_cores();
        }
    }

    fn pshufb_address(&self) -> Option<usize> {
        pshufb::address()
    }
}

/// Writes at `offset` of `bytes`, which are at `address`, an instruction of two bytes that addresses `target` relative
/// to its own end.
fn write_rip(bytes: &mut [u8], offset: usize, opcode: [u8; 2], address: usize, target: usize) {
    let distance = displacement(target, address + offset + 6);
    bytes[offset..offset + 2].copy_from_slice(&opcode);
    bytes[offset + 2..offset + 6].copy_from_slice(&distance.to_le_bytes());
}

/// The distance between two addresses of the reserved range, which is small enough.
fn displacement(target: usize, from: usize) -> i32 {
    target.wrapping_sub(from) as i32
}

/// Writes a 4-byte address.
pub(super) fn write_abs4(field: &mut [u8], value: u64) -> Result<(), RelocationError> {
    let value = u32::try_from(value).map_err(|_| RelocationError::Overflow)?;
    field.copy_from_slice(&value.to_le_bytes());
    Ok(())
}

/// Writes an 8-byte address.
pub(super) fn write_abs8(field: &mut [u8], value: u64) -> Result<(), RelocationError> {
    field.copy_from_slice(&value.to_le_bytes());
    Ok(())
}

/// Writes a 4-byte distance from `place`, the field's address.
pub(super) fn write_rel4(field: &mut [u8], value: u64, place: u64) -> Result<(), RelocationError> {
    let distance = i128::from(value) - i128::from(place);
    let distance = i32::try_from(distance).map_err(|_| RelocationError::Overflow)?;
    field.copy_from_slice(&distance.to_le_bytes());
    Ok(())
}

#[cfg(target_arch = "x86_64")]
mod pshufb {
    //! SSSE3's byte shuffle for machines without it.

    use std::arch::x86_64::__m128i;

    /// The routine's address.
    pub(super) fn address() -> Option<usize> {
        Some(pshufb as extern "C" fn(__m128i, __m128i) -> __m128i as usize)
    }

    #[expect(
        improper_ctypes_definitions,
        reason = "vectors are passed in registers, as generated code does it"
    )]
    extern "C" fn pshufb(table: __m128i, selectors: __m128i) -> __m128i {
        // SAFETY: both are 16 bytes, and every value of either is one of the other.
        let table: [u8; 16] = unsafe { std::mem::transmute(table) };
        // SAFETY: as above.
        let selectors: [u8; 16] = unsafe { std::mem::transmute(selectors) };
        let shuffled = selectors.map(|selector| {
            if selector & 0x80 == 0 {
                table[usize::from(selector & 0x0f)]
            } else {
                0
            }
        });
        // SAFETY: as above.
        unsafe { std::mem::transmute::<[u8; 16], __m128i>(shuffled) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn selects_bytes_or_zero() {
            let table: [u8; 16] = std::array::from_fn(|i| i as u8 + 100);
            let selectors = [15, 0, 0x80, 0xff, 0x7f, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
            let expected = [
                115, 100, 0, 0, 115, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110,
            ];
            // SAFETY: 16 bytes each.
            let result: [u8; 16] = unsafe {
                std::mem::transmute(pshufb(
                    std::mem::transmute::<[u8; 16], __m128i>(table),
                    std::mem::transmute::<[u8; 16], __m128i>(selectors),
                ))
            };
            assert_eq!(result, expected);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod pshufb {
    //! No other machine's compiler asks for x86-64's byte shuffle.

    /// There is none.
    pub(super) fn address() -> Option<usize> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Addresses = Addresses {
        cells: 0x7000_0000_0000,
        slots: 0x7000_0000_1000,
        stubs: 0x7000_0010_0000,
        header: 0x7000_0020_0000,
    };

    #[test]
    fn stubs() {
        let mut stubs = [0; 2 * STUB_BYTES];
        X64.write_stubs(&mut stubs, 3, &AT);
        // Function 3: slot 0x1018, stub 0x100030.
        let jump = (0x1018_i32 - 0x10_0036).to_le_bytes();
        let call = (0x20_0000_i32 - 0x10_003d).to_le_bytes();
        assert_eq!(stubs[..2], [0xff, 0x25]);
        assert_eq!(stubs[2..6], jump);
        assert_eq!(stubs[6..9], [0xcc, 0xcc, 0xe8]);
        assert_eq!(stubs[9..13], call);
        assert_eq!(stubs[13..16], [0xcc; 3]);
        // Function 4's slot is 8 bytes on, its stub 16.
        assert_eq!(stubs[18..22], (0x1020_i32 - 0x10_0046).to_le_bytes());
    }

    #[test]
    fn header() {
        let mut header = [0; HEADER_BYTES];
        X64.write_header(&mut header, &AT);
        assert_eq!(header[..2], [0xff, 0x35]);
        assert_eq!(header[2..6], (-0x20_0006_i32).to_le_bytes());
        assert_eq!(header[6..8], [0xff, 0x25]);
        assert_eq!(header[8..12], (8 - 0x20_000c_i32).to_le_bytes());
        assert_eq!(header[TRAP_THUNK..TRAP_THUNK + 3], [0x0f, 0x0b, 0xcc]);
    }

    #[test]
    fn fields() {
        let mut four = [0; 4];
        assert_eq!(write_abs4(&mut four, 0xfedc_ba98), Ok(()));
        assert_eq!(four, [0x98, 0xba, 0xdc, 0xfe]);
        assert_eq!(
            write_abs4(&mut four, 0x1_0000_0000),
            Err(RelocationError::Overflow)
        );
        let mut eight = [0; 8];
        assert_eq!(write_abs8(&mut eight, 0x0102_0304_0506_0708), Ok(()));
        assert_eq!(eight, [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(write_rel4(&mut four, 0x1000, 0x1004), Ok(()));
        assert_eq!(four, [0xfc, 0xff, 0xff, 0xff]);
        let place = 0x7fff_0000_0000;
        assert_eq!(write_rel4(&mut four, place + 0x7fff_ffff, place), Ok(()));
        assert_eq!(four, [0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(write_rel4(&mut four, place - 0x8000_0000, place), Ok(()));
        assert_eq!(four, [0, 0, 0, 0x80]);
        for value in [place + 0x8000_0000, place - 0x8000_0001, 0, u64::MAX] {
            let result = write_rel4(&mut four, value, place);
            assert_eq!(result, Err(RelocationError::Overflow));
        }
    }
}
