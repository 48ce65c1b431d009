//! A schema or a database of its own on a PostgreSQL server, for tests that need a server and for the crash harness.
//!
//! A schema is enough where nothing is set for the database or its user, and is made faster. Both are gone when they are
//! dropped; the server stays as it was.

use crate::store::PgConnection;
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Integer, Text},
};

use super::ProbeError;

/// A schema that is gone when it is dropped.
#[derive(Debug)]
pub struct ServerSchema {
    server: String,
    name: String,
    url: String,
}

impl ServerSchema {
    /// Makes a schema on the server at that address.
    ///
    /// # Errors
    /// What the server says.
    pub fn create(server: &str) -> Result<Self, ProbeError> {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        PgConnection::establish(server)?.batch_execute(&format!("CREATE SCHEMA {name}"))?;
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options=-csearch_path%3D{name}");
        Ok(Self { server: server.to_owned(), name, url })
    }

    /// The address of a database that is this schema.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements in the schema, from outside of any engine.
    ///
    /// # Errors
    /// What the server says.
    pub fn execute(&self, statements: &str) -> Result<(), ProbeError> {
        let mut connection = PgConnection::establish(&self.server)?;
        Ok(connection.batch_execute(&format!("SET search_path = {}; {statements}", self.name))?)
    }
}

/// A database with its own user, which may only use this database; both are removed when it is dropped.
#[derive(Debug)]
pub struct ServerDatabase {
    server: String,
    name: String,
    url: String,
}

impl ServerDatabase {
    /// Makes a database on the server at that address. `options` are those of `CREATE DATABASE`.
    ///
    /// # Errors
    /// What the server says.
    pub fn create(server: &str, options: &str) -> Result<Self, ProbeError> {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = PgConnection::establish(server)?;
        connection.batch_execute(&format!("CREATE ROLE {name} LOGIN"))?;
        connection.batch_execute(&format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0 {options}"))?;
        let (before, query) = server.split_once('?').unwrap_or((server, ""));
        let host = before.rsplit_once('/').map_or(before, |(host, _)| host);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host).trim_start_matches("postgres://");
        let url = format!("postgres://{name}@{host}/{name}?{query}");
        Ok(Self { server: server.to_owned(), name, url })
    }

    /// The address of the database, for its user.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements outside of the database as the one who made it; `{name}` stands for the name of the database and of
    /// its user.
    ///
    /// # Errors
    /// What the server says.
    pub fn execute(&self, statements: &str) -> Result<(), ProbeError> {
        let mut connection = PgConnection::establish(&self.server)?;
        for statement in statements.replace("{name}", &self.name).split(';').filter(|text| !text.trim().is_empty()) {
            connection.batch_execute(statement)?;
        }
        Ok(())
    }

    /// Ends every connection to the database, as a firewall or an administrator does.
    ///
    /// # Errors
    /// What the server says.
    pub fn end_connections(&self) -> Result<(), ProbeError> {
        self.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    }
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        if self.execute("DROP DATABASE {name} WITH (FORCE); DROP ROLE {name}").is_err() {
            tracing::warn!(database = self.name, "a database is left on the server");
        }
    }
}

/// The ids of the server's processes that serve connections of that application name.
///
/// # Errors
/// What the server says.
pub fn server_processes(server: &str, application_name: &str) -> Result<Vec<i32>, ProbeError> {
    let find = sql_query("SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid");
    let mut connection = PgConnection::establish(server)?;
    let rows: Vec<Backend> = find.bind::<Text, _>(application_name).load(&mut connection)?;
    Ok(rows.into_iter().map(|row| row.pid).collect())
}

/// Whether a connection of that application name is in the middle of a transaction.
///
/// # Errors
/// What the server says.
pub fn is_in_transaction(server: &str, application_name: &str) -> Result<bool, ProbeError> {
    let find = sql_query("SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle' LIMIT 1");
    let mut connection = PgConnection::establish(server)?;
    let rows: Vec<Backend> = find.bind::<Text, _>(application_name).load(&mut connection)?;
    Ok(!rows.is_empty())
}

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

impl Drop for ServerSchema {
    fn drop(&mut self) {
        let drop = format!("DROP SCHEMA {} CASCADE", self.name);
        let dropped = PgConnection::establish(&self.server).map(|mut connection| connection.batch_execute(&drop));
        // A failed test may leave connections that are in the way; the server is only there for the tests.
        if !matches!(dropped, Ok(Ok(()))) {
            tracing::warn!(schema = self.name, "a schema is left on the server");
        }
    }
}
