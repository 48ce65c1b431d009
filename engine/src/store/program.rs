//! Whose a SQLite file is: each program can write its number into the header, and no program may adopt the file of another.
//!
//! A database of ours from before there was a number is known by its tables, and gets the number when an engine opens it.

use diesel::{
    QueryResult, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Nullable, Text},
};

use super::{Error, file::File};

/// The number of this program: `Clcn`.
const APPLICATION_ID: i64 = 0x436c_636e;

/// Tables that every version of the schema has.
const TABLES: [&str; 6] = ["__diesel_schema_migrations", "setting", "owner", "workflow", "run", "event"];

/// Refuses the file of another program, and changes nothing; returns whether the file has our number.
///
/// # Errors
/// [`Error::Foreign`].
pub(super) fn identify(connection: &mut SqliteConnection, file: &File) -> Result<bool, Error> {
    #[derive(QueryableByName)]
    struct Header {
        #[diesel(sql_type = BigInt)]
        application_id: i64,
        #[diesel(sql_type = BigInt)]
        n_ours: i64,
        #[diesel(sql_type = Nullable<Text>)]
        a_table: Option<String>,
    }
    let names = TABLES.map(|name| format!("'{name}'")).join(", ");
    let query = format!(
        "SELECT application_id, (SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ({names})) AS n_ours, \
         (SELECT name FROM sqlite_master WHERE name NOT IN ({names}) LIMIT 1) AS a_table FROM pragma_application_id()"
    );
    let header: Result<Header, _> = sql_query(query).get_result(connection);
    let Header { application_id, n_ours, a_table } =
        header.map_err(|source| Error::from_diesel("opening the database", source))?;
    let foreign = |reason| Error::Foreign { database: file.shown(), reason };
    match (application_id, usize::try_from(n_ours), a_table) {
        (APPLICATION_ID, ..) => Ok(true),
        // One of an older version, and one that is as good as new.
        (0, Ok(n_ours), _) if n_ours == TABLES.len() => Ok(false),
        (0, Ok(0), None) => Ok(false),
        (0, _, Some(table)) => Err(foreign(format!("it has the table {table:?}, but not all tables of Cloacina"))),
        (0, _, None) => Err(foreign("it has some tables of Cloacina, but not all".to_owned())),
        (other, ..) => {
            Err(foreign(format!("its application id is {other:#010x}, and that of Cloacina is {APPLICATION_ID:#010x}")))
        }
    }
}

/// Writes our number into the header.
pub(super) fn mark(connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.batch_execute(&format!("PRAGMA application_id = {APPLICATION_ID}"))
}
