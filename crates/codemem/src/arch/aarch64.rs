//! aarch64: stubs of two halves that say which function they are for, thunks that do the rest, and the fields of its
//! address-making instructions.
//!
//! A stub is `adr x17, stub`, `b jump_thunk`, and at its half `adr x17, stub`, `b lazy_thunk`; it has no room for more.
//! The jump thunk computes the slot from the stub's address. Both leave the argument registers alone. The first stub
//! is within reach of a branch to the thunks because stubs take a sixteenth of at most 2 GiB.

use super::machine::{Addresses, JUMP_THUNK, LAZY_THUNK, Machine, TRAP_THUNK};
use crate::error::RelocationError;
use crate::layout::{BUILTIN_CONTEXT, BUILTIN_LAZY_COMPILE, CELL_BYTES, HEADER_BYTES, STUB_BYTES};
use crate::mapping;

/// Whether this is the machine that this was compiled for.
pub(super) const IS_HOST: bool = cfg!(target_arch = "aarch64");

const LAZY_OFFSET: usize = 8;
const PAGE_MASK: u64 = 0xfff;

const BRANCH: u32 = 0x1400_0000;
const ADR_X17: u32 = 0x1000_0011;
const BREAK: u32 = 0xd420_0000;

/// The machine.
#[derive(Debug)]
pub(super) struct Aarch64;

impl Machine for Aarch64 {
    fn write_header(&self, header: &mut [u8; HEADER_BYTES], at: &Addresses) {
        self.fill(header);
        let load = |register: u32, builtin: u32| {
            // ldr register, [x15, builtin's cell]
            let scaled = builtin * CELL_BYTES as u32 / 8;
            0xf940_0000 | scaled << 10 | 15 << 5 | register
        };
        let lazy = [
            adrp(15, at.cells, at.header + LAZY_THUNK),
            load(16, BUILTIN_CONTEXT),
            load(15, BUILTIN_LAZY_COMPILE),
            0xd61f_01e0, // br x15
        ];
        let jump = [
            adrp(16, at.stubs, at.header + JUMP_THUNK),
            0xcb10_0231, // sub x17, x17, x16
            adrp(16, at.slots, at.header + JUMP_THUNK + 8),
            0x8b51_0610, // add x16, x16, x17, lsr #1
            0xf940_0210, // ldr x16, [x16]
            0xd61f_0200, // br x16
        ];
        write_instructions(&mut header[LAZY_THUNK..], &lazy);
        write_instructions(&mut header[JUMP_THUNK..], &jump);
        write_instructions(&mut header[TRAP_THUNK..], &[BREAK]);
    }

    fn write_stubs(&self, stubs: &mut [u8], first: usize, at: &Addresses) {
        for (index, stub) in (first..).zip(stubs.chunks_exact_mut(STUB_BYTES)) {
            let address = at.stubs + index * STUB_BYTES;
            let instructions = [
                adr_x17(0),
                branch(at.header + JUMP_THUNK, address + 4),
                adr_x17(-(LAZY_OFFSET as i32)),
                branch(at.header + LAZY_THUNK, address + 12),
            ];
            write_instructions(stub, &instructions);
        }
    }

    fn lazy_offset(&self) -> usize {
        LAZY_OFFSET
    }

    fn fill(&self, bytes: &mut [u8]) {
        for instruction in bytes.chunks_mut(4) {
            let length = instruction.len();
            instruction.copy_from_slice(&BREAK.to_le_bytes()[..length]);
        }
    }

    fn publish(&self, written: &[u8], address: usize, _reused: bool) {
        caches::publish(written, address);
        mapping::sync_cores();
    }

    fn pshufb_address(&self) -> Option<usize> {
        None
    }
}

fn write_instructions(bytes: &mut [u8], instructions: &[u32]) {
    for (field, instruction) in bytes.chunks_exact_mut(4).zip(instructions) {
        field.copy_from_slice(&instruction.to_le_bytes());
    }
}

