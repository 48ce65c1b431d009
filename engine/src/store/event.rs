//! The history of runs: one row for each durable transition, and the result of an attempt in the row of its end.
//!
//! Rows are only ever added, by commits. What a payload holds is the business of the runtime, which writes and reads it; here it
//! is bytes.

use cloacina_workflow::Timestamp;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    dsl::sql,
    sql_types::{Bool, Nullable},
};

use super::{
    Connection, Error, JobResult,
    row::{state, timestamp},
    schema::event,
};
use crate::id::RunId;

/// One transition of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRow {
    /// Counts from 0 within its run, without gaps.
    pub(crate) sequence: i64,
    pub(crate) kind: Kind,
    /// The number of the task in its run.
    pub(crate) task: Option<i32>,
    pub(crate) attempt: Option<i32>,
    pub(crate) at: Timestamp,
    /// For the end of an attempt: when it began.
    pub(crate) started_at: Option<Timestamp>,
    /// JSON; what it holds depends on the kind.
    pub(crate) payload: Option<Vec<u8>>,
    /// For the end of an attempt: what it used up, as far as it is known.
    pub(crate) cpu_us: Option<i64>,
    pub(crate) peak_bytes: Option<i64>,
}

/// What happened. The payload is named beside each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The input as an object.
    RunCreated,
    RunStarted,
    /// The final state.
    RunFinished,
    /// Only written where a start must be durable before it happens.
    AttemptStarted,
    AttemptInterrupted,
    /// How the process ended, as an error.
    AttemptLost,
    /// The context delta, absent if empty.
    TaskCompleted,
    /// The error.
    TaskFailed,
    /// The reason.
    TaskSkipped,
    /// The key and both tasks.
    ContextConflict,
    /// Until when.
    RunDelayed,
    /// From which run, how and by whom.
    RunDerived,
    /// By whom, as in the next two.
    RunPaused,
    RunResumed,
    RunCancelRequested,
    RunTimedOut,
    /// The error, and when the next attempt comes.
    AttemptFailed,
    /// An end that came after the attempt was given up, and does not count.
    AttemptFenced,
    /// By whom.
    RetryRequested,
    /// The context delta of a task that completed in the run from which this one was derived.
    TaskReused,
    /// Only written where a task may be ready at another moment than the end of its last dependency.
    TaskReady,
    /// Whether an attempt was abandoned.
    TaskCancelled,
    CallbackCompleted,
    /// The error.
    CallbackFailed,
}

impl Kind {
    pub(crate) const ALL: [Self; 24] = [
        Self::RunCreated,
        Self::RunStarted,
        Self::RunFinished,
        Self::AttemptStarted,
        Self::AttemptInterrupted,
        Self::AttemptLost,
        Self::TaskCompleted,
        Self::TaskFailed,
        Self::TaskSkipped,
        Self::ContextConflict,
        Self::RunDelayed,
        Self::RunDerived,
        Self::RunPaused,
        Self::RunResumed,
        Self::RunCancelRequested,
        Self::RunTimedOut,
        Self::AttemptFailed,
        Self::AttemptFenced,
        Self::RetryRequested,
        Self::TaskReused,
        Self::TaskReady,
        Self::TaskCancelled,
        Self::CallbackCompleted,
        Self::CallbackFailed,
    ];

    /// The name in the column.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RunCreated => "run_created",
            Self::RunStarted => "run_started",
            Self::RunFinished => "run_finished",
            Self::AttemptStarted => "attempt_started",
            Self::AttemptInterrupted => "attempt_interrupted",
            Self::AttemptLost => "attempt_lost",
            Self::TaskCompleted => "task_completed",
            Self::TaskFailed => "task_failed",
            Self::TaskSkipped => "task_skipped",
            Self::ContextConflict => "context_conflict",
            Self::RunDelayed => "run_delayed",
            Self::RunDerived => "run_derived",
            Self::RunPaused => "run_paused",
            Self::RunResumed => "run_resumed",
            Self::RunCancelRequested => "run_cancel_requested",
            Self::RunTimedOut => "run_timed_out",
            Self::AttemptFailed => "attempt_failed",
            Self::AttemptFenced => "attempt_fenced",
            Self::RetryRequested => "retry_requested",
            Self::TaskReused => "task_reused",
            Self::TaskReady => "task_ready",
            Self::TaskCancelled => "task_cancelled",
            Self::CallbackCompleted => "callback_completed",
            Self::CallbackFailed => "callback_failed",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

type Columns = (i64, String, Option<i32>, Option<i32>, i64, Option<i64>, Option<Vec<u8>>, Option<i64>, Option<i64>);

/// The whole history of a run, in sequence.
pub(crate) fn event_list(connection: &mut Connection, run: RunId) -> JobResult<Vec<EventRow>> {
    event_list_from(connection, run, 0, i64::MAX)
}

/// What the first row of a run's history holds; nothing if there is none, or nothing in it.
pub(crate) fn event_payload_first(connection: &mut Connection, run: RunId) -> QueryResult<Option<Vec<u8>>> {
    let first = event::table.filter(event::run.eq(run.as_bytes().as_slice())).filter(event::sequence.eq(0));
    let payload: Option<Option<Vec<u8>>> = first.select(event::payload).first(connection).optional()?;
    Ok(payload.flatten())
}

/// What the tasks of a run left that holds that text, in sequence.
pub(crate) fn event_payload_list_with(
    connection: &mut Connection,
    run: RunId,
    text: &str,
) -> QueryResult<Vec<Vec<u8>>> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let holds = match connection {
        Connection::Sqlite(_) => format!("instr(payload, x'{hex}') > 0"),
        Connection::Postgres(_) => format!("position('\\x{hex}'::bytea in payload) > 0"),
    };
    let kinds = [Kind::TaskCompleted, Kind::TaskReused].map(Kind::as_str);
    let payloads: Vec<Option<Vec<u8>>> = event::table
        .filter(event::run.eq(run.as_bytes().as_slice()))
        .filter(event::kind.eq_any(kinds))
        .filter(sql::<Nullable<Bool>>(&holds))
        .order(event::sequence)
        .select(event::payload)
        .load(connection)?;
    Ok(payloads.into_iter().flatten().collect())
}

/// As [`event_list`], without the rows before that sequence.
pub(crate) fn event_list_from(
    connection: &mut Connection,
    run: RunId,
    first: i64,
    n_max: i64,
) -> JobResult<Vec<EventRow>> {
    let rows: Vec<Columns> = event::table
        .filter(event::run.eq(run.as_bytes().as_slice()))
        .filter(event::sequence.ge(first))
        .order(event::sequence)
        .limit(n_max)
        .select((
            event::sequence,
            event::kind,
            event::task,
            event::attempt,
            event::at,
            event::started_at,
            event::payload,
            event::cpu_us,
            event::peak_bytes,
        ))
        .load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect::<Result<_, _>>()?)
}

fn from_columns(columns: Columns) -> Result<EventRow, Error> {
    let (sequence, kind, task, attempt, at, started_at, payload, cpu_us, peak_bytes) = columns;
    Ok(EventRow {
        sequence,
        kind: state(&kind)?,
        task,
        attempt,
        at: timestamp(at),
        started_at: started_at.map(timestamp),
        payload,
        cpu_us,
        peak_bytes,
    })
}
