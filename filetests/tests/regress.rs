//! Runs the scripts in `regress/`, each of which once showed a fault, in every setup. Adding a test is adding a file. Those
//! whose name begins with `canonical-nans` are about the bits of NaNs, and run where these are fixed.

use std::path::Path;
use upshift_filetests::Setup;
use upshift_wasm::Engine;
use upshift_wasm::wast::{WastOptions, run_wast};

#[test]
fn scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regress");
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wast")
        })
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut failures = Vec::new();
    for path in &scripts {
        let source = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let canonical_nans = name.starts_with("canonical-nans");
        for setup in Setup::ALL {
            let config = setup.config(canonical_nans);
            let report = run_wast(
                &Engine::new(config).unwrap(),
                &name,
                &source,
                &WastOptions::default(),
            );
            assert!(report.passed > 0, "{name} asserts nothing");
            failures.extend(
                report
                    .failed
                    .iter()
                    .map(|failure| format!("{setup}: {failure}")),
            );
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
