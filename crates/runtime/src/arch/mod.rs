//! What depends on the machine: entering and leaving guest code, and reading an interrupted thread's registers.

mod x64;

pub(crate) use x64::{
    COMPILE_ON_FIRST_CALL, COUNTER_TRIPPED, GUARD_FAILED, OSR_TRIPPED, PROBED_BYTES, Registers,
    counter_entry, enter, guard_failed_entry, is_probe, lazy_compile_entry, osr_entry,
    record_target_entry, resume_at, unwind_to,
};
