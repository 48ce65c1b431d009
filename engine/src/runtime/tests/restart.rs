//! What survives the end of an engine, in order or not.
//!
//! A crash is a copy of the files, taken while the engine is at work: what the copy holds is what was on the disk at
//! that moment, and nothing tells the engine that opens it how the other one ended.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use cloacina_workflow::Function;
use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::Semaphore, task::JoinSet};

use super::fixture::{NAME, Shape, engine, input, nothing, runtime, workflow};
use crate::{Engine, Error, Gate, RunState, TaskError, TaskState};

/// A workflow whose second task waits for a permit, and counters of what was called.
macro_rules! held {
    ($shape:ident, $permits:ident, $entered:ident, $first:ident, $second:ident) => {
        static $permits: Semaphore = Semaphore::const_new(0);
        static $entered: Semaphore = Semaphore::const_new(0);
        static $first: AtomicUsize = AtomicUsize::new(0);
        static $second: AtomicUsize = AtomicUsize::new(0);
        fn $shape() -> Shape {
            const ONE: Function = Function::AsyncTask(|context| {
                Box::pin(async move {
                    $first.fetch_add(1, Ordering::SeqCst);
                    context.insert("first", json!(1))?;
                    Ok(())
                })
            });
            const TWO: Function = Function::AsyncTask(|context| {
                Box::pin(async move {
                    $second.fetch_add(1, Ordering::SeqCst);
                    $entered.add_permits(1);
                    $permits.acquire().await.map_err(|_| TaskError::permanent("closed"))?.forget();
                    let first: u64 = context.get_as("first")?;
                    context.insert("second", json!(first + context.attempt() as u64))?;
                    Ok(())
                })
            });
            Shape::new("held").task("first", &[], ONE).task("second", &["first"], TWO).task("third", &["second"], NAME)
        }
    };
}

fn copy(from: &Path, to: &TempDir) {
    for name in ["runs.db", "runs.db-wal"] {
        std::fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
}

#[test]
fn a_run_goes_on_after_a_crash_and_nothing_that_completed_runs_again() {
    held!(shape, PERMITS, ENTERED, FIRST, SECOND);
    let (folder, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let dying = engine(&folder, vec![shape()]).await;
        let id = dying.scheduler().schedule_workflow("held", nothing()).await.unwrap().id();
        ENTERED.acquire().await.unwrap().forget();
        copy(folder.path(), &copied);

        let engine = engine(&copied, vec![shape()]).await;
        ENTERED.acquire().await.unwrap().forget();
        PERMITS.add_permits(2);
        let run = engine.run(id).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.state, RunState::Completed);
        assert_eq!(report.context.get("second"), Some(&json!(3)), "it was the second attempt");
        assert_eq!((FIRST.load(Ordering::SeqCst), SECOND.load(Ordering::SeqCst)), (1, 2));
        let events = run.events().await.unwrap();
        let kinds: Vec<_> =
            events.iter().map(|event| (event.kind, event.task.as_deref(), event.attempt)).skip(2).collect();
        assert_eq!(
            kinds,
            [
                ("task_completed", Some("first"), Some(1)),
                ("attempt_interrupted", Some("second"), Some(1)),
                ("attempt_started", Some("second"), Some(2)),
                ("task_completed", Some("second"), Some(2)),
                ("task_completed", Some("third"), Some(1)),
                ("run_finished", None, None),
            ]
        );
        drop(dying);
    });
}

#[test]
fn dropping_the_engine_records_what_it_abandons() {
    held!(shape, PERMITS, ENTERED, FIRST, SECOND);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let dropped = engine(&folder, vec![shape()]).await;
        let run = dropped.scheduler().schedule_workflow("held", nothing()).await.unwrap();
        ENTERED.acquire().await.unwrap().forget();
        drop(dropped);
        assert!(matches!(run.wait().await, Err(Error::ShutDown)));

        PERMITS.add_permits(1);
        let engine = engine(&folder, vec![shape()]).await;
        let report = engine.run(run.id()).await.unwrap().wait().await.unwrap();
        assert_eq!((report.state, report.task("second").unwrap().attempt), (RunState::Completed, Some(2)));
        assert_eq!((FIRST.load(Ordering::SeqCst), SECOND.load(Ordering::SeqCst)), (1, 2));
    });
}

