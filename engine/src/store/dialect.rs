//! One connection to either database, and the few things that both can do but say differently.
//!
//! Queries that both understand are written once, against [`AnyConnection`]. Where the SQL truly differs, or where
//! speed counts, the code matches on the variant; nothing outside the store does.

use diesel::{
    MultiConnection, QueryResult, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
    result::Error as DieselError,
};

use super::postgres::PgConnection;

/// A connection to a SQLite file or to a PostgreSQL server.
#[derive(MultiConnection)]
#[expect(clippy::large_enum_variant, reason = "a process has a handful of connections, and the derive takes no boxes")]
pub(crate) enum AnyConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Why a transaction of the writer was not committed, as far as that is known.
pub(super) struct Failed {
    pub(super) source: DieselError,
    /// Whether it was the COMMIT that failed. If its answer was lost, the transaction may be committed all the same.
    pub(super) at_commit: bool,
}

impl AnyConnection {
    /// Runs a change in a transaction that may write from its beginning: SQLite would otherwise refuse to let a
    /// reader become a writer while another program writes. `begin` has the statements that begin it on a server.
    pub(super) fn write_transaction<T>(
        &mut self,
        begin: impl FnOnce() -> String,
        change: impl FnOnce(&mut Self) -> QueryResult<T>,
    ) -> Result<T, Failed> {
        let begun = match self {
            Self::Sqlite(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE"),
            Self::Postgres(connection) => begin_on_server(connection, &begin()),
        };
        match begun.and_then(|()| {
            change(self).and_then(|value| self.check_committable(value)).inspect_err(|_| self.roll_back())
        }) {
            Ok(value) => match Self::commit_transaction(self) {
                Ok(()) => Ok(value),
                Err(source) => Err(Failed { source, at_commit: true }),
            },
            Err(source) => Err(Failed { source, at_commit: false }),
        }
    }

    /// A server answers the COMMIT of a transaction in which a statement failed as if all was well, and rolls it back.
    fn check_committable<T>(&mut self, value: T) -> QueryResult<T> {
        let is_aborted = match self {
            Self::Postgres(connection) => connection.is_aborted(),
            Self::Sqlite(_) => false,
        };
        if is_aborted { Err(DieselError::RollbackTransaction) } else { Ok(value) }
    }

    fn roll_back(&mut self) {
        // What went wrong first tells more. A connection that cannot roll back says so at the next beginning.
        if let Err(error) = Self::rollback_transaction(self) {
            tracing::debug!(error = &error as &dyn std::error::Error, "a transaction was not rolled back");
        }
    }
}

/// A failure after BEGIN leaves a transaction that diesel does not know of.
fn begin_on_server(connection: &mut PgConnection, begin: &str) -> QueryResult<()> {
    AnsiTransactionManager::begin_transaction_sql(connection, begin).inspect_err(|_| {
        if let Err(error) = connection.batch_execute("ROLLBACK") {
            tracing::debug!(error = &error as &dyn std::error::Error, "a transaction was not rolled back");
        }
    })
}
