//! What attempts and callbacks used up, from the rows of their ends.
//!
//! Nothing is kept beside the history: an index leads from a run to its rows, and ids of runs sort by time, so a question
//! costs as much as the runs that it is about, however many others there are. What was not measured is absent in a row
//! (processor time of tasks in other languages that ran side by side and did not tell it, memory of all whose process went
//! on), and counted apart from what was: a sum never takes the unknown for nothing.

use std::time::Duration;

use cloacina_workflow::Timestamp;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl,
    dsl::{count_star, sql},
    sql_types::{BigInt, Nullable},
};

use super::{
    Connection, Error, JobResult, Kind,
    row::{micros, state, timestamp, workflow_id},
    schema::{event, run},
};
use crate::id::{RunId, WorkflowId};

/// The rows that end an attempt. What came too late to count is none of them.
const ATTEMPT_ENDS: [Kind; 6] = [
    Kind::TaskCompleted,
    Kind::TaskFailed,
    Kind::AttemptFailed,
    Kind::AttemptLost,
    Kind::AttemptInterrupted,
    Kind::TaskCancelled,
];

/// The rows that end a callback.
const CALLBACK_ENDS: [Kind; 2] = [Kind::CallbackCompleted, Kind::CallbackFailed];

/// Between the moment in a run's id and that in its row; one is read shortly before the other.
const SLACK: Duration = Duration::from_secs(60);

/// How one attempt or callback ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageEnd {
    pub(crate) kind: Kind,
    pub(crate) task: i32,
    /// None of a callback.
    pub(crate) attempt: Option<i32>,
    pub(crate) at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) cpu_us: Option<i64>,
    pub(crate) peak_bytes: Option<i64>,
}

/// Which runs are asked about; an absent part excludes none.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsageSearch {
    pub(crate) workflows: Vec<WorkflowId>,
    pub(crate) created_from: Option<Timestamp>,
    pub(crate) created_before: Option<Timestamp>,
}

/// What one task used up in all those runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageSum {
    pub(crate) workflow: WorkflowId,
    pub(crate) task: i32,
    pub(crate) n_attempts: i64,
    pub(crate) n_callbacks: i64,
    /// Of how many of both it is known when they began.
    pub(crate) n_timed: i64,
    pub(crate) time_us: i64,
    pub(crate) n_cpu: i64,
    pub(crate) cpu_us: i64,
    pub(crate) n_peak: i64,
    pub(crate) peak_bytes: Option<i64>,
}

/// How many runs of a workflow are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageRuns {
    pub(crate) workflow: WorkflowId,
    pub(crate) n_runs: i64,
    /// Those of which the history is gone, and with it what they used up.
    pub(crate) n_pruned: i64,
}

/// The ends of a run's attempts and callbacks, in order.
pub(crate) fn usage_list(connection: &mut Connection, run: RunId) -> JobResult<Vec<UsageEnd>> {
    type Columns = (String, Option<i32>, Option<i32>, i64, Option<i64>, Option<i64>, Option<i64>);
    let rows: Vec<Columns> = event::table
        .filter(event::run.eq(run.as_bytes().as_slice()))
        .filter(
            event::kind
                .eq_any(ATTEMPT_ENDS.map(Kind::as_str))
                .and(event::attempt.gt(0))
                .or(event::kind.eq_any(CALLBACK_ENDS.map(Kind::as_str))),
        )
        .order(event::sequence)
        .select((
            event::kind,
            event::task,
            event::attempt,
            event::at,
            event::started_at,
            event::cpu_us,
            event::peak_bytes,
        ))
        .load(connection)?;
    let ends = rows.into_iter().map(|(kind, task, attempt, at, started_at, cpu_us, peak_bytes)| {
        let task = task.ok_or_else(|| Error::Corrupt { reason: format!("a row {kind:?} without a task") })?;
        let (kind, at, started_at) = (state(&kind)?, timestamp(at), started_at.map(timestamp));
        Ok(UsageEnd { kind, task, attempt, at, started_at, cpu_us, peak_bytes })
    });
    ends.collect()
}

