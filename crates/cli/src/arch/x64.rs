//! x86-64: the instruction sets that the optimizing tiers use where they are there, and code as text.

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

/// Whether this is the architecture that the program runs on.
pub const IS_THIS: bool = cfg!(target_arch = "x86_64");

/// The features that the compilers ask for.
#[cfg(target_arch = "x86_64")]
pub fn features() -> Vec<(&'static str, bool)> {
    use std::is_x86_feature_detected as has;
    vec![
        ("sse4.1", has!("sse4.1")),
        ("sse4.2", has!("sse4.2")),
        ("popcnt", has!("popcnt")),
        ("lzcnt", has!("lzcnt")),
        ("bmi1", has!("bmi1")),
        ("bmi2", has!("bmi2")),
        ("avx", has!("avx")),
        ("avx2", has!("avx2")),
        ("fma", has!("fma")),
        ("avx512f", has!("avx512f")),
    ]
}

/// None on another architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

/// Instructions in Intel's notation: where each is, how long it is, and the text. Numbers are hexadecimal.
pub fn disassemble(code: &[u8], offset: u32) -> Vec<(u32, u32, String)> {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_space_after_operand_separator(true);
    options.set_rip_relative_addresses(true);
    let decoder = Decoder::with_ip(64, code, offset.into(), DecoderOptions::NONE);
    let instructions = decoder.into_iter().map(|instruction| {
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        (instruction.ip32(), instruction.len() as u32, text)
    });
    instructions.collect()
}
