//! Contexts, compiled in and packaged in both isolations: what a value may be, how large it may get, what it costs.

use cloacina::{Builder, Context, RunReport, RunState, TaskState, Timestamp, Value};
use cloacina_tests::{
    archive,
    engine::{TestEngine, in_time},
    library,
};
use serde_json::json;

use crate::isolation::host_program;

/// A package in C that gets whole contexts, and one that asks for what they leave out; both look in every way there is.
const ASKS: &str = r#"
#include "fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define TASK(id, index, more) "{\"id\":\"" id "\",\"index\":" #index more "}"
#define WORKFLOW(name, one, two, three, more) "{\"name\":\"" name "\",\"tasks\":[" TASK("a", one, "") "," \
    TASK("b", two, ",\"dependencies\":[\"a\"]") "," TASK("look", three, ",\"dependencies\":[\"b\"]" more) "]}"
KIND("{\"format\":1,\"abi\":\"" ABI "\",\"package\":\"" PACKAGE "\",\"version\":\"1.0.0\",\"workflows\":["
    WORKFLOW("inside", 0, 1, 2, "") "," WORKFLOW("beside", 3, 4, 5, ",\"blocking\":true") "]}");
static void complete(uint64_t id, const char *text) {
    clcn_result result = CLCN_RESULT_INIT;
    result.output.ptr = (const uint8_t *)text;
    result.output.len = strlen(text);
    host->complete(host->ctx, id, &result);
}
static clcn_bytes bytes(const char *text) { return (clcn_bytes){(const uint8_t *)text, strlen(text)}; }
static void keep(void *user, clcn_bytes value, clcn_bytes writer) {
    snprintf(user, 1 << 16, "%.*s by %.*s", (int)value.len, (const char *)value.ptr, (int)writer.len, (const char *)writer.ptr);
}
static int has(const char *text, size_t length, const char *part) {
    char *copy = calloc(1, length + 1);
    memcpy(copy, text, length);
    int found = strstr(copy, part) != 0;
    free(copy);
    return found;
}
static int32_t start(const clcn_start *call) {
    char *text = calloc(1, 1 << 20);
    size_t end = 0;
    uint64_t id = call->call_id;
    if (call->task % 3 == 0) {
        end += sprintf(text, "{\"set\":{\"k\":\"old\"");
        for (int n = 0; n < 100; n++) end += sprintf(text + end, ",\"key%03d\":%d", n, n);
        sprintf(text + end, "}}");
    } else if (call->task % 3 == 1) {
        sprintf(text, "{\"set\":{\"k\":\"new\"}}");
    } else {
        const char *context = (const char *)call->context.ptr;
        int n[3] = {
            has(context, call->context.len, "\"key050\":50"),
            has(context, call->context.len, "\"from\":{\"a\":{\"k\":\"old\"}}"),
            has(context, call->context.len, "\"partial\":true,\"hidden\":true"),
        };
        char *said = calloc(9, 1 << 16);
        int32_t status[9];
        struct { uint32_t what; uint64_t call; const char *task, *key; } asked[9] = {
            { CLCN_FETCH_VALUE, id, "", "k" }, { CLCN_FETCH_VALUE, id, "a", "k" }, { CLCN_FETCH_WRITER, id, "", "k" },
            { CLCN_FETCH_KEYS, id, "b", "" }, { CLCN_FETCH_VALUE, id, "", "absent" }, { CLCN_FETCH_VALUE, id, "b", "key001" },
            { 99, id, "", "k" }, { CLCN_FETCH_VALUE, id + 1000000, "", "k" }, { CLCN_FETCH_ALL, id, "", "" },
        };
        for (int i = 0; i < 9; i++) {
            status[i] = host->fetch(host->ctx, asked[i].call, asked[i].what, bytes(asked[i].task), bytes(asked[i].key),
                                    said + (i << 16), keep);
        }
        end += sprintf(text, "{\"set\":{\"carried\":[%d,%d,%d],\"fetched\":[", n[0], n[1], n[2]);
        for (int i = 0; i < 8; i++) {
            for (char *c = said + (i << 16); *c; c++) if (*c == '"') *c = '\'';
            end += sprintf(text + end, "%s\"%d %s\"", i ? "," : "", (int)status[i], said + (i << 16));
        }
        char *all = said + (8 << 16);
        sprintf(text + end, "],\"all\":[%d,%d]}}", (int)status[8], has(all, strlen(all), "\"from\":{\"a\":{\"k\":\"old\"}}"));
        free(said);
    }
    complete(id, text);
    free(text);
    return CLCN_OK;
}
"#;

