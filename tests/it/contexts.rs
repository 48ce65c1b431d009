//! Contexts, compiled in and packaged in both isolations: what a value may be, how large it may get, what it costs.

use cloacina::{Builder, Context, RunReport, RunState, TaskState, Timestamp, Value};
use cloacina_tests::{
    archive,
    engine::{TestEngine, in_time},
};
use serde_json::json;

use crate::isolation::host_program;

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
        for workflow in [module::waits::workflow(), module::reads::workflow()] {
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
        assert_eq!((report.state, read.state, read.attempt), (RunState::Failed, TaskState::Failed, 1), "{place}");
        assert_eq!(code(&report, "read"), json!("LIB0015"), "{place}");
        let report = test.run("reads", json!({ "small": "y", "read": ["small"] })).await;
        assert_eq!(report.state, RunState::Completed, "{place}: {report:?}");
        assert_eq!(report.context.get("small_length"), Some(&json!(1)), "{place}");
    }
}
