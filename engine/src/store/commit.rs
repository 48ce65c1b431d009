//! One commit: the durable part of one decision about one run, and how it ended.
//!
//! How commits are written differs between the databases, as speed counts here: single rows by cached statements on
//! SQLite, arrays of rows on PostgreSQL. What they mean does not differ.

use std::sync::Arc;

use cloacina_workflow::Timestamp;
use diesel::QueryResult;

use super::{Connection, Error, EventRow, commit_postgres, commit_sqlite};
use crate::{
    core::run,
    id::{RunId, WorkflowId},
};

/// What one decision changes about one run.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) run: RunId,
    /// The fencing number under which the decision was made.
    pub(crate) epoch: i64,
    /// Higher each time that commits of the run which the store refused are handed over again.
    pub(crate) term: u32,
    /// Set for the first commit of a run.
    pub(crate) create: Option<NewRun>,
    /// In sequence. If one of them ends an attempt, that one comes first.
    pub(crate) events: Vec<EventRow>,
    /// Set when the run's own state changed after its creation.
    pub(crate) update: Option<RunUpdate>,
}

/// A run's first row.
#[derive(Debug)]
pub(crate) struct NewRun {
    pub(crate) workflow: WorkflowId,
    pub(crate) state: run::State,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    /// No two runs have the same.
    pub(crate) key: Option<String>,
    /// The actor that asked for it.
    pub(crate) by: Option<String>,
}

/// A later state of a run; a time that is absent stays as it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunUpdate {
    pub(crate) state: run::State,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is on the disk.
    Committed,
    /// Another epoch owns the run; nothing was written.
    Fenced,
    /// The attempt has an end already, or the key of a new run is taken; nothing was written.
    Duplicate,
    /// The database refused it; nothing was written. It is given back to be handed over again.
    Failed(Arc<Error>, Option<Box<Commit>>),
}

impl Commit {
    /// How many rows it touches.
    pub(crate) fn n_rows(&self) -> usize {
        self.events.len() + usize::from(self.create.is_some()) + usize::from(self.update.is_some())
    }
}

/// Writes the commits in their order inside an open transaction.
///
/// # Errors
/// After an error the transaction must be rolled back, as a part of the commits may have been written.
pub(super) fn write_in_txn(connection: &mut Connection, commits: &[&Commit]) -> QueryResult<Vec<Outcome>> {
    match connection {
        Connection::Sqlite(connection) => commit_sqlite::write_in_txn(connection, commits),
        Connection::Postgres(connection) => commit_postgres::write_in_txn(connection, commits),
    }
}
