//! Rewriting of what Cranelift emits, by architecture.

pub(crate) mod x64;