#[test]
fn shutting_down_lets_attempts_finish_and_interrupts_nothing() {
    held!(shape, PERMITS, ENTERED, FIRST, SECOND);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let stopped = engine(&folder, vec![shape()]).await;
        let run = stopped.scheduler().schedule_workflow("held", nothing()).await.unwrap();
        ENTERED.acquire().await.unwrap().forget();
        let mut shutdown = JoinSet::new();
        shutdown.spawn({
            let stopped = stopped.clone();
            async move { stopped.shutdown().await }
        });
        tokio::task::yield_now().await;
        PERMITS.add_permits(1);
        shutdown.join_next().await.unwrap().unwrap().unwrap();
        assert!(matches!(run.wait().await, Err(Error::ShutDown)));
        let refused = stopped.scheduler().schedule_workflow("held", nothing()).await;
        assert!(matches!(refused, Err(Error::ShutDown)));
        stopped.shutdown().await.unwrap();

        let engine = engine(&folder, vec![shape()]).await;
        let run = engine.run(run.id()).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.state, RunState::Completed);
        assert!(report.tasks.iter().all(|task| task.attempt == Some(1)), "the third task had not been started");
        assert_eq!((FIRST.load(Ordering::SeqCst), SECOND.load(Ordering::SeqCst)), (1, 1));
    });
}

#[test]
fn an_attempt_that_does_not_end_is_abandoned_at_the_deadline() {
    held!(shape, PERMITS, ENTERED, FIRST, SECOND);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let stopped = engine(&folder, vec![shape()]).await;
        let run = stopped.scheduler().schedule_workflow("held", nothing()).await.unwrap();
        ENTERED.acquire().await.unwrap().forget();
        stopped.shutdown_within(Duration::from_millis(20)).await.unwrap();

        PERMITS.add_permits(1);
        let engine = engine(&folder, vec![shape()]).await;
        let run = engine.run(run.id()).await.unwrap();
        assert_eq!(run.wait().await.unwrap().state, RunState::Completed);
        let interrupted = run.events().await.unwrap().into_iter().find(|event| event.kind == "attempt_interrupted");
        assert_eq!(interrupted.unwrap().task.as_deref(), Some("second"));
        assert_eq!((FIRST.load(Ordering::SeqCst), SECOND.load(Ordering::SeqCst)), (1, 2));
    });
}

#[test]
fn a_task_that_may_start_once_fails_when_it_was_interrupted() {
    held!(shape, PERMITS, ENTERED, FIRST, SECOND);
    let (folder, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let once = || {
        let mut shape = shape();
        shape.tasks[1].change = |task| task.at_most_once = true;
        shape
    };
    runtime().block_on(async {
        let dying = engine(&folder, vec![once()]).await;
        let id = dying.scheduler().schedule_workflow("held", nothing()).await.unwrap().id();
        ENTERED.acquire().await.unwrap().forget();
        copy(folder.path(), &copied);
        drop(dying);

        let engine = engine(&copied, vec![once()]).await;
        let report = engine.run(id).await.unwrap().wait().await.unwrap();
        assert_eq!((report.state, report.task("second").unwrap().state), (RunState::Failed, TaskState::Failed));
        assert_eq!(report.task("second").unwrap().error.as_ref().unwrap().kind(), "interrupted");
        assert_eq!(SECOND.load(Ordering::SeqCst), 1);
        PERMITS.close();
    });
}

#[test]
fn a_run_waits_for_its_code_and_goes_on_when_it_is_there() {
    held!(shape, PERMITS, ENTERED, FIRST, SECOND);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let dropped = engine(&folder, vec![shape()]).await;
        let id = dropped.scheduler().schedule_workflow("held", input(json!({"seed": 5}))).await.unwrap().id();
        ENTERED.acquire().await.unwrap().forget();
        drop(dropped);

        let engine = engine(&folder, vec![]).await;
        let run = engine.run(id).await.unwrap();
        let report = run.report().await.unwrap();
        assert_eq!(report.state, RunState::Running);
        assert_eq!(report.context.get("seed"), Some(&json!(5)));
        let missing = [Gate::PackageMissing { workflow: "held".to_owned() }];
        assert_eq!(report.task("second").unwrap().gates, missing);
        assert!(report.task("first").unwrap().gates.is_empty());

        // A workflow with changed code but the same tasks may take over.
        let mut waiting = JoinSet::new();
        waiting.spawn({
            let run = run.clone();
            async move { run.wait().await }
        });
        PERMITS.add_permits(1);
        engine.register(workflow(Shape { fingerprint: "changed", ..shape() })).await.unwrap();
        assert_eq!(waiting.join_next().await.unwrap().unwrap().unwrap().state, RunState::Completed);
    });
}

