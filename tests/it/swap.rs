//! A short run of the harness that swaps versions under load; `cargo run --release -p cloacina-tests --bin swap` is the
//! long one.

use std::process::Command;

use serde_json::Value;

#[test]
fn no_run_notices_that_versions_change_under_load() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_swap")).args(["--swaps", "40", "--in-flight", "32"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}\n{}", output.status);
    let result: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&result["swaps"], &result["failed"], &result["mixed"]), (&40.into(), &0.into(), &0.into()), "{stdout}");
    assert!(result["runs"].as_u64().unwrap() >= 40, "{stdout}");
}
