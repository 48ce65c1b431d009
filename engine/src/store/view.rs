//! Looking at a database without being its engine, whether or not one drives it at the moment.
//!
//! A view takes no lock, starts no thread and changes nothing. Its queries see what was durable when each began.

use std::collections::HashMap;

use cloacina_workflow::Timestamp;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    dsl::{count_star, sql},
    sql_types::{Binary, Nullable},
};

use super::{
    Connection, Error, JobError, JobResult,
    connection::Place,
    database::Database,
    file::File,
    lock, migrate, owner,
    reader::Reader,
    row::{run_id, state, timestamp, workflow_id},
    schema::{owner as owner_table, run, workflow},
};
use crate::{
    core::run::State,
    id::{RunId, Scope, WorkflowId},
};

/// A connection for looking at a database.
#[derive(Debug)]
pub(crate) struct View {
    pub(super) reader: Reader,
}

impl View {
    /// Opens a database for looking at it.
    ///
    /// # Errors
    /// [`Error::Absent`] if there is none; [`Error::NewerSchema`] and [`Error::Migrate`] if another version wrote it.
    pub(crate) fn open(database: &Database) -> Result<Self, Error> {
        let place = match database {
            Database::Sqlite(path) => {
                let file = File::open(path)?.ok_or_else(|| {
                    // Opening it would make one.
                    let reason = if path.exists() { "the file is empty" } else { "there is no such file" };
                    Error::Absent { database: database.name(), reason }
                })?;
                file.check_names()?;
                Place::File(file)
            }
            Database::Postgres(server) => Place::Server(server.clone()),
        };
        let mut reader = Reader::new(place);
        reader.read("looking at the schema", |connection| migrate::check(connection, database))?;
        Ok(Self { reader })
    }

    /// Runs a query, again and on another connection if a server is lost meanwhile.
    pub(crate) fn read<T, E: Into<JobError>>(
        &mut self,
        doing: &'static str,
        query: impl FnMut(&mut Connection) -> Result<T, E>,
    ) -> Result<T, Error> {
        self.reader.read(doing, query)
    }

    /// Whether an engine drives the database now, and in which process where that is known.
    pub(crate) fn engine_find(&mut self) -> Result<Option<Option<u32>>, Error> {
        if let Place::File(file) = &self.reader.place {
            return Ok(lock::owner_find(file));
        }
        let alive = self.read("looking for an engine", owner::owner_list_alive)?;
        Ok((!alive.is_empty()).then_some(None))
    }

    /// Whether an engine has the file; nothing if the database is on a server.
    pub(crate) fn is_file_driven(&self) -> Option<bool> {
        match &self.reader.place {
            Place::File(file) => Some(lock::owner_find(file).is_some()),
            Place::Server(_) => None,
        }
    }

    /// Whether the database is a file, which has one engine.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.reader.place, Place::File(_))
    }
}

/// Whether the run belongs to an engine that lives, on a server.
pub(crate) fn run_is_driven(connection: &mut Connection, id: RunId) -> QueryResult<bool> {
    let alive = owner::owner_list_alive(connection)?;
    let driven = run::table.filter(run::id.eq(id.as_bytes().as_slice())).filter(run::owner_epoch.eq_any(alive));
    Ok(driven.count().get_result::<i64>(connection)? > 0)
}

/// The engine that drives a run, as it has told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerRow {
    pub(crate) host: Option<String>,
    pub(crate) pid: Option<i64>,
    pub(crate) lease_until: Option<Timestamp>,
    /// Whether that moment has passed, by the server's clock.
    pub(crate) is_overdue: bool,
}

/// Who owns a run and has not ended, whether or not its lease still lasts.
pub(crate) fn owner_of_run(connection: &mut Connection, id: RunId) -> QueryResult<Option<OwnerRow>> {
    let epoch: Option<i64> = run::table
        .filter(run::id.eq(id.as_bytes().as_slice()))
        .select(run::owner_epoch)
        .get_result(connection)
        .optional()?;
    let Some(epoch) = epoch else { return Ok(None) };
    let row: Option<(Option<String>, Option<i64>, Option<i64>)> = owner_table::table
        .filter(owner_table::epoch.eq(epoch))
        .filter(owner_table::ended.is_null())
        .select((owner_table::host, owner_table::pid, owner_table::lease_until))
        .get_result(connection)
        .optional()?;
    let is_overdue = owner::owner_is_overdue(connection, epoch)?;
    Ok(row.map(|(host, pid, lease_until)| OwnerRow { host, pid, lease_until: lease_until.map(timestamp), is_overdue }))
}

/// How many runs of each workflow are in each state. Those that have ended are counted by the index `run_workflow`.
pub(crate) fn run_count_by_state(connection: &mut Connection) -> JobResult<Vec<(WorkflowId, State, u64)>> {
    type Counted = (Vec<u8>, String, i64);
    let grouped = || run::table.group_by((run::workflow, run::state)).select((run::workflow, run::state, count_star()));
    let mut counted: Vec<Counted> = grouped().filter(run::finished_at.is_not_null()).load(connection)?;
    counted.extend(grouped().filter(run::finished_at.is_null()).load::<Counted>(connection)?);
    let counts = counted.into_iter().map(|(workflow, of, n_runs)| {
        Ok((workflow_id(&workflow)?, state(&of)?, u64::try_from(n_runs).unwrap_or_default()))
    });
    counts.collect()
}

/// The ids right before and right after that of each run whose tenant is in the scope, in the order of ids.
pub(crate) fn run_list_neighbors(
    connection: &mut Connection,
    scope: &Scope,
    runs: &[RunId],
) -> JobResult<HashMap<RunId, Vec<RunId>>> {
    let nearest = |comparison: &str, order: &str| {
        sql::<Nullable<Binary>>(&format!(
            "(SELECT other.id FROM run AS other WHERE other.id {comparison} run.id ORDER BY other.id {order} LIMIT 1)"
        ))
    };
    type Neighbors = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);
    let asked = run::table.filter(run::id.eq_any(runs.iter().map(|id| id.as_bytes().to_vec()))).select((
        run::id,
        nearest("<", "DESC"),
        nearest(">", "ASC"),
    ));
    let rows: Vec<Neighbors> = match scope {
        Scope::Every => asked.load(connection)?,
        Scope::Tenant(tenant) => {
            let its = workflow::table.filter(workflow::tenant.eq(&**tenant)).select(workflow::id);
            asked.filter(run::workflow.eq_any(its)).load(connection)?
        }
    };
    let neighbors = rows.into_iter().map(|(id, before, after)| {
        let near = before.iter().chain(&after).map(|id| run_id(id)).collect::<Result<_, _>>()?;
        Ok((run_id(&id)?, near))
    });
    neighbors.collect()
}
