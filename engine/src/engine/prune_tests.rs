//! Deleting runs and retention in whole engines, with a clock that the test holds.
//!
//! The engine's own upkeep is seen by its effect alone: runs that are due are gone, without anybody asking for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cloacina_workflow::{Context, Timestamp};
use serde_json::json;

use crate::{
    Clock, Engine, Error, LogFilter, PrunedPart, Records, Retention, RunFilter, RunHandle, RunId, RunRequest, RunState,
    TaskError, Value,
    id::HostId,
    store::{self, HostEnd, HostRow},
    task,
};

#[crate::workflow(name = "short", description = "Writes a value, or fails")]
mod short {
    use super::*;

    #[task(id = "write")]
    async fn write(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.log(crate::Level::Info, "here");
        if context.contains_key("fail") {
            return Err(TaskError::ValidationFailed { message: "told to".to_owned() });
        }
        context.insert("out", json!("x"))?;
        Ok(())
    }

    #[task(id = "then", dependencies = ["write"])]
    async fn then(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

/// A clock that stands still until the test moves it.
#[derive(Debug)]
struct Held(AtomicU64);

impl Held {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_700_000_000_000_000)))
    }

    fn forward(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn start(folder: &tempfile::TempDir, clock: &Arc<Held>, retention: Retention) -> (Engine, String) {
    let path = folder.path().join("runs.db").to_str().unwrap().to_owned();
    let builder = Engine::builder().database(&path).workflow(short::workflow());
    (builder.clock(clock.clone()).retention(retention).start().await.unwrap(), path)
}

async fn run(engine: &Engine, fails: bool) -> RunHandle {
    let input = if fails { json!({ "fail": true }) } else { json!({ "in": 1 }) };
    let input = Context::from_object(input).unwrap();
    let run = engine.scheduler().schedule_workflow("short", input).await.unwrap();
    let state = run.wait().await.unwrap().state;
    assert_eq!(state, if fails { RunState::Failed } else { RunState::Completed });
    run
}

fn listed(path: &str) -> Vec<RunId> {
    let runs = Records::open(path).unwrap().runs(&RunFilter::default(), 1000).unwrap();
    runs.iter().map(|run| run.status.id).collect()
}

/// Waits until the database lists those runs, newest first.
async fn until_listed(path: &str, runs: &[&RunHandle]) {
    let expected: Vec<RunId> = runs.iter().map(|run| run.id()).collect();
    let reached = async {
        while listed(path) != expected {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), reached).await;
    assert!(in_time.is_ok(), "{:?} and not {expected:?}", listed(path));
}

#[test]
fn a_run_that_has_ended_can_be_deleted_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (engine, path) = start(&folder, &Held::new(), Retention::off()).await;
        let (first, second) = (run(&engine, false).await, run(&engine, true).await);
        let held = engine.scheduler().submit(RunRequest::new("short", Context::new()).held()).await.unwrap();
        let refused = engine.delete(&[first.id(), held.id()], |_| {}).await.unwrap_err();
        assert!(matches!(refused, Error::Illegal { state: RunState::Pending, .. }), "{refused:?}");
        assert_eq!(refused.hints(), ["cancel it first, or wait until it has ended"]);
        assert_eq!(listed(&path).len(), 3, "all or nothing");

        let mut told = Vec::new();
        engine.delete(&[first.id(), second.id()], |n_rows| told.push(n_rows)).await.unwrap();
        assert!(told.last().is_some_and(|n_rows| *n_rows > 8), "{told:?}");
        assert_eq!(listed(&path), [held.id()]);
        let gone = engine.run(first.id()).await.map(|run| run.id());
        assert!(matches!(gone, Err(Error::UnknownRun { .. })));
        assert!(matches!(first.logs(&LogFilter::default()).await, Err(Error::UnknownRun { .. })));
        held.start("test").await.unwrap();
        held.wait().await.unwrap();
        held.delete().await.unwrap();
        assert_eq!(listed(&path), []);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn an_engine_removes_what_is_due_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Held::new();
    block_on(async {
        let policy = Retention { completed: Some(2 * HOUR), failed: Some(HOUR), ..Retention::default() };
        let (engine, path) = start(&folder, &clock, policy.clone()).await;
        let (old, dead) = (run(&engine, false).await, run(&engine, true).await);
        let dismissed = run(&engine, true).await;
        dismissed.dismiss("test").await.unwrap();
        clock.forward(HOUR);
        let young = run(&engine, false).await;
        clock.forward(HOUR);
        // Whatever happens next lets the engine look at its clock.
        let new = run(&engine, false).await;
        until_listed(&path, &[&new, &young, &dead]).await;
        assert!(matches!(old.logs(&LogFilter::default()).await, Err(Error::UnknownRun { .. })));

        // What became due while no engine was there goes when one is.
        engine.shutdown().await.unwrap();
        clock.forward(HOUR);
        let (engine, _) = start(&folder, &clock, policy).await;
        until_listed(&path, &[&new, &dead]).await;
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn accounts_of_processes_are_kept_as_long_as_completed_runs() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Held::new();
    block_on(async {
        let policy = Retention { completed: Some(2 * HOUR), ..Retention::off() };
        let (engine, _) = start(&folder, &clock, Retention::off()).await;
        let store = engine.shared.store().clone();
        for _ in 0..2 {
            let at = clock.now();
            let row = HostRow {
                id: HostId::new(at),
                tenant: "public".to_owned(),
                digest: cloacina_packager::Digest::of(b"billing"),
                began_at: at,
                read_at: at,
                end: Some(HostEnd::Released),
                n_calls: 1,
                cpu_us: None,
                peak_bytes: None,
            };
            let put = move |connection: &mut store::Connection| {
                store::host_put_in_txn(connection, std::slice::from_ref(&row))
            };
            store.write("test", put).await.unwrap();
            clock.forward(HOUR);
        }
        engine.prune(&policy, |_| {}).await.unwrap();
        let kept = store.read("test", |connection| store::host_sum(connection, None, None)).await.unwrap();
        assert_eq!(kept.iter().map(|sum| sum.n_hosts).collect::<Vec<_>>(), [1]);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn an_engine_keeps_no_more_runs_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut policy = Retention::off();
        policy.runs_max = Some(3);
        let clock = Held::new();
        let (engine, path) = start(&folder, &clock, Retention::off()).await;
        let dead = run(&engine, true).await;
        let mut runs = Vec::new();
        for _ in 0..150 {
            clock.forward(Duration::from_secs(1));
            runs.push(run(&engine, false).await);
        }
        engine.shutdown().await.unwrap();
        let (engine, _) = start(&folder, &clock, policy).await;
        until_listed(&path, &[&runs[149], &runs[148], &runs[147], &dead]).await;
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_run_without_its_context_says_so_and_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Held::new();
    block_on(async {
        let (engine, path) = start(&folder, &clock, Retention::off()).await;
        let (run, dead) = (run(&engine, false).await, run(&engine, true).await);
        let whole = engine.run(run.id()).await.unwrap().report().await.unwrap();
        clock.forward(HOUR);
        let mut policy = Retention::off();
        policy.contexts = Some(HOUR);
        let plan = Records::open(&path).unwrap().prune_plan(&policy, clock.now()).unwrap();
        assert_eq!(
            plan.due.iter().map(|due| (due.what, due.state, due.n_runs)).collect::<Vec<_>>(),
            [("context", "completed", 1)]
        );
        let pruned = engine.prune(&policy, |_| {}).await.unwrap();
        assert_eq!((pruned.n_contexts, pruned.n_runs), (1, 0));
        assert_eq!(engine.prune(&policy, |_| {}).await.unwrap().n_rows, 0, "nothing is left to do");

        let handle = engine.run(run.id()).await.unwrap();
        let report = handle.report().await.unwrap();
        assert_eq!(report.pruned(), Some(PrunedPart::Context { at: clock.now() }));
        assert_eq!((report.state, report.context.len()), (RunState::Completed, 0));
        let brief = |report: &crate::RunReport| {
            let tasks = report.tasks.iter();
            let brief =
                tasks.map(|task| (task.id.clone(), task.state, task.outcome, task.started_at, task.finished_at));
            brief.collect::<Vec<_>>()
        };
        assert_eq!(brief(&report), brief(&whole));
        assert_eq!(Records::open(&path).unwrap().report(run.id()).unwrap().pruned(), report.pruned());
        for refused in [
            handle.rerun(None, "test").await.map(drop),
            handle.fork("then", None, "test").await.map(drop),
            handle.rerun_failed(Some(Context::new()), "test").await.map(drop),
        ] {
            assert!(matches!(&refused, Err(error @ Error::Pruned { .. }) if error.code() == "RUN0018"), "{refused:?}");
        }
        dead.rerun_failed(None, "test").await.unwrap().wait().await.unwrap();
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_run_without_its_history_is_listed_and_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Held::new();
    block_on(async {
        let (engine, _) = start(&folder, &clock, Retention::off()).await;
        let id = run(&engine, false).await.id();
        let mut policy = Retention::off();
        (policy.events, policy.logs) = (Some(Duration::ZERO), Some(Duration::ZERO));
        let pruned = engine.prune(&policy, |_| {}).await.unwrap();
        assert_eq!((pruned.n_events, pruned.n_lines), (1, 1));
        let handle = engine.run(id).await.unwrap();
        let report = handle.report().await.unwrap();
        assert_eq!((report.pruned(), report.tasks.len()), (Some(PrunedPart::History { at: clock.now() }), 0));
        assert_eq!((report.state, handle.events().await.unwrap().len()), (RunState::Completed, 0));
        assert_eq!(handle.logs(&LogFilter::default()).await.unwrap(), []);
        assert!(matches!(handle.rerun(None, "test").await, Err(Error::Pruned { .. })));
        assert_eq!(handle.wait().await.unwrap().state, RunState::Completed);
        engine.shutdown().await.unwrap();
    });
}
