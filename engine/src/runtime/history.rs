//! Between transitions and the rows of a run's history, both ways. What is written here is read here, and nowhere else.
//!
//! [`to_row`] and [`Reader::read`] are each other's inverse, for everything that the core must know. A row that no version
//! of this program wrote is damage: its number and the column are named, and nothing is made up in its place.
//!
//! | kind | payload |
//! |---|---|
//! | `run_created` | the input: `{"key": value}` |
//! | `run_started` | `{"by": "who"}` if somebody let it begin, otherwise absent |
//! | `run_delayed` | `{"until": "time"}` |
//! | `run_derived` | `{"from": "run", "how": "rerun", "task": "id or null", "by": "who"}` |
//! | `run_paused`, `run_resumed`, `run_cancel_requested`, `retry_requested` | `{"by": "who"}` |
//! | `task_ready`, `attempt_started`, `attempt_interrupted`, `run_timed_out` | absent |
//! | `run_resumed` with a task | the run stays paused, and that task alone goes on |
//! | `run_finished` | `{"state": "completed"}` |
//! | `task_completed` | `{"set": {}, "unset": []}`, absent if both are empty |
//! | `task_reused` | as `task_completed`; the task completed in the run from which this one was derived |
//! | `attempt_failed`, `attempt_lost`, `task_failed` | `{"reason": "attempt", "kind", "message", "details", "retryable", "retry_after_ms", "due_at"}` |
//! | `task_cancelled` | `{"abandoned": false}`, with the error as above if an attempt was under way |
//! | `attempt_fenced` | `{"result": "completed"}`: an end that came too late to count |
//! | `callback_completed` | absent |
//! | `callback_failed` | the error as above, absent if the callback was not called |
//! | `task_skipped` | `{"reason": "upstream_failed" or "upstream_skipped", "dependency": "id"}` or `{"reason": "rule_not_met"}` |
//! | `context_conflict` | `{"key", "winner": "id", "loser": "id"}` |

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use cloacina_workflow::{ErrorRecord, TaskError, Timestamp, payload::Delta};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};

use super::event::Derived;
use crate::{
    core::{
        context::{Key, Value},
        decide::INTERRUPTIONS_MAX,
        effect::{Actor, Conflict, FailReason, Transition},
        node::{NodeId, TaskIndex},
        plan::Plan,
        rule::SkipReason,
        run,
    },
    loader::Usage,
    store::{EventRow, Kind},
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

#[derive(Deserialize)]
struct ByPayload {
    by: String,
}

#[derive(Deserialize)]
struct UntilPayload {
    /// Microseconds since the epoch.
    until: u64,
}

#[derive(Deserialize)]
struct FinishedPayload {
    state: String,
}

#[derive(Deserialize)]
struct SkipPayload {
    reason: String,
    dependency: Option<String>,
}

#[derive(Deserialize)]
struct ConflictPayload {
    key: String,
    winner: String,
    loser: String,
}

/// What an attempt or a callback left besides its transition, for the row of its end.
#[derive(Default)]
pub(super) struct AttemptFacts {
    /// The delta as it is stored, if it has been written already.
    pub(super) payload: Option<Vec<u8>>,
    pub(super) error: Option<Arc<TaskError>>,
    /// When a callback began.
    pub(super) started_at: Option<Timestamp>,
    pub(super) usage: Usage,
}

/// What a row says.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) transition: Transition,
    /// Why the attempt or the callback failed that the transition ends.
    pub(super) error: Option<TaskError>,
}

/// A row that no version of this program wrote.
#[derive(Debug, thiserror::Error)]
#[error("row {sequence}, column {column}: {reason}")]
pub(super) struct Damage {
    sequence: i64,
    column: &'static str,
    reason: String,
}

/// Reads the rows of runs of one version of a workflow.
pub(super) struct Reader<'a> {
    plan: &'a Plan,
    /// Made when a row names a task by its id, which few do.
    numbers: OnceCell<HashMap<&'a str, NodeId>>,
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
pub(super) fn interrupted_error(plan: &Plan, task: TaskIndex) -> TaskError {
    let message = if plan.declared(task).at_most_once {
        "the engine ended while the task was running, and the task may only be started once".to_owned()
    } else {
        format!("the engine ended {INTERRUPTIONS_MAX} times in a row while the task was running")
    };
    TaskError::Custom { kind: "interrupted".to_owned(), message, details: Json::Null, retryable: false }
}

