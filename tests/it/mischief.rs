//! Packages that misbehave: what each does to its attempt, and that it does nothing to the engine.

use cloacina::{Context, NoticeKind, RunState, TaskError, TaskState};
use cloacina_tests::{
    archive,
    engine::{TestEngine, in_time},
    library,
};
use serde_json::json;

#[tokio::test]
async fn panics_fail_their_attempts_with_message_and_place() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("mischief")).await;
    let report = test.run("panics", json!({})).await;
    assert_eq!(report.state, RunState::Failed);
    let expected =
        [("blocking", "a plain panic"), ("polled", "a value that is not there"), ("dropped", "a panic in a drop")];
    for (task, said) in expected {
        let Some(TaskError::Panicked { message, location }) = &report.task(task).unwrap().error else {
            panic!("{task}: {report:?}");
        };
        assert_eq!(message, said);
        assert!(location.as_ref().unwrap().contains("src/lib.rs:"), "{location:?}");
    }
    for (task, dependency) in [("after", "blocking"), ("long_after", "after")] {
        let task = report.task(task).unwrap();
        assert_eq!(task.state, TaskState::Skipped);
        let because = cloacina::Skipped::UpstreamFailed { dependency: dependency.to_owned() };
        assert_eq!(task.skipped, Some(because));
    }
    // The engine and the package go on.
    assert_eq!(test.run("talks", json!({})).await.state, RunState::Completed);
}

#[tokio::test]
async fn an_error_arrives_as_the_author_made_it() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("mischief")).await;
    let report = test.run("fails", json!({})).await;
    let error = report.task("refuse").unwrap().error.clone().unwrap();
    let expected = TaskError::Custom {
        kind: "out_of_tea".to_owned(),
        message: "the pot is empty".to_owned(),
        details: json!({"cups": 0}),
        retryable: false,
    };
    assert_eq!(error, expected);
    let report = test.run("too_deep", json!({})).await;
    let error = report.task("nest").unwrap().error.clone().unwrap();
    assert_eq!(error.kind(), "context");
}

#[tokio::test]
async fn a_task_that_never_completes_stays_running_and_is_shown_so() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("mischief")).await;
    let mut notices = test.engine.subscribe();
    let run = test.engine.scheduler().schedule_workflow("never", Context::new()).await.unwrap();
    // Its heartbeat says that it has started.
    in_time(async {
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, NoticeKind::Heartbeat { permille: 10, .. }) {
                break;
            }
        }
    })
    .await;
    let report = run.report().await.unwrap();
    assert_eq!((report.state, report.task("wait").unwrap().state), (RunState::Running, TaskState::Running));
    // Others are not held up, and neither is the end of the engine.
    assert_eq!(test.run("talks", json!({})).await.state, RunState::Completed);
    in_time(test.engine.shutdown_within(std::time::Duration::ZERO)).await.unwrap();
    assert_eq!(run.wait().await.unwrap_err().code(), "RUN0003");
}

