//! Databases that exist for one measurement: a file in a folder, or a schema on a server.
//!
//! Gone when dropped, also after a failure. A schema is as good as a database of its own, and making one does not stir
//! up the whole server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{MeasureError, raw::Postgres};
use crate::store::Database;

/// A database of its own.
#[derive(Debug)]
pub struct Scratch {
    address: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The folder that the file is in.
    Folder(PathBuf),
    Schema {
        server: String,
        name: String,
    },
}

impl Scratch {
    /// A file that does not exist yet, in a new folder in that one.
    ///
    /// # Errors
    /// [`MeasureError::Folder`].
    pub fn file(parent: &Path) -> Result<Self, MeasureError> {
        let folder = parent.join(unique());
        fs::create_dir(&folder)?;
        Ok(Self { address: folder.join("bench.db").display().to_string(), place: Place::Folder(folder) })
    }

    /// An empty schema in the database at that address.
    ///
    /// # Errors
    /// [`MeasureError`] with the server's words.
    pub fn schema(server: &str) -> Result<Self, MeasureError> {
        let name = unique();
        let mut connection = connect(server)?;
        connection.execute("making a schema", &format!("CREATE SCHEMA {name}"))?;
        let separator = if server.contains('?') { '&' } else { '?' };
        let address = format!("{server}{separator}options=-csearch_path%3D{name}");
        Ok(Self { address, place: Place::Schema { server: server.to_owned(), name } })
    }

    /// Its address, as engines take it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The version of the server at that address, such as `17.2`.
    ///
    /// # Errors
    /// [`MeasureError`] with the server's words.
    pub fn server_version(server: &str) -> Result<String, MeasureError> {
        let version = connect(server)?.version()?;
        Ok(format!("{}.{}", version / 10_000, version % 10_000))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match &self.place {
            Place::Folder(folder) => {
                if let Err(error) = fs::remove_dir_all(folder) {
                    tracing::warn!(%error, folder = %folder.display(), "a measured database is left behind");
                }
            }
            Place::Schema { server, name } => {
                let statement = format!("DROP SCHEMA {name} CASCADE");
                let dropped = connect(server).and_then(|mut server| server.execute("dropping a schema", &statement));
                if let Err(error) = dropped {
                    tracing::warn!(%error, schema = name, "a measured database is left behind");
                }
            }
        }
    }
}

fn connect(server: &str) -> Result<Postgres, MeasureError> {
    match Database::parse(server)? {
        Database::Postgres(server) => Postgres::open(&server),
        Database::Sqlite(path) => Err(MeasureError::Database {
            doing: "making a schema",
            message: format!("`{}` is not the address of a PostgreSQL server", path.display()),
        }),
    }
}

fn unique() -> String {
    format!("cloacina_bench_{}", Uuid::now_v7().simple())
}