/// The row of a run's creation, the first of its history.
pub(super) fn created_row(at: Timestamp, input: Vec<u8>) -> EventRow {
    EventRow { payload: Some(input), ..blank(0, Kind::RunCreated, at) }
}

/// The row that says from which run another one is derived.
pub(super) fn derived_row(sequence: i64, at: Timestamp, derived: &Derived) -> EventRow {
    let Derived { from, how, task, by, .. } = derived;
    let payload = json!({ "from": from.to_string(), "how": how, "task": task, "by": &**by });
    EventRow { payload: bytes(&payload), ..blank(sequence, Kind::RunDerived, at) }
}

/// The row by which a derived run has the result of a task that completed; nothing for other rows.
pub(crate) fn reused_row(row: &EventRow) -> Option<EventRow> {
    let completed = matches!(row.kind, Kind::TaskCompleted | Kind::TaskReused);
    completed.then(|| EventRow { kind: Kind::TaskReused, ..row.clone() })
}

/// The row of a late end.
pub(super) fn fenced_row(sequence: i64, task: TaskIndex, attempt: u32, at: Timestamp, completed: bool) -> EventRow {
    let result = if completed { "completed" } else { "failed" };
    let row = blank(sequence, Kind::AttemptFenced, at);
    let (task, attempt) = (Some(number(task.number())), Some(number(attempt)));
    EventRow { task, attempt, payload: bytes(&json!({ "result": result })), ..row }
}

/// The rows of one decision's transitions. `facts` belong to the transition that ends an attempt or a callback, if there is
/// one.
pub(super) fn to_rows(
    plan: &Plan,
    next_sequence: &mut i64,
    transitions: &[Transition],
    at: Timestamp,
    facts: AttemptFacts,
) -> Vec<EventRow> {
    let mut facts = Some(facts);
    let rows = transitions.iter().filter_map(|transition| {
        let row = to_row(plan, *next_sequence, transition, at, &mut facts)?;
        *next_sequence += 1;
        Some(row)
    });
    rows.collect()
}