/// `b target`, at `place`; both in the reserved range.
fn branch(target: usize, place: usize) -> u32 {
    let words = (target.wrapping_sub(place) as i32) >> 2;
    BRANCH | (words as u32 & 0x03ff_ffff)
}

/// `adr x17, distance`.
fn adr_x17(distance: i32) -> u32 {
    ADR_X17 | address_field(distance)
}

/// `adrp register, target`, at `place`; both in the reserved range.
fn adrp(register: u32, target: usize, place: usize) -> u32 {
    let pages = (target >> 12).wrapping_sub(place >> 12) as i32;
    0x9000_0000 | address_field(pages) | register
}

/// The 21 bits of `adr` and `adrp`: the lowest two at bit 29, the others at bit 5.
fn address_field(value: i32) -> u32 {
    let value = value as u32 & 0x1f_ffff;
    (value & 3) << 29 | (value >> 2) << 5
}

/// Replaces the bits of `mask` in the instruction in `field`.
fn patch(field: &mut [u8], mask: u32, bits: u32) -> Result<(), RelocationError> {
    let bytes = <&mut [u8; 4]>::try_from(field).map_err(|_| RelocationError::FieldOutside)?;
    *bytes = ((u32::from_le_bytes(*bytes) & !mask) | bits).to_le_bytes();
    Ok(())
}

/// `value` as a signed number of `bits` bits.
fn signed(value: i128, bits: u32) -> Result<i32, RelocationError> {
    let limit = 1_i128 << (bits - 1);
    if (-limit..limit).contains(&value) {
        Ok(value as i32)
    } else {
        Err(RelocationError::Overflow)
    }
}

/// The distance of a `b` or `bl`.
pub(super) fn write_call(field: &mut [u8], value: u64, place: u64) -> Result<(), RelocationError> {
    let distance = i128::from(value) - i128::from(place);
    if distance % 4 != 0 {
        return Err(RelocationError::Misaligned);
    }
    let mask = 0x03ff_ffff;
    let words = signed(distance / 4, 26)?;
    patch(field, mask, words as u32 & mask)
}

/// The distance in pages of an `adrp`.
pub(super) fn write_page21(
    field: &mut [u8],
    value: u64,
    place: u64,
) -> Result<(), RelocationError> {
    let pages = i128::from(value >> 12) - i128::from(place >> 12);
    let pages = signed(pages, 21)?;
    patch(field, address_field(-1), address_field(pages))
}

/// The offset in its page that an `add` adds.
pub(super) fn write_add_lo12(field: &mut [u8], value: u64) -> Result<(), RelocationError> {
    let low = (value & PAGE_MASK) as u32;
    patch(field, 0xfff << 10, low << 10)
}

/// The offset in its page that an `ldr` of 8 bytes loads from.
pub(super) fn write_load_lo12(field: &mut [u8], value: u64) -> Result<(), RelocationError> {
    let low = (value & PAGE_MASK) as u32;
    if !low.is_multiple_of(8) {
        return Err(RelocationError::Misaligned);
    }
    patch(field, 0xfff << 10, (low / 8) << 10)
}

#[cfg(target_arch = "aarch64")]
mod caches {
    //! Making the instruction side see what the data side wrote.

    use std::arch::asm;

    /// Cleans the data that was written and drops the instructions that were there.
    pub(super) fn publish(written: &[u8], address: usize) {
        let type_register: u64;
        // SAFETY: reads a register that user code may read.
        unsafe { asm!("mrs {}, ctr_el0", out(reg) type_register, options(nomem, nostack)) };
        let data_line = 4_usize << ((type_register >> 16) & 15);
        let instruction_line = 4_usize << (type_register & 15);
        let start = written.as_ptr() as usize;
        for line in (start & !(data_line - 1)..start + written.len()).step_by(data_line) {
            // SAFETY: the line holds a byte of `written`; cleaning changes no contents.
            unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack)) };
        }
        // SAFETY: a barrier.
        unsafe { asm!("dsb ish", options(nostack)) };
        let lines = address & !(instruction_line - 1)..address + written.len();
        for line in lines.step_by(instruction_line) {
            // SAFETY: the line holds an address that is mapped; dropping instructions changes no contents.
            unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack)) };
        }
        // SAFETY: barriers.
        unsafe { asm!("dsb ish", "isb", options(nostack)) };
    }
}

