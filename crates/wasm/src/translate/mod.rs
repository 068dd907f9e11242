//! From WebAssembly to CLIF, one function at a time.
//!
//! [`function`] is one pass over a body's instructions: it keeps the operand stack and the control stack, lets locals be
//! the SSA builder's variables, and appends each instruction's code. What the code of an instruction *is* stands
//! elsewhere, in functions that know of no stack and can be used without it: values and accesses in
//! [`lower`](crate::lower); memories, tables, globals, references and calls in the modules here, over an [`Env`], which
//! knows the module and where the VM context is.
//!
//! The input is a validated body, which is relied upon for types and stack heights. [`ModuleSource`] is what the runtime
//! asks for bodies; it may do so from several threads at once.

pub mod bulk;
pub mod call;
pub mod global;
pub mod memory;
pub mod reference;
pub mod table;

mod branch;
mod call_site;
mod control;
mod env;
mod frame_log;
mod function;
mod liveness;
mod operator;
mod osr;
mod source;
mod state;
mod targets;
mod version;

#[cfg(test)]
mod tests;

pub use env::Env;
pub use frame_log::{frames_logged, is_chosen, is_logged};
pub use function::{function, function_version};
pub use liveness::{Liveness, count_locals, liveness};
pub use osr::OSR_VALUES_MAX;
pub use source::ModuleSource;
