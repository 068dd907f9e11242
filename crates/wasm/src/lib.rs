//! WebAssembly on the Upshift JIT runtime.
//!
//! The way of a program through this crate: [`info`] decodes and validates it and is everything about it that does not
//! depend on an instance; [`translate`] turns its functions into CLIF, one at a time, when the runtime asks for them,
//! with the operations' meanings from [`lower`]; [`vmctx`] is the layout of what compiled code and this crate share.
//! [`Module`] is the embedder's view of that.
#![warn(missing_docs)]

pub mod explore;
pub mod info;
pub mod lower;
pub mod translate;
pub mod vmctx;
#[cfg(feature = "wast")]
pub mod wast;

mod baseline;
#[cfg(feature = "stencil-generator")]
pub use baseline::generator as stencil_generator;
mod builtins;
mod caller;
mod error;
mod export;
mod externref;
mod func;
mod global;
mod handle;
mod instance;
mod limits;
mod linker;
mod matching;
mod memory;
mod module;
mod objects;
mod owned;
mod region;
mod store;
mod table;
mod types;
mod val;

pub use caller::Caller;
pub use error::{Error, ErrorKind, Result, Trap, WasmBacktrace, WasmFrame};
pub use func::TypedFunc;
pub use func::host::{IntoFunc, WasmRet};
pub use func::ty::{WasmTy, WasmTypes};
pub use handle::{ExternRef, Func, Global, Instance, Memory, Table};
pub use info::{ImportType, ModuleOptions};
pub use limits::{InterruptHandle, StoreLimits};
pub use linker::Linker;
pub use memory::MemoryAccessError;
pub use module::{ExportType, Module};
pub use store::{AsContext, AsContextMut, Store, StoreContext, StoreContextMut};
pub use types::{
    ExternType, FuncType, GlobalType, MemoryType, PAGE_BYTES, PAGES_MAX, TableType, ValType,
};
pub use upshift::embed::{Tier, TrapKind};
pub use upshift::{Config, Engine};
pub use val::{Extern, V128, Val};
