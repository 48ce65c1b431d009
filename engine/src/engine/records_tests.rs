//! Looking at a database beside its engine, after it, and where there is none.
//!
//! What is seen must be what the engine's own handles tell. Looking must never make a file, start a run or take the
//! database from its engine.

use cloacina_workflow::Context;
use serde_json::json;

use crate::{Engine, Error, Records, RunFilter, RunId, RunRequest, RunState, StoreError, TaskError, Value, task};

#[crate::workflow(name = "count", description = "Counts")]
mod count {
    use super::*;

    #[task(id = "one")]
    async fn one(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.insert("one", json!(1))?;
        Ok(())
    }

    #[task(id = "two", dependencies = ["one"])]
    async fn two(context: &mut Context<Value>) -> Result<(), TaskError> {
        if context.contains_key("fail") {
            return Err(TaskError::ValidationFailed { message: "told to".to_owned() });
        }
        Ok(())
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn what_an_engine_did_can_be_looked_at_beside_it_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db").to_str().unwrap().to_owned();
    let engine = block_on(Engine::builder().database(&path).workflow(count::workflow()).start()).unwrap();
    let good = block_on(engine.scheduler().schedule_workflow("count", Context::new())).unwrap();
    block_on(good.wait()).unwrap();
    let input = Context::from_object(json!({ "fail": true })).unwrap();
    let bad = block_on(engine.scheduler().schedule_workflow("count", input)).unwrap();
    let told = block_on(bad.wait()).unwrap();

    let mut records = Records::open(&path).unwrap();
    assert_eq!(records.engine().unwrap(), Some(Some(std::process::id())));
    let seen = records.report(bad.id()).unwrap();
    assert_eq!(seen.state, RunState::Failed);
    assert_eq!(format!("{:?}", seen.tasks), format!("{:?}", told.tasks));
    block_on(engine.shutdown()).unwrap();
    assert_eq!(records.engine().unwrap(), None);

    let all = records.runs(&RunFilter::default(), 10).unwrap();
    assert_eq!(all.iter().map(|run| run.status.id).collect::<Vec<_>>(), [bad.id(), good.id()]);
    assert_eq!(all.iter().map(|run| (run.n_completed, run.n_tasks)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    assert_eq!(records.runs(&RunFilter::default(), 1).unwrap().len(), 1);
    assert_eq!(records.events(good.id()).unwrap().last().unwrap().kind, "run_finished");
    let workflows = records.workflows().unwrap();
    assert_eq!(workflows.len(), 1);
    assert_eq!((workflows[0].name.as_str(), workflows[0].descriptor.tasks.len()), ("public::cloacina::count", 2));
}

#[test]
fn runs_are_found_by_what_is_known_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db").to_str().unwrap().to_owned();
    let engine = block_on(Engine::builder().database(&path).workflow(count::workflow()).start()).unwrap();
    let run = block_on(engine.scheduler().schedule_workflow("count", Context::new())).unwrap();
    let report = block_on(run.wait()).unwrap();
    block_on(engine.shutdown()).unwrap();

    let mut records = Records::open(&path).unwrap();
    let filter = RunFilter::default;
    let text = run.id().to_string();
    let ids = RunId::range_of(&text[..6]);
    for (filter, found) in [
        (RunFilter { states: vec![RunState::Completed], ..filter() }, 1),
        (RunFilter { states: vec![RunState::Failed, RunState::Paused], ..filter() }, 0),
        (RunFilter { workflow: Some("count".to_owned()), ..filter() }, 1),
        (RunFilter { workflow: Some("ount".to_owned()), ..filter() }, 0),
        (RunFilter { tenant: Some("public".to_owned()), ..filter() }, 1),
        (RunFilter { tenant: Some("acme".to_owned()), ..filter() }, 0),
        (RunFilter { created_from: Some(report.created_at), ..filter() }, 1),
        (RunFilter { created_before: Some(report.created_at), ..filter() }, 0),
        (RunFilter { ids, ..filter() }, 1),
        (RunFilter { ids: RunId::range_of("ffff"), ..filter() }, 0),
    ] {
        assert_eq!(records.runs(&filter, 10).unwrap().len(), found, "{filter:?}");
    }
    let unknown = RunId::range_of("ffff").unwrap().0;
    assert!(matches!(records.report(unknown), Err(Error::UnknownRun { .. })));
}

#[test]
fn an_idle_engine_records_what_is_asked_of_a_run_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db").to_str().unwrap().to_owned();
    let idle = || block_on(Engine::builder().database(&path).workflow(count::workflow()).idle().start()).unwrap();
    let engine = idle();
    let request = RunRequest::new("count", Context::new()).held();
    let id = block_on(engine.scheduler().submit(request)).unwrap().id();
    block_on(engine.shutdown()).unwrap();
    let state = || Records::open(&path).unwrap().report(id).unwrap().state;
    assert_eq!(state(), RunState::Pending);

    // The request comes while the run's history is still being read.
    let engine = idle();
    let run = block_on(engine.run(id)).unwrap();
    block_on(run.start("ada")).unwrap();
    block_on(engine.shutdown()).unwrap();
    assert_eq!(state(), RunState::Running);

    let engine = block_on(Engine::builder().database(&path).workflow(count::workflow()).start()).unwrap();
    block_on(block_on(engine.run(id)).unwrap().wait()).unwrap();
    block_on(engine.shutdown()).unwrap();
    assert_eq!(state(), RunState::Completed);
}

#[test]
fn looking_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let error = Records::open(path.to_str().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Open { .. })), "{error}");
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    let error = Records::open(path.to_str().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
}
