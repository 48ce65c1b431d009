//! Retries, time limits, trigger rules and callbacks in a whole engine on a real file.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};

use cloacina_workflow::{
    Function, TaskError,
    descriptor::{Backoff, Operator, RetryCondition, Rule},
};
use serde_json::json;

use super::fixture::{FAILS, NAME, SEES, Shape, engine, input, nothing, runtime, workflow};
use crate::{AttemptOutcome, Engine, RunState, Skipped, TaskState};

/// Fails until its third attempt.
const THIRD: Function = Function::AsyncTask(|context| {
    Box::pin(async move {
        match context.attempt() {
            1 => Err(TaskError::transient("first")),
            2 => panic!("second"),
            _ => {
                context.insert("third", json!([context.idempotency_key(), context.attempt_key()]))?;
                Ok(())
            }
        }
    })
});

/// Never ends by itself, but can be dropped.
const ENDLESS: Function = Function::AsyncTask(|_| Box::pin(std::future::pending()));

fn quick(task: &mut cloacina_workflow::descriptor::Task) {
    task.retry.attempts = 3;
    task.retry.delay_ms = 1;
    task.retry.backoff = Backoff::Fixed;
}

#[test]
fn failed_attempts_are_retried_as_declared() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("retries").task("third", &[], THIRD).with(quick).task("after", &["third"], SEES);
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("retries", nothing()).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!((report.state, report.tasks[0].attempt), (RunState::Completed, Some(3)));
        assert_eq!((report.tasks[0].outcome, &report.tasks[0].error), (Some(AttemptOutcome::Ok), &None));
        assert_eq!(report.context.get("after_saw"), Some(&json!(["third"])));
        let keys = json!([format!("{}/third", run.id()), format!("{}/third/3", run.id())]);
        assert_eq!(report.context.get("third"), Some(&keys));
        let ended: Vec<_> = run.events().await.unwrap();
        let reasons: Vec<_> = ended.iter().filter(|event| event.kind == "attempt_failed").collect();
        assert_eq!(reasons.iter().map(|event| event.attempt.unwrap()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!([&reasons[0].details["reason"], &reasons[1].details["reason"]], ["attempt", "panicked"]);
        let stored = engine.run(run.id()).await.unwrap().report().await.unwrap();
        assert_eq!(format!("{:?}", stored.tasks), format!("{:?}", report.tasks));
    });
}

#[test]
fn what_is_not_to_be_retried_is_not() {
    let folder = tempfile::tempdir().unwrap();
    const PLAIN: Function = Function::AsyncTask(|_| {
        Box::pin(async {
            Err(TaskError::Custom {
                kind: "odd".to_owned(),
                message: "went wrong".to_owned(),
                details: json!(null),
                retryable: true,
            })
        })
    });
    let shape = Shape::new("conditions")
        .task("final", &[], FAILS)
        .with(quick)
        .task("never", &[], PLAIN)
        .with(|task| {
            quick(task);
            task.retry.condition = RetryCondition::Never;
        })
        .task("transient", &[], PLAIN)
        .with(|task| {
            quick(task);
            task.retry.condition = RetryCondition::Transient;
        })
        .task("pattern", &[], PLAIN)
        .with(|task| {
            quick(task);
            task.retry.condition = RetryCondition::Patterns(vec!["wrong".to_owned()]);
        })
        .task("exhausted", &[], PLAIN)
        .with(quick);
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("conditions", nothing()).await.unwrap();
        let report = run.wait().await.unwrap();
        let attempts: Vec<_> = report.tasks.iter().map(|task| (task.id.as_str(), task.attempt.unwrap())).collect();
        assert_eq!(attempts, [("final", 1), ("never", 1), ("transient", 1), ("pattern", 4), ("exhausted", 4)]);
        assert!(report.tasks.iter().all(|task| task.outcome == Some(AttemptOutcome::Failed)));
    });
}

#[test]
fn a_waiting_task_survives_a_restart_and_keeps_its_count() {
    let folder = tempfile::tempdir().unwrap();
    let shape = || {
        Shape::new("waits").task("third", &[], THIRD).with(|task| {
            quick(task);
            task.retry.jitter = false;
            task.retry.delay_ms = 400;
        })
    };
    runtime().block_on(async {
        let first = engine(&folder, vec![shape()]).await;
        let run = first.scheduler().schedule_workflow("waits", nothing()).await.unwrap();
        let mut notices = first.subscribe();
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, crate::NoticeKind::Retrying { .. }) {
                break;
            }
        }
        let waiting = run.why().await.unwrap();
        assert_eq!(waiting[0].state, TaskState::Waiting);
        assert!(matches!(waiting[0].gates.as_slice(), [crate::Gate::RetryAt { .. }]), "{waiting:?}");
        first.shutdown().await.unwrap();
        let second = engine(&folder, vec![shape()]).await;
        let report = second.run(run.id()).await.unwrap().wait().await.unwrap();
        assert_eq!((report.state, report.tasks[0].attempt), (RunState::Completed, Some(3)));
        let events = second.run(run.id()).await.unwrap().events().await.unwrap();
        assert!(events.iter().all(|event| event.kind != "attempt_interrupted"));
    });
}

