//! Faults on x86-64.
#![cfg(target_arch = "x86_64")]

use std::arch::asm;

/// Divides by zero, which Rust's own division would not.
pub fn divide_by_zero() {
    // SAFETY: the division faults and so has no effect.
    unsafe {
        asm!("div {0:e}", in(reg) 0_u32, inout("eax") 1_u32 => _, inout("edx") 0_u32 => _);
    }
}

/// Executes an instruction that does not exist.
pub fn undefined_instruction() {
    // SAFETY: the instruction faults and so has no effect.
    unsafe { asm!("ud2") };
}
