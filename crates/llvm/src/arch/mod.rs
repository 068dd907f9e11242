//! What the host's processor can do, by architecture.

mod x64;

/// The host's features by LLVM's names.
pub(crate) fn host_features() -> Vec<&'static str> {
    x64::host_features()
}
