//! The benchmark as a user starts it: what it answers, what it names as missing, and that it leaves nothing behind.
//!
//! As little as possible is measured, and no test depends on a duration.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use cloacina_tests::archive;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cmd::{interrupt, program},
    disk, json,
};

const RATIOS: [&str; 29] = [
    "growth.context.embedded",
    "growth.context.inline",
    "growth.context.process",
    "growth.macro",
    "growth.task_10000_to_100",
    "postgres.engine_to_raw",
    "postgres.engine_to_store",
    "postgres.http_get_to_empty",
    "postgres.http_list_to_library",
    "postgres.http_run1_p50_to_library",
    "postgres.http_submit_to_library",
    "postgres.list_to_index",
    "postgres.packaged_inline_to_embedded",
    "postgres.process_to_inline",
    "postgres.run1_p50_to_commits",
    "postgres.store_to_raw",
    "process_added_us_to_socket_us",
    "registering_to_limit",
    "sqlite.engine_to_raw",
    "sqlite.engine_to_store",
    "sqlite.http_get_to_empty",
    "sqlite.http_list_to_library",
    "sqlite.http_run1_p50_to_library",
    "sqlite.http_submit_to_library",
    "sqlite.list_to_index",
    "sqlite.packaged_inline_to_embedded",
    "sqlite.process_to_inline",
    "sqlite.run1_p50_to_commits",
    "sqlite.store_to_raw",
];

fn bench(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["bench", "--tiny", "--output", "json", "--dir"]).arg(folder).args(arguments);
    command.arg("--package").arg(archive::path("noop", "tests/fixtures/noop", &[]));
    command.arg("--writers").arg(archive::path("writers", "tests/fixtures/writers", &[]));
    command
}

/// The answer, and that the folder is as it was.
fn measured(arguments: &[&str]) -> Value {
    json::conforming("bench", &printed(arguments))
}

fn printed(arguments: &[&str]) -> String {
    let folder = open_folder();
    let output = bench(folder.path(), arguments).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_nothing_is_left(folder.path());
    String::from_utf8(output.stdout).expect("the answer is text")
}

/// A folder for a server that may run as another user.
fn open_folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("there is a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    folder
}

fn assert_nothing_is_left(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder).expect("the folder is there").collect();
    assert!(left.is_empty(), "{left:?}");
    let processes = fs::read_dir("/proc").expect("this is Linux").filter_map(|entry| {
        let command = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).into_owned())
    });
    let folder = folder.display().to_string();
    let servers: Vec<_> = processes.filter(|command| command.contains(&folder)).collect();
    assert!(servers.is_empty(), "{servers:?}");
}

fn ratios(answer: &Value) -> Vec<(&str, Option<f64>)> {
    let ratios = answer["ratios"].as_object().expect("an object");
    ratios.iter().map(|(key, ratio)| (key.as_str(), ratio.as_f64())).collect()
}

#[test]
fn a_quick_run_answers_every_ratio_with_a_server_of_its_own() {
    let _disk = disk();
    let answer = json::check("bench", "bench --quick --output json", &printed(&["--quick"]));
    let ratios = ratios(&answer);
    assert_eq!(ratios.iter().map(|(key, _)| *key).collect::<Vec<_>>(), RATIOS);
    // The difference of two short times may come out below nothing.
    let is_figure = |key: &str, ratio: f64| ratio > 0.0 || key == "process_added_us_to_socket_us";
    assert!(ratios.iter().all(|(key, ratio)| ratio.is_some_and(|ratio| is_figure(key, ratio))), "{ratios:?}");
    assert_eq!(answer["missing"], Value::Array(Vec::new()));
    assert_eq!(answer["endurance"], serde_json::json!({}));
    let cells = answer["cells"].as_array().expect("a list");
    assert_eq!(cells.len(), 2 * 8 + 6 + 4);
    for cell in cells {
        for field in ["tasks_per_second", "p50_us", "p99_us", "cpu_us_per_task", "peak_memory_bytes", "commits"] {
            assert!(cell[field].as_f64().is_some_and(|figure| figure > 0.0), "{field}: {cell}");
        }
        let has_server = cell["database"] == "postgres";
        assert_eq!(cell["server_cpu_us_per_task"].is_number(), has_server, "{cell}");
        if cell["changes_per_transaction"] == 1 {
            assert_eq!(cell["commits"].as_f64(), Some(16.0), "8 runs of two commits: {cell}");
        }
    }
}

#[test]
fn a_full_run_without_a_server_names_what_is_missing() {
    let _disk = disk();
    let answer = measured(&["--no-postgres"]);
    for key in RATIOS {
        let is_missing = key.starts_with("postgres.");
        assert_eq!(answer["ratios"].get(key).is_none(), is_missing, "{key}");
        assert_eq!(answer["goals"][key].get("met").is_none(), is_missing, "{key}");
    }
    assert_eq!(answer["missing"][0]["what"], "postgres");
    assert!(answer["machine"].get("postgres").is_none());
    let cells = answer["cells"].as_array().expect("a list");
    let shapes: BTreeSet<_> = cells.iter().filter_map(|cell| cell["shape"].as_str()).collect();
    assert!(["single", "chain_3", "fan_out_100"].iter().all(|shape| shapes.contains(shape)), "{shapes:?}");
    let endurance = &answer["endurance"]["sqlite"];
    assert!(endurance["throughput_beside_finished_runs"].is_number(), "{endurance}");
    assert_eq!(endurance["memory"].as_array().map(Vec::len), Some(10), "{endurance}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test command tells tests by its environment where the server is")]
fn a_given_server_is_left_as_it_was() {
    let _disk = disk();
    let url = std::env::var("CLOACINA_TEST_POSTGRES").expect("`./test` says where the server is");
    let answer = measured(&["--quick", "--postgres", &url]);
    assert!(ratios(&answer).iter().all(|(_, ratio)| ratio.is_some()), "{answer}");
    assert_eq!(answer["cells"][10].get("server_cpu_us_per_task"), None, "the server is not ours to look into");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let _disk = disk();
    let folder = open_folder();
    let mut command = bench(folder.path(), &["--rounds", "1000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
    let mut lines = lines.map(|line| line.expect("stderr is text"));
    assert!(lines.any(|line| line.contains("postgres")), "the server runs");
    interrupt(&child);
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("CTL0023")), "{rest:?}");
    assert_nothing_is_left(folder.path());
}
