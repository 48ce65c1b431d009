//! Trying out a database that an engine would use, without changing what is in it.
//!
//! A durable commit is tried where the database is: for a file, in a file beside it that is gone afterwards; on a server,
//! in a message to its write-ahead log that nobody reads. Both wait for the disk as a commit of an engine does.

use std::{fmt, path::Path, time::Duration};

use cloacina_workflow::Timestamp;
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Text},
};
use tempfile::TempDir;

use super::{
    Connection, Error,
    connection::{self, Access, Place, file_settings},
    database::Database,
    error::NotOpened,
    row::timestamp,
};

/// How long a server keeps a transaction of a trial that was given up.
const LEASE: Duration = Duration::from_secs(10);

/// A connection for trying out a database.
pub struct DatabaseTrial {
    connection: Connection,
    /// After the connection, which must be closed first.
    _folder: Option<TempDir>,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = BigInt)]
    now: i64,
}

impl DatabaseTrial {
    /// Connects to the server, or makes a file beside that of the database, in the nearest folder that is there.
    ///
    /// # Errors
    /// [`Error::Open`] if the server cannot be reached or the folder cannot be written; [`Error::ReadOnly`] and
    /// [`Error::Unsuitable`] for a server in which an engine could not write.
    pub fn open(address: &str) -> Result<Self, Error> {
        let database = Database::parse(address)?;
        match &database {
            Database::Sqlite(path) => Self::beside(path, &database),
            Database::Postgres(server) => {
                let access = Access::Write { lease: LEASE, synced: true };
                let connection = connection::open(&Place::Server(server.clone()), access)?;
                Ok(Self { connection, _folder: None })
            }
        }
    }

    fn beside(path: &Path, database: &Database) -> Result<Self, Error> {
        let open = |reason: String| Error::Open { database: database.name(), source: NotOpened::other(reason) };
        let here = Path::new(".");
        let folders = path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { here } else { folder });
        let there = folders.into_iter().find(|folder| folder.is_dir()).unwrap_or(here);
        let made = tempfile::Builder::new().prefix(".cloacina-trial-").tempdir_in(there);
        let folder = made.map_err(|error| open(format!("no file can be made in `{}`: {error}", there.display())))?;
        let file = folder.path().join("trial.db");
        let established = SqliteConnection::establish(&file.to_string_lossy());
        let mut connection = established.map_err(|error| open(error.to_string()))?;
        let made = connection.batch_execute(&(file_settings() + "CREATE TABLE trial (n INTEGER);"));
        made.map_err(|source| Error::from_diesel("trying the database", source))?;
        Ok(Self { connection: Connection::Sqlite(connection), _folder: Some(folder) })
    }

    /// The name and the version of the database's program.
    ///
    /// # Errors
    /// What the store says.
    pub fn product(&mut self) -> Result<String, Error> {
        let (name, query) = match &self.connection {
            Connection::Sqlite(_) => ("SQLite", "SELECT sqlite_version() AS version"),
            Connection::Postgres(_) => ("PostgreSQL", "SELECT current_setting('server_version') AS version"),
        };
        let row: Result<Version, _> = sql_query(query).get_result(&mut self.connection);
        let row = row.map_err(|source| Error::from_diesel("asking for the version", source))?;
        Ok(format!("{name} {}", row.version))
    }

    /// The time by the clock of the server; none if there is no server.
    ///
    /// # Errors
    /// What the store says.
    pub fn server_time(&mut self) -> Result<Option<Timestamp>, Error> {
        if matches!(self.connection, Connection::Sqlite(_)) {
            return Ok(None);
        }
        let query = sql_query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now");
        let row: Result<Now, _> = query.get_result(&mut self.connection);
        let row = row.map_err(|source| Error::from_diesel("asking for the time", source))?;
        Ok(Some(timestamp(row.now)))
    }

    /// Commits a little, and returns when it is on the disk.
    ///
    /// # Errors
    /// What the store says.
    pub fn commit(&mut self) -> Result<(), Error> {
        let statement = match &self.connection {
            Connection::Sqlite(_) => "INSERT INTO trial VALUES (1)",
            Connection::Postgres(_) => "SELECT pg_logical_emit_message(true, 'cloacina', 'trial')",
        };
        let done = self.connection.batch_execute(statement);
        done.map_err(|source| Error::from_diesel("trying the database", source))
    }
}

impl fmt::Debug for DatabaseTrial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DatabaseTrial").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::TestDatabase, *};

    fn check(database: &TestDatabase, product: &str) {
        let mut trial = DatabaseTrial::open(&database.address).unwrap();
        assert!(trial.product().unwrap().starts_with(product));
        trial.commit().unwrap();
        trial.commit().unwrap();
        assert_eq!(trial.server_time().unwrap().is_some(), product == "PostgreSQL");
    }

    #[test]
    fn a_file_is_tried_beside_it_and_nothing_is_left() {
        let database = TestDatabase::sqlite();
        check(&database, "SQLite");
        let folder = Path::new(&database.address).parent().unwrap();
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    }

    #[test]
    fn a_server_is_tried_and_waits_for_its_disk() {
        let database = TestDatabase::postgres();
        check(&database, "PostgreSQL");
        let mut trial = DatabaseTrial::open(&database.address).unwrap();
        let position = |trial: &mut DatabaseTrial| {
            let flushed = sql_query("SELECT pg_current_wal_flush_lsn()::text AS version");
            flushed.get_result::<Version>(&mut trial.connection).unwrap().version
        };
        let before = position(&mut trial);
        trial.commit().unwrap();
        assert_ne!(position(&mut trial), before, "the message is on the disk");
    }

    #[test]
    fn a_folder_that_is_not_there_is_no_trouble_and_a_server_that_is_not_is() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("later/on/runs.db");
        DatabaseTrial::open(database.to_str().unwrap()).unwrap().commit().unwrap();
        let nobody = DatabaseTrial::open("postgres://nobody@127.0.0.1:1/nothing");
        assert!(matches!(nobody, Err(Error::Open { .. })));
    }
}
