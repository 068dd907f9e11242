//! Reading and rewriting of what Cranelift emits, by architecture.

pub(crate) mod x64;
