//! The whole engine on a real file: what users can rely on, through the public handles.
//!
//! Tasks are functions without captures, so what a test shares with its tasks is a `static` of its own.

use std::{
    collections::BTreeSet,
    sync::{
        Barrier, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use cloacina_workflow::{Function, TaskError, descriptor::Durability};
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};

use super::fixture::{
    BLOCKING_NAME, FAILS, NAME, SEES, SHARED, Shape, engine, input, n_threads, nothing, runtime, workflow,
};
use crate::{Engine, Error, NoticeKind, RunState, Skipped, TaskState, store::JobResult};

#[test]
fn a_diamond_joins_after_both_sides_and_passes_data_on() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = engine(&folder, vec![Shape::diamond()]).await;
        let run = engine.scheduler().schedule_workflow("diamond", input(json!({"seed": 1}))).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.state, RunState::Completed);
        assert_eq!(report.n_completed(), 4);
        assert_eq!(report.context.get("join_saw"), Some(&json!(["left", "right", "seed", "top"])));
        assert_eq!(report.producers["left"], "left");
        assert_eq!(report.context.get("seed"), Some(&json!(1)));
        assert_eq!(report.task("right").unwrap().set["right"], json!(true));
        let kinds: Vec<&str> = run.events().await.unwrap().iter().map(|event| event.kind).collect();
        assert_eq!(kinds[..2], ["run_created", "run_started"]);
        assert_eq!(kinds.iter().filter(|kind| **kind == "task_completed").count(), 4);
        assert_eq!(kinds.last(), Some(&"run_finished"));
        engine.shutdown().await.unwrap();
        assert_eq!(run.tasks().await.unwrap().len(), 4, "what the handle knows stays known");
    });
}

#[test]
fn dependents_of_a_failed_task_are_skipped_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("partly")
        .task("fails", &[], FAILS)
        .task("after", &["fails"], NAME)
        .task("later", &["after", "other"], NAME)
        .task("other", &[], NAME);
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("partly", nothing()).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.state, RunState::Failed);
        let states: Vec<_> = report.tasks.iter().map(|task| (task.id.as_str(), task.state)).collect();
        assert_eq!(
            states,
            [
                ("fails", TaskState::Failed),
                ("after", TaskState::Skipped),
                ("later", TaskState::Skipped),
                ("other", TaskState::Completed),
            ]
        );
        let planned = TaskError::ValidationFailed { message: "as planned".to_owned() };
        assert_eq!(report.tasks[0].error, Some(planned));
        let dependency = "after".to_owned();
        assert_eq!(report.tasks[2].skipped, Some(Skipped::UpstreamFailed { dependency }));

        // What the store has is the same as what was in memory.
        let stored = engine.run(run.id()).await.unwrap().report().await.unwrap();
        assert_eq!(stored.state, report.state);
        for (stored, live) in stored.tasks.iter().zip(&report.tasks) {
            assert_eq!(format!("{stored:?}"), format!("{live:?}"));
        }
        let event = run.events().await.unwrap().into_iter().find(|event| event.kind == "task_skipped").unwrap();
        assert_eq!(event.details["reason"], json!("upstream_failed"));
    });
}

#[test]
fn only_optional_failures_leave_a_run_partially_completed() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("lenient")
        .task("fails", &[], FAILS)
        .with(|task| task.optional = true)
        .task("after", &["fails"], NAME)
        .task("other", &[], NAME);
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("lenient", nothing()).await.unwrap();
        assert_eq!(run.wait().await.unwrap().state, RunState::PartiallyCompleted);
    });
}

#[test]
fn panics_are_failures_with_message_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("panics")
        .task("async", &[], Function::AsyncTask(|_| Box::pin(async { panic!("in a future") })))
        .task("blocking", &[], Function::Task(|_| panic!("in a function")));
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("panics", nothing()).await.unwrap();
        let report = run.wait().await.unwrap();
        for (task, expected) in report.tasks.iter().zip(["in a future", "in a function"]) {
            let Some(TaskError::Panicked { message, location: Some(location) }) = &task.error else {
                panic!("{:?}", task.error)
            };
            assert_eq!(message, expected);
            assert!(location.contains("tests/run.rs:"), "{location}");
        }
    });
}

#[test]
fn a_conflict_is_recorded_with_both_tasks_and_the_later_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("conflict").task("first", &[], SHARED).task("second", &[], SHARED).task(
        "sees",
        &["first", "second"],
        SEES,
    );
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("conflict", nothing()).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.context.get("shared"), Some(&json!("second")));
        let events = run.events().await.unwrap();
        let conflicts: Vec<_> = events.iter().filter(|event| event.kind == "context_conflict").collect();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].details, json!({"key": "shared", "winner": "second", "loser": "first"}));
    });
}

