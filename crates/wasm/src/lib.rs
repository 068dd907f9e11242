//! WebAssembly on the Upshift JIT runtime.
//!
//! The way of a program through this crate: [`info`] decodes and validates it and is everything about it that does not
//! depend on an instance; [`translate`] turns its functions into CLIF, one at a time, when the runtime asks for them,
//! with the operations' meanings from [`lower`]; [`vmctx`] is the layout of what compiled code and this crate share.
//! [`Module`] is the embedder's view of that.
#![warn(missing_docs)]

pub mod info;
pub mod lower;
pub mod translate;
pub mod vmctx;

mod error;
mod module;
mod types;

pub use error::{Error, ErrorKind, Result, Trap, WasmBacktrace, WasmFrame};
pub use info::{ImportType, ModuleOptions};
pub use module::{ExportType, Module};
pub use types::{
    ExternType, FuncType, GlobalType, MemoryType, PAGE_BYTES, PAGES_MAX, TableType, ValType,
};
pub use upshift::Engine;
