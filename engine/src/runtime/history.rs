//! Between decisions and the rows of a run's history, both ways. What is written here is read here, and nowhere else.
//!
//! | kind | payload |
//! |---|---|
//! | `run_created` | the input: `{"key": value}` |
//! | `run_started` | `{"by": "who"}` if somebody let it begin, otherwise absent |
//! | `run_delayed` | `{"until": "time"}` |
//! | `run_derived` | `{"from": "run", "how": "rerun", "task": "id or null", "by": "who"}` |
//! | `run_paused`, `run_resumed`, `run_cancel_requested`, `retry_requested` | `{"by": "who"}` |
//! | `run_resumed` with a task | the run stays paused, and that task alone goes on |
//! | `run_finished` | `{"state": "completed"}` |
//! | `task_completed` | `{"set": {}, "unset": []}`, absent if both are empty |
//! | `task_reused` | as `task_completed`; the task completed in the run from which this one was derived |
//! | `attempt_failed`, `attempt_lost`, `task_failed` | `{"reason": "attempt", "kind", "message", "details", "retryable", "retry_after_ms", "due_at"}` |
//! | `task_cancelled` | `{"abandoned": false}`, with the error as above if an attempt was under way |
//! | `attempt_fenced` | `{"result": "completed"}`: an end that came too late to count |
//! | `callback_completed`, `callback_failed` | `{"callback": "on_failure", "error": null}` |
//! | `task_skipped` | `{"reason": "upstream_failed" or "upstream_skipped", "dependency": "id"}` or `{"reason": "rule_not_met"}` |
//! | `context_conflict` | `{"key", "winner": "id", "loser": "id"}` |

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cloacina_workflow::{ErrorRecord, TaskError, Timestamp, payload::Delta};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{active::RunRecord, catalog::Version, event::Derived, secret::Secrets};
use crate::{
    core::{
        context::{Key, Value},
        decide::{self, INTERRUPTIONS_MAX},
        effect::{Actor, FailReason, Transition},
        plan::Plan,
        replay::{self, Past, PastEnd},
        rule::SkipReason,
    },
    loader::Usage,
    store::{Error as StoreError, EventRow, Kind, RunRow},
    view::RunEvent,
};

/// Members of the engine's own payloads that are moments, stored in microseconds since the epoch.
const MOMENTS: [&str; 2] = ["due_at", "until"];

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
    /// Microseconds since the epoch; when the next attempt comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<u64>,
    /// For a task that was cancelled: whether its attempt did not stop when it was asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abandoned: Option<bool>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FailReasonName {
    Attempt,
    TimedOut,
    Panicked,
    Cancelled,
    Interrupted,
    Lost,
}

/// What an attempt or a callback left, for the rows of its end.
#[derive(Default)]
pub(super) struct AttemptFacts {
    /// The delta.
    pub(super) payload: Option<Vec<u8>>,
    pub(super) error: Option<Arc<TaskError>>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) usage: Usage,
}

