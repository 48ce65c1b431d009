//! What survives the end of a program: packages, runs with their results, and runs in the middle.

use cloacina::{Context, NoticeKind, RunState, TaskState};
use cloacina_tests::{
    archive,
    engine::{TestEngine, context, in_time, start},
};
use serde_json::json;

#[tokio::test]
async fn packages_runs_and_results_are_there_after_a_restart() {
    let TestEngine { engine, folder } = TestEngine::start().await;
    engine.registry().register_workflow(archive::fixture("concurrency")).await.unwrap();
    let input = Context::from_object(json!({"number": 7})).unwrap();
    let run = engine.scheduler().schedule_workflow("diamond", input).await.unwrap();
    let before = in_time(run.wait()).await.unwrap();
    engine.shutdown().await.unwrap();
    drop(engine);

    let engine = start(folder.path()).await;
    let after = engine.run(before.id).await.unwrap().report().await.unwrap();
    assert_eq!((after.state, context(&after)), (RunState::Completed, context(&before)));
    assert_eq!(after.producers, before.producers);
    assert_eq!(engine.registry().list().len(), 1);
    let input = Context::from_object(json!({"number": 8})).unwrap();
    let run = engine.scheduler().schedule_workflow("diamond", input).await.unwrap();
    assert_eq!(in_time(run.wait()).await.unwrap().context.get("sum"), Some(&json!(163)));
}

#[tokio::test]
async fn a_run_in_the_middle_goes_on_and_repeats_nothing_that_completed() {
    let TestEngine { engine, folder } = TestEngine::start().await;
    engine.registry().register_workflow(archive::fixture("mischief")).await.unwrap();
    let mut notices = engine.subscribe();
    let run = engine.scheduler().schedule_workflow("never", Context::new()).await.unwrap();
    in_time(async {
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, NoticeKind::Heartbeat { .. }) {
                break;
            }
        }
    })
    .await;
    in_time(engine.shutdown_within(std::time::Duration::ZERO)).await.unwrap();
    drop(engine);

    let engine = start(folder.path()).await;
    let resumed = engine.run(run.id()).await.unwrap();
    let report = resumed.report().await.unwrap();
    let task = report.task("wait").unwrap();
    assert_eq!((report.state, task.attempt), (RunState::Running, 2), "{report:?}");
    assert!(matches!(task.state, TaskState::Running | TaskState::Ready), "{report:?}");
    let kinds: Vec<_> = resumed.events().await.unwrap().iter().map(|event| event.kind).collect();
    assert!(kinds.iter().any(|kind| kind.contains("interrupted")), "{kinds:?}");
    in_time(engine.shutdown_within(std::time::Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_second_engine_on_one_database_is_refused_with_the_owner() {
    let test = TestEngine::start().await;
    let database = test.folder.path().join("cloacina.db").display().to_string();
    let error = cloacina::Engine::builder().database(database).start().await.unwrap_err();
    assert!(error.code().starts_with("STO"), "{error}");
    assert!(format!("{error} {:?}", error.hints()).contains(&std::process::id().to_string()), "{error}");
}
