//! A short run of the crash harness; `cargo run --release -p cloacina-tests --bin crash` is the long one.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_process_killed_at_random_moments_loses_and_repeats_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_crash")).args(["--kills", "8"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let result: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert!(result["acknowledged"].as_u64().unwrap() > 0, "{stdout}");
    for account in ["lost", "reexecuted", "stuck"] {
        assert_eq!(result[account], 0, "{stdout}\n{stderr}");
    }
}
