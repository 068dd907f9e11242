//! Limits and constants that both engines are given alike.

/// Bytes that a memory may have.
pub const MEMORY_BYTES: usize = 16 << 16;
/// Elements that a table may have.
pub const TABLE_ELEMENTS: usize = 10_000;
/// What the exported global `fuel` is set to before each call.
pub const FUEL: u32 = 1500;
/// The bits of imported globals.
pub const GLOBAL_BITS: u64 = 0x0123_4567_0000_0011;
/// Frames that the other engine's programs may have at once: more than fuel suffices for.
pub const ORACLE_DEPTH: usize = 8000;
/// Bytes of stack that its programs may use.
pub const ORACLE_STACK_BYTES: usize = 64 << 20;
/// Bytes of stack that Upshift's programs may use: enough for as many frames of the biggest kind.
pub const STACK_BYTES: usize = 96 << 20;
/// Bytes of stack of the threads that run cases.
pub const THREAD_STACK_BYTES: usize = 128 << 20;
