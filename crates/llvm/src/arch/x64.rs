//! x86-64: the instruction set extensions that generated code may use.

/// The extensions that this machine has, of those that matter, by LLVM's names.
#[cfg(target_arch = "x86_64")]
pub(crate) fn host_features() -> Vec<&'static str> {
    macro_rules! present {
        ($($detected:tt => $name:literal,)*) => {
            [$((std::is_x86_feature_detected!($detected), $name)),*]
        };
    }
    let features = present! {
        "sse3" => "sse3", "ssse3" => "ssse3", "sse4.1" => "sse4.1", "sse4.2" => "sse4.2",
        "popcnt" => "popcnt", "avx" => "avx", "avx2" => "avx2", "bmi1" => "bmi", "bmi2" => "bmi2",
        "lzcnt" => "lzcnt", "f16c" => "f16c", "fma" => "fma", "movbe" => "movbe", "avx512f" => "avx512f",
        "avx512bw" => "avx512bw", "avx512cd" => "avx512cd", "avx512dq" => "avx512dq",
        "avx512vl" => "avx512vl",
    };
    let present = features.into_iter().filter(|(present, _)| *present);
    present.map(|(_, name)| name).collect()
}

/// None: there is no server for other machines.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn host_features() -> Vec<&'static str> {
    Vec::new()
}