#[test]
fn attempts_end_at_their_limit() {
    static DEADLINE: AtomicUsize = AtomicUsize::new(0);
    const WAITS: Function = Function::AsyncTask(|context| {
        Box::pin(async move {
            DEADLINE.fetch_add(usize::from(context.deadline().is_some()), Ordering::SeqCst);
            std::future::pending().await
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("slow").task("waits", &[], WAITS).with(|task| {
        quick(task);
        task.retry.attempts = 1;
        task.timeout_ms = Some(30);
    });
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("slow", nothing()).await.unwrap();
        let report = run.wait().await.unwrap();
        let task = &report.tasks[0];
        assert_eq!(
            (task.state, task.attempt, task.outcome),
            (TaskState::Failed, Some(2), Some(AttemptOutcome::TimedOut))
        );
        let error = task.error.as_ref().unwrap();
        assert_eq!((error.kind(), error.message().as_str()), ("timed_out", "it took longer than 30 ms"));
        assert_eq!(DEADLINE.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn an_attempt_that_ignores_its_limit_is_given_up_and_fenced() {
    static RELEASE: std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>> = std::sync::Mutex::new(None);
    const STUCK: Function = Function::Task(|context| {
        let release = RELEASE.lock().unwrap().take().unwrap();
        release.recv().ok();
        assert!(context.is_cancelled());
        context.insert("late", json!(true))?;
        Ok(())
    });
    let (free, release) = std::sync::mpsc::channel();
    *RELEASE.lock().unwrap() = Some(release);
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("stuck")
        .task("stuck", &[], STUCK)
        .with(|task| task.timeout_ms = Some(20))
        .task("other", &[], ENDLESS)
        .with(|task| task.timeout_ms = Some(2_000));
    runtime().block_on(async {
        let database = folder.path().join("runs.db");
        let builder = Engine::builder().database(database.to_str().unwrap()).stop_grace(Duration::from_millis(20));
        let engine = builder.workflow(workflow(shape)).start().await.unwrap();
        let mut notices = engine.subscribe();
        let run = engine.scheduler().schedule_workflow("stuck", nothing()).await.unwrap();
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, crate::NoticeKind::Failed { .. }) {
                break;
            }
        }
        let report = run.report().await.unwrap();
        assert_eq!(
            (report.tasks[0].state, report.tasks[0].outcome),
            (TaskState::Failed, Some(AttemptOutcome::TimedOut))
        );
        assert!(report.tasks[0].error.as_ref().unwrap().message().ends_with("was abandoned"));
        free.send(()).unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.context.get("late"), None);
        let events = run.events().await.unwrap();
        assert!(events.iter().any(|event| event.kind == "attempt_fenced"), "{events:?}");
    });
}

#[test]
fn a_run_ends_at_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("limited").task("endless", &[], ENDLESS).task("after", &["endless"], NAME);
    let shape = Shape { timeout_ms: Some(40), ..shape };
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("limited", nothing()).await.unwrap();
        let report = run.wait().await.unwrap();
        let states: Vec<_> = report.tasks.iter().map(|task| task.state).collect();
        assert_eq!((report.state, states), (RunState::Failed, vec![TaskState::Failed, TaskState::Cancelled]));
        assert_eq!(report.tasks[0].outcome, Some(AttemptOutcome::TimedOut));
        let stored = engine.run(run.id()).await.unwrap().report().await.unwrap();
        assert_eq!(format!("{:?}", stored.tasks), format!("{:?}", report.tasks));
    });
}

