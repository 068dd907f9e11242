//! WebAssembly on the Upshift JIT runtime.
//!
//! The way of a program through this crate: `module` decodes and validates it and knows everything about it that does
//! not depend on an instance; `translate` turns its functions into CLIF, one at a time, when the runtime asks for them,
//! with the operations' meanings from [`lower`]; [`vmctx`] is the layout of what compiled code and this crate share.

pub mod lower;
pub mod vmctx;

mod types;

pub use types::{
    ExternType, FuncType, GlobalType, MemoryType, PAGE_BYTES, PAGES_MAX, TableType, ValType,
};