#[expect(unreachable_pub, reason = "the same lines are the interface of a package")]
#[path = "../fixtures/contexts/src/contexts.rs"]
pub(crate) mod module;

/// Where the workflows run.
const PLACES: [&str; 3] = ["compiled in", "inline", "process"];

/// An engine that runs the workflows of the fixture there.
async fn engine(place: &str) -> TestEngine {
    let settings = |builder: Builder| match place {
        "process" => builder.package_host(host_program()),
        _ => builder,
    };
    let test = TestEngine::start_with(settings).await;
    if place == "compiled in" {
        for workflow in [
            module::waits::workflow(),
            module::reads::workflow(),
            module::updates::workflow(),
            module::wide::workflow(),
        ] {
            test.engine.register(workflow).await.unwrap();
        }
    } else {
        test.register(&archive::fixture("contexts")).await;
    }
    test
}

/// The code of the failure of a task.
fn code(report: &RunReport, task: &str) -> Value {
    let error = report.task(task).unwrap().error.as_ref().unwrap_or_else(|| panic!("{task} did not fail: {report:?}"));
    error.to_record().details["code"].clone()
}

#[tokio::test]
async fn the_wait_that_a_task_asks_for_is_exact_wherever_it_runs() {
    for place in PLACES {
        let test = engine(place).await;
        let run = test.engine.scheduler().schedule_workflow("waits", Context::new()).await.unwrap();
        let retry_at = in_time(async {
            loop {
                match run.report().await.unwrap().task("late").unwrap().retry_at {
                    Some(retry_at) => break retry_at,
                    None => tokio::task::yield_now().await,
                }
            }
        });
        let retry_at: Timestamp = retry_at.await;
        // What is shown is in memory a moment before it is in the history.
        let failed = in_time(async {
            loop {
                let events = run.events().await.unwrap();
                match events.into_iter().find(|event| event.kind == "attempt_failed") {
                    Some(failed) => break failed,
                    None => tokio::task::yield_now().await,
                }
            }
        });
        let failed = failed.await;
        let wait = retry_at.unix_micros() - failed.at.unix_micros();
        assert_eq!(u128::from(wait), module::WAIT.as_micros(), "{place}");
        assert_eq!(failed.details["retry_after_ms"], json!(5_184_000_001_u64), "{place}");
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_fails_its_task_and_harms_nothing() {
    // One byte more than may cross, with its quotes.
    let large = json!({ "large": "x".repeat((64 << 20) - 1), "small": "y", "read": ["small"] });
    for place in ["inline", "process"] {
        let test = engine(place).await;
        let report = test.run("reads", large.clone()).await;
        let read = report.task("read").unwrap();
        assert_eq!((report.state, read.state, read.attempt), (RunState::Failed, TaskState::Failed, Some(1)), "{place}");
        assert_eq!(code(&report, "read"), json!("LIB0015"), "{place}");
        let report = test.run("reads", json!({ "small": "y", "read": ["small"] })).await;
        assert_eq!(report.state, RunState::Completed, "{place}: {report:?}");
        assert_eq!(report.context.get("small_length"), Some(&json!(1)), "{place}");
    }
}

#[tokio::test]
async fn a_context_may_be_larger_than_what_crosses_if_no_value_is() {
    let mut input = json!({ "small": "y", "read": ["two", "small", "absent"] });
    for key in ["one", "two", "three", "four", "five"] {
        input[key] = Value::String("x".repeat(14 << 20));
    }
    for place in ["inline", "process"] {
        let test = engine(place).await;
        let report = test.run("reads", input.clone()).await;
        assert_eq!(report.state, RunState::Completed, "{place}: {:?}", report.task("read").unwrap().error);
        let get = |key: &str| report.context.get(key).cloned();
        assert_eq!(get("two_length"), Some(json!(14 << 20)), "{place}");
        assert_eq!((get("small_length"), get("absent_length")), (Some(json!(1)), Some(json!(null))), "{place}");
        assert_eq!(get("n_keys"), Some(json!(10)), "{place}");
    }
}

#[tokio::test]
async fn what_was_written_over_is_there_for_those_who_ask_and_no_burden_for_the_others() {
    for place in PLACES {
        let test = engine(place).await;
        let report = test.run("updates", json!({})).await;
        assert_eq!(report.state, RunState::Completed, "{place}");
        let seen = json!(["one", "four", "five", null, ["k"], "five"]);
        assert_eq!(report.context.get("seen"), Some(&seen), "{place}");
    }
}

#[tokio::test]
async fn a_context_looks_the_same_wherever_a_task_runs_and_however_much_there_is() {
    for (n_keys, n_bytes) in [(0, 10), (0, 100_000), (500, 10), (500, 2_000)] {
        let mut input = json!({ "number": 7, "text": "t".repeat(n_bytes), "removed": true });
        for number in 0..n_keys {
            input[format!("key{number:04}")] = json!("v".repeat(n_bytes % 3_000));
        }
        let mut seen = Vec::new();
        for place in PLACES {
            let test = engine(place).await;
            let report = test.run("wide", input.clone()).await;
            assert_eq!(report.state, RunState::Completed, "{place}: {report:?}");
            seen.push(serde_json::to_value(&report.context).unwrap());
        }
        assert_eq!(seen[0], seen[1], "compiled in, and inline");
        assert_eq!(seen[0], seen[2], "compiled in, and in a process");
        let (change, after) = (&seen[0]["seen_by_change"], &seen[0]["seen_by_after"]);
        assert_eq!((&change[2], &change[3], &change[5]), (&json!(n_keys + 3), &json!(n_keys + 3), &json!(7)));
        assert_eq!((&after[2], &after[3], &after[5]), (&json!(n_keys + 4), &json!(n_keys + 4), &json!(8)));
        assert_eq!(after[9], json!(["change", null, "change", null]));
        assert_eq!(after[10], json!([["inserted", {"deep": [1, 2.5]}], ["number", 8]]));
        assert_eq!(after[11], json!(n_keys + 4));
    }
}

#[tokio::test]
async fn a_package_in_c_gets_everything_or_asks_as_it_says() {
    for place in ["inline", "process"] {
        let settings = |builder: Builder| match place {
            "process" => builder.package_host(host_program()),
            _ => builder,
        };
        let test = TestEngine::start_with(settings).await;
        for (name, kind, abi, carried) in
            [("whole", "FIXTURE", "1.0", json!([1, 1, 0])), ("asks", "FETCHING_FIXTURE", "1.2", json!([0, 0, 1]))]
        {
            let source = format!("#define PACKAGE \"{name}\"\n#define KIND {kind}\n#define ABI \"{abi}\"\n{ASKS}");
            test.register(&library::pack(&library::compile(test.folder.path(), name, &source))).await;
            for workflow in ["inside", "beside"] {
                let report = test.run(&format!("{name}::{workflow}"), json!({})).await;
                assert_eq!(report.state, RunState::Completed, "{place} {name} {workflow}: {report:?}");
                let get = |key: &str| report.context.get(key).cloned().unwrap();
                assert_eq!(get("carried"), carried, "{place} {name} {workflow}");
                let fetched =
                    json!(["1 'new' by b", "1 'old' by a", "1  by b", "1 ['k'] by ", "0 ", "0 ", "-3 ", "-1 "]);
                assert_eq!(get("fetched"), fetched, "{place} {name} {workflow}");
                assert_eq!(get("all"), json!([1, 1]), "{place} {name} {workflow}");
            }
        }
    }
}