/// The row of a transition; nothing for one that is not stored.
fn to_row(
    plan: &Plan,
    sequence: i64,
    transition: &Transition,
    at: Timestamp,
    facts: &mut Option<AttemptFacts>,
) -> Option<EventRow> {
    if !transition.is_stored() {
        return None;
    }
    let of_run = |kind, payload: Option<Json>| EventRow {
        payload: payload.as_ref().and_then(bytes),
        ..blank(sequence, kind, at)
    };
    let of_task = |kind, task: TaskIndex, attempt: Option<u32>, payload: Option<Json>| EventRow {
        task: Some(number(task.number())),
        attempt: attempt.map(number),
        ..of_run(kind, payload)
    };
    let by = |by: &Actor| Some(json!({ "by": &**by }));
    Some(match transition {
        Transition::TaskDue { task: _ } => return None,
        Transition::RunDelayed { until } => of_run(Kind::RunDelayed, Some(json!({ "until": until.unix_micros() }))),
        Transition::RunStarted { by: who } => of_run(Kind::RunStarted, who.as_ref().and_then(by)),
        Transition::RunPaused { by: who } => of_run(Kind::RunPaused, by(who)),
        // The run goes on for that task.
        Transition::TaskReleased { task, by: who } => of_task(Kind::RunResumed, *task, None, by(who)),
        Transition::RunResumed { by: who } => of_run(Kind::RunResumed, by(who)),
        Transition::RunCancelRequested { by: who } => of_run(Kind::RunCancelRequested, by(who)),
        Transition::RunTimedOut => of_run(Kind::RunTimedOut, None),
        Transition::RunFinished { end } => of_run(Kind::RunFinished, Some(json!({ "state": end.state().as_str() }))),
        Transition::TaskReady { task, is_implied: _ } => of_task(Kind::TaskReady, *task, None, None),
        Transition::AttemptStarted { task, attempt, is_durable: _ } => {
            of_task(Kind::AttemptStarted, *task, Some(*attempt), None)
        }
        Transition::AttemptInterrupted { task, attempt } => {
            of_task(Kind::AttemptInterrupted, *task, Some(*attempt), None)
        }
        Transition::RetryRequested { task, by: who } => of_task(Kind::RetryRequested, *task, None, by(who)),
        Transition::TaskSkipped { task, reason } => {
            of_task(Kind::TaskSkipped, *task, Some(0), Some(skip_payload(plan, *reason)))
        }
        Transition::ContextConflict(Conflict { key, winner, loser }) => {
            let (winner, loser) = (&*plan.task(*winner).id, &*plan.task(*loser).id);
            of_run(Kind::ContextConflict, Some(json!({ "key": &**key, "winner": winner, "loser": loser })))
        }
        Transition::TaskFailed { task, attempt, started_at: None, reason: reason @ FailReason::Interrupted } => {
            let payload = failure_payload(&interrupted_error(plan, *task), *reason, None, None);
            EventRow { payload: Some(payload), ..of_task(Kind::TaskFailed, *task, Some(*attempt), None) }
        }
        Transition::AttemptLost { task, attempt, started_at } => {
            let failed = (FailReason::Lost, None);
            let row = of_task(Kind::AttemptLost, *task, Some(*attempt), None);
            with_failure(row, Some(*started_at), failed, facts)
        }
        Transition::AttemptFailed { task, attempt, started_at, reason, due_at } => {
            let row = of_task(Kind::AttemptFailed, *task, Some(*attempt), None);
            with_failure(row, Some(*started_at), (*reason, Some(*due_at)), facts)
        }
        Transition::TaskFailed { task, attempt, started_at, reason } => {
            let row = of_task(Kind::TaskFailed, *task, Some(*attempt), None);
            with_failure(row, *started_at, (*reason, None), facts)
        }
        Transition::TaskCompleted { task, attempt, started_at, delta } => {
            with_delta(of_task(Kind::TaskCompleted, *task, Some(*attempt), None), *started_at, delta, facts)
        }
        Transition::TaskReused { task, attempt, started_at, finished_at, delta } => {
            // A result is as old as it is.
            let row = EventRow { at: *finished_at, ..of_task(Kind::TaskReused, *task, Some(*attempt), None) };
            with_delta(row, *started_at, delta, facts)
        }
        Transition::TaskCancelled { task, attempt, started_at, abandoned } => {
            let row = of_task(Kind::TaskCancelled, *task, *attempt, Some(json!({ "abandoned": abandoned })));
            let left = attempt.and_then(|_| facts.take()).unwrap_or_default();
            let error = left.error.as_deref();
            let payload = error.map(|error| failure_payload(error, FailReason::Cancelled, None, Some(*abandoned)));
            with_usage(
                EventRow { started_at: *started_at, payload: payload.or_else(|| row.payload.clone()), ..row },
                left.usage,
            )
        }
        Transition::CallbackEnded { task, failed } => {
            let kind = if *failed { Kind::CallbackFailed } else { Kind::CallbackCompleted };
            let AttemptFacts { error, started_at, usage, .. } = facts.take().unwrap_or_default();
            let reason = |error: &TaskError| FailReason::of_kind(error.kind());
            let payload = error.as_deref().map(|error| failure_payload(error, reason(error), None, None));
            with_usage(EventRow { started_at, payload, ..of_task(kind, *task, None, None) }, usage)
        }
    })
}

fn skip_payload(plan: &Plan, reason: SkipReason) -> Json {
    match reason {
        SkipReason::UpstreamFailed { dependency } | SkipReason::UpstreamSkipped { dependency } => {
            json!({ "reason": reason.as_str(), "dependency": &*plan.task(dependency).id })
        }
        SkipReason::RuleNotMet => json!({ "reason": reason.as_str() }),
    }
}

/// The row of an attempt that failed, with its error.
fn with_failure(
    row: EventRow,
    started_at: Option<Timestamp>,
    (reason, due_at): (FailReason, Option<Timestamp>),
    facts: &mut Option<AttemptFacts>,
) -> EventRow {
    let AttemptFacts { error, usage, .. } = facts.take().unwrap_or_default();
    debug_assert!(error.is_some(), "invariant: an attempt that failed left an error");
    let unknown = || Arc::new(TaskError::Permanent { message: "the attempt left no error".to_owned() });
    let payload = failure_payload(&error.unwrap_or_else(unknown), reason, due_at, None);
    with_usage(EventRow { started_at, payload: Some(payload), ..row }, usage)
}

/// The row of an attempt that completed, with what it wrote.
fn with_delta(row: EventRow, started_at: Timestamp, delta: &Delta, facts: &mut Option<AttemptFacts>) -> EventRow {
    let AttemptFacts { payload, usage, .. } = facts.take().unwrap_or_default();
    let write =
        || delta_payload(delta).expect("invariant: a delta consists of texts and of values that were read as JSON");
    with_usage(EventRow { started_at: Some(started_at), payload: payload.or_else(write), ..row }, usage)
}