#[tokio::test]
async fn what_a_task_says_arrives_with_its_identity() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("mischief")).await;
    let mut notices = test.engine.subscribe();
    let report = test.run("talks", json!({})).await;
    let mut lines = Vec::new();
    in_time(async {
        while let Some(notice) = notices.next().await {
            match notice.kind {
                NoticeKind::Log { level, message, fields, .. } => {
                    assert_eq!((notice.run, notice.task.as_deref(), notice.attempt), (report.id, Some("speak"), 1));
                    lines.push(format!("{level} {message} {fields}"));
                }
                NoticeKind::RunFinished { .. } => break,
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(lines, [r#"warn by tracing {"cups":2}"#, "warn by log ", "info by the context "]);
}

#[tokio::test]
async fn a_package_that_aborts_on_panic_is_refused() {
    let test = TestEngine::start().await;
    let error = test.engine.registry().register_workflow(archive::fixture("abort")).await.unwrap_err();
    assert!(error.code().starts_with("LIB"), "{} {error}", error.code());
    assert!(format!("{error}").contains("abort") || format!("{error:?}").contains("Abort"), "{error:?}");
    assert!(test.engine.registry().list().is_empty());
    let packages = test.folder.path().join(".cloacina/packages");
    assert!(!packages.exists() || packages.read_dir().unwrap().next().is_none(), "nothing of it may stay on the disk");
}

/// A package in C whose task `n` does the n-th thing that a package must not do.
const RUDE: &str = r#"
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"rude\",\"version\":\"1.0.0\",\"workflows\":["
    "{\"name\":\"garbage\",\"tasks\":[{\"id\":\"t\",\"index\":0}]},"
    "{\"name\":\"twice\",\"tasks\":[{\"id\":\"t\",\"index\":1}]},"
    "{\"name\":\"stranger\",\"tasks\":[{\"id\":\"t\",\"index\":2}]},"
    "{\"name\":\"refuses\",\"tasks\":[{\"id\":\"t\",\"index\":3}]},"
    "{\"name\":\"status\",\"tasks\":[{\"id\":\"t\",\"index\":4}]},"
    "{\"name\":\"whole\",\"tasks\":[{\"id\":\"t\",\"index\":5}]}]}");
static void complete(uint64_t id, int32_t status, clcn_bytes output) {
    clcn_result result = CLCN_RESULT_INIT;
    result.status = status;
    result.output = output;
    host->complete(host->ctx, id, &result);
}
static int32_t start(const clcn_start *call) {
    uint64_t id = call->call_id;
    if (call->task == 0) complete(id, CLCN_OK, CLCN_TEXT("{\"set\": [this is not JSON"));
    if (call->task == 1) {
        complete(id, CLCN_OK, CLCN_TEXT("{\"set\":{\"n\":1}}"));
        complete(id, CLCN_OK, CLCN_TEXT("{\"set\":{\"n\":2}}"));
        complete(id, CLCN_FAILED, CLCN_TEXT(""));
    }
    if (call->task == 2) {
        complete(id + 1000000, CLCN_OK, CLCN_TEXT("{}"));
        complete(id, CLCN_OK, CLCN_TEXT(""));
    }
    if (call->task == 3) return CLCN_REFUSED;
    if (call->task == 4) complete(id, 77, CLCN_TEXT("{}"));
    if (call->task == 5) {
        clcn_result result = CLCN_RESULT_INIT;
        result.output_kind = CLCN_OUTPUT_WHOLE;
        result.output = CLCN_TEXT("{\"kept\":1,\"new\":2}");
        host->complete(host->ctx, id, &result);
    }
    return CLCN_OK;
}
"#;

#[tokio::test]
async fn garbage_double_completions_and_refusals_fail_an_attempt_at_most() {
    let test = TestEngine::start().await;
    test.register(&library::pack(&library::compile(test.folder.path(), "rude", RUDE))).await;
    for workflow in ["garbage", "refuses", "status"] {
        let report = test.run(workflow, json!({})).await;
        assert_eq!(report.state, RunState::Failed, "{workflow}");
        let error = report.task("t").unwrap().error.clone().unwrap();
        assert!(error.to_record().details.to_string().contains("LIB00"), "{workflow}: {error:?}");
    }
    let report = test.run("twice", json!({})).await;
    assert_eq!(report.context.get("n"), Some(&json!(1)), "only the first completion counts");
    assert_eq!(test.run("stranger", json!({})).await.state, RunState::Completed);
    let report = test.run("whole", json!({"kept": 1, "dropped": 0})).await;
    assert_eq!(cloacina_tests::engine::context(&report), json!({"kept": 1, "new": 2}));
    let whole = report.task("t").unwrap();
    assert_eq!((whole.set.len(), whole.unset.len()), (1, 1), "{whole:?}");
}
