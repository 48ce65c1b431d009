//! PostgreSQL through its C client library: statements that are prepared once and take whole arrays, in binary.
//!
//! A transaction is its beginning, one statement for each table that it changes, and its commit, each waited for.
//! What the server says of an address may hold a password, which is taken out before it is told.

use std::{
    ffi::{CStr, CString, c_char, c_int},
    ptr,
};

use pq_sys as ffi;

use super::array::{Array, binary, integers, numbers, texts};
use crate::{
    store::{Commit, EventRow, LEASE_DEFAULT, Server, server_settings},
    testing::measure::MeasureError,
};

const INSERT_RUNS: (&CStr, &str) = (
    c"insert_runs",
    "INSERT INTO run (id, workflow, state, owner_epoch, created_at, started_at) \
     SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])",
);
const INSERT_EVENTS: (&CStr, &str) = (
    c"insert_events",
    "INSERT INTO event (run, sequence, kind, task, attempt, at, started_at, payload) SELECT * FROM unnest(\
     $1::bytea[], $2::bigint[], $3::text[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[], $8::bytea[])",
);
const UPDATE_RUNS: (&CStr, &str) = (
    c"update_runs",
    "UPDATE run SET state = new.state, started_at = new.started_at, finished_at = new.finished_at \
     FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[]) AS new (id, state, started_at, finished_at) \
     WHERE run.id = new.id",
);

/// A connection, set up as the writer's.
pub(in crate::testing::measure) struct Postgres {
    raw: *mut ffi::PGconn,
}

impl Postgres {
    pub(in crate::testing::measure) fn open(server: &Server) -> Result<Self, MeasureError> {
        let url = text(&server.connection_url())?;
        // SAFETY: the address ends with a zero.
        let raw = unsafe { ffi::PQconnectdb(url.as_ptr()) };
        let mut connection = Self { raw };
        // SAFETY: it answers for a connection that is null, too.
        if unsafe { ffi::PQstatus(raw) } != ffi::ConnStatusType::CONNECTION_OK {
            let message = server.scrub(&connection.message());
            return Err(MeasureError::Database { doing: "connecting to PostgreSQL", message });
        }
        connection.execute("preparing a connection", &server_settings(LEASE_DEFAULT))?;
        Ok(connection)
    }

    /// Executes statements that take nothing and return nothing.
    pub(in crate::testing::measure) fn execute(
        &mut self,
        doing: &'static str,
        statements: &str,
    ) -> Result<(), MeasureError> {
        let statements = text(statements)?;
        // SAFETY: the connection is open and the text ends with a zero.
        let result = unsafe { ffi::PQexec(self.raw, statements.as_ptr()) };
        self.check(doing, result)
    }

    /// The version of the server as one number: 170002 for 17.2.
    pub(in crate::testing::measure) fn version(&self) -> c_int {
        // SAFETY: the connection is open.
        unsafe { ffi::PQserverVersion(self.raw) }
    }

    pub(super) fn prepare_all(&mut self) -> Result<(), MeasureError> {
        for (name, sql) in [INSERT_RUNS, INSERT_EVENTS, UPDATE_RUNS] {
            let sql = text(sql)?;
            // SAFETY: the connection is open, both texts end with a zero, and the types stand in the statement.
            let result = unsafe { ffi::PQprepare(self.raw, name.as_ptr(), sql.as_ptr(), 0, ptr::null()) };
            self.check("preparing a statement", result)?;
        }
        Ok(())
    }