#[cfg(not(target_arch = "aarch64"))]
mod caches {
    //! Other machines do not execute this machine's code.

    /// Nothing to do.
    pub(super) fn publish(_written: &[u8], _address: usize) {}
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

    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn stubs() {
        let mut stubs = [0; 2 * STUB_BYTES];
        Aarch64.write_stubs(&mut stubs, 1, &AT);
        // adr x17, #0; b +0xffffc (to 0x200010 from 0x100014); adr x17, #-8; b +0xfffe4 (to 0x200000 from 0x10001c).
        assert_eq!(
            words(&stubs)[..4],
            [
                0x1000_0011,
                0x1400_0000 | (0xf_fffc / 4),
                0x10ff_ffd1,
                0x1400_0000 | (0xf_ffe4 / 4)
            ]
        );
    }

    #[test]
    fn header() {
        let mut header = [0; HEADER_BYTES];
        Aarch64.write_header(&mut header, &AT);
        let words = words(&header);
        // adrp x15, -0x200 pages; ldr x16, [x15]; ldr x15, [x15, #8]; br x15
        assert_eq!(
            words[..4],
            [0x90ff_f00f, 0xf940_01f0, 0xf940_05ef, 0xd61f_01e0]
        );
        // adrp x16, -0x100 pages; sub; adrp x16, -0x1ff pages; add; ldr; br
        assert_eq!(
            words[4..10],
            [
                0x90ff_f810,
                0xcb10_0231,
                0xb0ff_f010,
                0x8b51_0610,
                0xf940_0210,
                0xd61f_0200
            ]
        );
        assert_eq!(words[12], BREAK);
    }

    #[test]
    fn fields() {
        let patched =
            |instruction: u32, write: &dyn Fn(&mut [u8]) -> Result<(), RelocationError>| {
                let mut field = instruction.to_le_bytes();
                write(&mut field).map(|()| u32::from_le_bytes(field))
            };
        let place = 0x7000_0000_0100;
        // bl
        let call = |value| patched(0x9400_0000, &|field| write_call(field, value, place));
        assert_eq!(call(place - 4), Ok(0x97ff_ffff));
        assert_eq!(call(place + (1 << 27) - 4), Ok(0x95ff_ffff));
        assert_eq!(call(place - (1 << 27)), Ok(0x9600_0000));
        assert_eq!(call(place + (1 << 27)), Err(RelocationError::Overflow));
        assert_eq!(call(place + 2), Err(RelocationError::Misaligned));
        // adrp x3
        let page = |value| patched(0x9000_0003, &|field| write_page21(field, value, place));
        assert_eq!(page(place + 0xf00), Ok(0xb000_0003));
        assert_eq!(page(place - 0x1000), Ok(0xf0ff_ffe3));
        assert_eq!(page(place + (1 << 32)), Err(RelocationError::Overflow));
        // add x1, x2, #0; ldr x1, [x2]
        let add = |value| patched(0x9100_0041, &|field| write_add_lo12(field, value));
        assert_eq!(add(0x1234_5678), Ok(0x9100_0041 | (0x678 << 10)));
        let load = |value| patched(0xf940_0041, &|field| write_load_lo12(field, value));
        assert_eq!(load(0x1234_5678), Ok(0xf940_0041 | ((0x678 / 8) << 10)));
        assert_eq!(load(0x1234_567c), Err(RelocationError::Misaligned));
    }
}
