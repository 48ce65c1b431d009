//! The schema: brought up to date at each start, and refused when a newer program wrote it.
//!
//! Engines that start together on one server take turns, under a lock of that server.

use diesel::{
    QueryDsl, RunQueryDsl,
    connection::SimpleConnection,
    migration::{Migration, MigrationSource},
    pg::Pg,
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{
    Connection, Error,
    database::Database,
    error::{NotOpened, is_missing_table},
    postgres::PgConnection,
    schema,
};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Names the lock under which schemas are changed; any number will do that no other program uses.
const LOCK: i64 = 0x636c_6f61_6369_6e61;

/// Applies whatever is missing.
///
/// # Errors
/// [`Error::NewerSchema`] if the database has a migration that this program does not know; nothing was changed then.
pub(super) fn run(connection: &mut Connection, database: &Database) -> Result<(), Error> {
    match connection {
        Connection::Sqlite(connection) => apply(connection, SQLITE, database),
        Connection::Postgres(connection) => {
            if is_current(connection) {
                return Ok(());
            }
            let locked = |source| Error::from_diesel("waiting to change the schema", source);
            connection.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).map_err(locked)?;
            let applied = apply(connection, POSTGRES, database).map_err(|error| {
                // What a migration says does not tell whether it was the connection.
                let alive = connection.batch_execute("SELECT 1");
                alive.err().map_or(error, |source| Error::from_diesel("changing the schema", source))
            });
            // A connection that is lost has given back the lock by itself.
            let unlocked = connection.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})")).map_err(locked);
            applied.and(unlocked)
        }
    }
}

/// Whether nothing is missing, so that nobody needs to wait for a turn.
fn is_current(connection: &mut PgConnection) -> bool {
    let applied = schema::migration::table.select(schema::migration::version).load(connection);
    let applied: Vec<String> = applied.unwrap_or_default();
    let known = known_versions::<Pg>(&POSTGRES).unwrap_or_default();
    !known.is_empty() && applied.len() == known.len() && known.iter().all(|version| applied.contains(version))
}

/// Takes back that migration and all later ones, and applies them again.
#[cfg(test)]
pub(super) fn again_from(connection: &mut Connection, version: &str) {
    match connection {
        Connection::Sqlite(connection) => {
            while connection.revert_last_migration(SQLITE).unwrap().to_string() != version {}
            connection.run_pending_migrations(SQLITE).unwrap();
        }
        Connection::Postgres(connection) => {
            while connection.revert_last_migration(POSTGRES).unwrap().to_string() != version {}
            connection.run_pending_migrations(POSTGRES).unwrap();
        }
    }
}

fn apply<C, DB>(connection: &mut C, migrations: EmbeddedMigrations, database: &Database) -> Result<(), Error>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Migrate {
        database: database.name(),
        reason: error.to_string(),
    };
    let applied = connection.applied_migrations().map_err(failed)?;
    let known = known_versions::<DB>(&migrations).map_err(failed)?;
    let newest = known.last().cloned().unwrap_or_default();
    if let Some(found) = applied.iter().map(ToString::to_string).find(|version| !known.contains(version)) {
        return Err(Error::NewerSchema { database: database.name(), found, known: newest });
    }
    connection.run_pending_migrations(migrations).map_err(failed)?;
    Ok(())
}

/// Refuses a database that does not have the schema of this program, and changes nothing.
///
/// # Errors
/// [`Error::NewerSchema`], or [`Error::Migrate`] if the schema is older.
pub(super) fn check(connection: &mut Connection, database: &Database) -> Result<(), Error> {
    let failed = |reason: String| Error::Migrate { database: database.name(), reason };
    let unusable = |reason| Error::Open { database: database.name(), source: NotOpened::other(reason) };
    // Asking diesel would make its table.
    let applied: Vec<String> =
        schema::migration::table.select(schema::migration::version).load(connection).map_err(|error| {
            match Error::from_diesel("looking at the schema", error) {
                // A server has databases before anything is in them.
                Error::Query { source, .. } if is_missing_table(&source) => match database {
                    Database::Postgres(_) => {
                        Error::Absent { database: database.name(), reason: "nothing of Cloacina is in it" }
                    }
                    Database::Sqlite(_) => unusable("nothing of Cloacina is in it".to_owned()),
                },
                Error::Query { source, .. } => failed(source.to_string()),
                // It is not the schema that is wrong.
                Error::Disk { source, .. } => unusable(source.to_string()),
                error => error,
            }
        })?;
    let known = match connection {
        Connection::Sqlite(_) => known_versions::<Sqlite>(&SQLITE),
        Connection::Postgres(_) => known_versions::<Pg>(&POSTGRES),
    };
    let known = known.map_err(|error| failed(error.to_string()))?;
    if let Some(found) = applied.iter().find(|version| !known.contains(version)) {
        let known = known.last().cloned().unwrap_or_default();
        return Err(Error::NewerSchema { database: database.name(), found: found.clone(), known });
    }
    if applied.len() < known.len() {
        return Err(failed("it is older than this program; start an engine on it once".to_owned()));
    }
    Ok(())
}

fn known_versions<DB>(migrations: &EmbeddedMigrations) -> diesel::migration::Result<Vec<String>>
where
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let migrations: Vec<Box<dyn Migration<DB>>> = migrations.migrations()?;
    let mut versions: Vec<String> = migrations.iter().map(|migration| migration.name().version().to_string()).collect();
    versions.sort();
    Ok(versions)
}
