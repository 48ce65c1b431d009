//! What retention looks at: the oldest runs of each class, the oldest lines, and how much there is of everything.
//!
//! Each question is answered by an index, so that it costs no more where a million runs are kept. Only counting goes
//! through all of them, and is for readers.

use cloacina_workflow::Timestamp;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    dsl::{count_star, max, sql},
    sql_types::Bool,
};

use super::{
    Connection, JobResult,
    row::{micros, run_id, timestamp, workflow_id},
    schema::{log, run},
};
use crate::{
    core::run::State,
    id::WorkflowId,
    retention::{Class, Finished, What},
};

/// Makes sure that only one engine removes at a time, to the end of the transaction; says whether it is this one.
/// The run that waits is the one in the end.
pub(crate) fn retention_lock_in_txn(connection: &mut Connection, waits: bool) -> QueryResult<bool> {
    /// Any number that no other program uses.
    const LOCK: i32 = 0x636c_6f61;
    match connection {
        // Nobody else writes to a file.
        Connection::Sqlite(_) => Ok(true),
        Connection::Postgres(connection) => {
            if waits {
                let lock = format!("SELECT pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))");
                connection.batch_execute(&lock)?;
                return Ok(true);
            }
            let lock = format!("pg_try_advisory_xact_lock({LOCK}, hashtext(current_schema()))");
            diesel::select(sql::<Bool>(&lock)).get_result(connection)
        }
    }
}

/// The oldest runs of a class that have not lost that yet, and that ended at that moment or later.
pub(crate) fn run_list_oldest(
    connection: &mut Connection,
    (what, class): (What, Class),
    from: Timestamp,
    n_max: i64,
) -> JobResult<Vec<Finished>> {
    let mut query = run::table
        .filter(sql::<Bool>(&condition(class)))
        .filter(run::state.eq(class.state().as_str()))
        .filter(run::finished_at.ge(micros(from)))
        .order(run::finished_at)
        .limit(n_max)
        .select((run::id, run::finished_at))
        .into_boxed();
    match what {
        What::Run => {}
        What::Events => query = query.filter(run::events_pruned_at.is_null()),
        What::Context => {
            query = query.filter(run::context_pruned_at.is_null().and(run::events_pruned_at.is_null()));
        }
    }
    let rows: Vec<(Vec<u8>, Option<i64>)> = query.load(connection)?;
    let finished = |(id, at): (Vec<u8>, Option<i64>)| {
        Ok(Finished { id: run_id(&id)?, class, finished_at: timestamp(at.unwrap_or_default()) })
    };
    rows.into_iter().map(finished).collect()
}

/// How many finished runs count against the limit of runs.
pub(crate) fn run_count_finished(connection: &mut Connection) -> QueryResult<u64> {
    let n_runs: i64 = run::table.filter(sql::<Bool>(&condition(Class::Completed))).count().get_result(connection)?;
    Ok(u64::try_from(n_runs).unwrap_or(0))
}

/// The oldest lines with the moments at which they were written, in order.
pub(crate) fn log_list_oldest(connection: &mut Connection, n_max: i64) -> QueryResult<Vec<(i64, Timestamp)>> {
    let rows: Vec<(i64, i64)> = log::table.order(log::id).limit(n_max).select((log::id, log::at)).load(connection)?;
    Ok(rows.into_iter().map(|(id, at)| (id, timestamp(at))).collect())
}

/// The number of the newest line; 0 without any.
pub(crate) fn log_newest(connection: &mut Connection) -> QueryResult<i64> {
    let newest: Option<i64> = log::table.select(max(log::id)).get_result(connection)?;
    Ok(newest.unwrap_or(0))
}

/// How many lines are at most as new as that one in number, or older than that moment.
pub(crate) fn log_count_due(connection: &mut Connection, up_to: i64, before: Option<Timestamp>) -> QueryResult<i64> {
    let before = before.map_or(i64::MIN, micros);
    log::table.filter(log::id.le(up_to).or(log::at.le(before))).count().get_result(connection)
}

/// How many runs of a class would lose that which ended at that moment or before, by workflow.
pub(crate) fn run_count_due(
    connection: &mut Connection,
    (what, class): (What, Class),
    until: Timestamp,
) -> JobResult<Vec<(WorkflowId, i64)>> {
    let mut due = run::table
        .group_by(run::workflow)
        .select((run::workflow, count_star()))
        .filter(sql::<Bool>(&condition(class)))
        .filter(run::state.eq(class.state().as_str()))
        .filter(run::finished_at.le(micros(until)))
        .into_boxed();
    match what {
        What::Run => {}
        What::Events => due = due.filter(run::events_pruned_at.is_null()),
        What::Context => due = due.filter(run::context_pruned_at.is_null().and(run::events_pruned_at.is_null())),
    }
    let rows: Vec<(Vec<u8>, i64)> = due.load(connection)?;
    rows.into_iter().map(|(workflow, n_runs)| Ok((workflow_id(&workflow)?, n_runs))).collect()
}

/// The condition of the index in which the class is found, word for word.
fn condition(class: Class) -> String {
    let failed = State::Failed.as_str();
    match class {
        Class::DeadLetter => format!("finished_at IS NOT NULL AND state = '{failed}' AND dismissed_at IS NULL"),
        _ => format!("finished_at IS NOT NULL AND (state <> '{failed}' OR dismissed_at IS NOT NULL)"),
    }
}
