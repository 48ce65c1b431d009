//! The schema: brought up to date at each start, and refused when a newer program wrote it.

use std::path::Path;

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Connection, Error};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Applies whatever is missing.
///
/// # Errors
/// [`Error::NewerSchema`] if the file has a migration that this program does not know; nothing was changed then.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Migrate {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let applied = connection.applied_migrations().map_err(failed)?;
    let known = known_versions()?;
    let newest = known.last().cloned().unwrap_or_default();
    if let Some(found) = applied.iter().map(ToString::to_string).find(|version| !known.contains(version)) {
        return Err(Error::NewerSchema { path: path.to_owned(), found, known: newest });
    }
    connection.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(())
}

/// Refuses a database that does not have the schema of this program, and changes nothing.
///
/// # Errors
/// [`Error::NewerSchema`], or [`Error::Migrate`] if the schema is older.
pub(super) fn check(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let failed = |reason: String| Error::Migrate { path: path.to_owned(), reason };
    let applied = connection.applied_migrations().map_err(|error| failed(error.to_string()))?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    let known = known_versions()?;
    if let Some(found) = applied.iter().find(|version| !known.contains(version)) {
        let known = known.last().cloned().unwrap_or_default();
        return Err(Error::NewerSchema { path: path.to_owned(), found: found.clone(), known });
    }
    if applied.len() < known.len() {
        return Err(failed("it is older than this program; start an engine on it once".to_owned()));
    }
    Ok(())
}

fn known_versions() -> Result<Vec<String>, Error> {
    use diesel::migration::{Migration, MigrationSource};

    let migrations: Vec<Box<dyn Migration<diesel::sqlite::Sqlite>>> =
        MIGRATIONS.migrations().map_err(|error| Error::Corrupt { reason: error.to_string() })?;
    let mut versions: Vec<String> = migrations.iter().map(|migration| migration.name().version().to_string()).collect();
    versions.sort();
    Ok(versions)
}
