//! What people ask of runs, in a whole engine on a real file.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use cloacina_workflow::{Function, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::fixture::{FAILS, NAME, SEES, Shape, engine, input, nothing, runtime};
use crate::{Error, Gate, GateHolder, GateTask, Request, RunFilter, RunRequest, RunState, TaskState};

/// A chain whose first task waits for a permit.
macro_rules! gated {
    ($shape:ident, $permits:ident, $entered:ident) => {
        static $permits: Semaphore = Semaphore::const_new(0);
        static $entered: Semaphore = Semaphore::const_new(0);
        fn $shape() -> Shape {
            const FIRST: Function = Function::AsyncTask(|_| {
                Box::pin(async move {
                    $entered.add_permits(1);
                    $permits.acquire().await.map_err(|_| TaskError::permanent("closed"))?.forget();
                    Ok(())
                })
            });
            Shape::new("gated").task("first", &[], FIRST).task("second", &["first"], NAME)
        }
    };
}

#[test]
fn a_paused_run_starts_nothing_until_it_is_resumed() {
    gated!(shape, PERMITS, ENTERED);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let first = engine(&folder, vec![shape()]).await;
        let run = first.scheduler().schedule_workflow("gated", nothing()).await.unwrap();
        ENTERED.acquire().await.unwrap().forget();
        run.pause("ada").await.unwrap();
        let mut notices = first.subscribe();
        PERMITS.add_permits(1);
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, crate::NoticeKind::Completed) {
                break;
            }
        }
        let why = run.why().await.unwrap();
        assert_eq!((why.len(), why[0].state), (1, TaskState::Ready));
        assert_eq!(why[0].gates, [Gate::RunPaused { by: "ada".to_owned() }]);
        let refused = run.pause("ada").await.unwrap_err();
        assert_eq!(refused.code(), "RUN0012");
        assert_eq!(refused.to_string(), format!("run {} is paused, so it cannot be paused", run.id()));
        first.shutdown().await.unwrap();

        let second = engine(&folder, vec![shape()]).await;
        let run = second.run(run.id()).await.unwrap();
        while run.why().await.unwrap()[0].gates != [Gate::RunPaused { by: "ada".to_owned() }] {
            tokio::task::yield_now().await;
        }
        run.resume("bob").await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!((report.state, report.n_completed()), (RunState::Completed, 2));
        let refused = run.resume("bob").await.unwrap_err();
        assert_eq!(refused.hints(), ["it has ended; run it again or fork it, which makes a new run"]);
    });
}

#[test]
fn cancelling_stops_what_runs_and_cancels_the_rest() {
    gated!(shape, PERMITS, ENTERED);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape()]).await;
        let run = engine.scheduler().schedule_workflow("gated", nothing()).await.unwrap();
        ENTERED.acquire().await.unwrap().forget();
        run.cancel("ada").await.unwrap();
        let report = run.wait().await.unwrap();
        let states: Vec<_> = report.tasks.iter().map(|task| task.state).collect();
        assert_eq!((report.state, states), (RunState::Cancelled, vec![TaskState::Cancelled; 2]));
        let events = run.events().await.unwrap();
        let requested = events.iter().find(|event| event.kind == "run_cancel_requested").unwrap();
        assert_eq!(requested.details, json!({"by": "ada"}));
        let stored = engine.run(run.id()).await.unwrap().report().await.unwrap();
        assert_eq!(format!("{:?}", stored.tasks), format!("{:?}", report.tasks));
        PERMITS.close();
    });
}

#[test]
fn a_cancelled_task_that_does_not_stop_is_abandoned() {
    static FREE: std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>> = std::sync::Mutex::new(None);
    static ENTERED: Semaphore = Semaphore::const_new(0);
    const STUCK: Function = Function::Task(|_| {
        ENTERED.add_permits(1);
        let free = FREE.lock().unwrap().take().unwrap();
        free.recv().ok();
        Ok(())
    });
    let (free, freed) = std::sync::mpsc::channel();
    *FREE.lock().unwrap() = Some(freed);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let database = folder.path().join("runs.db");
        let builder = crate::Engine::builder().database(database.to_str().unwrap());
        let builder = builder.stop_grace(Duration::from_millis(10));
        let workflow = super::fixture::workflow(Shape::new("stuck").task("stuck", &[], STUCK));
        let engine = builder.workflow(workflow).start().await.unwrap();
        let run = engine.scheduler().schedule_workflow("stuck", nothing()).await.unwrap();
        ENTERED.acquire().await.unwrap().forget();
        run.cancel("ada").await.unwrap();
        let state = run.wait().await.unwrap().state;
        drop(free);
        assert_eq!(state, RunState::Cancelled);
        let events = run.events().await.unwrap();
        let cancelled = events.iter().find(|event| event.kind == "task_cancelled").unwrap();
        assert_eq!((cancelled.attempt, &cancelled.details["abandoned"]), (Some(1), &json!(true)));
    });
}

