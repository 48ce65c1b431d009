//! What is shown, as JSON: it comes back as it was, and follows the rules.

use std::{collections::BTreeMap, time::Duration};

use cloacina_packager::Digest;
use cloacina_workflow::{Context, TaskError, Timestamp, Value};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    AttemptOutcome, Gate, GateHolder, GateTask, RunEvent, RunReport, RunStatus, RunSummary, Skipped, TaskReport,
};
use crate::{
    core::{run, task::State},
    id::RunId,
};

fn at() -> Timestamp {
    Timestamp::from_unix_micros(1_700_000_000_000_001)
}

fn again<T: Serialize + DeserializeOwned + std::fmt::Debug>(value: &T) -> Value {
    let text = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("{read:?}"), format!("{value:?}"));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!(!has_null(&json), "{text}");
    json
}

fn has_null(json: &Value) -> bool {
    match json {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn status() -> RunStatus {
    RunStatus {
        id: RunId::new(at()),
        workflow: "public::shop::order".to_owned(),
        tenant: "public".to_owned(),
        digest: Some(Digest::of(b"shop")),
        state: run::State::Running,
        completed_tasks: Some(1),
        total_tasks: 2,
        created_at: at(),
        started_at: Some(at()),
        finished_at: None,
        context_removed_at: None,
        history_removed_at: None,
    }
}

fn task(skipped: Option<Skipped>, error: Option<TaskError>, gates: Vec<Gate>) -> TaskReport {
    TaskReport {
        id: "charge".to_owned(),
        is_leaf: true,
        state: State::Waiting,
        attempt: Some(2),
        started_at: None,
        finished_at: None,
        retry_at: Some(at()),
        outcome: Some(AttemptOutcome::TimedOut),
        error,
        skipped,
        set: BTreeMap::from([("total".to_owned(), json!(u64::MAX))]),
        unset: ["draft".to_owned()].into(),
        gates,
    }
}

fn gates() -> Vec<Gate> {
    let (pid, host) = (Some(7), Some("here".to_owned()));
    let reason = || "because".to_owned();
    vec![
        Gate::RunPending,
        Gate::RunDelayed { until: at() },
        Gate::RunPaused { by: "ada".to_owned() },
        Gate::RunClosing,
        Gate::RetryAt { at: at() },
        Gate::TriggerRule {
            rule: "task_failed(\"a\")".to_owned(),
            tasks: vec![GateTask { task: "a".to_owned(), state: State::Running }],
            keys: Vec::new(),
            early: true,
        },
        Gate::Dependency { task: "a".to_owned(), state: State::Ready },
        Gate::Slot { running: 1, slots: 1, held_by: vec![GateHolder { run: RunId::new(at()), task: "a".to_owned() }] },
        Gate::Quarantined { reason: reason(), until: None },
        Gate::Withheld { reason: reason() },
        Gate::PackageMissing { workflow: "public::shop::order".to_owned() },
        Gate::StoreRefused { reason: reason(), until: at() },
        Gate::HistoryUnread { reason: reason(), until: at() },
        Gate::Owner { pid, host: host.clone(), lease_until: Some(at()) },
        Gate::OwnerDead { pid: None, host, lease_until: None },
        Gate::NoEngine,
    ]
}

#[test]
fn a_report_comes_back_as_it_was() {
    let skips = [
        None,
        Some(Skipped::UpstreamFailed { dependency: "a".to_owned() }),
        Some(Skipped::UpstreamSkipped { dependency: "a".to_owned() }),
        Some(Skipped::RuleNotMet),
    ];
    let errors = [
        None,
        Some(TaskError::transient("again")),
        Some(TaskError::Transient { message: "later".to_owned(), retry_after: Some(Duration::from_millis(5)) }),
    ];
    let mut tasks: Vec<TaskReport> = skips.into_iter().map(|skipped| task(skipped, None, gates())).collect();
    tasks.extend(errors.into_iter().map(|error| task(None, error, Vec::new())));
    let report = RunReport {
        status: status(),
        tasks,
        context: Context::from_object(json!({"total": 1.5, "list": [1]})).unwrap(),
        producers: BTreeMap::from([("total".to_owned(), "charge".to_owned())]),
    };
    let json = again(&report);
    assert_eq!((&json["run"], &json["state"]), (&json!(report.id.to_string()), &json!("running")));
    assert_eq!(json["created_at"], json!(at().to_string()));
    let [unskipped, failed, ..] = json["tasks"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert!(unskipped.get("skipped").is_none());
    assert_eq!((&failed["skipped"], &failed["skipped_because_of"]), (&json!("upstream_failed"), &json!("a")));
}

#[test]
fn an_event_comes_back_as_it_was() {
    let event = RunEvent {
        sequence: 3,
        at: at(),
        kind: "task_completed",
        task: Some("charge".to_owned()),
        attempt: Some(1),
        digest: Some(Digest::of(b"shop")),
        details: json!({"set": {"a": 1}}),
        cpu: Some(Duration::from_micros(1_500)),
        peak_bytes: None,
    };
    assert_eq!(again(&event)["cpu_us"], json!(1_500));
    let bare = RunEvent { details: Value::Null, cpu: None, task: None, attempt: None, digest: None, ..event };
    assert!(again(&bare).get("details").is_none());
    assert!(serde_json::from_value::<RunEvent>(json!({"sequence": 0, "at": at(), "kind": "exploded"})).is_err());
}

#[test]
fn a_summary_takes_from_the_database_what_the_engine_does_not_know() {
    let report = RunReport {
        status: RunStatus { state: run::State::Completed, finished_at: Some(at()), ..status() },
        tasks: Vec::new(),
        context: Context::default(),
        producers: BTreeMap::new(),
    };
    let stored = RunSummary {
        status: RunStatus { context_removed_at: Some(at()), ..status() },
        driven: Some(true),
        created_by: Some("ada".to_owned()),
        dismissed_by: None,
    };
    let summary = report.summary(Some(stored));
    assert_eq!((summary.status.state, summary.driven), (run::State::Completed, None));
    assert_eq!((summary.created_by.as_deref(), summary.status.context_removed_at), (Some("ada"), Some(at())));
    assert_eq!(report.summary(None).driven, None);
}