/// What the tasks of those runs used up, by workflow and task.
pub(crate) fn usage_sum(connection: &mut Connection, search: &UsageSearch) -> JobResult<Vec<UsageSum>> {
    type Columns = (Vec<u8>, Option<i32>, (i64, i64), (i64, i64), (i64, i64), (i64, Option<i64>));
    // Sums of PostgreSQL are of a type that no other database has.
    let whole = |sum: &str| sql::<BigInt>(&format!("CAST({sum} AS BIGINT)"));
    let took = "CASE WHEN event.at > event.started_at THEN event.at - event.started_at ELSE 0 END";
    let mut query = event::table
        .inner_join(run::table.on(run::id.eq(event::run)))
        .group_by((run::workflow, event::task))
        .select((
            run::workflow,
            event::task,
            (whole("COUNT(event.attempt)"), whole("COUNT(*) - COUNT(event.attempt)")),
            (whole("COUNT(event.started_at)"), whole(&format!("SUM({took})"))),
            (whole("COUNT(event.cpu_us)"), whole("COALESCE(SUM(event.cpu_us), 0)")),
            (whole("COUNT(event.peak_bytes)"), sql::<Nullable<BigInt>>("MAX(event.peak_bytes)")),
        ))
        .filter(run::workflow.eq_any(search.workflows.iter().map(|id| id.as_bytes().to_vec())))
        .filter(
            event::kind
                .eq_any(ATTEMPT_ENDS.map(Kind::as_str))
                .and(event::attempt.gt(0))
                .or(event::kind.eq_any(CALLBACK_ENDS.map(Kind::as_str))),
        )
        .into_boxed();
    if let Some(from) = search.created_from {
        query = query.filter(run::id.ge(first_id(from))).filter(run::created_at.ge(micros(from)));
    }
    if let Some(before) = search.created_before {
        query = query.filter(run::id.lt(end_of_ids(before))).filter(run::created_at.lt(micros(before)));
    }
    let rows: Vec<Columns> = query.load(connection)?;
    let sums = rows.into_iter().map(|(workflow, task, (n_attempts, n_callbacks), time, cpu, peak)| {
        let task = task.ok_or_else(|| Error::Corrupt { reason: "an end without a task".to_owned() })?;
        let ((n_timed, time_us), (n_cpu, cpu_us), (n_peak, peak_bytes)) = (time, cpu, peak);
        let workflow = workflow_id(&workflow)?;
        Ok(UsageSum { workflow, task, n_attempts, n_callbacks, n_timed, time_us, n_cpu, cpu_us, n_peak, peak_bytes })
    });
    sums.collect()
}

/// How many runs that are, by workflow.
pub(crate) fn usage_count_runs(connection: &mut Connection, search: &UsageSearch) -> JobResult<Vec<UsageRuns>> {
    let mut query = run::table
        .group_by(run::workflow)
        .select((run::workflow, count_star(), sql::<BigInt>("COUNT(events_pruned_at)")))
        .filter(run::workflow.eq_any(search.workflows.iter().map(|id| id.as_bytes().to_vec())))
        .into_boxed();
    if let Some(from) = search.created_from {
        query = query.filter(run::id.ge(first_id(from))).filter(run::created_at.ge(micros(from)));
    }
    if let Some(before) = search.created_before {
        query = query.filter(run::id.lt(end_of_ids(before))).filter(run::created_at.lt(micros(before)));
    }
    let rows: Vec<(Vec<u8>, i64, i64)> = query.load(connection)?;
    let counts = rows
        .into_iter()
        .map(|(workflow, n_runs, n_pruned)| Ok(UsageRuns { workflow: workflow_id(&workflow)?, n_runs, n_pruned }));
    counts.collect()
}

/// No run that was created at that moment or later has a smaller id.
fn first_id(from: Timestamp) -> Vec<u8> {
    let slack = u64::try_from(SLACK.as_micros()).unwrap_or(0);
    RunId::floor(Timestamp::from_unix_micros(from.unix_micros().saturating_sub(slack))).as_bytes().to_vec()
}

/// All runs that were created before that moment have smaller ids.
fn end_of_ids(before: Timestamp) -> Vec<u8> {
    let slack = u64::try_from(SLACK.as_micros()).unwrap_or(0);
    RunId::floor(Timestamp::from_unix_micros(before.unix_micros().saturating_add(slack))).as_bytes().to_vec()
}
