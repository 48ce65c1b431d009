//! Connections to the database: how they are opened, and what SQLite promises on them.
//!
//! `synchronous=FULL` in WAL mode means that a transaction is on the disk before its COMMIT returns.

use std::path::{Path, PathBuf};

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection};

use super::Error;

/// A connection to the database. The one name by which the rest of the crate knows it.
pub(crate) type Connection = SqliteConnection;

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The writer's: creates the file, keeps it durable.
    Write,
    /// A reader's: cannot change anything.
    Read,
}

/// A page size only takes hold in a new file. Larger pages write more bytes for each small commit.
const PAGE_BYTES: u32 = 4096;

/// Checkpoints of this many pages were measured to keep the slowest commits at 4 to 6 ms.
const CHECKPOINT_PAGES: u32 = 1000;

/// How long a connection waits for another program, such as a backup, to let go of the file.
const BUSY_WAIT_MS: u32 = 5000;

/// Bytes of pages that the writer keeps in memory.
const CACHE_KIB: u32 = 16 * 1024;

pub(super) fn open(path: &Path, access: Access) -> Result<Connection, Error> {
    let text = path.to_str().ok_or_else(|| Error::Address { url: path.display().to_string() })?;
    // A path is no URI: characters such as `?` in it are a part of the name.
    let mut connection =
        SqliteConnection::establish(text).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    let failed = |source| Error::from_diesel("opening the database", source);
    connection.batch_execute(&format!("PRAGMA busy_timeout = {BUSY_WAIT_MS};")).map_err(failed)?;
    let pragmas = match access {
        Access::Write => format!(
            "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA cache_size = -{CACHE_KIB}; \
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
        ),
        Access::Read => "PRAGMA query_only = ON;".to_owned(),
    };
    connection.batch_execute(&pragmas).map_err(failed)?;
    Ok(connection)
}

/// The file that an address names: a path, or `sqlite:` and a path.
///
/// # Errors
/// [`Error::Address`] for other databases, for a database in memory, and for an empty address.
pub(crate) fn database_path(address: &str) -> Result<PathBuf, Error> {
    let unusable = || Error::Address { url: address.to_owned() };
    let path = match address.strip_prefix("sqlite:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None if address.contains("://") || address.starts_with("postgres:") => return Err(unusable()),
        None => address,
    };
    if path.is_empty() || path == ":memory:" { Err(unusable()) } else { Ok(path.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_files() {
        for (address, path) in [
            ("runs.db", Some("runs.db")),
            ("sqlite:runs.db", Some("runs.db")),
            ("sqlite:///var/runs.db", Some("/var/runs.db")),
            ("sqlite://runs.db", Some("runs.db")),
            ("postgres://host/db", None),
            ("", None),
            ("sqlite:", None),
            (":memory:", None),
        ] {
            assert_eq!(database_path(address).ok(), path.map(PathBuf::from), "{address}");
        }
    }
}