fn with_usage(row: EventRow, usage: Usage) -> EventRow {
    EventRow {
        cpu_us: usage.cpu.map(|cpu| i64::try_from(cpu.as_micros()).unwrap_or(i64::MAX)),
        peak_bytes: usage.peak_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        ..row
    }
}

/// What a row says of what was used up.
pub(super) fn usage(row: &EventRow) -> Usage {
    Usage {
        cpu: row.cpu_us.and_then(|cpu| u64::try_from(cpu).ok()).map(Duration::from_micros),
        peak_bytes: row.peak_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self { plan, numbers: OnceCell::new() }
    }

    /// What a row says; nothing if it changes no run.
    ///
    /// # Errors
    /// [`Damage`] names the row and the column.
    pub(super) fn read(&self, row: &EventRow) -> Result<Option<Stored>, Damage> {
        let by = || payload::<ByPayload>(row).map(|payload| Actor::from(payload.by));
        let transition = match row.kind {
            Kind::RunCreated | Kind::RunDerived | Kind::AttemptFenced => return Ok(None),
            Kind::RunDelayed => {
                let until = payload::<UntilPayload>(row)?.until;
                Transition::RunDelayed { until: Timestamp::from_unix_micros(until) }
            }
            Kind::RunStarted => Transition::RunStarted { by: row.payload.as_ref().map(|_| by()).transpose()? },
            Kind::RunPaused => Transition::RunPaused { by: by()? },
            Kind::RunResumed if row.task.is_some() => Transition::TaskReleased { task: self.task(row)?, by: by()? },
            Kind::RunResumed => Transition::RunResumed { by: by()? },
            Kind::RunCancelRequested => Transition::RunCancelRequested { by: by()? },
            Kind::RunTimedOut => Transition::RunTimedOut,
            Kind::RunFinished => Transition::RunFinished { end: end(row)? },
            Kind::TaskReady => Transition::TaskReady { task: self.task(row)?, is_implied: false },
            Kind::AttemptStarted => {
                Transition::AttemptStarted { task: self.task(row)?, attempt: attempt(row)?, is_durable: true }
            }
            Kind::AttemptInterrupted => {
                Transition::AttemptInterrupted { task: self.task(row)?, attempt: attempt(row)? }
            }
            Kind::RetryRequested => Transition::RetryRequested { task: self.task(row)?, by: by()? },
            Kind::TaskSkipped => Transition::TaskSkipped { task: self.task(row)?, reason: self.skip_reason(row)? },
            Kind::ContextConflict => {
                let ConflictPayload { key, winner, loser } = payload(row)?;
                let (winner, loser) = (self.node(row, &winner)?, self.node(row, &loser)?);
                Transition::ContextConflict(Conflict { key: key.into(), winner, loser })
            }
            Kind::TaskCompleted => {
                let (task, attempt, started_at) = (self.task(row)?, attempt(row)?, started_at(row)?);
                Transition::TaskCompleted { task, attempt, started_at, delta: delta(row)? }
            }
            Kind::TaskReused => {
                let (task, attempt, started_at) = (self.task(row)?, attempt(row)?, started_at(row)?);
                Transition::TaskReused { task, attempt, started_at, finished_at: row.at, delta: delta(row)? }
            }
            Kind::AttemptFailed | Kind::AttemptLost | Kind::TaskFailed => return self.failure(row).map(Some),
            Kind::TaskCancelled => return self.cancellation(row).map(Some),
            Kind::CallbackCompleted => Transition::CallbackEnded { task: self.task(row)?, failed: false },
            Kind::CallbackFailed => {
                let error = row.payload.as_ref().map(|_| payload::<FailurePayload>(row)).transpose()?;
                let transition = Transition::CallbackEnded { task: self.task(row)?, failed: true };
                return Ok(Some(Stored { transition, error: error.map(FailurePayload::into_error) }));
            }
        };
        Ok(Some(Stored { transition, error: None }))
    }

    fn failure(&self, row: &EventRow) -> Result<Stored, Damage> {
        let failure: FailurePayload = payload(row)?;
        let (task, attempt, reason) = (self.task(row)?, attempt(row)?, failure.reason.into());
        let transition = match row.kind {
            Kind::AttemptFailed => {
                let due_at = failure.due_at.ok_or_else(|| damage(row, "payload", "it has no due_at"))?;
                let (started_at, due_at) = (started_at(row)?, Timestamp::from_unix_micros(due_at));
                Transition::AttemptFailed { task, attempt, started_at, reason, due_at }
            }
            Kind::AttemptLost => Transition::AttemptLost { task, attempt, started_at: started_at(row)? },
            _ => Transition::TaskFailed { task, attempt, started_at: row.started_at, reason },
        };
        Ok(Stored { transition, error: Some(failure.into_error()) })
    }

    fn cancellation(&self, row: &EventRow) -> Result<Stored, Damage> {
        let json: Json = payload(row)?;
        let abandoned = json["abandoned"].as_bool().ok_or_else(|| damage(row, "payload", "it has no abandoned"))?;
        let error = match json.get("reason") {
            Some(_) => Some(payload::<FailurePayload>(row)?.into_error()),
            None => None,
        };
        let attempt = row.attempt.map(|_| attempt(row)).transpose()?;
        let (task, started_at) = (self.task(row)?, row.started_at);
        Ok(Stored { transition: Transition::TaskCancelled { task, attempt, started_at, abandoned }, error })
    }

    fn skip_reason(&self, row: &EventRow) -> Result<SkipReason, Damage> {
        let SkipPayload { reason, dependency } = payload(row)?;
        let dependency = dependency.map(|id| self.node(row, &id)).transpose()?;
        match (reason.as_str(), dependency) {
            ("upstream_failed", Some(dependency)) => Ok(SkipReason::UpstreamFailed { dependency }),
            ("upstream_skipped", Some(dependency)) => Ok(SkipReason::UpstreamSkipped { dependency }),
            ("rule_not_met", None) => Ok(SkipReason::RuleNotMet),
            _ => Err(damage(row, "payload", format!("{reason:?} is not a reason, or names no dependency"))),
        }
    }

    fn task(&self, row: &EventRow) -> Result<TaskIndex, Damage> {
        let task = row.task.ok_or_else(|| damage(row, "task", "it is absent"))?;
        let known = u32::try_from(task).ok().map(TaskIndex::new).filter(|task| task.place() < self.plan.n_tasks());
        known.ok_or_else(|| damage(row, "task", format!("the workflow has no task {task}")))
    }

    fn node(&self, row: &EventRow, id: &str) -> Result<NodeId, Damage> {
        let numbers = self.numbers.get_or_init(|| self.plan.nodes().map(|(node, task)| (&*task.id, node)).collect());
        numbers.get(id).copied().ok_or_else(|| damage(row, "payload", format!("the workflow has no task {id:?}")))
    }
}

