//! The table of runs: listing them, and taking over the unfinished ones at start.
//!
//! A run belongs to the epoch that stands in its row. Only taking over changes that, and only once the owner is gone.
//! States are changed by commits alone.

use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection, Error, owner,
    row::{micros, run_id, state, timestamp, workflow_id},
    schema::{self, run},
};
use crate::{
    core::run::State,
    id::{RunId, WorkflowId},
};

/// One run without its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunRow {
    pub(crate) id: RunId,
    pub(crate) workflow: WorkflowId,
    pub(crate) state: State,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

pub(super) type Columns = (Vec<u8>, Vec<u8>, String, i64, Option<i64>, Option<i64>);

pub(super) const COLUMNS: (run::id, run::workflow, run::state, run::created_at, run::started_at, run::finished_at) =
    (run::id, run::workflow, run::state, run::created_at, run::started_at, run::finished_at);

pub(crate) fn run_get(connection: &mut Connection, id: RunId) -> QueryResult<Result<Option<RunRow>, Error>> {
    let row: Option<Columns> =
        run::table.filter(run::id.eq(id.as_bytes().as_slice())).select(COLUMNS).first(connection).optional()?;
    Ok(row.map(from_columns).transpose())
}

/// The newest runs before that one, newest first.
pub(crate) fn run_list(
    connection: &mut Connection,
    before: Option<RunId>,
    n_max: i64,
) -> QueryResult<Result<Vec<RunRow>, Error>> {
    let newest = run::table.order(run::id.desc()).limit(n_max).select(COLUMNS);
    let rows: Vec<Columns> = match before {
        Some(before) => newest.filter(run::id.lt(before.as_bytes().to_vec())).load(connection)?,
        None => newest.load(connection)?,
    };
    Ok(rows.into_iter().map(from_columns).collect())
}

/// Makes that epoch the owner of all unfinished runs whose engine is gone, and returns those, oldest first. Must be
/// called in a transaction of the writer.
pub(crate) fn run_take_over(connection: &mut Connection, epoch: i64) -> QueryResult<Result<Vec<RunRow>, Error>> {
    owner::lock_epoch(connection)?;
    owner::owner_remove_dead(connection, epoch)?;
    let alive: Vec<i64> = schema::owner::table.select(schema::owner::epoch).load(connection)?;
    let orphans = run::table.filter(run::finished_at.is_null()).filter(run::owner_epoch.ne_all(alive));
    let rows: Vec<Columns> = orphans.clone().order(run::id).select(COLUMNS).load(connection)?;
    diesel::update(orphans).set(run::owner_epoch.eq(epoch)).execute(connection)?;
    Ok(rows.into_iter().map(from_columns).collect())
}

/// The newest runs that failed and that nobody dismissed, newest first.
pub(crate) fn run_list_failed(connection: &mut Connection, n_max: i64) -> QueryResult<Result<Vec<RunRow>, Error>> {
    let rows: Vec<Columns> = run::table
        .filter(run::state.eq(State::Failed.as_str()))
        .filter(run::dismissed_at.is_null())
        .order(run::id.desc())
        .limit(n_max)
        .select(COLUMNS)
        .load(connection)?;
    Ok(rows.into_iter().map(from_columns).collect())
}

/// The run that was submitted with that key.
pub(crate) fn run_by_key(connection: &mut Connection, key: &str) -> QueryResult<Result<Option<RunId>, Error>> {
    let id: Option<Vec<u8>> =
        run::table.filter(run::submission_key.eq(key)).select(run::id).first(connection).optional()?;
    Ok(id.map(|id| run_id(&id)).transpose())
}

/// Notes that somebody has seen that the run failed. Must be called in a transaction of the writer.
pub(crate) fn run_dismiss_in_txn(connection: &mut Connection, id: RunId, now: Timestamp) -> QueryResult<()> {
    diesel::update(run::table.filter(run::id.eq(id.as_bytes().as_slice())))
        .set(run::dismissed_at.eq(micros(now)))
        .execute(connection)?;
    Ok(())
}

pub(super) fn from_columns(columns: Columns) -> Result<RunRow, Error> {
    let (id, workflow, state_name, created_at, started_at, finished_at) = columns;
    Ok(RunRow {
        id: run_id(&id)?,
        workflow: workflow_id(&workflow)?,
        state: state(&state_name)?,
        created_at: timestamp(created_at),
        started_at: started_at.map(timestamp),
        finished_at: finished_at.map(timestamp),
    })
}
