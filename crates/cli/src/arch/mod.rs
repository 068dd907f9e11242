//! What depends on the processor's architecture.

mod aarch64;
mod x64;

/// Features of this processor that matter to generated code, and whether each is there.
pub fn features() -> Vec<(&'static str, bool)> {
    let mut features = x64::features();
    features.extend(aarch64::features());
    features
}

/// Whether Upshift generates code for this processor.
pub fn is_supported() -> bool {
    x64::IS_THIS
}
