//! Databases for tests: a file in a folder of its own, or a schema of its own on the server that `./test` provides.
//!
//! Tests that are written once for both fill them here in one way, and never ask which of the two it is to write a value.

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection};
use tempfile::TempDir;

use super::{Database, connection::Place, file::File, postgres::PgConnection};

/// The variable with the address of the server.
const SERVER: &str = "CLOACINA_TEST_POSTGRES";

/// A database that is gone when its test is.
pub(crate) struct TestDatabase {
    pub(crate) database: Database,
    /// As engines take it.
    pub(crate) address: String,
    schema: Option<Schema>,
    /// The database is in it if it is a file.
    _folder: TempDir,
}

struct Schema {
    server: String,
    name: String,
}

impl TestDatabase {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        let address = path.display().to_string();
        Self { database: Database::Sqlite(path), address, schema: None, _folder: folder }
    }

    /// A test that cannot have it fails: what is not tested on both databases is not tested.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test command tells tests by its environment where the server is"
    )]
    pub(crate) fn postgres() -> Self {
        let server = std::env::var(SERVER).unwrap_or_else(|_| {
            panic!("{SERVER} is not set: `./test -- FILTER` starts a PostgreSQL server and runs tests with it")
        });
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        PgConnection::establish(&server).unwrap().batch_execute(&format!("CREATE SCHEMA {name}")).unwrap();
        let separator = if server.contains('?') { '&' } else { '?' };
        let address = format!("{server}{separator}options=-csearch_path%3D{name}");
        let database = Database::parse(&address).unwrap();
        Self { database, address, schema: Some(Schema { server, name }), _folder: tempfile::tempdir().unwrap() }
    }

    /// Whether it is a file.
    pub(crate) fn is_file(&self) -> bool {
        self.schema.is_none()
    }

    /// A whole server that belongs to the test, as it is.
    pub(crate) fn at(address: &str) -> Self {
        let database = Database::parse(address).unwrap();
        Self { database, address: address.to_owned(), schema: None, _folder: tempfile::tempdir().unwrap() }
    }

    /// What connections beside a store are opened to.
    pub(super) fn place(&self) -> Place {
        match &self.database {
            Database::Sqlite(path) => Place::File(File::open_or_create(path).unwrap()),
            Database::Postgres(server) => Place::Server(server.clone()),
        }
    }

    /// These bytes as a statement has them.
    pub(super) fn bytes(&self, bytes: &[u8]) -> String {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.is_file() { format!("X'{digits}'") } else { format!("'\\x{digits}'::bytea") }
    }

    /// Inserts many rows, each a list of values in brackets, into such columns of a table.
    pub(super) fn insert(&self, columns: &str, rows: impl IntoIterator<Item = String>) {
        let rows: Vec<String> = rows.into_iter().collect();
        for rows in rows.chunks(1_000) {
            self.execute(&format!("INSERT INTO {columns} VALUES {}", rows.join(", ")));
        }
        // An engine makes no statistics of a file, so its plans must be good without; a server makes its own.
        if !self.is_file() {
            self.execute("ANALYZE");
        }
    }

    /// Runs statements from outside of any store.
    pub(crate) fn execute(&self, statements: &str) {
        let Some(Schema { server, name }) = &self.schema else {
            let mut connection = SqliteConnection::establish(&self.address).unwrap();
            return connection.batch_execute(&format!("PRAGMA busy_timeout = 60000; {statements}")).unwrap();
        };
        let mut connection = PgConnection::establish(server).unwrap();
        connection.batch_execute(&format!("SET search_path = {name}; {statements}")).unwrap();
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(Schema { server, name }) = &self.schema else { return };
        let dropped = PgConnection::establish(server).map(|mut connection| {
            connection.batch_execute(&format!("SET client_min_messages = warning; DROP SCHEMA {name} CASCADE"))
        });
        // A failed test may leave connections that are in the way; the server is only there for the tests.
        assert!(std::thread::panicking() || matches!(dropped, Ok(Ok(()))), "the schema {name} is still there");
    }
}