#[test]
fn runs_can_be_created_without_a_start_and_for_later() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let first = engine(&folder, vec![Shape::diamond()]).await;
        let scheduler = first.scheduler();
        let held = scheduler.submit(RunRequest::new("diamond", nothing()).held()).await.unwrap();
        let later = RunRequest::new("diamond", nothing()).after(Duration::from_secs(3600));
        let later = scheduler.submit(later).await.unwrap();
        let soon =
            scheduler.submit(RunRequest::new("diamond", nothing()).after(Duration::from_millis(10))).await.unwrap();
        assert_eq!(soon.wait().await.unwrap().state, RunState::Completed);
        assert_eq!(held.why().await.unwrap()[0].gates, [Gate::RunPending]);
        assert!(matches!(later.why().await.unwrap()[0].gates.as_slice(), [Gate::RunDelayed { .. }]));
        first.shutdown().await.unwrap();

        let second = engine(&folder, vec![Shape::diamond()]).await;
        let (held, later) = (second.run(held.id()).await.unwrap(), second.run(later.id()).await.unwrap());
        while held.why().await.unwrap()[0].gates != [Gate::RunPending] {
            tokio::task::yield_now().await;
        }
        held.start("ada").await.unwrap();
        assert_eq!(held.wait().await.unwrap().state, RunState::Completed);
        assert_eq!(held.start("ada").await.unwrap_err().code(), "RUN0012");
        assert_eq!(later.state().await.unwrap(), RunState::Pending);
        later.cancel("ada").await.unwrap();
        assert_eq!(later.wait().await.unwrap().state, RunState::Cancelled);
    });
}

#[test]
fn one_key_makes_one_run() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = engine(&folder, vec![Shape::diamond()]).await;
        let request = || RunRequest::new("diamond", nothing()).key("monday");
        let first = engine.scheduler().submit(request()).await.unwrap();
        first.wait().await.unwrap();
        let again = engine.scheduler().submit(request()).await.unwrap();
        assert_eq!((again.id(), again.wait().await.unwrap().state), (first.id(), RunState::Completed));
        let other = engine.scheduler().submit(RunRequest::new("diamond", nothing()).key("tuesday")).await.unwrap();
        assert_ne!(other.id(), first.id());
        assert_eq!(engine.runs(None).await.unwrap().len(), 2);
    });
}

#[test]
fn a_waiting_task_can_be_retried_at_once() {
    const ONCE: Function = Function::AsyncTask(|context| {
        Box::pin(async move { if context.attempt() == 1 { Err(TaskError::transient("not yet")) } else { Ok(()) } })
    });
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("later").task("once", &[], ONCE).with(|task| {
        task.retry.attempts = 1;
        task.retry.delay_ms = 3_600_000;
        task.retry.max_delay_ms = 3_600_000;
    });
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("later", nothing()).await.unwrap();
        while run.why().await.unwrap().first().is_none_or(|waiting| waiting.state != TaskState::Waiting) {
            tokio::task::yield_now().await;
        }
        assert_eq!(run.retry("nothing", "ada").await.unwrap_err().code(), "RUN0014");
        run.retry("once", "ada").await.unwrap();
        assert_eq!(run.wait().await.unwrap().state, RunState::Completed);
    });
}

