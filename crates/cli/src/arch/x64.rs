//! x86-64: the instruction sets that the optimizing tiers use where they are there.

/// Whether this is the architecture that the program runs on.
pub const IS_THIS: bool = cfg!(target_arch = "x86_64");

/// The features that the compilers ask for.
#[cfg(target_arch = "x86_64")]
pub fn features() -> Vec<(&'static str, bool)> {
    use std::is_x86_feature_detected as has;
    vec![
        ("sse4.1", has!("sse4.1")),
        ("sse4.2", has!("sse4.2")),
        ("popcnt", has!("popcnt")),
        ("lzcnt", has!("lzcnt")),
        ("bmi1", has!("bmi1")),
        ("bmi2", has!("bmi2")),
        ("avx", has!("avx")),
        ("avx2", has!("avx2")),
        ("fma", has!("fma")),
        ("avx512f", has!("avx512f")),
    ]
}

/// None on another architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}
