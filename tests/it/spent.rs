//! The processor time of single attempts: what their own polls used up, wherever they run and whatever runs beside them.

use std::time::Duration;

use cloacina::{RunState, RunUsage, UsageFilter};
use cloacina_tests::{archive, engine::TestEngine, library};
use serde_json::json;

use crate::{isolation::host_program, parity::module};

/// A package in C of version 1.0 of the ABI: its structs are those of then, and nothing behind them may be read.
const OLDER: &str = r#"
#define _GNU_SOURCE
#include "cloacina.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
typedef struct {
    uint32_t size;
    int32_t status;
    uint32_t output_kind, retry_after_ms;
    clcn_bytes output, error_code, error_message;
} result_1_0;
_Static_assert(sizeof(result_1_0) == 64, "the struct of 1.0");
CLCN_METADATA("{\"format\":1,\"abi\":\"1.0\",\"package\":\"older\",\"version\":\"1.0.0\",\"workflows\":["
    "{\"name\":\"both\",\"tasks\":[{\"id\":\"plain\",\"index\":0},{\"id\":\"works\",\"index\":1,\"blocking\":true}]}]}");
static const clcn_host_v1 *host;
static int32_t init(const clcn_host_v1 *given, clcn_bytes config) {
    (void)config;
    if (given->size < 56) return CLCN_REFUSED;
    host = given;
    return CLCN_OK;
}
static volatile unsigned sink;
static int32_t start(const clcn_start *call) {
    if (call->size < sizeof(*call) || call->encoding != 0 || call->task > 1) return CLCN_REFUSED;
    if (call->task == 1) for (unsigned n = 0; n < 100000000; n++) sink += n;
    long page = sysconf(_SC_PAGESIZE);
    uint8_t *pages = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) return CLCN_REFUSED;
    result_1_0 result = { sizeof result, CLCN_OK, CLCN_OUTPUT_DELTA, 0, CLCN_TEXT("{}"), {0, 0}, {0, 0} };
    memcpy(pages + page - sizeof result, &result, sizeof result);
    host->complete(host->ctx, call->call_id, (const clcn_result *)(pages + page - sizeof result));
    munmap(pages, 2 * page);
    return CLCN_OK;
}
const clcn_package_v1 *cloacina_package_v1(void) {
    static const clcn_package_v1 table = { sizeof table, 0, {(const uint8_t *)&clcn_record, sizeof clcn_record},
                                           init, start, 0, 0, 0 };
    return &table;
}
"#;

/// A package in C that says of each call that it took longer than anything can.
const BOASTS: &str = r#"
#include "cloacina.h"
CLCN_METADATA("{\"format\":1,\"abi\":\"1.1\",\"package\":\"boaster\",\"version\":\"1.0.0\",\"workflows\":["
    "{\"name\":\"boast\",\"tasks\":[{\"id\":\"only\",\"index\":0}]}]}");
static const clcn_host_v1 *host;
static int32_t init(const clcn_host_v1 *given, clcn_bytes config) { (void)config; host = given; return CLCN_OK; }
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    result.cpu_ns = UINT64_MAX;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
CLCN_PACKAGE(init, start, 0, 0);
"#;

/// Runs a workflow to its end, and asks what that used up.
async fn used(test: &TestEngine, workflow: &str) -> RunUsage {
    let report = test.run(workflow, json!({})).await;
    assert_eq!(report.state, RunState::Completed, "{report:?}");
    test.engine.run(report.id).await.unwrap().usage().await.unwrap()
}

fn cpu_of(usage: &RunUsage, task: &str) -> Option<Duration> {
    usage.tasks.iter().find(|used| used.task == task).unwrap().total.cpu
}

/// Each attempt has its own, though all ran at once.
async fn check_side_by_side(test: &TestEngine) {
    for _ in 0..2 {
        let usage = used(test, "spending").await;
        assert_eq!((usage.total.n_attempts, usage.total.n_cpu), (4, 4), "{usage:?}");
        let [idle, busy, blocking] = ["idle", "busy", "busy_blocking"].map(|task| cpu_of(&usage, task).unwrap());
        for busy in [busy, blocking] {
            assert!(busy > Duration::from_millis(10) && busy > idle * 4, "{usage:?}");
        }
    }
}

#[tokio::test]
async fn calls_side_by_side_in_one_process_each_have_their_own() {
    let test = TestEngine::start_with(|builder| builder.package_host(host_program())).await;
    test.register(&archive::fixture("parity")).await;
    check_side_by_side(&test).await;
}

#[tokio::test]
async fn calls_into_the_program_itself_have_their_own() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("parity")).await;
    check_side_by_side(&test).await;
}

#[tokio::test]
async fn tasks_that_are_compiled_in_have_their_own() {
    let test = TestEngine::start().await;
    test.engine.register(module::spending::workflow()).await.unwrap();
    check_side_by_side(&test).await;
}

#[tokio::test]
async fn a_package_of_the_first_version_goes_on_running() {
    let processes = TestEngine::start_with(|builder| builder.package_host(host_program())).await;
    let inline = TestEngine::start().await;
    let archive = library::pack(&library::compile(inline.folder.path(), "older", OLDER));
    for (test, is_process) in [(&processes, true), (&inline, false)] {
        test.register(&archive).await;
        let usage = used(test, "older::both").await;
        // What runs inside of `start` on a thread of the host's is known without the package's help.
        assert!(cpu_of(&usage, "works").unwrap() > Duration::from_millis(10), "{is_process}: {usage:?}");
        assert!(is_process || cpu_of(&usage, "plain").is_none(), "{usage:?}");
    }
}

#[tokio::test]
async fn what_a_package_boasts_of_stays_what_could_be() {
    let test = TestEngine::start().await;
    test.register(&library::pack(&library::compile(test.folder.path(), "boaster", BOASTS))).await;
    for _ in 0..3 {
        used(&test, "boaster::boast").await;
    }
    let packages = test.engine.package_usage(&UsageFilter::default()).await.unwrap();
    let [package] = packages.as_slice() else { panic!("{packages:?}") };
    assert_eq!((package.total.n_attempts, package.total.n_cpu), (3, 3), "{package:?}");
    // So much does no machine have in the time that a test may take.
    assert!(package.total.cpu.unwrap() < Duration::from_secs(1_000_000), "{package:?}");
}
