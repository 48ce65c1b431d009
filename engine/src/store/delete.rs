//! Removing runs, or parts of them, in small transactions that nothing has to wait for.
//!
//! - **Enlisted, then swept.** One transaction notes what is to go: a deleted run is in no list from then on, and one
//!   that loses its history or context says so. Others remove the rows, a bounded number each.
//! - **Interrupted without harm.** What was enlisted stays so until the last of its rows is gone, whichever engine sweeps.
//! - Only runs that have ended are touched.

use cloacina_workflow::Timestamp;
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection, Kind,
    row::micros,
    schema::{event, log, package, removal, run, workflow},
};
use crate::{id::RunId, retention::What};

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) n_rows: usize,
    /// Whether something that was enlisted is left.
    pub(crate) is_more: bool,
}

/// The events that hold what a run and its tasks wrote.
const CONTEXT_KINDS: [Kind; 3] = [Kind::RunCreated, Kind::TaskCompleted, Kind::TaskReused];

/// Notes that so much of those runs is to go, and returns how many of them had it and have ended. Must be called in a
/// transaction of the writer.
pub(crate) fn removal_enlist_in_txn(
    connection: &mut Connection,
    what: What,
    runs: &[RunId],
    now: Timestamp,
) -> QueryResult<usize> {
    let mut n_enlisted = 0;
    for id in runs {
        let id = id.as_bytes().as_slice();
        let ended = run::table.filter(run::id.eq(id)).filter(run::finished_at.is_not_null());
        let n_changed = match what {
            What::Run => diesel::delete(ended).execute(connection)?,
            What::Events => diesel::update(ended.filter(run::events_pruned_at.is_null()))
                .set(run::events_pruned_at.eq(micros(now)))
                .execute(connection)?,
            What::Context => diesel::update(ended.filter(run::context_pruned_at.is_null()))
                .set(run::context_pruned_at.eq(micros(now)))
                .execute(connection)?,
        };
        if n_changed == 1 {
            let row = (removal::run.eq(id), removal::what.eq(name(what)));
            diesel::insert_into(removal::table).values(row).execute(connection)?;
            n_enlisted += 1;
        }
    }
    Ok(n_enlisted)
}

/// Removes rows of what is enlisted, at most so many. Must be called in a transaction of the writer.
pub(crate) fn removal_sweep_in_txn(connection: &mut Connection, n_rows_max: usize) -> QueryResult<Swept> {
    let mut swept = Swept::default();
    while swept.n_rows < n_rows_max {
        let next: Option<(Vec<u8>, String)> = removal::table.order(removal::run).first(connection).optional()?;
        let Some((id, what)) = next else { return Ok(swept) };
        let n_left = n_rows_max - swept.n_rows;
        let n_removed = match what.as_str() {
            "context" => context_clear(connection, &id, n_left)?,
            "events" => event_delete(connection, &id, n_left)?,
            _ => match event_delete(connection, &id, n_left)? {
                n_events if n_events < n_left => n_events + log_delete(connection, &id, n_left - n_events)?,
                n_events => n_events,
            },
        };
        swept.n_rows += n_removed;
        if n_removed < n_left {
            // Its own row is one of those that are removed.
            swept.n_rows += 1;
            diesel::delete(removal::table.find((id, what))).execute(connection)?;
        }
    }
    swept.is_more = removal::table.count().get_result::<i64>(connection)? > 0;
    Ok(swept)
}

/// Removes the lines up to that one, which are the oldest. Must be called in a transaction of the writer.
pub(crate) fn log_delete_in_txn(connection: &mut Connection, up_to: i64) -> QueryResult<usize> {
    diesel::delete(log::table.filter(log::id.le(up_to))).execute(connection)
}

/// Removes the descriptions of workflows that no run refers to and whose package is not registered any more. Those
/// that are compiled into programs stay, as some program may be about to run them. Must be called in a transaction of
/// the writer.
pub(crate) fn workflow_delete_unused_in_txn(connection: &mut Connection) -> QueryResult<usize> {
    let registered = package::table
        .filter(package::tenant.eq(workflow::tenant).and(package::digest.eq(workflow::digest)))
        .select(package::digest);
    let ids: Vec<Vec<u8>> = workflow::table
        .filter(workflow::digest.ne(Vec::<u8>::new()))
        .filter(diesel::dsl::not(diesel::dsl::exists(registered)))
        .select(workflow::id)
        .load(connection)?;
    let mut n_removed = 0;
    for id in ids {
        let user: Option<Vec<u8>> =
            run::table.filter(run::workflow.eq(&id)).select(run::id).first(connection).optional()?;
        if user.is_none() {
            n_removed += diesel::delete(workflow::table.find(id)).execute(connection)?;
        }
    }
    Ok(n_removed)
}

/// The oldest events of a run, at most so many.
fn event_delete(connection: &mut Connection, run: &[u8], n_max: usize) -> QueryResult<usize> {
    let of_run = event::table.filter(event::run.eq(run));
    let first: Option<i64> = of_run.order(event::sequence).select(event::sequence).first(connection).optional()?;
    let Some(first) = first else { return Ok(0) };
    // Numbers have no gaps.
    let end = first.saturating_add(i64::try_from(n_max).unwrap_or(i64::MAX));
    diesel::delete(of_run.filter(event::sequence.lt(end))).execute(connection)
}

/// The oldest lines of a run, at most so many.
fn log_delete(connection: &mut Connection, run: &[u8], n_max: usize) -> QueryResult<usize> {
    let of_run = log::table.filter(log::run.eq(run));
    let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
    let end: Option<i64> = of_run.order(log::id).select(log::id).offset(n_max).first(connection).optional()?;
    diesel::delete(of_run.filter(log::id.lt(end.unwrap_or(i64::MAX)))).execute(connection)
}

/// Takes away what was written, from the oldest events that have something, at most so many.
fn context_clear(connection: &mut Connection, run: &[u8], n_max: usize) -> QueryResult<usize> {
    let filled = event::table
        .filter(event::run.eq(run))
        .filter(event::kind.eq_any(CONTEXT_KINDS.map(Kind::as_str)))
        .filter(event::payload.is_not_null());
    let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
    let end: Option<i64> =
        filled.clone().order(event::sequence).select(event::sequence).offset(n_max).first(connection).optional()?;
    diesel::update(filled.filter(event::sequence.lt(end.unwrap_or(i64::MAX))))
        .set(event::payload.eq(None::<Vec<u8>>))
        .execute(connection)
}

/// The name in the column.
fn name(what: What) -> &'static str {
    match what {
        What::Run => "run",
        What::Events => "events",
        What::Context => "context",
    }
}
