//! Modules from `wasm-smith`: any shape that is valid, and much that no compiler emits.

use crate::random::Random;
use anyhow::Result;
use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// How often a module may enter a loop or a function, in all of its life.
const FUEL: u32 = 2000;

/// A random module.
///
/// # Errors
/// If the choices do not suffice for one.
pub fn module(random: &mut Random) -> Result<Vec<u8>> {
    let count = random.between(1000, 12_000);
    let choices = random.bytes(count);
    let mut module = Module::new(config(random), &mut Unstructured::new(&choices))?;
    module.ensure_termination(FUEL)?;
    Ok(module.to_bytes())
}

/// What Upshift supports, small, and all of it to be seen from outside.
fn config(random: &mut Random) -> Config {
    Config {
        export_everything: true,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        multi_value_enabled: true,
        simd_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        memory64_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        compact_imports_enabled: false,
        min_funcs: 2,
        max_funcs: 8,
        min_exports: 1,
        max_instructions: random.between(20, 300),
        max_imports: 5,
        max_globals: 6,
        max_memories: 2,
        max_memory32_bytes: 8 << 16,
        max_tables: 3,
        max_table_elements: 100,
        max_types: 10,
        max_type_size: 40,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 8,
        memory_offset_choices: wasm_smith::MemoryOffsetChoices(90, 5, 5),
        ..Config::default()
    }
}
