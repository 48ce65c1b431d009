//! Connections to the database: how they are opened, and what is promised on them.
//!
//! `synchronous=FULL` in WAL mode, and `synchronous_commit=on`, mean that a transaction is on the disk before its
//! COMMIT returns.

use std::time::Duration;

use diesel::{
    Connection as _, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Bool, Text},
};

use super::{
    Connection, Error,
    database::{Database, Server},
    error::NotOpened,
    file::File,
    postgres::PgConnection,
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

/// How long a connection waits for another program, such as a backup, to release the file or rows.
const BUSY_WAIT_MS: u32 = 5000;

/// Bytes of pages that the writer keeps in memory.
const CACHE_KIB: u32 = 16 * 1024;

pub(super) fn open(place: &Place, access: Access) -> Result<Connection, Error> {
    match place {
        Place::File(file) => open_file(file, access).map(Connection::Sqlite),
        Place::Server(server) => open_server(server, access).map(Connection::Postgres),
    }
}

fn open_file(file: &File, access: Access) -> Result<SqliteConnection, Error> {
    // An absolute path is never taken for a URI: characters such as `?` in it are a part of the name.
    let text = file.path().to_str().ok_or_else(|| Error::Address { url: file.shown() })?;
    let established = match access {
        Access::Read if file.is_out_of_reach() => SqliteConnection::establish(&unchanging(text)),
        Access::Read | Access::Write { .. } => SqliteConnection::establish(text),
    };
    let mut connection = established
        .map_err(|source| Error::Open { database: file.shown(), source: NotOpened::other(source.to_string()) })?;
    let failed = |source| Error::from_diesel("opening the database", source);
    // First of all: the connection that closes the file last holds it alone for a moment.
    connection.batch_execute(&format!("PRAGMA busy_timeout = {BUSY_WAIT_MS}")).map_err(failed)?;
    let is_marked = program::identify(&mut connection, file)?;
    let pragmas = match access {
        Access::Write { synced, .. } => file_settings() + if synced { "" } else { "PRAGMA synchronous = OFF;" },
        Access::Read => "PRAGMA query_only = ON;".to_owned(),
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
    let opened = PgConnection::open(&server.config()?);
    let mut connection =
        opened.map_err(|source| Error::Open { database: Database::Postgres(server.clone()).name(), source })?;
    let settings = match access {
        Access::Write { lease, synced } => {
            server_settings(lease) + if synced { "" } else { "SET synchronous_commit = off;" }
        }
        Access::Read => set(&[("default_transaction_read_only", "on")]),
    };
    connection.batch_execute(&settings).map_err(|source| Error::from_diesel("opening the database", source))?;
    if matches!(access, Access::Write { .. }) {
        check_writable(server, &mut connection)?;
    }
    Ok(connection)
}

/// What a connection needs, whatever is set for the server, the database or the user.
///
/// - A server may have been told to acknowledge before the disk has it; that is not what a store promises.
/// - The store bounds by itself how long it waits, and holds connections while nothing is to be done.
/// - Statements of the store are short: compiling one takes longer than executing it.
/// - Most of them come again and again, and planning one takes longer than executing it. What must be planned for its values
///   says so ([`PgConnection::planned_anew`]).
const SETTINGS: &[(&str, &str)] = &[
    ("client_min_messages", "warning"),
    ("synchronous_commit", "on"),
    ("statement_timeout", "0"),
    ("transaction_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("standard_conforming_strings", "on"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// The statements that make a connection to a server the writer's.
pub(crate) fn server_settings(lease: Duration) -> String {
    let lease_ms = lease.as_millis().to_string();
    set(&[("idle_in_transaction_session_timeout", &lease_ms)])
}

/// Statements that set what every connection needs and these, as far as the version of the server knows them.
fn set(more: &[(&str, &str)]) -> String {
    let lock_ms = BUSY_WAIT_MS.to_string();
    let lock = [("lock_timeout", lock_ms.as_str())];
    let settings = SETTINGS.iter().chain(&lock).chain(more);
    let values: Vec<String> = settings.map(|(name, value)| format!("('{name}', '{value}')")).collect();
    format!(
        "SELECT set_config(name, value, false) FROM (VALUES {}) AS needed (name, value) \
         WHERE current_setting(name, true) IS NOT NULL;",
        values.join(", ")
    )
}

/// Refuses a database in which the store could not write everything that it is given.
fn check_writable(server: &Server, connection: &mut PgConnection) -> Result<(), Error> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        is_read_only: bool,
        #[diesel(sql_type = Bool)]
        is_standby: bool,
        #[diesel(sql_type = Text)]
        encoding: String,
        #[diesel(sql_type = Bool)]
        has_schema: bool,
    }
    let query = "SELECT current_setting('transaction_read_only')::bool AS is_read_only, \
                 pg_is_in_recovery() AS is_standby, current_setting('server_encoding') AS encoding, \
                 current_schema() IS NOT NULL AS has_schema";
    let row: Row =
        sql_query(query).get_result(connection).map_err(|source| Error::from_diesel("opening the database", source))?;
    let database = || Database::Postgres(server.clone()).name();
    let unsuitable = |reason: String, remedy| Err(Error::Unsuitable { database: database(), reason, remedy });
    match row {
        Row { is_standby: true, .. } => {
            Err(Error::ReadOnly { reason: "the server is a standby that follows another server".to_owned() })
        }
        Row { is_read_only: true, .. } => {
            let reason = "`default_transaction_read_only` is on for the server, the database or the user";
            Err(Error::ReadOnly { reason: reason.to_owned() })
        }
        Row { has_schema: false, .. } => unsuitable(
            "none of the schemas in its `search_path` exists".to_owned(),
            "create the schema that `search_path` names for the user and the database, or correct `search_path`",
        ),
        // The server keeps the bytes of a database in SQL_ASCII as they are.
        Row { encoding, .. } if !["UTF8", "SQL_ASCII"].contains(&encoding.as_str()) => unsuitable(
            format!("its encoding is {encoding}, in which not every text can be stored"),
            "use a database that was created with `ENCODING 'UTF8'`",
        ),
        Row { .. } => Ok(()),
    }
}
