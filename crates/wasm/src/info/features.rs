//! The version of WebAssembly that is understood.

use wasmparser::WasmFeatures;

/// What modules may use: WebAssembly 2.0, tail calls, extended constant expressions and multiple memories.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY);
