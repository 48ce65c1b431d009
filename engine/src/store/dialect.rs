//! One connection to either database, and the few things that both can do but say differently.
//!
//! Queries that both understand are written once, against [`AnyConnection`]. Where the SQL truly differs, or where
//! speed counts, the code matches on the variant; nothing outside the store does.

use diesel::{
    MultiConnection, PgConnection, QueryResult, SqliteConnection,
    connection::{AnsiTransactionManager, TransactionManager},
};

/// A connection to a SQLite file or to a PostgreSQL server.
#[derive(MultiConnection)]
pub(crate) enum AnyConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl AnyConnection {
    /// Runs a change in a transaction that may write from its beginning: SQLite would otherwise refuse to let a
    /// reader become a writer while another program writes.
    pub(super) fn write_transaction<T>(&mut self, change: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        match self {
            Self::Sqlite(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?,
            Self::Postgres(connection) => AnsiTransactionManager::begin_transaction(connection)?,
        }
        match change(self) {
            Ok(value) => {
                Self::commit_transaction(self)?;
                Ok(value)
            }
            Err(error) => {
                // What went wrong first tells more. A connection that cannot roll back says so at the next beginning.
                if let Err(error) = Self::rollback_transaction(self) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a transaction was not rolled back");
                }
                Err(error)
            }
        }
    }
}