#[test]
fn trigger_rules_decide_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    fn rule(task: &mut cloacina_workflow::descriptor::Task, rule: Rule) {
        task.trigger_rules = Some(rule);
    }
    let shape = Shape::new("rules")
        .task("good", &[], NAME)
        .task("bad", &[], FAILS)
        .with(|task| task.optional = true)
        .task("always", &["bad"], NAME)
        .with(|task| rule(task, Rule::Always))
        .task("cleanup", &["bad"], NAME)
        .with(|task| rule(task, Rule::TaskFailed("bad".to_owned())))
        .task("not", &["bad"], NAME)
        .with(|task| rule(task, Rule::None(vec![Rule::TaskFailed("bad".to_owned())])))
        .task("after_not", &["not"], NAME)
        .with(|task| rule(task, Rule::Any(vec![Rule::TaskSkipped("not".to_owned())])))
        .task("flag", &["good"], NAME)
        .with(|task| {
            let value = |key: &str, op, value| Rule::ContextValue { key: key.to_owned(), op, value };
            rule(
                task,
                Rule::All(vec![
                    value("n", Operator::GreaterThan, Some(json!(4))),
                    value("good", Operator::Equals, Some(json!(true))),
                    value("none", Operator::NotExists, None),
                ]),
            );
        })
        .task("no_flag", &["good"], NAME)
        .with(|task| rule(task, Rule::ContextValue { key: "none".to_owned(), op: Operator::Exists, value: None }))
        .task("after_bad", &["bad"], NAME)
        .task("alarm", &["after_bad"], NAME)
        .with(|task| rule(task, Rule::TaskUpstreamFailed("after_bad".to_owned())))
        .task("after_no_flag", &["no_flag"], NAME)
        .task("calm", &["after_no_flag"], NAME)
        .with(|task| rule(task, Rule::None(vec![Rule::TaskUpstreamFailed("after_no_flag".to_owned())])));
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("rules", input(json!({"n": 5}))).await.unwrap();
        let report = run.wait().await.unwrap();
        let ran: Vec<_> = report.tasks.iter().filter(|task| task.state == TaskState::Completed).collect();
        let ran: Vec<_> = ran.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ran, ["good", "always", "cleanup", "after_not", "flag", "alarm", "calm"]);
        let skipped = |task| report.task(task).unwrap().skipped.clone().unwrap();
        let failed = Skipped::UpstreamFailed { dependency: "bad".to_owned() };
        assert_eq!([skipped("not"), skipped("after_bad")], [failed.clone(), failed]);
        assert_eq!(skipped("no_flag"), Skipped::RuleNotMet);
        assert_eq!(skipped("after_no_flag"), Skipped::UpstreamSkipped { dependency: "no_flag".to_owned() });
        let reasons = run.events().await.unwrap().into_iter().filter(|event| event.kind == "task_skipped");
        let reasons = reasons.map(|event| (event.task.unwrap(), event.details)).collect::<BTreeMap<_, _>>();
        assert_eq!(reasons["not"], json!({"reason": "upstream_failed", "dependency": "bad"}));
        assert_eq!(reasons["no_flag"], json!({"reason": "rule_not_met"}));
        assert_eq!(reasons["after_no_flag"], json!({"reason": "upstream_skipped", "dependency": "no_flag"}));
        assert_eq!(report.state, RunState::PartiallyCompleted);
        let stored = engine.run(run.id()).await.unwrap().report().await.unwrap();
        assert_eq!(format!("{:?}", stored.tasks), format!("{:?}", report.tasks));
    });
}

#[test]
fn callbacks_are_told_the_outcome_and_change_nothing() {
    static SUCCESSES: AtomicU32 = AtomicU32::new(0);
    static FAILURES: AtomicU32 = AtomicU32::new(0);
    const SUCCESS: Function = Function::AsyncCallback(|outcome, context| {
        Box::pin(async move {
            assert!(outcome.is_success() && context.get("good").is_some());
            SUCCESSES.fetch_add(1, Ordering::SeqCst);
            Err(TaskError::permanent("nobody minds"))
        })
    });
    const FAILURE: Function = Function::Callback(|outcome, context| {
        assert_eq!((outcome.task.as_str(), outcome.attempt), ("bad", 1));
        assert_eq!(outcome.error.as_ref().map(TaskError::kind), Some("validation_failed"));
        assert!(context.get("n").is_some());
        FAILURES.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new("callbacks")
        .callback(SUCCESS)
        .callback(FAILURE)
        .task("good", &[], NAME)
        .with(|task| task.on_success = Some(1000))
        .task("bad", &["good"], FAILS)
        .with(|task| {
            task.optional = true;
            task.on_success = Some(1000);
            task.on_failure = Some(1001);
        })
        .task("skipped", &["bad"], NAME)
        .with(|task| task.on_failure = Some(1001));
    runtime().block_on(async {
        let engine = engine(&folder, vec![shape]).await;
        let run = engine.scheduler().schedule_workflow("callbacks", input(json!({"n": 5}))).await.unwrap();
        assert_eq!(run.wait().await.unwrap().state, RunState::PartiallyCompleted);
        assert_eq!((SUCCESSES.load(Ordering::SeqCst), FAILURES.load(Ordering::SeqCst)), (1, 1));
        let events = run.events().await.unwrap();
        let told: Vec<_> = events.iter().filter(|event| event.kind.starts_with("callback")).collect();
        let told: Vec<_> = told.iter().map(|event| (event.kind, event.task.as_deref().unwrap())).collect();
        assert_eq!(told, [("callback_failed", "good"), ("callback_completed", "bad")]);
    });
}

#[test]
fn a_callback_that_an_engine_did_not_finish_is_called_by_the_next() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static CALLED: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);
    const HANGS_ONCE: Function = Function::AsyncCallback(|_, _| {
        Box::pin(async {
            CALLED.add_permits(1);
            if CALLS.fetch_add(1, Ordering::SeqCst) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let shape =
        || Shape::new("hangs").callback(HANGS_ONCE).task("t", &[], NAME).with(|task| task.on_success = Some(1000));
    runtime().block_on(async {
        let first = engine(&folder, vec![shape()]).await;
        let run = first.scheduler().schedule_workflow("hangs", nothing()).await.unwrap();
        CALLED.acquire().await.unwrap().forget();
        assert_eq!(run.state().await.unwrap(), RunState::Running);
        drop(first);
        let second = engine(&folder, vec![shape()]).await;
        let report = second.run(run.id()).await.unwrap().wait().await.unwrap();
        assert_eq!((report.state, CALLS.load(Ordering::SeqCst)), (RunState::Completed, 2));
    });
}