#[test]
fn hidden_values_and_removals_are_seen_downstream() {
    const LOOKS: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            let hidden = context.from_task("first").get("shared").cloned();
            let seen =
                json!({ "hidden": hidden, "shared": context.get("shared"), "gone": context.contains_key("gone") });
            context.insert("looked", seen)?;
            Ok(())
        })
    });
    const REMOVES: Function = Function::Task(|context| {
        context.remove("gone");
        context.set("shared", json!("second"));
        Ok(())
    });
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("hidden").task("first", &[], SHARED).task("second", &["first"], REMOVES).task(
        "looks",
        &["second"],
        LOOKS,
    );
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("hidden", input(json!({"gone": 1, "kept": 2}))).await.unwrap();
        let report = run.wait().await.unwrap();
        let expected = json!({ "hidden": "first", "shared": "second", "gone": false });
        assert_eq!(report.context.get("looked"), Some(&expected));
        let keys: Vec<&str> = report.context.keys().collect();
        assert_eq!(keys, ["kept", "looked", "shared"]);
        assert_eq!(report.task("second").unwrap().unset, BTreeSet::from(["gone".to_owned()]));
    });
}

#[test]
fn a_thousand_runs_at_once_each_have_their_own_data() {
    const DOUBLES: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            let number: u64 = context.get_as("number")?;
            context.set("number", json!(number * 2));
            Ok(())
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("double").task("once", &[], DOUBLES).task("twice", &["once"], DOUBLES);
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let mut runs = tokio::task::JoinSet::new();
        for number in 0..1000_u64 {
            let scheduler = engine.scheduler();
            runs.spawn(async move {
                let run = scheduler.schedule_workflow("double", input(json!({ "number": number }))).await.unwrap();
                let report = run.wait().await.unwrap();
                assert_eq!(report.context.get("number"), Some(&json!(number * 4)));
            });
        }
        while let Some(joined) = runs.join_next().await {
            joined.unwrap();
        }
        assert_eq!(engine.runs(None).await.unwrap().len(), 1000);
    });
}

#[test]
fn no_more_attempts_run_than_there_are_slots() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    const COUNTS: Function = Function::AsyncTask(|_| {
        Box::pin(async {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let shape = (0..40).fold(Shape::new("wide"), |shape, task| shape.task(&format!("t{task}"), &[], COUNTS));
    runtime().block_on(async {
        let database = folder.path().join("runs.db").to_str().unwrap().to_owned();
        let engine = Engine::builder().database(database).workflow(workflow(shape)).slots(3).start().await.unwrap();
        let run = engine.scheduler().schedule_workflow("wide", nothing()).await.unwrap();
        assert_eq!(run.wait().await.unwrap().n_completed(), 40);
        assert!((1..=3).contains(&MOST.load(Ordering::SeqCst)));
    });
}

#[test]
fn subscribers_are_told_live() {
    const TALKS: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            context.log(cloacina_workflow::Level::Info, "hello");
            context.heartbeat(500, "half way");
            Ok(())
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let shape =
        Shape::new("talk").task("talks", &[], TALKS).task("fails", &["talks"], FAILS).task("not", &["fails"], NAME);
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let mut notices = engine.subscribe();
        let run = engine.scheduler().schedule_workflow("talk", nothing()).await.unwrap();
        let mut told = Vec::new();
        while let Some(notice) = notices.next().await {
            assert_eq!(notice.run, run.id());
            let task = notice.task.as_deref().unwrap_or("run");
            let what = match notice.kind {
                NoticeKind::RunStarted => "started".to_owned(),
                NoticeKind::Started => format!("starts {}", notice.attempt),
                NoticeKind::Completed => "completed".to_owned(),
                NoticeKind::Failed { error } => format!("failed: {}", error.message()),
                NoticeKind::Skipped { because_of } => format!("skipped because of {because_of}"),
                NoticeKind::Log { level, message, .. } => format!("{level} {message}"),
                NoticeKind::Heartbeat { permille, note } => format!("{permille} {note}"),
                NoticeKind::RunFinished { state } => state.to_string(),
                other => format!("{other:?}"),
            };
            told.push(format!("{task} {what}"));
            if told.last().is_some_and(|last| last == "run failed") {
                break;
            }
        }
        assert_eq!(
            told,
            [
                "run started",
                "talks starts 1",
                "talks info hello",
                "talks 500 half way",
                "talks completed",
                "fails starts 1",
                "fails failed: as planned",
                "not skipped because of fails",
                "run failed",
            ]
        );
        assert_eq!(notices.n_dropped(), 0);
        engine.shutdown().await.unwrap();
        drop(engine);
        assert!(notices.next().await.is_none());
    });
}

#[test]
fn names_that_find_nothing_help() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = engine(&folder, vec![Shape::diamond()]).await;
        let error = engine.scheduler().schedule_workflow("diamnod", nothing()).await.unwrap_err();
        assert_eq!((error.code(), error.hints()), ("RUN0001", vec!["did you mean diamond?".to_owned()]));
        assert_eq!(engine.workflows(), ["diamond"]);

        let unknown = "0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e".parse().unwrap();
        let error = engine.run(unknown).await.unwrap_err();
        assert_eq!(error.code(), "RUN0004");

        // The same again is welcome, another one is not.
        engine.register(workflow(Shape::diamond())).await.unwrap();
        let other = Shape { fingerprint: "another", ..Shape::diamond() };
        let error = engine.register(workflow(other)).await.unwrap_err();
        assert!(matches!(error, Error::NameTaken { name } if name == "diamond"));
    });
}

