//! What is wrong with a module, as an error of this crate.

use crate::error::Error;

/// What follows the message if a module uses something that is not supported.
const SUPPORTED: &str = "supported are WebAssembly 2.0, tail calls, extended constant expressions and multiple memories";

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Error {
        let offset = usize::try_from(error.offset()).ok();
        let message = match error.missing_wasm_feature() {
            Some(_) => format!("{} ({SUPPORTED})", error.message()),
            None => error.message().to_owned(),
        };
        Error::invalid_module(offset, message)
    }
}

/// A `thing` that only a proposal knows and the validator let pass nevertheless.
pub(super) fn unsupported(thing: &str, offset: u64) -> Error {
    let message = format!("{thing} that is not supported ({SUPPORTED})");
    Error::invalid_module(usize::try_from(offset).ok(), message)
}
