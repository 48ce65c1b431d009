//! The package in C++ of the examples: `g++`, the header and `package build --library`, and then it runs as any other.

use std::{fs, process::Command};

use cloacina::{Context, NoticeKind, RunState, TaskError, Timestamp};
use cloacina_tests::{
    engine::{TestEngine, context, in_time},
    library, root,
};
use serde_json::json;

use crate::cmd::program;

/// An engine with the package, built and packed as its README says.
async fn word_count() -> TestEngine {
    let test = TestEngine::start().await;
    let source = root().join("examples/cpp_package/word_count.cpp");
    let library = library::compile_cpp(test.folder.path(), "word_count", &source);
    let archive = test.folder.path().join("cpp_words.cloacina");
    let mut build = Command::new(program());
    build.args(["package", "build", "--library"]).arg(&library).arg("-o").arg(&archive);
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    test.register(&fs::read(&archive).unwrap()).await;
    test
}

#[tokio::test]
async fn a_package_in_cpp_runs_retries_and_replaces_all_values() {
    let test = word_count().await;
    let report = test.run("cpp_words::count", json!({"text": "To be, or not to \"be\"", "busy": 1})).await;
    assert_eq!((report.state, report.n_completed()), (RunState::Completed, 3), "{report:?}");
    assert_eq!(report.task("tally").unwrap().attempt, Some(2));
    // The last task gave back the whole set of values: what it left out is gone.
    assert_eq!(context(&report), json!({"report": "4 different words, from t on"}));
    let run = test.engine.run(report.id).await.unwrap();
    let events = run.events().await.unwrap();
    let tallied = events.iter().find(|event| event.details["set"].get("counts").is_some()).unwrap();
    assert_eq!(tallied.details["set"]["counts"], json!({"be": 2, "not": 1, "or": 1, "to": 2}));
    let failed = events.iter().find(|event| event.kind == "attempt_failed").unwrap();
    let due_at: Timestamp = failed.details["due_at"].as_str().unwrap().parse().unwrap();
    assert!(due_at.unix_micros() >= failed.at.unix_micros() + 20_000, "{failed:?}");
}

#[tokio::test]
async fn exceptions_end_at_the_boundary() {
    let test = word_count().await;
    let report = test.run("cpp_words::count", json!({})).await;
    let error = report.task("split").unwrap().error.clone().unwrap();
    assert_eq!((report.state, error.kind()), (RunState::Failed, "no_text"), "{error:?}");
    let report = test.run("cpp_words::count", json!({"text": "42"})).await;
    let Some(TaskError::Panicked { message, .. }) = report.task("report").unwrap().error.clone() else {
        panic!("{report:?}");
    };
    assert!(message.contains("basic_string::at"), "{message}");
    // The package and the engine go on.
    assert_eq!(test.run("cpp_words::count", json!({"text": "on"})).await.state, RunState::Completed);
}

#[tokio::test]
async fn a_stop_token_ends_a_task_in_cpp() {
    let test = word_count().await;
    let mut notices = test.engine.subscribe();
    let text = "word ".repeat(1_000);
    let input = Context::from_object(json!({"text": text, "word_ms": 100_000})).unwrap();
    let run = test.engine.scheduler().schedule_workflow("cpp_words::count", input).await.unwrap();
    in_time(async {
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, NoticeKind::Heartbeat { .. }) {
                break;
            }
        }
    })
    .await;
    run.cancel("the test").await.unwrap();
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Cancelled);
    in_time(test.engine.shutdown()).await.unwrap();
}
