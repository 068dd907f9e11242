//! What depends on the machine: entering and leaving guest code, and reading an interrupted thread's registers.

mod x64;

pub(crate) use x64::{
    COMPILE_ON_FIRST_CALL, Registers, enter, lazy_compile_entry, resume_at, unwind_to,
};