    /// Writes the commits in one transaction.
    pub(super) fn write(&mut self, commits: &[&Commit]) -> Result<(), MeasureError> {
        const DOING: &str = "writing to PostgreSQL";
        self.execute(DOING, "BEGIN")?;
        let new: Vec<_> = commits.iter().filter_map(|one| one.create.as_ref().map(|new| (*one, new))).collect();
        if !new.is_empty() {
            self.run(
                INSERT_RUNS.0,
                &[
                    binary(new.iter().map(|(commit, _)| Some(&commit.run.as_bytes()[..]))),
                    binary(new.iter().map(|(_, new)| Some(&new.workflow.as_bytes()[..]))),
                    texts(new.iter().map(|(_, new)| new.state.as_str())),
                    numbers(new.iter().map(|(commit, _)| Some(commit.epoch))),
                    numbers(new.iter().map(|(_, new)| micros(Some(new.created_at)))),
                    numbers(new.iter().map(|(_, new)| micros(new.started_at))),
                ],
            )?;
        }
        let events = || commits.iter().flat_map(|one| one.events.iter().map(|event| (*one, event)));
        let rows: Vec<(&Commit, &EventRow)> = events().collect();
        self.run(
            INSERT_EVENTS.0,
            &[
                binary(rows.iter().map(|(commit, _)| Some(&commit.run.as_bytes()[..]))),
                numbers(rows.iter().map(|(_, event)| Some(event.sequence))),
                texts(rows.iter().map(|(_, event)| event.kind.as_str())),
                integers(rows.iter().map(|(_, event)| event.task)),
                integers(rows.iter().map(|(_, event)| event.attempt)),
                numbers(rows.iter().map(|(_, event)| micros(Some(event.at)))),
                numbers(rows.iter().map(|(_, event)| micros(event.started_at))),
                binary(rows.iter().map(|(_, event)| event.payload.as_deref())),
            ],
        )?;
        let ended: Vec<_> = commits.iter().filter_map(|one| one.update.map(|update| (*one, update))).collect();
        if !ended.is_empty() {
            self.run(
                UPDATE_RUNS.0,
                &[
                    binary(ended.iter().map(|(commit, _)| Some(&commit.run.as_bytes()[..]))),
                    texts(ended.iter().map(|(_, update)| update.state.as_str())),
                    numbers(ended.iter().map(|(_, update)| micros(update.started_at))),
                    numbers(ended.iter().map(|(_, update)| micros(update.finished_at))),
                ],
            )?;
        }
        self.execute(DOING, "COMMIT")
    }

    fn run(&mut self, statement: &CStr, arrays: &[Array]) -> Result<(), MeasureError> {
        let values: Vec<*const c_char> = arrays.iter().map(|array| array.as_ptr().cast()).collect();
        let lengths: Vec<c_int> =
            arrays.iter().map(|array| c_int::try_from(array.len()).unwrap_or(c_int::MAX)).collect();
        let formats = vec![1; arrays.len()];
        let n_arrays = c_int::try_from(arrays.len()).unwrap_or(0);
        // SAFETY: the connection is open, and the three lists have as many entries as they are said to have, of
        // arrays that outlive the call.
        let result = unsafe {
            ffi::PQexecPrepared(
                self.raw,
                statement.as_ptr(),
                n_arrays,
                values.as_ptr(),
                lengths.as_ptr(),
                formats.as_ptr(),
                1,
            )
        };
        self.check("executing a statement", result)
    }

    fn check(&self, doing: &'static str, result: *mut ffi::PGresult) -> Result<(), MeasureError> {
        // SAFETY: it answers for a result that is null, too.
        let status = unsafe { ffi::PQresultStatus(result) };
        // SAFETY: it takes what is null, too, and the result is used by nobody else.
        unsafe { ffi::PQclear(result) };
        match status {
            ffi::ExecStatusType::PGRES_COMMAND_OK | ffi::ExecStatusType::PGRES_TUPLES_OK => Ok(()),
            _ => Err(MeasureError::Database { doing, message: self.message() }),
        }
    }

    fn message(&self) -> String {
        // SAFETY: it answers for a connection that is null, too.
        let message = unsafe { ffi::PQerrorMessage(self.raw) };
        // SAFETY: it is never null, ends with a zero and is copied before the connection is used again.
        let message = unsafe { CStr::from_ptr(message) };
        message.to_string_lossy().trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SAFETY: the connection is closed nowhere else.
        unsafe { ffi::PQfinish(self.raw) };
    }
}

fn micros(at: Option<cloacina_workflow::Timestamp>) -> Option<i64> {
    at.map(|at| i64::try_from(at.unix_micros()).unwrap_or(i64::MAX))
}

fn text(text: &str) -> Result<CString, MeasureError> {
    CString::new(text)
        .map_err(|error| MeasureError::Database { doing: "talking to PostgreSQL", message: error.to_string() })
}
