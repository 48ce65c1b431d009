//! One workflow, compiled into this program and as a package: whatever it declares, both do the same.

use cloacina::{Context, Engine, RunEvent, RunReport, RunState, TaskState, Value};
use cloacina_tests::{
    archive,
    engine::{TestEngine, in_time},
};
use serde_json::json;

use crate::isolation::host_program;

#[expect(unreachable_pub, reason = "the same lines are the interface of a package")]
#[path = "../fixtures/parity/src/parity.rs"]
pub(crate) mod module;

/// What must be the same: no times, no ids.
fn comparable(report: &RunReport, events: Vec<RunEvent>) -> Value {
    let tasks = report.tasks.iter().map(|task| {
        let error = task.error.as_ref().map(|error| (error.kind().to_owned(), error.message()));
        let mut history: Vec<Value> = Vec::new();
        for event in events.iter().filter(|event| event.task.as_deref() == Some(&task.id)) {
            let details = &event.details;
            history.push(json!([event.kind, event.attempt, details["reason"], details["kind"], details["message"]]));
        }
        json!({
            "id": task.id, "state": task.state.as_str(), "attempt": task.attempt, "error": error,
            "outcome": task.outcome.map(|outcome| outcome.as_str()), "skipped": format!("{:?}", task.skipped),
            "set": task.set, "unset": task.unset, "history": history,
        })
    });
    let (tasks, context) = (tasks.collect::<Vec<_>>(), serde_json::to_value(&report.context).unwrap());
    json!({ "state": report.state.as_str(), "context": context, "tasks": tasks })
}

async fn run(engine: &Engine) -> (RunReport, Value) {
    let input = Context::from_object(json!({"number": 1})).unwrap();
    let run = engine.scheduler().schedule_workflow("attributes", input).await.unwrap();
    let report = in_time(run.wait()).await.unwrap();
    let events = run.events().await.unwrap();
    let compared = comparable(&report, events);
    (report, compared)
}

#[tokio::test]
async fn every_attribute_means_the_same_compiled_in_and_packaged() {
    let embedded = TestEngine::start().await;
    embedded.engine.register(module::attributes::workflow()).await.unwrap();
    let (report, compiled_in) = run(&embedded.engine).await;
    let packaged = TestEngine::start().await;
    packaged.register(&archive::fixture("parity")).await;
    let (_, packaged) = run(&packaged.engine).await;
    assert_eq!(
        serde_json::to_string_pretty(&compiled_in).unwrap(),
        serde_json::to_string_pretty(&packaged).unwrap(),
        "compiled in on the left, packaged on the right"
    );
    // And both are what was declared.
    assert_eq!(report.state, RunState::PartiallyCompleted);
    let ended: Vec<_> = report.tasks.iter().map(|task| (task.id.as_str(), task.state, task.attempt)).collect();
    assert_eq!(
        ended,
        [
            ("retried", TaskState::Completed, Some(3)),
            ("refused", TaskState::Failed, Some(1)),
            ("exhausted", TaskState::Failed, Some(3)),
            ("slow", TaskState::Failed, Some(1)),
            ("once", TaskState::Completed, Some(1)),
            ("cleanup", TaskState::Completed, Some(1)),
            ("after_refused", TaskState::Skipped, None),
            ("ruled_in", TaskState::Completed, Some(1)),
            ("ruled_out", TaskState::Skipped, None),
        ]
    );
    let context = json!({"cleanup": true, "number": 1, "once": "once", "retried": 3, "ruled_in": true});
    assert_eq!(compiled_in["context"], context);
    let history = |task: usize| compiled_in["tasks"][task]["history"].as_array().unwrap();
    assert_eq!(history(2).last().unwrap()[0], "callback_completed");
    assert_eq!(history(4).last().unwrap(), &json!(["callback_failed", null, "attempt", "permanent", "once saw true"]));
}

/// A task whose rule is decided runs while one of its dependencies does, and sees what was there then.
async fn check_early(test: &TestEngine) {
    let report = test.run("early", json!({})).await;
    assert_eq!(report.state, RunState::Completed, "{report:?}");
    let seen = json!({
        "quick": true, "slow": true, "first_saw": ["quick"], "after_first_saw": ["first_saw", "quick"],
        "last_saw": ["after_first_saw", "first_saw", "quick", "slow"],
    });
    assert_eq!(cloacina_tests::engine::context(&report), seen);
    let [first, slow, never] = ["first", "slow", "never"].map(|task| report.task(task).unwrap());
    assert_eq!(never.skipped, Some(cloacina::Skipped::RuleNotMet));
    assert!(first.started_at <= slow.finished_at && never.finished_at <= first.started_at, "{report:?}");
    // What is read back from the history saw the same.
    let stored = test.engine.run(report.id).await.unwrap().report().await.unwrap();
    assert_eq!(format!("{:?}", stored.tasks), format!("{:?}", report.tasks));
}

#[tokio::test]
async fn a_decided_rule_does_not_wait_in_a_workflow_that_is_compiled_in() {
    let test = TestEngine::start().await;
    test.engine.register(module::early::workflow()).await.unwrap();
    check_early(&test).await;
}

#[tokio::test]
async fn a_decided_rule_does_not_wait_in_a_package_in_the_engine() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("parity")).await;
    check_early(&test).await;
}

#[tokio::test]
async fn a_decided_rule_does_not_wait_in_a_package_in_a_process_of_its_own() {
    let test = TestEngine::start_with(|builder| builder.package_host(host_program())).await;
    test.register(&archive::fixture("parity")).await;
    check_early(&test).await;
}
