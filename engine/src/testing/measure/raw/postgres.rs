//! PostgreSQL by its bare client: statements that are prepared once and take whole arrays, in binary.
//!
//! A transaction is its beginning, one statement for each table that it changes, and its commit, each waited for.

use std::future::Future;

use tokio_postgres::{Statement, types::ToSql};

use crate::{
    store::{Commit, EventRow, LEASE_DEFAULT, Link, Server, server_settings, words},
    testing::measure::MeasureError,
};

const INSERT_RUNS: &str = "INSERT INTO run (id, workflow, state, owner_epoch, created_at, started_at) \
     SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])";
const INSERT_EVENTS: &str = "INSERT INTO event (run, sequence, kind, task, attempt, at, started_at, payload) \
     SELECT * FROM unnest(\
     $1::bytea[], $2::bigint[], $3::text[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[], $8::bytea[])";
const UPDATE_RUNS: &str = "UPDATE run SET state = new.state, started_at = new.started_at, finished_at = new.finished_at \
     FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[]) AS new (id, state, started_at, finished_at) \
     WHERE run.id = new.id";

/// A connection, set up as the writer's.
pub(in crate::testing::measure) struct Postgres {
    link: Link,
    prepared: Option<Prepared>,
}

struct Prepared {
    insert_runs: Statement,
    insert_events: Statement,
    update_runs: Statement,
}

/// The values of a statement.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Postgres {
    pub(in crate::testing::measure) fn open(server: &Server) -> Result<Self, MeasureError> {
        const DOING: &str = "connecting to PostgreSQL";
        let failed = |message: String| MeasureError::Database { doing: DOING, message };
        let config = server.config().map_err(|error| failed(error.to_string()))?;
        let link = Link::open(&config).map_err(|error| failed(format!("{}: {error}", server.name())))?;
        let mut connection = Self { link, prepared: None };
        connection.execute("preparing a connection", &server_settings(LEASE_DEFAULT))?;
        Ok(connection)
    }

    /// Executes statements that take nothing and return nothing.
    pub(in crate::testing::measure) fn execute(
        &mut self,
        doing: &'static str,
        statements: &str,
    ) -> Result<(), MeasureError> {
        self.wait(doing, self.link.client().batch_execute(statements))
    }

    /// The version of the server as one number: 170002 for 17.2.
    pub(in crate::testing::measure) fn version(&self) -> Result<i32, MeasureError> {
        const DOING: &str = "asking for the version of PostgreSQL";
        let row = self
            .wait(DOING, self.link.client().query_one("SELECT current_setting('server_version_num')::integer", &[]))?;
        Ok(row.get(0))
    }

    pub(super) fn prepare_all(&mut self) -> Result<(), MeasureError> {
        let prepare = |sql| self.wait("preparing a statement", self.link.client().prepare(sql));
        self.prepared = Some(Prepared {
            insert_runs: prepare(INSERT_RUNS)?,
            insert_events: prepare(INSERT_EVENTS)?,
            update_runs: prepare(UPDATE_RUNS)?,
        });
        Ok(())
    }

    /// Writes the commits in one transaction.
    pub(super) fn write(&mut self, commits: &[&Commit]) -> Result<(), MeasureError> {
        const DOING: &str = "writing to PostgreSQL";
        self.execute(DOING, "BEGIN")?;
        let new: Vec<_> = commits.iter().filter_map(|one| one.create.as_ref().map(|new| (*one, new))).collect();
        if !new.is_empty() {
            self.run(
                |prepared| &prepared.insert_runs,
                &[
                    &all(&new, |(commit, _)| &commit.run.as_bytes()[..]),
                    &all(&new, |(_, new)| &new.workflow.as_bytes()[..]),
                    &all(&new, |(_, new)| new.state.as_str()),
                    &all(&new, |(commit, _)| commit.epoch),
                    &all(&new, |(_, new)| micros(Some(new.created_at))),
                    &all(&new, |(_, new)| micros(new.started_at)),
                ],
            )?;
        }
        let events = || commits.iter().flat_map(|one| one.events.iter().map(|event| (*one, event)));
        let rows: Vec<(&Commit, &EventRow)> = events().collect();
        self.run(
            |prepared| &prepared.insert_events,
            &[
                &all(&rows, |(commit, _)| &commit.run.as_bytes()[..]),
                &all(&rows, |(_, event)| event.sequence),
                &all(&rows, |(_, event)| event.kind.as_str()),
                &all(&rows, |(_, event)| event.task),
                &all(&rows, |(_, event)| event.attempt),
                &all(&rows, |(_, event)| micros(Some(event.at))),
                &all(&rows, |(_, event)| micros(event.started_at)),
                &all(&rows, |(_, event)| event.payload.as_deref()),
            ],
        )?;
        let ended: Vec<_> = commits.iter().filter_map(|one| one.update.map(|update| (*one, update))).collect();
        if !ended.is_empty() {
            self.run(
                |prepared| &prepared.update_runs,
                &[
                    &all(&ended, |(commit, _)| &commit.run.as_bytes()[..]),
                    &all(&ended, |(_, update)| update.state.as_str()),
                    &all(&ended, |(_, update)| micros(update.started_at)),
                    &all(&ended, |(_, update)| micros(update.finished_at)),
                ],
            )?;
        }
        self.execute(DOING, "COMMIT")
    }

    fn run(&self, statement: fn(&Prepared) -> &Statement, values: Values<'_>) -> Result<(), MeasureError> {
        const DOING: &str = "executing a statement";
        let Some(prepared) = &self.prepared else {
            return Err(MeasureError::Database { doing: DOING, message: "nothing is prepared".to_owned() });
        };
        self.wait(DOING, self.link.client().execute(statement(prepared), values)).map(drop)
    }

    fn wait<T: Send>(
        &self,
        doing: &'static str,
        future: impl Future<Output = Result<T, tokio_postgres::Error>> + Send,
    ) -> Result<T, MeasureError> {
        self.link.wait(future).map_err(|error| MeasureError::Database { doing, message: words(&error) })
    }
}

fn all<'a, R, T>(rows: &'a [R], column: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

fn micros(at: Option<cloacina_workflow::Timestamp>) -> Option<i64> {
    at.map(|at| i64::try_from(at.unix_micros()).unwrap_or(i64::MAX))
}
