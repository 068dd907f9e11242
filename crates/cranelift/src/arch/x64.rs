//! x86-64: address loads relaxed, as linkers do for `R_X86_64_REX_GOTPCRELX` (System V psABI, "Optimize GOTPCRELX").

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

#[cfg(test)]
mod tests {
    use super::*;

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
