//! Short runs of the crash harness; `cargo run --release -p cloacina-tests --bin crash` is the long one.
//!
//! A harness that finds nothing proves something only if it finds what is broken on purpose.

use std::process::Command;

use serde_json::Value;

use crate::{disk, sharing::server};

/// The result, whether it is one of success, and what was said.
fn crash(arguments: &[&str]) -> (Value, bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_crash")).args(arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said = format!("{stdout}\n{stderr}\n{}", output.status);
    let result = stdout.lines().last().and_then(|line| serde_json::from_str(line).ok());
    (result.unwrap_or_else(|| panic!("{said}")), output.status.success(), said)
}

fn check_finds_nothing(arguments: &[&str]) {
    let (result, is_success, said) = crash(arguments);
    assert!(is_success, "{said}");
    assert!(result["acknowledged"].as_u64().unwrap() > 0, "{said}");
    for account in ["lost", "reexecuted", "overcharged", "stuck"] {
        assert_eq!(result[account], 0, "{said}");
    }
}

fn check_finds(account: &[&str], arguments: &[&str]) {
    let (result, is_success, said) = crash(arguments);
    assert!(!is_success, "{said}");
    assert!(account.iter().any(|account| result[*account].as_u64().unwrap() > 0), "{said}");
}

#[test]
fn a_process_killed_at_random_moments_loses_and_repeats_nothing() {
    let _disk = disk();
    check_finds_nothing(&["--kills", "8"]);
}

#[test]
fn a_process_killed_at_random_moments_loses_and_repeats_nothing_on_a_server() {
    let _disk = disk();
    let database = server();
    check_finds_nothing(&["--kills", "4", "--database", database.url()]);
}

#[test]
fn a_fence_that_is_open_is_noticed() {
    let _disk = disk();
    let database = server();
    check_finds(&["lost", "reexecuted"], &["--kills", "1", "--sabotage", "fence", "--database", database.url()]);
    check_finds(&["lost", "reexecuted"], &["--kills", "1", "--sabotage", "fence"]);
}

#[test]
fn a_disk_that_is_not_waited_for_is_noticed() {
    let _disk = disk();
    let database = server();
    check_finds(&["lost"], &["--kills", "1", "--sabotage", "sync", "--database", database.url()]);
    check_finds(&["lost"], &["--kills", "1", "--sabotage", "sync"]);
}
