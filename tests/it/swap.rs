//! Short runs of the harness that swaps versions under load; `cargo run --release -p cloacina-tests --bin swap` is the
//! long one.

use std::process::Command;

use serde_json::Value;

fn check(isolation: &str, swaps: u32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swap"));
    command.args(["--in-flight", "32", "--isolation", isolation, "--swaps", &swaps.to_string()]);
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}\n{}", output.status);
    let result: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let counts = ["swaps", "failed", "mixed"].map(|count| result[count].as_u64().unwrap());
    assert_eq!(counts, [swaps.into(), 0, 0], "{stdout}");
    assert!(result["runs"].as_u64().unwrap() >= u64::from(swaps), "{stdout}");
}

#[test]
fn no_run_notices_that_versions_change_under_load() {
    check("inline", 40);
}

#[test]
fn no_run_notices_that_versions_change_in_processes_of_their_own() {
    check("process", 20);
}
