//! Looking at a database beside its engine, after it, and where there is none.
//!
//! What is seen must be what the engine's own handles tell. Looking must never make a file, start a run or take the
//! database from its engine.

use cloacina_workflow::Context;
use serde_json::json;

use crate::{
    Engine, Error, Records, RunFilter, RunId, RunRequest, RunState, StoreError, TaskError, Value, WorkflowFilter,
    store::testing::TestDatabase, task,
};

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

#[crate::workflow(name = "branch", description = "Fails, or has its rule")]
mod branch {
    use super::*;

    #[task(id = "first")]
    async fn first(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(id = "ruled", trigger_rules = none(context_value("skip", exists)))]
    async fn ruled(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(id = "last", dependencies = ["first"])]
    async fn last(context: &mut Context<Value>) -> Result<(), TaskError> {
        if context.contains_key("fail") {
            return Err(TaskError::ValidationFailed { message: "told to".to_owned() });
        }
        Ok(())
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Still;

impl crate::Clock for Still {
    fn now(&self) -> cloacina_workflow::Timestamp {
        cloacina_workflow::Timestamp::from_unix_micros(1_700_000_000_000_000)
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
    assert_eq!(
        all.iter().map(|run| (run.status.completed_tasks, run.status.total_tasks)).collect::<Vec<_>>(),
        [(Some(1), 2), (Some(2), 2)]
    );
    assert_eq!(records.runs(&RunFilter::default(), 1).unwrap().len(), 1);
    assert_eq!(records.events(good.id()).unwrap().last().unwrap().kind, "run_finished");
    let workflows = records.workflows(&WorkflowFilter::default()).unwrap();
    assert_eq!(workflows.len(), 1);
    assert_eq!(
        (workflows[0].name.as_str(), workflows[0].descriptor.as_ref().unwrap().tasks.len()),
        ("public::cloacina::count", 2)
    );
}

#[test]
fn what_was_taken_over_from_another_run_is_counted_as_where_it_is_shown() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let (address, folder) = (&database.address, tempfile::tempdir().unwrap());
        let builder = Engine::builder().database(address).data_dir(folder.path());
        let engine = block_on(builder.workflow(branch::workflow()).start()).unwrap();
        let input = |text| Context::from_object(text).unwrap();
        let failed = block_on(engine.scheduler().schedule_workflow("branch", input(json!({ "fail": true })))).unwrap();
        block_on(failed.wait()).unwrap();
        let good = block_on(failed.rerun_failed(Some(input(json!({}))), "ada")).unwrap();
        block_on(good.wait()).unwrap();
        let again = block_on(good.fork("last", None, "ada")).unwrap();
        block_on(again.wait()).unwrap();
        // With this input the rule of what would be taken over does not hold.
        let other = block_on(good.fork("last", Some(input(json!({ "skip": true }))), "ada")).unwrap();
        block_on(other.wait()).unwrap();
        let held = block_on(engine.scheduler().submit(RunRequest::new("branch", Context::new()).held())).unwrap();
        block_on(engine.shutdown()).unwrap();

        let mut records = Records::open(address).unwrap();
        let listed = records.runs(&RunFilter::default(), 10).unwrap();
        let counted: Vec<_> =
            listed.iter().map(|run| (run.status.id, run.status.completed_tasks, run.status.total_tasks)).collect();
        let shown = [&held, &other, &again, &good, &failed].map(|run| {
            let report = records.report(run.id()).unwrap();
            (run.id(), Some(report.n_completed()), report.tasks.len())
        });
        assert_eq!(counted, shown);
        assert_eq!(counted.iter().map(|run| run.1).collect::<Vec<_>>(), [0, 2, 3, 3, 2].map(Some));
    }
}

#[test]
fn short_ids_name_one_run_in_the_whole_database() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let (address, folder) = (&database.address, tempfile::tempdir().unwrap());
        let builder = Engine::builder().database(address).data_dir(folder.path());
        // With a clock that stands still all ids begin alike.
        let clock = std::sync::Arc::new(Still);
        let engine =
            block_on(builder.clock(clock).workflow(count::workflow()).workflow(branch::workflow()).start()).unwrap();
        for workflow in ["count", "branch"].repeat(8) {
            let run = block_on(engine.scheduler().schedule_workflow(workflow, Context::new())).unwrap();
            block_on(run.wait()).unwrap();
        }
        block_on(engine.shutdown()).unwrap();
        let mut records = Records::open(address).unwrap();
        for workflow in [None, Some("count".to_owned())] {
            let filter = RunFilter { workflow, ..RunFilter::default() };
            let ids: Vec<RunId> = records.runs(&filter, 5).unwrap().iter().map(|run| run.status.id).collect();
            for (id, short) in records.short_ids(&ids).unwrap() {
                assert!(short.len() > 13 && short.len() < 24, "{short}");
                let filter = RunFilter { ids: RunId::range_of(&short), ..RunFilter::default() };
                let found = records.runs(&filter, 2).unwrap();
                assert_eq!(found.iter().map(|found| found.status.id).collect::<Vec<_>>(), [id]);
            }
        }
    }
}

#[test]
fn a_run_is_driven_as_long_as_its_engine_lives() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let (address, folder) = (&database.address, tempfile::tempdir().unwrap());
        let start = || {
            let builder = Engine::builder().database(address).data_dir(folder.path());
            block_on(builder.workflow(count::workflow()).idle().start()).unwrap()
        };
        let engine = start();
        let run = block_on(engine.scheduler().schedule_workflow("count", Context::new())).unwrap().id();
        let mut records = Records::open(address).unwrap();
        let mut seen = || {
            let listed = records.runs(&RunFilter::default(), 1).unwrap()[0].driven.unwrap_or(false);
            assert_eq!(records.is_driven(run).unwrap(), listed);
            listed
        };
        assert!(seen());
        block_on(engine.shutdown()).unwrap();
        assert!(!seen());
        // An idle engine takes over no more than the run that it is asked about.
        let engine = start();
        block_on(block_on(engine.run(run)).unwrap().cancel("ada")).unwrap();
        assert!(!seen(), "it has ended");
        block_on(engine.shutdown()).unwrap();
    }
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
    assert!(matches!(error, Error::Store(StoreError::Absent { .. })), "{error}");
    assert!(Records::find(path.to_str().unwrap()).unwrap().is_none());
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    let error = Records::open(path.to_str().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
}
