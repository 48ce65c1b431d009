//! `package test` says of good packages that they keep the rules, and of each broken one which rule it breaks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cloacina_tests::{archive, library, root};
use serde_json::Value;

use crate::cmd::program;

/// Examines an archive; returns the exit code and the report.
fn examine(archive: &Path, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(program());
    command.args(["package", "test"]).arg(archive).args(["--output", "json"]).args(arguments);
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

/// The rules with that result, with what was found.
fn with_result(report: &Value, result: &str) -> Vec<(String, String)> {
    let rules = report["rules"].as_array().unwrap().iter().filter(|rule| rule["result"] == result);
    rules.map(|rule| (rule["rule"].as_str().unwrap().to_owned(), rule["findings"].to_string())).collect()
}

/// The archive of the broken package with one fault.
fn broken(folder: &Path, fault: u32) -> PathBuf {
    let source = root().join("tests/fixtures/broken.c");
    let define = format!("-DFAULT={fault}");
    let library = library::compile_file(folder, &format!("broken{fault}"), &source, &[&define]);
    let archive = folder.join(format!("broken{fault}.cloacina"));
    fs::write(&archive, library::pack(&library)).unwrap();
    archive
}

#[test]
fn packages_in_all_languages_keep_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let c = |name: &str| {
        let source = root().join("examples/c_package").join(name).with_extension("c");
        library::pack(&library::compile_file(folder.path(), name, &source, &[]))
    };
    let cpp = root().join("examples/cpp_package/word_count.cpp");
    let packages = [
        ("data_processing", c("data_processing")),
        ("print_shop", c("print_shop")),
        ("word_count", library::pack(&library::compile_cpp(folder.path(), "word_count", &cpp))),
        ("demo", archive::example("simple_packaged_demo")),
        ("mischief", archive::fixture("noop")),
    ];
    for (name, bytes) in packages {
        let path = folder.path().join(format!("{name}.cloacina"));
        fs::write(&path, bytes).unwrap();
        let (code, report) = examine(&path, &["--context", r#"{"sheets": 3, "page_ms": 1, "text": "a b"}"#]);
        let n_passed = with_result(&report, "passed").len();
        assert_eq!((code, n_passed), (0, 14), "{name}: {report:#}");
    }
}

#[test]
fn each_broken_rule_is_named() {
    let cases: &[(u32, &[(&str, &str)])] = &[
        (0, &[]),
        (1, &[("completes", "completed 2 times")]),
        (2, &[("completes", "had not completed after 1s, nor 1s after it was cancelled")]),
        (3, &[("completes", "was killed by SIGSEGV"), ("completes", "in a call of `w.t`")]),
        (4, &[("completes", "had not completed after 1s, nor 1s after it was cancelled")]),
        (5, &[("completes", "LIB0020")]),
        (6, &[("completes", "start answered 7, which is neither CLCN_OK nor CLCN_REFUSED")]),
        (7, &[("unknown", "start does not refuse the task 1, which does not exist")]),
        (8, &[("newer_host", "init answered 5")]),
        (9, &[("older_host", "init took a host that is too short"), ("older_host", "start took a struct")]),
        (10, &[("init", "init answered 2")]),
        (11, &[("table", "was killed by SIGABRT"), ("table", "while it was being loaded")]),
        (12, &[("table", "author is \\\"Eve\\\" in the library, \\\"Ada\\\" in the archive")]),
        (13, &[("context", "was killed by SIGABRT"), ("context", "whose context is empty")]),
        (14, &[("completes", "which was never made")]),
        (15, &[("parallel", "one of 8 calls at a time"), ("shutdown", "called the host after shutdown had returned")]),
        (16, &[("shutdown", "called the host after shutdown had returned")]),
        (17, &[("again", "init after shutdown answered 5")]),
        (19, &[("completes", "ended the process with exit code 3")]),
        (20, &[("completes", "start had not returned after 2s, though the task is not")]),
        (22, &[("completes", "cpu_ns says 3600000 ms of processor time, but the whole process has used up")]),
        (21, &[("unknown", "was killed by SIGABRT"), ("unknown", "in cancel of a call that was never made")]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let check = |(fault, expected): &(u32, &[(&str, &str)])| {
        let (code, report) = examine(&broken(folder.path(), *fault), &["--timeout", "1"]);
        let failed = with_result(&report, "failed");
        assert_eq!(code, i32::from(!expected.is_empty()), "fault {fault}: {report:#}");
        for (rule, text) in *expected {
            let found = failed.iter().any(|(name, findings)| name == rule && findings.contains(text));
            assert!(found, "fault {fault}: {rule}: {text}\n{report:#}");
        }
        let is_expected = |rule: &str| expected.iter().any(|(expected, _)| *expected == rule);
        assert!(failed.iter().all(|(rule, _)| is_expected(rule)), "fault {fault}: {report:#}");
    };
    std::thread::scope(|scope| {
        for some in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(|| some.iter().for_each(check));
        }
    });
}

#[test]
fn bad_manners_are_mentioned_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (code, report) = examine(&broken(folder.path(), 18), &["--timeout", "1", "--task", "t"]);
    let advice = with_result(&report, "advice");
    assert_eq!((code, advice.len()), (0, 1), "{report:#}");
    for text in ["its fields are not a JSON object", "although they are switched off"] {
        assert!(advice[0].1.contains(text), "{text}: {report:#}");
    }
}

/// A package that tries what the sandbox of a server refuses, and goes on without; and one thing that ends it.
const CURIOUS: &str = r#"
#define _GNU_SOURCE
#include "cloacina.h"
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
CLCN_METADATA("{\"format\":1,\"abi\":\"1.0\",\"package\":\"curious\",\"version\":\"1.0.0\",\"workflows\":[{\"name\":\"w\","
              "\"tasks\":[{\"id\":\"tries\",\"index\":0,\"blocking\":true},{\"id\":\"traces\",\"index\":1,\"blocking\":true}]}]}");
static const clcn_host_v1 *host;
static int32_t init(const clcn_host_v1 *given, clcn_bytes config) {
    (void)config;
    if (given->size < sizeof(*given)) return CLCN_REFUSED;
    host = given;
    return CLCN_OK;
}
static int32_t start(const clcn_start *call) {
    if (call->size < sizeof(*call) || call->encoding != 0 || call->task > 1) return CLCN_REFUSED;
    uint64_t id = call->call_id;
    if (call->task == 0) {
        pid_t child = fork();
        if (child == 0) _exit(setsid() < 0 ? 1 : 0);
        if (child > 0) waitpid(child, 0, 0);
        int connection = socket(AF_INET, SOCK_STREAM, 0);
        if (connection >= 0) close(connection);
    }
    if (call->task == 1) ptrace(PTRACE_TRACEME, 0, 0, 0);
    clcn_result result = CLCN_RESULT_INIT;
    host->complete(host->ctx, id, &result);
    return CLCN_OK;
}
CLCN_PACKAGE(init, start, NULL, NULL);
"#;

#[test]
fn what_the_sandbox_refuses_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("curious.cloacina");
    fs::write(&path, library::pack(&library::compile(folder.path(), "curious", CURIOUS))).unwrap();
    let (code, report) = examine(&path, &["--sandbox", "server", "--task", "tries"]);
    let advice = with_result(&report, "advice");
    assert_eq!((code, advice.len(), advice[0].0.as_str()), (0, 1, "sandbox"), "{report:#}");
    for call in ["clone (another process)", "socket (the network)"] {
        assert!(advice[0].1.contains(call), "{call}: {report:#}");
    }
    assert!(!advice[0].1.contains("setsid"), "no process could call it: {report:#}");
    // In the sandbox of one's own packages it may do that; what it starts must not leave.
    let (code, report) = examine(&path, &["--task", "tries"]);
    assert_eq!((code, with_result(&report, "passed").len()), (0, 14), "{report:#}");
    let (code, report) = examine(&path, &["--sandbox", "server", "--task", "traces"]);
    let failed = with_result(&report, "failed");
    assert!(code == 1 && failed[0].1.contains("SIGSYS (a system call that the sandbox forbids)"), "{report:#}");
}
