//! A little of everything that `cargo xtask torture` does.

use std::process::Command;

#[test]
fn a_little_of_everything() {
    let output = Command::new(env!("CARGO_BIN_EXE_upshift-torture"))
        .arg("--smoke")
        .output()
        .expect("the program starts");
    let (said, wrong) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{}\n{said}\n{wrong}",
        output.status
    );
}
