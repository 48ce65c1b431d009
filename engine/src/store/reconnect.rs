//! What happens when a server is lost: how often it is tried again, and how a commit is found out about whose answer
//! never came.
//!
//! PostgreSQL remembers for each transaction whether it was committed. Its number is asked for at the beginning, so
//! that the question can be put on another connection.

use std::time::Duration;

use diesel::{QueryResult, RunQueryDsl, dsl::sql, sql_types};

use super::Connection;

/// Pauses between tries. Together they outlast the restart of a server, and are well below what a person waits for.
const PAUSES_MS: [u64; 7] = [0, 50, 200, 500, 1000, 2000, 4000];

/// The tries that are left.
pub(super) struct Reconnect {
    pauses: std::array::IntoIter<u64, { PAUSES_MS.len() }>,
}

/// The time until the next try.
pub(super) struct Pause(Duration);

/// The number of a transaction on a server.
pub(super) struct Transaction {
    id: i64,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    RolledBack,
    /// The server has not noticed yet that its client is gone.
    Open,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { pauses: PAUSES_MS.into_iter() }
    }
}

impl Iterator for Reconnect {
    type Item = Pause;

    fn next(&mut self) -> Option<Pause> {
        self.pauses.next().map(|millis| Pause(Duration::from_millis(millis)))
    }
}

impl Pause {
    /// Blocks the store's own thread, which has nothing else that it could do.
    pub(super) fn wait(self) {
        std::thread::park_timeout(self.0);
    }
}

impl Transaction {
    /// The open transaction; none on a file, which cannot be lost.
    pub(super) fn remember(connection: &mut Connection) -> QueryResult<Option<Self>> {
        match connection {
            Connection::Sqlite(_) => Ok(None),
            Connection::Postgres(connection) => {
                let id = diesel::select(sql::<sql_types::BigInt>("pg_current_xact_id()::text::bigint"));
                Ok(Some(Self { id: id.get_result(connection)? }))
            }
        }
    }

    pub(super) fn fate(&self, connection: &mut Connection) -> QueryResult<Fate> {
        let Connection::Postgres(connection) = connection else { return Ok(Fate::RolledBack) };
        let status = format!("pg_xact_status('{}'::xid8)", self.id);
        let status: Option<String> =
            diesel::select(sql::<sql_types::Nullable<sql_types::Text>>(&status)).get_result(connection)?;
        Ok(match status.as_deref() {
            Some("committed") => Fate::Committed,
            Some("in progress") => Fate::Open,
            _ => Fate::RolledBack,
        })
    }
}