#[test]
fn failed_runs_are_run_again_from_where_they_failed() {
    static FIRST: AtomicU32 = AtomicU32::new(0);
    const COUNTS: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            let n = FIRST.fetch_add(1, Ordering::SeqCst);
            context.insert("first", json!(n))?;
            Ok(())
        })
    });
    const NEEDS: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            context.get("ok").map(|_| ()).ok_or(TaskError::ValidationFailed { message: "not ok".to_owned() })
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let shape =
        Shape::new("again").task("first", &[], COUNTS).task("needs", &["first"], NEEDS).task("last", &["needs"], SEES);
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape, Shape::new("bad").task("bad", &[], FAILS)]).await;
        let failed = engine.scheduler().schedule_workflow("again", nothing()).await.unwrap();
        assert_eq!(failed.wait().await.unwrap().state, RunState::Failed);
        assert_eq!(engine.dead_letters().await.unwrap()[0].id, failed.id());

        let again = failed.rerun_failed(Some(input(json!({"ok": true}))), "ada").await.unwrap();
        let report = again.wait().await.unwrap();
        assert_eq!((report.state, FIRST.load(Ordering::SeqCst)), (RunState::Completed, 1));
        assert_eq!(report.context.get("last_saw"), Some(&json!(["first", "ok"])));
        let events = again.events().await.unwrap();
        assert_eq!((events[1].kind, &events[1].details["from"]), ("run_derived", &json!(failed.id().to_string())));
        let stored = engine.run(again.id()).await.unwrap().report().await.unwrap();
        assert_eq!(stored.context.get("last_saw"), report.context.get("last_saw"));
        assert_eq!(again.rerun_failed(None, "ada").await.unwrap_err().code(), "RUN0012", "nothing failed");

        let fork = again.fork("last", Some(input(json!({"more": 1}))), "ada").await.unwrap();
        let report = fork.wait().await.unwrap();
        assert_eq!(report.context.get("last_saw"), Some(&json!(["first", "more"])));
        assert_eq!(FIRST.load(Ordering::SeqCst), 1);

        let whole = failed.rerun(None, "ada").await.unwrap();
        assert_eq!(whole.wait().await.unwrap().state, RunState::Failed);
        assert_eq!(FIRST.load(Ordering::SeqCst), 2);

        let dead = RunFilter { states: vec![RunState::Failed], ..RunFilter::default() };
        let answers = engine.control_all(&dead, Request::Dismiss, "ada").await.unwrap();
        assert!(answers.len() == 2 && answers.iter().all(|(_, answer)| answer.is_ok()));
        assert!(engine.dead_letters().await.unwrap().is_empty());
        let refused = again.dismiss("ada").await.unwrap_err();
        assert!(matches!(refused, Error::Illegal { request: Request::Dismiss, state: RunState::Completed, .. }));
    });
}

#[test]
fn what_waits_says_why() {
    gated!(shape, PERMITS, ENTERED);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let database = folder.path().join("runs.db");
        let builder = crate::Engine::builder().database(database.to_str().unwrap()).slots(1);
        let shape = shape().task("third", &["second"], NAME).with(|task| {
            task.trigger_rules = Some(cloacina_workflow::descriptor::Rule::TaskFailed("second".to_owned()));
        });
        let builder = builder.workflow(super::fixture::workflow(shape.task("free", &[], NAME)));
        let engine = builder.start().await.unwrap();
        let run = engine.scheduler().schedule_workflow("gated", nothing()).await.unwrap();
        ENTERED.acquire().await.unwrap().forget();
        let why = run.why().await.unwrap();
        let gates: Vec<_> = why.iter().map(|waiting| (waiting.task.as_str(), waiting.gates.as_slice())).collect();
        let dependency = |task: &str, state| Gate::Dependency { task: task.to_owned(), state };
        let rule = Gate::TriggerRule {
            rule: "task_failed(\"second\")".to_owned(),
            tasks: vec![GateTask { task: "second".to_owned(), state: TaskState::Pending }],
            keys: Vec::new(),
            early: false,
        };
        let held_by = vec![GateHolder { run: run.id(), task: "first".to_owned() }];
        assert_eq!(
            gates,
            [
                ("second", &[dependency("first", TaskState::Running)][..]),
                ("third", &[dependency("second", TaskState::Pending), rule]),
                ("free", &[Gate::Slot { running: 1, slots: 1, held_by }]),
            ]
        );
        PERMITS.add_permits(1);
        assert_eq!(run.wait().await.unwrap().state, RunState::Completed);
        assert!(run.why().await.unwrap().is_empty());
    });
}
