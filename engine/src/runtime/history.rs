//! Between decisions and the rows of a run's history, both ways. What is written here is read here, and nowhere else.
//!
//! | kind | payload |
//! |---|---|
//! | `run_created` | the input: `{"key": value}` |
//! | `run_finished` | `{"state": "completed"}` |
//! | `task_completed` | `{"set": {}, "unset": []}`, absent if both are empty |
//! | `task_failed` | `{"reason": "attempt", "kind", "message", "details", "retryable", "retry_after_ms"}` |
//! | `task_skipped` | `{"reason": "upstream_failed", "dependency": "id"}` |
//! | `context_conflict` | `{"key", "winner": "id", "loser": "id"}` |

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cloacina_workflow::{ErrorRecord, TaskError, Timestamp, payload::Delta};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{active::RunRecord, catalog::Version, report::RunEvent};
use crate::{
    core::{
        context::{Key, Value},
        decide::{self, End, INTERRUPTIONS_MAX, Past},
        effect::{FailReason, Transition},
        plan::Plan,
        rule::SkipReason,
    },
    store::{Error as StoreError, EventRow, Kind, RunRow},
};

/// A task's error with why the task failed.
#[derive(Serialize, Deserialize)]
struct FailurePayload {
    reason: FailReasonName,
    kind: String,
    message: String,
    #[serde(default)]
    details: Json,
    retryable: bool,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FailReasonName {
    Attempt,
    Interrupted,
}

/// What an attempt left, for the rows of its end.
pub(super) struct AttemptFacts {
    pub(super) payload: Option<Vec<u8>>,
    pub(super) started_at: Option<Timestamp>,
}

/// The delta as it is stored; nothing for an empty one.
pub(super) fn delta_payload(delta: &Delta) -> serde_json::Result<Option<Vec<u8>>> {
    if delta.is_empty() { Ok(None) } else { serde_json::to_vec(delta).map(Some) }
}

/// The error of a last attempt as it is stored.
pub(super) fn error_payload(error: &TaskError) -> Vec<u8> {
    failure_payload(error, FailReasonName::Attempt)
}

/// The input as it is stored.
pub(crate) fn input_payload(input: &BTreeMap<Key, Value>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(input)
}

/// The error of a task that failed because engines ended while it was running.
pub(super) fn interrupted_error(plan: &Plan, task: u32) -> TaskError {
    let message = if plan.task(task).at_most_once {
        "the engine ended while the task was running, and the task may only be started once".to_owned()
    } else {
        format!("the engine ended {INTERRUPTIONS_MAX} times in a row while the task was running")
    };
    TaskError::Custom { kind: "interrupted".to_owned(), message, details: Json::Null, retryable: false }
}

/// The row of a run's creation, the first of its history.
pub(super) fn created_row(at: Timestamp, input: Vec<u8>) -> EventRow {
    row(0, Kind::RunCreated, at, Some(input))
}

/// The rows of one decision's transitions. `attempt` belongs to the transition that ends one, if there is any.
pub(super) fn rows(
    plan: &Plan,
    next_sequence: &mut i64,
    transitions: &[Transition],
    at: Timestamp,
    mut attempt: Option<AttemptFacts>,
) -> Vec<EventRow> {
    let name = |task: u32| &*plan.task(task).id;
    let rows = transitions.iter().map(|transition| {
        let sequence = *next_sequence;
        *next_sequence += 1;
        let (kind, ends, payload) = match transition {
            Transition::RunStarted => (Kind::RunStarted, None, None),
            Transition::RunFinished { state } => (Kind::RunFinished, None, Some(json!({ "state": state.as_str() }))),
            Transition::AttemptStarted { task, attempt } => (Kind::AttemptStarted, Some((*task, *attempt)), None),
            Transition::AttemptInterrupted { task, attempt } => {
                (Kind::AttemptInterrupted, Some((*task, *attempt)), None)
            }
            Transition::TaskCompleted { task, attempt } => (Kind::TaskCompleted, Some((*task, *attempt)), None),
            Transition::TaskFailed { task, attempt, .. } => (Kind::TaskFailed, Some((*task, *attempt)), None),
            Transition::TaskSkipped { task, reason } => {
                let SkipReason::UpstreamFailed { dependency } = reason;
                let payload = json!({ "reason": reason.as_str(), "dependency": name(*dependency) });
                (Kind::TaskSkipped, Some((*task, 0)), Some(payload))
            }
            Transition::ContextConflict(conflict) => {
                let (winner, loser) = (name(conflict.winner), name(conflict.loser));
                let payload = json!({ "key": &*conflict.key, "winner": winner, "loser": loser });
                (Kind::ContextConflict, None, Some(payload))
            }
        };
        let mut row = row(sequence, kind, at, payload.map(|json| json.to_string().into_bytes()));
        row.task = ends.map(|(task, _)| number(task));
        row.attempt = ends.map(|(_, attempt)| number(attempt));
        match transition {
            Transition::TaskFailed { task, reason: FailReason::Interrupted, .. } => {
                let error = interrupted_error(plan, *task);
                row.payload = Some(failure_payload(&error, FailReasonName::Interrupted));
            }
            Transition::TaskCompleted { .. } | Transition::TaskFailed { .. } => {
                if let Some(facts) = attempt.take() {
                    (row.payload, row.started_at) = (facts.payload, facts.started_at);
                }
            }
            _ => {}
        }
        row
    });
    rows.collect()
}

/// Rebuilds a run from its history; also returns the number of the next row.
///
/// # Errors
/// [`StoreError::Corrupt`] if the rows cannot be the history of a run of this workflow.
pub(crate) fn load(version: Arc<Version>, run: &RunRow, rows: Vec<EventRow>) -> Result<(RunRecord, i64), StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt { reason: format!("the history of run {}: {reason}", run.id) };
    let next_sequence = rows.last().map_or(0, |row| row.sequence + 1);
    let mut rows = rows.into_iter();
    let input = match rows.next() {
        Some(EventRow { kind: Kind::RunCreated, payload: Some(payload), .. }) => {
            serde_json::from_slice(&payload).map_err(|error| corrupt(error.to_string()))?
        }
        _ => return Err(corrupt("it does not begin with the creation".to_owned())),
    };
    let mut record = RunRecord {
        id: run.id,
        run: decide::Run::new(version.plan.clone(), &input),
        version,
        created_at: run.created_at,
        errors: BTreeMap::new(),
    };
    for row in rows {
        let (sequence, at) = (row.sequence, row.at);
        let past = past(row, &mut record.errors).map_err(corrupt)?;
        if let Some(past) = past {
            decide::replay(&mut record.run, past, at).map_err(|error| corrupt(format!("row {sequence}: {error}")))?;
        }
    }
    Ok((record, next_sequence))
}

