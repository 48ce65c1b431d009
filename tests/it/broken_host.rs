//! Processes of packages that can never answer again: the engine sees it, ends them, and goes on.
//!
//! No task here has a timeout, so a process with an unnoticed state hangs its test.

use std::{path::Path, process::Command};

use cloacina::{Builder, Context, Records, RunHandle, RunReport, RunState};
use cloacina_tests::{
    engine::{TestEngine, in_time},
    library,
};
use serde_json::json;

use crate::{isolation::host_program, sharing::server};

/// A package in C whose task `n` breaks its process in the n-th way. Each task is there twice: on a thread of its own,
/// and, 17 later, on the main thread of the process.
const BREAKS: &str = r#"
#define _GNU_SOURCE
#include "fixture.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#define TASK(name, index, more) "{\"name\":\"" name "\",\"tasks\":[{\"id\":\"t\",\"index\":" #index more "}]},"
#define BOTH(name, index, on_main) TASK(name, index, ",\"blocking\":true") TASK(name "_on_main", on_main, "")
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"" PACKAGE "\",\"version\":\"1.0.0\",\"workflows\":["
    BOTH("fine", 0, 17) BOTH("closes_standard", 1, 18) BOTH("closes_all", 2, 19) BOTH("closes_socket", 3, 20)
    BOTH("shuts_both", 4, 21) BOTH("shuts_write", 5, 22) BOTH("shuts_read", 6, 23) BOTH("replaces_by_file", 7, 24)
    BOTH("replaces_by_socket", 8, 25) BOTH("becomes_daemon", 9, 26) BOTH("half_frame", 10, 27) BOTH("half_header", 11, 28)
    BOTH("stops", 12, 29) BOTH("unknown_reply", 13, 30) BOTH("unblocks", 14, 31) BOTH("closes_and_waits", 15, 32)
    BOTH("closes_and_forgets", 16, 33) TASK("ends_main", 34, "")
    "{\"name\":\"waits\",\"tasks\":[{\"id\":\"t\",\"index\":35,\"blocking\":true,"
    "\"retry\":{\"attempts\":50,\"delay_ms\":0,\"backoff\":\"fixed\",\"jitter\":false}}]},"
    "{\"name\":\"crashes\",\"tasks\":[{\"id\":\"t\",\"index\":36,\"blocking\":true}]}]}");
