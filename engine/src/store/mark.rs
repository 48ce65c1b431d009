//! What became of a commit whose answer was lost.
//!
//! Each transaction of a writer on a server begins by putting a number that the writer has not used before into the
//! writer's own row of `commit_mark`. Later the row says what became of the transaction: with that number in it the
//! transaction was committed. The row is locked until the transaction has ended, so the question waits for that end and
//! has one answer for good. The server's own numbers of transactions cannot be used instead: after a crash the server
//! gives numbers again that were not yet logged, and then they are of somebody else's transaction.

use diesel::{QueryResult, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt};
use uuid::Uuid;

use super::{Connection, owner::NOW};

/// A row that was not used for so long is left over from a writer that was killed. A writer that needs it makes it again.
const KEPT_DAYS: i64 = 1;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Plans for these statements are made once, when tables may still be empty, and are kept while tables grow. By the
/// prices, reading an empty table from end to end is right, and the plan would go on doing that for each group however
/// large the table becomes. The commits of a group look rows up by key and in no other way.
const BY_KEY: &str =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; ";

/// The row of one writer.
pub(super) struct Mark {
    writer: Uuid,
    /// The number of the last transaction.
    number: i64,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    RolledBack,
}

impl Mark {
    pub(super) fn new() -> Self {
        Self { writer: Uuid::now_v7(), number: 0 }
    }

    /// Prepares a new connection of the writer.
    pub(super) fn prepare(&self, connection: &mut Connection) -> QueryResult<()> {
        let Connection::Postgres(connection) = connection else { return Ok(()) };
        connection.batch_execute(&format!(
            "PREPARE put_mark (bigint) AS INSERT INTO commit_mark (writer, number, at) VALUES ({}, $1, {NOW}) \
             ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at",
            self.key()
        ))
    }

    /// The statements that begin a transaction on a server, in one message. `has_commits` says that the transaction
    /// writes commits of runs.
    pub(super) fn begin(&mut self, has_commits: bool) -> String {
        self.number += 1;
        let by_key = if has_commits { BY_KEY } else { "" };
        format!("BEGIN; {by_key}EXECUTE put_mark({})", self.number)
    }

    /// As [`Self::begin`], for a transaction of commits that travels as a whole; and the number by which its statements know
    /// that it has begun.
    pub(super) fn begin_flight(&mut self) -> (String, String) {
        let begin = self.begin(true);
        (format!("{begin}; SET LOCAL cloacina.mark = '{}'", self.number), self.number.to_string())
    }

    /// What became of the last transaction, whose COMMIT was sent on another connection. Waits until that transaction
    /// has ended, for as long as the connection waits for a lock.
    pub(super) fn fate(&self, connection: &mut Connection) -> QueryResult<Fate> {
        let Connection::Postgres(connection) = connection else { return Ok(Fate::RolledBack) };
        // Reading would not wait, and would not see a row that another transaction is about to insert.
        let touch = format!(
            "INSERT INTO commit_mark (writer, number, at) VALUES ({}, 0, {NOW}) \
             ON CONFLICT (writer) DO UPDATE SET at = excluded.at RETURNING number",
            self.key()
        );
        let Row { number } = sql_query(touch).get_result(connection)?;
        Ok(if number == self.number { Fate::Committed } else { Fate::RolledBack })
    }

    /// Removes the row. Nobody waits for the disk, as a row that is left over does no harm.
    pub(super) fn remove(&self, connection: &mut Connection) -> QueryResult<()> {
        let Connection::Postgres(connection) = connection else { return Ok(()) };
        let delete = format!("DELETE FROM commit_mark WHERE writer = {}", self.key());
        connection.batch_execute(&format!("SET synchronous_commit = off; {delete}"))
    }

    /// The key of the row as SQL that no setting of the server can change the meaning of.
    fn key(&self) -> String {
        format!("decode('{}', 'hex')", self.writer.simple())
    }
}

/// Removes rows of writers that are gone.
pub(super) fn mark_remove_old(connection: &mut Connection) -> QueryResult<()> {
    let Connection::Postgres(connection) = connection else { return Ok(()) };
    // A row that is locked is in use.
    let old =
        format!("SELECT writer FROM commit_mark WHERE at < {NOW} - {} FOR UPDATE SKIP LOCKED", KEPT_DAYS * DAY_US);
    connection.batch_execute(&format!("DELETE FROM commit_mark WHERE writer IN ({old})"))
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    number: i64,
}
