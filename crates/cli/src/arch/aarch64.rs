//! AArch64: the instruction sets that matter there.

/// The features that the compilers ask for.
#[cfg(target_arch = "aarch64")]
pub fn features() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected as has;
    vec![
        ("neon", has!("neon")),
        ("lse", has!("lse")),
        ("fp16", has!("fp16")),
    ]
}

/// None on another architecture.
#[cfg(not(target_arch = "aarch64"))]
pub fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}
