//! How commits are written to SQLite: row by row, by statements that are prepared once.
//!
//! Everything on this path is a query fragment with a static id, so that its statement is prepared once for each
//! connection; diesel's own inserts and updates would be built and prepared anew every time. Nothing here reads
//! more than it must: the epoch of a run is checked once in each call.

use std::collections::HashSet;

use diesel::{
    OptionalExtension, QueryResult, RunQueryDsl, SqliteConnection,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::Error as DieselError,
    sql_types::{BigInt, Binary, Integer, Nullable, Text},
    sqlite::Sqlite,
};

use super::{
    EventRow,
    commit::{Commit, NewRun, Outcome},
    row::micros,
};
use crate::{core::run, id::RunId};

/// The runs and the epochs that were found to own them.
type Checked = HashSet<(RunId, i64)>;

pub(super) fn write_in_txn(connection: &mut SqliteConnection, commits: &[&Commit]) -> QueryResult<Vec<Outcome>> {
    let mut checked = Checked::default();
    commits.iter().map(|commit| write_one(commit, connection, &mut checked)).collect()
}

fn write_one(commit: &Commit, connection: &mut SqliteConnection, checked: &mut Checked) -> QueryResult<Outcome> {
    let owned = (commit.run, commit.epoch);
    match &commit.create {
        Some(new) => {
            let (created_at, started_at) = (micros(new.created_at), new.started_at.map(micros));
            let insert = InsertRun { run: commit.run, epoch: commit.epoch, new, created_at, started_at };
            if insert.execute(connection)? == 0 {
                return Ok(Outcome::Duplicate);
            }
        }
        None if checked.contains(&owned) => {}
        None => {
            let check = CheckEpoch { run: commit.run, epoch: commit.epoch };
            if check.get_result::<i64>(connection).optional()?.is_none() {
                return Ok(Outcome::Fenced);
            }
        }
    }
    checked.insert(owned);
    for (position, event) in commit.events.iter().enumerate() {
        let (at, started_at) = (micros(event.at), event.started_at.map(micros));
        match (InsertEvent { run: commit.run, event, at, started_at }).execute(connection)? {
            0 if position == 0 && commit.create.is_none() => return Ok(Outcome::Duplicate),
            0 => return Err(DieselError::RollbackTransaction),
            _ => {}
        }
    }
    if let Some(update) = &commit.update {
        UpdateRun {
            run: commit.run,
            epoch: commit.epoch,
            state: update.state,
            started_at: update.started_at.map(micros),
            finished_at: update.finished_at.map(micros),
        }
        .execute(connection)?;
    }
    Ok(Outcome::Committed)
}

struct InsertRun<'a> {
    run: RunId,
    epoch: i64,
    new: &'a NewRun,
    created_at: i64,
    started_at: Option<i64>,
}

struct InsertEvent<'a> {
    run: RunId,
    event: &'a EventRow,
    at: i64,
    started_at: Option<i64>,
}

struct UpdateRun {
    run: RunId,
    epoch: i64,
    state: run::State,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

struct CheckEpoch {
    run: RunId,
    epoch: i64,
}

/// Gives a fragment a static id and what diesel needs to execute it.
macro_rules! cached_statement {
    ($name:ty, $id:ty) => {
        impl QueryId for $name {
            type QueryId = $id;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
        impl RunQueryDsl<SqliteConnection> for $name {}
    };
}

cached_statement!(InsertRun<'_>, InsertRun<'static>);
cached_statement!(InsertEvent<'_>, InsertEvent<'static>);
cached_statement!(UpdateRun, UpdateRun);
cached_statement!(CheckEpoch, CheckEpoch);

impl QueryFragment<Sqlite> for InsertRun<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO run (id, workflow, state, owner_epoch, created_at, started_at, submission_key, created_by) \
             VALUES (",
        );
        out.push_bind_param::<Binary, [u8]>(self.run.as_bytes())?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(self.new.workflow.as_bytes())?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(self.new.state.as_str())?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&self.epoch)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&self.created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(&self.started_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, Option<String>>(&self.new.key)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, Option<String>>(&self.new.by)?;
        out.push_sql(") ON CONFLICT DO NOTHING");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for InsertEvent<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO event (run, sequence, kind, task, attempt, at, started_at, payload, cpu_us, peak_bytes) VALUES (");
        out.push_bind_param::<Binary, [u8]>(self.run.as_bytes())?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&self.event.sequence)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(self.event.kind.as_str())?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Integer>, Option<i32>>(&self.event.task)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Integer>, Option<i32>>(&self.event.attempt)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&self.at)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(&self.started_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Binary>, Option<Vec<u8>>>(&self.event.payload)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(&self.event.cpu_us)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(&self.event.peak_bytes)?;
        out.push_sql(") ON CONFLICT DO NOTHING");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for UpdateRun {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE run SET state = ");
        out.push_bind_param::<Text, str>(self.state.as_str())?;
        out.push_sql(", started_at = coalesce(");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(&self.started_at)?;
        out.push_sql(", started_at), finished_at = coalesce(");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(&self.finished_at)?;
        out.push_sql(", finished_at) WHERE id = ");
        out.push_bind_param::<Binary, [u8]>(self.run.as_bytes())?;
        out.push_sql(" AND owner_epoch = ");
        out.push_bind_param::<BigInt, i64>(&self.epoch)?;
        Ok(())
    }
}

impl QueryFragment<Sqlite> for CheckEpoch {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT owner_epoch FROM run WHERE id = ");
        out.push_bind_param::<Binary, [u8]>(self.run.as_bytes())?;
        out.push_sql(" AND owner_epoch = ");
        out.push_bind_param::<BigInt, i64>(&self.epoch)?;
        Ok(())
    }
}

impl Query for CheckEpoch {
    type SqlType = BigInt;
}