#[test]
fn a_run_without_its_code_can_be_steered_all_the_same() {
    held!(shape, PERMITS, ENTERED, FIRST, SECOND);
    let (folder, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let dying = engine(&folder, vec![shape()]).await;
        let (one, other) = (
            dying.scheduler().schedule_workflow("held", nothing()).await.unwrap().id(),
            dying.scheduler().schedule_workflow("held", nothing()).await.unwrap().id(),
        );
        ENTERED.acquire_many(2).await.unwrap().forget();
        copy(folder.path(), &copied);
        drop(dying);

        let engine = engine(&copied, vec![]).await;
        let (one, other) = (engine.run(one).await.unwrap(), engine.run(other).await.unwrap());
        one.cancel("ann").await.unwrap();
        let report = one.wait().await.unwrap();
        assert_eq!((report.state, report.task("second").unwrap().state), (RunState::Cancelled, TaskState::Cancelled));
        assert!(matches!(one.cancel("ann").await, Err(Error::Illegal { state: RunState::Cancelled, .. })));

        other.pause("bob").await.unwrap();
        assert_eq!(other.status().await.unwrap().state, RunState::Paused);
        let gates = other.report().await.unwrap().task("second").unwrap().gates.clone();
        let missing = Gate::PackageMissing { workflow: "held".to_owned() };
        assert_eq!(gates, [missing, Gate::RunPaused { by: "bob".to_owned() }]);
        assert!(matches!(other.pause("bob").await, Err(Error::Illegal { state: RunState::Paused, .. })));
        assert!(matches!(other.retry("none", "bob").await, Err(Error::UnknownTask { .. })));
        other.resume("bob").await.unwrap();

        PERMITS.add_permits(1);
        engine.register(workflow(shape())).await.unwrap();
        assert_eq!(other.wait().await.unwrap().state, RunState::Completed);
        let kinds: Vec<&str> = other.events().await.unwrap().iter().map(|event| event.kind).collect();
        let n_interrupted = kinds.iter().filter(|kind| **kind == "attempt_interrupted").count();
        assert_eq!(n_interrupted, 1, "reading a run without its code is not an interruption: {kinds:?}");
        assert_eq!(SECOND.load(Ordering::SeqCst), 3);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn finished_runs_can_be_looked_at_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let stopped = engine(&folder, vec![Shape::diamond()]).await;
        let run = stopped.scheduler().schedule_workflow("diamond", input(json!({"seed": 1}))).await.unwrap();
        let live = run.wait().await.unwrap();
        stopped.shutdown().await.unwrap();

        let engine: Engine = engine(&folder, vec![]).await;
        let listed = engine.runs(None).await.unwrap();
        assert_eq!((listed.len(), listed[0].id, listed[0].state), (1, run.id(), RunState::Completed));
        assert_eq!(listed[0].workflow, "diamond");
        let stored = engine.run(run.id()).await.unwrap().wait().await.unwrap();
        assert_eq!(format!("{:?}", stored.tasks), format!("{:?}", live.tasks));
        assert_eq!(format!("{:?}", stored.context), format!("{:?}", live.context));
        assert_eq!((stored.created_at, stored.finished_at), (live.created_at, live.finished_at));
    });
}