static int is_socket(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
}
/* A whole header that announces a note of 700 bytes, and none of them. */
static void announce(int fd, size_t n_bytes) {
    unsigned char header[48] = { 70 };
    header[28] = 700 & 255;
    header[29] = 700 >> 8;
    if (write(fd, header, n_bytes) < 0) return;
}
static void stray(int fd) {
    unsigned char header[48] = { 68 };
    memset(header + 8, 7, 8);
    if (write(fd, header, sizeof header) < 0) return;
}
static void each_socket(int task) {
    int sockets[64], n_sockets = 0, pair[2];
    for (int fd = 3; fd < 64; fd++) if (is_socket(fd)) sockets[n_sockets++] = fd;
    for (int n = 0; n < n_sockets; n++) {
        int fd = sockets[n];
        switch (task) {
        case 3: close(fd); break;
        case 4: shutdown(fd, SHUT_RDWR); break;
        case 5: shutdown(fd, SHUT_WR); break;
        case 6: shutdown(fd, SHUT_RD); break;
        case 7: dup2(open("/dev/null", O_RDWR), fd); break;
        case 8: if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) dup2(pair[0], fd); break;
        case 10: announce(fd, 48); return;
        case 11: announce(fd, 20); return;
        case 13: stray(fd); return;
        case 14: fcntl(fd, F_SETFL, O_NONBLOCK); break;
        }
    }
}
static int32_t start(const clcn_start *call) {
    int task = (int)call->task < 17 ? (int)call->task : (int)call->task - 17;
    switch (task) {
    case 1: for (int fd = 0; fd < 3; fd++) close(fd); break;
    case 2: case 9: case 15: case 16: for (int fd = 0; fd < 1024; fd++) close(fd); break;
    case 12: raise(SIGSTOP); break;
    case 17: syscall(SYS_exit, 0); break;
    case 18: while (access(GATE, F_OK) != 0) nanosleep(&(struct timespec){ 0, 5000000 }, 0); break;
    case 19: abort_now: *(volatile int *)8 = 1; goto abort_now;
    default: each_socket(task);
    }
    if (task == 9) for (int n = 0; n < 32; n++) if (socket(AF_UNIX, SOCK_STREAM, 0) < 0) break;
    if (task == 15) for (;;) pause();
    if (task == 16) return CLCN_OK;
    clcn_result result = CLCN_RESULT_INIT;
    result.output_kind = CLCN_OUTPUT_DELTA;
    result.output = CLCN_TEXT("{\"set\":{\"ok\":true}}");
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

fn package(folder: &Path, name: &str) -> Vec<u8> {
    let gate = folder.join("gate");
    let source = format!("#define PACKAGE \"{name}\"\n#define GATE {gate:?}\n{BREAKS}");
    library::pack(&library::compile(folder, name, &source))
}

async fn engine(options: impl FnOnce(Builder) -> Builder) -> TestEngine {
    let test = TestEngine::start_with(|builder| options(builder.package_host(host_program()))).await;
    for name in ["broken", "neighbor"] {
        test.register(&package(test.folder.path(), name)).await;
    }
    test
}

async fn is_fine(test: &TestEngine, after: &str) {
    for fine in ["neighbor::fine", "broken::fine"] {
        let report = test.run(fine, json!({})).await;
        assert_eq!(
            (report.state, report.task("t").unwrap().attempt),
            (RunState::Completed, Some(1)),
            "{after}: {report:?}"
        );
    }
}

/// How a run ends whose task breaks its process; then the engine and the package must go on.
async fn check(test: &TestEngine, workflow: &str, expected: Option<&[&str]>) {
    let report = test.run(&format!("broken::{workflow}"), json!({})).await;
    match expected {
        // What is sent may have arrived before that shows.
        Some(_) if workflow == "shuts_read" => assert!(report.state.is_terminal(), "{workflow}: {report:?}"),
        None => assert_eq!(report.state, RunState::Completed, "{workflow}: {report:?}"),
        Some(said) => {
            assert_eq!(report.state, RunState::Failed, "{workflow}: {report:?}");
            let error = report.task("t").unwrap().error.clone().unwrap();
            let is_said = said.iter().any(|said| error.message().contains(said));
            assert!(error.kind() == "crashed" && is_said, "{workflow}: {error:?}");
        }
    }
    is_fine(test, workflow).await;
}

const CUT_OFF: &str = "code of the package closed or replaced its connection";
const SILENT: &str = "killed by the engine, because it closed its connection to the engine";
const IN_ORDER: &str = "exited by itself with code 0";

#[tokio::test]
async fn a_process_that_has_lost_its_connection_is_ended() {
    let test = engine(|builder| builder).await;
    let gone: &[&str] = &[CUT_OFF, SILENT, IN_ORDER];
    for (workflow, expected) in [
        ("closes_standard", None),
        ("closes_all", Some(gone)),
        ("closes_socket", Some(gone)),
        ("shuts_both", Some(gone)),
        ("shuts_write", Some(gone)),
        ("shuts_read", Some(gone)),
        ("replaces_by_file", Some(gone)),
        ("replaces_by_socket", Some(gone)),
        ("becomes_daemon", Some(gone)),
        ("closes_and_waits", Some(gone)),
        ("closes_and_forgets", Some(gone)),
        ("unknown_reply", Some(&["because it sent the end of a call"])),
        ("unblocks", None),
    ] {
        check(&test, workflow, expected).await;
        // What ends on the main thread may have answered before that shows.
        let on_main = format!("{workflow}_on_main");
        let report = test.run(&format!("broken::{on_main}"), json!({})).await;
        assert!(report.state.is_terminal(), "{on_main}: {report:?}");
        is_fine(&test, &on_main).await;
    }
}

#[tokio::test]
async fn a_process_that_does_not_run_or_sends_half_a_frame_is_ended() {
    let test = engine(|builder| builder).await;
    let stopped: &[&str] = &["it was stopped for 5 s"];
    check(&test, "stops", Some(stopped)).await;
    check(&test, "stops_on_main", Some(stopped)).await;
    check(&test, "ends_main", Some(stopped)).await;
    check(&test, "half_frame", Some(&["because it sent a part of a frame"])).await;
    check(&test, "half_header", Some(&["because it sent a"])).await;
}

/// Starts runs whose task waits for the gate.
async fn waiting(test: &TestEngine, n_runs: usize) -> Vec<RunHandle> {
    let mut runs = Vec::new();
    for _ in 0..n_runs {
        runs.push(test.engine.scheduler().schedule_workflow("broken::waits", Context::new()).await.unwrap());
    }
    runs
}

/// The processes that have a call under way, once there are so many.
async fn busy(test: &TestEngine, n_busy: usize, n_calls: u64) -> Vec<u32> {
    in_time(async {
        loop {
            let hosts = test.engine.registry().get("broken").unwrap().running.hosts;
            let busy: Vec<_> = hosts.into_iter().filter(|host| host.n_open_calls > 0).collect();
            if busy.len() >= n_busy && busy.iter().map(|host| host.n_open_calls).sum::<u64>() >= n_calls {
                break busy.iter().map(|host| host.pid).collect();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn kill(pids: &[u32]) {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    // A process that has ended meanwhile is not a failure.
    Command::new("sh").args(["-c", &format!("kill -9 {}", pids.join(" "))]).output().unwrap();
}

async fn ends(runs: &[RunHandle]) -> Vec<RunReport> {
    let mut reports = Vec::new();
    for run in runs {
        reports.push(in_time(run.wait()).await.unwrap());
    }
    reports
}

/// What the histories say of processes that ended.
fn deaths(database: &str, runs: &[RunHandle]) -> Vec<String> {
    let mut records = Records::open(database).unwrap();
    let events = runs.iter().flat_map(|run| records.events(run.id()).unwrap());
    let details = events.map(|event| event.details.to_string());
    details.filter(|details| details.contains("the package's process")).collect()
}

fn is_used(test: &TestEngine) {
    let info = test.engine.registry().get("broken").unwrap();
    assert!(info.quarantine.is_none(), "{:?}", info.quarantine);
}

async fn many_that_are_killed_together(test: &TestEngine, database: &str) {
    let runs = waiting(test, 12).await;
    busy(test, 1, 12).await;
    // A crash, after which each call gets a process of its own.
    let crashing = test.engine.scheduler().schedule_workflow("broken::crashes", Context::new()).await.unwrap();
    in_time(crashing.wait()).await.unwrap();
    kill(&busy(test, 12, 12).await);
    busy(test, 12, 12).await;
    is_used(test);
    std::fs::write(test.folder.path().join("gate"), "").unwrap();
    for report in ends(&runs).await {
        assert_eq!(report.state, RunState::Completed, "{report:?}");
    }
    is_used(test);
    let deaths = deaths(database, &runs);
    let by_signal = |death: &&String| death.contains("SIGKILL (killed by another process");
    assert!(deaths.iter().filter(by_signal).count() >= 12, "{deaths:?}");
    assert!(!deaths.iter().any(|death| death.contains("by the engine")), "{deaths:?}");
    // What crashes by itself is quarantined as ever.
    for _ in 0..3 {
        test.run("broken::crashes", json!({})).await;
    }
    in_time(async {
        while test.engine.registry().get("broken").unwrap().quarantine.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn processes_that_are_killed_together_are_one_incident() {
    let test = engine(|builder| builder).await;
    let database = test.folder.path().join("cloacina.db").display().to_string();
    many_that_are_killed_together(&test, &database).await;
}

#[tokio::test]
async fn processes_that_are_killed_together_are_one_incident_on_a_server() {
    let schema = server();
    let test = engine(|builder| builder.database(schema.url())).await;
    many_that_are_killed_together(&test, schema.url()).await;
    in_time(test.engine.shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_process_that_is_killed_from_outside_is_never_reported_as_killed_by_the_engine() {
    let test = engine(|builder| builder).await;
    let runs = waiting(&test, 24).await;
    for _ in 0..2 {
        // Calls come in while it ends.
        let pids = busy(&test, 1, 8).await;
        let more = test.engine.scheduler();
        let submitting = async {
            for _ in 0..20 {
                more.schedule_workflow("broken::waits", Context::new()).await.unwrap();
            }
        };
        tokio::join!(submitting, async { kill(&pids) });
    }
    std::fs::write(test.folder.path().join("gate"), "").unwrap();
    for report in ends(&runs).await {
        assert_eq!(report.state, RunState::Completed, "{report:?}");
    }
    let database = test.folder.path().join("cloacina.db").display().to_string();
    let deaths = deaths(&database, &runs);
    assert!(!deaths.is_empty() && deaths.iter().all(|death| death.contains("SIGKILL")), "{deaths:?}");
}
