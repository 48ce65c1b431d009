//! Connections to the database: how they are opened, and what is promised on them.
//!
//! `synchronous=FULL` in WAL mode, and `synchronous_commit=on`, mean that a transaction is on the disk before its
//! COMMIT returns.

use std::time::Duration;

use diesel::{
    Connection as _, ConnectionError, PgConnection, RunQueryDsl, SqliteConnection, connection::SimpleConnection,
    sql_query,
};

use super::{
    Connection, Error,
    database::{Database, Server},
    file::File,
    program,
};

/// A database that connections can be opened to.
#[derive(Debug)]
pub(super) enum Place {
    File(File),
    Server(Server),
}

impl Place {
    /// The same once more, for another thread.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::File(file) => Self::File(file.again()),
            Self::Server(server) => Self::Server(server.clone()),
        }
    }
}

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The writer's: creates the file, keeps it durable. On a server, a transaction of an engine that stopped in its
    /// middle is over when its lease is, so that it is in nobody's way for longer.
    Write { lease: Duration, synced: bool },
    /// A reader's: cannot change anything.
    Read,
}

/// A page size only takes hold in a new file. Larger pages write more bytes for each small commit.
const PAGE_BYTES: u32 = 4096;

/// Checkpoints of this many pages were measured to keep the slowest commits at 4 to 6 ms.
const CHECKPOINT_PAGES: u32 = 1000;

/// How long a connection waits for another program, such as a backup, to let go of the file or of rows.
const BUSY_WAIT_MS: u32 = 5000;

/// Bytes of pages that the writer keeps in memory.
const CACHE_KIB: u32 = 16 * 1024;

pub(super) fn open(place: &Place, access: Access) -> Result<Connection, Error> {
    match place {
        Place::File(file) => open_file(file, access).map(Connection::Sqlite),
        Place::Server(server) => open_server(server, access).map(Connection::Postgres),
    }
}

/// Whether the connection still works. A file is never further away than it was.
pub(super) fn is_alive(connection: &mut Connection) -> bool {
    match connection {
        Connection::Sqlite(_) => true,
        Connection::Postgres(connection) => sql_query("SELECT 1").execute(connection).is_ok(),
    }
}

fn open_file(file: &File, access: Access) -> Result<SqliteConnection, Error> {
    // An absolute path is never taken for a URI: characters such as `?` in it are a part of the name.
    let text = file.path().to_str().ok_or_else(|| Error::Address { url: file.shown() })?;
    let established = match access {
        Access::Read if file.is_out_of_reach() => SqliteConnection::establish(&unchanging(text)),
        Access::Read | Access::Write { .. } => SqliteConnection::establish(text),
    };
    let mut connection = established.map_err(|source| Error::Open { database: file.shown(), source })?;
    let is_marked = program::identify(&mut connection, file)?;
    let failed = |source| Error::from_diesel("opening the database", source);
    let pragmas = match access {
        Access::Write { synced, .. } => file_settings() + if synced { "" } else { "PRAGMA synchronous = OFF;" },
        Access::Read => format!("PRAGMA busy_timeout = {BUSY_WAIT_MS}; PRAGMA query_only = ON;"),
    };
    connection.batch_execute(&pragmas).map_err(failed)?;
    if !is_marked && matches!(access, Access::Write { .. }) {
        program::mark(&mut connection).map_err(failed)?;
    }
    Ok(connection)
}

/// The URI of a file that nobody changes, so that SQLite needs nothing beside it.
fn unchanging(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("file:{}?immutable=1", path.bytes().map(encode).collect::<String>())
}

/// The statements that make a connection to a file the writer's.
pub(crate) fn file_settings() -> String {
    format!(
        "PRAGMA busy_timeout = {BUSY_WAIT_MS}; PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; \
         PRAGMA cache_size = -{CACHE_KIB}; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
    )
}

/// Moves what is in the write-ahead log of a file into the file, so that the file alone is the database. Another program
/// that reads is waited for, for as long as for any lock.
pub(super) fn empty_log(connection: &mut Connection) {
    let Connection::Sqlite(connection) = connection else { return };
    if let Err(error) = connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)") {
        // The next connection does it.
        tracing::debug!(error = &error as &dyn std::error::Error, "the write-ahead log was not emptied");
    }
}

fn open_server(server: &Server, access: Access) -> Result<PgConnection, Error> {
    let established = PgConnection::establish(&server.connection_url());
    let mut connection = established.map_err(|error| {
        // The client library repeats what it was given, and that may hold a password.
        let source = ConnectionError::BadConnection(server.scrub(&error.to_string()));
        Error::Open { database: Database::Postgres(server.clone()).name(), source }
    })?;
    // A server may have been told to acknowledge before the disk has it; that is not what a store promises. What it
    // says is sorted by its words, so these must not depend on the server's language where that can be chosen.
    let settings = match access {
        Access::Write { lease, synced } => {
            server_settings(lease) + if synced { "" } else { "SET synchronous_commit = off;" }
        }
        Access::Read => "SET client_min_messages = warning; SET default_transaction_read_only = on;".to_owned(),
    };
    connection.batch_execute(&settings).map_err(|source| Error::from_diesel("opening the database", source))?;
    Ok(connection)
}

/// Plans are made once, when tables may still be empty, and kept while these grow: reading a table of runs from end to
/// end for each group would be right then, and very wrong later. The writer looks rows up by key and nothing else.
const BY_KEY: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
     SET enable_hashjoin = off; SET enable_mergejoin = off;";

/// The statements that make a connection to a server the writer's.
pub(crate) fn server_settings(lease: Duration) -> String {
    format!(
        "SET client_min_messages = warning; SET synchronous_commit = on; SET lock_timeout = {BUSY_WAIT_MS}; \
         {BY_KEY} SET idle_in_transaction_session_timeout = {}; \
         SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;",
        lease.as_millis()
    )
}
