//! Everything about a module that does not depend on the engine or on an instance: decoded and validated.
//!
//! [`decode`] is the way in: bytes in, a [`ModuleInfo`] out. Decoding is one pass over the sections that steps over the
//! function bodies; these are then validated by all cores at once. What is kept of a function is its type and where its
//! body is, 12 bytes; names and bodies stay in the module's bytes until somebody asks.

mod bytes;
mod const_expr;
mod data;
mod decode;
mod deferred;
mod fault;
mod features;
mod names;
mod segment;
mod span;
mod unchanged;
mod validate;
mod walk;

#[cfg(test)]
mod tests;

pub use bytes::ModuleBytes;
pub use const_expr::{ConstExpr, ConstOp};
pub use data::{Export, ExternIndex, ImportType, ModuleInfo, ModuleOptions};
pub use decode::{decode, decode_lazily};
pub use features::FEATURES;
pub use names::Names;
pub use segment::{DataSegment, ElementItem, ElementItems, ElementSegment, SegmentMode};
pub use span::Span;