/// What a row says that must be decided again; skips, conflicts and ends of runs follow from the others.
fn past(row: EventRow, errors: &mut BTreeMap<u32, Arc<TaskError>>) -> Result<Option<Past>, String> {
    let EventRow { sequence, kind, task, attempt, started_at, payload, .. } = row;
    let positive = |column: Option<i32>, name: &str| {
        let value = column.and_then(|value| u32::try_from(value).ok());
        value.ok_or_else(|| format!("row {sequence} has no {name}"))
    };
    let unreadable = |error: serde_json::Error| format!("row {sequence}: {error}");
    Ok(match kind {
        Kind::RunCreated | Kind::RunFinished | Kind::TaskSkipped | Kind::ContextConflict => None,
        Kind::RunStarted => Some(Past::Started),
        Kind::AttemptStarted => Some(Past::AttemptStarted { task: positive(task, "task")? }),
        Kind::AttemptInterrupted => Some(Past::AttemptInterrupted { task: positive(task, "task")? }),
        Kind::TaskCompleted => {
            let delta = payload.map(|payload| serde_json::from_slice(&payload)).transpose().map_err(unreadable)?;
            let end = End::Completed(Arc::new(delta.unwrap_or_default()));
            let (task, attempt) = (positive(task, "task")?, positive(attempt, "attempt")?);
            Some(Past::Ended { task, attempt, started_at, end })
        }
        Kind::TaskFailed => {
            let (task, attempt) = (positive(task, "task")?, positive(attempt, "attempt")?);
            let payload: FailurePayload = serde_json::from_slice(&payload.unwrap_or_default()).map_err(unreadable)?;
            let reason = match payload.reason {
                FailReasonName::Attempt => FailReason::Attempt,
                FailReasonName::Interrupted => FailReason::Interrupted,
            };
            errors.insert(task, Arc::new(payload.into_error()));
            Some(Past::Ended { task, attempt, started_at, end: End::Failed(reason) })
        }
    })
}

/// The rows as users see them.
pub(crate) fn records(plan: &Plan, rows: Vec<EventRow>) -> Vec<RunEvent> {
    let records = rows.into_iter().map(|row| {
        let task = row.task.and_then(|task| usize::try_from(task).ok()).and_then(|task| plan.tasks.get(task));
        RunEvent {
            sequence: row.sequence,
            at: row.at,
            kind: row.kind.as_str(),
            task: task.map(|task| task.id.as_ref().to_owned()),
            attempt: row.attempt.and_then(|attempt| u32::try_from(attempt).ok()),
            details: row.payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default(),
        }
    });
    records.collect()
}

impl FailurePayload {
    fn into_error(self) -> TaskError {
        let Self { reason: _, kind, message, details, retryable, retry_after_ms } = self;
        let retry_after = retry_after_ms.map(Duration::from_millis);
        TaskError::from_record(ErrorRecord { kind, message, details, retryable, retry_after })
    }
}

fn failure_payload(error: &TaskError, reason: FailReasonName) -> Vec<u8> {
    let ErrorRecord { kind, message, details, retryable, retry_after } = error.to_record();
    let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let payload = FailurePayload { reason, kind, message, details, retryable, retry_after_ms };
    serde_json::to_vec(&payload).expect("invariant: strings and JSON values can always be written")
}

fn row(sequence: i64, kind: Kind, at: Timestamp, payload: Option<Vec<u8>>) -> EventRow {
    EventRow { sequence, kind, task: None, attempt: None, at, started_at: None, payload }
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