#[test]
fn a_second_engine_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let first = engine(&folder, vec![]).await;
        let database = first.database().to_owned();
        let error = Engine::builder().database(&database).start().await.unwrap_err();
        assert_eq!(error.code(), "STO0001");
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(first);
        Engine::builder().database(&database).start().await.unwrap();
    });
}

#[test]
fn engines_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let start = || engine(&folder, vec![Shape::diamond()]);
        drop(start().await);
        let before = n_threads();
        for round in 0..50 {
            let engine = start().await;
            let run = engine.scheduler().schedule_workflow("diamond", nothing()).await.unwrap();
            if round % 2 == 0 {
                run.wait().await.unwrap();
                engine.shutdown().await.unwrap();
            }
        }
        // Tests run side by side, so the others' threads come and go; 50 engines would leave hundreds.
        let after = n_threads();
        assert!(after < before + 50, "{before} threads before, {after} after");
    });
}

#[test]
fn a_blocking_task_may_block_while_others_run() {
    static MET: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(8));
    const MEETS: Function = Function::Task(|_| {
        MET.wait();
        Ok(())
    });
    let folder = tempfile::tempdir().unwrap();
    let shape = (0..8).fold(Shape::new("meet"), |shape, task| shape.task(&format!("t{task}"), &[], MEETS));
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape.task("async", &[], NAME).task("sync", &[], BLOCKING_NAME)]).await;
        let run = engine.scheduler().schedule_workflow("meet", nothing()).await.unwrap();
        assert_eq!(run.wait().await.unwrap().n_completed(), 10);
    });
}

#[test]
fn dependents_of_a_pipelined_workflow_start_before_anything_is_durable() {
    static FIRST_MAY_END: Semaphore = Semaphore::const_new(0);
    static SECOND_RUNS: Semaphore = Semaphore::const_new(0);
    const FIRST: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            FIRST_MAY_END.acquire().await.map_err(|_| TaskError::permanent("closed"))?.forget();
            context.insert("first", json!(1))?;
            Ok(())
        })
    });
    const SECOND: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            SECOND_RUNS.add_permits(1);
            context.insert("second", json!(context.get_as::<u64>("first")? + 1))?;
            Ok(())
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let mut shape = Shape::new("pipelined").task("first", &[], FIRST).task("second", &["first"], SECOND);
    shape.durability = Durability::Pipelined;
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("pipelined", nothing()).await.unwrap();
        // The writer does nothing else while it is in here.
        let (entered, is_entered) = oneshot::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let (mut entered, store) = (Some(entered), engine.shared.store().clone());
        let holding = std::thread::spawn(move || {
            let hold = move |_: &mut _| {
                entered.take().unwrap().send(()).unwrap();
                may_leave.recv().unwrap();
                JobResult::Ok(())
            };
            store.write_blocking("waiting", hold).unwrap();
        });
        is_entered.await.unwrap();
        FIRST_MAY_END.add_permits(1);
        SECOND_RUNS.acquire().await.unwrap().forget();
        let kinds: Vec<&str> = run.events().await.unwrap().iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["run_created", "run_started"], "nothing of it is in the database");
        leave.send(()).unwrap();
        holding.join().unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!((report.state, report.context.get("second")), (RunState::Completed, Some(&json!(2))));
        let tasks: Vec<String> = run.events().await.unwrap().into_iter().filter_map(|event| event.task).collect();
        assert_eq!(tasks, ["first", "second"], "what happened is recorded in its order");
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn listeners_are_told_that_the_engine_has_shut_down() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = engine(&folder, vec![Shape::diamond()]).await;
        let mut notices = engine.subscribe();
        let run = engine.scheduler().schedule_workflow("diamond", nothing()).await.unwrap();
        run.wait().await.unwrap();
        engine.shutdown().await.unwrap();
        let mut kinds = Vec::new();
        while let Some(notice) = notices.next().await {
            kinds.push(notice.kind);
        }
        assert!(matches!(kinds.last(), Some(NoticeKind::RunFinished { state: RunState::Completed })), "{kinds:?}");
        assert!(notices.next().await.is_none());
        assert!(engine.subscribe().next().await.is_none(), "a later subscriber is told at once");
    });
}