/// The delta as it is stored; nothing for an empty one.
pub(super) fn delta_payload(delta: &Delta) -> serde_json::Result<Option<Vec<u8>>> {
    if delta.is_empty() { Ok(None) } else { serde_json::to_vec(delta).map(Some) }
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

/// The row that says from which run another one is derived.
pub(super) fn derived_row(sequence: i64, at: Timestamp, derived: &Derived) -> EventRow {
    let Derived { from, how, task, by, .. } = derived;
    let payload = json!({ "from": from.to_string(), "how": how, "task": task, "by": &**by });
    row(sequence, Kind::RunDerived, at, Some(payload.to_string().into_bytes()))
}

/// The row by which a derived run has the result of a task that completed; nothing for other rows.
pub(crate) fn reused_row(row: &EventRow) -> Option<EventRow> {
    let completed = matches!(row.kind, Kind::TaskCompleted | Kind::TaskReused);
    completed.then(|| EventRow { kind: Kind::TaskReused, ..row.clone() })
}

/// Moves a run by one row of its history.
pub(super) fn replay_row(record: &mut RunRecord, row: EventRow) -> Result<(), String> {
    let (sequence, at) = (row.sequence, row.at);
    record.secrets = std::mem::take(&mut record.secrets).with_row(&row);
    match past(row, &mut record.errors)? {
        Some(past) => replay::replay(&mut record.run, past, at).map_err(|error| format!("row {sequence}: {error}")),
        None => Ok(()),
    }
}

/// The row of a late end.
pub(super) fn fenced_row(sequence: i64, task: u32, attempt: u32, at: Timestamp, completed: bool) -> EventRow {
    let result = if completed { "completed" } else { "failed" };
    let mut row = row(sequence, Kind::AttemptFenced, at, Some(json!({ "result": result }).to_string().into_bytes()));
    (row.task, row.attempt) = (Some(number(task)), Some(number(attempt)));
    row
}

/// The rows of one decision's transitions. `attempt` belongs to the transition that ends one, if there is any.
pub(super) fn rows(
    plan: &Plan,
    next_sequence: &mut i64,
    transitions: &[Transition],
    at: Timestamp,
    attempt: Option<AttemptFacts>,
) -> Vec<EventRow> {
    let mut attempt = attempt;
    let rows = transitions.iter().map(|transition| {
        let sequence = *next_sequence;
        *next_sequence += 1;
        let (kind, about, payload) = described(plan, transition);
        let mut row = row(sequence, kind, at, payload.map(|json| json.to_string().into_bytes()));
        row.task = about.map(|(task, _)| number(task));
        row.attempt = about.and_then(|(_, attempt)| attempt).map(number);
        add_facts(plan, transition, &mut row, &mut attempt);
        row
    });
    rows.collect()
}

/// A task and perhaps an attempt.
type About = (u32, Option<u32>);

/// What the row of a transition says without the attempt's own result.
fn described(plan: &Plan, transition: &Transition) -> (Kind, Option<About>, Option<Json>) {
    let name = |task: u32| &*plan.task(task).id;
    let by = |by: &Actor| Some(json!({ "by": &**by }));
    match transition {
        Transition::RunDelayed { until } => (Kind::RunDelayed, None, Some(json!({ "until": until.unix_micros() }))),
        Transition::RunStarted { by: who } => (Kind::RunStarted, None, who.as_ref().and_then(by)),
        Transition::RunPaused { by: who } => (Kind::RunPaused, None, by(who)),
        // The run goes on for that task.
        Transition::TaskReleased { task, by: who } => (Kind::RunResumed, Some((*task, None)), by(who)),
        Transition::RunResumed { by: who } => (Kind::RunResumed, None, by(who)),
        Transition::RunCancelRequested { by: who } => (Kind::RunCancelRequested, None, by(who)),
        Transition::RunTimedOut => (Kind::RunTimedOut, None, None),
        Transition::RunFinished { state } => (Kind::RunFinished, None, Some(json!({ "state": state.as_str() }))),
        Transition::AttemptStarted { task, attempt } => (Kind::AttemptStarted, Some((*task, Some(*attempt))), None),
        Transition::AttemptInterrupted { task, attempt } => {
            (Kind::AttemptInterrupted, Some((*task, Some(*attempt))), None)
        }
        Transition::AttemptLost { task, attempt } => (Kind::AttemptLost, Some((*task, Some(*attempt))), None),
        Transition::AttemptFailed { task, attempt, .. } => (Kind::AttemptFailed, Some((*task, Some(*attempt))), None),
        Transition::RetryRequested { task, by: who } => (Kind::RetryRequested, Some((*task, None)), by(who)),
        Transition::TaskCompleted { task, attempt } => (Kind::TaskCompleted, Some((*task, Some(*attempt))), None),
        Transition::TaskFailed { task, attempt, .. } => (Kind::TaskFailed, Some((*task, Some(*attempt))), None),
        Transition::TaskCancelled { task, attempt, abandoned } => {
            (Kind::TaskCancelled, Some((*task, *attempt)), Some(json!({ "abandoned": abandoned })))
        }
        Transition::CallbackEnded { task, failed } => {
            let kind = if *failed { Kind::CallbackFailed } else { Kind::CallbackCompleted };
            (kind, Some((*task, None)), None)
        }
        Transition::TaskSkipped { task, reason } => {
            let payload = match reason {
                SkipReason::UpstreamFailed { dependency } | SkipReason::UpstreamSkipped { dependency } => {
                    json!({ "reason": reason.as_str(), "dependency": name(*dependency) })
                }
                SkipReason::RuleNotMet => json!({ "reason": reason.as_str() }),
            };
            (Kind::TaskSkipped, Some((*task, Some(0))), Some(payload))
        }
        Transition::ContextConflict(conflict) => {
            let (winner, loser) = (name(conflict.winner), name(conflict.loser));
            let payload = json!({ "key": &*conflict.key, "winner": winner, "loser": loser });
            (Kind::ContextConflict, None, Some(payload))
        }
    }
}

/// Adds to a row what the attempt left that the transition ends, once.
fn add_facts(plan: &Plan, transition: &Transition, row: &mut EventRow, attempt: &mut Option<AttemptFacts>) {
    let failure = match transition {
        Transition::TaskFailed { task, reason: FailReason::Interrupted, .. } => {
            let error = interrupted_error(plan, *task);
            row.payload = Some(failure_payload(&error, FailReason::Interrupted, None, None));
            return;
        }
        Transition::AttemptFailed { reason, due_at, .. } => Some((*reason, Some(*due_at))),
        Transition::AttemptLost { .. } => Some((FailReason::Lost, None)),
        Transition::TaskFailed { reason, .. } => Some((*reason, None)),
        Transition::TaskCompleted { .. }
        | Transition::TaskCancelled { attempt: Some(_), .. }
        | Transition::CallbackEnded { .. } => None,
        _ => return,
    };
    let Some(AttemptFacts { payload, error, started_at, usage }) = attempt.take() else { return };
    row.started_at = started_at;
    row.cpu_us = usage.cpu.map(|cpu| i64::try_from(cpu.as_micros()).unwrap_or(i64::MAX));
    row.peak_bytes = usage.peak_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    match (failure, error) {
        (Some((reason, due_at)), Some(error)) => row.payload = Some(failure_payload(&error, reason, due_at, None)),
        (None, Some(error)) if let Transition::TaskCancelled { abandoned, .. } = transition => {
            row.payload = Some(failure_payload(&error, FailReason::Cancelled, None, Some(*abandoned)));
        }
        (None, Some(error)) if matches!(transition, Transition::CallbackEnded { .. }) => {
            row.payload = Some(failure_payload(&error, FailReason::of_kind(error.kind()), None, None));
        }
        _ if matches!(transition, Transition::TaskCompleted { .. }) => row.payload = payload,
        _ => {}
    }
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
        secrets: Secrets::of(&input),
    };
    for row in rows {
        replay_row(&mut record, row).map_err(corrupt)?;
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
    let number_of = || positive(task, "task");
    let by = |payload: Option<Vec<u8>>| -> Actor {
        let json: Json = payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default();
        json["by"].as_str().unwrap_or("unknown").into()
    };
    let ended = |end: PastEnd| -> Result<Past, String> {
        Ok(Past::Ended { task: number_of()?, attempt: positive(attempt, "attempt")?, started_at, end })
    };
    Ok(Some(match kind {
        Kind::RunCreated
        | Kind::RunDerived
        | Kind::RunFinished
        | Kind::TaskSkipped
        | Kind::ContextConflict
        | Kind::AttemptFenced => return Ok(None),
        Kind::RunDelayed => {
            let json: Json = serde_json::from_slice(&payload.unwrap_or_default()).map_err(unreadable)?;
            Past::Delayed { until: Timestamp::from_unix_micros(json["until"].as_u64().unwrap_or(0)) }
        }
        Kind::RunStarted => Past::Started,
        Kind::RunPaused => Past::Paused { by: by(payload) },
        Kind::RunResumed if task.is_some() => Past::Released { task: number_of()? },
        Kind::RunResumed => Past::Resumed { by: by(payload) },
        Kind::RunCancelRequested => Past::CancelRequested { by: by(payload) },
        Kind::RunTimedOut => Past::TimedOut,
        Kind::RetryRequested => Past::RetryRequested { task: number_of()? },
        Kind::AttemptStarted => Past::AttemptStarted { task: number_of()? },
        Kind::AttemptInterrupted => Past::AttemptInterrupted { task: number_of()? },
        Kind::TaskCompleted | Kind::TaskReused => {
            let delta = payload.map(|payload| serde_json::from_slice(&payload)).transpose().map_err(unreadable)?;
            let delta = Arc::new(delta.unwrap_or_default());
            errors.remove(&number_of()?);
            ended(if kind == Kind::TaskReused { PastEnd::Reused(delta) } else { PastEnd::Completed(delta) })?
        }
        Kind::AttemptFailed | Kind::AttemptLost | Kind::TaskFailed => {
            let payload: FailurePayload = serde_json::from_slice(&payload.unwrap_or_default()).map_err(unreadable)?;
            let reason = payload.reason.into();
            let due_at = Timestamp::from_unix_micros(payload.due_at.unwrap_or(0));
            errors.insert(number_of()?, Arc::new(payload.into_error()));
            ended(match kind {
                Kind::AttemptFailed => PastEnd::Postponed { reason, due_at },
                Kind::AttemptLost => PastEnd::Lost,
                _ => PastEnd::Failed(reason),
            })?
        }
        Kind::TaskCancelled => {
            let json: Json = serde_json::from_slice(&payload.unwrap_or_default()).map_err(unreadable)?;
            let abandoned = json["abandoned"].as_bool().unwrap_or(false);
            if let Ok(payload) = serde_json::from_value::<FailurePayload>(json) {
                errors.insert(number_of()?, Arc::new(payload.into_error()));
            }
            Past::Cancelled { task: number_of()?, abandoned, started_at }
        }
        Kind::CallbackCompleted => Past::CallbackEnded { task: number_of()?, failed: false },
        Kind::CallbackFailed => Past::CallbackEnded { task: number_of()?, failed: true },
    }))
}

/// The error that a row's payload tells of, if it tells of one.
pub(super) fn stored_error(payload: &[u8]) -> Option<TaskError> {
    serde_json::from_slice::<FailurePayload>(payload).ok().map(FailurePayload::into_error)
}

/// The rows as users see them, without the run's secrets.
pub(crate) fn records(version: &Version, rows: Vec<EventRow>, secrets: &Secrets) -> Vec<RunEvent> {
    let (plan, digest) = (&version.plan, version.key.content_digest());
    let records = rows.into_iter().map(|row| {
        let task = row.task.and_then(|task| usize::try_from(task).ok()).and_then(|task| plan.tasks.get(task));
        // A row with attempt 0 is about a task of which none began.
        let attempt = row.attempt.and_then(|attempt| u32::try_from(attempt).ok()).filter(|attempt| *attempt > 0);
        // What is taken over from another run may be of another version.
        let is_own = attempt.is_some() && row.kind != Kind::TaskReused;
        let mut details = row.payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default();
        show(row.kind, &mut details);
        secrets.hide_json(&mut details);
        RunEvent {
            sequence: row.sequence,
            at: row.at,
            kind: row.kind.as_str(),
            task: task.map(|task| task.id.as_ref().to_owned()),
            attempt,
            digest: digest.filter(|_| is_own),
            details,
            cpu: row.cpu_us.and_then(|cpu| u64::try_from(cpu).ok()).map(Duration::from_micros),
            peak_bytes: row.peak_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        }
    });
    records.collect()
}

/// Brings details into the form in which everything is shown: nothing is null, and moments are texts. What users wrote stays
/// as it is.
fn show(kind: Kind, details: &mut Json) {
    let is_of_users = matches!(kind, Kind::RunCreated | Kind::TaskCompleted | Kind::TaskReused);
    if !is_of_users && let Some(details) = details.as_object_mut() {
        details.retain(|_, value| !value.is_null());
        for name in MOMENTS {
            if let Some(at) = details.get(name).and_then(Json::as_u64) {
                details.insert(name.to_owned(), Timestamp::from_unix_micros(at).to_string().into());
            }
        }
    }
}

impl From<FailReasonName> for FailReason {
    fn from(name: FailReasonName) -> Self {
        match name {
            FailReasonName::Attempt => Self::Attempt,
            FailReasonName::TimedOut => Self::TimedOut,
            FailReasonName::Panicked => Self::Panicked,
            FailReasonName::Cancelled => Self::Cancelled,
            FailReasonName::Interrupted => Self::Interrupted,
            FailReasonName::Lost => Self::Lost,
        }
    }
}

impl From<FailReason> for FailReasonName {
    fn from(reason: FailReason) -> Self {
        match reason {
            FailReason::Attempt => Self::Attempt,
            FailReason::TimedOut => Self::TimedOut,
            FailReason::Panicked => Self::Panicked,
            FailReason::Cancelled => Self::Cancelled,
            FailReason::Interrupted => Self::Interrupted,
            FailReason::Lost => Self::Lost,
        }
    }
}

impl FailurePayload {
    fn into_error(self) -> TaskError {
        let Self { reason: _, kind, message, details, retryable, retry_after_ms, due_at: _, abandoned: _ } = self;
        let retry_after = retry_after_ms.map(Duration::from_millis);
        TaskError::from_record(ErrorRecord { kind, message, details, retryable, retry_after })
    }
}

fn failure_payload(
    error: &TaskError,
    reason: FailReason,
    due_at: Option<Timestamp>,
    abandoned: Option<bool>,
) -> Vec<u8> {
    let reason = reason.into();
    let due_at = due_at.map(Timestamp::unix_micros);
    let ErrorRecord { kind, message, details, retryable, retry_after } = error.to_record();
    let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let payload = FailurePayload { reason, kind, message, details, retryable, retry_after_ms, due_at, abandoned };
    serde_json::to_vec(&payload).expect("invariant: strings and JSON values can always be written")
}

fn row(sequence: i64, kind: Kind, at: Timestamp, payload: Option<Vec<u8>>) -> EventRow {
    EventRow {
        sequence,
        kind,
        task: None,
        attempt: None,
        at,
        started_at: None,
        payload,
        cpu_us: None,
        peak_bytes: None,
    }
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