fn damage(row: &EventRow, column: &'static str, reason: impl Into<String>) -> Damage {
    Damage { sequence: row.sequence, column, reason: reason.into() }
}

fn payload<T: DeserializeOwned>(row: &EventRow) -> Result<T, Damage> {
    let payload = row.payload.as_deref().ok_or_else(|| damage(row, "payload", "it is absent"))?;
    serde_json::from_slice(payload).map_err(|error| damage(row, "payload", error.to_string()))
}

fn delta(row: &EventRow) -> Result<Arc<Delta>, Damage> {
    // Of a delta that is empty nothing is stored.
    if row.payload.is_none() { Ok(Arc::default()) } else { payload(row).map(Arc::new) }
}

fn attempt(row: &EventRow) -> Result<u32, Damage> {
    let attempt = row.attempt.ok_or_else(|| damage(row, "attempt", "it is absent"))?;
    u32::try_from(attempt).map_err(|_| damage(row, "attempt", format!("{attempt} is not the number of an attempt")))
}

fn started_at(row: &EventRow) -> Result<Timestamp, Damage> {
    row.started_at.ok_or_else(|| damage(row, "started_at", "it is absent"))
}

fn end(row: &EventRow) -> Result<run::End, Damage> {
    let state = payload::<FinishedPayload>(row)?.state;
    let end = state.parse().ok().and_then(run::State::end);
    end.ok_or_else(|| damage(row, "payload", format!("no run ends as {state:?}")))
}

/// The error that a row's payload tells of, if it tells of one.
pub(super) fn stored_error(payload: &[u8]) -> Option<TaskError> {
    serde_json::from_slice::<FailurePayload>(payload).ok().map(FailurePayload::into_error)
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

fn bytes(json: &Json) -> Option<Vec<u8>> {
    Some(json.to_string().into_bytes())
}

fn blank(sequence: i64, kind: Kind, at: Timestamp) -> EventRow {
    EventRow {
        sequence,
        kind,
        task: None,
        attempt: None,
        at,
        started_at: None,
        payload: None,
        cpu_us: None,
        peak_bytes: None,
    }
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
