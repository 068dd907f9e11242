//! x86-64: address loads relaxed, as linkers do for `R_X86_64_REX_GOTPCRELX` (System V psABI, "Optimize GOTPCRELX"), and
//! finding the loops in machine code.

use std::ops::Range;

/// `mov r64, [rip + disp32]` and `lea r64, [rip + disp32]` differ in this byte only, two before the displacement.
const MOV_LOAD: u8 = 0x8b;
const LEA: u8 = 0x8d;

/// Turns the load of an address from a cell, whose displacement is at `offset`, into the computation of that address.
/// `false`, and nothing changed, if there is no such load.
pub(crate) fn relax_address_load(code: &mut [u8], offset: u32) -> bool {
    let Some(start) = (offset as usize).checked_sub(3) else {
        return false;
    };
    let Some([rex, opcode, modrm]) = code.get_mut(start..start + 3) else {
        return false;
    };
    let is_load = *rex & 0xf8 == 0x48 && *opcode == MOV_LOAD && *modrm & 0xc7 == 0x05;
    if is_load {
        *opcode = LEA;
    }
    is_load
}

/// `jmp rel32`, and the second byte of `jcc rel32` but for the condition.
const JUMP: u8 = 0xe9;
const CONDITIONAL: u8 = 0x80;

/// What lies between the target of a jump back and the jump's end, of all such jumps at the ends of the basic blocks that
/// begin at `blocks`, sorted. A loop of which a part is elsewhere is what of it is in one piece.
pub(crate) fn loops(code: &[u8], blocks: &[u32]) -> Vec<Range<u32>> {
    let mut loops: Vec<Range<u32>> = Vec::new();
    for &end in blocks.iter().skip(1) {
        // At most two jumps are at a block's end, and the second is without condition.
        let last = jump_before(code, end);
        let first = last.and_then(|(start, _)| conditional_before(code, start));
        let conditional = conditional_before(code, end);
        for (start, target) in [last, first, conditional].into_iter().flatten() {
            let length = if Some((start, target)) == last { 5 } else { 6 };
            if target < start && blocks.binary_search(&target).is_ok() {
                loops.push(target..start + length);
            }
        }
    }
    loops
}

/// Where the `jmp` is that ends at `end`, if there is one, and where it leads to.
fn jump_before(code: &[u8], end: u32) -> Option<(u32, u32)> {
    let start = end.checked_sub(5)?;
    let is_jump = code.get(start as usize) == Some(&JUMP);
    Some((start, target(code, end)?)).filter(|_| is_jump)
}

/// The same for a conditional jump.
fn conditional_before(code: &[u8], end: u32) -> Option<(u32, u32)> {
    let start = end.checked_sub(6)?;
    let opcode = code.get(start as usize..start as usize + 2)?;
    let is_jump = opcode[0] == 0x0f && opcode[1] & 0xf0 == CONDITIONAL;
    Some((start, target(code, end)?)).filter(|_| is_jump)
}

/// Where a jump leads to whose displacement ends at `end`.
fn target(code: &[u8], end: u32) -> Option<u32> {
    let field = code.get(end.checked_sub(4)? as usize..end as usize)?;
    let displacement = i32::from_le_bytes(field.try_into().ok()?);
    end.checked_add_signed(displacement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_end_with_a_jump_back() {
        // 0: nop  1: nop  2: jne 1  8: jle 20  14: jmp 0  19: nop  20: ret
        let code = [
            &[0x90, 0x90, 0x0f, 0x85][..],
            &(-7i32).to_le_bytes(),
            &[0x0f, 0x8e],
            &6i32.to_le_bytes(),
            &[0xe9],
            &(-19i32).to_le_bytes(),
            &[0x90, 0xc3],
        ]
        .concat();
        assert_eq!(loops(&code, &[0, 1, 8, 19, 20]), [1..8, 0..19]);
        let found = loops(&code, &[0, 8, 19, 20]);
        assert_eq!(
            found.as_slice(),
            std::slice::from_ref(&(0..19)),
            "1 is no block"
        );
    }

    #[test]
    fn only_loads_relative_to_the_program_counter() {
        let mut load = [0x90, 0x4c, 0x8b, 0x15, 0, 0, 0, 0];
        assert!(relax_address_load(&mut load, 4));
        assert_eq!(load, [0x90, 0x4c, 0x8d, 0x15, 0, 0, 0, 0], "lea r10, [rip]");
        let mut add = [0x48, 0x03, 0x05, 0, 0, 0, 0];
        assert!(!relax_address_load(&mut add, 3));
        assert!(!relax_address_load(&mut add, 2) && !relax_address_load(&mut add, 100));
    }
}
